"""Tables of a report: scores by size, runs, differing settings, environments. Each scrolls in a box of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trainers import compare
from trainers.figures import COLOURS
from trainers.report.collect import Measure, Model, Report, Run, Where, mean, spread
from trainers.report.html import Markup, join, tag

_DASH = "–"


def comparison(report: Report) -> Markup:
    """A table for each measure that is told by size; the page's script shows one at a time."""
    first = [each for each in report.scores.measures if each.key in ("score", "exact") or each.less]
    return tag("div", *(_by_measure(report, measure) for measure in first), class_="measures")


def runs_table(report: Report) -> Markup:
    """Every run with its state and cost."""
    headings = ("run", "state", "seed", "steps", "best validation", "last loss", "samples/s", "time", "parameters")
    rows = []
    for run in report.runs:
        summary = run.summary
        state = tag("span", run.status, class_=f"state {run.status.split()[0]}")
        loss = summary.get("train/loss")
        if loss is None and "train/loss" in run.curves:
            loss = run.curves["train/loss"].values[-1]
        seconds, speed = summary.get("seconds"), summary.get("samples_per_second")
        rows.append(
            tag(
                "tr",
                tag(
                    "th",
                    tag("span", run.name, class_="name"),
                    scope="row",
                    class_=_colour(run.series),
                ),
                tag("td", state, tag("small", run.note) if run.note else None),
                _cell(run.config.settings.seed),
                _cell(run.step, f"{run.step} / {run.config.trainer.max_steps}"),
                _cell(summary.get("val/score"), _number(summary.get("val/score"))),
                _cell(loss, "NaN" if loss is not None and not math.isfinite(loss) else _number(loss, 4)),
                _cell(speed, _number(speed, 0)),
                _cell(seconds, _DASH if seconds is None else duration(seconds)),
                _cell(summary.get("parameters"), f"{summary['parameters']:,}" if "parameters" in summary else _DASH),
            )
        )
    caption = tag("span", "All runs", class_="spoken")
    return _table(headings, rows, caption, name="All runs", sortable=True)


def differences(report: Report) -> Markup:
    """The settings in which the runs differ, a column a series; several values of one are those of its seeds."""
    flat = [dict(compare.flatten(run.config.tree())) for run in report.runs]
    values = {key: [str(each[key]) for each in flat if key in each] for each in flat for key in each}
    differ = sorted(key for key, told in values.items() if len(set(told)) > 1)
    own = any(len(told) < len(flat) for told in values.values())
    note = tag("p", "Options that only some of the processors or tasks have are in the full configs.", class_="note")
    if not differ:
        return join(tag("p", "All runs have the same config.", class_="note"), note if own else None)
    rows = []
    for key in differ:
        cells = []
        for series in range(len(report.labels)):
            mine = [each for each, run in zip(flat, report.runs, strict=True) if run.series == series]
            cells.append(tag("td", ", ".join(dict.fromkeys(_plain(each.get(key, _DASH)) for each in mine))))
        rows.append(tag("tr", tag("th", tag("code", key), scope="row"), *cells))
    return join(_table(("setting", *report.labels), rows, "Settings that differ"), note if own else None)


def flat_environment(run: Run) -> dict[str, str]:
    """What a run ran on; the local folder, which says nothing to others, is left out."""
    told = {key: value for key, value in run.environment.items() if key not in ("folder", "resumed")}
    versions = told.pop("versions", None)
    told |= {f"version of {name}": value for name, value in (versions or {}).items()}
    if isinstance(told.get("command"), list):
        told["command"] = " ".join(map(str, told["command"]))
    if isinstance(run.environment.get("resumed"), list):
        told["resumed"] = f"{len(run.environment['resumed'])} times"
    dirty = told.pop("dirty", None)
    if told.get("commit") and dirty:
        told["commit"] = f"{told['commit']} with changes"
    if run.summary.get("seconds") is not None:
        told["training time"] = duration(run.summary["seconds"])
    return {key: _plain(value) for key, value in told.items() if value is not None}


def shared_and_differing(values: Mapping[str, Mapping[str, str]]) -> Markup:
    """What all runs share as a list, what differs as a table with a row a run."""
    keys = list(dict.fromkeys(key for each in values.values() for key in each))
    shared = [key for key in keys if len({each.get(key) for each in values.values()}) == 1]
    items = [tag("div", tag("dt", key), tag("dd", next(iter(values.values()))[key])) for key in shared]
    rest = [key for key in keys if key not in shared]
    rows = [
        tag("tr", tag("th", name, scope="row"), *(tag("td", each.get(key, _DASH)) for key in rest))
        for name, each in values.items()
    ]
    return join(
        tag("dl", *items, class_="facts") if items else None,
        _table(("run", *rest), rows, "Environments that differ") if rest else None,
    )


