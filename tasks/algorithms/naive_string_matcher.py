"""Naive string matching as in the CLRS benchmark (Veličković et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.clrs import CLRS
from tasks.algorithms.matcher_task import KEY, MATCH, STRING, MatcherConfig, MatcherTask
from tasks.algorithms.trace import Trace
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]

_MARKS = ("s", "i", "j")


@dataclass(frozen=True)
class NaiveStringMatcherConfig(MatcherConfig):
    """Options of `naive_string_matcher`."""


@register("naive_string_matcher", config=NaiveStringMatcherConfig, **CLRS)
class NaiveStringMatcher(MatcherTask):
    """Naive string matching: the first node of the haystack at which the needle occurs.

    The needle is tried at every place from the left, letter by letter until one differs. A frame shows a comparison of
    two letters: `s` is the place, `i` the letter of the haystack and `j` that of the needle. In `aaba` for `ab`:

        key     a a b a | a b     pred_h 0 0 1 2 4 4
        frame 0: s 0   i 0   j 4
        frame 1: s 0   i 1   j 5     a is not b: next place
        frame 2: s 1   i 1   j 4
        frame 3: s 1   i 2   j 5     output match 1

    A needle longer than the haystack, for which the benchmark records nothing, has the first comparison as its only
    frame, and no match.
    """

    def __init__(self, config: NaiveStringMatcherConfig) -> None:
        super().__init__(config)
        marks = [Probe(name, Stage.HINT, Location.NODE, Type.MASK_ONE) for name in _MARKS]
        self.spec = self._spec("naive_string_matcher", STRING, KEY, MATCH, *marks)

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        haystacks, _ = self._rows(values, sizes)
        counting = np.zeros((len(_MARKS), 0, len(sizes)), np.int32)
        lengths, match = _compare(values["key"], haystacks, sizes, counting)
        marks = np.zeros((len(_MARKS), lengths.max(), len(sizes)), np.int32)
        _compare(values["key"], haystacks, sizes, marks)
        return Trace(lengths, dict(zip(_MARKS, marks, strict=True)), {"match": match})


@kernel
def _compare(keys, haystacks, sizes, marks):
    """Frames and output of each sample `[B]`; s, i and j are written to `marks` `[3, frames, B]`, if it has frames."""
    lengths = np.zeros(len(sizes), np.int64)
    match = np.empty(len(sizes), np.int32)
    for b in range(len(sizes)):
        first = haystacks[b]
        needle = sizes[b] - first
        match[b] = first
        for s in range(max(first - needle + 1, 1)):
            j = 0
            equal = True
            while equal and j < needle:
                t = lengths[b]
                if t < marks.shape[1]:
                    marks[0, t, b] = s
                    marks[1, t, b] = s + j
                    marks[2, t, b] = first + j
                lengths[b] += 1
                equal = keys[b, s + j] == keys[b, first + j] and needle <= first
                j += 1
            if equal:
                match[b] = s
                break
    return lengths, match
