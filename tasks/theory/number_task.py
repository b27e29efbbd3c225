"""Tasks that ask for one number of a graph: of the whole graph, or of the way between two of its nodes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.graph_layouts import Graphs, placement
from tasks.algorithms.graph_task import OnGraphs
from tasks.algorithms.trace import Trace
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

TARGET = Probe("t", Stage.INPUT, Location.NODE, Type.MASK_ONE)


class NumberTask(OnGraphs):
    """A task without hints that asks for one number; subclasses give their spec by `_spec`, and implement `_number`.

    Attributes:
        features: width of random features of the nodes, which do not matter, or 0.
        target: whether a second node is given, `t`.
    """

    weighted: ClassVar[bool] = False
    features: ClassVar[int] = 0
    target: ClassVar[bool] = False

    def _spec(self, name: str, *probes: Probe) -> Spec:
        more = [TARGET] if self.target else []
        if self.features:
            more.append(Probe("feature", Stage.INPUT, Location.NODE, Type.SCALAR, channels=self.features))
        return super()._spec(name, *more, *probes)

    @abstractmethod
    def _number(self, graphs: Graphs, target: Array) -> Trace:
        """The answer; `target` is the second node of each graph, int64 `[batch]`."""

    def _ends(self, draw: Draw, graphs: Graphs) -> tuple[Array, Array]:
        """Random source and target of each graph: both of no meaning here."""
        return graphs.source, graphs.source

    def _spread(self, draw: Draw) -> Array:
        """The largest feature of each sample, `[batch]`; the least is its negative."""
        return np.ones(len(draw.sizes))

    def _sample(self, draw: Draw, layout: str) -> Batch:
        graphs, pos = self._draw(draw, layout)
        source, target = self._ends(draw, graphs)
        graphs = graphs._replace(source=source)
        return self._gathered(graphs, pos, draw.index, layout, target, self._rows(draw, graphs, layout))

    def _drawn(self, draw: Draw, graphs: Graphs) -> Array:
        """Random features of all nodes, `[ΣN, features]`."""
        counts = self.features * graphs.sizes
        uniforms = generators.flat_uniforms(draw.seed, draw.index, counts, generators.SECOND_DATA)
        spread = np.repeat(self._spread(draw), graphs.sizes)[:, None]
        return (2 * uniforms.reshape(-1, self.features) - 1) * spread

    def _rows(self, draw: Draw, graphs: Graphs, layout: str) -> Array:
        """Random features where the layout has them, `[width, features]`."""
        starts, width = placement(graphs, layout)
        rows = np.zeros((width, self.features), np.float32)
        if self.features:
            places = np.repeat(starts - graphs.offsets, graphs.sizes) + np.arange(int(graphs.sizes.sum()))
            rows[places] = self._drawn(draw, graphs)
        return rows

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=("pos", "adj"), extra=("edge_index",))
        graphs, pos, layout = self._read(given, sizes)
        known, nodes = graphs.sizes, int(graphs.sizes.max())
        _, width = placement(graphs, layout)
        target = given.node("t", known, nodes) if self.target else graphs.source
        rows = np.zeros((width, self.features), np.float32)
        if self.features:
            shape = [len(known), nodes] if layout == "dense" else [width]
            value = given.scalars("feature", [*shape, self.features] if self.features > 1 else shape)
            if layout == "dense":
                given.empty_padding("feature", value, np.arange(nodes) < known[:, None])
            rows = value.reshape(width, self.features).astype(np.float32)
        self._check_target(given, graphs, target)
        return self._gathered(graphs, pos, np.arange(len(known)), layout, target, rows)

    def _check_target(self, given: Inputs, graphs: Graphs, target: Array) -> None:
        """Raise `given.fail(…)` for pairs of nodes that the answer is not defined for."""

    def _gathered(self, graphs: Graphs, pos: Array, index: Array, layout: str, target: Array, features: Array) -> Batch:
        """The batch."""
        more = {"t": target.astype(np.int32), "feature": features}
        return self._gather(graphs, pos, index, layout, self._number(graphs, target), more)
