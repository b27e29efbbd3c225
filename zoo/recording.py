"""What a processor can tell of its own doing: named tensors of one pass, declared before they are recorded.

A processor or a cell lists its `tracks`, the meaning and axes of everything it can record, and records them when asked
to (`Processor.record`, `Cell.record`), on a path of their own: a step that is not recorded does no more work for it.
Whoever draws a record goes by kinds and axes, never by a processor's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor

Record = Mapping[str, Tensor]
"""Recorded tensors by the name of their track; `[batch, *axes]` each, padding included."""


class Kind(StrEnum):
    """What the numbers of a track are."""

    WEIGHTING = "weighting"  # over the last axis: at least 0, in sum at most 1
    VECTOR = "vector"  # any numbers
    GATE = "gate"  # from 0 to 1
    CHOICE = "choice"  # shares of the alternatives on the last axis, in sum 1
    MATRIX = "matrix"  # a square of the last two axes, entries from 0 to 1
    SHARES = "shares"  # how much of what a receiver heard each sender supplied; over senders in sum 1, or 0
    POINTER = "pointer"  # the local index of a node
    MASK = "mask"  # yes or no


@dataclass(frozen=True)
class Track:
    """One quantity that can be recorded.

    Attributes:
        kind: what its numbers are.
        axes: of one sample's tensor, in order. `tokens` is time within a step; `reads`, `writes` and `heads` (reads,
            then writes) are heads of a memory; `senders` and `receivers` are the two ends of an edge.
        meaning: one line about it.
        labels: names of the entries of the last axis, where they have some.
        drawn: whether it belongs in a figure; otherwise it is an array only.
    """

    kind: Kind
    axes: tuple[str, ...]
    meaning: str
    labels: tuple[str, ...] = ()
    drawn: bool = True
