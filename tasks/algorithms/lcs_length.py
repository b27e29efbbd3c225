"""The longest common subsequence as in the CLRS benchmark (Veličković et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.array_task import ArrayTask, OrderedConfig
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.trace import Trace
from tasks.inputs import Inputs
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

_LETTERS = 4


@dataclass(frozen=True)
class LcsLengthConfig(OrderedConfig):
    """Options of `lcs_length`."""


@register(
    "lcs_length",
    config=LcsLengthConfig,
    **CLRS,
)
class LcsLength(ArrayTask):
    """Longest common subsequence of two strings: which way it was found for every pair of prefixes.

    Nodes are the letters of the first string (`string` 0) and then those of the second (`string` 1); positions begin
    anew there, and the second string's first node is its own predecessor in `pred_h`. Entry (u, v), u in the first
    string and v in the second, is about the prefixes that end there: `c` is the length known for them, and `b` (`b_h`)
    how it comes about: 0 with both letters, which are equal, 1 without the first string's, 2 without the second's. All
    other entries of `b` are -1, not scored; the fourth class, which the benchmark has for them, never occurs.

    Frame 0 knows the prefixes of which one is a single letter; each step looks at all others with the lengths of the
    step before. The strings 0 1 and 0 2 1, as rows and columns of the entries:

        string 0 0 1 1 1   key 0 1 0 2 1   pred_h 0 0 2 2 3
        frame 0: c 1 1 1 / 1 0 0   b_h 0 2 2 / 1 0 0
        frame 1: c 1 1 1 / 1 1 2   b_h 0 2 2 / 1 1 0     output b as b_h

    The trace ends with the first frame whose lengths a further step would not change. Where leaving out either letter
    is as good, `b` is 1; in the first row and column it is also 1 where nothing is common.

    A sample's size is that of both strings, the first being the longer by one if it is odd. Sampled strings are of four
    letters (`uniform`), of two, which have much in common (`two_letters`), or of four and split anywhere
    (`random_split`).
    """

    min_size: ClassVar[int] = 2
    ordered: ClassVar[bool] = True
    distributions: ClassVar[tuple[str, ...]] = ("uniform", "two_letters", "random_split")

    def __init__(self, config: LcsLengthConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "lcs_length",
            Probe("string", Stage.INPUT, Location.NODE, Type.MASK),
            Probe("key", Stage.INPUT, Location.NODE, Type.CATEGORICAL, classes=_LETTERS),
            Probe("b", Stage.OUTPUT, Location.EDGE, Type.CATEGORICAL, classes=4),
            Probe("b_h", Stage.HINT, Location.EDGE, Type.CATEGORICAL, classes=4),
            Probe("c", Stage.HINT, Location.EDGE, Type.SCALAR),
        )

    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        sizes, nodes = draw.sizes, int(draw.sizes.max())
        letters = generators.symbols(draw.seed, draw.index, sizes, _LETTERS, nodes)
        few = draw.kinds == self.distributions.index("two_letters")
        anywhere = draw.kinds == self.distributions.index("random_split")
        letters = np.maximum(letters - 1, 0)  # symbols count from 1, and padding is 0
        letters[few] %= 2
        split = 1 + generators.choices(draw.seed, draw.index, sizes - 1, generators.SPLIT)
        first = np.where(anywhere, split, sizes - sizes // 2)
        places = np.arange(nodes)
        string = (places >= first[:, None]) & (places < sizes[:, None])
        return {"string": string, "key": letters.astype(np.int8)}, sizes

    def _rows(self, values: Mapping[str, Array], sizes: Array) -> list[Array]:
        second = values["string"].sum(1)
        return [sizes - second, second]

    def _check(self, given: Inputs, values: Mapping[str, Array], sizes: Array) -> None:
        string = values["string"]
        first, second = self._rows(values, sizes)
        ordered = string == (
            (np.arange(string.shape[1]) >= first[:, None]) & (np.arange(string.shape[1]) < sizes[:, None])
        )
        wrong = ~ordered.all(1) | (first == 0) | (second == 0)
        if wrong.any():
            b = int(wrong.argmax())
            got = "".join(map(str, string[b, : sizes[b]].astype(int)))
            raise given.fail("string", "zeros and then ones, at least one of each", f"{got} in sample {b}")

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        first, second = self._rows(values, sizes)
        key = values["key"]
        batch, nodes = key.shape
        nothing = np.zeros((0, batch, nodes, nodes))
        lengths, _ = _align(key, first, second, nothing.astype(np.int8), nothing.astype(np.float32))
        frames = lengths.max()
        ways = np.zeros((frames, batch, nodes, nodes), np.int8)
        common = np.zeros((frames, batch, nodes, nodes), np.float32)
        _, output = _align(key, first, second, ways, common)
        return Trace(lengths, {"b_h": ways, "c": common}, {"b": output})


@kernel
def _align(key, first, second, ways, common):
    """Lengths `[B]` and the output `[B, N, N]`; fills the hints b_h and c `[T, B, N, N]` as far as there is room."""
    batch, nodes = key.shape
    lengths = np.zeros(batch, np.int64)
    output = np.zeros((batch, nodes, nodes), np.int8)
    for b in range(batch):
        n, m = first[b], second[b]
        way = np.zeros((n, m), np.int8)
        count = np.zeros((n, m), np.int32)
        for i in range(n):
            if key[b, i] != key[b, n]:
                way[i, 0] = 1
            if key[b, i] == key[b, n] or (i > 0 and count[i - 1, 0] == 1):
                count[i, 0] = 1
        for j in range(m):
            if key[b, 0] == key[b, n + j]:
                way[0, j] = 0
                count[0, j] = 1
            elif j > 0 and count[0, j - 1] == 1:
                way[0, j] = 2
                count[0, j] = 1
            else:
                way[0, j] = 1
        t = 0
        changed = True
        while changed:
            if t < len(ways):
                _write(way, ways[t, b])
                for i in range(n):
                    for j in range(m):
                        common[t, b, i, n + j] = count[i, j]
            t += 1
            changed = False
            before = count.copy()
            for i in range(1, n):
                for j in range(max(1, t + 1 - i), m):  # what is before this was settled by earlier steps
                    if key[b, i] == key[b, n + j]:
                        length = before[i - 1, j - 1] + 1
                        way[i, j] = 0
                    elif before[i - 1, j] >= before[i, j - 1]:
                        length = before[i - 1, j]
                        way[i, j] = 1
                    else:
                        length = before[i, j - 1]
                        way[i, j] = 2
                    if length != count[i, j]:
                        count[i, j] = length
                        changed = True
        lengths[b] = t
        _write(way, output[b])
    return lengths, output


@kernel
def _write(way, entries):
    """The entries of two strings among those of all nodes, -1 at the others of the sample."""
    n, m = way.shape
    for u in range(n + m):
        for v in range(n + m):
            entries[u, v] = way[u, v - n] if u < n and v >= n else -1
