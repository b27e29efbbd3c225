"""The task of summary statistics in Xu et al., What Can Neural Networks Reason About?, ICLR 2020, section 4.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.inputs import Inputs
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.theory.object_task import PLACE, VALUE, VALUES, ObjectConfig, ObjectTask
from tasks.theory.reasoning_paper import REASONING
from tasks.theory.set_task import require_whole

Array = NDArray[Any]


@dataclass(frozen=True)
class MaximumValueDifferenceConfig(ObjectConfig):
    """Options of `maximum_value_difference`."""


@register("maximum_value_difference", config=MaximumValueDifferenceConfig, **REASONING)
class MaximumValueDifference(ObjectTask):
    """Summary statistics: the largest difference between the values of two objects of a set.

    An object has a value from 0 to 100, a location of eight coordinates from 0 to 20 and one of six colors, all of them
    whole numbers drawn uniformly. The answer is a class from 0 to 100, as in the authors' code; there are no hints and
    there is one step.

        value 30 80 45   location and color whatever they are: difference 50

    The paper has 25 objects and 50,000 samples to train on. Its networks read the color as a number, here it is a
    class; their other nine features are these. The location and the color only distract.
    """

    def __init__(self, config: MaximumValueDifferenceConfig) -> None:
        super().__init__(config)
        difference = Probe("difference", Stage.OUTPUT, Location.GRAPH, Type.CATEGORICAL, classes=VALUES + 1)
        self.spec = self._spec("maximum_value_difference", VALUE, PLACE, self.color, difference)

    def _check(self, given: Inputs, values: Mapping[str, Array], sizes: Array) -> None:
        require_whole(given, values, VALUE, 0, VALUES)

    def _answer(self, values: Mapping[str, Array], sizes: Array) -> dict[str, Array]:
        inside = np.arange(values["value"].shape[1]) < sizes[:, None]
        most = np.where(inside, values["value"], -np.inf).max(1)
        least = np.where(inside, values["value"], np.inf).min(1)
        return {"difference": (most - least).astype(np.int8)}
