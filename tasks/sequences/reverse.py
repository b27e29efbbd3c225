"""Reversing a sequence of symbols (Freivalds, Ozoliņš and Šostaks, Neural Shuffle-Exchange Networks, 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.registry import register
from tasks.sequences.sequence_task import inside
from tasks.sequences.symbol_task import SHUFFLE_EXCHANGE_PAPER, SymbolConfig, SymbolTask, taken

Array = NDArray[Any]


@register("reverse", config=SymbolConfig, **SHUFFLE_EXCHANGE_PAPER)
class Reverse(SymbolTask):
    """Reverse: write symbols in the opposite order.

    A sample of size n has n nodes. Of size 5:

        node        0   1   2   3   4
        symbols     3  11   3   8   1
        reversed    1   8   3  11   3
    """

    answer = "reversed"

    def __init__(self, config: SymbolConfig) -> None:
        super().__init__(config)
        self.spec = self._make_spec("reverse")

    def _answer(self, symbols: Array, size: Array) -> Array:
        nodes = symbols.shape[1]
        return taken(symbols, np.where(inside(size, nodes), size[:, None] - 1 - np.arange(nodes), -1))
