"""Points and segments, as the CLRS benchmark's package draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

Array = NDArray[Any]
Inputs = dict[str, Any]

# From each end of one segment over the other, and the same for the other: first, second and third points.
_PATHS = np.array([[0, 1, 0, 0], [2, 2, 1, 1], [3, 3, 2, 3]])
_RADIUS = 2.0
_COLLINEAR = 1e-12  # twice the area of a triangle below which its corners count as collinear


def two_segments(random: RandomState, size: int) -> Inputs:
    """Ends of two segments in the unit square, drawn again until they cross or not as a coin says.

    There are four ends whatever `size`.
    """
    wanted = random.binomial(1, 0.5) == 1
    while True:
        x = random.uniform(low=0.0, high=1.0, size=(4,))
        y = random.uniform(low=0.0, high=1.0, size=(4,))
        if _cross(x, y) == wanted:
            return {"x": x, "y": y}


def disk_points(random: RandomState, size: int) -> Inputs:
    """Points uniform over a disk, all drawn again while three of them are collinear."""
    while True:
        angle = random.uniform(low=0.0, high=2.0 * np.pi, size=(size,))
        distance = _RADIUS * np.sqrt(random.uniform(low=0.0, high=1.0, size=(size,)))
        x, y = distance * np.cos(angle), distance * np.sin(angle)
        if not _any_collinear(x, y):
            return {"x": x, "y": y}


def _cross(x: Array, y: Array) -> bool:
    """Whether the segments 0-1 and 2-3 cross, the ends of each on different sides of the other."""
    i, j, k = _PATHS
    left = (y[k] - y[i]) * (x[j] - x[i]) > (y[j] - y[i]) * (x[k] - x[i])
    return bool(left[0] != left[1] and left[2] != left[3])


def _any_collinear(x: Array, y: Array) -> bool:
    """Whether any three points are collinear, up to `_COLLINEAR`."""
    for i in range(len(x) - 2):
        dx, dy = x[i + 1 :] - x[i], y[i + 1 :] - y[i]
        areas = np.abs(dx[:, None] * dy - dy[:, None] * dx)
        np.fill_diagonal(areas, np.inf)
        if areas.min() < _COLLINEAR:
            return True
    return False


SAMPLERS = {
    "graham_scan": disk_points,
    "jarvis_march": disk_points,
    "segments_intersect": two_segments,
}
