"""What a report tells, gathered from run folders: the state of each run, and scores by series, measure and size."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from trainers import compare, runs
from trainers.report import curves
from trainers.report.curves import Curve
from trainers.run_config import Config

FINISHED, UNFINISHED, DIVERGED, EMPTY = "finished", "unfinished", "diverged", "not started"
_MEASURES = {
    "score": ("score", False),
    "accuracy": ("accuracy", False),
    "wrong_per_graph": ("wrong bits a sample", True),
    "bits_per_graph": ("bits a sample", True),
    "relative_error": ("relative error", True),
    "rounds_right": ("right once rounded", False),
}
"""Label of a metric, and whether less of it is better."""


@dataclass(frozen=True)
class Run:
    """One run folder.

    Attributes:
        name: of the folder; with its parent's where two runs share a name.
        folder: the run folder.
        config: that it was made with.
        series: position of its series.
        status: `finished`, `unfinished`, `diverged` or `not started`.
        note: what there is to say about the status.
        step: optimiser steps done.
        summary: of `summary.json`; empty before the end.
        environment: of `environment.json`; empty where it is missing.
        curves: by the metric's name.
    """

    name: str
    folder: Path
    config: Config
    series: int
    status: str
    note: str
    step: int
    summary: Mapping[str, Any]
    environment: Mapping[str, Any]
    curves: Mapping[str, Curve]


class Measure(NamedTuple):
    """Something that is measured at every size: its key, what it is called, whether less is better."""

    key: str
    label: str
    less: bool


class Where(NamedTuple):
    """A task and a distribution of its inputs."""

    task: str
    distribution: str


class Model(NamedTuple):
    """A line of tables and figures: a series, or the control that was trained beside it (`steps` processor steps)."""

    series: int
    steps: int | None = None


@dataclass
class Scores:
    """All scores of all runs.

    Attributes:
        measures: in the order in which they are shown.
        wheres: tasks and distributions, in order of first appearance.
        models: the series, each with its control after it.
        values: a value a run (NaN where it has none) by measure, place, model and size.
    """

    measures: list[Measure] = field(default_factory=list)
    wheres: list[Where] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    values: dict[tuple[str, Where, Model], dict[int, list[float]]] = field(default_factory=dict)

    def sizes(self, measure: str, task: str | None = None) -> list[int]:
        """All sizes at which something was measured, on one task or on any."""
        places = [place for place in self.values if place[0] == measure and task in (None, place[1].task)]
        return sorted({size for place in places for size in self.values[place]})


@dataclass(frozen=True)
class Report:
    """What the page shows.

    Attributes:
        runs: in the order in which they were named.
        names: of the series: the processor, and what tells it from the others of that processor and task.
        labels: the same with the task, where it is not the same for all.
        papers: of the series' processors.
        scores: of all runs.
    """

    runs: list[Run]
    names: list[str]
    labels: list[str]
    papers: list[str]
    scores: Scores


def collect(folders: Sequence[Path]) -> Report:
    """Read run folders.

    Args:
        folders: of runs in any state.

    Returns:
        Everything but the pictures.

    Raises:
        UsageError: a run's config cannot be read.
    """
    series = compare.group(folders)
    position = {folder: index for index, one in enumerate(series) for folder in one.folders}
    named = Counter(folder.name for folder in folders)
    found = []
    for folder in folders:
        name = folder.name if named[folder.name] == 1 else f"{folder.resolve().parent.name}/{folder.name}"
        found.append(_run(folder, name, runs.load_config(folder), position[folder]))
    several = len({one.config.task_name for one in series}) > 1
    names = [one.label for one in series]
    labels = [f"{one.label} on {one.config.task_name}" if several else one.label for one in series]
    papers = [_paper(one.config.processor.name) for one in series]
    return Report(found, names, labels, papers, _scores(found, len(series)))


def mean(values: Sequence[float]) -> float | None:
    """The mean; None where a value is missing, for the mean of the others would hide a run that failed."""
    return statistics.fmean(values) if values and all(map(math.isfinite, values)) else None


def spread(values: Sequence[float]) -> float | None:
    """Standard deviation over seeds; None of a single value, or where a value is missing."""
    return compare.spread(values) if mean(values) is not None else None


def _run(folder: Path, name: str, config: Config, series: int) -> Run:
    """One run folder, in whatever state it is."""
    summary, environment = (_mapping(runs.read_json(folder / file)) for file in (runs.SUMMARY, runs.ENVIRONMENT))
    curve = curves.read(folder)
    logged = int(max((each.steps[-1] for each in curve.values()), default=0))
    done = summary.get("step")
    step = max(logged, done if isinstance(done, int) else 0)
    failure = _failure(folder)
    if failure is not None and failure.get("step", 0) >= summary.get("step", 0):
        status = DIVERGED
        note = f"{failure.get('term', 'a loss or gradient')} not finite at step {failure.get('step', '?')}"
        step = max(step, int(failure.get("step", 0)))
    elif summary.get("scores"):
        status, note = FINISHED, ""
        if any(row["score"] is None for row in summary["scores"]):
            note = "some scores are not finite"
    elif curve:
        status, note = UNFINISHED, f"step {step} of {config.trainer.max_steps}, running or interrupted"
    else:
        status, note = EMPTY, "nothing logged yet"
    return Run(name, folder, config, series, status, note, step, summary, environment, curve)


def _failure(folder: Path) -> Mapping[str, Any] | None:
    """What the newest dump of a loss or gradient that was not finite says."""
    dumps = sorted(folder.glob("nonfinite-step-*/report.json"))
    return _mapping(runs.read_json(dumps[-1])) if dumps else None


def _scores(found: Sequence[Run], series: int) -> Scores:
    """Scores of the finished runs and of their controls."""
    scores = Scores()
    controls: dict[int, int] = {}
    for run in found:
        control = _mapping(run.summary.get("control"))
        if control.get("scores"):
            controls[run.series] = control.get("steps", 0)
            _add(scores, Model(run.series, controls[run.series]), control["scores"])
        _add(scores, Model(run.series), run.summary.get("scores") or [])
    for index in range(series):
        scores.models.append(Model(index))
        if index in controls:
            scores.models.append(Model(index, controls[index]))
    keys = list(dict.fromkeys(key for key, *_ in scores.values))
    kept = [key for key in keys if key in ("score", "exact") or not _is_repetition(scores, key)]
    kept = [key for key in kept if any(math.isfinite(v) for v in _all(scores, key))]
    scores.measures = [_measure(key, kept) for key in sorted(kept, key=lambda key: (key != "score", key != "exact"))]
    return scores


def _add(scores: Scores, model: Model, rows: Sequence[Mapping[str, Any]]) -> None:
    """The scores of one run."""
    for row in rows:
        where = Where(row["task"], row["distribution"])
        if where not in scores.wheres:
            scores.wheres.append(where)
        measured = {"score": row["score"], "exact": row["exact"]}
        for probe, values in _mapping(row.get("probes")).items():
            measured |= {f"{name}/{probe}": value for name, value in values.items()}
        for key, value in measured.items():
            values = scores.values.setdefault((key, where, model), {}).setdefault(row["n"], [])
            values.append(math.nan if value is None else float(value))


def _all(scores: Scores, key: str) -> list[float]:
    return [v for (each, *_), sizes in scores.values.items() if each == key for vs in sizes.values() for v in vs]


def _is_repetition(scores: Scores, key: str) -> bool:
    """Whether a measure says what the score says already, as that of a single output does."""
    mine = {place[1:]: sizes for place, sizes in scores.values.items() if place[0] == key}
    return all(sizes == scores.values["score", *place] for place, sizes in mine.items())


def _measure(key: str, keys: Sequence[str]) -> Measure:
    """What a measure is called; the output's name is told where several have that measure."""
    if key == "exact":
        return Measure(key, "whole samples exact", False)
    name, _, probe = key.partition("/")
    label, less = _MEASURES.get(name, (name.replace("_", " "), False))
    several = sum(other.partition("/")[0] == name for other in keys) > 1
    return Measure(key, f"{label}: {probe}" if probe and several else label, less)


def _paper(processor: str) -> str:
    """The paper of a processor."""
    from trainers.config_groups import registry_name
    from zoo.registry import registry

    return registry.entry(registry_name("processor", processor)).paper or ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
