"""Data structures: operations stream in, one a step."""

from tasks.structures import disjoint_set

__all__ = ["disjoint_set"]
