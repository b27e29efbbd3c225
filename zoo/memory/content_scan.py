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


def softmax_backward(gradient: Tensor, softmax: Tensor, dim: int = -1) -> Tensor:
    """Derivative of a softmax, from its result."""
    return torch._softmax_backward_data(gradient, softmax, dim, gradient.dtype)


def slot_scales(memory: Tensor, epsilon: float, out: Tensor) -> Tensor:
    """Inverse length of every slot, `[B, 1, N]`."""
    return torch.sum(memory.square(), 1, keepdim=True, out=out).add_(epsilon).rsqrt_()


def scale_keys(keys: Tensor, strengths: Tensor, epsilon: float) -> Tensor:
    """Keys `[B, H, W]` of length one, times their strengths `[B, H, 1]`."""
    return keys * keys.square().sum(2, keepdim=True).add_(epsilon).rsqrt_().mul_(strengths)


class KeyRow(NamedTuple):
    """What the way back needs of a step's keys, `[B, H, W]`."""

    unit: Tensor
    """Of length one."""
    scaled: Tensor
    """Times their strengths."""
    factor: Tensor
    """Strengths over lengths, `[B, H, 1]`: what a key was scaled by."""
    steered: Tensor
    """The unit keys times that factor."""


def key_rows(keys: Tensor, strengths: Tensor, epsilon: float) -> list[KeyRow]:
    """Of keys `[L, B, H, W]` and strengths `[L, B, H, 1]`, step by step."""
    scale = torch.rsqrt(keys.square().sum(3, keepdim=True) + epsilon)
    unit, factor = keys * scale, strengths * scale
    return [KeyRow(*row) for row in by_step(unit, unit * strengths, factor, unit * factor)]


def keys_backward(d_scaled: Tensor, row: KeyRow, d_keys: Tensor, d_strengths: Tensor) -> None:
    """From the gradient of scaled keys to those of keys and strengths, written in place."""
    along = torch.sum(d_scaled * row.unit, 2, keepdim=True, out=d_strengths)
    torch.mul(d_scaled, row.factor, out=d_keys).addcmul_(row.steered, along, value=-1)


def slot_pulls(scores: Tensor, slot_scale: Tensor) -> Tensor:
    """Derivative of the scores by the square of a slot's length, up to the factor -1/2 that they share."""
    return scores * slot_scale.square()


def content_backward(
    d_content: Tensor,
    d_memory: Tensor,
    *,
    content: Tensor,
    pulls: Tensor,
    scaled: Tensor,
    memory: Tensor,
    memory_transposed: Tensor,
    slot_scale: Tensor,
) -> Tensor:
    """Through a content weighting: returns the gradient of the scaled keys, adds to `d_memory` in place."""
    d_scores = softmax_backward(d_content, content)
    pull = d_scores * pulls
    if pull.shape[1] > 1:
        pull = pull.sum(1, keepdim=True)
    d_dots = d_scores.mul_(slot_scale)
    d_memory.addcmul_(memory, pull, value=-1).baddbmm_(scaled.transpose(1, 2), d_dots)
    return torch.bmm(d_dots, memory_transposed)
