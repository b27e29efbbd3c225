"""All-pairs shortest paths as in the CLRS benchmark (Veličković et al., ICML 2022; after Floyd, 1962)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.clrs import CLRS
from tasks.algorithms.graph_task import Graphs, GraphTask, PlainGraphConfig
from tasks.algorithms.trace import Trace
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class FloydWarshallConfig(PlainGraphConfig):
    """Options of `floyd_warshall`."""


@register(
    "floyd_warshall",
    config=FloydWarshallConfig,
    **CLRS,
)
class FloydWarshall(GraphTask):
    """Floyd-Warshall: shortest paths between all pairs of nodes, one more node allowed between them each step.

    Pi[i, j] is the node before j on the path from i, and i where there is no path. Step k shortens every path that
    gains by going through k. `msk` tells the pairs joined by a path so far, and D is 0 for the others. Over the edges
    1-2 of weight 0.9, 0-1 of 0.2 and 0-2 of 0.3:

        frame 0: k 0   D 0.0 0.2 0.3   Pi_h 0 0 0
                         0.2 0.0 0.9        1 1 1
                         0.3 0.9 0.0        2 2 2
        frame 1: k 1   D 0.0 0.2 0.3   Pi_h 0 0 0
                         0.2 0.0 0.5        1 1 0
                         0.3 0.5 0.0        2 0 2
        frame 2: k 2   as frame 1                     output Pi as Pi_h here

    Frame k is what step k begins with, so that the trace has one for every node, and the output is what the last step
    makes of the last frame. Entries of A other than 0 are edges, directed ones and negative ones too, but no cycle may
    be of negative weight. A node with a self-loop begins with its weight as the distance to itself, and ends with that
    of the shortest cycle through it. Sampled weights are sqrt(U_ij U_ji + 1e-3), symmetric.
    """

    layouts = frozenset({"dense"})  # a value for every pair of nodes
    weighted = True
    source = False

    def __init__(self, config: FloydWarshallConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "floyd_warshall",
            Probe("Pi", Stage.OUTPUT, Location.EDGE, Type.POINTER),
            Probe("Pi_h", Stage.HINT, Location.EDGE, Type.POINTER),
            Probe("D", Stage.HINT, Location.EDGE, Type.SCALAR),
            Probe("msk", Stage.HINT, Location.EDGE, Type.MASK),
            Probe("k", Stage.HINT, Location.NODE, Type.MASK_ONE),
        )

    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        nodes = width // len(graphs.sizes)
        failed, pointers, distances, joined, through, output = _run(*graphs[:5], nodes)
        if failed >= 0:
            raise ValueError(
                f"floyd_warshall input 'A': expected no cycle of negative weight, got one in sample {failed} "
                "(an undirected edge of negative weight is one)"
            )
        hints = {"Pi_h": pointers, "D": distances, "msk": joined, "k": through}
        return Trace(graphs.sizes.copy(), hints, {"Pi": output})


@kernel
def _step(k, n, distance, joined, pointer):
    """Allow paths through k."""
    # No cycle so far is negative, so nothing in row or column k can gain: the step may work in place.
    for i in range(n):
        if joined[i, k]:
            for j in range(n):
                if joined[k, j]:
                    through = distance[i, k] + distance[k, j]
                    if not joined[i, j] or through < distance[i, j]:
                        distance[i, j] = through
                        pointer[i, j] = pointer[k, j]
                        joined[i, j] = True


@kernel
def _run(sizes, offsets, row_starts, neighbours, values, nodes):
    """The first sample with a negative cycle, or -1; hint frames `[N, B, N, N]`, those of k `[N, B]`; the output."""
    batch = len(sizes)
    pointers = np.zeros((nodes, batch, nodes, nodes), np.int32)
    distances = np.zeros((nodes, batch, nodes, nodes), np.float32)
    joins = np.zeros((nodes, batch, nodes, nodes), np.bool_)
    through = np.zeros((nodes, batch), np.int32)
    output = np.zeros((batch, nodes, nodes), np.int32)
    distance = np.empty((nodes, nodes))
    joined = np.empty((nodes, nodes), np.bool_)
    failed = -1
    for b in range(batch):
        n, first, pointer = sizes[b], offsets[b], output[b]
        for i in range(n):
            for j in range(n):
                pointer[i, j] = i
                distance[i, j] = 0.0
                joined[i, j] = i == j
            for e in range(row_starts[first + i], row_starts[first + i + 1]):
                if values[e] != 0:
                    distance[i, neighbours[e]] = values[e]
                    joined[i, neighbours[e]] = True
        for k in range(n + 1):
            for i in range(n):
                if distance[i, i] < 0 and failed < 0:
                    failed = b
            if k == n or failed >= 0:
                break
            through[k, b] = k
            for i in range(n):
                for j in range(n):
                    pointers[k, b, i, j] = pointer[i, j]
                    distances[k, b, i, j] = distance[i, j]
                    joins[k, b, i, j] = joined[i, j]
            _step(k, n, distance, joined, pointer)
    return failed, pointers, distances, joins, through, output
