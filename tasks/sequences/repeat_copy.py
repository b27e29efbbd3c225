"""Copying a sequence several times (Graves, Wayne and Danihelka, Neural Turing Machines, 2014, section 4.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.registry import near, option, register
from tasks.sequences.ntm_paper import NTM_PAPER
from tasks.sequences.sequence_task import POSITIONAL, SequenceTask, inside
from tasks.sequences.word_task import check_bits, read_bits
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

FORMS = ("graves", "google")
# Single precision is far finer than the gap between two numbers of repeats, 1 / norm at least.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class RepeatCopyConfig:
    """Options of `repeat_copy`."""

    bits: int = option(8, "bits of a vector")
    form: str = option("graves", "'graves', of the NTM's paper, or 'google', of the DNC's code: see the task")
    min_repeats: int = option(1, "smallest number of repeats, which each sample draws uniformly")
    max_repeats: int = option(10, "largest number of repeats")
    norm: int = option(10, "the number of repeats is told in units made for 1 to this many, whatever is drawn")
    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")

    def __post_init__(self) -> None:
        check_bits("repeat_copy", self.bits)
        if self.form not in FORMS:
            raise ValueError(f"repeat_copy: unknown form {self.form!r}; {near(self.form, FORMS)}")
        if not 1 <= self.min_repeats <= self.max_repeats:
            given = f"{self.min_repeats} and {self.max_repeats}"
            raise ValueError(f"repeat_copy: min_repeats must be at least 1 and at most max_repeats, got {given}")
        if self.norm < 2:
            raise ValueError(f"repeat_copy: norm must be at least 2, got {self.norm}")


@register("repeat_copy", config=RepeatCopyConfig, **NTM_PAPER)
class RepeatCopy(SequenceTask):
    """Repeat copy: read random binary vectors and a number, write the vectors that many times, then an end marker.

    A sample of size T with R repeats has T + 1 + TR + 1 nodes in the form `graves`, one more in the form `google`,
    which begins with a flag. Of size 2, with 3 bits and 2 repeats, in the form `google`:

        node        0    1    2    3    4    5    6    7    8
        start       1    .    .    .    .    .    .    .    .
        bits        .   011  100   .    .    .    .    .    .
        repeats     .    .    .   0.2   .    .    .    .    .
        repeated    -    -    -    -   011  100  011  100  000    (- is -1: no answer is due)
        end         -    -    -    -    .    .    .    .    1

    and in the form `graves`:

        node        0    1    2    3    4    5    6    7
        bits       011  100   .    .    .    .    .    .
        repeats     .    .  -1.22  .    .    .    .    .
        repeated    -    -    -   011  100  011  100  000
        end         -    -    -    .    .    .    .    1

    The number of repeats is divided by `norm` in the form `google` (google-deepmind/dnc, `repeat_copy.py`), and has
    mean 0 and variance 1 over 1 to `norm` in the form `graves`: (R - 5.5) / 2.872 with `norm` 10.
    """

    config: RepeatCopyConfig

    def __init__(self, config: RepeatCopyConfig) -> None:
        super().__init__(config)
        self.flags = 1 if config.form == "google" else 0
        start = [Probe("start", Stage.INPUT, Location.NODE, Type.MASK)] if self.flags else []
        self.spec = self._with_positions(
            "repeat_copy",
            Probe("bits", Stage.INPUT, Location.NODE, Type.MASK, channels=config.bits),
            *start,
            Probe("repeats", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("repeated", Stage.OUTPUT, Location.NODE, Type.MASK, channels=config.bits),
            Probe("end", Stage.OUTPUT, Location.NODE, Type.MASK),
        )
        self.middle, self.scale = 0.0, float(config.norm)
        if not self.flags:  # mean and standard deviation of a uniform number from 1 to norm
            self.middle, self.scale = (config.norm + 1) / 2, math.sqrt((config.norm**2 - 1) / 12)

    def _length(self, size: Array, repeats: Array) -> Array:
        """Number of nodes."""
        return self.flags + size + 1 + size * repeats + 1

    def _sample(self, draw: Draw, layout: str) -> Batch:
        low, high = self.config.min_repeats, self.config.max_repeats
        options = np.full(len(draw.sizes), high - low + 1)
        repeats = low + generators.choices(draw.seed, draw.index, options, generators.QUERY)
        pos = self._draw_positions(draw, self._length(draw.sizes, repeats))
        words = generators.words(draw.seed, draw.index, draw.sizes, self.config.bits, pos.shape[1])
        bits = np.roll(words, self.flags, axis=1)
        return self._batch(bits, draw.sizes, repeats, pos, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=(*POSITIONAL, "start"))
        bits = read_bits(given, self.config.bits)
        batch, nodes = bits.shape[:2]
        lengths = given.sizes(sizes, batch, nodes)
        self._check_sizes(lengths)
        valid = inside(lengths, nodes)
        told = given.scalars("repeats", (batch, nodes))
        given.empty_padding("repeats", told, valid)
        size, repeats = self._understand(given, told, lengths)
        node = np.arange(nodes)
        pattern = (node >= self.flags) & (node < self.flags + size[:, None])
        if bits[~pattern].any():
            raise given.fail("bits", "zeros on flag, number of repeats and blanks", "ones there")
        start = (node == 0) & valid
        if "start" in given and (given.masks("start", (batch, nodes)) != start).any():
            raise given.fail("start", "a flag on the first node (or leave it out)", "another place")
        return self._batch(bits, size, repeats, self._given_positions(given, lengths, nodes), np.arange(batch))

    def _understand(self, given: Inputs, told: Array, lengths: Array) -> tuple[Array, Array]:
        """Size and number of repeats of each sample, from where and what the number is."""
        count = (told != 0).sum(1)
        number = np.rint(told.sum(1) * self.scale + self.middle).astype(np.int64)
        # The mean of the possible numbers is told as zero: the length alone then says where it stands.
        silent = (lengths - self.flags - 2) // (number + 1).clip(1)
        size = np.where(count == 1, (told != 0).argmax(1) - self.flags, silent)
        exact = np.abs((number - self.middle) / self.scale - told.sum(1)) < TOLERANCE
        right = (count <= 1) & exact & (number >= 1) & (size >= 1) & (self._length(size, number) == lengths)
        if not right.all():
            b = int(right.argmin())
            raise given.fail(
                "repeats",
                "one number of repeats R on the node after the last of T vectors, told in the units of "
                f"norm={self.config.norm}, and T + TR + {self.flags + 2} nodes",
                f"{told[b][told[b] != 0].tolist()} on nodes {np.flatnonzero(told[b]).tolist()} of {lengths[b]} "
                f"in sample {b}",
            )
        return size, number

    def _batch(self, bits: Array, size: Array, repeats: Array, pos: Array, index: Array) -> Batch:
        """Tell the number, answer, and gather everything."""
        lengths = self._length(size, repeats)
        node = np.arange(bits.shape[1])
        asked = self.flags + size[:, None]
        told = np.where(node == asked, (repeats[:, None] - self.middle) / self.scale, 0).astype(np.float32)
        item = node - asked - 1
        due = (item >= 0) & (node < lengths[:, None])
        last = node == lengths[:, None] - 1
        source = np.where(due & ~last, self.flags + item % size[:, None], 0)
        repeated = np.take_along_axis(bits, source[:, :, None], axis=1).astype(np.int8)
        repeated[last] = 0
        repeated[~due] = -1
        end = np.where(due, last, -1).astype(np.int8)
        start = {"start": (node == 0) & (lengths[:, None] > 0)} if self.flags else {}
        return self._gather(
            {"bits": bits, **start, "repeats": told},
            {"repeated": repeated, "end": end},
            lengths=lengths,
            pos=pos,
            index=index,
        )
