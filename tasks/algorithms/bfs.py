"""Breadth-first search as in the CLRS benchmark (Veličković et al., ICML 2022; after Moore, 1959)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.clrs import CLRS
from tasks.algorithms.graph_task import GraphConfig, Graphs, GraphTask
from tasks.algorithms.trace import Trace
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class BfsConfig(GraphConfig):
    """Options of `bfs`."""


@register(
    "bfs",
    config=BfsConfig,
    **CLRS,
)
class Bfs(GraphTask):
    """Breadth-first search: which nodes the source reaches, and a predecessor for each of them.

    Each step every reached node reaches its neighbours at once. A node's predecessor is the lowest-numbered
    neighbour that reached it; the source and unreached nodes point to themselves. From node 0:

        0 - 1 - 3        frame 0: reach_h 1 0 0 0 0   pi_h 0 1 2 3 4
        |       |        frame 1: reach_h 1 1 1 0 0   pi_h 0 0 0 3 4
        2 - - - +    4   frame 2: reach_h 1 1 1 1 0   pi_h 0 0 0 1 4     output pi 0 0 0 1 4

    The trace ends with the first frame that a further step would not change. Entries of A above 0 are edges.
    """

    weighted = False

    def __init__(self, config: BfsConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "bfs",
            Probe("pi", Stage.OUTPUT, Location.NODE, Type.POINTER, domain=config.pointers),
            Probe("reach_h", Stage.HINT, Location.NODE, Type.MASK),
            Probe("pi_h", Stage.HINT, Location.NODE, Type.POINTER, domain=config.pointers),
        )

    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        return self._searched(graphs, starts, width, whole=True)

    def _answer(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        return self._searched(graphs, starts, width, whole=False)

    def _searched(self, graphs: Graphs, starts: Array, width: int, *, whole: bool) -> Trace:
        """The trace, whole or its first frame."""
        lengths, depth, parent = _search(
            graphs.row_starts, graphs.neighbours, graphs.values, graphs.sizes, graphs.offsets, graphs.source
        )
        frames = lengths.max() if whole else 1
        reach, pointers, output = _unroll(lengths, frames, depth, parent, graphs.sizes, graphs.offsets, starts, width)
        return Trace(lengths, {"reach_h": reach, "pi_h": pointers}, {"pi": output})


@kernel
def _search(row_starts, neighbours, values, sizes, offsets, source):
    """Frames of each graph `[B]`; the step that reaches each node, or -1, and its predecessor `[ΣN]`."""
    nodes = len(row_starts) - 1
    lengths = np.empty(len(sizes), np.int64)
    depth = np.full(nodes, -1, np.int32)
    parent = np.empty(nodes, np.int32)
    queue = np.empty(sizes.max(), np.int32)
    for b in range(len(sizes)):
        first = offsets[b]
        for v in range(sizes[b]):
            parent[first + v] = v
        queue[0] = source[b]
        depth[first + source[b]] = 0
        head, tail = 0, 1
        while head < tail:
            u = queue[head]
            head += 1
            after = depth[first + u] + 1
            for k in range(row_starts[first + u], row_starts[first + u + 1]):
                v = neighbours[k]
                if values[k] > 0:
                    if depth[first + v] < 0:
                        depth[first + v] = after
                        parent[first + v] = u
                        queue[tail] = v
                        tail += 1
                    elif depth[first + v] == after and u < parent[first + v]:
                        parent[first + v] = u
        lengths[b] = depth[first + queue[tail - 1]] + 1
    return lengths, depth, parent


@kernel
def _unroll(lengths, frames, depth, parent, sizes, offsets, starts, width):
    """The first hint frames `[frames, width]` that depths and predecessors imply, and the output `[width]`."""
    reach = np.zeros((frames, width), np.bool_)
    pointers = np.zeros((frames, width), np.int32)
    output = np.zeros(width, np.int32)
    for b in range(len(sizes)):
        for v in range(sizes[b]):
            output[starts[b] + v] = parent[offsets[b] + v]
    for t in range(frames):
        for b in range(len(sizes)):
            if t < lengths[b]:
                n, first, start = sizes[b], offsets[b], starts[b]
                own_depth, own_parent = depth[first : first + n], parent[first : first + n]
                mask, pointer = reach[t, start : start + n], pointers[t, start : start + n]
                for v in range(n):  # over views, several nodes at a time
                    reached = 0 <= own_depth[v] <= t
                    mask[v] = reached
                    pointer[v] = own_parent[v] if reached else v
    return reach, pointers, output
