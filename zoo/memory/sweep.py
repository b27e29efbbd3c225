"""Any cell as a processor: it reads the nodes in order, and its memory goes on from step to step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.memory.cell import Cell, State
from zoo.processor import Inputs, Latents, Processor, ProcessorConfig, Step, check_choice
from zoo.recording import Record
from zoo.tokens import tokens
from zoo.topology import Topology


@dataclass(frozen=True, kw_only=True)
class SweepConfig(ProcessorConfig):
    """Options of every swept cell."""

    tokens: str = option(
        "full",
        "a node's token: 'full' adds node, graph, the maximum over its incident edges and its hidden; "
        "'inputs' leaves out the hidden, so that a sequence reaches the cell exactly as encoded",
    )
    every: str = option(
        "step",
        "'step' reads all nodes at each step; 'start' reads them once, then one pooled token a step, "
        "which keeps long trajectories cheap",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("tokens", self.tokens, ("full", "inputs"))
        check_choice("every", self.every, ("step", "start"))


class Sweep(Processor):
    """A cell swept over the nodes of a graph.

    A sequence of L tokens is a graph of L nodes in one step, the classical setting. On a graph, token i is
    node i plus graph plus the maximum over the edges into i plus hidden i (see `SweepConfig.tokens`).

    With `every="start"` the nodes are read before the first step, whose hidden they give. Each step then
    feeds the maximum of the tokens as one token, and its output y changes hidden i by
    `tanh(merge([token i, y]))`: the cell decides, the node applies.

    The cell runs in its parameters' precision, under autocast too: a memory is a long sum of small changes.
    """

    adjacency = "given"
    ordered = True
    memoryless = False

    def __init__(self, config: SweepConfig, cell: Cell) -> None:
        """Wrap `cell`, whose output width is the hidden width."""
        super().__init__(config)
        self.cell = cell
        self.tracks = cell.tracks
        self.hidden_size = cell.output_size
        self.feed_hidden = config.tokens == "full"
        self.read_once = config.every == "start"
        self.feedback = None
        if self.feed_hidden and self.hidden_size != self.input_size:
            self.feedback = nn.Linear(self.hidden_size, self.input_size, bias=False)
        self.merge = nn.Linear(self.input_size + self.hidden_size, self.hidden_size) if self.read_once else None

    def initial(self, inputs: Inputs, topology: Topology) -> tuple[Latents, State]:
        """Zero hidden and the cell's initial state; with `every="start"`, both after all nodes are read."""
        hidden = self.zeros(inputs)
        state = self.cell.initial(topology.batch_size, like=next(self.cell.parameters()))
        if not self.read_once:
            return hidden, state
        nodes, state = self._sweep(self.cell.scan, self._tokens(inputs, hidden, topology), topology, state)
        return Latents(nodes), state

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        read = self._tokens(inputs, hidden, topology)
        if self.merge is None:
            nodes, state = self._sweep(self.cell.scan, read, topology, state)
            return Step(Latents(nodes), state)
        y, state = self.cell(topology.pool(read, "max"), state)
        return Step(self._changed(read, y, hidden, topology), state)

    def record_initial(self, inputs: Inputs, topology: Topology) -> tuple[Latents, State, Record]:
        """`initial`, with the cell's tracks where nodes are read before the first step."""
        if not self.read_once:
            return super().record_initial(inputs, topology)
        hidden = self.zeros(inputs)
        state = self.cell.initial(topology.batch_size, like=next(self.cell.parameters()))
        nodes, state, record = self._sweep(self.cell.record, self._tokens(inputs, hidden, topology), topology, state)
        return Latents(nodes), state, record

    def record(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> tuple[Step, Record]:
        """A step, with the cell's tracks: a token a node, or the one pooled token."""
        read = self._tokens(inputs, hidden, topology)
        if self.merge is None:
            nodes, state, record = self._sweep(self.cell.record, read, topology, state)
            return Step(Latents(nodes), state), record
        ys, state, record = self.cell.record(topology.pool(read, "max").unsqueeze(1), state)
        return Step(self._changed(read, ys.squeeze(1), hidden, topology), state), record

    def _changed(self, read: Tensor, y: Tensor, hidden: Latents, topology: Topology) -> Latents:
        """The nodes after the cell's output on their pooled token."""
        assert self.merge is not None
        at_nodes = topology.to_nodes(y).expand(*read.shape[:-1], y.shape[-1])
        return Latents(hidden.nodes + self.merge(torch.cat([read, at_nodes], -1)).tanh())

    def _tokens(self, inputs: Inputs, hidden: Latents, topology: Topology) -> Float[Tensor, "*nodes input"]:
        """What the cell reads at each node."""
        read = tokens(inputs.encoded, topology)
        if self.feed_hidden:
            read = read + (hidden.nodes if self.feedback is None else self.feedback(hidden.nodes))
        return read

    def _sweep(self, scan: Callable[..., Any], read: Tensor, topology: Topology, state: State) -> tuple[Any, ...]:
        """The cell's outputs at the nodes, its state after the last, and what else the scan returns."""
        xs, mask = topology.as_sequence(read)
        ys, *rest = self._precisely(scan, xs, state, mask)
        return topology.from_sequence(ys), *rest

    def _precisely(self, run: Callable[..., Any], xs: Tensor, *rest: Any) -> Any:
        """Run the cell in the precision of its parameters."""
        with torch.autocast(xs.device.type, enabled=False):
            return run(xs.to(next(self.cell.parameters()).dtype), *rest)
