"""Graphs padded to one size, their edges a square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from tasks.spec import Location
from zoo.chunks import by_hand
from zoo.message_max import message_max
from zoo.pair_scores import pair_scores
from zoo.topology.base import EXTREME, Over, Reduce, Topology, trailing


class DenseTopology(Topology):
    """Graphs padded to one size, with edges as a square of senders and receivers."""

    def __init__(
        self,
        batch_size: int,
        num_nodes: int,
        *,
        sizes: Int[Tensor, " batch"] | None = None,
        adjacency: Bool[Tensor, "batch senders receivers"] | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        """Describe a batch.

        Args:
            batch_size: number of graphs.
            num_nodes: nodes a graph, padding included.
            sizes: nodes of each graph, on the CPU; None where all have `num_nodes`.
            adjacency: edges that exist; None for the complete graph, which is then never materialised.
            device: where the masks live; that of `adjacency` if not given.
        """
        self.batch_size = batch_size
        self.max_nodes = num_nodes
        self.device = device if device is not None else (adjacency.device if adjacency is not None else None)
        self.uniform = sizes is None or bool((sizes == num_nodes).all())
        mask = None
        if not self.uniform:
            assert sizes is not None
            mask = (torch.arange(num_nodes) < sizes[:, None]).to(self.device, non_blocking=True)
        self._node_mask = mask
        self._adjacency = adjacency
        self._edge_mask = _edges_between(mask, adjacency)

    @property
    def layout(self) -> str:
        return "dense"

    def _like(self, adjacency: Tensor | None) -> DenseTopology:
        """The same nodes with other edges."""
        return self._made(self.batch_size, self._node_mask, adjacency)

    def select(self, graphs: Int[Tensor, " graphs"]) -> DenseTopology:
        """Some of the graphs, by number."""
        mask, adjacency = (None if x is None else x[graphs] for x in (self._node_mask, self._adjacency))
        return self._made(len(graphs), mask, adjacency)

    def _made(self, batch_size: int, mask: Tensor | None, adjacency: Tensor | None) -> DenseTopology:
        """Graphs of the same padded size."""
        other = object.__new__(DenseTopology)
        other.batch_size, other.max_nodes, other.device = batch_size, self.max_nodes, self.device
        other.uniform, other._node_mask = self.uniform, mask
        other._adjacency = adjacency
        other._edge_mask = _edges_between(mask, adjacency)
        return other

    def senders(self, nodes: Shaped[Tensor, "*nodes"]) -> Shaped[Tensor, "*edges"]:
        return nodes.unsqueeze(2)

    def receivers(self, nodes: Shaped[Tensor, "*nodes"]) -> Shaped[Tensor, "*edges"]:
        return nodes.unsqueeze(1)

    def per_entry(self, values: Shaped[Tensor, "batch *rest"], location: Location) -> Shaped[Tensor, "*entries"]:
        axes = {Location.GRAPH: 0, Location.NODE: 1, Location.EDGE: 2}[location]
        return values.reshape(values.shape[0], *(1,) * axes, *values.shape[1:])

    def reverse(self, edges: Shaped[Tensor, "*edges"]) -> Shaped[Tensor, "*edges"]:
        return edges.transpose(1, 2)

    def aggregate(
        self, edges: Float[Tensor, "*edges hidden"], reduce: Reduce, over: Literal["receiver", "sender"] = "receiver"
    ) -> Float[Tensor, "*nodes hidden"]:
        square = edges.expand(self.batch_size, self.max_nodes, self.max_nodes, *edges.shape[3:])
        return _masked_reduce(square, self._edge_mask, reduce, 1 if over == "receiver" else 2)

    def reduce_messages(
        self,
        senders: Float[Tensor, "*nodes hidden"],
        receivers: Float[Tensor, "*nodes hidden"],
        edges: tuple[Float[Tensor, "*edges channels"], Float[Tensor, "hidden channels"]] | None,
        layers: Sequence[Tensor],
        reduce: Reduce,
    ) -> Float[Tensor, "*nodes hidden"]:
        if reduce == "max" and by_hand(senders):
            return message_max(senders, receivers, edges, layers, self._edge_mask)
        if reduce == "min" and by_hand(senders):
            return -message_max(*_negated(senders, receivers, edges, layers), self._edge_mask)
        return super().reduce_messages(senders, receivers, edges, layers, reduce)

    def score_pairs(
        self,
        senders: Float[Tensor, "*nodes hidden"],
        receivers: Float[Tensor, "*nodes hidden"],
        edges: tuple[Float[Tensor, "*edges channels"], Float[Tensor, "hidden channels"]] | None,
        out: Float[Tensor, " hidden"],
    ) -> Float[Tensor, "*edges"]:
        if by_hand(senders):
            return pair_scores(senders, receivers, edges, out)
        return super().score_pairs(senders, receivers, edges, out)

    def weighted_sum(
        self, weights: Float[Tensor, "*edges heads"], nodes: Float[Tensor, "*nodes heads width"]
    ) -> Float[Tensor, "*nodes heads width"]:
        return torch.einsum("bsrh,bshw->brhw", weights, nodes)

    def dot(
        self, senders: Float[Tensor, "*nodes hidden"], receivers: Float[Tensor, "*nodes hidden"]
    ) -> Float[Tensor, "*edges"]:
        return senders @ receivers.transpose(1, 2)

    def pool(self, nodes: Float[Tensor, "*nodes hidden"], reduce: Reduce) -> Float[Tensor, "batch hidden"]:
        return _masked_reduce(nodes, self._node_mask, reduce, 1)

    def log_softmax(self, logits: Float[Tensor, "*entries"], over: Over) -> Float[Tensor, "*entries"]:
        dims = {"receiver": (1,), "sender": (2,), "graph": (1, 2), "nodes": (1,)}[over]
        return _masked_log_softmax(logits, self._node_mask if over == "nodes" else self._edge_mask, dims)

    def argmax(self, logits: Float[Tensor, "*entries"], over: Over) -> Int[Tensor, "*groups"]:
        mask = self._node_mask if over == "nodes" else self._edge_mask
        inside = logits if mask is None else torch.where(trailing(mask, logits), logits, -torch.inf)
        if over == "graph":
            flat = inside.transpose(1, 2).flatten(1, 2).argmax(1)
            return torch.stack([flat // self.max_nodes, flat % self.max_nodes], -1)
        return inside.argmax(2 if over == "sender" else 1)

    def one_hot(self, pointer: Int[Tensor, "*nodes"]) -> Float[Tensor, "*edges"]:
        columns = torch.arange(self.max_nodes, device=pointer.device)
        hot = pointer[..., None] == columns
        if self._node_mask is not None:
            hot = hot & self._node_mask[..., None]
        return hot.to(torch.get_default_dtype())

    def at_pointer(self, edges: Shaped[Tensor, "*edges"], pointer: Int[Tensor, "*nodes"]) -> Shaped[Tensor, "..."]:
        index = trailing(pointer.long().unsqueeze(1), edges).expand(-1, 1, -1, *edges.shape[3:])
        return edges.gather(1, index).squeeze(1)

    def gather(self, nodes: Shaped[Tensor, "*nodes"], index: Int[Tensor, " batch"]) -> Shaped[Tensor, "batch *rest"]:
        return nodes.take_along_dim(trailing(index.long()[:, None], nodes), 1).squeeze(1)

    def at_index(self, index: Int[Tensor, " batch"]) -> Bool[Tensor, "*nodes"]:
        return index[:, None] == torch.arange(self.max_nodes, device=index.device)

    def local_index(self) -> Int[Tensor, "*nodes"]:
        return torch.arange(self.max_nodes, device=self.device).expand(self.batch_size, -1)

    def node_mask(self) -> Bool[Tensor, "*nodes"]:
        if self._node_mask is not None:
            return self._node_mask
        return torch.ones(self.batch_size, self.max_nodes, dtype=torch.bool, device=self.device)

    def neighbours(self) -> Bool[Tensor, "*edges"]:
        if self._edge_mask is not None:
            return self._edge_mask
        return torch.ones(self.batch_size, self.max_nodes, self.max_nodes, dtype=torch.bool, device=self.device)

    def complete(self) -> DenseTopology:
        return self if self._adjacency is None else self._like(None)

    def with_edges(self, pointer: Int[Tensor, "*nodes"], *, both_ways: bool = True) -> DenseTopology:
        if self._adjacency is None:
            return self
        hot = pointer[..., None] == torch.arange(self.max_nodes, device=pointer.device)
        adjacency = self._adjacency | hot
        return self._like(adjacency | hot.transpose(1, 2) if both_ways else adjacency)

    def with_mask(self, mask: Bool[Tensor, "*edges"]) -> DenseTopology:
        if self._adjacency is None:
            return self
        return self._like(self._adjacency | mask | mask.transpose(1, 2))

    def only(self, mask: Bool[Tensor, "*edges"]) -> DenseTopology:
        return self._like(mask if self._adjacency is None else mask & self._adjacency)

    def among(self, nodes: Bool[Tensor, "*nodes"]) -> DenseTopology:
        both = nodes[:, :, None] & nodes[:, None, :]
        return self._like(both if self._adjacency is None else both & self._adjacency)

    def without_loops(self) -> DenseTopology:
        apart = ~torch.eye(self.max_nodes, dtype=torch.bool, device=self.device)
        if self.max_nodes == 1:
            apart = ~apart
        elif not self.uniform:
            apart = apart | (self.node_mask().sum(1) == 1)[:, None, None]
        adjacency = apart.expand(self.batch_size, -1, -1)
        return self._like(adjacency if self._adjacency is None else adjacency & self._adjacency)

    def extend(self, edges: Shaped[Tensor, "*given"]) -> Shaped[Tensor, "*edges"]:
        return edges

    def as_sequence(
        self, nodes: Shaped[Tensor, "*nodes"]
    ) -> tuple[Shaped[Tensor, "batch length *rest"], Bool[Tensor, "batch length"] | None]:
        return nodes, self._node_mask

    def from_sequence(self, sequence: Shaped[Tensor, "batch length *rest"]) -> Shaped[Tensor, "*nodes"]:
        return sequence


def _edges_between(nodes: Tensor | None, adjacency: Tensor | None) -> Tensor | None:
    """Edges that exist: both ends are nodes, and the adjacency has them. None for all."""
    if nodes is None:
        return adjacency
    both = nodes[:, :, None] & nodes[:, None, :]
    return both if adjacency is None else both & adjacency


def _negated(
    senders: Tensor, receivers: Tensor, edges: tuple[Tensor, Tensor] | None, layers: Sequence[Tensor]
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor] | None, Sequence[Tensor]]:
    """What makes the same messages with the opposite sign."""
    if layers:
        return senders, receivers, edges, [*layers[:-2], -layers[-2], -layers[-1]]
    return -senders, -receivers, None if edges is None else (edges[0], -edges[1]), layers


def _masked_log_softmax(logits: Tensor, mask: Tensor | None, dims: tuple[int, ...]) -> Tensor:
    """Log-softmax over `dims` of the entries under `mask`; -inf elsewhere."""
    if mask is None and len(dims) == 1:
        return logits.log_softmax(dims[0])
    mask = torch.ones_like(logits, dtype=torch.bool) if mask is None else trailing(mask, logits)
    inside = torch.where(mask, logits, -torch.inf)
    top = inside.detach().amax(dims, keepdim=True)
    top = torch.where(top.isfinite(), top, 0.0)
    shifted = torch.where(mask, logits - top, 0.0)
    total = torch.where(mask, shifted.exp(), 0.0).sum(dims, keepdim=True)
    # An empty group has total 0; any finite logarithm will do, for nothing of it is read.
    total = torch.where(total > 0, total, 1.0)
    return torch.where(mask, shifted - total.log(), -torch.inf)


def _masked_reduce(values: Tensor, mask: Tensor | None, reduce: Reduce, dim: int) -> Tensor:
    """Reduction over one axis of the entries under `mask`; 0 where there are none."""
    if reduce in ("sum", "mean"):
        if mask is None:
            return values.sum(dim) if reduce == "sum" else values.mean(dim)
        mask = trailing(mask, values)
        total = torch.where(mask, values, 0.0).sum(dim)
        return total if reduce == "sum" else total / mask.sum(dim).clamp_min(1)
    best = torch.Tensor.amax if reduce == "max" else torch.Tensor.amin
    if mask is None:
        return best(values, dim)
    mask = trailing(mask, values)
    result = best(torch.where(mask, values, EXTREME[reduce]), dim)
    return torch.where(mask.any(dim), result, 0.0)
