"""Shortest paths of at most three edges (Xu et al., How Neural Networks Extrapolate, ICLR 2021, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.graph_conditions import require_non_negative
from tasks.algorithms.graph_task import Graphs, PlainGraphConfig
from tasks.algorithms.trace import Trace
from tasks.inputs import Inputs
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw
from tasks.theory.edge_weights import reweighted
from tasks.theory.extrapolation_graphs import FAMILIES
from tasks.theory.extrapolation_paper import EXTRAPOLATION
from tasks.theory.extrapolation_task import ExtrapolationTask
from tasks.theory.routes import HOPS, near_pairs, route_lengths

Array = NDArray[Any]

_SPREAD = 5.0
_LEAST, _MOST, _WIDE_MOST = 1.0, 5.0, 10.0
_PAIRS = 16  # drawn for each graph at a time
_ROUND = 1 << 16


@dataclass(frozen=True)
class ThreeHopShortestPathConfig(PlainGraphConfig):
    """Options of `three_hop_shortest_path`."""


@register("three_hop_shortest_path", config=ThreeHopShortestPathConfig, **EXTRAPOLATION)
class ThreeHopShortestPath(ExtrapolationTask):
    """Shortest path: the length of the shortest path from node s to node t, which has at most three edges.

    Weights are from U[1, 5), or from U[1, 10) in `general_wide`, the same in both directions. Nodes have a feature that
    does not matter, from U[-5, 5). There are no hints and there are three steps.

        0 - 1 of weight 1, 1 - 2 of 2.5 and 0 - 2 of 4: from s 0 to t 2, length 3.5

    The source is any node and the target any at most three edges away, drawn until they differ and the shortest path
    between them has at most three edges. The distributions are the paper's families of graphs (see
    `extrapolation_graphs`; an `expander` has edges of probability 0.6). It trains on each family in turn, on 20 to 40
    nodes, and tests on `general` of 50 to 70 nodes with weights as narrow and, as `general_wide`, with wide ones. Its
    error is the mean absolute percentage error. Entries of A other than 0 are edges.
    """

    expander: ClassVar[float] = 0.6
    features: ClassVar[int] = 1
    target: ClassVar[bool] = True

    def __init__(self, config: ThreeHopShortestPathConfig) -> None:
        super().__init__(config)
        self.spec = self._spec("three_hop_shortest_path", Probe("length", Stage.OUTPUT, Location.GRAPH, Type.SCALAR))

    def _draw(self, draw: Draw, layout: str) -> tuple[Graphs, Array]:
        graphs, pos = super()._draw(draw, layout)
        return reweighted(draw, graphs, _LEAST, np.where(draw.kinds == len(FAMILIES), _WIDE_MOST, _MOST)), pos

    def _spread(self, draw: Draw) -> Array:
        return np.full(len(draw.sizes), _SPREAD)

    def _ends(self, draw: Draw, graphs: Graphs) -> tuple[Array, Array]:
        ends = np.full((2, len(draw.sizes)), -1)
        attempt = 0
        while (ends < 0).any():
            some = np.flatnonzero(ends[0] < 0)
            counts = np.full(len(some), 2 * _PAIRS)
            purpose = generators.QUERY + attempt * _ROUND
            uniforms = generators.uniforms(draw.seed, draw.index[some], counts, 2 * _PAIRS, purpose)
            ends[:, some] = near_pairs(
                graphs.sizes[some], graphs.offsets[some], graphs.row_starts, graphs.neighbours, graphs.values, uniforms
            )
            attempt += 1
        return ends[0], ends[1]

    def _check(self, given: Inputs, graphs: Graphs) -> None:
        require_non_negative(given, graphs)

    def _check_target(self, given: Inputs, graphs: Graphs, target: Array) -> None:
        near, _ = route_lengths(*graphs, target, HOPS)
        whole, _ = route_lengths(*graphs, target, int(graphs.sizes.max()))
        wrong = ~(near == whole) | np.isinf(near)
        if wrong.any():
            b = int(wrong.argmax())
            expected = f"a node to which the shortest path has at most {HOPS} edges"
            raise given.fail("t", expected, f"node {target[b]} in sample {b}")

    def _number(self, graphs: Graphs, target: Array) -> Trace:
        lengths, _ = route_lengths(*graphs, target, HOPS)
        return Trace(np.full(len(lengths), HOPS + 1), {}, {"length": lengths.astype(np.float32)})
