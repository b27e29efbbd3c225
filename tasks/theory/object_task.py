"""Objects with a location, a value and a color, which two of the tasks of Xu et al. (ICLR 2020) ask about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.registry import option
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw
from tasks.theory.set_task import SetTask

Array = NDArray[Any]

VALUES, COORDINATES, SIDE = 100, 8, 20
"""The largest value, the coordinates of a location, and the largest coordinate; the smallest are 0."""
VALUE = Probe("value", Stage.INPUT, Location.NODE, Type.SCALAR)
PLACE = Probe("location", Stage.INPUT, Location.NODE, Type.SCALAR, channels=COORDINATES)


@dataclass(frozen=True)
class ObjectConfig:
    """Options of tasks on objects."""

    colors: int = option(6, "how many colors there are")


class ObjectTask(SetTask):
    """A set of objects, everything about them uniform and independent: see the tasks for the ranges."""

    def __init__(self, config: ObjectConfig) -> None:
        super().__init__(config)
        if not 2 <= config.colors <= 15:
            raise ValueError(
                f"colors lies between 2 and 15, so that pairs make at most 120 classes, not {config.colors}"
            )
        self.color = Probe("color", Stage.INPUT, Location.NODE, Type.CATEGORICAL, classes=config.colors)

    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        batch, nodes, each = len(draw.sizes), int(draw.sizes.max()), COORDINATES + 2
        inside = np.arange(nodes) < draw.sizes[:, None]
        uniforms = generators.uniforms(draw.seed, draw.index, each * draw.sizes, each * nodes)
        uniforms = uniforms.reshape(batch, nodes, each)
        place = np.floor(uniforms[:, :, :COORDINATES] * (SIDE + 1))
        value = np.floor(uniforms[:, :, COORDINATES] * (VALUES + 1))
        color = np.floor(uniforms[:, :, COORDINATES + 1] * self.config.colors).astype(np.int8)
        return {"value": value, "location": place, "color": color * inside}, draw.sizes
