"""What the tasks on one row of keys share: how the keys are drawn, and what a sort gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.array_task import ArrayConfig, ArrayTask
from tasks.registry import option
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

_DISTINCT = 4  # values of keys that tie often


@dataclass(frozen=True)
class SortConfig(ArrayConfig):
    """Options of sorts."""

    permutation: bool = option(
        True, "the output is decoded as one permutation (Ibarz et al., 2022), not pointer by pointer (CLRS)"
    )

    @property
    def output(self) -> Probe:
        """The predecessors in the sorted list."""
        kind = Type.PERMUTATION_POINTER if self.permutation else Type.POINTER
        return Probe("pred", Stage.OUTPUT, Location.NODE, kind)


class KeysTask(ArrayTask):
    """A task whose only input beside positions is one key a node.

    Keys are independent draws from U[0, 1), the benchmark's (`uniform`); the same rounded down to multiples of a
    quarter, so that most keys have equals (`few_distinct`); or the same in ascending (`sorted`) or descending order
    (`reversed`), the extremes of how long sorts and selections run.
    """

    distributions: ClassVar[tuple[str, ...]] = ("uniform", "few_distinct", "sorted", "reversed")

    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        keys = generators.keys(draw.seed, draw.index, draw.sizes, draw.sizes.max())
        few, up, down = (draw.kinds == self.distributions.index(name) for name in self.distributions[1:])
        keys[few] = few_distinct(keys[few])
        keys[up] = ascending(keys[up], draw.sizes[up])
        keys[down] = -ascending(-keys[down], draw.sizes[down]) + 0.0  # no negative zeros
        return {"key": keys}, draw.sizes


def few_distinct(values: Array) -> Array:
    """Draws from U[0, 1) rounded down to a few values, all of them representable in float32."""
    rounded: Array = np.floor(values * _DISTINCT) / _DISTINCT
    return rounded


def ascending(keys: Array, sizes: Array) -> Array:
    """Keys `[batch, nodes]` with each sample's own sorted, and zeros after them."""
    inside = np.arange(keys.shape[1]) < sizes[:, None]
    return np.where(inside, np.sort(np.where(inside, keys, np.inf), axis=1), 0.0)
