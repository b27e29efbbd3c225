"""Graphs of a batch, dense or sparse: the one place that knows how nodes and edges are laid out.

Axis letters: B batch, N nodes (padded), S senders, R receivers, ΣN and ΣE all nodes and edges of a batch.

Dense: nodes `[B, N, …]`, edges `[B, S, R, …]`. Sparse: nodes `[ΣN, …]`, edges `[ΣE, …]`, one disjoint union
sorted by (receiver, sender), closed under reversal, with every self-loop. Node indices that leave a topology
(pointers, argmax) are local to their graph in both. An empty neighbourhood aggregates to 0, ties of an argmax
go to the lowest (receiver, sender).
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from tasks.spec import Location
from zoo.chunks import by_hand
from zoo.message_max import message_max
from zoo.pair_scores import pair_scores

if TYPE_CHECKING:
    import networkx as nx

Reduce = Literal["max", "min", "sum", "mean"]
Over = Literal["receiver", "sender", "graph", "nodes"]

_EXTREME = {"max": float("-inf"), "min": float("inf")}


class Topology(abc.ABC):
    """Which nodes belong to which graph, and which edges join them.

    Attributes:
        batch_size: number of graphs.
        max_nodes: nodes of the largest graph.
        uniform: whether all graphs have as many nodes, so that nothing is padded.
    """

    batch_size: int
    max_nodes: int
    uniform: bool

    @property
    @abc.abstractmethod
    def layout(self) -> str:
        """`"dense"` or `"sparse"`, for messages and the check of capabilities."""

    @abc.abstractmethod
    def senders(self, nodes: Shaped[Tensor, "*nodes"]) -> Shaped[Tensor, "*edges"]:
        """Every edge's value at its sender; a broadcast view in the dense layout."""

    @abc.abstractmethod
    def receivers(self, nodes: Shaped[Tensor, "*nodes"]) -> Shaped[Tensor, "*edges"]:
        """Every edge's value at its receiver; a broadcast view in the dense layout."""

    @abc.abstractmethod
    def per_entry(self, values: Shaped[Tensor, "batch *rest"], location: Location) -> Shaped[Tensor, "*entries"]:
        """One value a graph, at each of its nodes or edges (or as it is), ready to broadcast."""

    def to_nodes(self, graph: Shaped[Tensor, "batch *rest"]) -> Shaped[Tensor, "*nodes"]:
        """One value a graph, at its nodes."""
        return self.per_entry(graph, Location.NODE)

    def to_edges(self, graph: Shaped[Tensor, "batch *rest"]) -> Shaped[Tensor, "*edges"]:
        """One value a graph, at its edges."""
        return self.per_entry(graph, Location.EDGE)

    @abc.abstractmethod
    def reverse(self, edges: Shaped[Tensor, "*edges"]) -> Shaped[Tensor, "*edges"]:
        """Every edge's value taken from the edge that runs the other way."""

    @abc.abstractmethod
    def aggregate(
        self, edges: Float[Tensor, "*edges hidden"], reduce: Reduce, over: Literal["receiver", "sender"] = "receiver"
    ) -> Float[Tensor, "*nodes hidden"]:
        """Reduce each receiver's (or sender's) edges to one value; 0 where there are none."""

    def reduce_messages(
        self,
        senders: Float[Tensor, "*nodes hidden"],
        receivers: Float[Tensor, "*nodes hidden"],
        edges: tuple[Float[Tensor, "*edges channels"], Float[Tensor, "hidden channels"]] | None,
        layers: Sequence[Tensor],
        reduce: Reduce,
    ) -> Float[Tensor, "*nodes hidden"]:
        """Messages along all edges, reduced at their receivers; 0 where there are none.

        Args:
            senders: a term of every message that a node sends.
            receivers: a term of every message that a node receives.
            edges: channels of every edge and a linear map of them, the third term; or None.
            layers: weight and bias in turn of square layers, each applied to the ReLU of what is before it.
            reduce: how messages are reduced.
        """
        messages = self.senders(senders) + self.receivers(receivers)
        if edges is not None:
            messages = messages + F.linear(*edges)
        for weight, bias in zip(layers[::2], layers[1::2], strict=True):
            messages = F.linear(messages.relu(), weight, bias)
        return self.aggregate(messages, reduce)

    def score_pairs(
        self,
        senders: Float[Tensor, "*nodes hidden"],
        receivers: Float[Tensor, "*nodes hidden"],
        edges: tuple[Float[Tensor, "*edges channels"], Float[Tensor, "hidden channels"]] | None,
        out: Float[Tensor, " hidden"],
    ) -> Float[Tensor, "*edges"]:
        """A score of every edge: `out · max(receiver, sender + edge)`, the edge's term as in `reduce_messages`."""
        sent = self.senders(senders)
        if edges is not None:
            sent = sent + F.linear(*edges)
        return torch.maximum(sent, self.receivers(receivers)) @ out

    @abc.abstractmethod
    def dot(
        self, senders: Float[Tensor, "*nodes hidden"], receivers: Float[Tensor, "*nodes hidden"]
    ) -> Float[Tensor, "*edges"]:
        """Every edge's inner product of a vector of its sender and one of its receiver."""

    @abc.abstractmethod
    def pool(self, nodes: Float[Tensor, "*nodes hidden"], reduce: Reduce) -> Float[Tensor, "batch hidden"]:
        """Reduce each graph's nodes to one value."""

    @abc.abstractmethod
    def log_softmax(self, logits: Float[Tensor, "*entries"], over: Over) -> Float[Tensor, "*entries"]:
        """Logarithm of a softmax over each receiver's edges, each sender's, all of a graph's, or a graph's nodes.

        Entries outside the topology (missing edges, padding) come back as -inf.
        """

    def softmax(self, logits: Float[Tensor, "*entries"], over: Over) -> Float[Tensor, "*entries"]:
        """Softmax over the same groups as `log_softmax`; 0 outside the topology."""
        return self.log_softmax(logits, over).exp()

    @abc.abstractmethod
    def argmax(self, logits: Float[Tensor, "*entries"], over: Over) -> Int[Tensor, "*groups"]:
        """The winner of each group as a local node index.

        Returns:
            Over `"receiver"`, the sender for each node; over `"sender"`, the receiver for each node; over
            `"nodes"`, a node for each graph; over `"graph"`, `[batch, 2]`: receiver and sender. 0 for an empty group.
        """

    @abc.abstractmethod
    def one_hot(self, pointer: Int[Tensor, "*nodes"]) -> Float[Tensor, "*edges"]:
        """1 on the edge from each node to the node that it points to, 0 on the others."""

    @abc.abstractmethod
    def at_pointer(self, edges: Shaped[Tensor, "*edges"], pointer: Int[Tensor, "*nodes"]) -> Shaped[Tensor, "..."]:
        """Each node's value on the edge that comes from the node that it points to."""

    @abc.abstractmethod
    def gather(self, nodes: Shaped[Tensor, "*nodes"], index: Int[Tensor, " batch"]) -> Shaped[Tensor, "batch *rest"]:
        """One node's value for each graph."""

    @abc.abstractmethod
    def at_index(self, index: Int[Tensor, " batch"]) -> Bool[Tensor, "*nodes"]:
        """True at one node of each graph."""

    @abc.abstractmethod
    def local_index(self) -> Int[Tensor, "*nodes"]:
        """Every node's own index within its graph."""

    @abc.abstractmethod
    def node_mask(self) -> Bool[Tensor, "*nodes"]:
        """True at nodes that exist."""

    @abc.abstractmethod
    def neighbours(self) -> Bool[Tensor, "*edges"]:
        """True at edges that exist, materialised."""

    @abc.abstractmethod
    def complete(self) -> Topology:
        """The same nodes with every edge between them; `ValueError` in the sparse layout."""

    @abc.abstractmethod
    def with_edges(self, pointer: Int[Tensor, "*nodes"], *, both_ways: bool = True) -> Topology:
        """The same graphs with an edge from each node to the node that it points to, and one back if `both_ways`."""

    @abc.abstractmethod
    def with_mask(self, mask: Bool[Tensor, "*edges"]) -> Topology:
        """The same graphs with the edges under `mask` too, both ways; the sparse layout has no others to add."""

    @abc.abstractmethod
    def without_loops(self) -> Topology:
        """The same graphs without self-loops; a node that is alone in its graph keeps its own."""

    @abc.abstractmethod
    def extend(self, edges: Shaped[Tensor, "*given"]) -> Shaped[Tensor, "*edges"]:
        """Edge values of the topology that this one was made from, on this one's edges; 0 on new ones."""

    @abc.abstractmethod
    def as_sequence(
        self, nodes: Shaped[Tensor, "*nodes"]
    ) -> tuple[Shaped[Tensor, "batch length *rest"], Bool[Tensor, "batch length"] | None]:
        """Each graph's nodes in order, padded at the end, with the mask of what is no padding (None if uniform)."""

    @abc.abstractmethod
    def from_sequence(self, sequence: Shaped[Tensor, "batch length *rest"]) -> Shaped[Tensor, "*nodes"]:
        """The inverse of `as_sequence`."""


