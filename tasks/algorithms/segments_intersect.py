"""Intersection of two line segments as in the CLRS benchmark (Veličković et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.array_task import ArrayConfig, ArrayTask
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.plane import X, Y, check_plane
from tasks.algorithms.trace import Trace
from tasks.inputs import Inputs
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

_ENDS = 4
_LATTICE = 5  # points a side
_LATTICE_KIND = 1
# What the frames after the first look at: end k from segment i-j.
_I, _J, _K = np.array([[2, 2, 0, 0], [3, 3, 1, 1], [0, 1, 2, 3]], np.int32)


@dataclass(frozen=True)
class SegmentsIntersectConfig(ArrayConfig):
    """Options of `segments_intersect`."""


@register("segments_intersect", config=SegmentsIntersectConfig, **CLRS)
class SegmentsIntersect(ArrayTask):
    """Segment intersection: whether the segments from point 0 to 1 and from point 2 to 3 have a point in common.

    A sample has these four points whatever size is asked for. Each frame but the first looks at one end, `k`, from the
    other segment, `i`-`j`: `dir` is above 0 if k is to the right of the line through it, below 0 if to the left, and 0
    if on it; `on_seg` says whether k is in the segment's bounding box.

        x 0 2 0 2       y 0 2 2 0
        frame 0: i 0   j 0   k 0   dir 0 0  0 0   on_seg 0 0 0 0
        frame 1: i 2   j 3   k 0   dir 4 0  0 0   on_seg 1 0 0 0
        frame 2: i 2   j 3   k 1   dir 4 -4 0 0   on_seg 1 1 0 0
        frame 3: i 0   j 1   k 2   dir 4 -4 -4 0  on_seg 1 1 1 0
        frame 4: i 0   j 1   k 3   dir 4 -4 -4 4  on_seg 1 1 1 1   output intersect 1

    Segments that only touch, or overlap on one line, do intersect, and a segment may be a single point. There is no
    tolerance for rounding: ends meant to touch should have coordinates of few bits. Sampled ends are uniform over the
    unit square, and cross with probability one half (`uniform`), or uniform over a lattice of 5 x 5 points, where many
    of them touch (`lattice`).
    """

    min_size = _ENDS
    distributions = ("uniform", "lattice")

    def __init__(self, config: SegmentsIntersectConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "segments_intersect",
            X,
            Y,
            Probe("intersect", Stage.OUTPUT, Location.GRAPH, Type.MASK),
            *(Probe(name, Stage.HINT, Location.NODE, Type.MASK_ONE) for name in ("i", "j", "k")),
            Probe("dir", Stage.HINT, Location.NODE, Type.SCALAR),
            Probe("on_seg", Stage.HINT, Location.NODE, Type.MASK),
        )

    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        sizes = np.full_like(draw.sizes, _ENDS)
        x, y = generators.segment_pairs(draw.seed, draw.index)
        lattice = draw.kinds == _LATTICE_KIND
        if lattice.any():
            for axis, purpose in ((x, generators.QUERY), (y, generators.MEMBER)):
                uniform = generators.keys(draw.seed, draw.index[lattice], sizes[lattice], _ENDS, purpose)
                # A key rounded up to 1 would be a point past the lattice.
                axis[lattice] = np.minimum(np.floor(uniform * _LATTICE), _LATTICE - 1) / (_LATTICE - 1)
        return {"x": x, "y": y}, sizes

    def _check(self, given: Inputs, values: Mapping[str, Array], sizes: Array) -> None:
        if (sizes != _ENDS).any():
            raise given.fail("x", f"the {_ENDS} ends of two segments in every sample", f"{sizes.max()} points in one")
        check_plane(given, values)

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        xi, xj, xk = (np.take(values["x"], nodes, axis=1) for nodes in (_I, _J, _K))
        yi, yj, yk = (np.take(values["y"], nodes, axis=1) for nodes in (_I, _J, _K))
        turn = (xk - xi) * (yj - yi) - (xj - xi) * (yk - yi)
        inside = (np.minimum(xi, xj) <= xk) & (xk <= np.maximum(xi, xj))
        inside &= (np.minimum(yi, yj) <= yk) & (yk <= np.maximum(yi, yj))
        # Both ends of each segment are strictly on different sides of the other, or an end is on the other segment.
        side = np.sign(turn)
        apart = (side[:, 0::2] * side[:, 1::2] < 0).all(1)
        intersect = apart | ((turn == 0) & inside).any(1)

        frames = _ENDS + 1
        seen = np.arange(frames)[:, None] > _K  # [frames, 4]: which ends a frame has looked at
        marks = {name: np.zeros((frames, len(sizes)), np.int32) for name in ("i", "j", "k")}
        for name, nodes in zip(marks, (_I, _J, _K), strict=True):
            marks[name][1:] = nodes[:, None]
        direction = np.where(seen[:, None], turn.astype(np.float32), np.float32(0))
        hints = marks | {"dir": direction, "on_seg": seen[:, None] & inside}
        return Trace(np.full(len(sizes), frames), hints, {"intersect": intersect})
