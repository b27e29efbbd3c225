"""Graph isomorphism network (Xu et al., ICLR 2019), with features of edges as in GINE (Hu et al., ICLR 2020).

One step: `u = ReLU(W [x, h])`, `h'_i = LayerNorm(MLP((1 + ε) u_i + Σ_j ReLU(u_j + W_e e_ji) + W_g g))` over the
neighbours j ≠ i, with an MLP of two layers and a learned ε (paper, eq. 4.1, GIN-ε; GIN-0 holds ε at zero). Without
features of edges a message is `u_j`, as in the paper.

Differs in what a step is here: a recurrent one, so that `[x, h]` is brought to the hidden width first, and batch
normalisation is layer normalisation. The graph's features are the CLRS benchmark's and are not in the paper. Sums tell
multisets of neighbours apart, which means and maxima, the paper's comparison, do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from tasks.registry import option
from zoo.edges import edge_linear
from zoo.encoders import linear
from zoo.graph.messages import message_inputs
from zoo.processor import Inputs, Latents, Processor, ProcessorConfig, State, Step, check_choice
from zoo.registry import register
from zoo.topology import Topology

BIBTEX = """
@inproceedings{xu2019how,
  title     = {How Powerful are Graph Neural Networks?},
  author    = {Xu, Keyulu and Hu, Weihua and Leskovec, Jure and Jegelka, Stefanie},
  booktitle = {International Conference on Learning Representations},
  year      = {2019}
}
"""


@dataclass(frozen=True, kw_only=True)
class GINConfig(ProcessorConfig):
    """Options of `gin`."""

    adjacency: str = option("given", "edges that carry messages: given, or full (complete graph, dense only)")
    aggregation: str = option("sum", "reduction of a receiver's messages: sum, mean, max or min")
    learn_epsilon: bool = option(True, "learn how much a node counts beside its neighbours (GIN-ε); or as one (GIN-0)")
    use_ln: bool = option(True, "layer normalisation of the new hidden")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("adjacency", self.adjacency, ("full", "given"))
        check_choice("aggregation", self.aggregation, ("sum", "mean", "max", "min"))


@register("gin", config=GINConfig, paper="Xu et al., 2019", year=2019, bibtex=BIBTEX)
class GIN(Processor):
    """Graph isomorphism network."""

    Config: ClassVar[type[ProcessorConfig]] = GINConfig
    config: GINConfig

    def __init__(self, config: GINConfig) -> None:
        """Make the layers; on the complete graph, only the dense layout is left."""
        super().__init__(config)
        self.adjacency = config.adjacency
        if config.adjacency == "full":
            self.layouts = frozenset({"dense"})
        size = self.hidden_size
        self.from_node = linear(self.input_size + size, size)
        self.from_edge = linear(self.input_size, size)
        self.from_graph = linear(self.input_size, size)
        self.epsilon = nn.Parameter(torch.zeros(())) if config.learn_epsilon else None
        self.mlp = nn.Sequential(linear(size, size), nn.ReLU(), linear(size, size), nn.ReLU())
        self.norm = nn.LayerNorm(size) if config.use_ln else nn.Identity()

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """One round of messages; see `Processor.forward`."""
        nodes, edges, graph, linked = message_inputs(inputs, hidden, topology, self.adjacency)
        own = self.from_node(nodes).relu()
        around = linked.without_loops()  # the only node of a graph keeps its own, and hears itself
        messages = around.senders(own)
        if edges is not None:
            messages = (messages + edge_linear(self.from_edge, edges)).relu()
        total = around.aggregate(messages, self.config.aggregation)  # type: ignore[arg-type]
        total = total + (own if self.epsilon is None else (1 + self.epsilon) * own)  # eq. 4.1
        if graph is not None:
            total = total + topology.to_nodes(self.from_graph(graph))
        return Step(Latents(self.norm(self.mlp(total))), state)