def _trailing(mask: Tensor, like: Tensor) -> Tensor:
    """`mask` with axes of size one behind, to broadcast against `like`."""
    return mask.reshape(*mask.shape, *(1,) * (like.dim() - mask.dim()))


def _masked_log_softmax(logits: Tensor, mask: Tensor | None, dims: tuple[int, ...]) -> Tensor:
    """Log-softmax over `dims` of the entries under `mask`; -inf elsewhere."""
    if mask is None:
        return logits - logits.logsumexp(dims, keepdim=True)
    mask = _trailing(mask, logits)
    inside = torch.where(mask, logits, -torch.inf)
    top = inside.detach().amax(dims, keepdim=True)
    top = torch.where(top.isfinite(), top, 0.0)
    shifted = torch.where(mask, logits - top, 0.0)
    total = torch.where(mask, shifted.exp(), 0.0).sum(dims, keepdim=True)
    # An empty group has total 0; any finite logarithm will do, for nothing of it is read.
    total = torch.where(total > 0, total, 1.0)
    return torch.where(mask, shifted - total.log(), -torch.inf)


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
        other = object.__new__(DenseTopology)
        other.batch_size, other.max_nodes, other.device = self.batch_size, self.max_nodes, self.device
        other.uniform, other._node_mask = self.uniform, self._node_mask
        other._adjacency = adjacency
        other._edge_mask = _edges_between(self._node_mask, adjacency)
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
        inside = logits if mask is None else torch.where(_trailing(mask, logits), logits, -torch.inf)
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
        index = _trailing(pointer.long().unsqueeze(1), edges).expand(-1, 1, -1, *edges.shape[3:])
        return edges.gather(1, index).squeeze(1)

    def gather(self, nodes: Shaped[Tensor, "*nodes"], index: Int[Tensor, " batch"]) -> Shaped[Tensor, "batch *rest"]:
        return nodes.take_along_dim(_trailing(index.long()[:, None], nodes), 1).squeeze(1)

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


