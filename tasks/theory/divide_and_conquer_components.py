"""Divide-and-conquer strong components (Engelmayer et al., Parallel Algorithms Align with Neural Execution, LoG 2023).

After Fleischer, Hendrickson and Pınar, On Identifying Strongly Connected Components in Parallel, IPDPS workshops 2000.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.graph_task import Graphs, GraphTask, PlainGraphConfig, reversed_values
from tasks.algorithms.trace import Trace
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.theory.parallel_paper import PARALLEL

Array = NDArray[Any]


@dataclass(frozen=True)
class DivideAndConquerComponentsConfig(PlainGraphConfig):
    """Options of `divide_and_conquer_components`."""


@register("divide_and_conquer_components", config=DivideAndConquerComponentsConfig, **PARALLEL)
class DivideAndConquerComponents(GraphTask):
    """Strongly connected components by divide and conquer: each node points to the one that stands for its component.

    The parallel relative of `strongly_connected_components`. The graph begins as one part, whose pivot is node 0. In
    each step, and in all parts at once, nodes with an edge from a node of their part that the pivot reaches are reached
    too (`forward_h`), and nodes with an edge to one that reaches the pivot reach it too (`backward_h`). A part in which
    a step would change neither is divided by the step instead: nodes marked in both are the pivot's component, and are
    `done_h`; those marked in the first only, in the second only, and in neither are three parts, since no component
    is in two of them. The lowest-numbered node of a part is its pivot, `pivot_h`, at first the only one marked. The
    trace ends when all nodes are done. Over the edges 0-1, 1-0 and 2-1:

        frame 0: pivot_h 0 0 0   forward_h 1 0 0   backward_h 1 0 0   done_h 0 0 0   scc_id_h 0 1 2
        frame 1: pivot_h 0 0 0   forward_h 1 1 0   backward_h 1 1 0   done_h 0 0 0   scc_id_h 0 1 2
        frame 2: pivot_h 0 0 0   forward_h 1 1 0   backward_h 1 1 1   done_h 0 0 0   scc_id_h 0 1 2
        frame 3: pivot_h 0 0 2   forward_h 1 1 1   backward_h 1 1 1   done_h 1 1 0   scc_id_h 0 0 2
        frame 4: pivot_h 0 0 2   forward_h 1 1 1   backward_h 1 1 1   done_h 1 1 1   scc_id_h 0 0 2

    Output scc_id 0 0 2: a part never cuts a component, so its lowest-numbered node stands for it, where Kosaraju's
    algorithm takes the root of a tree. The paper's algorithm draws pivots at random; taking the lowest-numbered node
    keeps the trace a function of the inputs, and sampled graphs are numbered at random. The probes are this project's.
    Entries of A other than 0 are edges. Sampled graphs are those of `strongly_connected_components`.
    """

    layouts = frozenset({"dense"})  # a pivot need not be a neighbour
    weighted = False
    source = False
    orientation = generators.DIRECTED
    communities = True

    def __init__(self, config: DivideAndConquerComponentsConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "divide_and_conquer_components",
            Probe("scc_id", Stage.OUTPUT, Location.NODE, Type.POINTER),
            Probe("scc_id_h", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("pivot_h", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("forward_h", Stage.HINT, Location.NODE, Type.MASK),
            Probe("backward_h", Stage.HINT, Location.NODE, Type.MASK),
            Probe("done_h", Stage.HINT, Location.NODE, Type.MASK),
        )

    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        lengths, pointers, masks, output = _divide(
            graphs.row_starts,
            graphs.neighbours,
            graphs.values != 0,
            reversed_values(graphs) != 0,
            graphs.sizes,
            graphs.offsets,
            starts,
            width,
        )
        names = ("pivot_h", "scc_id_h", "forward_h", "backward_h", "done_h")
        hints = [np.ascontiguousarray(frames[:, k]) for frames in (pointers, masks) for k in range(frames.shape[1])]
        return Trace(lengths, dict(zip(names, hints, strict=True)), {"scc_id": output})


@kernel
def _longer(frames):
    """The same frames in a buffer twice as long."""
    longer = np.zeros((2 * frames.shape[0], frames.shape[1], frames.shape[2]), frames.dtype)
    longer[: frames.shape[0]] = frames
    return longer


@kernel
def _advance(first, n, row_starts, neighbours, leaves, enters, pivot, forward, backward, done):
    """One step of all parts of a graph, in place; edges of an entry leave the node of its row, or enter it."""
    forward_before, backward_before = forward.copy(), backward.copy()
    changed = np.zeros(n, np.bool_)  # by pivot
    for v in range(n):
        for k in range(row_starts[first + v], row_starts[first + v + 1]):
            u = neighbours[k]
            if pivot[u] == pivot[v] and not done[u] and not done[v]:
                forward[v] |= enters[k] and forward_before[u]
                backward[v] |= leaves[k] and backward_before[u]
        if forward[v] != forward_before[v] or backward[v] != backward_before[v]:
            changed[pivot[v]] = True
    lowest = np.full((3, n), -1)  # of the nodes marked in neither, first only and second only, by pivot so far
    for v in range(n):
        if done[v] or changed[pivot[v]]:
            continue
        if forward[v] and backward[v]:
            done[v] = True
            continue
        part = 1 if forward[v] else 2 if backward[v] else 0
        if lowest[part, pivot[v]] < 0:
            lowest[part, pivot[v]] = v
        pivot[v] = lowest[part, pivot[v]]
        forward[v] = backward[v] = pivot[v] == v


@kernel
def _divide(row_starts, neighbours, leaves, enters, sizes, offsets, starts, width):
    """Lengths `[B]`, pivots and components `[T, 2, width]`, the three masks `[T, 3, width]`, the output `[width]`."""
    lengths = np.zeros(len(sizes), np.int64)
    pointers = np.zeros((8, 2, width), np.int32)
    masks = np.zeros((8, 3, width), np.bool_)
    output = np.zeros(width, np.int32)
    for b in range(len(sizes)):
        n = sizes[b]
        pivot = np.zeros(n, np.int32)
        forward = np.arange(n) == 0
        backward = np.arange(n) == 0
        done = np.zeros(n, np.bool_)
        t = 0
        while True:
            if t == len(pointers):
                pointers, masks = _longer(pointers), _longer(masks)
            for v in range(n):
                place = starts[b] + v
                pointers[t, 0, place] = pivot[v]
                pointers[t, 1, place] = pivot[v] if done[v] else v
                masks[t, 0, place] = forward[v]
                masks[t, 1, place] = backward[v]
                masks[t, 2, place] = done[v]
            t += 1
            if done.all():
                break
            _advance(offsets[b], n, row_starts, neighbours, leaves, enters, pivot, forward, backward, done)
        lengths[b] = t
        for v in range(n):
            output[starts[b] + v] = pivot[v]
    frames = lengths.max()
    return lengths, pointers[:frames], masks[:frames], output
