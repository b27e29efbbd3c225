"""Sorting vectors by their priorities (Graves, Wayne and Danihelka, Neural Turing Machines, 2014, section 4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.registry import option, register
from tasks.sequences.ntm_paper import NTM_PAPER
from tasks.sequences.sequence_task import POSITIONAL, SequenceTask, inside
from tasks.sequences.word_task import check_bits, read_bits
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]


@dataclass(frozen=True)
class PrioritySortConfig:
    """Options of `priority_sort`."""

    bits: int = option(8, "bits of a vector")
    highest: int = option(16, "how many vectors, those of the highest priorities, are asked for; at most all")
    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")

    def __post_init__(self) -> None:
        check_bits("priority_sort", self.bits)
        if self.highest < 1:
            raise ValueError(f"priority_sort: highest must be at least 1, got {self.highest}")


@register("priority_sort", config=PrioritySortConfig, **NTM_PAPER)
class PrioritySort(SequenceTask):
    """Priority sort: read vectors with a priority each, then write those of the highest priorities, in order.

    A sample of size T has T vectors, a delimiter, and as many blanks as vectors are asked for: 20 + 1 + 16 nodes in the
    paper. Priorities are uniform in [-1, 1); of equal ones the earlier vector comes first. Of size 3, with 3 bits and
    the 2 highest:

        node        0    1    2    3    4    5
        bits       011  100  110   .    .    .
        priority   0.2 -0.7  0.9   .    .    .
        delimiter   .    .    .    1    .    .
        sorted      -    -    -    -   110  011     (- is -1: no answer is due)

    The paper tells neither the vectors' width (8 bits are the chance level of its learning curves), nor whether a
    delimiter stands there, as in its other tasks, nor which end comes first: here the highest.
    """

    config: PrioritySortConfig

    def __init__(self, config: PrioritySortConfig) -> None:
        super().__init__(config)
        self.spec = self._with_positions(
            "priority_sort",
            Probe("bits", Stage.INPUT, Location.NODE, Type.MASK, channels=config.bits),
            Probe("priority", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("delimiter", Stage.INPUT, Location.NODE, Type.MASK),
            Probe("sorted", Stage.OUTPUT, Location.NODE, Type.MASK, channels=config.bits),
        )

    def _length(self, size: Array) -> Array:
        return size + 1 + np.minimum(size, self.config.highest)

    def _sample(self, draw: Draw, layout: str) -> Batch:
        pos = self._draw_positions(draw, self._length(draw.sizes))
        nodes = pos.shape[1]
        bits = generators.words(draw.seed, draw.index, draw.sizes, self.config.bits, nodes)
        drawn = generators.keys(draw.seed, draw.index, draw.sizes, nodes, generators.SECOND_DATA)
        priority = np.where(inside(draw.sizes, nodes), 2 * drawn - 1, 0)
        return self._batch(bits, priority, draw.sizes, pos, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=(*POSITIONAL, "delimiter"))
        bits = read_bits(given, self.config.bits)
        batch, nodes = bits.shape[:2]
        lengths = given.sizes(sizes, batch, nodes)
        most = self.config.highest
        size = np.where(lengths <= 2 * most + 1, (lengths - 1) // 2, lengths - 1 - most)
        if batch == 0 or size.min() < self.min_size or (self._length(size) != lengths).any():
            examples = ", ".join(str(n) for n in self._length(np.arange(1, 4)))
            raise ValueError(f"{self.name}: a sample has {examples}, … nodes, got {sorted(set(lengths.tolist()))}")
        priority = given.scalars("priority", (batch, nodes))
        told = inside(size, nodes)
        given.empty_padding("bits", bits, np.broadcast_to(told[:, :, None], bits.shape))
        given.empty_padding("priority", priority, told)
        mark = np.arange(nodes) == size[:, None]
        if "delimiter" in given and (given.masks("delimiter", (batch, nodes)) != mark).any():
            raise given.fail("delimiter", "a delimiter behind the vectors (or leave it out)", "another place")
        return self._batch(bits, priority, size, self._given_positions(given, lengths, nodes), np.arange(batch))

    def _batch(self, bits: Array, priority: Array, size: Array, pos: Array, index: Array) -> Batch:
        """Sort, and gather everything."""
        nodes = bits.shape[1]
        priority = priority.astype(np.float32)
        order = np.argsort(np.where(inside(size, nodes), -priority, np.inf), axis=1, kind="stable")
        rank = np.arange(nodes) - (size[:, None] + 1)
        due = (rank >= 0) & (rank < np.minimum(size, self.config.highest)[:, None])
        source = np.take_along_axis(order, np.where(due, rank, 0), axis=1)
        answer = np.take_along_axis(bits, source[:, :, None], axis=1).astype(np.int8)
        answer[~due] = -1
        return self._gather(
            {"bits": bits, "priority": priority, "delimiter": np.arange(nodes) == size[:, None]},
            {"sorted": answer},
            lengths=self._length(size),
            pos=pos,
            index=index,
        )
