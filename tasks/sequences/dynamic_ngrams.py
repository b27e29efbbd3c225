"""Dynamic n-grams (Graves, Wayne and Danihelka, Neural Turing Machines, 2014, section 4.4), and how well one can do."""

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
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

MOST_ORDER = 16
"""A table has a row for each context of n - 1 bits."""


@dataclass(frozen=True)
class DynamicNgramsConfig:
    """Options of `dynamic_ngrams`."""

    order: int = option(6, "n: a bit depends on the n - 1 before it")
    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")

    def __post_init__(self) -> None:
        if not 1 <= self.order <= MOST_ORDER:
            raise ValueError(f"dynamic_ngrams: order must be from 1 to {MOST_ORDER}, got {self.order}")


@register("dynamic_ngrams", config=DynamicNgramsConfig, **NTM_PAPER)
class DynamicNgrams(SequenceTask):
    """Dynamic n-grams: predict every bit of a sequence that a new random table of transitions generates.

    Each sample has a table of its own: for every context of 5 bits the probability of a one, from Beta(1/2, 1/2). The
    first 5 bits are fair coins, every other bit follows its context's probability. A sample of size T has T bits, 200
    in the paper, on T + 1 nodes, so that all of them are predicted. Of size 4:

        node     0  1  2  3  4
        bits     .  1  0  1  1
        start    1  .  .  .  .
        next     1  0  1  1  -      (- is -1: no answer is due)

    The best that one can do, `optimal_bits`, costs 133.26 ± 0.08 bits a sequence of 200 (mean of 200,000 sequences and
    its standard error), the first five bits one each; the paper draws its optimal estimator at 133.
    """

    config: DynamicNgramsConfig

    def __init__(self, config: DynamicNgramsConfig) -> None:
        super().__init__(config)
        self.spec = self._with_positions(
            "dynamic_ngrams",
            Probe("bits", Stage.INPUT, Location.NODE, Type.MASK),
            Probe("start", Stage.INPUT, Location.NODE, Type.MASK),
            Probe("next", Stage.OUTPUT, Location.NODE, Type.MASK),
        )

    def optimal_bits(self, batch: Batch) -> Array:
        """What the optimal estimator's predictions of a batch cost.

        Args:
            batch: of this task.

        Returns:
            Cross-entropy of all bits of each sample in bits, float64 `[batch]`.
        """
        bits = batch.inputs["bits"].cpu().numpy()[:, 1:]
        ones = optimal_estimate(bits, order=self.config.order)
        cost = -np.log2(np.where(bits, ones, 1 - ones))
        return np.asarray(np.where(inside(batch.sizes.numpy() - 1, bits.shape[1]), cost, 0).sum(1))

    def optimal_outputs(self, batch: Batch) -> dict[str, Array]:
        """The optimal estimator's predictions of a batch; see `tasks.optimum`.

        Args:
            batch: of this task.

        Returns:
            Logits of `next`, float64 `[batch, nodes]`, 0 at the last node.
        """
        ones = optimal_estimate(batch.inputs["bits"].cpu().numpy()[:, 1:], order=self.config.order)
        logits = np.log(ones) - np.log1p(-ones)
        return {"next": np.concatenate([logits, np.zeros((len(logits), 1))], 1)}

    def _sample(self, draw: Draw, layout: str) -> Batch:
        pos = self._draw_positions(draw, draw.sizes + 1)
        rows = np.full(len(draw.sizes), 2 ** (self.config.order - 1))
        # The squared cosine of a uniform angle is distributed as Beta(1/2, 1/2), and points of a disk have such angles.
        x, y = generators.disk_points(draw.seed, draw.index, rows, int(rows[0]), 1.0) ** 2
        table = np.divide(x, x + y, out=np.full_like(x, 0.5), where=x + y > 0)
        chance = generators.uniforms(draw.seed, draw.index, draw.sizes, pos.shape[1] - 1, generators.SECOND_DATA)
        bits = _generated(table, chance, self.config.order) & inside(draw.sizes, chance.shape[1])
        return self._batch(bits, draw.sizes, pos, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=(*POSITIONAL, "start"))
        bits = given.masks("bits", ("batch", "nodes"))
        batch, nodes = bits.shape
        lengths = given.sizes(sizes, batch, nodes)
        if batch == 0 or lengths.min() <= self.min_size:
            raise ValueError(f"dynamic_ngrams: expected a start and at least one bit, got nodes {lengths.tolist()}")
        given.empty_padding("bits", bits, inside(lengths, nodes) & (np.arange(nodes) > 0))
        if "start" in given and (given.masks("start", (batch, nodes)) != (np.arange(nodes) == 0)).any():
            raise given.fail("start", "a flag on the first node (or leave it out)", "another place")
        return self._batch(bits[:, 1:], lengths - 1, self._given_positions(given, lengths, nodes), np.arange(batch))

    def _batch(self, bits: Array, size: Array, pos: Array, index: Array) -> Batch:
        """Shift, and gather everything."""
        none = np.zeros((len(bits), 1), np.bool_)
        start = np.zeros(pos.shape, np.bool_)
        start[:, 0] = True
        following = np.concatenate([bits, none], 1).astype(np.int8)
        following[~inside(size, pos.shape[1])] = -1
        return self._gather(
            {"bits": np.concatenate([none, bits], 1), "start": start},
            {"next": following},
            lengths=size + 1,
            pos=pos,
            index=index,
        )


def optimal_estimate(bits: Array, *, order: int = 6) -> Array:
    """The probability of a one at each place, given the bits before it and the prior of the tables.

    (N1 + 1/2) / (N0 + N1 + 1), where N0 and N1 count the zeros and ones that followed the same context so far
    (Murphy, 2012; Graves et al., 2014, equation 10); 1/2 where there is no whole context yet.

    Args:
        bits: sequences, bool `[batch, bits]`.
        order: n of the n-grams.

    Returns:
        Probabilities, float64 `[batch, bits]`.
    """
    ones = np.full(bits.shape, 0.5)
    counts = np.zeros((len(bits), 2 ** (order - 1), 2))
    sample = np.arange(len(bits))
    for t, context in _contexts(bits, order):
        seen = counts[sample, context]
        ones[:, t] = (seen[:, 1] + 0.5) / (seen.sum(1) + 1)
        counts[sample, context, bits[:, t].astype(np.int64)] += 1
    return ones


def _generated(table: Array, chance: Array, order: int) -> Array:
    """Bits that follow tables `[batch, contexts]`, one for each uniform draw `[batch, bits]`."""
    bits = chance < 0.5
    sample = np.arange(len(bits))
    for t, context in _contexts(bits, order):
        bits[:, t] = chance[:, t] < table[sample, context]
    return bits


def _contexts(bits: Array, order: int) -> Any:
    """Each place that has a whole context, and the contexts there, numbers `[batch]`; reads bits as they come to be."""
    context = np.zeros(len(bits), np.int64)
    for t in range(bits.shape[1]):
        if t >= order - 1:
            yield t, context
        context = (2 * context + bits[:, t]) % 2 ** (order - 1)
