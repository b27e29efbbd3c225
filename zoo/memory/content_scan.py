"""Content addressing in a hand-written scan: its derivative, and what all such scans need.

The memory is transposed here, `[B, W, N]`: slots are the fast axis of every product and sum.
`zoo.memory.addressing.content_weighting` is the same mathematics.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


def by_step(*columns: Tensor) -> list[tuple[Tensor, ...]]:
    """For each step, its slice of every tensor; made at once, for a view costs as much as a small operator."""
    return list(zip(*(column.unbind(0) for column in columns), strict=True))


def softmax_backward(gradient: Tensor, softmax: Tensor) -> Tensor:
    """Derivative of a softmax over the last axis, from its result."""
    return torch._softmax_backward_data(gradient, softmax, gradient.dim() - 1, gradient.dtype)


def slot_scales(memory: Tensor, epsilon: float, out: Tensor) -> Tensor:
    """Inverse length of every slot, `[B, 1, N]`."""
    return torch.sum(memory.square(), 1, keepdim=True, out=out).add_(epsilon).rsqrt_()


def scale_keys(keys: Tensor, strengths: Tensor, epsilon: float) -> Tensor:
    """Keys `[B, H, W]` of length one, times their strengths `[B, H]`."""
    return keys * (strengths * keys.square().sum(2).add_(epsilon).rsqrt_())[:, :, None]


class KeyRow(NamedTuple):
    """What the way back needs of a step's keys."""

    keys: Tensor
    scaled: Tensor
    """Times strength over length."""
    key_scale: Tensor
    """Inverse lengths, `[B, H]`."""
    strength_scale: Tensor
    """Strengths over lengths."""
    shrink: Tensor
    """Strengths over cubes of lengths, for the derivative of the length."""


def key_rows(keys: Tensor, strengths: Tensor, epsilon: float) -> list[KeyRow]:
    """Of keys `[L, B, H, W]` and strengths `[L, B, H]`, step by step."""
    key_scale = torch.rsqrt(keys.square().sum(3) + epsilon)
    strength_scale = strengths * key_scale
    columns = (keys, keys * strength_scale[..., None], key_scale, strength_scale, strength_scale * key_scale.square())
    return [KeyRow(*row) for row in by_step(*columns)]


def keys_backward(d_scaled: Tensor, row: KeyRow, d_keys: Tensor, d_strengths: Tensor) -> None:
    """From the gradient of scaled keys to those of keys and strengths, written in place."""
    along = (d_scaled * row.keys).sum(2)
    torch.mul(along, row.key_scale, out=d_strengths)
    torch.mul(d_scaled, row.strength_scale[:, :, None], out=d_keys)
    d_keys.addcmul_(row.keys, along.mul_(row.shrink)[:, :, None], value=-1)


def content_backward(
    d_content: Tensor,
    d_memory: Tensor,
    *,
    content: Tensor,
    scores: Tensor,
    scaled: Tensor,
    memory: Tensor,
    slot_scale: Tensor,
) -> Tensor:
    """Through a content weighting: returns the gradient of the scaled keys, adds to `d_memory` in place."""
    d_scores = softmax_backward(d_content, content)
    pull = (d_scores * scores).sum(1, keepdim=True).mul_(slot_scale).mul_(slot_scale)
    d_dots = d_scores.mul_(slot_scale)
    d_memory.addcmul_(memory, pull, value=-1)
    d_memory.baddbmm_(scaled.transpose(1, 2), d_dots)
    return torch.bmm(d_dots, memory.transpose(1, 2))
