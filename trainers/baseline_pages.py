"""The pages of the results, generated from the ledger: `docs/BASELINES.md`, its figures, the README's table.

`python -m trainers.baseline_pages` writes them; with `--check` it writes nothing and fails where they are stale.
"""

from __future__ import annotations

import hashlib
import json
import re
import statistics
import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tasks.canonical import CANONICAL
from trainers import baselines, ledger
from trainers.baselines import Baseline, ScoreOf
from trainers.config_groups import FOLDER
from trainers.figures import Line, Panel, size_figure
from trainers.generated_pages import STAMP, page_command, stale_files
from trainers.ledger import FINISHED, Entry
from trainers.verdict import PASSED, UNMEASURED, Verdict, judge, score_of
from trainers.verdict_table import measured, misses, number, outcome, published, seeds

ROOT = FOLDER.parent
PAGE, FIGURES, README = Path("docs/BASELINES.md"), Path("docs/baselines"), Path("README.md")
BEGIN, END = "<!-- baselines: generated -->", "<!-- baselines: end -->"
_MARKS = {PASSED: "**passed**"}
_AXES = {"score": "score", "exact": "share of samples exact", "accuracy": "accuracy",
         "wrong_per_graph": "wrong bits a sample", "bits_per_graph": "cross-entropy, bits a sample",
         "relative_error": "relative error", "rounds_right": "right once rounded"}  # fmt: skip

_CLRS = "clrs"
"""The distribution that canonical sets are drawn from."""

_SHARES = ("score", "exact", "accuracy", "rounds_right")


class Drawing(NamedTuple):
    """A row's figure: its panels, the largest training size, its title."""

    panels: list[Panel]
    trained_to: int | None
    title: str

    @property
    def stamp(self) -> str:
        """Sixteen letters for all that is drawn."""
        return hashlib.sha256(json.dumps(self).encode()).hexdigest()[:16]


class Generated(NamedTuple):
    """Every generated file by path below the root: texts, the README with its table replaced, and figures."""

    texts: dict[Path, str]
    figures: dict[Path, Drawing]


def generate(root: Path = ROOT) -> Generated:
    """What the ledger gives; nothing is written.

    Raises:
        ValueError: the README has no place for its table.
    """
    results = root / "results"
    rows = [baselines.load(name) for name in baselines.names()]
    verdicts = [judge(row, ledger.current(row, results)) for row in rows]
    drawings = {row.name: drawing for row in rows if (drawing := _drawing(row, ledger.current(row, results))).panels}
    readme = (root / README).read_text("utf-8")
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{README} has no lines {BEGIN} and {END}")
    texts = {
        PAGE: _page(verdicts, results, drawings),
        README: f"{head}{BEGIN}\n{readme_table(verdicts)}\n{END}{tail}",
    }
    return Generated(texts, {FIGURES / f"{name}.png": drawing for name, drawing in drawings.items()})


def stale(root: Path = ROOT, generated: Generated | None = None) -> list[Path]:
    """Generated files that are not what the ledger gives."""
    texts, figures = generated or generate(root)
    return stale_files(root, texts, {path: drawing.stamp for path, drawing in figures.items()}, figures=FIGURES)


def write(root: Path = ROOT) -> list[Path]:
    """Write what is stale, and remove figures of rows that are gone; the paths."""
    generated = generate(root)
    changed = stale(root, generated)
    for path in changed:
        if path in generated.texts:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(generated.texts[path], encoding="utf-8")
        elif path in generated.figures:
            panels, trained_to, title = drawing = generated.figures[path]
            note = "stars: as published" if any(line.published for panel in panels for line in panel.lines) else ""
            stamped = {STAMP: drawing.stamp}
            size_figure(panels, root / path, title=title, trained_to=trained_to, note=note, metadata=stamped)
        else:
            (root / path).unlink()
    return changed


