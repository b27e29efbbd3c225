"""Data structures: operations stream in, one a step."""

from tasks.structures import (
    binary_search_tree,
    deque,
    disjoint_set,
    link_cut_tree,
    persistent_range_minimum,
    priority_queue,
    queue,
    range_minimum,
    stack,
)

__all__ = [
    "binary_search_tree",
    "deque",
    "disjoint_set",
    "link_cut_tree",
    "persistent_range_minimum",
    "priority_queue",
    "queue",
    "range_minimum",
    "stack",
]
