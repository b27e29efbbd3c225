"""Whole numbers in as few bits as they need, in sections that each begin with a whole byte."""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Bool, Integer
from torch import Tensor

WIDTHS = (1, 2, 4, 8, 16, 32, 64)
"""Bits that a number may take."""
DTYPES = {8: torch.uint8, 16: torch.int16, 32: torch.int32, 64: torch.int64}
"""Of numbers of 8 bits and more; those of fewer lie in bytes, lowest bits first."""
# As wide as the bytes that unfold into, or fold into, one byte of numbers of this width.
_WORDS = {1: torch.int64, 2: torch.int32, 4: torch.int16}


def width_of(highest: int) -> int:
    """Bits for numbers from 0 to `highest`, of those in `WIDTHS`; torch computes with signed ones from 16 bits on."""
    return next(width for width in WIDTHS if highest < 2 ** (width - (width > 8)))


def stored(counts: Integer[Tensor, " sections"], width: int) -> Integer[Tensor, " sections"]:
    """Elements that sections of so many numbers take: bytes, or numbers if they have 8 bits or more."""
    return counts if width >= 8 else (counts * width + 7) // 8


def fold(
    numbers: Integer[Tensor, " count"] | Bool[Tensor, " count"], counts: Integer[Tensor, " sections"], width: int
) -> Integer[Tensor, " stored"]:
    """Numbers in few bits.

    Args:
        numbers: from 0 to below `2 ** width`, section after section.
        counts: how many numbers each section has.
        width: bits a number, one of `WIDTHS`.
    """
    if width >= 8:
        return numbers.to(DTYPES[width])
    every = 8 // width
    small, total = numbers.to(torch.uint8), int(stored(counts, width).sum()) * every
    if total != len(small):
        spread = small.new_zeros(total)
        spread[_places(counts, width, len(small))] = small
        small = spread
    # The factor brings every byte's low bits to their place in the highest byte; no two products share a bit.
    top = 8 * (every - 1)
    factor = sum(1 << (top - (8 - width) * k) for k in range(every))
    words = small.view(_WORDS[width]) * factor
    return (words >> top).to(torch.uint8)


def unfold(
    kept: Integer[Tensor, " stored"], counts: Integer[Tensor, " sections"], width: int, total: int
) -> Integer[Tensor, " count"]:
    """What `fold` folded; no device is waited for.

    Args:
        kept: as `fold` returned it.
        counts: as given to `fold`, on the device of `kept`.
        width: as given to `fold`.
        total: sum of the counts.

    Returns:
        uint8 numbers, or those of `DTYPES` from 8 bits on.
    """
    if width >= 8:
        return kept
    numbers = _table(width, kept.device).index_select(0, kept.int()).view(torch.uint8)
    return numbers if len(numbers) == total else numbers[_places(counts, width, total)]


def ranges(
    first: Integer[Tensor, " parts"], counts: Integer[Tensor, " parts"], total: int
) -> Integer[Tensor, " total"]:
    """`first[0], first[0] + 1, …, first[1], …`: so many consecutive numbers from each first one on."""
    shift = first - (counts.cumsum(0) - counts)
    return torch.arange(total, device=counts.device) + torch.repeat_interleave(shift, counts, output_size=total)


def _places(counts: Tensor, width: int, total: int) -> Tensor:
    """Where in whole bytes' numbers each number stands."""
    room = stored(counts, width) * (8 // width)
    return ranges(room.cumsum(0) - room, counts, total)


@cache
def _table(width: int, device: torch.device) -> Tensor:
    """The numbers of every byte, one number a byte, in one word."""
    shifts = torch.arange(0, 8, width)
    numbers = (torch.arange(256)[:, None] >> shifts) & (2**width - 1)
    return numbers.to(torch.uint8).view(_WORDS[width]).flatten().to(device)
