"""What the two tasks on graphs of Xu et al., How Neural Networks Extrapolate, ICLR 2021, share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.task import Draw
from tasks.theory.extrapolation_graphs import FAMILIES, SMALLEST, pairs
from tasks.theory.number_task import NumberTask

Array = NDArray[Any]

_GENERAL = FAMILIES.index("general")
_OTHER_KIND = len(generators.GRAPH_KINDS)  # a kind of graph whose edges are not made by the generator itself


class ExtrapolationTask(NumberTask):
    """A task on the paper's families of graphs, with the ranges of training, and on `general` ones with wider ranges.

    Attributes:
        expander: probability of an edge of an `expander`.
    """

    min_size = SMALLEST
    distributions: ClassVar[tuple[str, ...]] = (*FAMILIES, "general_wide")
    aliases: ClassVar[Mapping[str, str]] = {}
    expander: ClassVar[float]

    def _edges(self, draw: Draw) -> tuple[Array, Array, Array]:
        families = np.where(draw.kinds == len(FAMILIES), _GENERAL, draw.kinds)
        return np.full_like(families, _OTHER_KIND), *pairs(draw.seed, draw.index, draw.sizes, families, self.expander)
