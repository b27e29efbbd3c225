"""Noise that depends on what it is for, not on when it is drawn.

Every draw is a hash of (seed, step, stream, sample, position), so that a sample meets the same noise whichever
process, batch or device it is in: two half batches then equal the whole, and a resumed run the uninterrupted one.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Multipliers of the SplitMix64 finaliser (Steele, Lea & Flood, OOPSLA 2014), as signed 64-bit integers.
_FIRST, _SECOND, _GOLDEN = -4658895280553007687, -7723592293110705685, -7046029254386353131
_STRIDE = 1 << 21  # more than any axis is long
_BITS = 23  # as many as a float32 below 1 keeps exactly once half a unit is added


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's finaliser; shifts are made logical by masking the sign's copies."""
    x = (x ^ ((x >> 30) & ((1 << 34) - 1))) * _FIRST
    x = (x ^ ((x >> 27) & ((1 << 37) - 1))) * _SECOND
    return x ^ ((x >> 31) & ((1 << 33) - 1))


def uniform(
    seed: int, step: int, stream: int, index: Int[Tensor, " batch"], shape: tuple[int, ...] = ()
) -> Float[Tensor, "batch *shape"]:
    """Numbers in (0, 1), keyed by everything that is passed.

    Args:
        seed: of the run.
        step: training step.
        stream: what the numbers are for; different uses take different streams.
        index: number of each sample.
        shape: how many a sample.

    Returns:
        float32, on the device of `index`; never 0 nor 1.
    """
    state = torch.zeros((), dtype=torch.int64)
    for part in (seed, step, stream):
        state = _mix((state ^ part) * _GOLDEN + _GOLDEN)
    sample = _mix(index.long() * _GOLDEN + int(state))
    # Positions are numbered the same whatever the shape, so that padding changes nothing.
    position = torch.ones((), dtype=torch.int64, device=index.device)
    for size in shape:
        position = position[..., None] * _STRIDE + torch.arange(size, device=index.device)
    bits = _mix(sample.reshape(-1, *(1,) * len(shape)) + position * _GOLDEN)
    top = (bits >> (64 - _BITS)) & ((1 << _BITS) - 1)
    return (top.float() + 0.5) / (1 << _BITS)


def gumbel(
    seed: int, step: int, stream: int, index: Int[Tensor, " batch"], shape: tuple[int, ...]
) -> Float[Tensor, "batch *shape"]:
    """Standard Gumbel noise, keyed like `uniform`."""
    return -torch.log(-torch.log(uniform(seed, step, stream, index, shape)))
