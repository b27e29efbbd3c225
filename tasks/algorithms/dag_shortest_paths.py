"""Shortest paths in acyclic graphs as in the CLRS benchmark (Veličković et al., ICML 2022; after Lawler, 1976)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.graph_conditions import require_acyclic
from tasks.algorithms.graph_task import GraphConfig, Graphs, GraphTask
from tasks.algorithms.reach import reached
from tasks.algorithms.trace import Trace, final
from tasks.inputs import Inputs
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]

_WHITE, _GREY, _BLACK = range(3)
_PARENT, _NEXT, _BELOW = range(3)  # pointers of nodes
_HEAD, _U, _V, _TOP = range(4)  # nodes of each frame


@dataclass(frozen=True)
class DagShortestPathsConfig(GraphConfig):
    """Options of `dag_shortest_paths`."""


@register(
    "dag_shortest_paths",
    config=DagShortestPathsConfig,
    **CLRS,
)
class DagShortestPaths(GraphTask):
    """DAG shortest paths: a topological order of what the source reaches, then one pass of relaxations along it.

    While `phase` is 0, a depth-first search from the source discovers (`color` 1) or finishes (2) one node a step; `u`
    is the node it stands at, `v` the node just discovered (the last node of the graph when one is finished), `s_last`
    the top of the stack and `s_prev` what lies under each node of it. Finished nodes are put in front of the order:
    `topo_head_h` is its first node (0 before there is any), `topo_h` points to the next one, the last node to itself.
    Then `phase` is 1 and `topo_head_h` walks along the order; the node that it leaves relaxes its edges. Nodes that are
    not reached stay as they are, with distance 0 and pointing to themselves. From node 0 over the edges 0 -> 1 of
    weight 0.9, 0 -> 2 of 0.2 and 2 -> 1 of 0.3:

        frame  0: phase 0   u 0   v 0   s_last 0   color 0 0 0   s_prev 0 1 2   topo_head_h 0   topo_h 0 1 2
        frame  1: phase 0   u 0   v 0   s_last 0   color 1 0 0   s_prev 0 1 2   topo_head_h 0   topo_h 0 1 2
        frame  2: phase 0   u 0   v 1   s_last 1   color 1 1 0   s_prev 0 0 2   topo_head_h 0   topo_h 0 1 2
        frame  3: phase 0   u 1   v 2   s_last 1   color 1 2 0   s_prev 0 0 2   topo_head_h 1   topo_h 0 1 2
        frame  4: phase 0   u 0   v 2   s_last 2   color 1 2 1   s_prev 0 1 0   topo_head_h 1   topo_h 0 1 2
        frame  5: phase 0   u 2   v 2   s_last 2   color 1 2 2   s_prev 0 1 0   topo_head_h 2   topo_h 0 1 1
        frame  6: phase 0   u 0   v 2   s_last 0   color 2 2 2   s_prev 0 1 2   topo_head_h 0   topo_h 2 1 1
        frame  7: phase 1   topo_head_h 0   mark 1 0 0   d 0.0 0.0 0.0   pi_h 0 1 2
        frame  8: phase 1   topo_head_h 2   mark 1 1 1   d 0.0 0.9 0.2   pi_h 0 0 0
        frame  9: phase 1   topo_head_h 1   mark 1 1 1   d 0.0 0.5 0.2   pi_h 0 2 0     output pi 0 2 0

    Entries of A other than 0 are edges, negative ones too; a cycle is refused wherever it is. Sampled weights are from
    U(0, 1].
    """

    layouts = frozenset({"dense"})  # the next node in a topological order need not be a neighbour
    weighted = True
    orientation = generators.ACYCLIC

    def __init__(self, config: DagShortestPathsConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "dag_shortest_paths",
            Probe("pi", Stage.OUTPUT, Location.NODE, Type.POINTER, domain=config.pointers),
            Probe("pi_h", Stage.HINT, Location.NODE, Type.POINTER, domain=config.pointers),
            Probe("d", Stage.HINT, Location.NODE, Type.SCALAR),
            Probe("mark", Stage.HINT, Location.NODE, Type.MASK),
            Probe("topo_h", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("topo_head_h", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("color", Stage.HINT, Location.NODE, Type.CATEGORICAL, classes=3),
            Probe("s_prev", Stage.HINT, Location.NODE, Type.POINTER, domain=config.pointers),
            Probe("u", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("v", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("s_last", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("phase", Stage.HINT, Location.GRAPH, Type.MASK),
        )

    def _check(self, given: Inputs, graphs: Graphs) -> None:
        require_acyclic(given, graphs)

    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        lengths = 3 * reached(*graphs) + 1  # the start; each node's discovery, finish, and place in the order
        nodes = width // len(lengths)
        pointers, distances, marks, colors, at, phase = _run(*graphs, lengths, nodes)
        hints = {"d": distances, "mark": marks, "color": colors, "phase": phase}
        hints |= {name: pointers[k] for name, k in (("pi_h", _PARENT), ("topo_h", _NEXT), ("s_prev", _BELOW))}
        hints |= {name: at[k] for name, k in (("topo_head_h", _HEAD), ("u", _U), ("v", _V), ("s_last", _TOP))}
        return Trace(lengths, hints, {"pi": final(pointers[_PARENT], lengths)})


@kernel
def _carry(t, b, n, pointers, distances, marks, colors, at):
    """Begin frame t of sample b as a copy of the frame before."""
    for v in range(n):
        for k in range(3):
            pointers[k, t, b, v] = pointers[k, t - 1, b, v]
        distances[t, b, v] = distances[t - 1, b, v]
        marks[t, b, v] = marks[t - 1, b, v]
        colors[t, b, v] = colors[t - 1, b, v]
    for k in range(4):
        at[k, t, b] = at[k, t - 1, b]


@kernel
def _search(t, b, n, first, row_starts, neighbours, values, tried, pointers, colors, at):
    """Make frame t a step of the search further: a discovery or a finish."""
    u = at[_TOP, t, b]
    if colors[t, b, u] == _BLACK:  # taken off the stack now that the frame of its finish is written
        below = pointers[_BELOW, t, b, u]
        pointers[_BELOW, t, b, u] = u
        u = below
    k, end = tried[u], row_starts[first + u + 1]
    while k < end and (values[k] == 0 or colors[t, b, neighbours[k]] != _WHITE):
        k += 1
    tried[u] = k
    if k < end:
        v = neighbours[k]
        colors[t, b, v] = _GREY
        pointers[_BELOW, t, b, v] = u
        at[_TOP, t, b] = v
    else:
        v = n - 1
        head = at[_HEAD, t, b]
        colors[t, b, u] = _BLACK
        if colors[t, b, head] == _BLACK:
            pointers[_NEXT, t, b, u] = head
        at[_HEAD, t, b] = at[_TOP, t, b] = u
    at[_U, t, b] = u
    at[_V, t, b] = v


@kernel
def _relax(t, b, first, row_starts, neighbours, values, distance, pointers, distances, marks, at):
    """Make frame t a step along the order further."""
    u = at[_HEAD, t, b]
    for k in range(row_starts[first + u], row_starts[first + u + 1]):
        v = neighbours[k]
        if values[k] != 0 and (not marks[t, b, v] or distance[u] + values[k] < distance[v]):
            distance[v] = distance[u] + values[k]
            distances[t, b, v] = distance[v]
            pointers[_PARENT, t, b, v] = u
            marks[t, b, v] = True
    at[_HEAD, t, b] = pointers[_NEXT, t, b, u]


@kernel
def _run(sizes, offsets, row_starts, neighbours, values, source, lengths, nodes):
    """Hint frames: three kinds of pointers `[3, T + 1, B, N]`, node values, four nodes `[4, T + 1, B]`, phases."""
    frames, batch = lengths.max(), len(sizes)
    pointers = np.zeros((3, frames, batch, nodes), np.int32)
    distances = np.zeros((frames, batch, nodes), np.float32)
    marks = np.zeros((frames, batch, nodes), np.bool_)
    colors = np.zeros((frames, batch, nodes), np.int8)
    at = np.zeros((4, frames, batch), np.int32)
    phase = np.zeros((frames, batch), np.bool_)
    tried = np.empty(nodes, np.int64)
    distance = np.empty(nodes)
    for b in range(batch):
        n, first, s = sizes[b], offsets[b], source[b]
        searched = 2 * (lengths[b] - 1) // 3
        for v in range(n):
            tried[v] = row_starts[first + v]
            distance[v] = 0.0
            for k in range(3):
                pointers[k, 0, b, v] = v
        at[_U, 0, b] = at[_V, 0, b] = at[_TOP, 0, b] = s
        for t in range(1, lengths[b]):
            _carry(t, b, n, pointers, distances, marks, colors, at)
            if t == 1:
                colors[t, b, s] = _GREY
            elif t <= searched:
                _search(t, b, n, first, row_starts, neighbours, values, tried, pointers, colors, at)
            else:
                phase[t, b] = True
                if t == searched + 1:
                    marks[t, b, s] = True
                else:
                    _relax(t, b, first, row_starts, neighbours, values, distance, pointers, distances, marks, at)
    return pointers, distances, marks, colors, at, phase
