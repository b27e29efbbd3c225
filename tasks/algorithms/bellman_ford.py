"""Bellman-Ford shortest paths as in the CLRS benchmark (Veličković et al., ICML 2022; after Bellman, 1958)."""

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
class BellmanFordConfig(GraphConfig):
    """Options of `bellman_ford`."""


@register(
    "bellman_ford",
    config=BellmanFordConfig,
    **CLRS,
)
class BellmanFord(GraphTask):
    """Bellman-Ford: shortest distances from the source, and the predecessors on those paths.

    Each step relaxes every edge out of every reached node with the distances of the step before. Distances of
    unreached nodes are 0 and `msk` tells them apart; the source and unreached nodes point to themselves.
    From node 0 over the edges 0-1 of weight 0.9, 0-2 of 0.2 and 1-2 of 0.3:

        frame 0: msk 1 0 0   d 0.0 0.0 0.0   pi_h 0 1 2
        frame 1: msk 1 1 1   d 0.0 0.9 0.2   pi_h 0 0 0
        frame 2: msk 1 1 1   d 0.0 0.5 0.2   pi_h 0 2 0     output pi 0 2 0

    The trace ends with the first frame whose distances a further step would not change. Entries of A other than
    0 are edges. Sampled weights are sqrt(U_ij U_ji + 1e-3), symmetric.
    """

    weighted = True

    def __init__(self, config: BellmanFordConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "bellman_ford",
            Probe("pi", Stage.OUTPUT, Location.NODE, Type.POINTER, domain=config.pointers),
            Probe("pi_h", Stage.HINT, Location.NODE, Type.POINTER, domain=config.pointers),
            Probe("d", Stage.HINT, Location.NODE, Type.SCALAR),
            Probe("msk", Stage.HINT, Location.NODE, Type.MASK),
        )

    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        lengths, pointers, distances, reached, output = _relax(*graphs, starts, width)
        if lengths.min() == 0:
            raise ValueError(
                f"bellman_ford input 'A': expected no cycle of negative weight that the source reaches, "
                f"got one in sample {int(lengths.argmin())} (an undirected edge of negative weight is one)"
            )
        return Trace(lengths, {"pi_h": pointers, "d": distances, "msk": reached}, {"pi": output})


@kernel
def _longer(frames):
    """The same frames in a buffer twice as long."""
    count, width = frames.shape
    longer = np.zeros((2 * count, width), frames.dtype)
    for t in range(count):
        for k in range(width):
            longer[t, k] = frames[t, k]
    return longer


@kernel
def _relax_once(first, n, row_starts, neighbours, values, distance, pointer, reached):
    """One step over all edges of one graph, in the order of (sender, receiver); whether any distance changed."""
    before = distance.copy()
    reached_before = reached.copy()
    for u in range(n):
        if reached_before[u]:
            for k in range(row_starts[first + u], row_starts[first + u + 1]):
                if values[k] != 0:
                    v = neighbours[k]
                    candidate = before[u] + values[k]
                    if not reached[v] or candidate < distance[v]:
                        distance[v] = candidate
                        pointer[v] = u
                    reached[v] = True
    for v in range(n):
        if distance[v] != before[v]:
            return True
    return False


@kernel
def _relax(sizes, offsets, row_starts, neighbours, values, source, starts, width):
    """Lengths `[B]` (0 where a negative cycle was met), hint frames `[T + 1, width]` and output `[width]`."""
    lengths = np.zeros(len(sizes), np.int64)
    pointers = np.zeros((8, width), np.int32)
    distances = np.zeros((8, width), np.float32)
    masks = np.zeros((8, width), np.bool_)
    output = np.zeros(width, np.int32)
    for b in range(len(sizes)):
        n = sizes[b]
        distance = np.zeros(n)
        reached = np.zeros(n, np.bool_)
        pointer = np.arange(n, dtype=np.int32)
        reached[source[b]] = True
        for t in range(n):  # without negative cycles n - 1 steps suffice, and step n changes nothing
            if t == len(pointers):
                pointers, distances, masks = _longer(pointers), _longer(distances), _longer(masks)
            for v in range(n):
                pointers[t, starts[b] + v] = pointer[v]
                distances[t, starts[b] + v] = distance[v]
                masks[t, starts[b] + v] = reached[v]
            if not _relax_once(offsets[b], n, row_starts, neighbours, values, distance, pointer, reached):
                lengths[b] = t + 1
                break
        for v in range(n):
            output[starts[b] + v] = pointer[v]
    frames = lengths.max()
    return lengths, pointers[:frames], distances[:frames], masks[:frames], output
