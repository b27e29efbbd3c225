"""Sequences of random binary words between delimiters, whose length follows from their size."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.sequences.sequence_task import POSITIONAL, SequenceTask, inside
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]


def read_bits(given: Inputs, channels: int) -> Array:
    """The words of a user's inputs, bool `[batch, nodes, channels]`."""
    bits = given.masks("bits", ("batch", "nodes", channels) if channels > 1 else ("batch", "nodes"))
    return bits.reshape(*bits.shape[:2], channels)


def check_bits(name: str, bits: int) -> None:
    """Refuse empty words."""
    if bits < 1:
        raise ValueError(f"{name}: bits must be at least 1, got {bits}")


class WordTask(SequenceTask):
    """A task on random words between delimiters; subclasses say where everything stands.

    Attributes:
        delimiters: names of the delimiter inputs, each a node mask.
        answer: name of the output.
    """

    delimiters: ClassVar[tuple[str, ...]]
    answer: ClassVar[str]

    def _make_spec(self, name: str) -> Spec:
        """Words, delimiters, positions and their code in; words out."""
        check_bits(name, self.config.bits)
        return self._with_positions(
            name,
            Probe("bits", Stage.INPUT, Location.NODE, Type.MASK, channels=self.config.bits),
            *(Probe(delimiter, Stage.INPUT, Location.NODE, Type.MASK) for delimiter in self.delimiters),
            Probe(self.answer, Stage.OUTPUT, Location.NODE, Type.MASK, channels=self.config.bits),
        )

    @abstractmethod
    def _length(self, size: Any) -> Any:
        """Number of nodes of a sample of some size (or of an array of sizes)."""

    @abstractmethod
    def _size(self, length: Array) -> Array:
        """The largest size whose sample has at most this many nodes."""

    @abstractmethod
    def _marks(self, size: Array, nodes: int) -> dict[str, Array]:
        """The delimiters, bool `[batch, nodes]` each."""

    @abstractmethod
    def _random_bits(self, draw: Draw, nodes: int) -> Array:
        """Words in their places, bool `[batch, nodes, bits]`."""

    @abstractmethod
    def _answer(self, bits: Array, size: Array) -> Array:
        """The answer, int8 `[batch, nodes, bits]`; raises `ValueError` on words where none may stand."""

    def _sample(self, draw: Draw, layout: str) -> Batch:
        pos = self._draw_positions(draw, self._length(draw.sizes))
        return self._batch(self._random_bits(draw, pos.shape[1]), draw.sizes, pos, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=(*POSITIONAL, *self.delimiters))
        bits = read_bits(given, self.config.bits)
        batch, nodes = bits.shape[:2]
        lengths = given.sizes(sizes, batch, nodes)
        size = self._size(lengths)
        if batch == 0 or size.min() < self.min_size or (self._length(size) != lengths).any():
            examples = ", ".join(str(self._length(self.min_size + k)) for k in range(3))
            raise ValueError(f"{self.name}: a sample has {examples}, … nodes, got {sorted(set(lengths.tolist()))}")
        given.empty_padding("bits", bits, np.broadcast_to(inside(lengths, nodes)[:, :, None], bits.shape))
        for name, mark in self._marks(size, nodes).items():
            if name in given and (given.masks(name, (batch, nodes)) != mark).any():
                raise given.fail(name, f"{name} where {self.name} has it (or leave it out)", "another place")
        return self._batch(bits, size, self._given_positions(given, lengths, nodes), np.arange(batch))

    def _batch(self, bits: Array, size: Array, pos: Array, index: Array) -> Batch:
        """Answer, and gather everything."""
        answer = self._answer(bits, size)
        marks = self._marks(size, bits.shape[1])
        return self._gather(
            {"bits": bits, **marks}, {self.answer: answer}, lengths=self._length(size), pos=pos, index=index
        )