def readme_table(verdicts: Sequence[Verdict]) -> str:
    """The README's table: a gating figure of each row begun, then the others' names; all seeds in the long page."""
    begun = [verdict for verdict in verdicts if any(figure.seeds for figure in verdict.figures)]
    lines = ["| row | measure | published | measured | verdict |", "| --- | --- | --- | --- | --- |"]
    for verdict in begun:
        figure = next((f for f in verdict.figures if f.measure.published and f.measure.require), None)
        figure = figure or next((f for f in verdict.figures if f.measure.require), verdict.figures[0])
        paper = figure.measure.published
        value = "" if paper is None else (number(paper.value) if paper.value is not None else paper.text)
        lines.append(
            f"| {_link(verdict)} | {figure.measure.label} | {value} | {measured(figure)} | {_state(verdict)} |"
        )
    if waiting := [_link(verdict) for verdict in verdicts if verdict not in begun]:
        lines += ["", f"Not measured yet: {', '.join(waiting)}."]
    return "\n".join(lines)


def _link(verdict: Verdict) -> str:
    """A row's name, leading to its section of the long page."""
    return f"[`{verdict.baseline.name}`]({PAGE}#{_anchor(verdict.baseline.name)})"


def _page(verdicts: Sequence[Verdict], results: Path, drawn: Container[str]) -> str:
    """The long page."""
    lines = [
        "# Baselines",
        "",
        "Published results, obtained again by `zoo reproduce NAME`. This page is generated from the ledger in "
        "`results/` by `python -m trainers.baseline_pages`; no number in it was typed. Values over seeds are mean ± "
        "sample standard deviation, with every seed beside them; a seed that diverged counts as missed. How each "
        "published figure was verified stands behind it; one recalled from memory is never a criterion.",
        "",
        "| row | state | seeds | processor minutes a seed, median | what is missed |",
        "| --- | --- | --- | --- | --- |",
    ]
    for verdict in verdicts:
        row = verdict.baseline
        wanted = len(row.arms) * row.seeds
        counted = ledger.current(row, results).values()
        minutes = [entry.values["cpu_seconds"] / 60 for entry in counted if entry.state == FINISHED]
        took = f"{statistics.median(minutes):.1f}" if minutes else ""
        link = f"[`{row.name}`](#{_anchor(row.name)})"
        done = f"{wanted - len(verdict.missing)} of {wanted}"
        lines.append(f"| {link} | {_state(verdict)} | {done} | {took} | {'; '.join(misses(verdict))} |")
    for verdict in verdicts:
        lines += ["", *_section(verdict, results, drawn)]
    return "\n".join(lines) + "\n"


def _section(verdict: Verdict, results: Path, drawn: Container[str]) -> list[str]:
    """A row's part of the long page."""
    row = verdict.baseline
    lines = [f"## {row.name}", "", f"{row.title}. {row.paper}, <{row.link}>.", "", row.about.strip(), ""]
    lines += [f"State: {_state(verdict)}." + _missing(verdict), ""]
    lines += ["| measure | published | measured | seeds | criterion | |", "| --- | --- | --- | --- | --- | --- |"]
    for figure in verdict.figures:
        require = figure.measure.require
        cells = (figure.measure.label, published(figure.measure.published), measured(figure), seeds(figure))
        lines.append(f"| {' | '.join(cells)} | {'' if require is None else require} | {outcome(figure)} |")
    if row.notes:
        lines += ["", row.notes.strip()]
    if row.name in drawn:
        lines += ["", f"![{row.title}: measured against size, with the published points](baselines/{row.name}.png)"]
    entries = ledger.entries(row, results)
    if entries:
        counted = ledger.current(row, results)
        lines += ["", "<details><summary>Every seed begun</summary>", "", *_entries(entries, counted), "", "</details>"]
    return lines


