"""Topological sorting as in the CLRS benchmark (Veličković et al., ICML 2022; after Knuth, 1973)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.depth_first import COLOR, LEAVE, depth_first, hold, stack_probes
from tasks.algorithms.graph_conditions import require_acyclic
from tasks.algorithms.graph_task import GraphConfig, Graphs, GraphTask
from tasks.algorithms.trace import Trace
from tasks.inputs import Inputs
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class TopologicalSortConfig(GraphConfig):
    """Options of `topological_sort`."""


@register(
    "topological_sort",
    config=TopologicalSortConfig,
    **CLRS,
)
class TopologicalSort(GraphTask):
    """Topological sorting: an order of the nodes in which every edge leads to a later node.

    It is the opposite of the order in which a depth-first search (see `dfs`) leaves the nodes: each node points to the
    next in the order, the last to itself, and `topo_head` is the first. Only of roots it is shown that they are
    entered. Over the edges 0-2 and 1-0:

        frame 0: s 0   u 0   v 0   s_last 0   color 0 0 0   topo_h 0 1 2   topo_head_h 0
        frame 1: s 0   u 0   v 0   s_last 0   color 1 0 0   topo_h 0 1 2   topo_head_h 0
        frame 2: s 0   u 0   v 2   s_last 2   color 1 0 1   topo_h 0 1 2   topo_head_h 0
        frame 3: s 0   u 2   v 2   s_last 2   color 1 0 2   topo_h 0 1 2   topo_head_h 2
        frame 4: s 0   u 0   v 2   s_last 0   color 2 0 2   topo_h 2 1 2   topo_head_h 0
        frame 5: s 1   u 1   v 1   s_last 1   color 2 0 2   topo_h 2 1 2   topo_head_h 0
        frame 6: s 1   u 1   v 1   s_last 1   color 2 1 2   topo_h 2 1 2   topo_head_h 0
        frame 7: s 1   u 1   v 2   s_last 1   color 2 2 2   topo_h 2 0 2   topo_head_h 1

    Output topo 2 0 2 and topo_head 1: the order is 1 0 2. A node's next is any node, whatever `pointers` says.
    """

    layouts = frozenset({"dense"})  # the next node in the order need not be a neighbour
    weighted = False
    source = False
    orientation = generators.ACYCLIC

    def __init__(self, config: TopologicalSortConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "topological_sort",
            Probe("topo", Stage.OUTPUT, Location.NODE, Type.POINTER),
            Probe("topo_head", Stage.OUTPUT, Location.NODE, Type.MASK_ONE),
            Probe("topo_h", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("topo_head_h", Stage.HINT, Location.NODE, Type.MASK_ONE),
            COLOR,
            *stack_probes(config.pointers),
        )

    def _check(self, given: Inputs, graphs: Graphs) -> None:
        require_acyclic(given, graphs)

    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        search = depth_first(graphs, starts, width, enter_all=False)
        left = search.events(LEAVE)
        places, graph = search.place(search.u)[left], search.graph[left]
        same = np.concatenate([np.zeros(1, np.bool_), graph[1:] == graph[:-1]])
        after = np.where(same, np.roll(search.u[left], 1), search.u[left])
        topo = search.own()
        topo[places] = after
        # The head is the node that was left last, node 0 before there is one.
        batch = len(graphs.sizes)
        head = np.zeros(batch, np.int32)
        heads = hold(head, np.arange(batch), np.ones(batch, np.int64), search.lengths, left, graph, search.u[left])
        head[graph] = search.u[left]
        hints = {"topo_h": search.held(search.own(), left, places, after), "topo_head_h": heads}
        return Trace(search.lengths, hints | search.stack_hints(), {"topo": topo, "topo_head": head})
