"""Messages and scores on an edge list a chunk at a time, where no derivative is wanted.

Nothing of the size `[edges, hidden]` is then written to memory: at ten thousand nodes it would be tens of megabytes for
each operator, and the time to get and fill those pages more than that of the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from zoo.chunks import CHUNK, by_hand, transposed
from zoo.topology.base import EXTREME, trailing

Channels = tuple[Float[Tensor, "edges channels"], Float[Tensor, "hidden channels"]]
"""Channels of every edge, and a linear map of them."""


def in_chunks(*inputs: Tensor | None) -> bool:
    """Whether these inputs may be taken in chunks, and it pays: on a CPU, with no derivative to come."""
    given = [value for value in inputs if value is not None]
    return by_hand(given[0]) and not (torch.is_grad_enabled() and any(value.requires_grad for value in given))


def reduced_messages(
    edge_index: Int[Tensor, "2 edges"],
    mask: Bool[Tensor, " edges"] | None,
    senders: Float[Tensor, "nodes hidden"],
    receivers: Float[Tensor, "nodes hidden"],
    edges: Channels | None,
    layers: Sequence[Tensor],
    reduce: str,
) -> Float[Tensor, "nodes hidden"]:
    """`Topology.reduce_messages` by `"max"`, `"min"` or `"sum"`; `mask` is false at edges that do not exist."""
    empty = EXTREME.get(reduce, 0.0)
    result = receivers.new_full(receivers.shape, empty)
    for part, x in _sent(edge_index, senders, edges):
        receiver = edge_index[1, part]
        x += receivers.index_select(0, receiver)
        for weight, bias in zip(layers[::2], layers[1::2], strict=True):
            x = F.linear(x.relu_(), weight, bias)
        if mask is not None:
            x = torch.where(mask[part, None], x, empty)
        if reduce == "sum":
            result.index_add_(0, receiver, x)
        else:
            result.scatter_reduce_(0, trailing(receiver, x).expand_as(x), x, "a" + reduce)
    return result if reduce == "sum" else torch.where(result == empty, 0.0, result)


def pair_scores(
    edge_index: Int[Tensor, "2 edges"],
    senders: Float[Tensor, "nodes hidden"],
    receivers: Float[Tensor, "nodes hidden"],
    edges: Channels | None,
    out: Float[Tensor, " hidden"],
) -> Float[Tensor, " edges"]:
    """`Topology.score_pairs`."""
    scores = senders.new_empty(edge_index.shape[1])
    for part, x in _sent(edge_index, senders, edges):
        scores[part] = torch.maximum(x, receivers.index_select(0, edge_index[1, part])) @ out
    return scores


def _sent(edge_index: Tensor, senders: Tensor, edges: Channels | None) -> Iterator[tuple[slice, Tensor]]:
    """Each chunk of edges, with the terms of sender and edge; they are the caller's to change."""
    rows = None if edges is None else transposed(edges[1])
    size = max(1, CHUNK // senders.shape[1])
    for start in range(0, edge_index.shape[1], size):
        part = slice(start, start + size)
        x = senders.index_select(0, edge_index[0, part])
        if edges is not None and rows is not None:
            x.addmm_(edges[0][part], rows)
        yield part, x
