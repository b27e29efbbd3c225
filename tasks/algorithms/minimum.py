"""The search for a minimum as in the CLRS benchmark (Veličković et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.array_task import OrderedConfig
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.keys import KeysTask
from tasks.algorithms.trace import Trace, final
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class MinimumConfig(OrderedConfig):
    """Options of `minimum`."""


@register(
    "minimum",
    config=MinimumConfig,
    **CLRS,
)
class Minimum(KeysTask):
    """Minimum: the node with the smallest key, the first of them if there are several.

    Frame t looks at node t, `i`; `min_h` is the minimum of the nodes so far. `pred_h`, the order of the nodes, does not
    change.

        key   0.7 0.2 0.5
        frame 0: pred_h 0 0 1   min_h 0   i 0
        frame 1: pred_h 0 0 1   min_h 1   i 1
        frame 2: pred_h 0 0 1   min_h 1   i 2     output min 1
    """

    ordered: ClassVar[bool] = True

    def __init__(self, config: MinimumConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "minimum",
            Probe("key", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("min", Stage.OUTPUT, Location.NODE, Type.MASK_ONE),
            Probe("min_h", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("i", Stage.HINT, Location.NODE, Type.MASK_ONE),
        )

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        lowest, seen = _minimum(values["key"], sizes)
        return Trace(sizes.copy(), {"min_h": lowest, "i": seen}, {"min": final(lowest, sizes)})


@kernel
def _minimum(keys, sizes):
    """Hints min_h and i, both `[N, B]`."""
    batch, nodes = keys.shape
    lowest = np.zeros((nodes, batch), np.int32)
    seen = np.zeros((nodes, batch), np.int32)
    for b in range(batch):
        best = 0
        for i in range(1, sizes[b]):
            if keys[b, i] < keys[b, best]:
                best = i
            lowest[i, b] = best
            seen[i, b] = i
    return lowest, seen
