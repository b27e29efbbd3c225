"""Graphs, as the CLRS benchmark's package draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

Array = NDArray[Any]

Inputs = dict[str, Any]

_WEIGHT_FLOOR = 1e-3  # keeps the root of a product of two small uniforms from underflowing to "no edge"
_PARTS = 4  # of a graph of communities


def erdos_renyi(
    random: RandomState,
    size: int,
    *,
    weighted: bool,
    probability: float = 0.5,
    directed: bool = False,
    acyclic: bool = False,
) -> Array:
    """The matrix of a random graph, float64 `[size, size]`, from a Bernoulli matrix.

    Undirected, a pair is an edge where both of its entries are 1, so with the squared probability. A node may be its
    own neighbour unless the graph is `acyclic` (and directed): that is the part above the diagonal, relabelled.
    Weights are uniform, of undirected edges square roots of products of two uniforms.
    """
    # The package draws the probability from a list, here of one; numpy spends no random number on that.
    entries = random.binomial(1, random.choice((probability,)), size=(size, size))
    if not directed:
        entries = entries * entries.T
    elif acyclic:
        label = random.permutation(size)
        entries = np.triu(entries, k=1)[label][:, label]
    edges: Array = entries.astype(np.float64)
    if weighted:
        uniform = random.uniform(size=(size, size))
        edges *= uniform if directed else np.sqrt(uniform * uniform.T + _WEIGHT_FLOOR)
    return edges


def graph_and_source(random: RandomState, size: int) -> Inputs:
    """A plain graph, and a node of it."""
    return {"A": erdos_renyi(random, size, weighted=False), "s": random.choice(size)}


def weighted_graph_and_source(random: RandomState, size: int) -> Inputs:
    """A weighted graph, and a node of it."""
    return {"A": erdos_renyi(random, size, weighted=True), "s": random.choice(size)}


def weighted_graph(random: RandomState, size: int) -> Inputs:
    """A weighted graph."""
    return {"A": erdos_renyi(random, size, weighted=True)}


def thin_weighted_graph(random: RandomState, size: int) -> Inputs:
    """A weighted graph of few edges."""
    return {"A": erdos_renyi(random, size, weighted=True, probability=0.2)}


def weighted_acyclic_graph_and_source(random: RandomState, size: int) -> Inputs:
    """A weighted directed graph without cycles, and a node of it."""
    return {"A": erdos_renyi(random, size, weighted=True, directed=True, acyclic=True), "s": random.choice(size)}


def directed_graph(random: RandomState, size: int) -> Inputs:
    """A plain directed graph."""
    return {"A": erdos_renyi(random, size, weighted=False, directed=True)}


def acyclic_graph(random: RandomState, size: int) -> Inputs:
    """A plain directed graph without cycles."""
    return {"A": erdos_renyi(random, size, weighted=False, directed=True, acyclic=True)}


def thin_graph(random: RandomState, size: int) -> Inputs:
    """A plain graph of few edges."""
    return {"A": erdos_renyi(random, size, weighted=False, probability=0.2)}


def communities(random: RandomState, size: int) -> Inputs:
    """A plain directed graph of four parts, entries toggled here and there unless from a later part to an earlier."""
    if size < _PARTS:
        raise ValueError(f"the benchmark's graphs of {_PARTS} parts have at least as many nodes, not {size}")
    part = np.minimum(np.arange(size) // (size // _PARTS), _PARTS - 1)
    matrix = np.zeros((size, size), np.bool_)
    for k in range(_PARTS):
        inside = np.flatnonzero(part == k)
        matrix[np.ix_(inside, inside)] = erdos_renyi(random, len(inside), weighted=False, directed=True)
    toggled = erdos_renyi(random, size, weighted=False, probability=0.01, directed=True) > 0
    matrix ^= toggled & (part[:, None] <= part)
    label = random.permutation(size)
    return {"A": matrix[label][:, label].astype(np.float64)}


SAMPLERS = {
    "articulation_points": thin_graph,
    "bellman_ford": weighted_graph_and_source,
    "bfs": graph_and_source,
    "bridges": thin_graph,
    "dag_shortest_paths": weighted_acyclic_graph_and_source,
    "dfs": directed_graph,
    "dijkstra": weighted_graph_and_source,
    "floyd_warshall": weighted_graph,
    "mst_kruskal": thin_weighted_graph,
    "mst_prim": weighted_graph_and_source,
    "strongly_connected_components": communities,
    "topological_sort": acyclic_graph,
}
