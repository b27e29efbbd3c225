"""Key-value recall (Csordás and Schmidhuber, Improving Differentiable Neural Computers, ICLR 2019, and their code)."""

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
from tasks.sequences.dnc_paper import CSORDAS_PAPER
from tasks.sequences.sequence_task import POSITIONAL, SequenceTask, inside
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

MOST_BITS = 32


@dataclass(frozen=True)
class KeyValueRecallConfig:
    """Options of `key_value_recall`."""

    bits: int = option(6, "bits of a key, and of a value")
    silence: bool = option(True, "zeros are to be written where no value is due; if not, such nodes are not scored")
    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MOST_BITS:
            raise ValueError(f"key_value_recall: bits must be from 1 to {MOST_BITS}, got {self.bits}")


@register("key_value_recall", config=KeyValueRecallConfig, **CSORDAS_PAPER)
class KeyValueRecall(SequenceTask):
    """Key-value recall: read pairs of words, then the keys alone in another order, and write the value of each at once.

    A sample of size K has K pairs with different keys, a marker, the K keys and a marker: 2K + 2 nodes. Of size 2, with
    3 bits:

        node         0    1    2    3    4    5
        key         011  100   .   100  011   .
        value       110  001   .    .    .    .
        marker       .    .    1    .    .    1
        recalled    000  000  000  001  110  000

    As in the authors' code, zeros are asked for where no value is due (without `silence`: -1, not scored). Their keys
    come in ascending order first, a trace of how they are made distinct; here in random order. They take 6 bits, 12 of
    both, 2 to 16 pairs and 16 slots.
    """

    config: KeyValueRecallConfig

    def __init__(self, config: KeyValueRecallConfig) -> None:
        super().__init__(config)
        node, bits = Location.NODE, config.bits
        self.spec = self._with_positions(
            "key_value_recall",
            Probe("key", Stage.INPUT, node, Type.MASK, channels=bits),
            Probe("value", Stage.INPUT, node, Type.MASK, channels=bits),
            Probe("marker", Stage.INPUT, node, Type.MASK),
            Probe("recalled", Stage.OUTPUT, node, Type.MASK, channels=bits),
        )

    def _sample(self, draw: Draw, layout: str) -> Batch:
        size, bits, pairs = draw.sizes, self.config.bits, int(draw.sizes.max())
        if pairs > 2**bits:
            raise ValueError(f"key_value_recall: {pairs} keys need more than {bits} bits; set bits")
        pos = self._draw_positions(draw, 2 * size + 2)
        drawn = [
            generators.uniforms(draw.seed, draw.index, size, pairs, purpose)
            for purpose in (generators.DATA, generators.SPLIT, generators.QUERY)
        ]
        order, query = (_shuffled(each, size) for each in drawn[1:])
        numbers = np.take_along_axis(_distinct(drawn[0], size, 2**bits), order, axis=1)
        values = generators.words(draw.seed, draw.index, size, bits, pairs)
        key, value = np.zeros((2, *pos.shape, bits), np.bool_)
        keys = (numbers[:, :, None] >> np.arange(bits)) & 1
        told, asked = self._places(size, pos.shape[1])
        known = inside(size, pairs)
        key[told], value[told] = keys[known], values[known]
        key[asked] = np.take_along_axis(keys, query[:, :, None], axis=1)[known]
        return self._batch(key, value, size, pos, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=(*POSITIONAL, "marker"))
        shape: list[int | str] = ["batch", "nodes", self.config.bits] if self.config.bits > 1 else ["batch", "nodes"]
        key = given.masks("key", shape)
        batch, nodes = key.shape[:2]
        value = given.masks("value", [batch, nodes, *shape[2:]])
        key, value = (each.reshape(batch, nodes, self.config.bits) for each in (key, value))
        lengths = given.sizes(sizes, batch, nodes)
        size = lengths // 2 - 1
        if batch == 0 or size.min() < self.min_size or (lengths % 2).any():
            raise ValueError(f"{self.name}: a sample has 4, 6, 8, … nodes, got {sorted(set(lengths.tolist()))}")
        told, asked = self._places(size, nodes)
        if key[~(told | asked)].any():
            raise given.fail("key", "zeros on markers", "ones there")
        if value[~told].any():
            raise given.fail("value", "zeros behind the pairs", "ones there")
        mark = self._marks(size, nodes)
        if "marker" in given and (given.masks("marker", (batch, nodes)) != mark).any():
            raise given.fail("marker", "one behind the pairs, one at the end (or leave it out)", "other places")
        for b, n in enumerate(size):
            pairs, queries = (set(map(bytes, part)) for part in (key[b, :n], key[b, n + 1 : 2 * n + 1]))
            if len(pairs) < n or pairs != queries:
                raise given.fail("key", "different keys, and the same ones again as queries", f"others in sample {b}")
        return self._batch(key, value, size, self._given_positions(given, lengths, nodes), np.arange(batch))

    def _places(self, size: Array, nodes: int) -> tuple[Array, Array]:
        """Where pairs stand, and where keys alone, bool `[batch, nodes]` each."""
        node = np.arange(nodes) - size[:, None]
        return node < 0, (node > 0) & (node <= size[:, None])

    def _marks(self, size: Array, nodes: int) -> Array:
        """The markers, bool `[batch, nodes]`."""
        node = np.arange(nodes)
        return (node == size[:, None]) | (node == 2 * size[:, None] + 1)

    def _batch(self, key: Array, value: Array, size: Array, pos: Array, index: Array) -> Batch:
        """Look up, and gather everything."""
        nodes = key.shape[1]
        told, asked = self._places(size, nodes)
        number = (key * (1 << np.arange(self.config.bits, dtype=np.int64))).sum(2)
        # Sorted by key, pairs and queries meet: both orders are the same.
        pair = np.argsort(np.where(told, number, np.iinfo(np.int64).max), axis=1, kind="stable")
        query = np.argsort(np.where(asked, number, np.iinfo(np.int64).max), axis=1, kind="stable")
        rank = np.arange(nodes) < size[:, None]
        sample, _ = np.nonzero(rank)
        recalled = np.full(key.shape, 0 if self.config.silence else -1, np.int8)
        recalled[~inside(2 * size + 2, nodes)] = -1
        recalled[sample, query[rank]] = value[sample, pair[rank]]
        return self._gather(
            {"key": key, "value": value, "marker": self._marks(size, nodes)},
            {"recalled": recalled},
            lengths=2 * size + 2,
            pos=pos,
            index=index,
        )


def _shuffled(uniforms: Array, size: Array) -> Array:
    """A random order of the first `size[b]` places of each row, then the rest in order."""
    return np.argsort(np.where(inside(size, uniforms.shape[1]), uniforms, 1.0), axis=1, kind="stable")


def _distinct(uniforms: Array, size: Array, bound: int) -> Array:
    """Different numbers below `bound`, a random set of `size[b]` of them a row (Floyd's algorithm), 0 past those."""
    chosen = np.zeros(uniforms.shape, np.int64)
    for k in range(uniforms.shape[1]):
        last = bound - size + k
        drawn = (uniforms[:, k] * (last + 1)).astype(np.int64)
        taken = (chosen[:, :k] == drawn[:, None]).any(1)
        chosen[:, k] = np.where(k < size, np.where(taken, last, drawn), 0)
    return chosen
