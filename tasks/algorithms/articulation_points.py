"""Articulation points as in the CLRS benchmark (Veličković et al., ICML 2022; after Hopcroft and Tarjan, 1973)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.clrs import CLRS
from tasks.algorithms.depth_first import COLOR, LEAVE, PUSH, TIME, TIMES, Search, depth_first, seconds, stack_probes
from tasks.algorithms.graph_conditions import require_undirected
from tasks.algorithms.graph_task import GraphConfig, Graphs, GraphTask
from tasks.algorithms.low_points import LowPoints, low_hint, low_points
from tasks.algorithms.trace import Trace
from tasks.inputs import Inputs
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class ArticulationPointsConfig(GraphConfig):
    """Options of `articulation_points`."""


@register(
    "articulation_points",
    config=ArticulationPointsConfig,
    **CLRS,
)
class ArticulationPoints(GraphTask):
    """Articulation points: the nodes of an undirected graph without which it falls into more parts.

    A depth-first search (see `dfs`) with low points: `low` is the earliest time at which a node was entered that this
    one or its descendants see besides their parents. A root is an articulation point if it has several children,
    another node if some child and all descendants of that child see nothing above it; `child_cnt` counts children in
    hundredths. Seeing a node that was seen before takes a frame too, unless it is the parent, and all neighbours are
    seen again whenever the search comes back to a node. Over the edges 0-1 and 1-2, both ways:

        frame 0: s 0   u 0   v 0   color 0 0 0   low .00 .00 .00   child_cnt .00 .00 .00   is_cut_h 0 0 0
        frame 1: s 0   u 0   v 0   color 1 0 0   low .01 .00 .00   child_cnt .00 .00 .00   is_cut_h 0 0 0
        frame 2: s 0   u 0   v 1   color 1 1 0   low .01 .00 .00   child_cnt .01 .00 .00   is_cut_h 0 0 0
        frame 3: s 0   u 1   v 1   color 1 1 0   low .01 .02 .00   child_cnt .01 .00 .00   is_cut_h 0 0 0
        frame 4: s 0   u 1   v 2   color 1 1 1   low .01 .02 .00   child_cnt .01 .01 .00   is_cut_h 0 0 0
        frame 5: s 0   u 2   v 2   color 1 1 1   low .01 .02 .03   child_cnt .01 .01 .00   is_cut_h 0 0 0
        frame 6: s 0   u 2   v 2   color 1 1 2   low .01 .02 .03   child_cnt .01 .01 .00   is_cut_h 0 0 0
        frame 7: s 0   u 1   v 2   color 1 1 2   low .01 .02 .03   child_cnt .01 .01 .00   is_cut_h 0 0 0
        frame 8: s 0   u 1   v 2   color 1 2 2   low .01 .02 .03   child_cnt .01 .01 .00   is_cut_h 0 1 0
        frame 9: s 0   u 0   v 1   color 1 2 2   low .01 .02 .03   child_cnt .01 .01 .00   is_cut_h 0 1 0
        frame 10: s 0   u 0   v 2   color 2 2 2   low .01 .02 .03   child_cnt .01 .01 .00   is_cut_h 0 1 0

    Output is_cut 0 1 0. Entries of A other than 0 are edges, each with its reverse; edges from a node to itself
    matter to no output, though all but a root's take frames. Sampled graphs have an edge with probability 0.04.
    """

    weighted = False
    source = False
    density = 0.2

    def __init__(self, config: ArticulationPointsConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "articulation_points",
            Probe("is_cut", Stage.OUTPUT, Location.NODE, Type.MASK),
            Probe("is_cut_h", Stage.HINT, Location.NODE, Type.MASK),
            Probe("pi_h", Stage.HINT, Location.NODE, Type.POINTER, domain=config.pointers),
            COLOR,
            *TIMES,
            Probe("low", Stage.HINT, Location.NODE, Type.SCALAR),
            Probe("child_cnt", Stage.HINT, Location.NODE, Type.SCALAR),
            *stack_probes(config.pointers),
            TIME,
        )

    def _check(self, given: Inputs, graphs: Graphs) -> None:
        require_undirected(given, graphs)

    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        search = depth_first(graphs, starts, width, look_back=True)
        points = low_points(search)
        is_cut = _cuts(search, points)
        return Trace(search.lengths, _hints(search, points, is_cut), {"is_cut": is_cut})

    def _answer(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        search = depth_first(graphs, starts, width, look_back=True)
        is_cut = _cuts(search, low_points(search))
        begun = search.beginning()
        return Trace(search.lengths, _hints(begun, low_points(begun), np.zeros_like(is_cut)), {"is_cut": is_cut})


def _hints(search: Search, points: LowPoints, is_cut: Array) -> dict[str, Array]:
    """Every hint."""
    width = search.width
    u, push, left = search.place(search.u), search.events(PUSH), search.events(LEAVE)
    cut, counts = is_cut[u[left]].astype(np.int8), seconds(points.children[push])
    hints = {
        "is_cut_h": search.held(np.zeros(width, np.int8), left, u[left], cut).view(np.bool_),
        "low": low_hint(search, points),
        "child_cnt": search.held(np.zeros(width, np.float32), push, u[push], counts),
        "pi_h": search.parent_hint(),
    }
    return hints | search.stack_hints() | search.time_hints()


def _cuts(search: Search, points: LowPoints) -> Array:
    """Articulation points, bool `[width]`."""
    is_cut = np.zeros(search.width, np.bool_)
    u, root = search.place(search.u), search.u == search.s
    shut = (search.kind == LEAVE) & ~root & (points.rise >= 0)
    is_cut[search.place(search.parent[u])[shut]] = True
    is_cut[u[root]] = False
    is_cut[u[root & (points.children >= 2)]] = True
    return is_cut
