"""What algorithms on graphs ask of the graphs that a user gives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.graph_task import Graphs
from tasks.inputs import Inputs
from tasks.kernel import kernel

Array = NDArray[Any]


def require_undirected(given: Inputs, graphs: Graphs) -> None:
    """Refuse graphs whose matrix is not symmetric."""
    senders, receivers = _ends(graphs)
    # By receiver, then sender: as the pattern is symmetric, the entries of the transpose in the order of the entries.
    reverse = graphs.values[np.argsort(receivers, kind="stable")]
    differs = np.flatnonzero(graphs.values != reverse)
    if len(differs):
        entry, way_back = _entry(graphs, senders, receivers, differs[0]), float(reverse[differs[0]])
        raise given.fail("A", "a symmetric matrix (an undirected graph)", f"{entry} and {way_back} the other way")


def require_non_negative(given: Inputs, graphs: Graphs) -> None:
    """Refuse graphs with an edge of negative weight."""
    if graphs.values.min() < 0:
        entry = _entry(graphs, *_ends(graphs), graphs.values.argmin())
        raise given.fail("A", "no negative weights", entry)


def require_acyclic(given: Inputs, graphs: Graphs) -> None:
    """Refuse graphs with a directed cycle, a self-loop being one."""
    cyclic = _cyclic(graphs.row_starts, graphs.neighbours, graphs.values, graphs.sizes, graphs.offsets)
    if cyclic >= 0:
        raise given.fail("A", "a graph without directed cycles", f"one in sample {cyclic}")


def _ends(graphs: Graphs) -> tuple[Array, Array]:
    """Sender and receiver of every entry, as positions in ΣN."""
    senders = np.repeat(np.arange(len(graphs.row_starts) - 1), np.diff(graphs.row_starts))
    return senders, np.repeat(graphs.offsets, graphs.sizes)[senders] + graphs.neighbours


def _entry(graphs: Graphs, senders: Array, receivers: Array, k: Any) -> str:
    """An entry in words."""
    b = int(np.searchsorted(graphs.offsets, senders[k], side="right")) - 1
    first = graphs.offsets[b]
    return f"{graphs.values[k]} from node {senders[k] - first} to node {receivers[k] - first} in sample {b}"


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
