"""Maximum degree (Xu et al., How Neural Networks Extrapolate, ICLR 2021, section 4.2 and appendix D)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.graph_conditions import require_undirected
from tasks.algorithms.graph_task import Graphs, PlainGraphConfig, pairs
from tasks.algorithms.trace import Trace
from tasks.inputs import Inputs
from tasks.registry import near, option, register
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw
from tasks.theory.extrapolation_graphs import FAMILIES
from tasks.theory.extrapolation_paper import EXTRAPOLATION
from tasks.theory.extrapolation_task import ExtrapolationTask

Array = NDArray[Any]

_SPREAD, _WIDE_SPREAD = 5.0, 10.0
FEATURES = ("uniform", "identical")


@dataclass(frozen=True)
class MaximumDegreeConfig(PlainGraphConfig):
    """Options of `maximum_degree`."""

    features: str = option("uniform", "features of nodes: random ('uniform') or all 1 ('identical')")


@register("maximum_degree", config=MaximumDegreeConfig, **EXTRAPOLATION)
class MaximumDegree(ExtrapolationTask):
    """Maximum degree: how many neighbours the node with most of them has, itself not counted.

    Nodes have three features that do not matter, from U[-5, 5), or from U[-10, 10) in `general_wide`. There are no
    hints and there is one step.

        0 - 1 - 2 - 3 - 4   degree 2, and 3 with the edge 1-3, whatever the features are

    The distributions are the paper's families of graphs (see `extrapolation_graphs`; an `expander` has edges of
    probability 0.8). It trains on each family in turn, on 20 to 30 nodes and with the narrow features, and tests on
    `general` of 50 to 100 nodes with the narrow features and, as `general_wide`, the wide ones. Its error is the mean
    absolute percentage error. Undirected graphs only; entries of A other than 0 are edges.
    """

    expander: ClassVar[float] = 0.8
    source: ClassVar[bool] = False
    features: ClassVar[int] = 3

    def __init__(self, config: MaximumDegreeConfig) -> None:
        super().__init__(config)
        if config.features not in FEATURES:
            raise ValueError(f"unknown features {config.features!r}; {near(config.features, FEATURES)}")
        self.spec = self._spec("maximum_degree", Probe("degree", Stage.OUTPUT, Location.GRAPH, Type.SCALAR))

    def _check(self, given: Inputs, graphs: Graphs) -> None:
        require_undirected(given, graphs)

    def _spread(self, draw: Draw) -> Array:
        return np.where(draw.kinds == len(FAMILIES), _WIDE_SPREAD, _SPREAD)

    def _drawn(self, draw: Draw, graphs: Graphs) -> Array:
        if self.config.features == "identical":
            return np.ones((int(graphs.sizes.sum()), self.features))
        return super()._drawn(draw, graphs)

    def _number(self, graphs: Graphs, target: Array) -> Trace:
        graph, sender, receiver = pairs(graphs)
        edge = (graphs.values != 0) & (sender != receiver)
        degrees = np.bincount((graphs.offsets[graph] + sender)[edge], minlength=len(graphs.row_starts) - 1)
        most = np.maximum.reduceat(degrees, graphs.offsets).astype(np.float32)
        return Trace(np.full(len(most), 2), {}, {"degree": most})
