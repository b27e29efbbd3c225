"""From latents to predictions: one decoder for each (location, type), after CLRS.

Source: Ibarz et al., 2022, and the benchmark's own decoders. Logits of a pointer are logarithms of probabilities on
edges: at (sender j, receiver i) that i points to j. See `Prediction` for every form.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from tasks.spec import Location, Probe, Type
from zoo.edges import Edges, edge_linear, fold, map_edges
from zoo.encoders import (
    TRIPLET_WIDTH,
    channels,
    edge_pointer_channels,
    is_edge_pointer,
    linear,
    pointer_channels,
    truncated_normal_,
)
from zoo.topology import DenseTopology, Reduce, Topology
from zoo.triplets import triplet_scores


class Read(NamedTuple):
    """What decoders read.

    Attributes:
        nodes: encoded inputs, previous and new hidden, side by side.
        edges: features of edges, one or two of them.
        graph: features of graphs, beside the pooled nodes.
        topology: the batch's graphs, whose edges are the candidates of pointers in the domain `"edges"`.
        noise: Gumbel noise for permutations, `[batch, senders, receivers]`, or None.
        cubes: encoded pointers of edges, as weights of all nodes for every edge; only where decoders take them.
    """

    nodes: Float[Tensor, "*nodes width"]
    edges: tuple[Edges, ...]
    graph: tuple[Tensor, ...]
    topology: Topology
    noise: Tensor | None = None
    cubes: tuple[Float[Tensor, "batch n n n"], ...] = ()

    def select(self, graphs: Int[Tensor, " graphs"]) -> Read:
        """The same of some graphs of a dense batch, by number."""
        assert isinstance(self.topology, DenseTopology)

        def pick(value: Tensor) -> Tensor:
            return value[graphs]

        return Read(
            pick(self.nodes),
            tuple(map_edges(pick, value) for value in self.edges),
            tuple(map(pick, self.graph)),
            self.topology.select(graphs),
            None if self.noise is None else pick(self.noise),
            tuple(map(pick, self.cubes)),
        )


class Sizes(NamedTuple):
    """Widths of what decoders read, in the order of `Read`, of their own hidden layers, and the number of cubes."""

    nodes: int
    edges: tuple[int, ...]
    graph: tuple[int, ...]
    hidden: int
    cubes: int = 0


class _EdgeSum(nn.Module):
    """A linear map of all edge features."""

    def __init__(self, sizes: Sizes, out: int) -> None:
        super().__init__()
        self.linears: Iterable[nn.Linear] = nn.ModuleList(linear(size, out) for size in sizes.edges)  # type: ignore[assignment]

    def forward(self, edges: tuple[Edges, ...]) -> Tensor | None:
        total: Tensor | None = None
        for layer, value in zip(self.linears, edges, strict=False):
            part = edge_linear(layer, value)
            total = part if total is None else total + part
        return total

    def fold(self, edges: tuple[Edges, ...]) -> tuple[Tensor, Tensor, Tensor] | None:
        """The same as channels, weight and bias of one linear map."""
        folded = [fold(layer, value) for layer, value in zip(self.linears, edges, strict=False)]
        if not folded:
            return None
        channels, weights, biases = zip(*folded, strict=True)
        return torch.cat(channels, -1), torch.cat(weights, 1), functools.reduce(operator.add, biases)


class NodeDecoder(nn.Module):
    """Scalars, masks and classes of nodes: a linear map. A mask_one is its softmax over the graph's nodes."""

    def __init__(self, probe: Probe, sizes: Sizes) -> None:
        super().__init__()
        self.one = probe.type is Type.MASK_ONE
        self.squeeze = probe.type is not Type.CATEGORICAL and probe.channels == 1
        self.out = linear(sizes.nodes, probe.classes or probe.channels)

    def forward(self, read: Read) -> Tensor:
        logits = self.out(read.nodes)
        if self.squeeze:
            logits = logits.squeeze(-1)
        return read.topology.log_softmax(logits, "nodes") if self.one else logits


