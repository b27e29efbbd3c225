"""From probes to latents: every value as a few channels, every channel through its own linear map, summed.

As in CLRS (Veličković et al., 2022; Ibarz et al., 2022, section 3.1): node probes are encoded on nodes, pointers as
one-hot rows on edges, graph probes on graphs. All maps to one location are one matrix product, and edges stay folded
(`zoo.edges`).

An edge's pointer is a cube of one-hot rows, of which CLRS keeps two means. That is not enough to know whom an edge
points to; `TripletFeatures` are the alternative.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator, Mapping, MutableMapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from tasks.spec import Location, Probe, Spec, Stage, Type
from zoo.edges import FoldedEdges
from zoo.processor import Latents
from zoo.topology import Topology
from zoo.triplets import triplet_max

# Channels of a triplet of nodes, as many as Triplet-GMPNN has (Ibarz et al., 2022).
TRIPLET_WIDTH = 8


def truncated_normal_(weight: Tensor, std: float) -> None:
    """Fill with N(0, std²) cut off at two `std`, as CLRS's network library does, which leaves 0.88 of the deviation."""
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear map initialised as in CLRS: truncated normal of parameter one over the root of its inputs, zero bias."""
    layer = nn.Linear(inputs, outputs)
    truncated_normal_(layer.weight, 1 / math.sqrt(inputs))
    nn.init.zeros_(layer.bias)
    return layer


def without_biases_(module: nn.Module) -> None:
    """Fix the biases of all linear maps in a module at zero: they are neither parameters nor saved any more."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear) and layer.bias is not None:
            zero = torch.zeros_like(layer.bias.detach())
            del layer.bias
            layer.register_buffer("bias", zero, persistent=False)


def encoded_at(probe: Probe) -> Location:
    """Where a probe's channels live: a node's pointer is a row of edges, a graph's index one of its nodes."""
    if probe.location is Location.NODE and probe.is_pointer:
        return Location.EDGE
    if probe.location is Location.GRAPH and (probe.is_pointer or probe.type is Type.MASK_ONE):
        return Location.NODE
    return probe.location


def width(probe: Probe, *, both_ways: bool = False) -> int:
    """Number of channels of a probe."""
    if probe.type is Type.CATEGORICAL:
        return probe.classes
    if probe.is_pointer and probe.location is not Location.GRAPH:
        return 2 if both_ways or probe.location is Location.EDGE else 1
    return probe.channels


def reversible(probe: Probe) -> bool:
    """Whether a probe is an input of edges that the edge the other way round may have too."""
    return probe.stage is Stage.INPUT and probe.location is Location.EDGE and not probe.is_pointer


def pointer_channels(hot: Float[Tensor, "*edges"], topology: Topology, both_ways: bool) -> Float[Tensor, "*edges c"]:
    """Channels of node pointers given as weights on edges (pointing node is the sender)."""
    return torch.stack([hot, topology.reverse(hot)], -1) if both_ways else hot[..., None]


def is_edge_pointer(probe: Probe) -> bool:
    """Whether a probe's one-hot form is a cube: a node for every pair."""
    return probe.is_pointer and probe.location is Location.EDGE


def edge_pointer_channels(
    cube: Float[Tensor, "batch n n n"], topology: Topology, edge_pointers: str
) -> Float[Tensor, "batch n n channels"]:
    """Channels of edge pointers given as weights of all nodes (last axis) for every edge.

    Under `"means"` the two that CLRS's encoder takes, over senders and over receivers, of those that exist; under
    `"triplets"` the cube itself, which `TripletFeatures` takes in.
    """
    if edge_pointers == "triplets":
        return cube
    if topology.uniform:
        return torch.stack([cube.mean(1), cube.mean(2)], -1)
    exists = topology.node_mask().to(cube.dtype)
    senders, receivers = torch.einsum("bsrn,bs->brn", cube, exists), torch.einsum("bsrn,br->bsn", cube, exists)
    return torch.stack([senders, receivers], -1) / exists.sum(1)[:, None, None, None]


