"""The task of relational argmax in Xu et al., What Can Neural Networks Reason About?, ICLR 2020, section 4.2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.theory.object_task import PLACE, VALUE, ObjectConfig, ObjectTask
from tasks.theory.reasoning_paper import REASONING

Array = NDArray[Any]


@dataclass(frozen=True)
class FurthestPairConfig(ObjectConfig):
    """Options of `furthest_pair`."""


@register("furthest_pair", config=FurthestPairConfig, **REASONING)
class FurthestPair(ObjectTask):
    """Relational argmax: the colors of the two objects of a set that are furthest apart.

    An object has a value from 0 to 100, a location of eight coordinates from 0 to 20 and one of six colors, all of them
    whole numbers drawn uniformly. The distance is the sum of the coordinates' differences; of pairs equally far apart
    the first counts, in the order of their lower and then of their higher number. The answer is one of 21 classes, the
    pairs of colors in either order: 0-0, 0-1, …, 0-5, 1-1, 1-2, …, 5-5. There are no hints and there is one step.

        first coordinate 0 3 9, the others 0   color 4 2 1   value whatever it is: colors 9, which is 1-4

    The paper has 25 objects and 60,000 samples to train on. Its networks read the color as a number, here it is a
    class; their other nine features are these. Of ties its code takes what a sort happens to leave first.
    """

    min_size = 2

    def __init__(self, config: FurthestPairConfig) -> None:
        super().__init__(config)
        classes = config.colors * (config.colors + 1) // 2
        pair = Probe("colors", Stage.OUTPUT, Location.GRAPH, Type.CATEGORICAL, classes=classes)
        self.spec = self._spec("furthest_pair", VALUE, PLACE, self.color, pair)

    def _answer(self, values: Mapping[str, Array], sizes: Array) -> dict[str, Array]:
        ends = _furthest(values["location"], sizes)
        colors = np.sort(np.take_along_axis(values["color"].astype(np.int64), ends, axis=1), axis=1)
        low, high = colors.T
        return {"colors": (low * self.config.colors - low * (low - 1) // 2 + high - low).astype(np.int8)}


@kernel
def _furthest(location, sizes):
    """The two nodes of each sample that are furthest apart, the first such pair; int64 `[B, 2]`."""
    ends = np.zeros((len(sizes), 2), np.int64)
    for b in range(len(sizes)):
        most = -1.0
        for i in range(sizes[b]):
            for j in range(i + 1, sizes[b]):
                distance = 0.0
                for c in range(location.shape[2]):
                    distance += abs(location[b, i, c] - location[b, j, c])
                if distance > most:
                    most = distance
                    ends[b, 0] = i
                    ends[b, 1] = j
    return ends