class EdgeDecoder(nn.Module):
    """Scalars, masks and classes of edges: linear in sender, receiver and edge."""

    def __init__(self, probe: Probe, sizes: Sizes) -> None:
        super().__init__()
        out = probe.classes or probe.channels
        self.squeeze = probe.type is not Type.CATEGORICAL and probe.channels == 1
        self.sender, self.receiver = linear(sizes.nodes, out), linear(sizes.nodes, out)
        self.edge = _EdgeSum(sizes, out)

    def forward(self, read: Read) -> Tensor:
        topology = read.topology
        logits = topology.senders(self.sender(read.nodes)) + topology.receivers(self.receiver(read.nodes))
        edges = self.edge(read.edges)
        logits = logits if edges is None else logits + edges
        return logits.squeeze(-1) if self.squeeze else logits


class GraphDecoder(nn.Module):
    """Scalars, masks and classes of graphs: linear in the reduction of all nodes and in the graph's own features."""

    def __init__(self, probe: Probe, sizes: Sizes, *, reduce: Reduce) -> None:
        super().__init__()
        out = probe.classes or probe.channels
        self.squeeze = probe.type is not Type.CATEGORICAL and probe.channels == 1
        self.reduce: Reduce = reduce
        self.pooled = linear(sizes.nodes, out)
        self.graph = nn.ModuleList(linear(size, out) for size in sizes.graph)

    def forward(self, read: Read) -> Tensor:
        logits = self.pooled(read.topology.pool(read.nodes, self.reduce))
        for layer, value in zip(self.graph, read.graph, strict=False):
            logits = logits + layer(value)
        return logits.squeeze(-1) if self.squeeze else logits


class GraphIndexDecoder(nn.Module):
    """A graph's index of one of its nodes: a softmax over them."""

    def __init__(self, probe: Probe, sizes: Sizes) -> None:
        super().__init__()
        self.out = linear(sizes.nodes, 1)

    def forward(self, read: Read) -> Tensor:
        return read.topology.log_softmax(self.out(read.nodes).squeeze(-1), "nodes")


class PointerDecoder(nn.Module):
    """A node's pointer: linear(max(p1(node), p2(candidate) + p3(edge from the candidate)))."""

    def __init__(self, probe: Probe, sizes: Sizes) -> None:
        super().__init__()
        self.domain = probe.domain
        self.node, self.candidate = linear(sizes.nodes, sizes.hidden), linear(sizes.nodes, sizes.hidden)
        self.edge = _EdgeSum(sizes, sizes.hidden)
        self.out = linear(sizes.hidden, 1)

    def score(self, read: Read) -> Tensor:
        """Unnormalised logits on edges."""
        candidate = self.candidate(read.nodes)
        edges = self.edge.fold(read.edges)
        channels = None
        if edges is not None:
            values, weight, bias = edges
            channels, candidate = (values, weight), candidate + bias
        out = self.out.weight.squeeze(0)
        return read.topology.score_pairs(candidate, self.node(read.nodes), channels, out) + self.out.bias

    def forward(self, read: Read) -> Tensor:
        return candidates(read.topology, self.domain).log_softmax(self.score(read), "receiver")


class PermutationDecoder(nn.Module):
    """A chain of pointers: a doubly stochastic matrix by log-Sinkhorn, and a softmax for the head.

    The matrix is that of the cyclic chain, its head pointing to its tail (`cyclic`), so it has no diagonal.
    Source: Mena et al., 2018; Ibarz et al., 2022, section 3.2.
    """

    def __init__(self, probe: Probe, sizes: Sizes, *, temperature: float, steps: int, eval_steps: int) -> None:
        super().__init__()
        self.pointer = PointerDecoder(probe, sizes)
        self.head = linear(sizes.nodes, 1)
        self.temperature, self.steps, self.eval_steps = temperature, steps, eval_steps

    def forward(self, read: Read) -> tuple[Tensor, Tensor]:
        scores = self.pointer.score(read)
        if read.noise is not None:
            scores = scores + read.noise
        steps = self.steps if self.training else self.eval_steps
        matrix = log_sinkhorn(scores / self.temperature, read.topology.complete().without_loops(), steps)
        return matrix, read.topology.log_softmax(self.head(read.nodes).squeeze(-1), "nodes")


