"""What several seeds come to: a mean with its spread, as text and as a line of a figure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from trainers.figures import Line

Record = Mapping[str, Any]
"""What `trainers.gap.study.measure` writes."""


def spread(numbers: Sequence[float]) -> float:
    """The standard deviation; 0 of one number."""
    return statistics.stdev(numbers) if len(numbers) > 1 else 0.0


def told(numbers: Sequence[float], digits: int = 3) -> str:
    """`0.987 ± 0.004`, without the deviation where there is one number; empty where there is none, or it is NaN."""
    if not numbers or any(number != number for number in numbers):
        return ""
    mean = f"{statistics.fmean(numbers):.{digits}f}"
    return f"{mean} ± {spread(numbers):.{digits}f}" if len(numbers) > 1 else mean


def line(label: str, at: Mapping[int, Sequence[float]], colour: int) -> Line | None:
    """The means over seeds at each size, with a band; None where there is nothing but NaN.

    Args:
        label: in the legend.
        at: the seeds' numbers by size; sizes with NaN among them are left out.
        colour: see `trainers.figures.Line`.
    """
    whole = {size: each for size, each in at.items() if each and all(value == value for value in each)}
    if not whole:
        return None
    means = [statistics.fmean(each) for each in whole.values()]
    return Line(label, list(whole), means, [spread(each) for each in whole.values()], colour)
