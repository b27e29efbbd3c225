"""Lengths of shortest paths (Tang et al., Towards Scale-Invariant Graph-related Problem Solving, NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.graph_conditions import require_non_negative
from tasks.algorithms.graph_task import Graphs, PlainGraphConfig
from tasks.algorithms.trace import Trace
from tasks.generators import GRAPH_KINDS
from tasks.graph_families import FAMILIES
from tasks.inputs import Inputs
from tasks.registry import option, register
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw
from tasks.theory.edge_weights import reweighted
from tasks.theory.number_task import NumberTask
from tasks.theory.routes import reached_targets, route_lengths

Array = NDArray[Any]

_LEAST, _MOST = 0.5, 1.5
_KINDS = GRAPH_KINDS + FAMILIES
_OWN = ("lobster", "nearest_neighbours", "delaunay", "clrs")  # the paper's come first, so that one is the default
_NAMES = (*_OWN, *(name for name in _KINDS if name not in _OWN))
_CODES = np.array([_KINDS.index(name) for name in _NAMES])


@dataclass(frozen=True)
class ShortestPathLengthConfig(PlainGraphConfig):
    """Options of `shortest_path_length`."""

    weighted: bool = option(False, "sampled edges weigh U[0.5, 1.5), each direction on its own, instead of 1")


@register(
    "shortest_path_length",
    config=ShortestPathLengthConfig,
    paper="Tang et al., Towards Scale-Invariant Graph-related Problem Solving (IterGNN), NeurIPS 2020",
    year=2020,
    bibtex="""
@inproceedings{tang2020towards,
  title={Towards Scale-Invariant Graph-related Problem Solving by Iterative Homogeneous Graph Neural Networks},
  author={Tang, Hao and Huang, Zhiao and Gu, Jiayuan and Lu, Bao-Liang and Su, Hao},
  booktitle={Advances in Neural Information Processing Systems},
  year={2020}
}""",
)
class ShortestPathLength(NumberTask):
    """Shortest path length: the length of the shortest path from node s to node t.

    There are no hints; steps are those of `bellman_ford` from the source, until no distance changes.

        0 - 1 - 2 - 3   from s 0 to t 2: length 2, in 3 steps, as node 3 takes as many

    The source is any node, the target any other that it reaches (or the source itself, where it reaches none). Of the
    distributions the paper has `lobster`, its trees close to a path, `nearest_neighbours`, `delaunay` and, here `clrs`,
    Erdős-Rényi graphs of density 1/2, which in its code are directed and here are not. It trains on 4 to 33 nodes and
    tests on 100 to 5,000. Edges weigh 1, or, with `weighted`, have weights of their own in either direction, as in its
    code. Unweighted answers count as right that round to the truth; weighted ones have a mean relative error.
    """

    target: ClassVar[bool] = True
    density: ClassVar[float] = 0.5**0.5
    distributions: ClassVar[tuple[str, ...]] = _NAMES
    aliases: ClassVar[Mapping[str, str]] = {}
    min_size = 2

    def __init__(self, config: ShortestPathLengthConfig) -> None:
        super().__init__(config)
        self.spec = self._spec("shortest_path_length", Probe("length", Stage.OUTPUT, Location.GRAPH, Type.SCALAR))

    def _edges(self, draw: Draw) -> tuple[Array, Array, Array]:
        return super()._edges(replace(draw, kinds=_CODES[draw.kinds]))

    def _draw(self, draw: Draw, layout: str) -> tuple[Graphs, Array]:
        graphs, pos = super()._draw(draw, layout)
        if self.config.weighted:
            graphs = reweighted(draw, graphs, _LEAST, _MOST, symmetric=False)
        return graphs, pos

    def _ends(self, draw: Draw, graphs: Graphs) -> tuple[Array, Array]:
        uniforms = generators.uniforms(draw.seed, draw.index, np.ones_like(draw.sizes), 1, generators.QUERY)[:, 0]
        return graphs.source, reached_targets(*graphs, uniforms)

    def _check(self, given: Inputs, graphs: Graphs) -> None:
        require_non_negative(given, graphs)

    def _check_target(self, given: Inputs, graphs: Graphs, target: Array) -> None:
        lengths, _ = route_lengths(*graphs, target, int(graphs.sizes.max()))
        if np.isinf(lengths).any():
            b = int(np.isinf(lengths).argmax())
            raise given.fail("t", "a node that the source reaches", f"node {target[b]} in sample {b}")

    def _number(self, graphs: Graphs, target: Array) -> Trace:
        lengths, rounds = route_lengths(*graphs, target, int(graphs.sizes.max()))
        return Trace(rounds + 1, {}, {"length": lengths.astype(np.float32)})
