"""Kosaraju's strongly connected components as in the CLRS benchmark (Veličković et al., ICML 2022).

After Aho, Hopcroft and Ullman, The Design and Analysis of Computer Algorithms, 1974.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.depth_first import COLOR, START, TIME, TIMES, adjacency, depth_first, stack_probes
from tasks.algorithms.graph_task import GraphConfig, Graphs, GraphTask, reversed_values
from tasks.algorithms.trace import Trace, repeated
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class StronglyConnectedComponentsConfig(GraphConfig):
    """Options of `strongly_connected_components`."""


@register(
    "strongly_connected_components",
    config=StronglyConnectedComponentsConfig,
    **CLRS,
)
class StronglyConnectedComponents(GraphTask):
    """Strongly connected components of a directed graph: each node points to the one that stands for its component.

    In `phase` 0 a depth-first search (see `dfs`) finds when each node is left; in phase 1 another follows on the
    reversed graph, whose adj is `A_t`, with roots taken from the node left last to the one left first. The nodes of
    one of its trees are a component, and its root stands for it. Time runs on; `d` changes for roots only, whose
    entering alone has a frame of its own, and `f` for all nodes. Over the edges 0-1, 1-0 and 2-1, phase 1 is

        frame 9:  s 2   u 2   v 2   time 0.06   color 0 0 0   f .04 .03 .06   scc_id_h 0 1 2
        frame 10: s 2   u 2   v 2   time 0.07   color 0 0 1   f .04 .03 .06   scc_id_h 0 1 2
        frame 11: s 2   u 2   v 2   time 0.08   color 0 0 2   f .04 .03 .08   scc_id_h 0 1 2
        frame 12: s 0   u 0   v 0   time 0.08   color 0 0 2   f .04 .03 .08   scc_id_h 0 1 2
        frame 13: s 0   u 0   v 0   time 0.09   color 1 0 2   f .04 .03 .08   scc_id_h 0 1 2
        frame 14: s 0   u 0   v 1   time 0.09   color 1 1 2   f .04 .03 .08   scc_id_h 0 1 2
        frame 15: s 0   u 1   v 2   time 0.10   color 1 2 2   f .04 .10 .08   scc_id_h 0 0 2
        frame 16: s 0   u 0   v 2   time 0.11   color 2 2 2   f .11 .10 .08   scc_id_h 0 0 2

    Output scc_id 0 0 2. A component's node is any of its nodes, whatever `pointers` says. Entries of A other than 0 are
    edges. Sampled graphs of kinds `clrs` and `dense_mix` are four parts that only few edges join.
    """

    layouts = frozenset({"dense"})  # the node that stands for a component need not be a neighbour
    weighted = False
    source = False
    orientation = generators.DIRECTED
    communities = True

    def __init__(self, config: StronglyConnectedComponentsConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "strongly_connected_components",
            Probe("scc_id", Stage.OUTPUT, Location.NODE, Type.POINTER),
            Probe("scc_id_h", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("A_t", Stage.HINT, Location.EDGE, Type.MASK),
            COLOR,
            *TIMES,
            *stack_probes(config.pointers),
            TIME,
            Probe("phase", Stage.HINT, Location.GRAPH, Type.MASK),
        )

    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        search = depth_first(graphs, starts, width, reverse=reversed_values(graphs))
        phase = search.frame >= search.phases[search.graph]
        # A node's component is known as soon as the search is at it.
        known = np.flatnonzero(phase & (search.kind != START))
        places = search.place(search.u)[known]
        output = search.own()
        output[places] = search.s[known]
        reverse = np.ascontiguousarray(adjacency(graphs).swapaxes(1, 2))
        hints = {
            "scc_id_h": search.held(search.own(), known, places, search.s[known]),
            "A_t": repeated(reverse, search.lengths),
            "phase": search.frames_of(phase),
        }
        return Trace(search.lengths, hints | search.stack_hints() | search.time_hints(), {"scc_id": output})
