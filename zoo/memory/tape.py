"""What the hand-written scans do with their tapes: named tuples of tensors, time leading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def by_step(*columns: Tensor) -> list[tuple[Tensor, ...]]:
    """For each step, its slice of every tensor; made at once, for a view costs as much as a small operator."""
    return list(zip(*(column.unbind(0) for column in columns), strict=True))


def arrays(tape: Any) -> Any:
    """The same tape as arrays, on the same memory, for the kernels."""
    return type(tape)(*(column.numpy() for column in tape))


def stand_still(states: Sequence[Tensor], step: int) -> None:
    """Set the states after a step to those before it, each where its tensor keeps them in turn."""
    for state in states:
        state[(step + 1) % len(state)].copy_(state[step % len(state)])


def all_valid(mask: Tensor | None, xs: Tensor) -> Tensor:
    """The mask of tokens `xs`, `[L, B]`; true everywhere where there is none."""
    if mask is None:
        return torch.ones(xs.shape[:2], dtype=torch.bool)
    return mask.t().contiguous()
