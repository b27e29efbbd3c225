"""Kadane's maximum subarray as in the CLRS benchmark (Veličković et al., ICML 2022; after Bentley, CACM 1984)."""

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
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]


@dataclass(frozen=True)
class FindMaximumSubarrayKadaneConfig(OrderedConfig):
    """Options of `find_maximum_subarray_kadane`."""


@register(
    "find_maximum_subarray_kadane",
    config=FindMaximumSubarrayKadaneConfig,
    **CLRS,
)
class FindMaximumSubarrayKadane(ArrayTask):
    """Maximum subarray: the first and the last node of a run of neighbouring nodes whose keys have the largest sum.

    Frame t has looked at the nodes up to t, which is `j`. `i` is where the best run that ends there begins, and
    `sum` its sum; `best_low`, `best_high` and `best_sum` are the best run so far. `pred_h`, the order of the nodes,
    does not change.

        key   0.5 -0.75 1.0 0.25
        frame 0: best_low 0   best_high 0   best_sum 0.5    i 0   j 0   sum 0.5
        frame 1: best_low 0   best_high 0   best_sum 0.5    i 0   j 1   sum -0.25
        frame 2: best_low 2   best_high 2   best_sum 1.0    i 2   j 2   sum 1.0
        frame 3: best_low 2   best_high 3   best_sum 1.25   i 2   j 3   sum 1.25     output start 2   end 3

    A run has at least one node, so that of keys all below zero is the largest of them. Of several best runs the output
    is the one that ends first, and of those the longest. Sampled keys are from U[-1, 1) (`uniform`) or multiples of a
    half, with many equal sums (`few_distinct`).
    """

    ordered: ClassVar[bool] = True
    distributions: ClassVar[tuple[str, ...]] = ("uniform", "few_distinct")

    def __init__(self, config: FindMaximumSubarrayKadaneConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "find_maximum_subarray_kadane",
            Probe("key", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("start", Stage.OUTPUT, Location.NODE, Type.MASK_ONE),
            Probe("end", Stage.OUTPUT, Location.NODE, Type.MASK_ONE),
            Probe("best_low", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("best_high", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("best_sum", Stage.HINT, Location.GRAPH, Type.SCALAR),
            Probe("i", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("j", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("sum", Stage.HINT, Location.GRAPH, Type.SCALAR),
        )

    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        nodes = int(draw.sizes.max())
        unit = generators.keys(draw.seed, draw.index, draw.sizes, nodes)
        few = draw.kinds == self.distributions.index("few_distinct")
        unit[few] = few_distinct(unit[few])
        inside = np.arange(nodes) < draw.sizes[:, None]
        keys = np.where(inside, 2 * unit - 1, 0).astype(np.float32)
        return {"key": keys.astype(np.float64)}, draw.sizes

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        low, high, best, first, last, total, start, end = _kadane(values["key"], sizes)
        hints = {"best_low": low, "best_high": high, "best_sum": best, "i": first, "j": last, "sum": total}
        return Trace(sizes.copy(), hints, {"start": start, "end": end})


@kernel
def _kadane(keys, sizes):
    """The hints `[N, B]` in the order of the spec, and the outputs `[B]`."""
    batch, nodes = keys.shape
    low = np.zeros((nodes, batch), np.int32)
    high = np.zeros((nodes, batch), np.int32)
    best = np.zeros((nodes, batch), np.float32)
    first = np.zeros((nodes, batch), np.int32)
    last = np.zeros((nodes, batch), np.int32)
    total = np.zeros((nodes, batch), np.float32)
    start = np.zeros(batch, np.int32)
    end = np.zeros(batch, np.int32)
    for b in range(batch):
        i = 0
        running = keys[b, 0]
        largest = running
        for j in range(sizes[b]):
            if j > 0:
                key = keys[b, j]
                if running + key >= key:
                    running += key
                else:
                    i = j
                    running = key
                if running > largest:
                    start[b] = i
                    end[b] = j
                    largest = running
            low[j, b] = start[b]
            high[j, b] = end[b]
            best[j, b] = largest
            first[j, b] = i
            last[j, b] = j
            total[j, b] = running
    return low, high, best, first, last, total, start, end
