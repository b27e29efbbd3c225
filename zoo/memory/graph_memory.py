"""Any cell as a memory of the whole graph, beside any processor: `processor=mpnn memory=ntm`.

At every step the cell reads one token, the maximum over the nodes of a linear map of [token i, hidden i] (token i as a
`Sweep` has it: node, graph, the maximum over its edges). What it returns, of an external memory the controller's output
and its read vectors, goes through another linear map to every node's input, and the processor takes its step. The
maximum keeps what the processor claims of the order of nodes. The zoo's own construction: it sets a controller with
external memory (Graves et al., Nature 2016) over a graph network as DNCs are set over a sequence.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zoo.memory.sweep import Sweep
from zoo.processor import Inputs, Latents, Processor, State, Step
from zoo.recording import Record
from zoo.tokens import tokens
from zoo.topology import Topology


class GraphMemoryState(NamedTuple):
    """State of a processor with a memory beside it.

    Attributes:
        processor: of the processor.
        memory: of the cell.
    """

    processor: State
    memory: State


class GraphMemory(Processor):
    """A processor and a cell that reads its pooled nodes and answers to all of them.

    The cell runs in its parameters' precision, under autocast too. Its tracks are named `memory_…`.
    """

    memoryless = False

    def __init__(self, processor: Processor, cell: Any) -> None:
        """Put `cell` beside `processor`, whose widths and capabilities stay; see `with_memory`."""
        super().__init__(processor.config)
        self.processor, self.cell = processor, cell
        self.hidden_size, self.input_size = processor.hidden_size, processor.input_size
        for name in ("layouts", "writes", "adjacency", "ordered", "compiles", "batch_independent", "grows"):
            setattr(self, name, getattr(processor, name))
        self.asks, self.heads, self.oracles = processor.asks, processor.heads, processor.oracles
        self.tracks = {**processor.tracks, **{f"memory_{name}": track for name, track in cell.tracks.items()}}
        self.token = nn.Linear(self.input_size + self.hidden_size, cell.input_size)
        self.answer = nn.Linear(cell.output_size, self.input_size, bias=False)

    def initial(self, inputs: Inputs, topology: Topology) -> tuple[Latents, State]:
        """The processor's start, and a memory that has seen nothing."""
        hidden, state = self.processor.initial(inputs, topology)
        return hidden, GraphMemoryState(state, self._empty(topology))

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """The cell's step, then the processor's with the cell's answer at every node."""
        pooled = self._pooled(inputs, hidden, topology)
        with torch.autocast(pooled.device.type, enabled=False):
            y, memory = self.cell(pooled, state.memory)
        step = self.processor(self._answered(inputs, y, topology), hidden, topology, state.processor)
        return step._replace(state=GraphMemoryState(step.state, memory))

    def record_initial(self, inputs: Inputs, topology: Topology) -> tuple[Latents, State, Record]:
        """`initial`, with the processor's record of it."""
        hidden, state, record = self.processor.record_initial(inputs, topology)
        return hidden, GraphMemoryState(state, self._empty(topology)), record

    def record(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> tuple[Step, Record]:
        """A step, with the processor's tracks and the cell's, of its one token."""
        pooled = self._pooled(inputs, hidden, topology)
        with torch.autocast(pooled.device.type, enabled=False):
            ys, memory, seen = self.cell.record(pooled.unsqueeze(1), state.memory)
        answered = self._answered(inputs, ys.squeeze(1), topology)
        step, record = self.processor.record(answered, hidden, topology, state.processor)
        seen = {f"memory_{name}": value for name, value in seen.items()}
        return step._replace(state=GraphMemoryState(step.state, memory)), {**record, **seen}

    def anneal(self, progress: float) -> None:
        """Passed on to the processor."""
        self.processor.anneal(progress)

    def _empty(self, topology: Topology) -> State:
        """The cell's initial state."""
        return self.cell.initial(topology.batch_size, like=self.token.weight)

    def _pooled(self, inputs: Inputs, hidden: Latents, topology: Topology) -> Float[Tensor, "batch token"]:
        """The cell's token, in the precision of its parameters."""
        nodes = torch.cat([tokens(inputs.encoded, topology), hidden.nodes], -1)
        return topology.pool(self.token(nodes), "max").to(self.token.weight.dtype)

    def _answered(self, inputs: Inputs, y: Float[Tensor, "batch output"], topology: Topology) -> Inputs:
        """The inputs, with the cell's answer at every node."""
        nodes = inputs.encoded.nodes + topology.to_nodes(self.answer(y))
        return inputs._replace(encoded=inputs.encoded._replace(nodes=nodes))


def with_memory(processor: Processor, memory: Processor) -> GraphMemory:
    """Put a cell beside a processor, as a memory of the whole graph.

    Args:
        processor: any processor of the zoo.
        memory: a swept cell, as `create("ntm", slots=16)` makes it; only its cell is used.

    Returns:
        The two as one processor.

    Raises:
        ValueError: `memory` is no swept cell, or is told how to read nodes, which it does not do here.
    """
    if not isinstance(memory, Sweep):
        raise ValueError(f"memory must be a recurrent cell, such as ntm or lstm; {type(memory).__name__} is none")
    for option, default in (("tokens", "full"), ("every", "step")):
        if getattr(memory.config, option) != default:
            raise ValueError(f"{option} has no meaning beside a processor, where the cell reads one token a step")
    return GraphMemory(processor, memory.cell)
