"""The canonical data sets of the CLRS benchmark. Imports nothing but the standard library.

Source: Veličković et al., ICML 2022, section 4.1; the numbers are those of the published archive (version 1.0.0).
"""

from __future__ import annotations

from typing import NamedTuple

from tasks.registry import near

CANONICAL = "canonical"
"""What the distribution of a canonical set is called in tables of scores."""


class Split(NamedTuple):
    """How one canonical set is drawn.

    Attributes:
        samples: how many.
        size: of each of them.
        seed: of the `RandomState` that all of them are drawn from, one after another.
    """

    samples: int
    size: int
    seed: int


SPLITS = {"train": Split(1000, 16, 1), "val": Split(32, 16, 2), "test": Split(32, 64, 3)}


_ONE_ANSWER = ("quickselect", "minimum", "binary_search", "naive_string_matcher", "kmp_matcher", "segments_intersect")
MULTIPLIERS = {name: 64 for name in _ONE_ANSWER} | {"find_maximum_subarray_kadane": 32}
"""How many times as many samples the held-out sets have of tasks that answer with a node or a bit, not one a node."""


def split_of(name: str, task: str = "") -> Split:
    """The split of a name, for a task; an unknown one raises `ValueError` with the near matches."""
    if name not in SPLITS:
        raise ValueError(f"there is no canonical split {name!r}; {near(name, SPLITS)}")
    split = SPLITS[name]
    return split if name == "train" else split._replace(samples=split.samples * MULTIPLIERS.get(task, 1))
