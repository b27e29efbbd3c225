"""CLRS tasks on arrays: keys, strings, points, probabilities; the part that they share.

A task gives its spec, how a sample's inputs are drawn and how the algorithm runs on a padded batch; reading a user's
inputs, checking them and gathering the batch follow from the spec.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.trace import Trace, chain, repeated
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.registry import option
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Draw, Task, tensors

Array = NDArray[Any]


@dataclass(frozen=True)
class ArrayConfig:
    """Options of tasks on arrays."""

    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")


@dataclass(frozen=True)
class OrderedConfig(ArrayConfig):
    """Options of tasks one of whose hints is the order of the nodes, which never changes."""

    pred_as_input: bool = option(
        False, "the order of the nodes is an input, pred, instead of a hint, pred_h, as in Ibarz et al. (2022)"
    )


class ArrayTask(Task):
    """A dense task on nodes in a row.

    Subclasses make their spec with `_spec`, and implement `_draw` and `_trace`. Arrays of values, by input name:
    float64 for scalars, bool for masks, int8 for classes, int64 for indices; padded with zeros.
    """

    config: ArrayConfig
    aliases: ClassVar[Mapping[str, str]] = {"ibarz2022": "uniform"}
    ordered: ClassVar[bool] = False  # whether the spec has the constant hint pred_h

    def _spec(self, name: str, *probes: Probe) -> Spec:
        """Positions and the task's own probes, with `pred_h` before the other hints if the task is ordered."""
        pos = Probe("pos", Stage.INPUT, Location.NODE, Type.SCALAR, positional=True)
        inputs = [probe for probe in probes if probe.stage is Stage.INPUT]
        rest = [probe for probe in probes if probe.stage is not Stage.INPUT]
        outputs = [probe for probe in rest if probe.stage is Stage.OUTPUT]
        hints = [probe for probe in rest if probe.stage is Stage.HINT]
        if self.ordered and self._pred_as_input:
            inputs.append(Probe("pred", Stage.INPUT, Location.NODE, Type.POINTER))
        elif self.ordered:
            hints.insert(0, Probe("pred_h", Stage.HINT, Location.NODE, Type.POINTER))
        return Spec(name, (pos, *inputs, *outputs, *hints))

    @property
    def _pred_as_input(self) -> bool:
        return getattr(self.config, "pred_as_input", False)

    @abstractmethod
    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        """Inputs of a batch, without `pos` and `pred`, scalars representable in float32; and nodes of each sample."""

    @abstractmethod
    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        """Run the algorithm; `pred_h` is added by the caller."""

    def _check(self, given: Inputs, values: Mapping[str, Array], sizes: Array) -> None:
        """Raise `given.fail(…)` for values that the algorithm is not defined for."""

    def _rows(self, values: Mapping[str, Array], sizes: Array) -> list[Array]:
        """Nodes of each row of positions of each sample, int64 `[batch]` each: one row unless told otherwise."""
        return [sizes]

    def _order(self, values: Mapping[str, Array], sizes: Array) -> Array:
        """Each node's predecessor in its row, the first of a row being its own; int32 `[batch, nodes]`."""
        nodes = int(sizes.max())
        order = chain(sizes, nodes)
        first = np.zeros_like(sizes)
        for row in self._rows(values, sizes):
            some = np.flatnonzero(row)
            order[some, first[some]] = first[some]
            first = first + row
        return order

    def _sample(self, draw: Draw, layout: str) -> Batch:
        values, sizes = self._draw(draw)
        return self._batch(values, self._positions(draw, values, sizes), sizes, draw.index)

    def _positions(self, draw: Draw | None, values: Mapping[str, Array], sizes: Array) -> Array:
        """Positions float32 `[batch, nodes]`: every row of a sample counts from 0; random ones are sorted in each."""
        batch, nodes = len(sizes), int(sizes.max())
        pos = np.zeros(batch * nodes, np.float32)
        first = np.arange(batch) * nodes
        index = np.arange(batch) if draw is None else draw.index
        seed = np.uint64(0) if draw is None else draw.seed
        random = draw is not None and self.config.random_pos
        for number, row in enumerate(self._rows(values, sizes)):
            # Rows after the first draw from streams of their own.
            purpose = generators.POSITION if number == 0 else generators.SECOND_POSITION
            pos += generators.positions(seed, index, row, first, batch * nodes, random, purpose)
            first = first + row
        return pos.reshape(batch, nodes)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=("pos", "pred"))
        # The first node probe tells how many samples and nodes there are.
        own = [probe for probe in self.spec.inputs if probe.name not in ("pos", "pred")]
        first = next(p for p in own if p.location is Location.NODE and p.type is not Type.MASK_ONE)
        lead = given.probe(first, None, None)
        nodes = lead.shape[1]
        known = given.sizes(sizes, len(lead), nodes)
        self._check_sizes(known)
        inside = np.arange(nodes) < known[:, None]
        values: dict[str, Array] = {}
        for probe in own:
            value = lead if probe is first else given.probe(probe, known, nodes)
            if probe.location is Location.NODE and probe.type is not Type.MASK_ONE:
                given.empty_padding(probe.name, value, inside)
                value = value[:, : known.max()]
            values[probe.name] = np.ascontiguousarray(value)
        self._check(given, values, known)
        if "pos" in given:
            pos = given.scalars("pos", (len(known), nodes)).astype(np.float32)
            given.empty_padding("pos", pos, inside)
            pos = np.ascontiguousarray(pos[:, : known.max()])
        else:
            pos = self._positions(None, values, known)
        if "pred" in given:
            order = given.probe(self.spec["pred"], known, nodes)
            if not np.array_equal(order[:, : known.max()], self._order(values, known)):
                raise given.fail("pred", "each node's predecessor in its row (or leave it out)", "something else")
        return self._batch(values, pos, known, np.arange(len(known)))

    def _batch(self, values: Mapping[str, Array], pos: Array, sizes: Array, index: Array) -> Batch:
        """Run the algorithm, and gather everything."""
        trace = self._trace(values, sizes)
        inputs, hints = {"pos": pos} | {name: compact(value) for name, value in values.items()}, dict(trace.hints)
        if self.ordered:
            order = self._order(values, sizes)
            if self._pred_as_input:
                inputs["pred"] = order
            else:
                hints["pred_h"] = repeated(order, trace.lengths)
        return Batch(
            spec=self.spec,
            inputs=tensors({probe.name: inputs[probe.name] for probe in self.spec.inputs}),
            hints=tensors({probe.name: hints[probe.name] for probe in self.spec.hints}),
            outputs=tensors({probe.name: trace.outputs[probe.name] for probe in self.spec.outputs}),
            lengths=torch.from_numpy(trace.lengths),
            sizes=torch.from_numpy(sizes),
            index=torch.from_numpy(index),
        )


def compact(value: Array) -> Array:
    """An input as a batch holds it."""
    if value.dtype == np.float64:
        return value.astype(np.float32)
    return value.astype(np.int32) if value.dtype == np.int64 else value
