"""Data structures: operations stream in, one a step."""

from tasks.structures import disjoint_set, link_cut_tree

__all__ = ["disjoint_set", "link_cut_tree"]
