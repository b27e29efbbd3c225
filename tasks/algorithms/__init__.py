"""Algorithms of the CLRS benchmark, one module each."""

from tasks.algorithms import bellman_ford, bfs, insertion_sort

__all__ = ["bellman_ford", "bfs", "insertion_sort"]
