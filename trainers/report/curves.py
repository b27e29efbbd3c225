"""Training curves from `metrics.jsonl`: read with what is broken left out, and thinned to what a page can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainers import runs
from trainers.runs import is_number

MAIN = ("train/loss", "val/score", "train/grad_norm", "train/samples_per_second")
"""Metrics that come first in the choice."""
_LEFT_OUT = ("ood/",)  # scores of the size ladder are a figure of their own
_MOST_METRICS = 30
_POINTS = 100_000  # of all curves together: about a megabyte of JSON
_MOST_POINTS, _FEWEST_POINTS = 500, 40  # of one curve


@dataclass
class Curve:
    """One metric of one run.

    Attributes:
        steps: optimiser steps, ascending.
        seconds: training time at each; NaN where the run recorded no times.
        values: NaN where the metric was not finite.
    """

    steps: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


def read(folder: Path) -> dict[str, Curve]:
    """The curves of a run; empty where it logged nothing."""
    curves: dict[str, Curve] = {}
    before, seconds = 0.0, 0.0
    for row in runs.metrics(folder):
        step = float(row["step"])
        # `train/step_ms` is the mean since the values before were read, so that the sum is the time that went by.
        milliseconds = row.get("train/step_ms", math.nan)
        seconds += (step - before) * milliseconds / 1000 if is_number(milliseconds) else math.nan
        before = step
        for name, value in row.items():
            if name == "step" or name.startswith(_LEFT_OUT) or not (value is None or is_number(value)):
                continue
            curve = curves.setdefault(name, Curve())
            curve.steps.append(step)
            curve.seconds.append(seconds)
            curve.values.append(math.nan if value is None else float(value))
    return curves


def choose(curves: Sequence[Mapping[str, Curve]]) -> list[str]:
    """Names of the metrics to show: the main ones first, then the others by name, as many as fit."""
    names = {name for each in curves for name in each}
    rest = sorted(names.difference(MAIN), key=lambda name: (name.count("/"), name))
    return [*(name for name in MAIN if name in names), *rest][:_MOST_METRICS]


def points(curves: int) -> int:
    """How many points each of so many curves may have."""
    return max(_FEWEST_POINTS, min(_MOST_POINTS, _POINTS // max(curves, 1)))


def thin(curve: Curve, most: int) -> Curve:
    """Means over equal stretches of a curve that is longer than `most`; the last point stays itself.

    A stretch with a value that is not finite has none either, so that divergence stays in sight.
    """
    count = len(curve.steps)
    if count <= most:
        return curve
    bounds = [round(index * (count - 1) / (most - 1)) for index in range(most)]
    thinned = Curve()
    for low, high in zip(bounds, [*bounds[1:], count], strict=True):
        size = high - low
        thinned.steps.append(sum(curve.steps[low:high]) / size)
        thinned.seconds.append(sum(curve.seconds[low:high]) / size)
        thinned.values.append(sum(curve.values[low:high]) / size)
    return thinned


def plain(curves: Mapping[str, Curve], names: Sequence[str], most: int) -> dict[str, Any]:
    """Curves as the page's scripts read them: metrics logged at the same steps share one axis."""
    axes: list[dict[str, Any]] = []
    found: dict[tuple[float, ...], int] = {}
    shown: dict[str, Any] = {}
    for name in names:
        if name not in curves:
            continue
        curve = thin(curves[name], most)
        key = tuple(curve.steps)
        if key not in found:
            found[key] = len(axes)
            timed = all(math.isfinite(each) for each in curve.seconds)
            seconds = [rounded(each) for each in curve.seconds] if timed else None
            axes.append({"step": [rounded(each, 7) for each in curve.steps], "seconds": seconds})
        shown[name] = {"axis": found[key], "y": [rounded(value) for value in curve.values]}
    return {"axes": axes, "metrics": shown}


def rounded(value: float | None, digits: int = 5) -> float | int | None:
    """A number short enough to embed; None where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() else short