def _entries(entries: Sequence[Entry], counted: Mapping[tuple[str, int], Entry]) -> list[str]:
    """Where each figure is from."""
    lines = [
        "| arm | seed | attempt | state | steps | best at | minutes (of the processor) | commit | torch | device |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for entry in entries:
        values: Mapping[str, Any] = entry.values
        now = counted.get((entry.arm, entry.seed))
        counts = now is not None and now.path == entry.path
        state = entry.state if counts else f"{entry.state}, not counted (another recipe, or run again)"
        minutes = f"{values['seconds'] / 60:.1f} ({values['cpu_seconds'] / 60:.1f})" if "seconds" in values else ""
        commit = f"{str(values['commit'])[:8]}{' and changes' if values['dirty'] else ''}"
        cells = (
            entry.arm, entry.seed, entry.attempt, state, values.get("steps", ""), values.get("best_step", ""), minutes,
            commit, values["versions"]["torch"], values["device"],
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _drawing(row: Baseline, counted: Mapping[tuple[str, int], Entry]) -> Drawing:
    """What a row's figure shows: each metric that measures have at several sizes, an arm a line; and training's end."""
    kinds: dict[tuple[str, str | None, str | None], None] = {}
    for measure in row.measures:
        if measure.score is not None:
            kinds[_kind(measure.score)] = None
    panels = []
    for metric, probe, distribution in kinds:
        lines: list[Line] = []
        for colour, arm in enumerate(row.arms):
            lines += _lines(row, counted, arm, colour, (metric, probe, distribution))
        if any(len(line.sizes) > 1 and not line.published for line in lines):
            name = _AXES.get(metric, metric)
            title = name if distribution is None else f"{name}, {distribution}"
            panels.append(Panel(title, name, lines, share=metric in _SHARES))
    sizes = row.base.get("trainer.sizes")
    return Drawing(panels, max(sizes) if sizes else None, row.title)


def _lines(
    row: Baseline,
    counted: Mapping[tuple[str, int], Entry],
    arm: str,
    colour: int,
    kind: tuple[str, str | None, str | None],
) -> list[Line]:
    """An arm's measured line, and its published points."""
    metric, probe, distribution = kind
    by_size: dict[int, list[float]] = {}
    for seed in range(row.seeds):
        entry = counted.get((arm, seed))
        scores = entry.values["scores"] if entry is not None and entry.state == FINISHED else ()
        for size in dict.fromkeys(cell["n"] for cell in scores):
            what = ScoreOf(size=size, metric=metric, probe=probe, distribution=distribution)
            value = score_of(what, scores)
            if value is None and distribution == _CLRS:
                value = score_of(replace(what, distribution=CANONICAL), scores)
            if value is not None:
                by_size.setdefault(size, []).append(value)
    lines = []
    if by_size:
        order = sorted(by_size)
        spread = [statistics.stdev(by_size[n]) if len(by_size[n]) > 1 else 0.0 for n in order]
        drawn = max(map(len, by_size.values()))
        label = arm if drawn == row.seeds else f"{arm} ({drawn} of {row.seeds} seeds)"
        lines.append(Line(label, order, [statistics.fmean(by_size[n]) for n in order], spread, colour))
    points = {
        m.score.size: m.published
        for m in row.measures
        if m.arm == arm and m.score is not None and m.published is not None and m.published.value is not None
        and m.score.size is not None and _kind(m.score) == kind
    }  # fmt: skip
    if points and by_size:
        order = sorted(points)
        values = [float(points[n].value or 0.0) for n in order]
        lines.append(
            Line(f"{arm}, published", order, values, [points[n].spread or 0.0 for n in order], colour, published=True)
        )
    return lines


def _kind(score: ScoreOf) -> tuple[str, str | None, str | None]:
    """What one panel shows: metric, probe and distribution, which of canonical sets is that of CLRS."""
    return score.metric, score.probe, _CLRS if score.distribution == CANONICAL else score.distribution


def _state(verdict: Verdict) -> str:
    """The state, in bold where it passed."""
    return _MARKS.get(verdict.state, verdict.state)


def _missing(verdict: Verdict) -> str:
    """Seeds that have no figure yet."""
    if not verdict.missing or verdict.state == UNMEASURED:
        return ""
    return " Not measured yet: " + ", ".join(f"{arm} seed {seed}" for arm, seed in verdict.missing) + "."


def _anchor(name: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or check them."""
    return page_command(
        "trainers.baseline_pages",
        "Generate the pages of the results from the ledger.",
        write=write,
        stale=stale,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
