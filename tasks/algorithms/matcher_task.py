"""String matching: the inputs that the two matchers share, a haystack and behind it a needle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.array_task import ArrayTask, OrderedConfig
from tasks.inputs import Inputs
from tasks.registry import option
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

LETTERS = 4
_UNIFORM, _RANDOM_NEEDLE, _TWO_LETTERS = range(3)
_LONGEST_NEEDLE = 8
_NEEDLE, _PLACE = generators.MEMBER, generators.QUERY

STRING = Probe("string", Stage.INPUT, Location.NODE, Type.MASK)
KEY = Probe("key", Stage.INPUT, Location.NODE, Type.CATEGORICAL, classes=LETTERS)
MATCH = Probe("match", Stage.OUTPUT, Location.NODE, Type.MASK_ONE)


@dataclass(frozen=True)
class MatcherConfig(OrderedConfig):
    """Options of string matching."""

    longer: bool = option(False, "a sample of size n has 5 n / 4 nodes, as in Ibarz et al. (2022)")


class MatcherTask(ArrayTask):
    """Where a needle first occurs in a haystack.

    The letters of the haystack are the first nodes and those of the needle the rest, which `string` marks. The output
    `match` is the node of the haystack at which the first occurrence begins, or the needle's first node if there is
    none; the benchmark's samples always have one.

    Sampled letters are uniform over four, and the needle, a fifth of all nodes, is written over the haystack at a
    place which is never the very last (`uniform`). `random_needle` draws the needle's length from 1 to 8, as long as
    it is less than half of the nodes (Ibarz et al., LoG 2022); `two_letters` has half the alphabet, so that more of the
    needle matches in wrong places.
    """

    config: MatcherConfig
    min_size = 2
    distributions = ("uniform", "random_needle", "two_letters")
    aliases: ClassVar[Mapping[str, str]] = {"ibarz2022": "random_needle"}
    ordered = True

    def _rows(self, values: Mapping[str, Array], sizes: Array) -> list[Array]:
        needles = values["string"].sum(1)
        return [sizes - needles, needles]

    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        sizes = draw.sizes * 5 // 4 if self.config.longer else draw.sizes
        column = np.arange(sizes.max())
        longest = np.clip((sizes - 1) // 2, 1, _LONGEST_NEEDLE)
        drawn = 1 + generators.choices(draw.seed, draw.index, longest, _NEEDLE)
        needles = np.where(draw.kinds == _RANDOM_NEEDLE, drawn, np.maximum(sizes // 5, 1))
        haystacks = sizes - needles
        places = generators.choices(draw.seed, draw.index, np.maximum(haystacks - needles, 1), _PLACE)
        key = generators.symbols(draw.seed, draw.index, sizes, LETTERS, len(column)) - np.int8(1)
        key[draw.kinds == _TWO_LETTERS] %= 2
        # Where the needle is put, the letter is that of the needle's node.
        inside_needle = column - places[:, None]
        put = (inside_needle >= 0) & (inside_needle < needles[:, None])
        key = np.take_along_axis(key, np.where(put, haystacks[:, None] + inside_needle, column), 1)
        inside = column < sizes[:, None]
        return {"string": inside & (column >= haystacks[:, None]), "key": np.where(inside, key, np.int8(0))}, sizes

    def _check(self, given: Inputs, values: Mapping[str, Array], sizes: Array) -> None:
        haystacks, _ = self._rows(values, sizes)
        column = np.arange(sizes.max())
        expected = (column >= haystacks[:, None]) & (column < sizes[:, None])
        wrong = (values["string"] != expected).any(1) | (haystacks == 0) | (haystacks == sizes)
        if wrong.any():
            b = int(wrong.argmax())
            raise given.fail(
                "string",
                "zeros for the haystack, then ones for the needle, at least one of each",
                f"{values['string'][b, : sizes[b]].astype(int).tolist()} in sample {b}",
            )
