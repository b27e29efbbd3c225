"""Bridges as in the CLRS benchmark (Veličković et al., ICML 2022; after Tarjan, 1974)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.clrs import CLRS
from tasks.algorithms.depth_first import COLOR, LEAVE, TIME, TIMES, Search, adjacency, depth_first, hold, stack_probes
from tasks.algorithms.graph_conditions import require_undirected
from tasks.algorithms.graph_task import GraphConfig, Graphs, GraphTask
from tasks.algorithms.low_points import low_hint, low_points
from tasks.algorithms.trace import Trace
from tasks.inputs import Inputs
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class BridgesConfig(GraphConfig):
    """Options of `bridges`."""


@register(
    "bridges",
    config=BridgesConfig,
    **CLRS,
)
class Bridges(GraphTask):
    """Bridges: the edges of an undirected graph without which it falls into more parts.

    The search is that of `articulation_points`, with the same frames. When it leaves a node, the edges from it to those
    children whose low point is later than the time at which the node was entered are bridges, both ways. Entries of
    `is_bridge` are scored where adj is 1, a node and itself included, and -1 elsewhere. Over the edges 0-1 and 1-2,
    both ways:

        frames 0 to 7:    frames 8 and 9:    frame 10, output:
            0  0 -1            0  0 -1            0  1 -1
            0  0  0            0  0  1            1  0  1
           -1  0  0           -1  1  0           -1  1  0

    Entries of A other than 0 are edges, each with its reverse. Sampled graphs have an edge with probability 0.04.
    """

    layouts = frozenset({"dense"})  # outputs are on edges
    weighted = False
    source = False
    density = 0.2

    def __init__(self, config: BridgesConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "bridges",
            Probe("is_bridge", Stage.OUTPUT, Location.EDGE, Type.MASK),
            Probe("is_bridge_h", Stage.HINT, Location.EDGE, Type.MASK),
            Probe("pi_h", Stage.HINT, Location.NODE, Type.POINTER, domain=config.pointers),
            COLOR,
            *TIMES,
            Probe("low", Stage.HINT, Location.NODE, Type.SCALAR),
            *stack_probes(config.pointers),
            TIME,
        )

    def _check(self, given: Inputs, graphs: Graphs) -> None:
        require_undirected(given, graphs)

    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        search = depth_first(graphs, starts, width, look_back=True)
        points = low_points(search)
        left = search.events(LEAVE)
        child = left[(search.u[left] != search.s[left]) & (points.rise[left] > 0)]
        frames, output = _matrices(search, graphs, child)
        hints = {"is_bridge_h": frames, "pi_h": search.parent_hint(), "low": low_hint(search, points)}
        return Trace(search.lengths, hints | search.stack_hints() | search.time_hints(), {"is_bridge": output})


def _matrices(search: Search, graphs: Graphs, child: Array) -> tuple[Array, Array]:
    """Hint frames `[T, B, N, N]` and output `[B, N, N]`, given the events of leaving a node below a bridge."""
    batch, nodes = len(graphs.sizes), int(graphs.sizes.max())
    inside = np.arange(nodes) < graphs.sizes[:, None]
    pair = inside[:, :, None] & inside[:, None, :]
    row = (adjacency(graphs).astype(np.int8) - pair).reshape(-1)
    # A bridge is shown when the upper of its nodes is left.
    left = search.events(LEAVE)
    when = np.zeros(search.width, np.int64)
    when[search.place(search.u)[left]] = left
    low, up = search.u[child], search.parent[search.place(search.u)[child]]
    matrix = search.graph[child] * nodes**2
    places = np.concatenate([matrix + up * nodes + low, matrix + low * nodes + up])
    events = np.tile(when[search.starts[search.graph[child]] + up], 2)
    order = np.argsort(events, kind="stable")
    starts, spans = np.arange(batch) * nodes**2, np.full(batch, nodes**2)
    ones = np.ones(len(places), np.int8)
    frames = hold(row, starts, spans, search.lengths, events[order], places[order], ones)
    row[places] = 1
    return frames.reshape(-1, batch, nodes, nodes), row.reshape(batch, nodes, nodes)
