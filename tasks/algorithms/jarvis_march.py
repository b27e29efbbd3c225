"""Convex hull by Jarvis's march (1973) as in the CLRS benchmark (Veličković et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.array_task import OrderedConfig
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.hull_task import IN_HULL, HullTask
from tasks.algorithms.plane import X, Y
from tasks.algorithms.trace import Trace, repeated
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]

_MARKS = ("best", "last_point", "endpoint", "i")
_BEST, _LAST, _ENDPOINT, _I = range(4)


@dataclass(frozen=True)
class JarvisMarchConfig(OrderedConfig):
    """Options of `jarvis_march`."""


@register("jarvis_march", config=JarvisMarchConfig, **CLRS)
class JarvisMarch(HullTask):
    """Jarvis's march: which points are corners of the convex hull.

    The march goes from corner to corner, beginning at the lowest point, `best` (frame 1). To find the corner after
    `last_point` it looks at every point `i`: if i is to the right of the way to `endpoint`, the one found so far, it
    is the new endpoint. The endpoint that a round ends with is marked in `in_hull_h`, and the next round starts from
    there; the march is over when it is marked already. With three points:

        x 0 1 0   y 0 0 1
        frame  0    : phase 0   in_hull_h 0 0 0   best 0   last_point 0   endpoint 0       i 0
        frame  1    : phase 1   in_hull_h 1 0 0   best 0   last_point 0   endpoint 0       i 0
        frames 2-4  : phase 1   in_hull_h 1 0 0   best 0   last_point 0   endpoint 0 1 1   i 0 1 2
        frame  5    : phase 1   in_hull_h 1 1 0   best 0   last_point 1   endpoint 0       i 0
        frames 6-8  : phase 1   in_hull_h 1 1 0   best 0   last_point 1   endpoint 0 0 2   i 0 1 2
        frame  9    : phase 1   in_hull_h 1 1 1   best 0   last_point 2   endpoint 0       i 0
        frames 10-12: phase 1   in_hull_h 1 1 1   best 0   last_point 2   endpoint 0 0 0   i 0 1 2

    Of points in the same direction the farthest is the next corner; in the benchmark's code it is the last one looked
    at, so that the march can turn back on a line of points and end too early.
    """

    ordered = True

    def __init__(self, config: JarvisMarchConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "jarvis_march",
            X,
            Y,
            IN_HULL,
            Probe("in_hull_h", Stage.HINT, Location.NODE, Type.MASK),
            *(Probe(name, Stage.HINT, Location.NODE, Type.MASK_ONE) for name in _MARKS),
            Probe("phase", Stage.HINT, Location.GRAPH, Type.CATEGORICAL, classes=2),
        )

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        x, y, lowest = values["x"], values["y"], self._lowest(values, sizes)
        # A run that only counts.
        lengths, _ = _march(x, y, sizes, lowest, *_frames(0, *x.shape))
        marks, in_hull = _frames(int(lengths.max()), *x.shape)
        _, output = _march(x, y, sizes, lowest, marks, in_hull)
        phase = repeated(np.ones(len(sizes), np.int8), lengths)
        phase[0] = 0
        hints = {"in_hull_h": in_hull, "phase": phase} | dict(zip(_MARKS, marks, strict=True))
        return Trace(lengths, hints, {"in_hull": output})


def _frames(frames: int, batch: int, nodes: int) -> tuple[Array, Array]:
    """Hints of that many frames: those of `_MARKS`, and in_hull_h."""
    return np.zeros((len(_MARKS), frames, batch), np.int32), np.zeros((frames, batch, nodes), np.bool_)


@kernel
def _better(x, y, i, j, k):
    """Whether k is to the right of the way from i to j, or behind j on it."""
    turn = (x[j] - x[i]) * (y[k] - y[i]) - (y[j] - y[i]) * (x[k] - x[i])
    return turn < 0 or (turn == 0 and abs(x[k] - x[i]) + abs(y[k] - y[i]) > abs(x[j] - x[i]) + abs(y[j] - y[i]))


@kernel
def _record(b, marked, hull, lengths, marks, in_hull):
    """Write the next frame of sample b, if there is room."""
    t = lengths[b]
    lengths[b] += 1
    if t >= len(in_hull):
        return
    for m in range(len(marked)):
        marks[m, t, b] = marked[m]
    for v in range(len(hull)):
        in_hull[t, b, v] = hull[v]


@kernel
def _march(x, y, sizes, lowest, marks, in_hull):
    """Frames `[B]` and output `[B, N]`; the hints are written to what `_frames` made, if that has frames."""
    lengths = np.ones(len(sizes), np.int64)  # frame 0 is all zeros
    output = np.zeros(x.shape, np.bool_)
    marked = np.zeros(4, np.int64)
    for b in range(len(sizes)):
        px, py = x[b], y[b]
        hull = output[b]
        marked[_BEST] = marked[_LAST] = lowest[b]
        found = False
        while not found:
            last = marked[_LAST]
            hull[last] = True
            marked[_ENDPOINT] = marked[_I] = 0
            _record(b, marked, hull, lengths, marks, in_hull)
            for i in range(sizes[b]):
                if marked[_ENDPOINT] == last or _better(px, py, last, marked[_ENDPOINT], i):
                    marked[_ENDPOINT] = i
                marked[_I] = i
                _record(b, marked, hull, lengths, marks, in_hull)
            end = marked[_ENDPOINT]
            # All points may be equal, and then no other is a corner.
            found = hull[end] or (px[end] == px[last] and py[end] == py[last])
            marked[_LAST] = end
    return lengths, output
