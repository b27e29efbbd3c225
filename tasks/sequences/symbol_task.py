"""Sequences of random symbols, rewritten as a whole, as in the shuffle-exchange papers.

Symbols are the classes 1 to `symbols`; class 0 is a blank, which stands where nothing is given and is never the answer.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.registry import option
from tasks.sequences.sequence_task import POSITIONAL, SequenceTask, inside
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

SHUFFLE_EXCHANGE_PAPER: dict[str, Any] = dict(
    paper="Freivalds et al., NeurIPS 2019",
    year=2019,
    bibtex="""
@inproceedings{freivalds2019neural,
  title     = {Neural Shuffle-Exchange Networks -- Sequence Processing in {O}(n log n) Time},
  author    = {Freivalds, K{\\=a}rlis and Ozoli{\\c{n}}{\\v{s}}, Em{\\={\\i}}ls and {\\v{S}}ostaks, Agris},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2019}
}""",
)
MOST_SYMBOLS = 126
"""Classes are kept in single signed bytes."""


@dataclass(frozen=True)
class SymbolConfig:
    """Options of the tasks on symbols."""

    symbols: int = option(11, "different symbols; class 0, the blank, comes besides")
    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")

    def __post_init__(self) -> None:
        if not 1 <= self.symbols <= MOST_SYMBOLS:
            raise ValueError(f"symbols must be from 1 to {MOST_SYMBOLS}, got {self.symbols}")


class SymbolTask(SequenceTask):
    """A task that rewrites symbols in place; a sample of size n has n nodes.

    Attributes:
        answer: name of the output.
    """

    answer: ClassVar[str]
    config: SymbolConfig

    def _make_spec(self, name: str) -> Spec:
        """Symbols in, symbols out."""
        classes = self.config.symbols + 1
        return self._with_positions(
            name,
            Probe("symbols", Stage.INPUT, Location.NODE, Type.CATEGORICAL, classes=classes),
            Probe(self.answer, Stage.OUTPUT, Location.NODE, Type.CATEGORICAL, classes=classes),
        )

    def _given(self, size: Array) -> Array:
        """How many symbols, from the first node on, are given to samples of some sizes."""
        return size

    @abstractmethod
    def _answer(self, symbols: Array, size: Array) -> Array:
        """The answer, int8 `[batch, nodes]`; -1 where none is due."""

    def _sample(self, draw: Draw, layout: str) -> Batch:
        pos = self._draw_positions(draw, draw.sizes)
        given = self._given(draw.sizes)
        symbols = generators.symbols(draw.seed, draw.index, given, self.config.symbols, pos.shape[1])
        return self._batch(symbols, draw.sizes, pos, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=POSITIONAL)
        symbols = given.classes("symbols", ("batch", "nodes"), self.config.symbols + 1)
        batch, nodes = symbols.shape
        size = given.sizes(sizes, batch, nodes)
        self._check_sizes(size)
        wanted = inside(self._given(size), nodes)
        if ((symbols > 0) != wanted).any():
            b = int(((symbols > 0) != wanted).any(1).argmax())
            raise given.fail(
                "symbols",
                f"symbols from 1 to {self.config.symbols} on the first {wanted[b].sum()} of {size[b]} nodes, 0 after",
                f"{symbols[b].tolist()} in sample {b}",
            )
        return self._batch(symbols, size, self._given_positions(given, size, nodes), np.arange(batch))

    def _batch(self, symbols: Array, size: Array, pos: Array, index: Array) -> Batch:
        """Answer, and gather everything."""
        answer = self._answer(symbols, size)
        return self._gather({"symbols": symbols}, {self.answer: answer}, lengths=size, pos=pos, index=index)


def taken(symbols: Array, source: Array) -> Array:
    """The symbols of some nodes, int8 `[batch, nodes]`; -1 where the node asked for is -1."""
    answer = np.take_along_axis(symbols, source.clip(0), axis=1)
    answer[source < 0] = -1
    return answer
