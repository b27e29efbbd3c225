"""Bubble sort as in the CLRS benchmark (Veličković et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.clrs import CLRS
from tasks.algorithms.keys import KeysTask, SortConfig
from tasks.algorithms.trace import Trace, final
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class BubbleSortConfig(SortConfig):
    """Options of `bubble_sort`."""


@register(
    "bubble_sort",
    config=BubbleSortConfig,
    **CLRS,
)
class BubbleSort(KeysTask):
    """Bubble sort: each node points to its predecessor in the order of the keys, the first to itself.

    Pass k compares neighbours from the end of the list down to place k, one pair a frame, and swaps those that are out
    of order, so that the smallest of what is left rises to place k. `j` is the node behind in the pair just compared,
    `i` the node at place k, both after the swap. Frame 0 is the list as given. Equal keys keep their order.

        key   0.7 0.2 0.5
        frame 0: list 0 1 2   pred_h 0 0 1   i 0   j 0
        frame 1: list 0 1 2   pred_h 0 0 1   i 0   j 2     0.2 stays ahead of 0.5
        frame 2: list 1 0 2   pred_h 1 1 0   i 1   j 0     0.2 rises above 0.7: place 0 is done
        frame 3: list 1 2 0   pred_h 2 1 1   i 2   j 0     output pred 2 1 1
    """

    def __init__(self, config: BubbleSortConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "bubble_sort",
            Probe("key", Stage.INPUT, Location.NODE, Type.SCALAR),
            config.output,
            Probe("pred_h", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("i", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("j", Stage.HINT, Location.NODE, Type.MASK_ONE),
        )

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        lengths = 1 + sizes * (sizes - 1) // 2
        pointers, place, behind = _bubble_sort(values["key"], sizes, lengths.max())
        return Trace(lengths, {"pred_h": pointers, "i": place, "j": behind}, {"pred": final(pointers, lengths)})


@kernel
def _bubble_sort(keys, sizes, frames):
    """Hints pred_h `[T, B, N]`, i and j `[T, B]`."""
    batch, nodes = keys.shape
    pointers = np.zeros((frames, batch, nodes), np.int32)
    place = np.zeros((frames, batch), np.int32)
    behind = np.zeros((frames, batch), np.int32)
    for b in range(batch):
        n = sizes[b]
        order = np.arange(n)
        _write_order(pointers[0, b], order)
        t = 1
        for i in range(n - 1):
            for j in range(n - 1, i, -1):
                if keys[b, order[j]] < keys[b, order[j - 1]]:
                    order[j], order[j - 1] = order[j - 1], order[j]
                _write_order(pointers[t, b], order)
                place[t, b] = order[i]
                behind[t, b] = order[j]
                t += 1
    return pointers, place, behind


@kernel
def _write_order(row, order):
    """Each node's predecessor in a list of nodes, the first being its own."""
    row[order[0]] = order[0]
    for k in range(1, len(order)):
        row[order[k]] = order[k - 1]
