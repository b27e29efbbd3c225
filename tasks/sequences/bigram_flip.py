"""Bigram flipping, read in one pass (Grefenstette et al., NeurIPS 2015, section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs, class_dtype
from tasks.registry import option, register
from tasks.sequences.grefenstette_paper import GREFENSTETTE_PAPER
from tasks.sequences.sequence_task import POSITIONAL, SequenceTask, inside
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

MOST_SYMBOLS = 30_000
"""Classes are kept in two signed bytes at most."""


@dataclass(frozen=True)
class BigramFlipConfig:
    """Options of `bigram_flip`."""

    symbols: int = option(128, "different symbols; start, separator and end come besides")
    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")

    def __post_init__(self) -> None:
        if not 1 <= self.symbols <= MOST_SYMBOLS:
            raise ValueError(f"bigram_flip: symbols must be from 1 to {MOST_SYMBOLS}, got {self.symbols}")


@register("bigram_flip", config=BigramFlipConfig, **GREFENSTETTE_PAPER)
class BigramFlip(SequenceTask):
    """Bigram flip: read symbols, then write them with the two of each pair the other way round, and an end symbol.

    A sample of size n has n pairs of symbols on 4n + 2 nodes: a start symbol, the symbols, a separator, at which the
    answer begins, and as many blanks as symbols. Of size 2:

        node        0    1   2   3   4    5    6   7   8   9
        symbols    <s>   7   3   7   1   |||   .   .   .   .
        flipped     -    -   -   -   -    3    7   1   7  </s>     (- is -1: no answer is due)

    Classes of `symbols` are 0 for blanks, the symbols from 1, start and separator; those of `flipped` 0 for the end and
    the symbols, source and target having a vocabulary each, as in the paper. Its sequences have 8 to 64 symbols in
    training and 65 to 128 in testing, even numbers of them: sizes 4 to 32 and 33 to 64. It generates, each symbol being
    read when the next is written, which is the task `transduction`; here nothing is fed back. Its coarse accuracy is
    `exact`, its fine one `prefix`.
    """

    config: BigramFlipConfig

    def __init__(self, config: BigramFlipConfig) -> None:
        super().__init__(config)
        self.start, self.separator = config.symbols + 1, config.symbols + 2
        spec = self._with_positions(
            "bigram_flip",
            Probe("symbols", Stage.INPUT, Location.NODE, Type.CATEGORICAL, classes=config.symbols + 3),
            Probe("flipped", Stage.OUTPUT, Location.NODE, Type.CATEGORICAL, classes=config.symbols + 1),
        )
        self.spec = replace(spec, prefix=True)

    def _sample(self, draw: Draw, layout: str) -> Batch:
        pos = self._draw_positions(draw, 4 * draw.sizes + 2)
        count = 2 * draw.sizes
        drawn = generators.uniforms(draw.seed, draw.index, count, int(count.max()))
        symbols = np.zeros(pos.shape, np.int64)
        told = inside(count, drawn.shape[1])
        symbols[:, 1 : drawn.shape[1] + 1][told] = 1 + (drawn[told] * self.config.symbols).astype(np.int64)
        symbols[:, 0] = self.start
        symbols[np.arange(len(count)), count + 1] = self.separator
        return self._batch(symbols, draw.sizes, pos, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=POSITIONAL)
        symbols = given.classes("symbols", ("batch", "nodes"), self.config.symbols + 3)
        batch, nodes = symbols.shape
        lengths = given.sizes(sizes, batch, nodes)
        size = (lengths - 2) // 4
        if batch == 0 or size.min() < self.min_size or (4 * size + 2 != lengths).any():
            raise ValueError(f"bigram_flip: a sample has 6, 10, 14, … nodes, got {sorted(set(lengths.tolist()))}")
        node, count = np.arange(nodes), 2 * size[:, None]
        wanted = np.where(node == 0, self.start, np.where(node == count + 1, self.separator, 0))
        free = (node >= 1) & (node <= count)
        wrong = np.where(free, (symbols < 1) | (symbols > self.config.symbols), symbols != wanted)
        if wrong.any():
            b = int(wrong.any(1).argmax())
            raise given.fail(
                "symbols",
                f"start {self.start}, {count[b, 0]} symbols from 1 to {self.config.symbols}, separator "
                f"{self.separator}, then zeros",
                f"{symbols[b].tolist()} in sample {b}",
            )
        return self._batch(symbols, size, self._given_positions(given, lengths, nodes), np.arange(batch))

    def _batch(self, symbols: Array, size: Array, pos: Array, index: Array) -> Batch:
        """Flip, and gather everything."""
        nodes, count = symbols.shape[1], 2 * size[:, None]
        item = np.arange(nodes) - (count + 1)
        # Places of a pair differ in their last bit only.
        source = np.where((item >= 0) & (item < count), 1 + (item ^ 1), 0)
        flipped = np.where(source > 0, np.take_along_axis(symbols, source, axis=1), np.where(item == count, 0, -1))
        return self._gather(
            {"symbols": symbols.astype(class_dtype(self.config.symbols + 3))},
            {"flipped": flipped.astype(class_dtype(self.config.symbols + 1))},
            lengths=4 * size + 2,
            pos=pos,
            index=index,
        )
