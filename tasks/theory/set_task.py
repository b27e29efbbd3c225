"""Tasks on sets: one answer for a set of objects, which have no order and leave no trace of how it is found."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.array_task import ArrayTask
from tasks.algorithms.trace import Trace
from tasks.inputs import Inputs
from tasks.spec import Probe, Spec
from tasks.task import Draw

Array = NDArray[Any]


class SetTask(ArrayTask):
    """A task on a set of nodes: no positions and no hints; subclasses implement `_draw` and `_answer`."""

    config: Any

    def _spec(self, name: str, *probes: Probe) -> Spec:
        return Spec(name, probes)

    @abstractmethod
    def _answer(self, values: Mapping[str, Array], sizes: Array) -> dict[str, Array]:
        """The outputs, by name."""

    def _steps(self, sizes: Array) -> Array:
        """Steps that a processor may take: 1 unless told otherwise."""
        return np.ones_like(sizes)

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        return Trace(self._steps(sizes) + 1, {}, self._answer(values, sizes))

    def _positions(self, draw: Draw | None, values: Mapping[str, Array], sizes: Array) -> Array:
        """None that any probe would hold."""
        return np.zeros((len(sizes), int(sizes.max())), np.float32)


def require_whole(given: Inputs, values: Mapping[str, Array], probe: Probe, low: int, high: int) -> None:
    """Refuse anything but whole numbers from `low` to `high` in an input."""
    value = values[probe.name]
    wrong = (value != np.round(value)) | (value < low) | (value > high)
    if wrong.any():
        raise given.fail(probe.name, f"whole numbers from {low} to {high}", f"{value[wrong][0]:g}")
