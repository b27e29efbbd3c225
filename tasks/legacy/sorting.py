"""Keys to sort and to search, as the CLRS benchmark's package draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import RandomState

Inputs = dict[str, Any]


def uniform_keys(random: RandomState, size: int) -> Inputs:
    """Keys from U[0, 1)."""
    return {"key": random.uniform(size=size)}


def sorted_keys_and_target(random: RandomState, size: int) -> Inputs:
    """Ascending keys from U[0, 1), and what to search for, from U[0, 1) too."""
    return {"key": np.sort(random.uniform(size=size)), "target": random.uniform()}


SAMPLERS = {
    "binary_search": sorted_keys_and_target,
    "bubble_sort": uniform_keys,
    "heapsort": uniform_keys,
    "insertion_sort": uniform_keys,
    "minimum": uniform_keys,
    "quickselect": uniform_keys,
    "quicksort": uniform_keys,
}
