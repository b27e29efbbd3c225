"""What the ledger's entries amount to: each measure over its seeds, and whether a row passes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainers.baselines import ALL, HIGHER, Baseline, FirstBelow, Measure, ScoreOf
from trainers.ledger import FINISHED, STARTED, Entry

PASSED, MISSED, INCOMPLETE, UNMEASURED = "passed", "missed", "incomplete", "not measured"


@dataclass(frozen=True)
class Figure:
    """A measure over the seeds that have been measured.

    Attributes:
        measure: which.
        seeds: value of each measured seed, NaN for a diverged one; empty for a difference and a ratio.
        value: mean over seeds, for a difference or a ratio that of its parts' means or medians; NaN if there is none.
        median: median over seeds; NaN for a difference and a ratio.
        spread: sample standard deviation over seeds, NaN with fewer than two or with one that is infinite; for a
            difference the larger one of its parts.
        judged: the number that the requirement is about; NaN where it needs several.
        holds: whether the requirement holds; None without one, or before all seeds are measured.
        reached: seeds that meet the bound by themselves.
    """

    measure: Measure
    seeds: Mapping[int, float]
    value: float
    median: float
    spread: float
    judged: float
    holds: bool | None
    reached: int


@dataclass(frozen=True)
class Verdict:
    """A row as the ledger has it.

    Attributes:
        baseline: the row.
        figures: its measures.
        state: `passed`, `missed`, `incomplete` or `not measured`.
        missing: arms and seeds that have not come to an end.
        started: how many of these were begun.
    """

    baseline: Baseline
    figures: tuple[Figure, ...]
    state: str
    missing: tuple[tuple[str, int], ...]
    started: int


def judge(baseline: Baseline, entries: Mapping[tuple[str, int], Entry]) -> Verdict:
    """Judge a row by the entries that count (see `trainers.ledger.current`)."""
    wanted = [(arm, seed) for arm in baseline.arms for seed in range(baseline.seeds)]
    missing = tuple(key for key in wanted if key not in entries or not entries[key].over)
    figures: dict[str, Figure] = {}
    for measure in sorted(baseline.measures, key=lambda each: bool(each.pair)):
        if measure.pair:
            figures[measure.name] = _of_two(measure, *(figures[name] for name in measure.pair), seeds=baseline.seeds)
        else:
            arm = measure.arm or baseline.main
            found = {seed: entries[arm, seed] for seed in range(baseline.seeds) if (arm, seed) in entries}
            values = {seed: value_of(measure, entry) for seed, entry in found.items() if entry.over}
            seeds = {seed: value for seed, value in values.items() if value is not None}
            figures[measure.name] = _over_seeds(measure, seeds, complete=len(seeds) == baseline.seeds)
    state = _state(figures.values(), missing, wanted)
    ordered = tuple(figures[measure.name] for measure in baseline.measures)
    started = sum(key in entries and entries[key].state == STARTED for key in missing)
    return Verdict(baseline, ordered, state, missing, started)


def value_of(measure: Measure, entry: Entry) -> float | None:
    """A measure's value of one seed; NaN for a diverged one, None where its entry was written without it."""
    if entry.state != FINISHED:
        return math.nan
    if measure.score is not None:
        variant = measure.score.variant
        scores = entry.values["scores"] if variant is None else entry.values.get("variants", {}).get(variant, ())
        return score_of(measure.score, scores)
    assert measure.first is not None
    return _first(measure.first, entry.values["validation"])


def score_of(what: ScoreOf, scores: Sequence[Mapping[str, Any]]) -> float | None:
    """A value of the final scores, a mean where it is of several sizes or distributions; None where they lack it."""
    found: dict[int, list[float | None]] = {}
    for cell in scores:
        if what.distribution in (None, ALL, cell["distribution"]):
            found.setdefault(cell["n"], []).append(in_cell(cell, what.metric, what.probe))
    wanted: list[float | None] = []
    for size in what.sizes if what.size is None else (what.size,):
        cells = found.get(size, [None])
        wanted += cells if what.distribution == ALL else cells[:1]
    values = [value for value in wanted if value is not None]
    return statistics.fmean(values) if len(values) == len(wanted) else None


def in_cell(cell: Mapping[str, Any], metric: str, probe: str | None) -> float | None:
    """A metric of a recorded cell, or of one of its probes; None where it has none."""
    if metric == "error" and probe is None:
        return 1.0 - float(cell["exact"])
    values = cell if probe is None else cell["probes"].get(probe, {})
    value = values.get(metric)
    return None if value is None else float(value)


def _first(what: FirstBelow, curve: Mapping[str, Sequence[float | int | None]]) -> float | None:
    """Samples at the first validation below the threshold, None where the metric was not logged."""
    if what.metric not in curve:
        return None
    for samples, value in zip(curve["samples"], curve[what.metric], strict=True):
        if value is not None and value < what.below:
            return float(samples or 0)
    return math.inf


def _over_seeds(measure: Measure, seeds: Mapping[int, float], *, complete: bool) -> Figure:
    """A measure with one value a seed."""
    values = list(seeds.values())
    finite = all(math.isfinite(value) for value in values)
    mean = statistics.fmean(values) if values else math.nan
    median = _median(values)
    spread = statistics.stdev(values) if finite and len(values) > 1 else math.nan
    judged, holds, reached = math.nan, None, 0
    if measure.require is not None:
        require = measure.require
        reached = sum(require.holds(value) for value in values)
        sound = [value for value in values if not math.isnan(value)]
        best, worst = (max, min) if require.kind in HIGHER else (min, max)
        if require.needed is not None:
            judged, holds = math.nan, reached >= require.needed
        elif require.of == "best":
            judged = best(sound) if sound else math.nan
        elif require.of == "every":
            judged = worst(values) if values and len(sound) == len(values) else math.nan
        else:
            judged = {"mean": mean, "median": median}[require.of]
        holds = require.holds(judged) if require.needed is None else holds
        holds = holds if complete else None
    return Figure(measure, seeds, mean, median, spread, judged, holds, reached)


def _of_two(measure: Measure, first: Figure, second: Figure, *, seeds: int) -> Figure:
    """The difference or the ratio of two figures; what is never reached, infinite, is later than what is."""
    one, other = ((figure.value, figure.median)[measure.by == "median"] for figure in (first, second))
    spread = math.nan
    if measure.difference:
        value, spreads = one - other, (first.spread, second.spread)
        spread = math.nan if any(map(math.isnan, spreads)) else max(spreads)
    elif other == 0:
        value = math.inf if one > 0 else math.nan
    else:
        value = one / other
    holds = None
    if measure.require is not None and len(first.seeds) == len(second.seeds) == seeds:
        holds = measure.require.holds(value, spread=spread)
    return Figure(measure, {}, value, math.nan, spread, value, holds, 0)


def _median(values: Sequence[float]) -> float:
    """The median; NaN if any value is."""
    return statistics.median(values) if values and not any(map(math.isnan, values)) else math.nan


def _state(figures: Any, missing: Sequence[Any], wanted: Sequence[Any]) -> str:
    """The row's state: it passes where every requirement holds, and is missed as soon as one does not."""
    held = [figure.holds for figure in figures if figure.measure.require is not None]
    if len(missing) == len(wanted):
        return UNMEASURED
    if False in held:
        return MISSED
    return INCOMPLETE if missing or None in held else PASSED
