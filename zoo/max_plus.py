"""Linear maps and products of matrices of the max-plus algebra, in which + is the maximum and × the sum.

A linear map, `y_c = max_k (x_k + w_ck)`, keeps order: where no x falls, no y does. And it passes through maxima,
`f(max(x, x')) = max(f(x), f(x'))`, which an ordinary one does through sums.

All sums at once are built in chunks (`zoo.chunks`), in the derivative once more, and not kept. The plain functions are
the same in ordinary operators: the reference in tests, and what runs under the compiler and where a derivative of the
derivative is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from zoo.chunks import CHUNK, LARGE_CHUNK, Chunk, differentiable, in_chunks


def max_plus(
    values: Float[Tensor, "*rows inputs"], weight: Float[Tensor, "outputs inputs"]
) -> Float[Tensor, "*rows outputs"]:
    """`max_k (values_k + weight_ck)` for every output c; ties share the gradient evenly.

    Args:
        values: rows of any shape.
        weight: one row an output.
    """
    dtype = torch.promote_types(values.dtype, weight.dtype)  # under autocast they may differ
    values, weight = values.to(dtype), weight.to(dtype)
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return max_plus_plain(values, weight)
    result: Tensor = _MaxPlus.apply(values, weight)
    return result


def max_plus_plain(values: Tensor, weight: Tensor) -> Tensor:
    """`max_plus` in ordinary operators."""
    return (values.unsqueeze(-2) + weight).amax(-1)


def max_plus_product(
    left: Float[Tensor, "batch channels i m"], right: Float[Tensor, "batch channels m j"]
) -> Float[Tensor, "batch channels i j"]:
    """`max_m (left_im + right_mj)`, a product of matrices for every channel; ties share the gradient evenly.

    Args:
        left: the first factors; -inf takes an m out of a row's maxima.
        right: the second ones.
    """
    if not in_chunks(left):
        return max_plus_product_plain(left, right)
    result: Tensor = _Product.apply(left, right)
    return result


def max_plus_product_plain(left: Tensor, right: Tensor) -> Tensor:
    """`max_plus_product` in ordinary operators."""
    return (left.unsqueeze(-1) + right.unsqueeze(-3)).amax(-2)


class _MaxPlus(torch.autograd.Function):
    """See `max_plus`."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor) -> Tensor:
        best = values.new_empty(*values.shape[:-1], weight.shape[0])
        rows, tops = values.flatten(0, -2), best.flatten(0, -2)
        for part in _chunks(rows, weight):
            tops[part] = max_plus_plain(rows[part], weight)
        ctx.save_for_backward(values, weight, best)
        return best

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        values, weight, best = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(ctx, max_plus_plain, grad, values, weight)
        to_values, to_weight = torch.empty_like(values, memory_format=torch.contiguous_format), torch.zeros_like(weight)
        rows, tops, grads, to_rows = (t.flatten(0, -2) for t in (values, best, grad, to_values))
        for part in _chunks(rows, weight):
            won = rows[part].unsqueeze(-2) + weight == tops[part].unsqueeze(-1)
            d = torch.where(won, (grads[part] / won.sum(-1)).unsqueeze(-1), 0.0)
            to_rows[part] = d.sum(1)
            to_weight += d.sum(0)
        return to_values, to_weight


def _chunks(rows: Tensor, weight: Tensor) -> Iterator[slice]:
    """Some rows each, as many as a chunk holds."""
    some = max(1, (CHUNK if rows.device.type == "cpu" else LARGE_CHUNK) // weight.numel())
    for start in range(0, rows.shape[0], some):
        yield slice(start, start + some)


class _Product(torch.autograd.Function):
    """See `max_plus_product`; in chunks of rows of the first factors."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        best = left.new_empty(*left.shape[:3], right.shape[3])
        for b, i in _rows(left, right):
            best[b, :, i] = max_plus_product_plain(left[b, :, i], right[b])
        ctx.save_for_backward(left, right, best)
        return best

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        left, right, best = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(ctx, max_plus_product_plain, grad, left, right)
        to_left, to_right = torch.empty_like(left), torch.zeros_like(right)
        for b, i in _rows(left, right):
            won = left[b, :, i].unsqueeze(-1) + right[b].unsqueeze(-3)
            won = won.eq_(best[b, :, i].unsqueeze(-2))
            won.mul_((grad[b, :, i] / won.sum(-2)).unsqueeze(-2))
            to_left[b, :, i] = won.sum(-1)
            to_right[b] += won.sum(-3)
        return to_left, to_right


def _rows(left: Tensor, right: Tensor) -> Iterator[Chunk]:
    """Chunks of a batch and of the rows of its first factors: as many sums, with all channels, as a chunk holds."""
    most = CHUNK if left.device.type == "cpu" else LARGE_CHUNK
    a_row = left.shape[1] * right.shape[2] * right.shape[3]
    some = max(1, most // max(1, a_row))
    graphs = max(1, some // left.shape[2])
    for b in range(0, left.shape[0], graphs):
        for i in range(0, left.shape[2], some):
            yield slice(b, b + graphs), slice(i, i + some)