class EdgePointerDecoder(nn.Module):
    """An edge's pointer: linear(max(edge's features, p(candidate))), dense only."""

    def __init__(self, probe: Probe, sizes: Sizes) -> None:
        super().__init__()
        self.sender, self.receiver = linear(sizes.nodes, sizes.hidden), linear(sizes.nodes, sizes.hidden)
        self.edge = _EdgeSum(sizes, sizes.hidden)
        self.candidate, self.out = linear(sizes.nodes, sizes.hidden), linear(sizes.hidden, 1)

    def forward(self, read: Read) -> Tensor:
        topology = read.topology
        pair = topology.senders(self.sender(read.nodes)) + topology.receivers(self.receiver(read.nodes))
        edges = self.edge(read.edges)
        pair = pair if edges is None else pair + edges
        # Scores of pairs again, every sender's in a batch of its own: of a receiver and a candidate.
        candidate = self.candidate(read.nodes)[:, None].expand(*pair.shape).flatten(0, 1)
        scores = topology.score_pairs(pair.flatten(0, 1), candidate, None, self.out.weight.squeeze(0))
        return _over_nodes(scores.unflatten(0, pair.shape[:2]) + self.out.bias, topology)


class TripletPointerDecoder(nn.Module):
    """An edge's pointer from features of triplets, which know both edges that join the candidate; dense only.

    The logit of candidate k for edge (s, r) is `out · ReLU(a(s, k) + b(k, r) + d(s, r) + W P(s, r, k))`, with
    `TRIPLET_WIDTH` channels. a, b and d are linear in the features of that edge and of its ends, P are the encoded
    pointers of edges. An argmin over k of D(s, k) + D(k, r) is of this form, and so is a pointer that stays as it was.

    `EdgePointerDecoder` takes n³ times the hidden size for its scores, this one n³ times `TRIPLET_WIDTH`.
    """

    def __init__(self, probe: Probe, sizes: Sizes) -> None:
        super().__init__()
        width = TRIPLET_WIDTH
        self.sender, self.receiver = linear(sizes.nodes, width), linear(sizes.nodes, width)
        self.candidate, self.out = linear(sizes.nodes, width), linear(width, 1)
        self.left, self.right, self.pair = (_EdgeSum(sizes, width) for _ in range(3))
        self.cubes = nn.Parameter(torch.empty(width, sizes.cubes)) if sizes.cubes else None
        if self.cubes is not None:
            truncated_normal_(self.cubes, 1 / math.sqrt(sizes.cubes))

    def forward(self, read: Read) -> Tensor:
        topology, nodes = read.topology, read.nodes
        square = (*nodes.shape[:2], nodes.shape[1])

        def term(own: Tensor, edges: Tensor | None) -> Tensor:
            return (own if edges is None else own + edges).expand(*square, -1)

        left = term(topology.receivers(self.candidate(nodes)), self.left(read.edges))
        right = term(nodes.new_zeros(TRIPLET_WIDTH), self.right(read.edges))
        ends = topology.senders(self.sender(nodes)) + topology.receivers(self.receiver(nodes))
        if self.cubes is None:
            cubes, weight = nodes.new_zeros(*square, square[1], 0), nodes.new_zeros(TRIPLET_WIDTH, 0)
        else:
            cubes, weight = torch.stack([*read.cubes], -1), self.cubes
        pairs = term(ends, self.pair(read.edges))
        scores = triplet_scores(left, right, pairs, cubes, weight, self.out.weight.squeeze(0))
        return _over_nodes(scores + self.out.bias, topology)


def _over_nodes(scores: Float[Tensor, "batch s r n"], topology: Topology) -> Float[Tensor, "batch s r n"]:
    """Scores of every edge's candidates as logarithms of probabilities."""
    return torch.where(topology.node_mask()[:, None, None], scores, -torch.inf).log_softmax(-1)


def log_sinkhorn(scores: Float[Tensor, "*edges"], topology: Topology, steps: int) -> Float[Tensor, "*edges"]:
    """Normalise over each node's candidates and over each candidate's nodes, in turn; -inf off the topology."""
    for _ in range(steps):
        scores = topology.log_softmax(scores, "receiver")
        scores = topology.log_softmax(scores, "sender")
    return scores


def candidates(topology: Topology, domain: str) -> Topology:
    """The topology whose edges are the pointers to choose from."""
    return topology.complete() if domain == "nodes" else topology


