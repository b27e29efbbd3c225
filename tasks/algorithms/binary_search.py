"""Binary search as in the CLRS benchmark (Veličković et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.array_task import OrderedConfig
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.search_task import KEY, RETURN, TARGET, SearchTask
from tasks.algorithms.trace import Trace, final
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class BinarySearchConfig(OrderedConfig):
    """Options of `binary_search`."""


@register(
    "binary_search",
    config=BinarySearchConfig,
    **CLRS,
)
class BinarySearch(SearchTask):
    """Binary search: in ascending keys, the first node whose key is not below the target, or the last if all are.

    Every frame halves the nodes from `low` to `high` among which the answer is: it is in the lower half if the target
    is at most the key of the node in the middle, `mid`. Unlike the textbook's search this one does not tell whether the
    target is among the keys. `pred_h`, the order of the nodes, does not change.

        key   0.1 0.3 0.5 0.8   target 0.4
        frame 0: pred_h 0 0 1 2   low 0   high 3   mid 1
        frame 1: pred_h 0 0 1 2   low 2   high 3   mid 2     0.4 > 0.3
        frame 2: pred_h 0 0 1 2   low 2   high 2   mid 2     0.4 <= 0.5     output return 2

    Keys and target are draws from U[0, 1), the benchmark's distribution (`uniform`), which hardly ever has the target
    among the keys; or the target is one of the keys (`present`), or all are from four values (`few_distinct`).
    """

    def __init__(self, config: BinarySearchConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "binary_search",
            KEY,
            TARGET,
            RETURN,
            Probe("low", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("high", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("mid", Stage.HINT, Location.NODE, Type.MASK_ONE),
        )

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        most = int(sizes.max() - 1).bit_length() + 1  # frames, the nodes left being halved in each and rounded up
        lengths, *found = _binary_search(values["key"], values["target"], sizes, most)
        low, high, mid = (hint[: lengths.max()] for hint in found)
        return Trace(lengths, {"low": low, "high": high, "mid": mid}, {"return": final(high, lengths)})


@kernel
def _binary_search(keys, targets, sizes, most):
    """Lengths, at most `most`, and hints low, high and mid `[most, B]`."""
    batch = len(sizes)
    lengths = np.empty(batch, np.int64)
    low = np.zeros((most, batch), np.int32)
    high = np.zeros((most, batch), np.int32)
    mid = np.zeros((most, batch), np.int32)
    for b in range(batch):
        first, last = 0, sizes[b] - 1
        high[0, b] = last
        mid[0, b] = last // 2
        t = 1
        while first < last:
            middle = (first + last) // 2
            if targets[b] <= keys[b, middle]:
                last = middle
            else:
                first = middle + 1
            low[t, b] = first
            high[t, b] = last
            mid[t, b] = (first + last) // 2
            t += 1
        lengths[b] = t
    return lengths, low, high, mid
