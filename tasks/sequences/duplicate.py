"""Writing a sequence of symbols twice (Freivalds, Ozoliņš and Šostaks, Neural Shuffle-Exchange Networks, 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.registry import register
from tasks.sequences.sequence_task import inside
from tasks.sequences.symbol_task import SHUFFLE_EXCHANGE_PAPER, SymbolConfig, SymbolTask, taken

Array = NDArray[Any]


@register("duplicate", config=SymbolConfig, **SHUFFLE_EXCHANGE_PAPER)
class Duplicate(SymbolTask):
    """Duplicate: write the symbols of the first half twice, over all nodes.

    A sample of size n has n nodes, floor(n / 2) symbols and blanks. Of size 7:

        node          0   1   2   3   4   5   6
        symbols       3  11   8   .   .   .   .
        duplicated    3  11   8   3  11   8   -      (- is -1: no answer is due)
    """

    min_size = 2
    answer = "duplicated"

    def __init__(self, config: SymbolConfig) -> None:
        super().__init__(config)
        self.spec = self._make_spec("duplicate")

    def _given(self, size: Array) -> Array:
        return size // 2

    def _answer(self, symbols: Array, size: Array) -> Array:
        half, nodes = self._given(size), symbols.shape[1]
        return taken(symbols, np.where(inside(2 * half, nodes), np.arange(nodes) % half[:, None], -1))
