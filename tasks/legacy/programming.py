"""Inputs of dynamic programming, divide and conquer, and greedy choice, as the CLRS benchmark's package draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import RandomState

Inputs = dict[str, Any]

_LETTERS = 4


def signed_keys(random: RandomState, size: int) -> Inputs:
    """Keys from U[-1, 1)."""
    return {"key": random.uniform(low=-1.0, high=1.0, size=size)}


def matrix_sizes(random: RandomState, size: int) -> Inputs:
    """Numbers of rows and columns, not whole, from U[0, 1)."""
    return {"p": random.uniform(size=size)}


def two_strings(random: RandomState, size: int) -> Inputs:
    """Two random strings, `size` letters in all, the first the longer by one if that is odd."""
    second = size // 2
    lengths = (size - second, second)
    key = np.concatenate([random.randint(0, high=_LETTERS, size=length) for length in lengths])
    return {"string": np.repeat([0, 1], lengths), "key": key}


def search_probabilities(random: RandomState, size: int) -> Inputs:
    """Probabilities of keys, with a zero behind them, and of the gaps around them: uniform draws over their sum."""
    drawn = random.uniform(size=2 * size + 1)
    drawn /= np.sum(drawn)
    return {"p": np.append(drawn[:size], 0.0), "q": drawn[size:]}


def activities(random: RandomState, size: int) -> Inputs:
    """Starts and finishes: the lower and the higher of two draws from U[0, 1)."""
    one, other = random.uniform(size=size), random.uniform(size=size)
    return {"s": np.minimum(one, other), "f": np.maximum(one, other)}


def deadlines_and_weights(random: RandomState, size: int) -> Inputs:
    """Deadlines from 1 to `size`, and weights from U[0, 1)."""
    deadlines = random.randint(0, high=size, size=size) + 1
    return {"d": deadlines, "w": random.uniform(size=size)}


SAMPLERS = {
    "activity_selector": activities,
    "find_maximum_subarray_kadane": signed_keys,
    "lcs_length": two_strings,
    "matrix_chain_order": matrix_sizes,
    "optimal_bst": search_probabilities,
    "task_scheduling": deadlines_and_weights,
}
