"""Sequence transduction, generated symbol by symbol (Grefenstette et al., NeurIPS 2015, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs, class_dtype
from tasks.registry import near, option, register
from tasks.sequences.grefenstette_paper import GREFENSTETTE_PAPER
from tasks.sequences.stream import one_node, stream_batch
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Draw, Task

Array = NDArray[Any]

KINDS = ("copy", "reverse", "bigram_flip")
MOST_SYMBOLS = 30_000
"""Classes are kept in two signed bytes at most."""


@dataclass(frozen=True)
class TransductionConfig:
    """Options of `transduction`."""

    kind: str = option("copy", "copy, reverse, or bigram_flip: every pair of symbols the other way round")
    symbols: int = option(128, "different symbols; start, separator and end come besides")

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"transduction: unknown kind {self.kind!r}; {near(self.kind, KINDS)}")
        if not 1 <= self.symbols <= MOST_SYMBOLS:
            raise ValueError(f"transduction: symbols must be from 1 to {MOST_SYMBOLS}, got {self.symbols}")


@register("transduction", config=TransductionConfig, **GREFENSTETTE_PAPER)
class Transduction(Task):
    """Transduction: read a sequence, then generate its copy, reversal or bigram flip up to the end symbol.

    One node reads one token a step; a sample of size n, n symbols, has 2n + 2 steps. From the separator on it
    generates: the symbol `generated` at a step is what it reads in `previous` at the next one, its own, decided, unless
    teacher forcing gives it the true one. Of kind reverse, with the symbols 3 1 2:

        step         0    1   2   3   4    5   6   7
        source      <s>   3   1   2  |||   .   .   .
        previous     .    .   .   .   .    2   1   3
        generated    -    -   -   -   2    1   3  </s>     (- is -1: no answer is due)

    Classes of `source` are 0 where there is nothing to read, the symbols from 1, start `<s>` and separator `|||`; those
    of `generated` are 0 for the end `</s>` and the symbols. Where the length is odd, a bigram flip leaves the last
    symbol in its place; the paper's lengths are even there. The paper's language models read generated symbols and
    source through one embedding, here they are probes of their own.

    Lengths are 8 to 64 in training and 65 to 128 in testing. The paper's coarse accuracy is `exact`, its fine one
    `prefix`: the share of an answer, end symbol included, that is right before its first mistake, as a mean over
    samples.
    """

    def __init__(self, config: TransductionConfig) -> None:
        super().__init__(config)
        self.start, self.separator = config.symbols + 1, config.symbols + 2
        node, classes = Location.NODE, config.symbols + 1
        self.spec = Spec(
            "transduction",
            (
                Probe("source", Stage.INPUT, node, Type.CATEGORICAL, classes=classes + 2, streamed=True),
                Probe("previous", Stage.HINT, node, Type.CATEGORICAL, classes=classes, echoes="generated"),
                Probe("generated", Stage.OUTPUT, node, Type.CATEGORICAL, classes=classes, streamed=True),
            ),
            prefix=True,
        )

    def _sample(self, draw: Draw, layout: str) -> Batch:
        uniforms = generators.uniforms(draw.seed, draw.index, draw.sizes, int(draw.sizes.max()))
        return self._batch(1 + (uniforms * self.config.symbols).astype(np.int64), draw.sizes, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=())
        source = given.classes("source", ("steps", "batch", 1), self.config.symbols + 3)[:, :, 0].astype(np.int64).T
        one_node(given, sizes, len(source))
        size = (source == self.separator).argmax(1) - 1
        if source.shape[1] < 2 * size.max() + 2:
            raise given.fail("source", f"{2 * size.max() + 2} steps, as many as it takes", f"{source.shape[1]}")
        blank = (source == 0) & (np.arange(source.shape[1]) <= size[:, None])
        if size.min() < 1 or blank.any() or (self._laid_out(source[:, 1:], size, source.shape[1]) != source).any():
            raise given.fail(
                "source",
                f"the start {self.start}, symbols up to {self.config.symbols}, the separator {self.separator}, then 0",
                "another order",
            )
        return self._batch(source[:, 1:], size, np.arange(len(source)))

    def _laid_out(self, symbols: Array, size: Array, steps: int) -> Array:
        """Symbols between start and separator, `[batch, steps]`."""
        source = np.zeros((len(size), steps), np.int64)
        width = min(symbols.shape[1], steps - 1)
        source[:, 1 : 1 + width] = symbols[:, :width]
        source[:, 0] = self.start
        step, end = np.arange(steps), size[:, None] + 1
        inside = (source > 0) & (source <= self.config.symbols) & (step > 0)
        source[(step > 0) & ((step >= end) | ~inside)] = 0
        source[step == end] = self.separator
        return source

    def _batch(self, symbols: Array, size: Array, index: Array) -> Batch:
        """Lay out, answer, and gather everything."""
        counts = 2 * size + 2
        steps = int(counts.max())
        place = np.arange(steps) - (size[:, None] + 1)
        last = size[:, None] - 1
        taken = place
        if self.config.kind == "reverse":
            taken = last - place
        elif self.config.kind == "bigram_flip":
            other = place ^ 1
            taken = np.where(other > last, place, other)
        written = np.take_along_axis(symbols, taken.clip(0, symbols.shape[1] - 1), axis=1)
        answer = np.where(place > last, 0, written)
        answer[place < 0] = -1
        return stream_batch(
            self.spec,
            {"source": self._laid_out(symbols, size, steps).astype(class_dtype(self.config.symbols + 3)).T},
            {"generated": answer.astype(class_dtype(self.config.symbols + 1)).T},
            counts=counts,
            index=index,
        )
