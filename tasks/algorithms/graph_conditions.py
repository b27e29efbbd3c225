"""What algorithms on graphs ask of the graphs that a user gives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.graph_task import Graphs, pairs, reversed_values
from tasks.inputs import Inputs
from tasks.kernel import kernel

Array = NDArray[Any]


def require_undirected(given: Inputs, graphs: Graphs) -> None:
    """Refuse graphs whose matrix is not symmetric."""
    reverse = reversed_values(graphs)
    differs = np.flatnonzero(graphs.values != reverse)
    if len(differs):
        entry, way_back = _entry(graphs, differs[0]), float(reverse[differs[0]])
        raise given.fail("A", "a symmetric matrix (an undirected graph)", f"{entry} and {way_back} the other way")


def require_non_negative(given: Inputs, graphs: Graphs) -> None:
    """Refuse graphs with an edge of negative weight."""
    if graphs.values.min() < 0:
        raise given.fail("A", "no negative weights", _entry(graphs, graphs.values.argmin()))


def require_acyclic(given: Inputs, graphs: Graphs) -> None:
    """Refuse graphs with a directed cycle, a self-loop being one."""
    cyclic = _cyclic(graphs.row_starts, graphs.neighbours, graphs.values, graphs.sizes, graphs.offsets)
    if cyclic >= 0:
        raise given.fail("A", "a graph without directed cycles", f"one in sample {cyclic}")


def _entry(graphs: Graphs, k: Any) -> str:
    """An entry in words."""
    b, sender, receiver = (each[k] for each in pairs(graphs))
    return f"{graphs.values[k]} from node {sender} to node {receiver} in sample {b}"


@kernel
def _cyclic(row_starts, neighbours, values, sizes, offsets):
    """The first graph with a cycle, or -1: nodes that no edge leads to are taken away as long as there are any."""
    for b in range(len(sizes)):
        n, first = sizes[b], offsets[b]
        waiting = np.zeros(n, np.int64)
        for k in range(row_starts[first], row_starts[first + n]):
            if values[k] != 0:
                waiting[neighbours[k]] += 1
        ready = np.empty(n, np.int64)
        tail = 0
        for v in range(n):
            if waiting[v] == 0:
                ready[tail] = v
                tail += 1
        head = 0
        while head < tail:
            u = first + ready[head]
            head += 1
            for k in range(row_starts[u], row_starts[u + 1]):
                if values[k] != 0:
                    waiting[neighbours[k]] -= 1
                    if waiting[neighbours[k]] == 0:
                        ready[tail] = neighbours[k]
                        tail += 1
        if tail < n:
            return b
    return -1
