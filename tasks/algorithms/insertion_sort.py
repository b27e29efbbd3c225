"""Insertion sort as in the CLRS benchmark (Veličković et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.clrs import CLRS
from tasks.algorithms.keys import KeysTask, SortConfig
from tasks.algorithms.trace import Trace
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class InsertionSortConfig(SortConfig):
    """Options of `insertion_sort`."""


@register(
    "insertion_sort",
    config=InsertionSortConfig,
    **CLRS,
)
class InsertionSort(KeysTask):
    """Insertion sort: each node points to its predecessor in the order of the keys, the first to itself.

    Frame t shows the list once node t is inserted among the nodes before it; `j` is the node being inserted and `i`
    the node now behind it (node j itself where nothing moved). Equal keys keep their order.

        key   0.7 0.2 0.5
        frame 0: list 0 1 2   pred_h 0 0 1   i 0   j 0
        frame 1: list 1 0 2   pred_h 1 1 0   i 0   j 1
        frame 2: list 1 2 0   pred_h 2 1 1   i 0   j 2     output pred 2 1 1
    """

    def __init__(self, config: InsertionSortConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "insertion_sort",
            Probe("key", Stage.INPUT, Location.NODE, Type.SCALAR),
            config.output,
            Probe("pred_h", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("i", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("j", Stage.HINT, Location.NODE, Type.MASK_ONE),
        )

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        pointers, behind, inserted, output = _insertion_sort(values["key"], sizes)
        return Trace(sizes.copy(), {"pred_h": pointers, "i": behind, "j": inserted}, {"pred": output})


@kernel
def _insertion_sort(keys, sizes):
    """Hints pred_h `[N, B, N]`, i and j `[N, B]`, and the output `[B, N]`."""
    batch, nodes = keys.shape
    pointers = np.zeros((nodes, batch, nodes), np.int32)
    behind = np.zeros((nodes, batch), np.int32)
    inserted = np.zeros((nodes, batch), np.int32)
    output = np.zeros((batch, nodes), np.int32)
    for b in range(batch):
        n = sizes[b]
        order = np.arange(n, dtype=np.int32)
        pointer = output[b]
        for v in range(n):
            pointer[v] = max(v - 1, 0)
            pointers[0, b, v] = pointer[v]
        for j in range(1, n):
            slot = j
            while slot > 0 and keys[b, order[slot - 1]] > keys[b, j]:
                order[slot] = order[slot - 1]
                slot -= 1
            order[slot] = j
            behind[j, b] = order[slot + 1] if slot < j else j
            inserted[j, b] = j
            if slot < j:
                if j + 1 < n:
                    pointer[j + 1] = order[j]
                pointer[order[slot + 1]] = j
            pointer[j] = order[slot - 1] if slot > 0 else j
            for v in range(n):
                pointers[j, b, v] = pointer[v]
    return pointers, behind, inserted, output
