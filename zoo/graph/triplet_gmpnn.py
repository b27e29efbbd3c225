"""Triplet-GMPNN, the processor of the generalist neural algorithmic learner (Ibarz et al., LoG 2022).

The message passing of `mpnn` with a gate (section 3.2), and messages to edges, from triplets of nodes:

    t_(i,s,r) = U₁ z_i + U₂ z_s + U₃ z_r + V₁ e_is + V₂ e_ir + V₃ e_sr + w g     in 8 channels
    h_sr = ReLU(U_o max_i t_(i,s,r))

after Dudzik and Veličković (NeurIPS 2022). Decoders read them beside the encoded edges; the next step does not. As in
dm-clrs, triplets are of all nodes whatever edges there are. What only pads a batch is no node i.

The maximum is a product of matrices in the max-plus algebra, of `U₁ z_i + V₁ e_is` and `V₂ e_ir`; the other terms do
not depend on i. `zoo.triplets` computes it and keeps who had won (on a GPU, in chunks, the maxima, from which who had
won is found again): time is n³ times 8, memory n² times 8 beside the n² times the hidden width of the messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.edges import Edges, fold
from zoo.encoders import TRIPLET_WIDTH, linear
from zoo.graph.messages import SENDERS, Messages, Update, message_inputs
from zoo.processor import Inputs, Latents, Processor, ProcessorConfig, State, Step, check_choice
from zoo.recording import Record, Track
from zoo.registry import register
from zoo.topology import Topology
from zoo.triplets import triplet_messages

BIBTEX = """
@inproceedings{ibarz2022generalist,
  title     = {A Generalist Neural Algorithmic Learner},
  author    = {Ibarz, Borja and Kurin, Vitaly and Papamakarios, George and Nikiforou, Kyriacos and Bennani, Mehdi and
               Csord{\\'a}s, R{\\'o}bert and Dudzik, Andrew Joseph and Bo{\\v{s}}njak, Matko and Vitvitskyi, Alex and
               Rubanova, Yulia and Deac, Andreea and Bevilacqua, Beatrice and Ganin, Yaroslav and Blundell, Charles and
               Veli{\\v{c}}kovi{\\'c}, Petar},
  booktitle = {Learning on Graphs Conference},
  year      = {2022}
}
"""


@dataclass(frozen=True, kw_only=True)
class TripletGMPNNConfig(ProcessorConfig):
    """Options of `triplet_gmpnn`."""

    adjacency: str = option("full", "edges that carry messages to nodes: full (complete graph) or given")
    aggregation: str = option("max", "reduction of a receiver's messages: max, min, sum or mean")
    message_layers: int = option(2, "Linear layers of a message after the sum of its terms")
    triplet_width: int = option(TRIPLET_WIDTH, "channels of a triplet")
    use_ln: bool = option(True, "layer normalisation of the new hidden")
    gated: bool = option(True, "gate between old and new hidden")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("adjacency", self.adjacency, ("full", "given"))
        check_choice("aggregation", self.aggregation, ("max", "min", "sum", "mean"))
        for name, least in (("message_layers", 0), ("triplet_width", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")


class TripletMessages(nn.Module):
    """Messages to edges, the maximum over triplets that end in them."""

    def __init__(self, node_size: int, input_size: int, hidden_size: int, width: int) -> None:
        """Make the linear maps; `width` is that of a triplet."""
        super().__init__()
        self.from_nodes = linear(node_size, 3 * width)
        self.from_edges = linear(input_size, 3 * width)
        self.from_graph = linear(input_size, width)
        self.out = linear(width, hidden_size)

    def forward(
        self,
        nodes: Float[Tensor, "batch n width"],
        edges: Edges | None,
        graph: Float[Tensor, "batch input"] | None,
        topology: Topology,
    ) -> Float[Tensor, "batch n n hidden"]:
        """The message to every pair of sender and receiver."""
        first, sender, receiver = self.from_nodes(nodes).mT.chunk(3, 1)
        if graph is not None:
            receiver = receiver + self.from_graph(graph).unsqueeze(2)
        terms = None
        if edges is not None:
            features, weight, bias = fold(self.from_edges, edges)
            receiver = receiver + bias.view(3, -1, 1).sum(0)  # the three are added up at last
            terms = features, weight
        if not topology.uniform:  # a node i that is padding has no part in any maximum
            first = first.masked_fill(~topology.node_mask().unsqueeze(1), -torch.inf)
        return triplet_messages(first, sender, receiver, terms, self.out.weight, self.out.bias).relu()


@register("triplet_gmpnn", config=TripletGMPNNConfig, paper="Ibarz et al., 2022", year=2022, bibtex=BIBTEX)
class TripletGMPNN(Processor):
    """Gated message passing to nodes, and messages of triplets to edges."""

    Config: ClassVar[type[ProcessorConfig]] = TripletGMPNNConfig
    config: TripletGMPNNConfig
    layouts = frozenset({"dense"})
    writes: ClassVar[frozenset[str]] = frozenset({"nodes", "edges"})
    tracks: Mapping[str, Track] = {"senders": SENDERS}

    def __init__(self, config: TripletGMPNNConfig) -> None:
        """Make the layers."""
        super().__init__(config)
        self.adjacency = config.adjacency
        node_size = self.input_size + self.hidden_size
        self.messages = Messages(
            node_size,
            self.input_size,
            self.hidden_size,
            layers=config.message_layers,
            reduce=config.aggregation,  # type: ignore[arg-type]
        )
        self.triplets = TripletMessages(node_size, self.input_size, self.hidden_size, config.triplet_width)
        self.update = Update(node_size, self.hidden_size, use_ln=config.use_ln, gated=config.gated)

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """One round of messages to nodes and to edges; see `Processor.forward`."""
        read = message_inputs(inputs, hidden, topology, self.adjacency)
        new = self.update(read[0], self.messages(*read), hidden.nodes)
        return Step(Latents(new, self.triplets(*read)), state)

    def record(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> tuple[Step, Record]:
        """A step, and who was heard in it."""
        shares = self.messages.shares(*message_inputs(inputs, hidden, topology, self.adjacency))
        return self(inputs, hidden, topology, state), {"senders": shares}

    def heard(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Tensor:
        """Who was heard by each channel of a node's messages."""
        return self.messages.channel_shares(*message_inputs(inputs, hidden, topology, self.adjacency))
