"""Deep Sets (Zaheer et al., NeurIPS 2017): nodes as a set, without messages along edges.

One step is a permutation-equivariant layer (paper, eq. 4 and section 3.1), in the form of the CLRS benchmark's
processors: `z = [x, h]`; `m_i = MLP(ReLU(W z_i + W_e e_ii + W_g g + W_p pool_j z_j))`;
`h' = LayerNorm(ReLU(O₁ z + O₂ m))`.

The paper's layer pools over the set, and so does the default. The processor that the CLRS benchmark and the pointer
graph network paper call Deep Sets is message passing over self-loops only; that is `pool="none"`, where a node hears
of the others through the graph's features alone. Its two weights of z_i, of sender and receiver, are one here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from tasks.registry import option
from zoo.edges import edge_linear, map_edges
from zoo.encoders import linear
from zoo.graph.messages import Update
from zoo.processor import Inputs, Latents, Processor, ProcessorConfig, State, Step, check_choice
from zoo.recording import Kind, Record, Track
from zoo.registry import register
from zoo.topology import Topology

BIBTEX = """
@inproceedings{zaheer2017deep,
  title     = {Deep Sets},
  author    = {Zaheer, Manzil and Kottur, Satwik and Ravanbakhsh, Siamak and P{\\'o}czos, Barnab{\\'a}s and
               Salakhutdinov, Ruslan and Smola, Alexander J.},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2017}
}
"""


@dataclass(frozen=True, kw_only=True)
class DeepSetsConfig(ProcessorConfig):
    """Options of `deep_sets`."""

    pool: str = option("max", "reduction of the set that every node sees: max, mean, sum, or none as in CLRS")
    message_layers: int = option(2, "Linear layers after the sum of terms")
    use_ln: bool = option(True, "layer normalisation of the new hidden")
    gated: bool = option(False, "gate between old and new hidden (Ibarz et al., 2022)")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("pool", self.pool, ("none", "max", "mean", "sum"))
        if self.message_layers < 0:
            raise ValueError(f"message_layers must be at least 0, not {self.message_layers}")


@register("deep_sets", config=DeepSetsConfig, paper="Zaheer et al., 2017", year=2017, bibtex=BIBTEX)
class DeepSets(Processor):
    """Deep Sets: every node by itself, beside a pool of all."""

    Config: ClassVar[type[ProcessorConfig]] = DeepSetsConfig
    config: DeepSetsConfig
    adjacency = "none"
    tracks: Mapping[str, Track] = {
        "pooled": Track(Kind.SHARES, ("nodes",), "share of the channels of its graph's pool that each node supplied")
    }

    def __init__(self, config: DeepSetsConfig) -> None:
        """Make the layers."""
        super().__init__(config)
        node_size = self.input_size + self.hidden_size
        self.from_node = linear(node_size, self.hidden_size)
        self.from_edge = linear(self.input_size, self.hidden_size)
        self.from_graph = linear(self.input_size, self.hidden_size)
        self.from_pool = linear(node_size, self.hidden_size) if config.pool != "none" else None
        if config.pool == "none":
            self.tracks = {}
        self.layers = nn.ModuleList(linear(self.hidden_size, self.hidden_size) for _ in range(config.message_layers))
        self.update = Update(node_size, self.hidden_size, use_ln=config.use_ln, gated=config.gated)

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """One equivariant layer; see `Processor.forward`. Edge and graph weights are used where there are such."""
        encoded = inputs.encoded
        nodes = torch.cat([encoded.nodes, hidden.nodes], -1)
        messages = self.from_node(nodes)
        if encoded.edges is not None:
            own = topology.local_index()
            loops = map_edges(lambda edges: topology.at_pointer(edges, own), encoded.edges)
            messages = messages + edge_linear(self.from_edge, loops)
        if encoded.graph is not None:
            messages = messages + topology.to_nodes(self.from_graph(encoded.graph))
        if self.from_pool is not None:
            pooled = topology.pool(nodes, self.config.pool)  # type: ignore[arg-type]
            messages = messages + topology.to_nodes(self.from_pool(pooled))
        for layer in self.layers:
            messages = layer(messages.relu())
        return Step(Latents(self.update(nodes, messages, hidden.nodes)), state)

    def record(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> tuple[Step, Record]:
        """A step, and who made up the pool."""
        step = self(inputs, hidden, topology, state)
        if self.from_pool is None:
            return step, {}
        nodes = torch.cat([inputs.encoded.nodes, hidden.nodes], -1)
        return step, {"pooled": topology.pool_shares(nodes, self.config.pool)}  # type: ignore[arg-type]
