"""A node as a token of a sequence: what processors that read nodes in order see of a graph."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from zoo.edges import FoldedEdges
from zoo.processor import Latents
from zoo.topology import Topology


def tokens(encoded: Latents, topology: Topology) -> Float[Tensor, "*nodes width"]:
    """Each node's features, plus its graph's, plus the maximum over the edges into it.

    Without the edges a sequence processor would be blind to the graph. On a sequence, which has none, a token is
    exactly the node.
    """
    result = encoded.nodes
    if encoded.graph is not None:
        result = result + topology.to_nodes(encoded.graph)
    edges = encoded.edges
    if isinstance(edges, FoldedEdges):
        # As messages that are nothing but their edge, so that on a CPU no tensor of all encoded edges is made.
        nothing, bias = torch.zeros_like(encoded.nodes), edges.bias.expand_as(encoded.nodes)
        result = result + topology.reduce_messages(nothing, bias, (edges.channels, edges.weight), (), "max")
    elif edges is not None:
        result = result + topology.aggregate(edges, "max")
    return result
