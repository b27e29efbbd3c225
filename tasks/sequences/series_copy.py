"""Copying a series of sequences, one after another, through a memory that holds only a few of their vectors.

Sources: Graves et al., Hybrid computing using a neural network with dynamic external memory, Nature 2016, Extended Data
Figure 1; Csordás and Schmidhuber, Improving Differentiable Neural Computers, ICLR 2019, and their code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.registry import near, option, register
from tasks.sequences.dnc_paper import DNC_PAPER
from tasks.sequences.sequence_task import POSITIONAL, SequenceTask, inside
from tasks.sequences.word_task import check_bits, read_bits
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

FORMS = ("graves", "csordas")


@dataclass(frozen=True)
class SeriesCopyConfig:
    """Options of `series_copy`."""

    bits: int = option(6, "bits of a vector")
    form: str = option("graves", "'graves', of the DNC's paper, or 'csordas', of Csordás and Schmidhuber: see the task")
    min_vectors: int = option(5, "fewest vectors of a sequence, which each sequence draws uniformly")
    max_vectors: int = option(5, "most vectors of a sequence")
    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")

    def __post_init__(self) -> None:
        check_bits("series_copy", self.bits)
        if self.form not in FORMS:
            raise ValueError(f"series_copy: unknown form {self.form!r}; {near(self.form, FORMS)}")
        if not 1 <= self.min_vectors <= self.max_vectors:
            given = f"{self.min_vectors} and {self.max_vectors}"
            raise ValueError(f"series_copy: min_vectors must be at least 1 and at most max_vectors, got {given}")


@register("series_copy", config=SeriesCopyConfig, **DNC_PAPER)
class SeriesCopy(SequenceTask):
    """Series copy: read a sequence, write it again, and go on with the next one, so that slots must be re-used.

    A sample of size S has S sequences, each of its own number of vectors. Of size 2, with 2 bits and 1 and 2 vectors,
    in the form `graves`, where a sequence of L vectors takes 2L + 1 nodes:

        node        0   1   2   3   4   5   6   7
        bits       01   .   .  10  11   .   .   .
        delimiter   .   1   .   .   .   1   .   .
        copied      -   -  01   -   -   -  10  11      (- is -1: no answer is due)

    and in the form `csordas`, where it takes 2L + 2, an end marker is to be written behind the vectors, and nothing,
    zeros, wherever else:

        node        0   1   2   3   4   5   6   7   8   9
        bits       01   .   .   .  10  11   .   .   .   .
        delimiter   .   1   .   .   .   .   1   .   .   .
        copied     00  00  01  00  00  00  00  10  11  00
        end         .   .   .   1   .   .   .   .   .   1

    Of the DNC's paper the series of 10 sequences of 5 vectors and the memory of 10 slots are known; width of the
    vectors and markers are not, and are those of a public re-implementation's 6 bits and of the paper's other copies.
    The masked large repeat copy is `csordas` with 8 bits, 2 to 14 vectors and sizes 1 to 8, for 16 slots; its authors'
    code gives all samples of a batch the same lengths, here each draws its own.
    """

    config: SeriesCopyConfig

    def __init__(self, config: SeriesCopyConfig) -> None:
        super().__init__(config)
        self.ended = config.form == "csordas"
        end = [Probe("end", Stage.OUTPUT, Location.NODE, Type.MASK)] if self.ended else []
        self.spec = self._with_positions(
            "series_copy",
            Probe("bits", Stage.INPUT, Location.NODE, Type.MASK, channels=config.bits),
            Probe("delimiter", Stage.INPUT, Location.NODE, Type.MASK),
            Probe("copied", Stage.OUTPUT, Location.NODE, Type.MASK, channels=config.bits),
            *end,
        )

    def _sample(self, draw: Draw, layout: str) -> Batch:
        low, high = self.config.min_vectors, self.config.max_vectors
        series = int(draw.sizes.max())
        chance = generators.uniforms(draw.seed, draw.index, draw.sizes, series, generators.QUERY)
        vectors = np.where(inside(draw.sizes, series), low + (chance * (high - low + 1)).astype(np.int64), 0)
        pos = self._draw_positions(draw, self._nodes(vectors).sum(1))
        drawn = generators.words(draw.seed, draw.index, vectors.sum(1), self.config.bits, int(vectors.sum(1).max()))
        told, _ = self._places(vectors, pos.shape[1])
        bits = np.zeros((*pos.shape, self.config.bits), np.bool_)
        bits[told] = drawn[inside(vectors.sum(1), drawn.shape[1])]
        return self._batch(bits, vectors, pos, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=POSITIONAL)
        bits = read_bits(given, self.config.bits)
        batch, nodes = bits.shape[:2]
        lengths = given.sizes(sizes, batch, nodes)
        self._check_sizes(lengths)
        delimiter = given.masks("delimiter", (batch, nodes))
        vectors = self._vectors(delimiter)
        right = (vectors > 0).any(1) & (vectors >= 0).all(1) & (self._nodes(vectors).sum(1) == lengths)
        if not right.all():
            b = int(right.argmin())
            raise given.fail(
                "delimiter",
                f"one behind the L ≥ 1 vectors of each sequence, and L + {int(self.ended)} blanks behind it",
                f"nodes {np.flatnonzero(delimiter[b]).tolist()} of {lengths[b]} in sample {b}",
            )
        told, _ = self._places(vectors, nodes)
        if bits[~told].any():
            raise given.fail("bits", "zeros on delimiters and blanks", "ones there")
        return self._batch(bits, vectors, self._given_positions(given, lengths, nodes), np.arange(batch))

    def _nodes(self, vectors: Array) -> Array:
        """Nodes of sequences of so many vectors; none of none."""
        return np.where(vectors == 0, 0, 2 * vectors + 1 + self.ended)

    def _vectors(self, delimiter: Array) -> Array:
        """Vectors of each sequence, int64 `[batch, series]`, as delimiters tell; 0 past the last, below 0 if wrong."""
        vectors = np.zeros((len(delimiter), max(int(delimiter.sum(1).max()), 1)), np.int64)
        sample, place = np.nonzero(delimiter)
        number = np.arange(len(sample)) - np.searchsorted(sample, sample)
        first = np.zeros(len(delimiter), np.int64)
        for k in range(vectors.shape[1]):
            here = number == k
            found = place[here] - first[sample[here]]
            vectors[sample[here], k] = np.where(found > 0, found, -1)
            first[sample[here]] = place[here] + 1 + found + self.ended
        return vectors

    def _places(self, vectors: Array, nodes: int) -> tuple[Array, Array]:
        """Where vectors are told, and where they are due, bool `[batch, nodes]` each."""
        ends = self._nodes(vectors).cumsum(1)
        # The sequence a node belongs to; past the last one a node is neither told nor due.
        which = (np.arange(nodes)[None, :, None] >= ends[:, None, :]).sum(2).clip(max=vectors.shape[1] - 1)
        count = np.take_along_axis(vectors, which, axis=1)
        place = np.arange(nodes) - np.take_along_axis(ends - self._nodes(vectors), which, axis=1)
        return (place < count), (place > count) & (place <= 2 * count)

    def _batch(self, bits: Array, vectors: Array, pos: Array, index: Array) -> Batch:
        """Answer, and gather everything."""
        nodes = bits.shape[1]
        lengths = self._nodes(vectors).sum(1)
        valid = inside(lengths, nodes)
        told, due = self._places(vectors, nodes)
        copied = np.full(bits.shape, -1, np.int8)
        if self.ended:
            copied[valid] = 0
        # Both count the vectors of all sequences of all samples in the same order.
        copied[due] = bits[told]
        starts = self._nodes(vectors).cumsum(1)
        delimiter = np.zeros(pos.shape, np.bool_)
        end = np.where(valid, 0, -1).astype(np.int8)
        sample, number = np.nonzero(vectors)
        delimiter[sample, (starts - self._nodes(vectors) + vectors)[sample, number]] = True
        end[sample, starts[sample, number] - 1] = 1
        return self._gather(
            {"bits": bits, "delimiter": delimiter},
            {"copied": copied, **({"end": end} if self.ended else {})},
            lengths=lengths,
            pos=pos,
            index=index,
        )
