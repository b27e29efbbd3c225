"""String matching of Knuth, Morris and Pratt (1977) as in the CLRS benchmark (Veličković et al., ICML 2022)."""

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

# What a run remembers between two frames, as places in one array of integers: kernels that take it, and no constants,
# are compiled once.
_K, _K_RESET, _Q, _Q_RESET, _S, _I, _PHASE = range(7)
_NODES, _FLAGS = ("k", "q", "s", "i"), ("k_reset", "q_reset", "phase")


@dataclass(frozen=True)
class KmpMatcherConfig(MatcherConfig):
    """Options of `kmp_matcher`."""


@register("kmp_matcher", config=KmpMatcherConfig, **CLRS)
class KmpMatcher(MatcherTask):
    """Knuth-Morris-Pratt: the first node of the haystack at which the needle occurs, in one pass over the haystack.

    Phase 0 finds for each letter q of the needle its longest border: the longest shorter string that the needle up to
    q both begins and ends with. `pi` points from q to the border's last letter in the needle's beginning; letters
    without a border point to the needle's first and are marked in `is_reset`. `k` is where the border of the letter
    before q ends, and each step to a shorter one has a frame of its own. Phase 1 reads the haystack: `i` is the letter
    read, `q` the last letter of the needle that was matched before it (none if `q_reset`), again with a frame for each
    border tried, and `s` the place where the needle began if it ended at i. In `aaab` for `aab`:

        key     a a a b | a a b     pi 0 1 2 3 | . . .   is_reset 0 0 0 0 | . . .
        frame 0: phase 0   pi 4 5 6   is_reset 1 0 0   k 4 reset   q 5   i 0   s 0
        frame 1: phase 0   pi 4 4 6   is_reset 1 0 0   k 4         q 5   i 0   s 0
        frame 2: phase 0   pi 4 4 6   is_reset 1 0 0   k 4 reset   q 6   i 0   s 0   b ends no border:
        frame 3: phase 0   pi 4 4 4   is_reset 1 0 1   k 4 reset   q 6   i 0   s 0
        frame 4: phase 1   q 4 reset   i 0   s 0
        frame 5: phase 1   q 4         i 1   s 0
        frame 6: phase 1   q 5         i 2   s 0   b is not a:
        frame 7: phase 1   q 4         i 2   s 0   a border of one letter is left
        frame 8: phase 1   q 5         i 3   s 1   output match 1
    """

    def __init__(self, config: KmpMatcherConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "kmp_matcher",
            STRING,
            KEY,
            MATCH,
            Probe("pi", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("is_reset", Stage.HINT, Location.NODE, Type.MASK),
            *(Probe(name, Stage.HINT, Location.NODE, Type.MASK_ONE) for name in _NODES),
            *(Probe(name, Stage.HINT, Location.GRAPH, Type.MASK) for name in _FLAGS),
        )

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        haystacks, _ = self._rows(values, sizes)
        key = values["key"]
        lengths, match = _match(key, haystacks, sizes, *_frames(0, *key.shape))  # a run that only counts
        nodes, flags, links, resets = _frames(int(lengths.max()), *key.shape)
        _match(key, haystacks, sizes, nodes, flags, links, resets)
        hints = {"pi": links, "is_reset": resets}
        hints |= dict(zip(_NODES, nodes, strict=True)) | dict(zip(_FLAGS, flags, strict=True))
        return Trace(lengths, hints, {"match": match})


def _frames(frames: int, batch: int, nodes: int) -> tuple[Array, Array, Array, Array]:
    """Hints of that many frames: nodes and flags of the whole graph, in the order of their names; pi and is_reset."""
    return (
        np.zeros((len(_NODES), frames, batch), np.int32),
        np.zeros((len(_FLAGS), frames, batch), np.bool_),
        np.zeros((frames, batch, nodes), np.int32),
        np.zeros((frames, batch, nodes), np.bool_),
    )


@kernel
def _record(b, first, state, link, reset, lengths, nodes, flags, links, resets):
    """Write the next frame of sample b, if there is room; link and reset are those of its needle."""
    t = lengths[b]
    lengths[b] += 1
    if t >= len(links):
        return
    nodes[0, t, b] = first + state[_K]
    nodes[1, t, b] = first + state[_Q]
    nodes[2, t, b] = state[_S]
    nodes[3, t, b] = state[_I]
    flags[0, t, b] = state[_K_RESET] == 1
    flags[1, t, b] = state[_Q_RESET] == 1
    flags[2, t, b] = state[_PHASE] == 1
    for v in range(first):
        links[t, b, v] = v
    for v in range(len(link)):
        links[t, b, first + v] = first + link[v]
        resets[t, b, first + v] = reset[v]


@kernel
def _drop(border, link, reset):
    """Go from a border, its last letter and whether there is none, to the next shorter one."""
    if reset[border[0]]:
        border[0] = 0
        border[1] = 1
    else:
        border[0] = link[border[0]]


@kernel
def _extended(border, needle, letter):
    """The border's last letter once another is read; -1 if that ends none, where no shorter border was left."""
    after = 0 if border[1] == 1 else border[0] + 1
    return after if needle[after] == letter else -1


@kernel
def _match(keys, haystacks, sizes, nodes, flags, links, resets):
    """Frames and output of each sample `[B]`; its hints are written to what `_frames` made, if that has frames."""
    lengths = np.zeros(len(sizes), np.int64)
    match = np.empty(len(sizes), np.int32)
    state = np.empty(7, np.int64)
    border, matched = state[_K:_Q], state[_Q:_S]
    for b in range(len(sizes)):
        first = haystacks[b]
        needle = keys[b, first : sizes[b]]
        link = np.arange(len(needle))
        reset = np.zeros(len(needle), np.bool_)
        reset[0] = True
        state[:] = 0
        border[1] = matched[1] = 1
        state[_Q] = min(1, len(needle) - 1)
        _record(b, first, state, link, reset, lengths, nodes, flags, links, resets)
        for q in range(1, len(needle)):
            state[_Q] = q
            while border[1] == 0 and needle[border[0] + 1] != needle[q]:
                _drop(border, link, reset)
                _record(b, first, state, link, reset, lengths, nodes, flags, links, resets)
            end = _extended(border, needle, needle[q])
            reset[q] = end < 0
            link[q] = border[0] = max(end, 0)
            border[1] = 1 if end < 0 else 0
            _record(b, first, state, link, reset, lengths, nodes, flags, links, resets)
        state[_Q] = 0
        state[_PHASE] = 1
        match[b] = first
        for i in range(first):
            state[_I] = i
            state[_S] = max(0, i - len(needle) + 1)
            _record(b, first, state, link, reset, lengths, nodes, flags, links, resets)
            while matched[1] == 0 and needle[matched[0] + 1] != keys[b, i]:
                _drop(matched, link, reset)
                _record(b, first, state, link, reset, lengths, nodes, flags, links, resets)
            end = _extended(matched, needle, keys[b, i])
            if end == len(needle) - 1:
                match[b] = state[_S]
                break
            matched[0] = max(end, 0)
            matched[1] = 1 if end < 0 else 0
    return lengths, match
