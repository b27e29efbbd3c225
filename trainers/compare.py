"""Several runs side by side: score against size, a line a processor, with mean and spread over seeds."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainers import runs
from trainers.display import Row, score_table
from trainers.figures import Line, Panel, size_figure
from trainers.run_config import Config
from trainers.usage import UsageError

_MOST_KEYS = 2  # differing settings that a label tells


@dataclass
class Series:
    """Runs that differ in nothing but their seed.

    Attributes:
        label: the processor's name, and what tells it from the other series of that processor.
        config: of the first run.
        folders: one a run.
        scores: for each (task, distribution) and size, a value a run.
        exact: share of whole graphs exact, likewise.
    """

    label: str
    config: Config
    folders: list[Path] = field(default_factory=list)
    scores: dict[tuple[str, str], dict[int, list[float]]] = field(default_factory=lambda: defaultdict(dict))
    exact: dict[tuple[str, str], dict[int, list[float]]] = field(default_factory=lambda: defaultdict(dict))


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side.

    Attributes:
        series: what was compared, a series for runs that differ in nothing but their seed.
        skipped: a line about every run that was left out.
        table: mean ± spread, for a console or a notebook.
        figure: score against size, a PNG.
        columns: names of the columns of `rows`.
        rows: plain values, one row a series, task, distribution and size.
    """

    series: Sequence[Series]
    skipped: Sequence[str]
    table: Any
    figure: Path
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def compare_runs(
    names: Sequence[str | Path], *, runs_dir: str | Path = "runs", output: str | Path | None = None
) -> Comparison:
    """One table and one figure of several runs.

    Args:
        names: folders, names under `runs_dir`, `latest`, or folders of multiruns, which stand for their members.
        runs_dir: folder that holds the runs.
        output: folder for `compare.png` and `compare.json`; by default that of the only multirun, else
            `runs_dir/compare`.

    Returns:
        The comparison.

    Raises:
        UsageError: there is no such run, or none has scores.
    """
    folders = runs.members([str(name) for name in names], runs_dir)
    if output is not None:
        place = Path(output)
    elif len(names) == 1 and len(folders) > 1:
        place = folders[0].parent
    else:
        place = Path(runs_dir) / "compare"
    return write(folders, place)


def write(folders: Sequence[Path], place: Path) -> Comparison:
    """Compare runs, figure and rows as files in a folder.

    Args:
        folders: of runs.
        place: for `compare.png` and `compare.json`.

    Returns:
        The comparison.

    Raises:
        UsageError: none of the runs has scores.
    """
    series, skipped = gather(folders)
    columns, rows = columns_and_rows(series)
    drawn = figure(series, place / "compare.png")
    runs.write_json(place / "compare.json", [dict(zip(columns, row, strict=True)) for row in rows])
    return Comparison(series, skipped, table(series), drawn, columns, rows)


def gather(folders: Sequence[Path]) -> tuple[list[Series], list[str]]:
    """Group finished runs by what they have in common.

    Args:
        folders: of runs.

    Returns:
        The series in order of first appearance, and a line about every run that has no scores yet.

    Raises:
        UsageError: none of the runs has scores.
    """
    scored = [folder for folder in folders if scores(folder)]
    skipped = [
        f"{folder} has no scores yet and is left out: zoo train resume={folder}"
        for folder in folders
        if folder not in scored
    ]
    if not scored:
        remedy = "train first, or resume: zoo train resume=RUN"
        raise UsageError(f"no scores in {', '.join(map(str, folders)) or 'these runs'}", remedy)
    return group(scored), skipped


def group(folders: Sequence[Path]) -> list[Series]:
    """Put runs together that differ in nothing but their seed, in order of first appearance; scores where there are."""
    series: dict[str, Series] = {}
    for folder in folders:
        config = runs.load_config(folder)
        one = series.setdefault(runs.config_hash(config), Series(config.processor_name, config))
        one.folders.append(folder)
        for row in scores(folder):
            cell = (row["task"], row["distribution"])
            for target, value in ((one.scores, row["score"]), (one.exact, row["exact"])):
                target[cell].setdefault(row["n"], []).append(math.nan if value is None else value)
    _label(list(series.values()))
    return list(series.values())


def scores(folder: Path) -> list[dict[str, Any]]:
    """The scores in a run's summary; none before the run has finished."""
    summary = runs.read_json(folder / runs.SUMMARY)
    return (summary.get("scores") or []) if isinstance(summary, dict) else []


