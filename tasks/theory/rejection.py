"""Inputs drawn until they are what a task wants, each sample from its own stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators

Array = NDArray[Any]

# Rows that one pass draws for each sample that still waits: few at first, as most are soon served.
_FIRST, _MOST = 4, 256
_ROUNDS = 2000
_ROUND = 1 << 16  # apart the purposes of two rounds, above all other purposes


def accepted(
    seed: np.uint64, index: Array, width: int, accept: Callable[[Array, Array], Array], purpose: int = generators.DATA
) -> Array:
    """For each sample, the first of its rows of uniform draws that is accepted.

    Args:
        seed: the stream of samples.
        index: number of each sample in it, `[batch]`.
        width: draws a row; it must be a function of the sample alone.
        accept: takes rows `[rows, width]` and whose they are, positions in the batch `[rows]`; gives bool `[rows]`.
        purpose: of the draws.

    Returns:
        Draws from U[0, 1), float64 `[batch, width]`.

    Raises:
        ValueError: half a million rows of one sample were all refused.
    """
    found = np.empty((len(index), width))
    waiting = np.arange(len(index))
    tries = _FIRST
    for attempt in range(_ROUNDS):
        if not len(waiting):
            return found
        counts = np.full(len(waiting), tries * width)
        rows = generators.uniforms(seed, index[waiting], counts, tries * width, purpose + attempt * _ROUND)
        rows = rows.reshape(-1, width)
        good = accept(rows, np.repeat(waiting, tries)).reshape(-1, tries)
        served = good.any(1)
        found[waiting[served]] = rows.reshape(-1, tries, width)[served, good[served].argmax(1)]
        waiting = waiting[~served]
        tries = min(2 * tries, _MOST)
    raise ValueError(f"none of {_ROUNDS * _MOST} draws of a sample is what the task wants: such samples are too rare")
