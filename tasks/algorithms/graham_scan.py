"""Convex hull by Graham's scan (1972) as in the CLRS benchmark (Veličković et al., ICML 2022)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.array_task import ArrayConfig
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.hull_task import IN_HULL, HullTask
from tasks.algorithms.plane import X, Y
from tasks.algorithms.trace import Trace, repeated
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]

_PHASES = 5
_SORTED, _POPPED, _PUSHED = range(2, _PHASES)
_MARKS = ("best", "last_stack", "i")
_BEST, _LAST, _I, _PHASE = range(4)


@dataclass(frozen=True)
class GrahamScanConfig(ArrayConfig):
    """Options of `graham_scan`."""


@register("graham_scan", config=GrahamScanConfig, **CLRS)
class GrahamScan(HullTask):
    """Graham's scan: which points are corners of the convex hull.

    Frame 1 has the lowest point, `best`, and frame 2 the angles at which the others are seen from it. Then come the
    points in the order of their angles, `i`. Those on the stack at which the way to i does not turn left are popped, a
    frame each (phase 3), and i is pushed (phase 4). `stack_prev` is the point below in the stack, `last_stack` its top.

        x           0   3    1    0       y 0 0 1 3
        frame 0: phase 0   best 0   in_hull_h 0 0 0 0   stack_prev 0 1 2 3   last_stack 0   i 0   atans 0
        frame 1: phase 1   best 0   in_hull_h 1 0 0 0   stack_prev 0 1 2 3   last_stack 0   i 0   atans 0
        frame 2: phase 2   best 0   in_hull_h 1 0 0 0   stack_prev 0 1 2 3   last_stack 0   i 0   atans 0 0 π/4 π/2
        frame 3: phase 4   best 0   in_hull_h 1 1 0 0   stack_prev 0 0 2 3   last_stack 1   i 1
        frame 4: phase 4   best 0   in_hull_h 1 1 1 0   stack_prev 0 0 1 3   last_stack 2   i 2
        frame 5: phase 3   best 0   in_hull_h 1 1 0 0   stack_prev 0 0 2 3   last_stack 1   i 3
        frame 6: phase 4   best 0   in_hull_h 1 1 0 1   stack_prev 0 0 2 1   last_stack 3   i 3   output in_hull 1 1 0 1

    Of points at the same angle the nearer comes first, `best` is never popped, and a point equal to the top of the
    stack is passed over without a frame; the benchmark's code has none of these rules, and never ends if, say, four
    points are all on one line.
    """

    def __init__(self, config: GrahamScanConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "graham_scan",
            X,
            Y,
            IN_HULL,
            Probe("atans", Stage.HINT, Location.NODE, Type.SCALAR),
            Probe("in_hull_h", Stage.HINT, Location.NODE, Type.MASK),
            Probe("stack_prev", Stage.HINT, Location.NODE, Type.POINTER),
            *(Probe(name, Stage.HINT, Location.NODE, Type.MASK_ONE) for name in _MARKS),
            Probe("phase", Stage.HINT, Location.GRAPH, Type.CATEGORICAL, classes=_PHASES),
        )

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        x, y = values["x"], values["y"]
        angles, order = _by_angle(x, y, sizes, self._lowest(values, sizes))
        lengths, _ = _scan(x, y, sizes, order, *_frames(0, *x.shape))  # a run that only counts
        marks, phase, in_hull, stack = _frames(int(lengths.max()), *x.shape)
        _, output = _scan(x, y, sizes, order, marks, phase, in_hull, stack)
        atans = repeated(angles, lengths)
        atans[:_SORTED] = 0
        hints = {"atans": atans, "in_hull_h": in_hull, "stack_prev": stack, "phase": phase}
        hints |= dict(zip(_MARKS, marks, strict=True))
        return Trace(lengths, hints, {"in_hull": output})


def _frames(frames: int, batch: int, nodes: int) -> tuple[Array, Array, Array, Array]:
    """Hints of that many frames: those of `_MARKS`, phase, in_hull_h and stack_prev."""
    return (
        np.zeros((len(_MARKS), frames, batch), np.int32),
        np.zeros((frames, batch), np.int8),
        np.zeros((frames, batch, nodes), np.bool_),
        np.zeros((frames, batch, nodes), np.int32),
    )


@kernel
def _turn(x, y, i, j, k):
    """Twice the area of a triangle of points of one sample: above 0 where the way from i over j to k turns left."""
    return (x[j] - x[i]) * (y[k] - y[i]) - (y[j] - y[i]) * (x[k] - x[i])


@kernel
def _by_angle(x, y, sizes, lowest):
    """Angles seen from the lowest point, float32 `[B, N]`, and the order of the points by them, the lowest first."""
    angles = np.zeros(x.shape, np.float32)
    order = np.zeros(x.shape, np.int64)
    angle = np.zeros(x.shape[1])
    distance = np.zeros(x.shape[1])
    for b in range(len(sizes)):
        px, py, best = x[b], y[b], lowest[b]
        order[b, 0] = best
        placed = 1
        for v in range(sizes[b]):
            if v == best:
                continue
            angle[v] = math.atan2(py[v] - py[best], px[v] - px[best])
            distance[v] = abs(py[v] - py[best]) + abs(px[v] - px[best])
            angles[b, v] = angle[v]
            slot = placed
            while slot > 1:
                u = order[b, slot - 1]
                # Angles are rounded, so equal ones need not be the same, nor different ones different.
                turn = _turn(px, py, best, u, v)
                first = turn > 0 if angle[u] == angle[v] else angle[u] < angle[v]
                if turn == 0:
                    first = distance[u] <= distance[v]
                if first:
                    break
                order[b, slot] = u
                slot -= 1
            order[b, slot] = v
            placed += 1
    return angles, order


@kernel
def _record(b, state, hull, below, lengths, marks, phase, in_hull, stack):
    """Write the next frame of sample b, if there is room."""
    t = lengths[b]
    lengths[b] += 1
    if t >= len(phase):
        return
    for m in range(len(marks)):
        marks[m, t, b] = state[m]
    phase[t, b] = state[_PHASE]
    for v in range(len(below)):
        in_hull[t, b, v] = hull[v]
        stack[t, b, v] = below[v]


@kernel
def _scan(x, y, sizes, order, marks, phase, in_hull, stack):
    """Frames `[B]` and output `[B, N]`; the hints are written to what `_frames` made, if that has frames."""
    lengths = np.zeros(len(sizes), np.int64)
    output = np.zeros(x.shape, np.bool_)
    state = np.empty(4, np.int64)
    for b in range(len(sizes)):
        px, py, hull, below = x[b], y[b], output[b], np.arange(sizes[b])
        state[:] = 0
        _record(b, state, hull, below, lengths, marks, phase, in_hull, stack)
        best = order[b, 0]
        hull[best] = True
        state[:] = best
        for kind in range(1, _SORTED + 1):
            state[_PHASE] = kind
            _record(b, state, hull, below, lengths, marks, phase, in_hull, stack)
        for place in range(1, sizes[b]):
            v, last = order[b, place], state[_LAST]
            if px[v] == px[last] and py[v] == py[last]:
                continue
            state[_I] = v
            state[_PHASE] = _POPPED
            while last != best and _turn(px, py, below[last], last, v) <= 0:
                state[_LAST] = below[last]
                below[last] = last
                hull[last] = False
                last = state[_LAST]
                _record(b, state, hull, below, lengths, marks, phase, in_hull, stack)
            hull[v] = True
            below[v] = last
            state[_LAST] = v
            state[_PHASE] = _PUSHED
            _record(b, state, hull, below, lengths, marks, phase, in_hull, stack)
    return lengths, output