def table(series: Sequence[Series]) -> Any:
    """The table for a terminal: mean ± spread for each series, task and distribution."""
    cells = _cells(series)
    several = len({task for task, _ in cells}) > 1
    rows = []
    for one in series:
        for task, distribution in cells:
            for measure, values in (("score", one.scores), ("exact", one.exact)):
                sizes = values.get((task, distribution), {})
                texts = {size: text for size, each in sizes.items() if (text := _mean_and_spread(each))}
                if texts:
                    seeds = f" ({len(one.folders)} seeds)" if len(one.folders) > 1 else ""
                    where = f"{task} {distribution}" if several else distribution
                    rows.append(Row(one.label + seeds, where, measure, texts))
    return score_table(
        "score by size, and share of whole samples exact: mean ± standard deviation over seeds", rows, first="processor"
    )


def columns_and_rows(series: Sequence[Series]) -> tuple[list[str], list[list[Any]]]:
    """The same as plain rows, one a (series, task, distribution, size), for W&B and JSON."""
    columns = ["processor", "task", "distribution", "n", "seeds", "score", "score spread", "exact", "exact spread"]
    rows: list[list[Any]] = []
    for one in series:
        for (task, distribution), sizes in one.scores.items():
            for size, values in sorted(sizes.items()):
                exact = one.exact[task, distribution].get(size, [])
                numbers = [statistics.fmean(values), spread(values), _mean(exact), spread(exact)]
                rows.append([one.label, task, distribution, size, len(values), *numbers])
    return columns, rows


def figure(series: Sequence[Series], path: Path) -> Path:
    """Score against size, a panel for each task and distribution, a line a series with a band over seeds."""
    cells = _cells(series)
    several = len({task for task, _ in cells}) > 1
    labels = list(dict.fromkeys(one.label for one in series))
    panels = []
    for task, distribution in cells:
        lines = []
        for one in series:
            sizes = one.scores.get((task, distribution), {})
            if sizes:
                order = sorted(sizes)
                means = [statistics.fmean(sizes[size]) for size in order]
                bands = [spread(sizes[size]) or 0.0 for size in order]
                seeds = f" ({len(one.folders)} seeds)" if len(one.folders) > 1 else ""
                lines.append(Line(one.label + seeds, order, means, bands, colour=labels.index(one.label)))
        bounded = all(0 <= value <= 1 for line in lines for value in line.values)
        panels.append(Panel(f"{task}, {distribution}" if several else distribution, "score", lines, share=bounded))
    trained = {max(one.config.trainer.sizes) for one in series}
    title = "score against size" if several else f"{cells[0][0]}: score against size"
    spreads = any(len(one.folders) > 1 for one in series)
    return size_figure(
        panels,
        path,
        title=title,
        trained_to=trained.pop() if len(trained) == 1 else None,
        note="mean ± standard deviation over seeds" if spreads else "",
    )


def spread(values: Sequence[float]) -> float | None:
    """Standard deviation of a sample; None of a single value."""
    return statistics.stdev(values) if len(values) > 1 else None


def _cells(series: Iterable[Series]) -> list[tuple[str, str]]:
    """Every (task, distribution), in order of first appearance."""
    return list(dict.fromkeys(cell for one in series for cell in one.scores))


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _mean_and_spread(values: Sequence[float]) -> str:
    """`0.987 ± 0.004`; empty where a score does not exist."""
    mean, deviation = _mean(values), spread(values)
    if mean is None or mean != mean:
        return ""
    return f"{mean:.3f}" if deviation is None else f"{mean:.3f} ± {deviation:.3f}"


def _label(series: Sequence[Series]) -> None:
    """Tell series of one processor and task apart by the settings in which they differ."""
    for pair in {(one.config.processor_name, one.config.task_name) for one in series}:
        name = pair[0]
        same = [one for one in series if (one.config.processor_name, one.config.task_name) == pair]
        flat = [dict(flatten(runs.training_tree(one.config))) for one in same]
        keys = sorted({key for values in flat for key in values})
        differ = [key for key in keys if len({str(values.get(key)) for values in flat}) > 1]
        differ.sort(key=lambda key: any(isinstance(values.get(key), list) for values in flat))  # short ones first
        for one, values in zip(same, flat, strict=True):
            told = [f"{key.rsplit('.', 1)[-1]}={values[key]}" for key in differ[:_MOST_KEYS] if key in values]
            told += [f"and {len(differ) - _MOST_KEYS} more"] if len(differ) > _MOST_KEYS else []
            one.label = f"{name} ({', '.join(told)})" if told and len(same) > 1 else name


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Dotted keys and values of a tree of settings."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
