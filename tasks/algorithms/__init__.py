"""Algorithms of the CLRS benchmark, one module each."""

from tasks.algorithms import (
    activity_selector,
    bellman_ford,
    bfs,
    binary_search,
    bubble_sort,
    find_maximum_subarray_kadane,
    heapsort,
    insertion_sort,
    lcs_length,
    matrix_chain_order,
    minimum,
    optimal_bst,
    quickselect,
    quicksort,
    task_scheduling,
)

__all__ = [
    "activity_selector",
    "bellman_ford",
    "bfs",
    "binary_search",
    "bubble_sort",
    "find_maximum_subarray_kadane",
    "heapsort",
    "insertion_sort",
    "lcs_length",
    "matrix_chain_order",
    "minimum",
    "optimal_bst",
    "quickselect",
    "quicksort",
    "task_scheduling",
]
