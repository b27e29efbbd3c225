"""Sequences laid out as graphs, one node a vector, read in order and answered in one step.

The classical setting of memory networks: a cell sweeps over the nodes, and the answer is due while it reads
the blank nodes at the end. The answer is a mask output that is -1 on every node where none is due.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Draw, Task, tensors

Array = NDArray[Any]

CODE_WAVES = 4
CODE_BASE = 100.0
"""Ratio of the slowest wave's length to the fastest's, about the length of the longest training sequences."""


def position_code(nodes: int) -> Array:
    """Sines and cosines of each position, float32 `[nodes, 2 * CODE_WAVES]` (Vaswani et al., 2017, section 3.5).

    One number in [0, 1) cannot tell neighbours apart in a long sequence, so a processor that does not read nodes in
    order would be blind to it.
    """
    phase = np.arange(nodes)[:, None] * CODE_BASE ** -(np.arange(CODE_WAVES) / CODE_WAVES)
    return np.concatenate([np.sin(phase), np.cos(phase)], -1).astype(np.float32)


class SequenceTask(Task):
    """A task on random words between delimiters; subclasses say where everything stands.

    Attributes:
        delimiters: names of the delimiter inputs, each a node mask.
        answer: name of the output.
    """

    delimiters: ClassVar[tuple[str, ...]]
    answer: ClassVar[str]

    def _make_spec(self, name: str) -> Spec:
        """Words, delimiters, positions and their code in; words out."""
        if self.config.bits < 1:
            raise ValueError(f"{name}: bits must be at least 1, got {self.config.bits}")
        return Spec(
            name,
            (
                Probe("pos", Stage.INPUT, Location.NODE, Type.SCALAR, positional=True),
                Probe("code", Stage.INPUT, Location.NODE, Type.SCALAR, channels=2 * CODE_WAVES, positional=True),
                Probe("bits", Stage.INPUT, Location.NODE, Type.MASK, channels=self.config.bits),
                *(Probe(delimiter, Stage.INPUT, Location.NODE, Type.MASK) for delimiter in self.delimiters),
                Probe(self.answer, Stage.OUTPUT, Location.NODE, Type.MASK, channels=self.config.bits),
            ),
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
        sizes = self._length(draw.sizes)
        nodes = int(sizes.max())
        starts = np.arange(len(sizes)) * nodes
        random_pos = self.config.random_pos
        pos = generators.positions(draw.seed, draw.index, sizes, starts, len(sizes) * nodes, random_pos)
        return self._batch(self._random_bits(draw, nodes), draw.sizes, pos.reshape(-1, nodes), draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=("pos", "code", *self.delimiters))
        channels = self.config.bits
        bits = given.masks("bits", ("batch", "nodes", channels) if channels > 1 else ("batch", "nodes"))
        bits = bits.reshape(*bits.shape[:2], channels)
        batch, nodes = bits.shape[:2]
        lengths = given.sizes(sizes, batch, nodes)
        size = self._size(lengths)
        if batch == 0 or size.min() < self.min_size or (self._length(size) != lengths).any():
            examples = ", ".join(str(self._length(self.min_size + k)) for k in range(3))
            raise ValueError(f"{self.name}: a sample has {examples}, … nodes, got {sorted(set(lengths.tolist()))}")
        inside = np.arange(nodes) < lengths[:, None]
        given.empty_padding("bits", bits, np.broadcast_to(inside[:, :, None], bits.shape))
        for name, mark in self._marks(size, nodes).items():
            if name in given and (given.masks(name, (batch, nodes)) != mark).any():
                raise given.fail(name, f"{name} where {self.name} has it (or leave it out)", "another place")
        code = np.where(inside[:, :, None], position_code(nodes), 0)
        if "code" in given and not np.allclose(given.scalars("code", code.shape), code, atol=1e-5):
            raise given.fail("code", "the sines and cosines of positions (or leave it out)", "other values")
        if "pos" in given:
            pos = given.scalars("pos", (batch, nodes))
            given.empty_padding("pos", pos, inside)
        else:
            pos = np.where(inside, np.arange(nodes) / lengths[:, None], 0)
        return self._batch(bits, size, pos.astype(np.float32), np.arange(batch))

    def _batch(self, bits: Array, size: Array, pos: Array, index: Array) -> Batch:
        """Answer, and gather everything."""
        answer = self._answer(bits, size)
        marks = self._marks(size, bits.shape[1])
        sizes = self._length(size)
        inside = np.arange(bits.shape[1]) < sizes[:, None]
        code = np.where(inside[:, :, None], position_code(bits.shape[1]), 0)
        return Batch(
            spec=self.spec,
            inputs=tensors({"pos": pos, "code": code, "bits": _narrow(bits), **marks}),
            hints={},
            outputs=tensors({self.answer: _narrow(answer)}),
            lengths=torch.full((len(size),), 2),
            sizes=torch.from_numpy(sizes),
            index=torch.from_numpy(index),
        )


def _narrow(array: Array) -> Array:
    """Drop the last axis where it has one channel only, as `Batch` wants it."""
    return array[..., 0] if array.shape[-1] == 1 else array
