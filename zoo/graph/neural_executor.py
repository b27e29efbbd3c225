"""Neural execution of graph algorithms (Veličković et al., ICLR 2020): a network that imitates an algorithm's steps.

One step: encode, `z_i = f(x_i, h_i)`; process, `H' = P(Z, E)`; decode outputs from `[z_i, h'_i]`; and the probability
that this step is the last from the processed latents, `τ = σ(T(mean_i h'_i))` (section 2). The processor P is a
message passing network, `h'_i = ReLU(U [z_i, ⊕_j M [z_i, z_j, e_ji]])` with linear M and U and ⊕ a maximum, mean or
sum; or attention, `h'_i = ReLU(Σ_j a(z_i, z_j, e_ji) W z_j)` with a as in Veličković et al., 2018.

Encoders and decoders of a task are the Reasoner's. All are linear here as in the paper, so that the map of `[x, h]` to
z after an encoder of x, shared by tasks, says no less than the paper's encoder, one an algorithm; and a decoder of
`[x, h, h']` no less than one of `[z, h']`. The paper's T sees all latents beside their mean, which to a linear T is no
more than the mean. Features of graphs, which the paper has not, go into messages as in the CLRS benchmark.

Termination is the head `stop`, to be bound to a graph's mask that is 1 at the last step: `bind.bfs_bellman_ford.stop=
stop`. With `reasoner.steps=halt`, a graph stops where the probability is above one half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.registry import option
from tasks.spec import Location, Type
from zoo.edges import Edges
from zoo.encoders import linear, truncated_normal_
from zoo.graph.attention import attended
from zoo.graph.messages import SENDERS, Messages, PairSums, Update, message_inputs
from zoo.processor import Inputs, Latents, Port, Processor, ProcessorConfig, State, Step, check_choice
from zoo.recording import Kind, Record, Track
from zoo.registry import register
from zoo.topology import Topology

BIBTEX = """
@inproceedings{velickovic2020neural,
  title     = {Neural Execution of Graph Algorithms},
  author    = {Veli{\\v{c}}kovi{\\'c}, Petar and Ying, Rex and Padovano, Matilde and Hadsell, Raia and
               Blundell, Charles},
  booktitle = {International Conference on Learning Representations},
  year      = {2020}
}
"""

LEAK = 0.2
"""Slope of LeakyReLU in attention, as in Veličković et al., 2018."""


@dataclass(frozen=True, kw_only=True)
class NeuralExecutorConfig(ProcessorConfig):
    """Options of `neural_executor`."""

    hidden_size: int = option(32, "width of the hidden latents")
    adjacency: str = option("given", "edges that carry messages: given, or full (complete graph, dense only)")
    aggregation: str = option("max", "what a receiver makes of its messages: max, mean, sum or attention")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("adjacency", self.adjacency, ("full", "given"))
        check_choice("aggregation", self.aggregation, ("max", "mean", "sum", "attention"))


class MessagePassing(nn.Module):
    """The processor that passes messages: U of a node and of its reduced messages M."""

    def __init__(self, input_size: int, hidden_size: int, aggregation: str) -> None:
        """Make the linear maps M and U."""
        super().__init__()
        self.messages = Messages(hidden_size, input_size, hidden_size, layers=0, reduce=aggregation)  # type: ignore[arg-type]
        self.update = Update(hidden_size, hidden_size, use_ln=False, gated=False)
        # Initialised as the maps of concatenations that they are: from larger weights, latents grow step by step.
        pairs, update = self.messages, self.update
        for layer in (pairs.from_sender, pairs.from_receiver, pairs.from_edge, pairs.from_graph):
            truncated_normal_(layer.weight, (2 * hidden_size + input_size) ** -0.5)
        for layer in (update.from_node, update.from_messages):
            truncated_normal_(layer.weight, (2 * hidden_size) ** -0.5)

    def forward(self, nodes: Tensor, edges: Edges | None, graph: Tensor | None, topology: Topology) -> Tensor:
        """New latents."""
        return self.update(nodes, self.messages(nodes, edges, graph, topology), nodes)

    def shares(self, nodes: Tensor, edges: Edges | None, graph: Tensor | None, topology: Topology) -> Tensor:
        """Who was heard."""
        return self.messages.shares(nodes, edges, graph, topology)


class Attention(nn.Module):
    """The processor that attends: a weighted sum of W z over senders."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        """Make the linear maps W and those of the attention's logits."""
        super().__init__()
        self.values = linear(hidden_size, hidden_size)
        self.scores = PairSums(hidden_size, input_size, 1)

    def forward(self, nodes: Tensor, edges: Edges | None, graph: Tensor | None, topology: Topology) -> Tensor:
        """New latents."""
        logits = F.leaky_relu(self.scores(nodes, edges, graph, topology), LEAK)
        return attended(logits, self.values(nodes), topology).relu()

    def shares(self, nodes: Tensor, edges: Edges | None, graph: Tensor | None, topology: Topology) -> Tensor:
        """Who was attended to."""
        logits = F.leaky_relu(self.scores(nodes, edges, graph, topology), LEAK)
        return topology.softmax(logits, "receiver").squeeze(-1)


@register("neural_executor", config=NeuralExecutorConfig, paper="Veličković et al., 2020", year=2020, bibtex=BIBTEX)
class NeuralExecutor(Processor):
    """Neural executor of graph algorithms, with learned termination."""

    Config: ClassVar[type[ProcessorConfig]] = NeuralExecutorConfig
    config: NeuralExecutorConfig
    heads: Mapping[str, Port] = {"stop": Port(Location.GRAPH, Type.MASK, by_default=False)}
    tracks: Mapping[str, Track] = {
        "senders": SENDERS,
        "stop": Track(Kind.GATE, (), "probability that the step is the last"),
    }

    def __init__(self, config: NeuralExecutorConfig) -> None:
        """Make the layers; on the complete graph, only the dense layout is left."""
        super().__init__(config)
        self.adjacency = config.adjacency
        if config.adjacency == "full":
            self.layouts = frozenset({"dense"})
        size = self.hidden_size
        self.encode = linear(self.input_size + size, size)
        self.process: MessagePassing | Attention
        if config.aggregation == "attention":
            self.process = Attention(self.input_size, size)
        else:
            self.process = MessagePassing(self.input_size, size, config.aggregation)
        self.terminate = linear(size, 1)

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """One step of the algorithm, and whether it is the last; see `Processor.forward`."""
        new = self.process(*self._read(inputs, hidden, topology))
        stop = self.terminate(topology.pool(new, "mean")).squeeze(-1)  # T; its sigmoid is τ
        halt = stop > 0
        if "stop" in inputs.guide:
            halt = torch.where(inputs.guide["stop"] >= 0, inputs.guide["stop"] > 0, halt)
        return Step(Latents(new), state, {"stop": stop}, halt=halt)

    def record(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> tuple[Step, Record]:
        """A step, who was heard in it, and how likely it was the last."""
        step = self(inputs, hidden, topology, state)
        shares = self.process.shares(*self._read(inputs, hidden, topology))
        return step, {"senders": shares, "stop": step.heads["stop"].sigmoid()}

    def _read(
        self, inputs: Inputs, hidden: Latents, topology: Topology
    ) -> tuple[Tensor, Edges | None, Tensor | None, Topology]:
        """What the processor is given: `z`, features of edges and graphs, and the edges that carry messages."""
        nodes, edges, graph, linked = message_inputs(inputs, hidden, topology, self.adjacency)
        return self.encode(nodes), edges, graph, linked
