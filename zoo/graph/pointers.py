"""Pointers that a network keeps and moves: what `pgn` and `pointer_graph` share.

Source: Veličković et al., Pointer Graph Networks, NeurIPS 2020, section 3.2. A node scores all candidates by a query
and their keys; a mask holds most pointers where they are; what is carried on is a decision, which passes no gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tasks.spec import Location, Type
from zoo.edges import Edges, map_edges
from zoo.encoders import linear, truncated_normal_
from zoo.processor import Inputs, Port, State, Step
from zoo.recording import Kind, Record, Track
from zoo.topology import Topology

HEADS: Mapping[str, Port] = {
    "pointers": Port(Location.NODE, Type.POINTER),
    "modify": Port(Location.NODE, Type.MASK),
}
TRACKS: Mapping[str, Track] = {
    "pointers": Track(Kind.POINTER, ("nodes",), "the node that each node points to after the step"),
    "modify": Track(Kind.MASK, ("nodes",), "whether its pointer could change in the step"),
}


class PointerState(NamedTuple):
    """State of a pointer graph.

    Attributes:
        pointers: the node that each node points to.
    """

    pointers: Int[Tensor, "*nodes"]


class PointerHead(nn.Module):
    """Scores of what each node may point to."""

    def __init__(self, hidden_size: int) -> None:
        """Make the layers."""
        super().__init__()
        self.query = linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size, bias=False)  # a bias would move all candidates alike
        truncated_normal_(self.key.weight, hidden_size**-0.5)

    def forward(self, nodes: Float[Tensor, "*nodes hidden"], topology: Topology) -> Float[Tensor, "*edges"]:
        """Scores on edges; the one from j to i is that of i pointing to j."""
        return topology.dot(self.key(nodes), self.query(nodes))


def forced_or(guide: Tensor | None, own: Tensor) -> Tensor:
    """The forced values, and `own` where nothing (-1) is forced."""
    return own if guide is None else torch.where(guide >= 0, guide.to(own.dtype), own)


def next_pointers(
    logits: Float[Tensor, "*edges"],
    may_change: Bool[Tensor, "*nodes"] | None,
    old: Int[Tensor, "*nodes"],
    candidates: Topology,
) -> Int[Tensor, "*nodes"]:
    """The best candidate of each node that may change its pointer, the old pointer of the others."""
    best = candidates.argmax(logits, "receiver")
    return best if may_change is None else torch.where(may_change, best, old)


def first_pointers(inputs: Inputs, topology: Topology) -> PointerState:
    """Pointers as given in frame 0, else each node at itself."""
    return PointerState(forced_or(inputs.guide.get("pointers"), topology.local_index()))


def link(edges: Edges | None, topology: Topology, state: State, *, both_ways: bool) -> tuple[Edges | None, Topology]:
    """The step's edges and those of the pointers, if there are any, with the features of the former on both."""
    if not state:
        return edges, topology
    linked = topology.with_edges(state.pointers, both_ways=both_ways)
    return None if edges is None else map_edges(linked.extend, edges), linked


def move_pointers(
    head: PointerHead,
    nodes: Float[Tensor, "*nodes hidden"],
    modify: Float[Tensor, "*nodes"] | None,
    inputs: Inputs,
    topology: Topology,
    state: State,
) -> tuple[dict[str, Tensor], dict[str, Tensor], State]:
    """Score the candidates, and move the pointers that may change.

    Args:
        head: scores candidates from the new hidden.
        nodes: the new hidden.
        modify: logits of which pointers may change, or None if all may.
        inputs: the step's; its guide forces decisions, its candidates are what pointers choose from.
        topology: the step's.
        state: pointers so far, or nothing where none are computed.

    Returns:
        Logits by head, what was decided by head, and the new state.
    """
    heads, decided = {}, {}
    may_change = None
    if modify is not None:
        heads["modify"] = modify
        may_change = forced_or(inputs.guide.get("modify"), modify > 0)
    if state:
        candidates = inputs.candidates.get("pointers", topology)
        heads["pointers"] = head(nodes, candidates)
        pointers = next_pointers(heads["pointers"], may_change, state.pointers, candidates)
        decided["pointers"] = forced_or(inputs.guide.get("pointers"), pointers)
        state = PointerState(decided["pointers"])
    return heads, decided, state


def pointer_record(step: Step, inputs: Inputs) -> Record:
    """What became of the pointers in a step, as far as they are computed."""
    record = {}
    if step.state:
        record["pointers"] = step.state.pointers
    if "modify" in step.heads:
        record["modify"] = forced_or(inputs.guide.get("modify"), step.heads["modify"] > 0)
    return record
