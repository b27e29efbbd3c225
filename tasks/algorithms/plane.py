"""Points in the plane: the inputs of the geometric tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.inputs import Inputs
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]

X = Probe("x", Stage.INPUT, Location.NODE, Type.SCALAR)
Y = Probe("y", Stage.INPUT, Location.NODE, Type.SCALAR)

_LARGEST = 1e18  # so that products of differences are float32 numbers


def check_plane(given: Inputs, values: Mapping[str, Array]) -> None:
    """Refuse coordinates with which the algorithms would overflow."""
    for probe in (X, Y):
        largest = np.abs(values[probe.name]).max()
        if largest > _LARGEST:
            raise given.fail(probe.name, f"coordinates of at most {_LARGEST:g} in size", f"one of {largest:g}")
