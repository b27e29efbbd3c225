"""Weights of edges drawn uniformly from a range, in place of those that a graph was sampled with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.graph_task import Graphs, pairs, reversed_values
from tasks.task import Draw

Array = NDArray[Any]


def reweighted(
    draw: Draw, graphs: Graphs, low: Array | float, high: Array | float, *, symmetric: bool = True
) -> Graphs:
    """The same graphs without edges from a node to itself, the others' weights drawn from U[low, high).

    Args:
        draw: whose graphs they are.
        graphs: entries of value 0 are no edges.
        low: the least weight, above 0, or that of each sample, `[batch]`.
        high: the largest one, likewise.
        symmetric: whether an edge weighs the same in both directions, which asks for undirected graphs; otherwise each
            direction has a weight of its own.

    Returns:
        The graphs, with weights that single precision can hold.
    """
    graph, sender, receiver = pairs(graphs)
    drawn = (graphs.values != 0) & ((sender < receiver) if symmetric else (sender != receiver))
    counts = np.bincount(graph[drawn], minlength=len(graphs.sizes))
    uniforms = generators.flat_uniforms(draw.seed, draw.index, counts, generators.OPERATION)
    least, most = (np.broadcast_to(each, graphs.sizes.shape)[graph[drawn]] for each in (low, high))
    values = np.zeros(len(graphs.values))
    values[drawn] = (least + (most - least) * uniforms).astype(np.float32)
    fresh = graphs._replace(values=values)
    if not symmetric:
        return fresh
    return fresh._replace(values=np.where(sender < receiver, values, reversed_values(fresh)))
