"""Low points of a depth-first search of an undirected graph (Hopcroft and Tarjan, 1973)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.depth_first import ENTER, LEAVE, LOOK, PUSH, Search, seconds
from tasks.kernel import kernel

Array = NDArray[Any]


class LowPoints(NamedTuple):
    """Low points of a search that looks back, and what follows from them, event by event.

    The low point of a node is the earliest time at which a node was entered that it or its descendants in the tree of
    the search see by an edge outside of the tree.
    """

    low: Array  # ticks [events]: low point of u as known after the event, final once u is left
    rise: Array  # ticks [events]: of u when left, its low point less the time its parent was entered
    children: Array  # [events]: of u after a push, how many it has


def low_points(search: Search) -> LowPoints:
    """Low points of a search made with `look_back`."""
    return LowPoints(*_low_points(search.log, search.ticks, search.lengths, search.sizes))


def low_hint(search: Search, points: LowPoints) -> Array:
    """Low points of the nodes as times, float32 `[T, width]`."""
    known = search.events(ENTER, LOOK, LEAVE)
    zero = np.zeros(search.width, np.float32)
    return search.held(zero, known, search.place(search.u)[known], seconds(points.low[known]))


@kernel
def _low_points(log, ticks, lengths, sizes):
    """See `LowPoints`; int64 `[events]` each."""
    low = np.zeros(len(log), np.int64)
    rise = np.zeros(len(log), np.int64)
    children = np.zeros(len(log), np.int64)
    e = 0
    for b in range(len(sizes)):
        n = sizes[b]
        entered = np.zeros(n, np.int64)
        lowest = np.zeros(n, np.int64)
        below = np.zeros(n, np.int64)  # lowest of the children left so far
        degree = np.zeros(n, np.int64)
        parent = np.arange(n)
        for _ in range(lengths[b]):
            kind, u, v = log[e, 0], log[e, 2], log[e, 3]
            if kind == ENTER:
                entered[u] = lowest[u] = below[u] = ticks[e]
            elif kind == PUSH:
                parent[v] = u
                degree[u] += 1
                children[e] = degree[u]
            elif kind == LOOK:
                lowest[u] = min(lowest[u], entered[v])
            elif kind == LEAVE:
                lowest[u] = min(lowest[u], below[u])
                above = parent[u]
                below[above] = min(below[above], lowest[u])
                rise[e] = lowest[u] - entered[above]
            low[e] = lowest[u]
            e += 1
    return low, rise, children