def _masked_reduce(values: Tensor, mask: Tensor | None, reduce: Reduce, dim: int) -> Tensor:
    """Reduction over one axis of the entries under `mask`; 0 where there are none."""
    if reduce in ("sum", "mean"):
        if mask is None:
            return values.sum(dim) if reduce == "sum" else values.mean(dim)
        mask = _trailing(mask, values)
        total = torch.where(mask, values, 0.0).sum(dim)
        return total if reduce == "sum" else total / mask.sum(dim).clamp_min(1)
    best = torch.Tensor.amax if reduce == "max" else torch.Tensor.amin
    if mask is None:
        return best(values, dim)
    mask = _trailing(mask, values)
    result = best(torch.where(mask, values, _EXTREME[reduce]), dim)
    return torch.where(mask.any(dim), result, 0.0)


class SparseTopology(Topology):
    """Graphs as one disjoint union of edge lists."""

    def __init__(
        self,
        edge_index: Int[Tensor, "2 edges"],
        sizes: Int[Tensor, " batch"],
        *,
        edge_mask: Bool[Tensor, " edges"] | None = None,
        origin: Int[Tensor, " edges"] | None = None,
        reversal: Int[Tensor, " edges"] | None = None,
    ) -> None:
        """Describe a batch whose edges are already sorted, reversible and looped; see `from_edge_index` otherwise.

        Args:
            edge_index: sender and receiver of each edge as positions in ΣN, sorted by (receiver, sender).
            sizes: nodes of each graph, on the CPU.
            edge_mask: false at edges that only fill a slot; None if all exist.
            origin: for each edge, its place among the edges that the topology was made from, -1 where it is new.
            reversal: for each edge, the place of the edge that runs the other way; found if not given.
        """
        device = edge_index.device
        self.edge_index = edge_index.long()
        self.sizes = sizes
        self.batch_size = sizes.shape[0]
        self.max_nodes = int(sizes.max()) if self.batch_size else 0
        self.num_nodes = int(sizes.sum())
        self.uniform = bool((sizes == self.max_nodes).all())
        starts = torch.cumsum(sizes, 0) - sizes
        graph_of = torch.repeat_interleave(torch.arange(self.batch_size), sizes, output_size=self.num_nodes)
        self._starts = starts.to(device, non_blocking=True)
        self.node_graph = graph_of.to(device, non_blocking=True)
        self._local = (torch.arange(self.num_nodes) - starts[graph_of]).to(device, non_blocking=True)
        self._edge_mask = edge_mask
        self._origin = origin
        self._key = self.edge_index[1] * self.num_nodes + self.edge_index[0]
        if reversal is None:
            reversal = torch.searchsorted(self._key, self.edge_index[0] * self.num_nodes + self.edge_index[1])
        self._reversal = reversal

    @classmethod
    def from_edge_index(
        cls, edge_index: Int[Tensor, "2 edges"], sizes: int | Sequence[int] | Int[Tensor, " batch"]
    ) -> SparseTopology:
        """Any edge list as a topology: sorted, closed under reversal, looped, free of duplicates.

        Args:
            edge_index: sender and receiver of each edge, as positions in all nodes of the batch.
            sizes: nodes of each graph; a number for a single graph.

        Returns:
            The topology. `extend(values)` puts values given in the order of `edge_index` on its edges, and 0 on
            those added; of duplicates the first one's counts.

        Raises:
            ValueError: an index outside the nodes, or an edge between two graphs.
        """
        sizes = torch.as_tensor([sizes] if isinstance(sizes, int) else sizes, dtype=torch.long, device="cpu")
        edge_index = edge_index.long()
        total = int(sizes.sum())
        if edge_index.numel() and not 0 <= int(edge_index.min()) <= int(edge_index.max()) < total:
            raise ValueError(
                f"edge_index must lie in 0..{total - 1}, the nodes of the batch; it spans "
                f"{int(edge_index.min())}..{int(edge_index.max())}"
            )
        graph_of = torch.repeat_interleave(torch.arange(sizes.shape[0]), sizes).to(edge_index.device)
        if bool((graph_of[edge_index[0]] != graph_of[edge_index[1]]).any()):
            raise ValueError("edge_index joins nodes of two graphs; check it against sizes")
        loops = torch.arange(total, device=edge_index.device).expand(2, -1)
        every = torch.cat([edge_index, edge_index.flip(0), loops], 1)
        place = torch.arange(every.shape[1], device=edge_index.device)
        given = edge_index.shape[1]
        key = every[1] * total + every[0]
        unique, inverse = torch.unique(key, return_inverse=True)
        first = torch.full_like(unique, every.shape[1]).scatter_reduce(0, inverse, place, "amin")
        origin = torch.where(first < given, first, -1)
        return cls(torch.stack([unique % total, unique // total]), sizes, origin=origin)

    @classmethod
    def from_networkx(cls, graphs: nx.Graph | Sequence[nx.Graph]) -> SparseTopology:
        """One networkx graph, or several as a batch; nodes in each graph's own order.

        `extend(values)` takes one value for each edge of `graph.edges`, in that order, and for an undirected graph
        puts it on the direction that networkx lists.
        """
        listed: list[Any] = list(graphs) if isinstance(graphs, list | tuple) else [graphs]
        columns: list[tuple[int, int]] = []
        sizes: list[int] = []
        for graph in listed:
            number = {node: sum(sizes) + k for k, node in enumerate(graph.nodes)}
            columns.extend((number[edge[0]], number[edge[1]]) for edge in graph.edges)
            sizes.append(len(number))
        return cls.from_edge_index(torch.tensor(columns, dtype=torch.long).reshape(-1, 2).T, sizes)

    @property
    def layout(self) -> str:
        return "sparse"

    @property
    def num_edges(self) -> int:
        """Edges of all graphs, slots included."""
        return self.edge_index.shape[1]

    def senders(self, nodes: Shaped[Tensor, "*nodes"]) -> Shaped[Tensor, "*edges"]:
        return nodes.index_select(0, self.edge_index[0])

    def receivers(self, nodes: Shaped[Tensor, "*nodes"]) -> Shaped[Tensor, "*edges"]:
        return nodes.index_select(0, self.edge_index[1])

    def per_entry(self, values: Shaped[Tensor, "batch *rest"], location: Location) -> Shaped[Tensor, "*entries"]:
        if location is Location.GRAPH:
            return values
        nodes = values.index_select(0, self.node_graph)
        return nodes if location is Location.NODE else self.receivers(nodes)

    def reverse(self, edges: Shaped[Tensor, "*edges"]) -> Shaped[Tensor, "*edges"]:
        return edges.index_select(0, self._reversal)

    def _group(self, over: Over) -> tuple[Tensor, int]:
        """The group of every entry, and the number of groups."""
        if over == "receiver":
            return self.edge_index[1], self.num_nodes
        if over == "sender":
            return self.edge_index[0], self.num_nodes
        if over == "graph":
            return self.node_graph[self.edge_index[1]], self.batch_size
        return self.node_graph, self.batch_size

    def _inside(self, values: Tensor, over: Over, outside: float) -> Tensor:
        """`values` with `outside` put where no edge exists."""
        if over == "nodes" or self._edge_mask is None:
            return values
        return torch.where(_trailing(self._edge_mask, values), values, outside)

    def aggregate(
        self, edges: Float[Tensor, "*edges hidden"], reduce: Reduce, over: Literal["receiver", "sender"] = "receiver"
    ) -> Float[Tensor, "*nodes hidden"]:
        group, count = self._group(over)
        if reduce == "mean":
            ones = self._inside(edges.new_ones(self.num_edges), over, 0.0)
            size = _scatter(ones, group, count, "sum").clamp_min(1)
            return _scatter(self._inside(edges, over, 0.0), group, count, "sum") / _trailing(size, edges)
        return _scatter(self._inside(edges, over, _EXTREME.get(reduce, 0.0)), group, count, reduce)

    def dot(
        self, senders: Float[Tensor, "*nodes hidden"], receivers: Float[Tensor, "*nodes hidden"]
    ) -> Float[Tensor, "*edges"]:
        return (self.senders(senders) * self.receivers(receivers)).sum(-1)

    def pool(self, nodes: Float[Tensor, "*nodes hidden"], reduce: Reduce) -> Float[Tensor, "batch hidden"]:
        if reduce == "mean":
            sizes = self.sizes.to(nodes.device, non_blocking=True).clamp_min(1)
            return _scatter(nodes, self.node_graph, self.batch_size, "sum") / _trailing(sizes, nodes)
        return _scatter(nodes, self.node_graph, self.batch_size, reduce)

    def log_softmax(self, logits: Float[Tensor, "*entries"], over: Over) -> Float[Tensor, "*entries"]:
        group, count = self._group(over)
        top = _scatter(self._inside(logits.detach(), over, -torch.inf), group, count, "max")
        shifted = self._inside(logits - top.index_select(0, group), over, 0.0)
        total = _scatter(self._inside(shifted.exp(), over, 0.0), group, count, "sum")
        total = torch.where(total > 0, total, 1.0)
        return self._inside(shifted - total.log().index_select(0, group), over, -torch.inf)

    def argmax(self, logits: Float[Tensor, "*entries"], over: Over) -> Int[Tensor, "*groups"]:
        group, count = self._group(over)
        inside = self._inside(logits, over, -torch.inf)
        index = _trailing(group, logits).expand_as(logits)
        top = logits.new_full((count, *logits.shape[1:]), -torch.inf).scatter_reduce(0, index, inside, "amax")
        last = logits.shape[0]
        position = _trailing(torch.arange(last, device=logits.device), logits)
        candidate = torch.where(inside == top.index_select(0, group), position, last)
        winner = candidate.new_full(top.shape, last).scatter_reduce(0, index, candidate, "amin")
        winner = torch.where(winner < last, winner, 0)
        if over == "nodes":
            return self._local[winner]
        sender, receiver = self._local[self.edge_index[0][winner]], self._local[self.edge_index[1][winner]]
        if over == "graph":
            return torch.stack([receiver, sender], -1)
        return sender if over == "receiver" else receiver

    def edge_id(
        self, senders: Int[Tensor, " some"], receivers: Int[Tensor, " some"]
    ) -> tuple[Int[Tensor, " some"], Bool[Tensor, " some"]]:
        """Place of each edge among ΣE, and whether it exists (elsewhere the place means nothing)."""
        wanted = receivers * self.num_nodes + senders
        place = torch.searchsorted(self._key, wanted).clamp_max(self.num_edges - 1)
        return place, self._key[place] == wanted

    def _global(self, pointer: Tensor) -> Tensor:
        """Local pointers as positions in ΣN."""
        return pointer.long() + self._starts[self.node_graph]

    def one_hot(self, pointer: Int[Tensor, "*nodes"]) -> Float[Tensor, "*edges"]:
        return (self.edge_index[1] == self.senders(self._global(pointer))).to(torch.get_default_dtype())

    def at_pointer(self, edges: Shaped[Tensor, "*edges"], pointer: Int[Tensor, "*nodes"]) -> Shaped[Tensor, "..."]:
        own = torch.arange(self.num_nodes, device=pointer.device)
        return edges.index_select(0, self.edge_id(self._global(pointer), own)[0])

    def gather(self, nodes: Shaped[Tensor, "*nodes"], index: Int[Tensor, " batch"]) -> Shaped[Tensor, "batch *rest"]:
        return nodes.index_select(0, self._starts + index)

    def at_index(self, index: Int[Tensor, " batch"]) -> Bool[Tensor, "*nodes"]:
        return self._local == index.index_select(0, self.node_graph)

    def local_index(self) -> Int[Tensor, "*nodes"]:
        return self._local

    def node_mask(self) -> Bool[Tensor, "*nodes"]:
        return torch.ones(self.num_nodes, dtype=torch.bool, device=self.edge_index.device)

    def neighbours(self) -> Bool[Tensor, "*edges"]:
        if self._edge_mask is not None:
            return self._edge_mask
        return torch.ones(self.num_edges, dtype=torch.bool, device=self.edge_index.device)

    def complete(self) -> SparseTopology:
        raise ValueError("a sparse topology holds its own edges only; a processor on the complete graph needs dense")

    def with_edges(self, pointer: Int[Tensor, "*nodes"], *, both_ways: bool = True) -> SparseTopology:
        # Two slots a node keep every shape fixed; slots whose edge was there already are masked.
        own = torch.arange(self.num_nodes, device=pointer.device)
        target = self._global(pointer)
        slots = torch.stack([torch.cat([own, target]), torch.cat([target, own])])
        old, new = self.num_edges, 2 * self.num_nodes
        index = torch.cat([self.edge_index, slots], 1)
        there = self.node_mask()
        exists = torch.cat([self.neighbours(), there, there if both_ways else ~there])
        key = index[1] * self.num_nodes + index[0]
        order = torch.sort(key * 2 + (~exists).long(), stable=True).indices
        place = torch.empty_like(order)
        place[order] = torch.arange(old + new, device=order.device)
        slot = torch.arange(new, device=order.device)
        reversal = torch.cat([self._reversal, old + (slot + self.num_nodes) % new])
        key = key[order]
        first = torch.cat([key.new_ones(1, dtype=torch.bool), key[1:] != key[:-1]])
        return SparseTopology(
            index[:, order],
            self.sizes,
            edge_mask=exists[order] & first,
            origin=torch.where(order < old, order, -1),
            reversal=place[reversal[order]],
        )

    def with_mask(self, mask: Bool[Tensor, "*edges"]) -> SparseTopology:
        return self if self._edge_mask is None else self._masked(self._edge_mask | mask | self.reverse(mask))

    def without_loops(self) -> SparseTopology:
        alone = (self.sizes == 1).to(self.edge_index.device, non_blocking=True)
        apart = (self.edge_index[0] != self.edge_index[1]) | self.to_edges(alone)
        return self._masked(apart & self.neighbours())

    def _masked(self, mask: Tensor) -> SparseTopology:
        """The same edges, of which only those under `mask` exist."""
        return SparseTopology(self.edge_index, self.sizes, edge_mask=mask, origin=self._origin, reversal=self._reversal)

    def extend(self, edges: Shaped[Tensor, "*given"]) -> Shaped[Tensor, "*edges"]:
        if self._origin is None:
            return edges
        if edges.shape[0] == 0:
            return edges.new_zeros(self.num_edges, *edges.shape[1:])
        rows = edges.index_select(0, self._origin.clamp_min(0))
        return torch.where(_trailing(self._origin >= 0, rows), rows, torch.zeros_like(rows))

    def as_sequence(
        self, nodes: Shaped[Tensor, "*nodes"]
    ) -> tuple[Shaped[Tensor, "batch length *rest"], Bool[Tensor, "batch length"] | None]:
        sequence = nodes.new_zeros(self.batch_size, self.max_nodes, *nodes.shape[1:])
        sequence = sequence.index_put((self.node_graph, self._local), nodes)
        if self.uniform:
            return sequence, None
        mask = torch.arange(self.max_nodes) < self.sizes[:, None]
        return sequence, mask.to(nodes.device, non_blocking=True)

    def from_sequence(self, sequence: Shaped[Tensor, "batch length *rest"]) -> Shaped[Tensor, "*nodes"]:
        return sequence[self.node_graph, self._local]


def _scatter(values: Tensor, group: Tensor, count: int, reduce: str) -> Tensor:
    """Reduction of each group's values; 0 for an empty group."""
    shape = (count, *values.shape[1:])
    if reduce == "sum":
        return values.new_zeros(shape).index_add(0, group, values)
    extreme = _EXTREME[reduce]
    index = _trailing(group, values).expand_as(values)
    start = values.new_full(shape, extreme)
    result = start.scatter_reduce(0, index, values, "a" + reduce)
    return torch.where(result == extreme, 0.0, result)