def cyclic(pointer: Int[Tensor, "*nodes"], topology: Topology) -> tuple[Int[Tensor, "*nodes"], Int[Tensor, " batch"]]:
    """A chain of predecessors, whose head points to itself, closed into a cycle.

    Returns:
        The chain with its head pointing to its tail, and the index of the head.
    """
    complete = topology.complete()
    own = topology.local_index()
    head = topology.argmax((pointer == own).to(torch.get_default_dtype()), "nodes")
    pointed = complete.aggregate(complete.one_hot(pointer)[..., None], "sum").squeeze(-1)
    tail = topology.argmax(-pointed, "nodes")
    closed = torch.where(topology.at_index(head), topology.to_nodes(tail), pointer)
    return closed, head


def make_decoder(
    probe: Probe,
    sizes: Sizes,
    *,
    temperature: float,
    steps: int,
    eval_steps: int,
    edge_pointers: str,
    graph_pool: Reduce,
) -> nn.Module:
    """The decoder of a probe; `ValueError` for a form that no known task has."""
    where, what = probe.location, probe.type
    if what is Type.PERMUTATION_POINTER and where is Location.NODE and probe.stage == "output":
        return PermutationDecoder(probe, sizes, temperature=temperature, steps=steps, eval_steps=eval_steps)
    if what is Type.POINTER:
        of_edge = TripletPointerDecoder if edge_pointers == "triplets" else EdgePointerDecoder
        return {Location.NODE: PointerDecoder, Location.EDGE: of_edge, Location.GRAPH: GraphIndexDecoder}[where](
            probe, sizes
        )
    if what is Type.MASK_ONE and where is Location.GRAPH:
        return GraphIndexDecoder(probe, sizes)
    if what is Type.PERMUTATION_POINTER or (what is Type.MASK_ONE and where is Location.EDGE):
        raise ValueError(f"probe {probe.name!r}: no decoder for a {probe.stage} {what} on {where}s")
    if where is Location.GRAPH:
        return GraphDecoder(probe, sizes, reduce=graph_pool)
    return {Location.NODE: NodeDecoder, Location.EDGE: EdgeDecoder}[where](probe, sizes)


def decide(probe: Probe, logits: Mapping[str, Tensor], topology: Topology) -> Shaped[Tensor, "*value"]:
    """The decided value of a probe, in the compact form of a `Batch`; indices are int64, classes too.

    Args:
        probe: what to decide.
        logits: predictions by name, without any step axis; a permutation's head is under `NAME:head`.
        topology: of the batch.
    """
    value = logits[probe.name]
    if probe.type is Type.SCALAR:
        return value
    if probe.type is Type.MASK:
        return value > 0
    if probe.type is Type.CATEGORICAL or is_edge_pointer(probe):
        return value.argmax(-1)
    if probe.is_pointer and probe.location is Location.NODE:
        pointer = topology.argmax(value, "receiver") if probe.domain == "edges" else _over_all(value, topology)
        if probe.type is Type.PERMUTATION_POINTER:
            head = topology.argmax(logits[probe.name + ":head"], "nodes")
            pointer = torch.where(topology.at_index(head), topology.local_index(), pointer)
        return pointer
    return topology.argmax(value, "nodes")


def _over_all(value: Tensor, topology: Topology) -> Tensor:
    """The likeliest of all nodes."""
    return topology.complete().argmax(value, "receiver")


def feedback(
    probe: Probe,
    logits: Shaped[Tensor, "*logits"],
    topology: Topology,
    *,
    soft: bool,
    both_ways: bool,
    edge_pointers: str = "means",
) -> Float[Tensor, "*entries channels"]:
    """A predicted hint as channels for the next step: probabilities if `soft`, the decided value if not."""
    if probe.type is Type.SCALAR:
        return logits if probe.channels > 1 else logits[..., None]
    if not soft:
        decided = decide(probe, {probe.name: logits}, topology)
        return channels(probe, decided, topology, both_ways=both_ways, edge_pointers=edge_pointers)
    if probe.type is Type.MASK:
        return logits.sigmoid() if probe.channels > 1 else logits.sigmoid()[..., None]
    if probe.type is Type.CATEGORICAL:
        return logits.softmax(-1)
    if probe.is_pointer and probe.location is Location.NODE:
        return pointer_channels(topology.reverse(logits.exp()), topology, both_ways)
    if is_edge_pointer(probe):
        return edge_pointer_channels(logits.exp(), topology, edge_pointers)
    return logits.exp()[..., None]