def channels(
    probe: Probe,
    value: Shaped[Tensor, "*value"],
    topology: Topology,
    *,
    both_ways: bool = False,
    edge_pointers: str = "means",
) -> Float[Tensor, "*entries channels"]:
    """A probe's compact value as channels.

    Args:
        probe: what the value is of.
        value: in the compact form of a `Batch`, without any step axis.
        topology: of the batch.
        both_ways: whether a node's pointer marks the edge from the pointed node too.
        edge_pointers: see `edge_pointer_channels`.

    Returns:
        Channels on the entries of `encoded_at(probe)`.
    """
    dtype = torch.get_default_dtype()
    if probe.type is Type.CATEGORICAL:
        return (value[..., None] == torch.arange(probe.classes, device=value.device)).to(dtype)
    if probe.is_pointer and probe.location is Location.NODE:
        return pointer_channels(topology.one_hot(value), topology, both_ways)
    if is_edge_pointer(probe):
        hot = (value[..., None] == torch.arange(topology.max_nodes, device=value.device)).to(dtype)
        return edge_pointer_channels(hot, topology, edge_pointers)
    if probe.is_pointer or probe.type is Type.MASK_ONE:
        return topology.at_index(value)[..., None].to(dtype)
    # -1 marks entries that are not scored; as an input they are simply not set.
    value = value.to(dtype) if probe.type is Type.SCALAR else (value > 0).to(dtype)
    return value if probe.channels > 1 else value[..., None]


class TripletFeatures(nn.Module):
    """Channels of edges that know whom edges point to, from cubes of pointers and raw channels of nodes and edges.

    With P(s, r, k) the weight of node k in what edge (s, r) points to, a triplet's features are

        t(s, r, k) = w P(s, r, k) + a(s, k) + b(k, r) + d(s, r),

    `TRIPLET_WIDTH` channels, in which a, b and d are linear in what is known of that edge and of the nodes at its ends.
    An edge gets, through a ReLU, the maxima of three such t: at (s, r) over all k, at (k, r) over all s, at (s, k) over
    all r. The last two stand for CLRS's two means; the first is a min-plus product where b and a are negated lengths.
    Beside them (s, r) gets `sum_k P(s, r, k) (a'(s, k) + b'(k, r))` for each pointer: the channels of the node that it
    points to, and of the two edges that join it.

    Four products of n³ times `TRIPLET_WIDTH`, and memory for them as in `zoo.triplets`. Dense only.
    """

    def __init__(self, *, nodes: int, edges: int, cubes: int) -> None:
        """Make the linear maps.

        Args:
            nodes: raw channels of nodes.
            edges: raw channels of edges, pointers of edges aside.
            cubes: number of edge pointers.
        """
        super().__init__()
        maxima, pointed = 3 * TRIPLET_WIDTH, cubes * TRIPLET_WIDTH
        self.size = maxima + pointed
        self.nodes, self.edges = linear(nodes or 1, 3 * maxima), linear(edges or 1, 3 * maxima)
        self.cubes = nn.Parameter(torch.empty(maxima, cubes))
        self.pointed_node, self.pointed_edges = linear(nodes or 1, pointed), linear(edges or 1, 2 * pointed)
        # Initialised as one linear map of all that is summed: from larger weights, fed-back scalars grow step by step.
        for weight in (self.nodes.weight, self.edges.weight, self.cubes):
            truncated_normal_(weight, 1 / math.sqrt(3 * nodes + 3 * edges + cubes))
        for weight in (self.pointed_node.weight, self.pointed_edges.weight):
            truncated_normal_(weight, 1 / math.sqrt(max(1, nodes + 2 * edges)))

    def forward(
        self,
        nodes: Float[Tensor, "batch n _"] | None,
        edges: Float[Tensor, "batch n n _"] | None,
        cubes: Sequence[Float[Tensor, "batch n n n"]],
        topology: Topology,
    ) -> Float[Tensor, "batch n n channels"]:
        """The channels of all edges; nodes or edges without raw channels are None."""
        like = cubes[0]
        nodes = like.new_zeros(*like.shape[:2], 1) if nodes is None else nodes
        edges = like.new_zeros(*like.shape[:3], 1) if edges is None else edges
        pointed = self._pointed(nodes, edges, cubes, topology)
        return torch.cat([*self._maxima(nodes, edges, torch.stack([*cubes], -1), topology), *pointed], -1)

    def _maxima(self, nodes: Tensor, edges: Tensor, cubes: Tensor, topology: Topology) -> list[Tensor]:
        """The three maxima, each of its own features."""
        s, r, k = self.nodes(nodes).chunk(3, -1)
        sk, kr, sr = self.edges(edges).chunk(3, -1)
        sk, sr = sk + topology.receivers(k), sr + topology.senders(s) + topology.receivers(r)
        absent = None if topology.uniform else ~topology.node_mask()[:, None, :, None]

        def best(left: Tensor, right: Tensor, cubes: Tensor, weight: Tensor) -> Tensor:
            return triplet_max(left if absent is None else left.masked_fill(absent, -torch.inf), right, cubes, weight)

        a, b, d, w = (x.split(TRIPLET_WIDTH, dim) for x, dim in ((sk, -1), (kr, -1), (sr, -1), (self.cubes, 0)))
        over_k = d[0] + best(a[0], b[0], cubes, w[0])
        over_s = b[1] + best(a[1].transpose(1, 2), d[1], cubes.transpose(1, 3), w[1])
        over_r = a[2] + best(d[2], b[2].transpose(1, 2), cubes.transpose(2, 3), w[2])
        return [over_k.relu(), over_s.relu(), over_r.relu()]

    def _pointed(self, nodes: Tensor, edges: Tensor, cubes: Sequence[Tensor], topology: Topology) -> Iterator[Tensor]:
        """What is known of the node that each pointer points to."""
        sk, kr = self.pointed_edges(edges).chunk(2, -1)
        sk = sk + topology.receivers(self.pointed_node(nodes))
        for cube, a, b in zip(cubes, sk.split(TRIPLET_WIDTH, -1), kr.split(TRIPLET_WIDTH, -1), strict=True):
            yield torch.einsum("bsrk,bskc->bsrc", cube, a) + torch.einsum("bsrk,bkrc->bsrc", cube, b)


