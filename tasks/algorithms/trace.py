"""What an algorithm recorded, and the parts of a trace that many algorithms share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Trace(NamedTuple):
    """A trace of a batch.

    Attributes:
        lengths: hint frames of each sample, int64 `[batch]`, at least 1.
        hints: by probe name, `[frames, …]`; zero past a sample's own length.
        outputs: by probe name, `[…]`.
    """

    lengths: Array
    hints: dict[str, Array]
    outputs: dict[str, Array]


def chain(sizes: Array, nodes: int) -> Array:
    """The order of the nodes as pointers: each to the one before it, the first to itself; int32 `[batch, nodes]`."""
    before = np.maximum(np.arange(nodes, dtype=np.int32) - 1, 0)
    return np.where(np.arange(nodes) < sizes[:, None], before, np.int32(0))


def repeated(value: Array, lengths: Array) -> Array:
    """The same value `[batch, …]` in every frame of each sample, `[frames, batch, …]`."""
    alive = np.arange(lengths.max())[:, None] < lengths
    frames: Array = np.where(alive.reshape(*alive.shape, *[1] * (value.ndim - 1)), value, np.zeros((), value.dtype))
    return frames


def final(hint: Array, lengths: Array) -> Array:
    """A hint `[frames, batch, …]` in the last frame of each sample, `[batch, …]`."""
    last: Array = hint[lengths - 1, np.arange(len(lengths))]
    return last
