"""Associative recall (Graves, Wayne and Danihelka, Neural Turing Machines, 2014, section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.kernel import kernel
from tasks.registry import option, register
from tasks.sequences.ntm_paper import NTM_PAPER
from tasks.sequences.word_task import WordTask
from tasks.task import Draw

Array = NDArray[Any]


@dataclass(frozen=True)
class AssociativeRecallConfig:
    """Options of `associative_recall`."""

    vectors: int = option(3, "vectors of an item")
    bits: int = option(6, "bits of a vector")
    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")


@register("associative_recall", config=AssociativeRecallConfig, **NTM_PAPER)
class AssociativeRecall(WordTask):
    """Associative recall: read items, then one of them again, and write the item that followed it.

    A delimiter stands before each item, another kind before and after the query, and as many blanks as an item has
    vectors at the end: with 3 vectors an item, a sample of size k (k items) has 4k + 8 nodes. With 1 vector an
    item, 3 bits and the items 011, 100, 110, asked for 100:

        node               0    1    2    3    4    5    6    7    8    9
        bits               .   011   .   100   .   110   .   100   .    .
        item_delimiter     1    .    1    .    1    .    .    .    .    .
        query_delimiter    .    .    .    .    .    .    1    .    1    .
        recalled           -    -    -    -    -    -    -    -    -   110     (- is -1: no answer is due)

    The query is uniform among all items but the last. Items are drawn independently; where the query occurs
    twice, its first occurrence counts.
    """

    min_size = 2
    delimiters = ("item_delimiter", "query_delimiter")
    answer = "recalled"

    def __init__(self, config: AssociativeRecallConfig) -> None:
        super().__init__(config)
        if config.vectors < 1:
            raise ValueError(f"associative_recall: vectors must be at least 1, got {config.vectors}")
        self.spec = self._make_spec("associative_recall")

    def _length(self, size: Any) -> Any:
        return (self.config.vectors + 1) * (size + 2)

    def _size(self, length: Array) -> Array:
        return length // (self.config.vectors + 1) - 2

    def _marks(self, size: Array, nodes: int) -> dict[str, Array]:
        stride = self.config.vectors + 1
        node = np.arange(nodes)
        query = stride * size[:, None]
        return {
            "item_delimiter": (node % stride == 0) & (node < query),
            "query_delimiter": (node == query) | (node == query + stride),
        }

    def _random_bits(self, draw: Draw, nodes: int) -> Array:
        vectors = self.config.vectors
        rows = int(draw.sizes.max()) * vectors
        items = generators.words(draw.seed, draw.index, draw.sizes * vectors, self.config.bits, rows)
        query = generators.choices(draw.seed, draw.index, draw.sizes - 1, generators.QUERY)
        return _lay_out(items, query, draw.sizes, vectors, nodes)

    def _answer(self, bits: Array, size: Array) -> Array:
        vectors = self.config.vectors
        node = np.arange(bits.shape[1])
        end = (vectors + 1) * (size[:, None] + 1)
        if bits[(node % (vectors + 1) == 0) | (node >= end)].any():
            raise ValueError("associative_recall input 'bits': expected zeros on delimiters and blanks, got ones there")
        answer, found = _recall(bits, size, vectors)
        if not found.all():
            raise ValueError(
                "associative_recall input 'bits': expected a query equal to one of the items before the last, "
                f"got another in sample {int(found.argmin())}"
            )
        return answer


@kernel
def _lay_out(items, query, sizes, vectors, nodes):
    """Items behind their delimiters, then the query, bool `[batch, nodes, bits]`."""
    bits = np.zeros((len(sizes), nodes, items.shape[2]), np.bool_)
    for b in range(len(sizes)):
        for k in range(sizes[b] + 1):
            item = k if k < sizes[b] else query[b]
            for i in range(vectors):
                for c in range(items.shape[2]):
                    bits[b, (vectors + 1) * k + 1 + i, c] = items[b, vectors * item + i, c]
    return bits


@kernel
def _recall(bits, sizes, vectors):
    """The item after the first that equals the query, int8 `[batch, nodes, bits]`, and whether there is one."""
    batch, nodes, channels = bits.shape
    stride = vectors + 1
    answer = np.full((batch, nodes, channels), -1, np.int8)
    found = np.zeros(batch, np.bool_)
    for b in range(batch):
        query = stride * sizes[b] + 1
        for k in range(sizes[b] - 1):
            first = stride * k + 1
            same = True
            for i in range(vectors):
                for c in range(channels):
                    same = same and bits[b, first + i, c] == bits[b, query + i, c]
            if same:
                for i in range(vectors):
                    for c in range(channels):
                        answer[b, query + stride + i, c] = bits[b, first + stride + i, c]
                found[b] = True
                break
    return answer, found
