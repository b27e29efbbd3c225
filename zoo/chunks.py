"""Dense batches in chunks that stay in the cache, for what is written with its derivative by hand.

On a CPU, a tensor of the size `[batch, senders, receivers, hidden]` costs more to bring from memory and back than to
compute; a chunk of one does not leave the cache between operators.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

HAS_NUMBA = importlib.util.find_spec("numba") is not None

# Elements of a chunk: 1 MiB of float32, which leaves room in a second-level cache.
CHUNK = 2**18

Chunk = tuple[slice, slice]
"""Graphs and receivers."""


def by_hand(like: Tensor) -> bool:
    """Whether the hand-written form may run, and pays: on a CPU, outside compiler, autocast and function transforms."""
    return (
        like.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()
    )


def chunks(batch: int, nodes: int, hidden: int) -> Iterator[Chunk]:
    """The chunks of a batch: some whole graphs each, or of a large graph some receivers."""
    graphs = max(1, CHUNK // (nodes * nodes * hidden))
    some = nodes if graphs > 1 else max(1, min(nodes, CHUNK // (nodes * hidden)))
    for b in range(0, batch, graphs):
        for r in range(0, nodes, some):
            yield slice(b, b + graphs), slice(r, r + some)


def cut(edges: Shaped[Tensor, "batch senders receivers *rest"] | None, chunk: Chunk) -> Tensor | None:
    """The part of an edge tensor that belongs to a chunk."""
    return None if edges is None else edges[chunk[0], :, chunk[1]]


def transposed(weight: Float[Tensor, "hidden channels"] | None) -> Float[Tensor, "channels hidden"] | None:
    """A map of few channels, stored the other way round: products with it as it comes take three times as long."""
    return None if weight is None else weight.T.contiguous()


def mapped(
    channels: Float[Tensor, "batch senders receivers channels"], rows: Float[Tensor, "channels hidden"]
) -> Float[Tensor, "batch senders receivers hidden"]:
    """`channels @ rows` as one product: a cut is not contiguous, and would be multiplied in many small ones."""
    return (channels.flatten(0, 2) @ rows).view(*channels.shape[:3], -1)
