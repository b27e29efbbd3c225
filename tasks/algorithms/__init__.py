"""Algorithms of the CLRS benchmark, one module each."""

from tasks.algorithms import (
    bellman_ford,
    bfs,
    binary_search,
    bubble_sort,
    heapsort,
    insertion_sort,
    minimum,
    quickselect,
    quicksort,
)

__all__ = [
    "bellman_ford",
    "bfs",
    "binary_search",
    "bubble_sort",
    "heapsort",
    "insertion_sort",
    "minimum",
    "quickselect",
    "quicksort",
]
