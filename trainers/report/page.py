"""The page of a report, put together from what was collected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from trainers.figures import COLOURS
from trainers.report import curves, tables
from trainers.report.collect import DIVERGED, EMPTY, FINISHED, UNFINISHED, Model, Report, Run, Where, mean, spread
from trainers.report.html import Markup, join, json_script, tag
from trainers.report.images import Picture

_HERE = Path(__file__).parent
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_OPEN_PICTURES = 16  # galleries of further ones are folded
_PLOT = "Charts need JavaScript; the tables have the same numbers."


def page(report: Report, pictures: Sequence[Sequence[Picture]], left_out: int, *, title: str | None = None) -> str:
    """The whole document.

    Args:
        report: what was collected.
        pictures: of each run.
        left_out: pictures that did not fit.
        title: above all; by default processors and tasks.
    """
    title = title or headline(report)
    sections = {
        "Scores": _scores(report),
        "Training": _training(report),
        "Runs": tables.runs_table(report),
        "Pictures": _pictures(report, pictures, left_out),
        "Configs": _configs(report),
        "Environment": _environment(report),
    }
    shown = {name: body for name, body in sections.items() if body is not None}
    made = datetime.now().astimezone()
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(_colours() + _text("page.css"))),
    )
    header = tag(
        "header",
        tag("div", tag("h1", title), tag("p", _summary(report), class_="lead")),
        tag("button", "Theme", type="button", id="theme", class_="button", hidden=True),
        tag("nav", *(tag("a", name, href=f"#{name.lower()}") for name in shown), aria_label="Sections"),
    )
    body = join(
        header,
        tag("main", _tiles(report), *(_section(name, inner) for name, inner in shown.items())),
        tag("footer", "Written by ", tag("code", "zoo report"), f" on {made:%Y-%m-%d at %H:%M %Z}."),
        tag(
            "dialog",
            tag("form", tag("button", "Close", class_="button", type="submit"), method="dialog"),
            tag("figure", tag("img", alt=""), tag("figcaption")),
            id="lightbox",
            aria_label="Picture",
        ),
        json_script("data", {"sizes": _size_data(report), "curves": _curve_data(report), "plain": _PLOT}),
        tag("script", Markup(f'(function () {{\n"use strict";\n{_text("plot.js")}\n{_text("page.js")}}})();')),
    )
    return f"<!DOCTYPE html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


def _section(name: str, inner: Markup) -> Markup:
    key = name.lower()
    return tag("section", tag("h2", name, id=f"{key}-title"), inner, id=key, aria_labelledby=f"{key}-title")


def headline(report: Report) -> str:
    """Processors on tasks, in words."""
    processors = list(dict.fromkeys(run.config.processor_name for run in report.runs))
    tasks = list(dict.fromkeys(run.config.task_name for run in report.runs))
    return f"{_listed(processors)} on {_listed(tasks)}"


def _listed(names: Sequence[str], most: int = 4) -> str:
    """`a, b and c`, or how many more there are."""
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _summary(report: Report) -> str:
    """Two sentences: what was run, and what came out best at the largest size."""
    count = len(report.runs)
    states = [(sum(run.status == state for run in report.runs), state) for state in (UNFINISHED, DIVERGED, EMPTY)]
    troubled = [f"{number} {state}" for number, state in states if number]
    finished = sum(run.status == FINISHED for run in report.runs)
    told = f"{count} run{'s' * (count != 1)}"
    told += f" of {len(report.labels)} configs" if len(report.labels) > 1 else ""
    if troubled:
        told += f": {', '.join([f'{finished} finished', *troubled])}"
    else:
        told += ", all finished" if count > 1 else ", finished"
    best = _best(report)
    return f"{told}. {best}" if best else f"{told}."


def _best(report: Report) -> str:
    """What scored highest at the largest size of the first task and distribution; empty if there is nothing beside."""
    scores = report.scores
    if not scores.wheres:
        return ""
    where = scores.wheres[0]
    found = {model: scores.values.get(("score", where, model), {}) for model in scores.models}
    size = max((size for values in found.values() for size in values), default=0)
    means = {model: value for model, values in found.items() if (value := mean(values.get(size, []))) is not None}
    if len(means) < 2:
        return ""
    model = max(means, key=lambda each: means[each])
    deviation = spread(found[model][size])
    shown = f"{means[model]:.3f}" + ("" if deviation is None else f"\u00a0±\u00a0{deviation:.3f}")
    place = f"n\u00a0=\u00a0{size} ({where.task}, {where.distribution})"
    return f"Best score at {place}: {_label(report, model)}, {shown}."


def _label(report: Report, model: Model) -> str:
    """Name of a series or of its control."""
    return report.labels[model.series] + ("" if model.steps is None else f", {tables.control(model)}")


def _tiles(report: Report) -> Markup:
    """A few numbers at a glance."""
    seconds = sum(float(run.summary.get("seconds") or 0) for run in report.runs)
    finished = sum(run.status == FINISHED for run in report.runs)
    sizes = report.scores.sizes("score")
    trained = [size for run in report.runs for size in run.config.trainer.sizes]
    tiles = [
        ("runs finished", f"{finished} of {len(report.runs)}"),
        ("seeds", ", ".join(map(str, sorted({run.config.settings.seed for run in report.runs})))),
        ("training sizes", _range(trained)),
        ("scored at sizes", _range(sizes)),
        ("training time", tables.duration(seconds) if seconds else "–"),
    ]
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in tiles), class_="tiles")


def _range(sizes: Sequence[int]) -> str:
    if not sizes:
        return "–"
    return str(min(sizes)) if min(sizes) == max(sizes) else f"{min(sizes)} – {max(sizes)}"


def _scores(report: Report) -> Markup | None:
    """Comparison tables, a measure each, and the figure of score against size."""
    if not report.scores.measures:
        return tag("p", "No run has scores yet: they come at the end of training.", class_="note")
    return join(
        tables.comparison(report),
        tag("h3", "Size generalisation"),
        tag("div", id="size-plot", class_="chart", data_empty=_PLOT),
    )


def _training(report: Report) -> Markup | None:
    if not any(run.curves for run in report.runs):
        return None
    return tag("div", id="curve-plot", class_="chart", data_empty=_PLOT)


def _pictures(report: Report, pictures: Sequence[Sequence[Picture]], left_out: int) -> Markup | None:
    """The pictures of each run, folded where there are many runs."""
    galleries: list[Markup] = []
    shown = 0
    for run, each in zip(report.runs, pictures, strict=True):
        if each:
            items = [_thumbnail(run, picture) for picture in each]
            shown += len(each)
            opened = shown <= _OPEN_PICTURES or not galleries
            inner = tag("div", *items, class_="gallery")
            galleries.append(tag("details", tag("summary", run.name, _state(run)), inner, open=opened))
    if not galleries and not left_out:
        return None
    note = f"{left_out} more did not fit or could not be read; see the run folders." if left_out else None
    return join(*galleries, tag("p", note, class_="note") if note else None)


def _thumbnail(run: Run, picture: Picture) -> Markup:
    name = picture.name.removesuffix(".png").removeprefix("pictures/").replace("_", " ").replace("/", " / ")
    image = tag("img", src=picture.uri, width=picture.width, height=picture.height, alt=f"{run.name}: {name}")
    button = tag("button", image, type="button", class_="picture", aria_label=f"Enlarge {name} of {run.name}")
    return tag("figure", button, tag("figcaption", name))


def _state(run: Run) -> Markup | None:
    """What is to be said about a run that did not finish well."""
    return None if run.status == FINISHED else tag("span", run.status, class_=f"state {run.status.split()[0]}")


def _configs(report: Report) -> Markup:
    """Keys that differ, a column a series; the full configs folded below."""
    differ = tables.differences(report)
    full = [
        tag(
            "details",
            tag("summary", run.name),
            tag("pre", yaml.safe_dump(run.config.tree(), sort_keys=False, allow_unicode=True)),
        )
        for run in report.runs
    ]
    return join(differ, tag("h3", "Full configs"), *full)


def _environment(report: Report) -> Markup | None:
    """What all runs share, as a list; what differs, a column a run."""
    flat = {run.name: tables.flat_environment(run) for run in report.runs}
    if not any(flat.values()):
        return None
    return tables.shared_and_differing(flat)


def _size_data(report: Report) -> dict[str, Any]:
    """The figure of score against size, for the script."""
    scores = report.scores
    lines = [
        {
            "label": _label(report, model),
            "colour": model.series,
            "control": model.steps is not None,
            "trained": _trained(report, model),
        }
        for model in scores.models
    ]
    panels = [
        {
            "where": position,
            "measure": measure.key,
            "lines": {
                index: _points(scores.values.get((measure.key, where, model), {}))
                for index, model in enumerate(scores.models)
            },
        }
        for measure in scores.measures
        for position, where in enumerate(scores.wheres)
    ]
    measures = [{"key": each.key, "label": each.label, "less": each.less} for each in scores.measures]
    wheres = [where_label(each, scores.wheres) for each in scores.wheres]
    return {"measures": measures, "wheres": wheres, "lines": lines, "panels": panels}


def where_label(where: Where, wheres: Sequence[Where]) -> str:
    """Distribution, with the task where there are several."""
    several = len({each.task for each in wheres}) > 1
    return f"{where.task}, {where.distribution}" if several else where.distribution


def _trained(report: Report, model: Model) -> list[int]:
    sizes = [n for run in report.runs if run.series == model.series for n in run.config.trainer.sizes]
    return [min(sizes), max(sizes)]


def _points(sizes: Mapping[int, Sequence[float]]) -> list[list[Any]]:
    """Size, mean, standard deviation and the value of each seed."""
    return [
        [n, curves.rounded(mean(values)), curves.rounded(spread(values)), [curves.rounded(each) for each in values]]
        for n, values in sorted(sizes.items())
    ]


def _curve_data(report: Report) -> dict[str, Any]:
    """Training curves, for the script."""
    names = curves.choose([run.curves for run in report.runs])
    most = curves.points(sum(name in run.curves for run in report.runs for name in names))
    shown = [
        {"name": run.name, "series": run.series, "state": run.status, **curves.plain(run.curves, names, most)}
        for run in report.runs
    ]
    return {"metrics": names, "series": report.labels, "runs": shown}


def _colours() -> str:
    """The colours of the house's figures; black, which the dark hides, is white there."""
    told = "".join(f"--series-{index}: {colour}; " for index, colour in enumerate(COLOURS))
    dark = "".join(f"--dark-{i}: {'#FFFFFF' if colour == '#000000' else colour}; " for i, colour in enumerate(COLOURS))
    classes = "".join(f".series-{i} {{ --line: var(--series-{i}); }}\n" for i in range(len(COLOURS)))
    used = "".join(f"--series-{i}: var(--dark-{i}); " for i in range(len(COLOURS)))
    by_system = f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {used} }} }}\n'
    return f':root {{ {told}{dark}}}\n{classes}{by_system}:root[data-theme="dark"] {{ {used} }}\n'


def _text(name: str) -> str:
    """A file beside this one."""
    return (_HERE / name).read_text(encoding="utf-8")
