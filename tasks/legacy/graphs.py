"""Graphs, as the CLRS benchmark's package draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

Array = NDArray[Any]

Inputs = dict[str, Any]

_EDGE_PROBABILITIES = (0.5,)
_WEIGHT_FLOOR = 1e-3  # keeps the root of a product of two small uniforms from underflowing to "no edge"


def erdos_renyi(random: RandomState, size: int, *, weighted: bool) -> Array:
    """A symmetric matrix of an undirected graph, float64 `[size, size]`.

    A pair is an edge where both of its entries of a Bernoulli matrix are 1, so with the squared probability; a node may
    be its own neighbour. Weights are square roots of products of two uniforms.
    """
    # The package draws the probability from a list, here of one; numpy spends no random number on that.
    entries = random.binomial(1, random.choice(_EDGE_PROBABILITIES), size=(size, size))
    edges = (entries * entries.T).astype(np.float64)
    if not weighted:
        return edges
    uniform = random.uniform(size=(size, size))
    weights: Array = edges * np.sqrt(uniform * uniform.T + _WEIGHT_FLOOR)
    return weights


def graph_and_source(random: RandomState, size: int) -> Inputs:
    """A plain graph, and a node of it."""
    return {"A": erdos_renyi(random, size, weighted=False), "s": random.choice(size)}


def weighted_graph_and_source(random: RandomState, size: int) -> Inputs:
    """A weighted graph, and a node of it."""
    return {"A": erdos_renyi(random, size, weighted=True), "s": random.choice(size)}


SAMPLERS = {
    "bellman_ford": weighted_graph_and_source,
    "bfs": graph_and_source,
}
