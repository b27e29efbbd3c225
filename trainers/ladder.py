"""Scores over sizes as points of curves: W&B draws lines over a logged metric. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainers.evaluation import Evaluation

AXIS = "ladder/n"
MEASURES = ("score", "exact")


def points(evaluation: Evaluation) -> list[dict[str, float]]:
    """Scores by size, smallest size first.

    Args:
        evaluation: of one task or of several.

    Returns:
        For each size `ladder/n`, `ladder/score/DISTRIBUTION` and `ladder/exact/DISTRIBUTION`, the latter where it is
        defined; with several tasks the task's name comes before the distribution's.
    """
    several = len({cell.task for cell in evaluation}) > 1
    found: dict[int, dict[str, float]] = {}
    for cell in sorted(evaluation, key=lambda cell: cell.size):
        where = f"{cell.task}/{cell.distribution}" if several else cell.distribution
        point = found.setdefault(cell.size, {AXIS: float(cell.size)})
        for measure in MEASURES:
            value = getattr(cell, measure)
            if value == value:
                point[curve(measure, where)] = value
    return list(found.values())


def curve(measure: str, where: str) -> str:
    """Name of the curve of a measure over the sizes of a distribution."""
    return f"ladder/{measure}/{where}"
