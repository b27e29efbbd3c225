"""From probes to latents: every value as a few channels, every channel through its own linear map, summed.

As in CLRS (Veličković et al., 2022; Ibarz et al., 2022, section 3.1): node probes are encoded on nodes, pointers as
one-hot rows on edges, graph probes on graphs. All maps to one location are one matrix product, and edges stay folded
(`zoo.edges`).
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Mapping, MutableMapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from tasks.spec import Location, Probe, Spec, Stage, Type
from zoo.edges import FoldedEdges
from zoo.processor import Latents
from zoo.topology import Topology


def truncated_normal_(weight: Tensor, std: float) -> None:
    """Fill with N(0, std²) cut off at two `std`, as CLRS's network library does, which leaves 0.88 of the deviation."""
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear map initialised as in CLRS: truncated normal of parameter one over the root of its inputs, zero bias."""
    layer = nn.Linear(inputs, outputs)
    truncated_normal_(layer.weight, 1 / math.sqrt(inputs))
    nn.init.zeros_(layer.bias)
    return layer


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


def pointer_channels(hot: Float[Tensor, "*edges"], topology: Topology, both_ways: bool) -> Float[Tensor, "*edges c"]:
    """Channels of node pointers given as weights on edges (pointing node is the sender)."""
    return torch.stack([hot, topology.reverse(hot)], -1) if both_ways else hot[..., None]


def edge_pointer_channels(hot: Float[Tensor, "batch s r n"]) -> Float[Tensor, "batch n n 2"]:
    """Channels of edge pointers: the two means that CLRS's encoder takes of the cube of one-hot rows."""
    return torch.stack([hot.mean(1), hot.mean(2)], -1)


def channels(
    probe: Probe, value: Shaped[Tensor, "*value"], topology: Topology, *, both_ways: bool = False
) -> Float[Tensor, "*entries channels"]:
    """A probe's compact value as channels.

    Args:
        probe: what the value is of.
        value: in the compact form of a `Batch`, without any step axis.
        topology: of the batch.
        both_ways: whether a node's pointer marks the edge from the pointed node too.

    Returns:
        Channels on the entries of `encoded_at(probe)`.
    """
    dtype = torch.get_default_dtype()
    if probe.type is Type.CATEGORICAL:
        return (value[..., None] == torch.arange(probe.classes, device=value.device)).to(dtype)
    if probe.is_pointer and probe.location is Location.NODE:
        return pointer_channels(topology.one_hot(value), topology, both_ways)
    if probe.is_pointer and probe.location is Location.EDGE:
        hot = (value[..., None] == torch.arange(topology.max_nodes, device=value.device)).to(dtype)
        return edge_pointer_channels(hot)
    if probe.is_pointer or probe.type is Type.MASK_ONE:
        return topology.at_index(value)[..., None].to(dtype)
    # -1 marks entries that are not scored; as an input they are simply not set.
    value = value.to(dtype) if probe.type is Type.SCALAR else (value > 0).to(dtype)
    return value if probe.channels > 1 else value[..., None]


class Encoder(nn.Module):
    """The encoders of one task."""

    def __init__(self, spec: Spec, size: int, *, hints: bool, both_ways: bool, scalar_init: str) -> None:
        """Make a linear map for every input, and for every hint if they are encoded.

        Args:
            spec: of the task.
            size: width of the encoded latents.
            hints: whether hints are encoded.
            both_ways: see `channels`.
            scalar_init: `"default"`, or `"xavier_on_scalars"`: scalar hints start smaller, by the root of `size`.
        """
        super().__init__()
        self.size = size
        self.probes = spec.inputs + (spec.hints if hints else ())
        self.linears: MutableMapping[str, nn.Linear] = nn.ModuleDict()  # type: ignore[assignment]
        for probe in self.probes:
            layer = linear(width(probe, both_ways=both_ways), size)
            if scalar_init == "xavier_on_scalars" and probe.stage is Stage.HINT and probe.type is Type.SCALAR:
                truncated_normal_(layer.weight, 1 / math.sqrt(size))
            self.linears[probe.name] = layer

    def forward(self, values: Mapping[str, Float[Tensor, "*entries channels"]], topology: Topology) -> Latents:
        """Encode the probes that are present in `values`, given as channels."""
        nodes = self._fold(values, Location.NODE)
        edges = self._fold(values, Location.EDGE)
        graph = self._fold(values, Location.GRAPH)
        if nodes is None:
            like = next(iter(values.values()))
            index = topology.local_index()
            encoded = like.new_zeros(*index.shape, self.size)
        else:
            encoded = F.linear(*nodes)
        return Latents(
            encoded, None if edges is None else FoldedEdges(*edges), None if graph is None else F.linear(*graph)
        )

    def _fold(self, values: Mapping[str, Tensor], location: Location) -> tuple[Tensor, Tensor, Tensor] | None:
        """Channels, weights and bias of all that is encoded at one location."""
        names = [p.name for p in self.probes if p.name in values and encoded_at(p) is location]
        if not names:
            return None
        weight = torch.cat([self.linears[name].weight for name in names], 1)
        # Added one by one: the derivative of a stack's sum would hand all biases one and the same memory as gradient.
        bias = functools.reduce(operator.add, [self.linears[name].bias for name in names])
        return torch.cat([values[name] for name in names], -1), weight, bias


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
