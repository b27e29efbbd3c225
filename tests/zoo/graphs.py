"""The same random graphs in both layouts, and values that move between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.processor import Inputs, Latents
from zoo.topology import DenseTopology, SparseTopology, Topology


@dataclass(frozen=True)
class Graphs:
    """One batch of graphs, dense and sparse."""

    sizes: Tensor
    dense: DenseTopology
    sparse: SparseTopology

    def nodes(self, dense: Tensor) -> Tensor:
        """Dense node values in the sparse layout."""
        return dense[self.dense.node_mask()]

    def edges(self, dense: Tensor) -> Tensor:
        """Dense edge values in the sparse layout, which goes by (receiver, sender)."""
        return dense.transpose(1, 2)[self.dense.neighbours().transpose(1, 2)]

    def inputs(self, dense: Inputs) -> Inputs:
        """Dense encoded inputs in the sparse layout."""
        nodes, edges, graph = dense.encoded
        return Inputs(Latents(self.nodes(nodes), None if edges is None else self.edges(edges), graph))


def random_adjacency(sizes: Sequence[int], density: float) -> Tensor:
    """Symmetric adjacency with self-loops, false at padding."""
    nodes = max(sizes)
    half = (torch.rand(len(sizes), nodes, nodes) < density).triu(1)
    valid = torch.arange(nodes) < torch.tensor(sizes)[:, None]
    both = half | half.transpose(1, 2) | torch.eye(nodes, dtype=torch.bool)
    return both & valid[:, :, None] & valid[:, None, :]


def random_graphs(sizes: Sequence[int], density: float = 0.4) -> Graphs:
    """Graphs of these sizes with random edges."""
    adjacency = random_adjacency(sizes, density)
    count = torch.tensor(sizes)
    dense = DenseTopology(len(sizes), max(sizes), sizes=count, adjacency=adjacency)
    starts = count.cumsum(0) - count
    graph, receiver, sender = adjacency.transpose(1, 2).nonzero().unbind(1)
    edge_index = torch.stack([sender + starts[graph], receiver + starts[graph]])
    return Graphs(count, dense, SparseTopology(edge_index, count))


def random_inputs(topology: Topology, width: int, *, edges: bool = True, graph: bool = True) -> Inputs:
    """Random encoded inputs of a dense topology; edge features are 0 off its edges, as `extend` puts them."""
    batch, nodes = topology.node_mask().shape
    features = torch.randn(batch, nodes, nodes, width) * topology.neighbours()[..., None]
    return Inputs(
        Latents(
            torch.randn(batch, nodes, width),
            features if edges else None,
            torch.randn(batch, width) if graph else None,
        )
    )


def one_graph(graphs: Graphs, inputs: Inputs, index: int, *, padded: bool) -> tuple[DenseTopology, Inputs]:
    """One graph of a dense batch by itself, cut to its size unless `padded`."""
    size = int(graphs.sizes[index])
    nodes = graphs.dense.max_nodes if padded else size
    adjacency = graphs.dense.neighbours()[index : index + 1, :nodes, :nodes]
    topology = DenseTopology(1, nodes, sizes=graphs.sizes[index : index + 1], adjacency=adjacency)
    x, edges, graph = inputs.encoded
    part = slice(index, index + 1)
    alone = Latents(
        x[part, :nodes],
        None if edges is None else edges[part, :nodes, :nodes],  # type: ignore[index]
        None if graph is None else graph[part],
    )
    return topology, Inputs(alone)
