"""Dense batches in chunks that stay in the cache, for what is written with its derivative by hand.

On a CPU, a tensor of the size `[batch, senders, receivers, hidden]` costs more to bring from memory and back than to
compute; a chunk of one does not leave the cache between operators.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

HAS_NUMBA = importlib.util.find_spec("numba") is not None
KERNEL_DTYPES = frozenset({torch.float32, torch.float64})

# Elements of a chunk: 1 MiB of float32, which leaves room in a second-level cache.
CHUNK = 2**18
# The same where a cache does not matter but the number of operators does: 256 MiB.
LARGE_CHUNK = 2**26

Chunk = tuple[slice, slice]
"""Graphs and receivers."""


def by_hand(like: Tensor) -> bool:
    """Whether the hand-written form may run, and pays: on a CPU, and where `in_chunks` allows it."""
    return like.device.type == "cpu" and in_chunks(like)


def in_chunks(like: Tensor) -> bool:
    """Whether the hand-written form may run: outside compiler, autocast and function transforms."""
    return not (
        torch.compiler.is_compiling()
        or torch.is_autocast_enabled(like.device.type)
        or torch._C._are_functorch_transforms_active()
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


def differentiable(
    ctx: Any, plain: Callable[..., Tensor], grad: Tensor, *inputs: Tensor | None
) -> tuple[Tensor | None, ...]:
    """The derivative in ordinary operators, so that it has one itself."""
    wanted = [t for t, need in zip(inputs, ctx.needs_input_grad, strict=True) if need and t is not None]
    with torch.enable_grad():
        found = iter(torch.autograd.grad(plain(*inputs), wanted, grad, create_graph=True))
    return tuple(next(found) if need else None for need in ctx.needs_input_grad)
