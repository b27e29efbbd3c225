"""Convex hulls: what the two algorithms share, points in the plane and which of them are corners of their hull."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.array_task import ArrayTask
from tasks.algorithms.plane import check_plane
from tasks.inputs import Inputs
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

IN_HULL = Probe("in_hull", Stage.OUTPUT, Location.NODE, Type.MASK)

_RADIUS = 2.0
_LATTICE = 9  # points a side
_LATTICE_KIND = 1


class HullTask(ArrayTask):
    """Which points are corners of the convex hull of all of them.

    A corner is a point that is not between two others, and of several equal points the first. Points in general
    position (no three on a line) give the benchmark's trace. Others give a true hull, where the benchmark's own code
    may keep points that are between two corners, miss corners or never end. There is no tolerance for rounding: points
    meant to be collinear should have coordinates of few bits.

    Sampled points are uniform over a disk of radius 2 (`disk`), or over a lattice of 9 x 9 points in the square around
    it, with many equal and collinear ones (`lattice`).
    """

    distributions = ("disk", "lattice")
    aliases: ClassVar[Mapping[str, str]] = {"ibarz2022": "disk"}

    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        nodes = int(draw.sizes.max())
        x, y = generators.disk_points(draw.seed, draw.index, draw.sizes, nodes, _RADIUS)
        lattice = draw.kinds == _LATTICE_KIND
        if lattice.any():
            step = 2 * _RADIUS / (_LATTICE - 1)
            inside = np.arange(nodes) < draw.sizes[lattice, None]
            for axis, purpose in ((x, generators.QUERY), (y, generators.MEMBER)):
                uniform = generators.keys(draw.seed, draw.index[lattice], draw.sizes[lattice], nodes, purpose)
                # A key rounded up to 1 would be a point past the lattice.
                place = np.minimum(np.floor(uniform * _LATTICE), _LATTICE - 1)
                axis[lattice] = np.where(inside, place * step - _RADIUS, 0.0)
        return {"x": x, "y": y}, draw.sizes

    def _check(self, given: Inputs, values: Mapping[str, Array], sizes: Array) -> None:
        check_plane(given, values)

    def _lowest(self, values: Mapping[str, Array], sizes: Array) -> Array:
        """The lowest point of each sample, of several the leftmost, of several the first; int64 `[batch]`."""
        inside = np.arange(sizes.max()) < sizes[:, None]
        heights = np.where(inside, values["y"], np.inf)
        low = heights == heights.min(1, keepdims=True)
        lowest: Array = np.where(low, values["x"], np.inf).argmin(1)
        return lowest