def control(model: Model) -> str:
    """What a control is called."""
    return f"only {model.steps} step{'s' if model.steps != 1 else ''} (control)"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if seconds >= 1 else f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _by_measure(report: Report, measure: Measure) -> Markup:
    """The tables of a measure, one a task."""
    tables = [_by_size(report, measure, task) for task in dict.fromkeys(where.task for where in report.scores.wheres)]
    return tag("div", *tables, class_="measure", data_label=measure.label, data_measure=measure.key)


def _by_size(report: Report, measure: Measure, task: str) -> Markup | None:
    """Mean and spread over seeds by size, the best of each column and distribution marked."""
    scores = report.scores
    sizes = scores.sizes(measure.key, task)
    if not sizes:
        return None
    wheres = [where for where in scores.wheres if where.task == task]
    kinds = len(wheres) > 1
    rows = []
    for where in wheres:
        best = _best(report, measure, where, sizes)
        for model in scores.models:
            values = scores.values.get((measure.key, where, model))
            if values:
                cells = [_score(values.get(size, []), best.get(size)) for size in sizes]
                place = tag("td", where.distribution) if kinds else None
                rows.append(tag("tr", _model(report, model, task), place, _seeds(report, model, values), *cells))
    marked = "lower is better" if measure.less else "higher is better"
    caption = join(
        tag("strong", f"{measure.label} on {task}" + ("" if kinds else f", {wheres[0].distribution}")),
        f" by size n; mean ± standard deviation over seeds; {marked}, the best of each column in bold",
        " for each kind of inputs" if kinds else None,
    )
    headings = ["processor", *(["inputs"] if kinds else []), "seeds", *(f"n = {size}" for size in sizes)]
    return _table(headings, rows, caption, name=f"{measure.label} on {task} by size", sortable=True)


def _model(report: Report, model: Model, task: str) -> Markup:
    """The head of a row: name, and paper or what the control is."""
    trained_on = {run.config.task_name for run in report.runs if run.series == model.series}
    name = report.names[model.series] if trained_on == {task} else report.labels[model.series]
    below = report.papers[model.series] if model.steps is None else control(model)
    inner = join(tag("span", name, class_="name"), tag("small", below) if below else None)
    kind = " control" if model.steps is not None else ""
    return tag("th", inner, scope="row", class_=_colour(model.series) + kind, data_sort=name)


def _seeds(report: Report, model: Model, values: Mapping[int, Sequence[float]]) -> Markup:
    """How many seeds were scored, and of how many if some are missing."""
    scored = max(map(len, values.values()))
    count = sum(run.series == model.series for run in report.runs)
    return _cell(scored, str(scored) if scored == count else f"{scored} of {count}")


def _best(report: Report, measure: Measure, where: Where, sizes: Sequence[int]) -> dict[int, float]:
    """The best mean of each size, as it is shown; only where there is something to be better than."""
    found = {}
    for size in sizes:
        columns = (report.scores.values.get((measure.key, where, model), {}) for model in report.scores.models)
        means = [round(value, 3) for column in columns if (value := mean(column.get(size, []))) is not None]
        if len(set(means)) > 1:
            found[size] = min(means) if measure.less else max(means)
    return found


def _score(values: Sequence[float], best: float | None) -> Markup:
    """A cell of mean and spread; every seed's value in its tooltip."""
    value, deviation = mean(values), spread(values)
    if value is None:
        return _cell(None, "NaN" if values else _DASH, title=_each(values))
    shown = join(f"{value:.3f}", None if deviation is None else tag("small", f" ± {deviation:.3f}"))
    is_best = round(value, 3) == best
    return _cell(value, tag("b", shown) if is_best else shown, title=_each(values), class_="best" if is_best else "")


def _each(values: Sequence[float]) -> str | None:
    """All seeds' values."""
    return "seeds: " + ", ".join("NaN" if v != v else f"{v:.4f}" for v in values) if len(values) > 1 else None


def _cell(value: Any, shown: Any = None, *, class_: str = "", title: str | None = None) -> Markup:
    """A cell of a number, sorted by it."""
    finite = isinstance(value, int | float) and math.isfinite(value)
    classes = f"number {class_}".strip()
    return tag("td", value if shown is None else shown, class_=classes, data_sort=value if finite else "", title=title)


def _colour(series: int) -> str:
    """Class of the colour that a series has in the charts."""
    return f"series-{series % len(COLOURS)}"


def _number(value: float | None, digits: int = 3) -> str:
    return _DASH if value is None else f"{value:,.{digits}f}"


def _plain(value: Any) -> str:
    """A setting as on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_plain, value))}]"
    return str(value)


def _table(
    headings: Iterable[str], rows: Iterable[Markup], caption: Any, *, name: str = "", sortable: bool = False
) -> Markup:
    """A table in a box that scrolls sideways and can be reached by the keyboard."""
    head = tag("thead", tag("tr", *(tag("th", each, scope="col") for each in headings)))
    table = tag("table", tag("caption", caption), head, tag("tbody", *rows), class_="sortable" if sortable else None)
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=name or caption)
