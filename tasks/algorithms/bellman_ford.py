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
        return self._relaxed(graphs, starts, width, whole=True)

    def _answer(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        return self._relaxed(graphs, starts, width, whole=False)

    def _relaxed(self, graphs: Graphs, starts: Array, width: int, *, whole: bool) -> Trace:
        """The trace, whole or its first frame."""
        lengths, pointers, distances, reached, output = _relax(*graphs, starts, width, whole)
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
def _relax_once(first, t, row_starts, neighbours, values, last, distance, pointer, stamp):
    """Step t, over the edges out of the nodes that step t - 1 changed; no others can improve anything.

    Args:
        last: those nodes.
        stamp: the step that last changed each node, -1 for those not reached.

    Returns:
        The nodes changed now, and whether any distance is another one.
    """
    before = distance[last]
    changed = np.empty(16, np.int64)
    earlier = np.empty(16)
    count = 0
    for i in range(len(last)):
        u = last[i]
        for k in range(row_starts[first + u], row_starts[first + u + 1]):
            if values[k] == 0:
                continue
            v = neighbours[k]
            through_u = before[i] + values[k]
            if stamp[v] < 0 or through_u < distance[v]:
                if stamp[v] != t:
                    if count == len(changed):
                        changed = np.concatenate((changed, np.empty(count, np.int64)))
                        earlier = np.concatenate((earlier, np.empty(count)))
                    changed[count] = v
                    earlier[count] = distance[v]
                    count += 1
                stamp[v] = t
                distance[v] = through_u
                pointer[v] = u
            elif stamp[v] == t and through_u == distance[v] and u < pointer[v]:
                pointer[v] = u  # of equal distances found in one step the lowest-numbered sender counts
    moved = False
    for i in range(count):
        if distance[changed[i]] != earlier[i]:
            moved = True
    return changed[:count], moved


@kernel
def _relax(sizes, offsets, row_starts, neighbours, values, source, starts, width, whole):
    """Lengths `[B]` (0 where a negative cycle was met), hint frames `[T + 1, width]` or the first, output `[width]`."""
    lengths = np.zeros(len(sizes), np.int64)
    room = 8 if whole else 1
    pointers = np.zeros((room, width), np.int32)
    distances = np.zeros((room, width), np.float32)
    masks = np.zeros((room, width), np.bool_)
    output = np.zeros(width, np.int32)
    for b in range(len(sizes)):
        n = sizes[b]
        distance = np.zeros(n)
        stamp = np.full(n, -1)
        pointer = np.arange(n, dtype=np.int32)
        stamp[source[b]] = 0
        last = source[b : b + 1].copy()
        for t in range(n):  # without negative cycles n - 1 steps suffice, and step n changes nothing
            if whole and t == len(pointers):
                pointers, distances, masks = _longer(pointers), _longer(distances), _longer(masks)
            for v in range(n if whole or t == 0 else 0):
                pointers[t, starts[b] + v] = pointer[v]
                distances[t, starts[b] + v] = distance[v]
                masks[t, starts[b] + v] = stamp[v] >= 0
            last, moved = _relax_once(offsets[b], t + 1, row_starts, neighbours, values, last, distance, pointer, stamp)
            if not moved:
                lengths[b] = t + 1
                break
        for v in range(n):
            output[starts[b] + v] = pointer[v]
    frames = lengths.max() if whole else 1
    return lengths, pointers[:frames], distances[:frames], masks[:frames], output
