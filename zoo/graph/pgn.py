"""Pointer Graph Network (Veličković et al., NeurIPS 2020): a graph network that learns its own edges.

One step: `z = [x, h]`; messages `M(z_j, z_i) = ReLU(W₁ z_j + W₂ z_i + W_e e_ji + W_g g)` over the edges of the step
and those of the pointers Π, maximum over senders, `h' = ReLU(O₁ z + O₂ m)`. Then every node i asks which node j it
should point to, `argmax_j ⟨W_q h'_i, W_k h'_j⟩`, and whether its pointer may change at all, `σ(ψ(z_i, h'_i)) > 1/2`;
a node that may not keeps its old pointer (section 3.2; the paper's mask is the complement, 1 where the old pointer
stays). Pointers start at the nodes themselves, or at what the task gives, and count both ways in the next step, as
Π or Πᵀ.

Pointers and masks are the heads `pointers` and `modify`: with no gradient through the choice, they learn from their
own targets only. A head that nothing is bound to is not computed, unless the option `pointers` asks for both; without
`modify`, every pointer may change. Without heads this is the processor that the CLRS benchmark calls PGN, whose
messages have two more layers and whose hidden is normalised: `message_layers=2, use_ln=True`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tasks.registry import option
from tasks.spec import Location, Type
from zoo.edges import Edges, map_edges
from zoo.encoders import linear
from zoo.graph.messages import SENDERS, Messages, Update
from zoo.processor import Inputs, Latents, Port, Processor, ProcessorConfig, State, Step
from zoo.recording import Kind, Record, Track
from zoo.registry import register
from zoo.topology import Topology

BIBTEX = """
@inproceedings{velickovic2020pointer,
  title     = {Pointer Graph Networks},
  author    = {Veli{\\v{c}}kovi{\\'c}, Petar and Buesing, Lars and Overlan, Matthew C. and Pascanu, Razvan and
               Vinyals, Oriol and Blundell, Charles},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2020}
}
"""


@dataclass(frozen=True, kw_only=True)
class PGNConfig(ProcessorConfig):
    """Options of `pgn`."""

    masking: bool = option(True, "learn which pointers may change; without, all may (the paper's PGN-NM)")
    symmetrise: bool = option(True, "pointers carry messages both ways; without, to the pointed node (PGN-Asym)")
    pointers: bool = option(False, "compute pointers and masks though no task binds them")
    message_layers: int = option(0, "Linear layers of a message after the sum of its terms; CLRS has 2")
    use_ln: bool = option(False, "layer normalisation of the new hidden, as in CLRS")
    gated: bool = option(False, "gate between old and new hidden (Ibarz et al., 2022)")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.message_layers < 0:
            raise ValueError(f"message_layers must be at least 0, not {self.message_layers}")


class PGNState(NamedTuple):
    """State of a PGN.

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
        nn.init.trunc_normal_(self.key.weight, std=hidden_size**-0.5, a=-2 * hidden_size**-0.5, b=2 * hidden_size**-0.5)

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


@register("pgn", config=PGNConfig, paper="Veličković et al., 2020", year=2020, bibtex=BIBTEX)
class PGN(Processor):
    """Pointer Graph Network."""

    Config: ClassVar[type[ProcessorConfig]] = PGNConfig
    config: PGNConfig
    adjacency = "predicted"
    memoryless = False
    heads: Mapping[str, Port] = {
        "pointers": Port(Location.NODE, Type.POINTER),
        "modify": Port(Location.NODE, Type.MASK),
    }
    tracks: Mapping[str, Track] = {
        "senders": SENDERS,
        "pointers": Track(Kind.POINTER, ("nodes",), "the node that each node points to after the step"),
        "modify": Track(Kind.MASK, ("nodes",), "whether its pointer could change in the step"),
    }

    def __init__(self, config: PGNConfig) -> None:
        """Make the layers; without masking there is no head `modify`."""
        super().__init__(config)
        node_size = self.input_size + self.hidden_size
        self.messages = Messages(
            node_size, self.input_size, self.hidden_size, layers=config.message_layers, reduce="max"
        )
        self.update = Update(node_size, self.hidden_size, use_ln=config.use_ln, gated=config.gated)
        self.pointer_head = PointerHead(self.hidden_size)
        self.modify_head = linear(node_size + self.hidden_size, 1) if config.masking else None
        if not config.masking:
            self.heads = {"pointers": self.heads["pointers"]}

    def initial(self, inputs: Inputs, topology: Topology) -> tuple[Latents, State]:
        """Zero hidden; pointers as given in frame 0, else each node at itself."""
        if not self._computes("pointers", inputs):
            return self.zeros(inputs), ()
        own = topology.local_index()
        return self.zeros(inputs), PGNState(forced_or(inputs.guide.get("pointers"), own))

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """One round of messages, then new pointers; see `Processor.forward`.

        Weights of heads, edges and graph are used where there are such.
        """
        read = self._read(inputs, hidden, topology, state)
        nodes, messages = read[0], self.messages(*read)
        if not self.config.message_layers:
            messages = messages.relu()  # the paper's M; ReLU and maximum commute
        new = self.update(nodes, messages, hidden.nodes)
        heads, decided = {}, {}
        may_change = None
        if self.modify_head is not None and self._computes("modify", inputs):
            heads["modify"] = self.modify_head(torch.cat([nodes, new], -1)).squeeze(-1)
            may_change = forced_or(inputs.guide.get("modify"), heads["modify"] > 0)
        if state:
            candidates = inputs.candidates.get("pointers", topology)
            heads["pointers"] = self.pointer_head(new, candidates)
            pointers = next_pointers(heads["pointers"], may_change, state.pointers, candidates)
            decided["pointers"] = forced_or(inputs.guide.get("pointers"), pointers)
            state = PGNState(decided["pointers"])
        return Step(Latents(new), state, heads, decided=decided)

    def record(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> tuple[Step, Record]:
        """A step, who was heard in it, and what became of the pointers, as far as they are computed."""
        step = self(inputs, hidden, topology, state)
        record = {"senders": self.messages.shares(*self._read(inputs, hidden, topology, state))}
        if step.state:
            record["pointers"] = step.state.pointers
        if "modify" in step.heads:
            record["modify"] = forced_or(inputs.guide.get("modify"), step.heads["modify"] > 0)
        return step, record

    def _read(
        self, inputs: Inputs, hidden: Latents, topology: Topology, state: State
    ) -> tuple[Tensor, Edges | None, Tensor | None, Topology]:
        """What messages are computed from: features of nodes, edges and graphs, and the edges that carry them."""
        encoded = inputs.encoded
        edges, linked = encoded.edges, topology
        if state:
            linked = topology.with_edges(state.pointers, both_ways=self.config.symmetrise)
            edges = None if edges is None else map_edges(linked.extend, edges)
        return torch.cat([encoded.nodes, hidden.nodes], -1), edges, encoded.graph, linked

    def _computes(self, head: str, inputs: Inputs) -> bool:
        """Whether a head is bound, or asked for."""
        return self.config.pointers or head in inputs.guide
