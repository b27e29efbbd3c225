"""Sorting small whole numbers (Freivalds, Ozoliņš and Šostaks, Neural Shuffle-Exchange Networks, 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.registry import register
from tasks.sequences.sequence_task import inside
from tasks.sequences.symbol_task import MOST_SYMBOLS, SHUFFLE_EXCHANGE_PAPER, SymbolConfig, SymbolTask

Array = NDArray[Any]


@register("integer_sort", config=SymbolConfig, **SHUFFLE_EXCHANGE_PAPER)
class IntegerSort(SymbolTask):
    """Integer sort: write small whole numbers in ascending order.

    A sample of size n has n nodes. Of size 5:

        node       0   1   2   3   4
        symbols    3  11   3   8   1
        sorted     1   3   3   8  11

    Numbers are 1 to 11: of 12 classes one is the padding in the authors' code, whose comment says 1 to 12.
    """

    answer = "sorted"

    def __init__(self, config: SymbolConfig) -> None:
        super().__init__(config)
        self.spec = self._make_spec("integer_sort")

    def _answer(self, symbols: Array, size: Array) -> Array:
        valid = inside(size, symbols.shape[1])
        ordered = np.sort(np.where(valid, symbols, np.int8(MOST_SYMBOLS + 1)), axis=1, kind="stable")
        return np.where(valid, ordered, np.int8(-1))
