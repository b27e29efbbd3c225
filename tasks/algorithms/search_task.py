"""What the searches for a place among ascending keys share: how keys and targets are drawn, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.array_task import ArrayTask
from tasks.algorithms.keys import ascending, few_distinct
from tasks.inputs import Inputs
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

KEY = Probe("key", Stage.INPUT, Location.NODE, Type.SCALAR)
TARGET = Probe("target", Stage.INPUT, Location.GRAPH, Type.SCALAR)
RETURN = Probe("return", Stage.OUTPUT, Location.NODE, Type.MASK_ONE)


class SearchTask(ArrayTask):
    """In ascending keys, find the first node whose key is not below the target, or the last if all are.

    Keys and target are drawn from U[0, 1) (`uniform`); or the target is one of the keys (`present`), or all are from
    four values (`few_distinct`).
    """

    distributions: ClassVar[tuple[str, ...]] = ("uniform", "present", "few_distinct")
    ordered: ClassVar[bool] = True

    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        seed, index, sizes = draw.seed, draw.index, draw.sizes
        keys = ascending(generators.keys(seed, index, sizes, sizes.max()), sizes)
        target = generators.keys(seed, index, np.ones_like(sizes), 1, generators.QUERY)[:, 0]
        present, few = (draw.kinds == self.distributions.index(name) for name in ("present", "few_distinct"))
        member = generators.choices(seed, index, sizes, generators.MEMBER)
        target = np.where(present, keys[np.arange(len(sizes)), member], target)
        keys[few], target[few] = few_distinct(keys[few]), few_distinct(target[few])
        return {"key": keys, "target": target}, sizes

    def _check(self, given: Inputs, values: Mapping[str, Array], sizes: Array) -> None:
        keys = values["key"]
        falls = (keys[:, 1:] < keys[:, :-1]) & (np.arange(1, keys.shape[1]) < sizes[:, None])
        if falls.any():
            b, i = np.argwhere(falls)[0]
            raise given.fail("key", "keys in ascending order", f"{keys[b, i]} before {keys[b, i + 1]} in sample {b}")
