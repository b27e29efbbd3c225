"""Edge features that need not exist: a linear function of a few channels, applied when asked.

An edge has few raw channels (a weight, an adjacency bit, a pointer or two) and many hidden ones. A linear map
of encoded edges is again a linear map of the channels, so encoder and processor fold into one small matrix and
`[*edges, hidden]` need not be built: with 4 channels against 128 that is two to three times faster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class FoldedEdges(NamedTuple):
    """Encoded edges, kept as `channels @ weight.T + bias`.

    Attributes:
        channels: raw channels of every edge.
        weight: encoder's weights, one column a channel.
        bias: sum of the encoders' biases.
    """

    channels: Float[Tensor, "*edges channels"]
    weight: Float[Tensor, "width channels"]
    bias: Float[Tensor, " width"]


Edges = Tensor | FoldedEdges


def materialise(edges: Edges) -> Float[Tensor, "*edges width"]:
    """Edge features as one tensor."""
    if isinstance(edges, FoldedEdges):
        return F.linear(edges.channels, edges.weight, edges.bias)
    return edges


def map_edges(function: Callable[[Tensor], Tensor], edges: Edges) -> Edges:
    """The edges after `function`, which picks or moves whole edges and leaves their features alone."""
    if isinstance(edges, FoldedEdges):
        return edges._replace(channels=function(edges.channels))
    return function(edges)


def fold(linear: nn.Linear, edges: Edges) -> tuple[Tensor, Tensor, Tensor]:
    """`linear` of edge features as channels, weight and bias of one linear map."""
    bias: Tensor | None = linear.bias  # None in a linear map made without
    bias = linear.weight.new_zeros(linear.out_features) if bias is None else bias
    if isinstance(edges, FoldedEdges):
        return edges.channels, linear.weight @ edges.weight, linear.weight @ edges.bias + bias
    return edges, linear.weight, bias


def edge_linear(linear: nn.Linear, edges: Edges) -> Float[Tensor, "*edges out"]:
    """`linear` of edge features, through the fold where there is one."""
    return F.linear(*fold(linear, edges))