class Encoder(nn.Module):
    """The encoders of one task."""

    def __init__(
        self,
        spec: Spec,
        size: int,
        *,
        hints: bool,
        both_ways: bool,
        scalar_init: str,
        edge_pointers: str = "means",
        positions: bool = True,
        reverse_edges: bool = False,
    ) -> None:
        """Make a linear map for every input, and for every hint if they are encoded.

        Args:
            spec: of the task.
            size: width of the encoded latents.
            hints: whether hints are encoded.
            both_ways: see `channels`.
            scalar_init: `"default"`, or `"xavier_on_scalars"`: scalar hints start smaller, by the root of `size`.
            edge_pointers: `"means"`, or `"triplets"`: edges' pointers go through `TripletFeatures`.
            positions: whether inputs that only name the order of the nodes are encoded.
            reverse_edges: whether an edge's inputs are followed by those of the edge back.
        """
        super().__init__()
        self.size = size
        self.both_ways, self.reverse_edges = both_ways, reverse_edges
        given = tuple(probe for probe in spec.inputs if positions or not probe.positional)
        self.probes = given + (spec.hints if hints else ())
        self.cubes = [p.name for p in self.probes if edge_pointers == "triplets" and is_edge_pointer(p)]
        self.linears: MutableMapping[str, nn.Linear] = nn.ModuleDict()  # type: ignore[assignment]
        for probe in self.probes:
            if probe.name in self.cubes:
                continue
            layer = linear(self._width(probe), size)
            if scalar_init == "xavier_on_scalars" and probe.stage is Stage.HINT and probe.type is Type.SCALAR:
                truncated_normal_(layer.weight, 1 / math.sqrt(size))
            self.linears[probe.name] = layer
        self.triplets: TripletFeatures | None = None
        if self.cubes:
            raw = {
                where: sum(self._width(p) for p in self.probes if self._encodes(p, where))
                for where in (Location.NODE, Location.EDGE)
            }
            self.triplets = TripletFeatures(nodes=raw[Location.NODE], edges=raw[Location.EDGE], cubes=len(self.cubes))
            self.from_triplets = linear(self.triplets.size, size)

    def _width(self, probe: Probe) -> int:
        """Number of a probe's channels, with those of the edge back."""
        return width(probe, both_ways=self.both_ways) * (2 if self.reverse_edges and reversible(probe) else 1)

    def _encodes(self, probe: Probe, location: Location) -> bool:
        """Whether a probe has a linear map of its own to the latents of a location."""
        return probe.name not in self.cubes and encoded_at(probe) is location

    def forward(self, values: Mapping[str, Float[Tensor, "*entries channels"]], topology: Topology) -> Latents:
        """Encode the probes that are present in `values`, given as channels; for pointers of edges, all of them."""
        parts = {where: self._parts(values, where) for where in Location}
        if self.triplets is not None:
            raw = {where: torch.cat([c for c, _ in part], -1) if part else None for where, part in parts.items()}
            cubes = [values[name] for name in self.cubes]
            features = self.triplets(raw[Location.NODE], raw[Location.EDGE], cubes, topology)
            parts[Location.EDGE].append((features, self.from_triplets))
        nodes, edges, graph = (self._fold(parts[where]) for where in (Location.NODE, Location.EDGE, Location.GRAPH))
        if nodes is None:
            like = next(iter(values.values()))
            index = topology.local_index()
            encoded = like.new_zeros(*index.shape, self.size)
        else:
            encoded = F.linear(*nodes)
        return Latents(
            encoded, None if edges is None else FoldedEdges(*edges), None if graph is None else F.linear(*graph)
        )

    def _parts(self, values: Mapping[str, Tensor], location: Location) -> list[tuple[Tensor, nn.Linear]]:
        """Channels and the linear map of each probe that is encoded at one location by its own."""
        names = [p.name for p in self.probes if p.name in values and self._encodes(p, location)]
        return [(values[name], self.linears[name]) for name in names]

    def _fold(self, parts: Sequence[tuple[Tensor, nn.Linear]]) -> tuple[Tensor, Tensor, Tensor] | None:
        """Channels, weights and bias of all that is encoded at one location."""
        if not parts:
            return None
        given, layers = zip(*parts, strict=True)
        weight = torch.cat([layer.weight for layer in layers], 1)
        # Added one by one: the derivative of a stack's sum would hand all biases one and the same memory as gradient.
        bias = functools.reduce(operator.add, [layer.bias for layer in layers])
        return torch.cat(given, -1), weight, bias


