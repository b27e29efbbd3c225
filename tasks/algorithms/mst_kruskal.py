"""Kruskal's minimum spanning tree as in the CLRS benchmark (Veličković et al., ICML 2022; after Kruskal, 1956)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.clrs import CLRS
from tasks.algorithms.graph_conditions import require_non_negative, require_undirected
from tasks.algorithms.graph_task import Graphs, GraphTask, PlainGraphConfig, pairs
from tasks.algorithms.trace import Trace, final
from tasks.inputs import Inputs
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class MstKruskalConfig(PlainGraphConfig):
    """Options of `mst_kruskal`."""


@register(
    "mst_kruskal",
    config=MstKruskalConfig,
    **CLRS,
)
class MstKruskal(GraphTask):
    """Kruskal: a minimum spanning forest, the edges tried in the order of their weights.

    Nodes point along `pi` to the root of their part of the forest. An edge (u, v), u < v, is taken up in a frame of
    phase 1; then `root_u` climbs to the root of u, one pointer a frame, gathering the nodes it passes in `mask_u`,
    which are made to point to it (phase 1); then `root_v` likewise (phase 2); in a frame of phase 0 the edge joins the
    forest if the roots differ, and the lower root then points to the higher. Over the edges 0-1 of weight 0.9, 0-2 of
    0.2 and 1-2 of 0.3:

        frame 0: phase 0   u 0   v 0   root_u 0   root_v 0   mask_u 0 0 0   mask_v 0 0 0   pi 0 1 2   in_mst_h none
        frame 1: phase 1   u 0   v 2   root_u 0   root_v 2   mask_u 1 0 0   mask_v 0 0 1   pi 0 1 2   in_mst_h none
        frame 2: phase 0   u 0   v 2   root_u 0   root_v 2   mask_u 1 0 0   mask_v 0 0 1   pi 2 1 2   in_mst_h 0-2
        frame 3: phase 1   u 1   v 2   root_u 1   root_v 2   mask_u 0 1 0   mask_v 0 0 1   pi 2 1 2   in_mst_h 0-2
        frame 4: phase 0   u 1   v 2   root_u 1   root_v 2   mask_u 0 1 0   mask_v 0 0 1   pi 2 2 2   in_mst_h 0-2 1-2
        frame 5: phase 1   u 0   v 1   root_u 0   root_v 1   mask_u 1 0 0   mask_v 0 1 0   pi 2 2 2   in_mst_h 0-2 1-2
        frame 6: phase 1   u 0   v 1   root_u 2   root_v 1   mask_u 1 0 1   mask_v 0 1 0   pi 2 2 2   in_mst_h 0-2 1-2
        frame 7: phase 2   u 0   v 1   root_u 2   root_v 2   mask_u 1 0 1   mask_v 0 1 1   pi 2 2 2   in_mst_h 0-2 1-2
        frame 8: phase 0   u 0   v 1   root_u 2   root_v 2   mask_u 1 0 1   mask_v 0 1 1   pi 2 2 2   in_mst_h 0-2 1-2

    The output `in_mst` is the last `in_mst_h`, both symmetric. Edges of equal weight are tried in the order of (u, v)
    (dm-clrs leaves that to numpy's sort, which does the same for up to 16 edges). Self-loops are left out. A is
    symmetric, and not negative: dm-clrs would silently leave such edges out. Sampled weights are
    sqrt(U_ij U_ji + 1e-3), over a sparser graph than other tasks have.
    """

    layouts = frozenset({"dense"})  # roots need not be neighbours
    weighted = True
    source = False
    density = 0.2

    def __init__(self, config: MstKruskalConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "mst_kruskal",
            Probe("in_mst", Stage.OUTPUT, Location.EDGE, Type.MASK),
            Probe("in_mst_h", Stage.HINT, Location.EDGE, Type.MASK),
            Probe("pi", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("u", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("v", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("root_u", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("root_v", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("mask_u", Stage.HINT, Location.NODE, Type.MASK),
            Probe("mask_v", Stage.HINT, Location.NODE, Type.MASK),
            Probe("phase", Stage.HINT, Location.GRAPH, Type.CATEGORICAL, classes=3),
        )

    def _check(self, given: Inputs, graphs: Graphs) -> None:
        require_undirected(given, graphs)
        require_non_negative(given, graphs)

    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        edges, counts = _sorted_edges(graphs)
        nodes = width // len(counts)
        lengths = _run(graphs.sizes, edges, counts, nodes, 0)[0]
        _, forest, pointers, at, passed, phase = _run(graphs.sizes, edges, counts, nodes, int(lengths.max()))
        hints = {"in_mst_h": forest, "pi": pointers, "mask_u": passed[0], "mask_v": passed[1], "phase": phase}
        hints |= dict(zip(("u", "v", "root_u", "root_v"), at, strict=True))
        return Trace(lengths, hints, {"in_mst": final(forest, lengths)})


def _sorted_edges(graphs: Graphs) -> tuple[Array, Array]:
    """Edges (u, v), u < v, of one graph after another, lightest first: int32 `[2, edges]` and their number `[B]`."""
    owner, senders, receivers = pairs(graphs)
    edges = np.flatnonzero((senders < receivers) & (graphs.values > 0))
    # The sort is stable and the entries come in the order of (u, v).
    edges = edges[np.lexsort((graphs.values[edges], owner[edges]))]
    ends = np.stack([senders[edges], receivers[edges]]).astype(np.int32)
    return ends, np.bincount(owner[edges], minlength=len(graphs.sizes))


@kernel
def _record(t, b, n, phase, ends, pointer, root, mark, forest, pointers, at, passed, phases):
    """Write frame t, its forest as in the frame before; nothing in a dry run, which has no frames."""
    if t >= len(phases):
        return
    phases[t, b] = phase
    for side in range(2):
        at[side, t, b] = ends[side]
        at[2 + side, t, b] = root[side]
        for i in range(n):
            passed[side, t, b, i] = mark[side, i]
    for i in range(n):
        pointers[t, b, i] = pointer[i]
        if t > 0:
            for j in range(n):
                forest[t, b, i, j] = forest[t - 1, b, i, j]
    if phase == 0 and root[0] != root[1]:
        forest[t, b, ends[0], ends[1]] = forest[t, b, ends[1], ends[0]] = True


@kernel
def _run(sizes, edges, counts, nodes, frames):
    """Lengths `[B]`; frames of the forest, of the pointers, of u, v, root_u and root_v, of both masks, of the phase.

    A dry run with 0 frames finds the lengths, and with them the number of frames to come back with.
    """
    batch = len(sizes)
    lengths = np.empty(batch, np.int64)
    forest = np.zeros((frames, batch, nodes, nodes), np.bool_)
    pointers = np.zeros((frames, batch, nodes), np.int32)
    at = np.zeros((4, frames, batch), np.int32)
    passed = np.zeros((2, frames, batch, nodes), np.bool_)
    phases = np.zeros((frames, batch), np.int8)
    e = 0
    for b in range(batch):
        n = sizes[b]
        last = e + counts[b]
        pointer = np.arange(n, dtype=np.int32)
        mark = np.zeros((2, n), np.bool_)
        ends, root = np.zeros(2, np.int32), np.zeros(2, np.int32)
        t, phase, side = 0, 0, 0
        while True:  # write a frame, then make the next
            _record(t, b, n, phase, ends, pointer, root, mark, forest, pointers, at, passed, phases)
            t += 1
            if phase == 0:
                if e == last:
                    break
                mark[:] = False
                for side in range(2):
                    ends[side] = root[side] = edges[side, e]
                    mark[side, root[side]] = True
                phase, side = 1, 0
                e += 1
                continue
            while side < 2 and pointer[root[side]] == root[side]:
                side += 1
            if side < 2:
                root[side] = pointer[root[side]]
                for i in range(n):
                    if mark[side, i]:
                        pointer[i] = root[side]
                mark[side, root[side]] = True
                phase = 1 + side
            else:
                pointer[min(root[0], root[1])] = max(root[0], root[1])
                phase = 0
        lengths[b] = t
    return lengths, forest, pointers, at, passed, phases
