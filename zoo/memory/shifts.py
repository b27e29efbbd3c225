"""Memories that move as a whole: one place down to take in a new top, one place up to lose it."""

from __future__ import annotations

import torch
from torch import Tensor


def pushed(memory: Tensor, top: Tensor, *, dim: int) -> Tensor:
    """The memory one place down along `dim`, under a new top; the last entry is lost.

    Args:
        memory: entries from the top down along `dim`.
        top: the new first entry, without that axis.
        dim: the axis of the slots.
    """
    return torch.cat([top.unsqueeze(dim), memory.narrow(dim, 0, memory.shape[dim] - 1)], dim)


def popped(memory: Tensor, *, empty: float, dim: int) -> Tensor:
    """The memory one place up along `dim`, without its top; `empty` comes in at the other end."""
    last = torch.full_like(memory.narrow(dim, 0, 1), empty)
    return torch.cat([memory.narrow(dim, 1, memory.shape[dim] - 1), last], dim)
