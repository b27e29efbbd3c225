"""Depth-first search as in the CLRS benchmark (Veličković et al., ICML 2022; after Moore, 1959)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.depth_first import COLOR, TIME, TIMES, Search, depth_first, stack_probes
from tasks.algorithms.graph_task import GraphConfig, Graphs, GraphTask
from tasks.algorithms.trace import Trace
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class DfsConfig(GraphConfig):
    """Options of `dfs`."""


@register(
    "dfs",
    config=DfsConfig,
    **CLRS,
)
class Dfs(GraphTask):
    """Depth-first search of a directed graph: the node that each was first seen from, itself for a root.

    Roots and neighbours are taken in ascending order until every node is seen, so a node takes three frames: it is
    chosen as a root `s` or seen as `v` from `u`, entered at time `d`, and left at time `f`, when v is the last node.
    Colours are 0 for a node not seen, 1 for one on the stack and 2 for one left; `s_prev` points down the stack whose
    top is `s_last`. Over the edges 0-2 and 2-0:

        frame 0: s 0   u 0   v 0   s_last 0   time 0.00   color 0 0 0   pi_h 0 1 2   d .00 .00 .00   f .00 .00 .00
        frame 1: s 0   u 0   v 0   s_last 0   time 0.01   color 1 0 0   pi_h 0 1 2   d .01 .00 .00   f .00 .00 .00
        frame 2: s 0   u 0   v 2   s_last 2   time 0.01   color 1 0 1   pi_h 0 1 0   d .01 .00 .00   f .00 .00 .00
        frame 3: s 0   u 2   v 2   s_last 2   time 0.02   color 1 0 1   pi_h 0 1 0   d .01 .00 .02   f .00 .00 .00
        frame 4: s 0   u 2   v 2   s_last 2   time 0.03   color 1 0 2   pi_h 0 1 0   d .01 .00 .02   f .00 .00 .03
        frame 5: s 0   u 0   v 2   s_last 0   time 0.04   color 2 0 2   pi_h 0 1 0   d .01 .00 .02   f .04 .00 .03
        frame 6: s 1   u 1   v 1   s_last 1   time 0.04   color 2 0 2   pi_h 0 1 0   d .01 .00 .02   f .04 .00 .03
        frame 7: s 1   u 1   v 1   s_last 1   time 0.05   color 2 1 2   pi_h 0 1 0   d .01 .05 .02   f .04 .00 .03
        frame 8: s 1   u 1   v 2   s_last 1   time 0.06   color 2 2 2   pi_h 0 1 0   d .01 .05 .02   f .04 .06 .03

    Output pi 0 1 0; s_prev is 0 1 0 in frames 2 to 4, and 0 1 2 in the others. Entries of A other than 0 are edges.
    """

    weighted = False
    source = False
    orientation = generators.DIRECTED

    def __init__(self, config: DfsConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "dfs",
            Probe("pi", Stage.OUTPUT, Location.NODE, Type.POINTER, domain=config.pointers),
            Probe("pi_h", Stage.HINT, Location.NODE, Type.POINTER, domain=config.pointers),
            COLOR,
            *TIMES,
            *stack_probes(config.pointers),
            TIME,
        )

    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        search = depth_first(graphs, starts, width)
        return Trace(search.lengths, _hints(search), {"pi": search.parent})

    def _answer(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        search = depth_first(graphs, starts, width)
        return Trace(search.lengths, _hints(search.beginning()), {"pi": search.parent})


def _hints(search: Search) -> dict[str, Array]:
    """Every hint."""
    return {"pi_h": search.parent_hint(), **search.stack_hints(), **search.time_hints()}
