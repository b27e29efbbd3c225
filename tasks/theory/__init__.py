"""Tasks of papers on what networks can learn to reason about, extrapolate to, and execute in parallel."""

from tasks.theory import (
    bfs_bellman_ford,
    divide_and_conquer_components,
    furthest_pair,
    maximum_degree,
    maximum_value_difference,
    monster_trainer,
    odd_even_transposition_sort,
    parallel_search,
    shortest_path_length,
    subset_sum,
    three_hop_shortest_path,
)

__all__ = [
    "bfs_bellman_ford",
    "divide_and_conquer_components",
    "furthest_pair",
    "maximum_degree",
    "maximum_value_difference",
    "monster_trainer",
    "odd_even_transposition_sort",
    "parallel_search",
    "shortest_path_length",
    "subset_sum",
    "three_hop_shortest_path",
]
