"""Copying a sequence of random vectors (Graves, Wayne and Danihelka, Neural Turing Machines, 2014, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.registry import option, register
from tasks.sequences.ntm_paper import NTM_PAPER
from tasks.sequences.word_task import WordTask
from tasks.task import Draw

Array = NDArray[Any]


@dataclass(frozen=True)
class CopyConfig:
    """Options of `copy`."""

    bits: int = option(8, "bits of a vector")
    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")


@register("copy", config=CopyConfig, **NTM_PAPER)
class Copy(WordTask):
    """Copy: read random binary vectors, then, after a delimiter, write them again.

    A sample of size T has 2T + 1 nodes. Of size 2, with 3 bits:

        node        0    1    2    3    4
        bits       011  100   .    .    .
        delimiter   .    .    1    .    .
        copied      -    -    -   011  100      (- is -1: no answer is due)
    """

    delimiters = ("delimiter",)
    answer = "copied"

    def __init__(self, config: CopyConfig) -> None:
        super().__init__(config)
        self.spec = self._make_spec("copy")

    def _length(self, size: Any) -> Any:
        return 2 * size + 1

    def _size(self, length: Array) -> Array:
        return (length - 1) // 2

    def _marks(self, size: Array, nodes: int) -> dict[str, Array]:
        return {"delimiter": np.arange(nodes) == size[:, None]}

    def _random_bits(self, draw: Draw, nodes: int) -> Array:
        return generators.words(draw.seed, draw.index, draw.sizes, self.config.bits, nodes)

    def _answer(self, bits: Array, size: Array) -> Array:
        nodes = bits.shape[1]
        if bits[np.arange(nodes) >= size[:, None]].any():
            raise ValueError("copy input 'bits': expected zeros from the delimiter on, got ones there")
        item = np.arange(nodes) - (size[:, None] + 1)
        due = (item >= 0) & (item < size[:, None])
        answer = np.take_along_axis(bits, np.maximum(item, 0)[:, :, None], axis=1).astype(np.int8)
        answer[~due] = -1
        return answer
