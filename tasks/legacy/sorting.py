"""Keys to sort and to search, as the CLRS benchmark's package draws them."""

from __future__ import annotations

from typing import Any

from numpy.random import RandomState

Inputs = dict[str, Any]


def uniform_keys(random: RandomState, size: int) -> Inputs:
    """Keys from U[0, 1)."""
    return {"key": random.uniform(size=size)}


SAMPLERS = {
    "insertion_sort": uniform_keys,
}
