"""Arithmetic on binary numbers, written least significant digit first, as in the Neural GPU and its successors."""

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
from tasks.registry import near, option
from tasks.sequences.sequence_task import POSITIONAL, SequenceTask, inside
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

NEURAL_GPU_PAPER: dict[str, Any] = dict(
    paper="Kaiser and Sutskever, ICLR 2016",
    year=2016,
    bibtex="""
@inproceedings{kaiser2016neural,
  title={Neural {GPU}s Learn Algorithms},
  author={Kaiser, {\\L}ukasz and Sutskever, Ilya},
  booktitle={International Conference on Learning Representations},
  year={2016}
}""",
)
LEADING = ("blank", "unscored", "zero")
ZERO, ONE, OPERATOR = 1, 2, 3
"""Classes of the digits and of the operator; 0 is a blank."""
_MEANING = "places behind an answer's highest 1: blank (to be answered so), unscored, or zero (digits)"


@dataclass(frozen=True)
class AdditionConfig:
    """Options of `binary_addition`."""

    leading: str = option("blank", _MEANING)
    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")

    def __post_init__(self) -> None:
        if self.leading not in LEADING:
            raise ValueError(f"unknown leading {self.leading!r}; {near(self.leading, LEADING)}")


@dataclass(frozen=True)
class MultiplicationConfig(AdditionConfig):
    """Options of `binary_multiplication`."""

    leading: str = option("zero", _MEANING)


class ArithmeticTask(SequenceTask):
    """Two binary numbers with an operator between them, of (n - 1) // 2 digits each in a sample of size n, n nodes.

    Attributes:
        answer: name of the output.
    """

    min_size = 3
    answer: ClassVar[str]
    config: AdditionConfig

    def _make_spec(self, name: str) -> Spec:
        """Digits and operator in, digits out."""
        node = Location.NODE
        return self._with_positions(
            name,
            Probe("symbols", Stage.INPUT, node, Type.CATEGORICAL, classes=4),
            Probe(self.answer, Stage.OUTPUT, node, Type.CATEGORICAL, classes=3),
        )

    @abstractmethod
    def _columns(self, first: Array, second: Array, nodes: int) -> Array:
        """What the result's digits would be without carrying, int64 `[batch, nodes]`, of bits `[batch, digits]`."""

    def _sample(self, draw: Draw, layout: str) -> Batch:
        pos = self._draw_positions(draw, draw.sizes)
        digits = (draw.sizes - 1) // 2
        # Both numbers of a sample in one row, so that a sample does not depend on the batch's longest.
        words = generators.words(draw.seed, draw.index, 2 * digits, 1, 2 * int(digits.max()))[:, :, 0]
        node = np.arange(pos.shape[1])
        symbols = np.zeros(pos.shape, np.int8)
        told = (node < 2 * digits[:, None] + 1) & (node != digits[:, None])
        symbols[told] = np.where(words[inside(2 * digits, words.shape[1])], ONE, ZERO)
        symbols[np.arange(len(digits)), digits] = OPERATOR
        return self._batch(symbols, draw.sizes, pos, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=POSITIONAL)
        symbols = given.classes("symbols", ("batch", "nodes"), 4)
        batch, nodes = symbols.shape
        size = given.sizes(sizes, batch, nodes)
        self._check_sizes(size)
        digits = (size - 1) // 2
        node = np.arange(nodes)
        numbers = (node < 2 * digits[:, None] + 1) & (node != digits[:, None])
        wanted = np.where(node == digits[:, None], OPERATOR, 0)
        wrong = np.where(numbers, (symbols != ZERO) & (symbols != ONE), symbols != wanted)
        if wrong.any():
            b = int(wrong.any(1).argmax())
            raise given.fail(
                "symbols",
                f"{digits[b]} digits ({ZERO} for 0, {ONE} for 1), {OPERATOR} for the operator, and as many digits",
                f"{symbols[b].tolist()} in sample {b}",
            )
        return self._batch(symbols, size, self._given_positions(given, size, nodes), np.arange(batch))

    def _batch(self, symbols: Array, size: Array, pos: Array, index: Array) -> Batch:
        """Reckon, and gather everything."""
        nodes = symbols.shape[1]
        digits = (size - 1) // 2
        most = int(digits.max())
        place = np.arange(most)
        first = (symbols[:, :most] == ONE) & (place < digits[:, None])
        behind = np.minimum(digits[:, None] + 1 + place, nodes - 1)
        second = (np.take_along_axis(symbols, behind, axis=1) == ONE) & (place < digits[:, None])
        result = carried(self._columns(first, second, nodes))
        valid = inside(size, nodes)
        answer = np.where(valid, 1 + result, -1).astype(np.int8)
        count = 2 * digits + 1
        if self.config.leading != "zero":
            count = np.where(result.any(1), nodes - result[:, ::-1].argmax(1), 1)
        answer[valid & (np.arange(nodes) >= count[:, None])] = -1 if self.config.leading == "unscored" else 0
        return self._gather({"symbols": symbols}, {self.answer: answer}, lengths=size, pos=pos, index=index)


def carried(columns: Array) -> Array:
    """Binary digits of numbers given by column sums, the lowest first; the last column must not overflow.

    Args:
        columns: whole numbers that stand for multiples of 1, 2, 4, …, int64 `[batch, columns]`.

    Returns:
        Zeros and ones, int64 `[batch, columns]`.
    """
    digits = np.zeros_like(columns)
    carry = np.zeros(len(columns), np.int64)
    for place in range(columns.shape[1]):
        carry += columns[:, place]
        digits[:, place] = carry & 1
        carry >>= 1
    return digits