class RawEncoder(nn.Module):
    """No encoders: the channels themselves, side by side, as the memory networks' papers feed them."""

    def __init__(self, spec: Spec, *, ordered: bool) -> None:
        """Check that the task is a sequence.

        Args:
            spec: of the task.
            ordered: whether the processor reads nodes in order; positions are then left out.

        Raises:
            ValueError: the task has edges.
        """
        super().__init__()
        if spec.has_edges:
            raise ValueError(f"encoder 'raw' takes sequences; task {spec.task!r} has edges: use encoder 'linear'")
        self.probes = tuple(p for p in spec.inputs if not (ordered and p.positional))
        self.size = sum(width(p) for p in self.probes)

    def forward(self, values: Mapping[str, Float[Tensor, "*entries channels"]], topology: Topology) -> Latents:
        """Concatenate the channels of all inputs, graph probes at every node."""
        parts = []
        nodes = topology.local_index().shape
        for probe in self.probes:
            value = values[probe.name]
            if encoded_at(probe) is Location.GRAPH:
                value = topology.to_nodes(value).expand(*nodes, value.shape[-1])
            parts.append(value)
        return Latents(torch.cat(parts, -1))


def raw_width(spec: Spec, *, ordered: bool = True) -> int:
    """The `input_size` that a processor needs under encoder `"raw"`."""
    return RawEncoder(spec, ordered=ordered).size
