"""Range minima of an array that changes, by a segment tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.inputs import Inputs
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.structures.papers import PMP_PAPER
from tasks.structures.range_task import RangeConfig, RangeTask
from tasks.structures.streamed_task import Operations
from tasks.task import Draw

Array = NDArray[Any]


@dataclass(frozen=True)
class RangeMinimumConfig(RangeConfig):
    """Options of `range_minimum`."""


@register("range_minimum", config=RangeMinimumConfig, **PMP_PAPER)
class RangeMinimum(RangeTask):
    """Range minimum: a stream of assignments to an array and questions for the minimum of a range, by a segment tree.

    Nodes, inputs, `least_h`, `minimum_h` and `answer` are those of `RangeTask`. `visit_h` is 1 on the nodes that the
    operation passes on its way down from the root and 2 where a descent ends: at the entry that is assigned, and at
    the nodes whose ranges make up the one asked about. `modified_h` marks the nodes that an assignment stores anew, its
    path from the entry to the root. Three entries 0.5, 0.2 and 0.9 are nodes 0 to 2; node 3 is the root and node 4
    stands for entries 0 and 1, so that `parent` is 4 4 3 3 3:

        ask 0,2    answer 1   least_h 0 1 2 1 1   visit_h 0 0 0 2 0   modified_h 0 0 0 0 0
        assign 1   value 0.7   answer -   least_h 0 1 2 0 0   visit_h 0 2 0 1 1   modified_h 0 1 0 1 1
        ask 1,2    answer 1   least_h 0 1 2 0 0   visit_h 0 2 2 1 1   modified_h 0 0 0 0 0
        assign 2   value 0.1   answer -   least_h 0 1 2 2 0   visit_h 0 0 2 1 0   modified_h 0 0 1 1 0
        ask 0      answer 0   least_h 0 1 2 2 0   visit_h 2 0 0 1 1   modified_h 0 0 0 0 0

    Entries and values are uniform on [0, 1); the entry is uniform, and so are the two ends of a range, in either order.
    Half of the operations ask. The task is that of the persistent message passing paper without its questions about
    the past; its sizes, numbers and values are not known here, so that these are our own.
    """

    def __init__(self, config: RangeMinimumConfig) -> None:
        super().__init__(
            config,
            "range_minimum",
            inputs=(),
            hints=(
                Probe("visit_h", Stage.HINT, Location.NODE, Type.CATEGORICAL, classes=3),
                Probe("modified_h", Stage.HINT, Location.NODE, Type.MASK),
            ),
        )

    def _drawn_versions(self, draw: Draw, counts: Array, steps: int) -> Array:
        return _present(steps, len(counts))

    def _given_versions(self, given: Inputs, asked: Operations) -> Array:
        return _present(*asked.kinds.shape)

    def _inputs(self, versions: Array, kinds: Array) -> dict[str, Array]:
        return {}

    def _hints(self, visits: Array, assigned: Array) -> dict[str, Array]:
        return {"visit_h": visits, "modified_h": (visits > 0) & assigned}


def _present(steps: int, batch: int) -> Array:
    """The version before each operation, int64 `[steps, batch]`."""
    return np.repeat(np.arange(steps)[:, None], batch, axis=1)
