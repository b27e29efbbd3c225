"""Scheduling of unit-time tasks as in the CLRS benchmark (Veličković et al., ICML 2022; after Lawler, 1985)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.array_task import ArrayTask, OrderedConfig
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.keys import few_distinct
from tasks.algorithms.trace import Trace
from tasks.inputs import Inputs
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]


@dataclass(frozen=True)
class TaskSchedulingConfig(OrderedConfig):
    """Options of `task_scheduling`."""


@register(
    "task_scheduling",
    config=TaskSchedulingConfig,
    **CLRS,
)
class TaskScheduling(ArrayTask):
    """Task scheduling: tasks of unit time, taken in the order of their weights w while their deadlines d allow.

    Frame k + 1 looks at the task with the k-th largest weight, `i`, and appends it to the schedule if that, `t` tasks
    long, ends before its deadline. `pred_h`, the order of the nodes, does not change.

        d   1 3 1 3     w   0.25 0.75 0.5 0.125
        frame 0: selected_h 0 0 0 0   i 0   t 0
        frame 1: selected_h 0 1 0 0   i 1   t 1
        frame 2: selected_h 0 1 0 0   i 2   t 1
        frame 3: selected_h 0 1 0 0   i 0   t 1
        frame 4: selected_h 0 1 0 1   i 3   t 2     output selected 0 1 0 1

    The textbook's greedy algorithm would also take task 2, before task 1. This one, the benchmark's, never puts a task
    before one that weighs more, so that what it selects can be done in time but need not weigh the most. Of equal
    weights the lowest node comes first (the benchmark's package leaves their order open). Sampled deadlines are uniform
    in 1 to n, weights from U[0, 1) (`uniform`) or multiples of a quarter (`few_distinct`).
    """

    ordered: ClassVar[bool] = True
    distributions: ClassVar[tuple[str, ...]] = ("uniform", "few_distinct")

    def __init__(self, config: TaskSchedulingConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "task_scheduling",
            Probe("d", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("w", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("selected", Stage.OUTPUT, Location.NODE, Type.MASK),
            Probe("selected_h", Stage.HINT, Location.NODE, Type.MASK),
            Probe("i", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("t", Stage.HINT, Location.GRAPH, Type.SCALAR),
        )

    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        nodes, count = int(draw.sizes.max()), draw.sizes[:, None]
        weights = generators.keys(draw.seed, draw.index, draw.sizes, nodes)
        few = draw.kinds == self.distributions.index("few_distinct")
        weights[few] = few_distinct(weights[few])
        unit = generators.keys(draw.seed, draw.index, draw.sizes, nodes, generators.SECOND_DATA)
        # Rounding to float32 may give a draw of 1.
        deadlines = np.minimum(np.floor(unit * count) + 1, count)
        return {"d": np.where(np.arange(nodes) < count, deadlines, 0.0), "w": weights}, draw.sizes

    def _check(self, given: Inputs, values: Mapping[str, Array], sizes: Array) -> None:
        inside = np.arange(values["d"].shape[1]) < sizes[:, None]
        deadlines = values["d"][inside]
        wrong = (deadlines < 1) | (deadlines != np.floor(deadlines))
        if wrong.any():
            raise given.fail("d", "deadlines that are whole numbers of at least 1", str(deadlines[wrong][0]))
        lowest = values["w"].min()
        if lowest < 0:
            raise given.fail("w", "weights, none below 0", str(lowest))

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        inside = np.arange(values["w"].shape[1]) < sizes[:, None]
        order = np.argsort(np.where(inside, -values["w"], np.inf), axis=1, kind="stable")
        chosen, seen, times, output = _schedule(order, values["d"], sizes)
        return Trace(sizes + 1, {"selected_h": chosen, "i": seen, "t": times}, {"selected": output})


@kernel
def _schedule(order, deadlines, sizes):
    """Hints selected_h `[N + 1, B, N]`, i and t `[N + 1, B]`, and the output `[B, N]`."""
    batch, nodes = deadlines.shape
    chosen = np.zeros((nodes + 1, batch, nodes), np.bool_)
    seen = np.zeros((nodes + 1, batch), np.int32)
    times = np.zeros((nodes + 1, batch), np.float32)
    output = np.zeros((batch, nodes), np.bool_)
    for b in range(batch):
        scheduled = 0
        for k in range(sizes[b]):
            v = order[b, k]
            if scheduled < deadlines[b, v]:
                output[b, v] = True
                scheduled += 1
            for u in range(sizes[b]):
                chosen[k + 1, b, u] = output[b, u]
            seen[k + 1, b] = v
            times[k + 1, b] = scheduled
    return chosen, seen, times, output
