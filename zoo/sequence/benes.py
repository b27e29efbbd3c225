"""The wiring of a Beneš network: padding to a power of two, and cyclic shifts of the digits of positions.

Positions are written in base `radix`: 2 for a sequence of pairs, 4 for a matrix in Z-order.
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor


def power_of_two(length: int) -> int:
    """The least power of two that is at least `length`, and at least 2."""
    return max(2, 1 << (length - 1).bit_length())


def padded(sequence: Float[Tensor, "batch length hidden"]) -> Float[Tensor, "batch padded hidden"]:
    """The sequence with zeros behind it, up to a power of two."""
    length = sequence.shape[1]
    return F.pad(sequence, (0, 0, 0, power_of_two(length) - length))


def rotate_left(sequence: Float[Tensor, "batch length hidden"], radix: int = 2) -> Float[Tensor, "batch length hidden"]:
    """Token at position x comes from the position with the digits of x rotated left by one; length `radix`^k."""
    return rearrange(sequence, "batch (rest digit) hidden -> batch (digit rest) hidden", digit=radix)


def rotate_right(
    sequence: Float[Tensor, "batch length hidden"], radix: int = 2
) -> Float[Tensor, "batch length hidden"]:
    """The inverse of `rotate_left`."""
    return rearrange(sequence, "batch (digit rest) hidden -> batch (rest digit) hidden", digit=radix)
