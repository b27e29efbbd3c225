"""Verdicts as text: a row's measures, and the list of all rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainers import baselines, ledger
from trainers.baselines import Baseline, Published
from trainers.costs import CPU, GPU, seed_minutes
from trainers.verdict import UNMEASURED, Figure, Verdict, judge

if TYPE_CHECKING:
    from rich.table import Table


def verdict_table(verdict: Verdict) -> Table:
    """A row's measures: published, measured with every seed, criterion, and whether it is met."""
    from rich import box
    from rich.table import Table

    row = verdict.baseline
    title = f"{row.name}: {verdict.state}{_why(verdict)}\n{row.title}. {row.paper}"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, title_style="bold")
    for heading in ("measure", "published", "measured", "seeds", "criterion", ""):
        table.add_column(heading)
    for figure in verdict.figures:
        require = figure.measure.require
        table.add_row(
            figure.measure.label,
            published(figure.measure.published),
            measured(figure),
            seeds(figure),
            "" if require is None else str(require),
            outcome(figure),
        )
    return table


def listing(results: Path = ledger.RESULTS) -> str:
    """All rows with state, cost and arms: `zoo reproduce --list`."""
    lines = [("row", "state", "seeds", "CPU", "GPU", "")]
    for name in baselines.names():
        row = baselines.load(name)
        verdict = judge(row, ledger.current(row, results))
        wanted = len(row.arms) * row.seeds
        done = f"{wanted - len(verdict.missing)}/{wanted}"
        title = f"{row.title} ({', '.join(row.arms)})"
        lines.append((name, verdict.state, done, cost(row, results, CPU), cost(row, results, GPU), title))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*rows, "", "minutes of the whole row, all arms and seeds; ~ where not all of it was measured"])


def cost(row: Baseline, results: Path, device: str) -> str:
    """Minutes of a whole row."""
    each = [seed_minutes(row, arm, results, device=device) for arm in row.arms]
    total = row.seeds * sum(minutes for minutes, _ in each)
    return f"{'' if all(known for _, known in each) else '~'}{total:.0f} min"


def published(figure: Published | None) -> str:
    """What a paper reports, with where and how it was verified."""
    if figure is None:
        return ""
    spread = "" if figure.spread is None else f" ± {number(figure.spread)}"
    value = "" if figure.value is None else f"{number(figure.value)}{spread}"
    shown = ": ".join(filter(None, [value, figure.text]))
    return f"{shown} ({figure.where}; {baselines.EVIDENCE[figure.evidence]})"


def measured(figure: Figure) -> str:
    """Mean ± spread over seeds; the median where a seed is infinite."""
    if not figure.seeds:
        if figure.measure.ratio and math.isinf(figure.value):
            return "infinite"
        return "" if math.isnan(figure.value) else number(figure.value)
    if math.isinf(figure.value):
        return f"median {number(figure.median)}"
    spread = "" if math.isnan(figure.spread) else f" ± {number(figure.spread)}"
    return f"{number(figure.value)}{spread}"


def seeds(figure: Figure) -> str:
    """Every seed's value in order."""
    return ", ".join(number(value) for _, value in sorted(figure.seeds.items()))


def outcome(figure: Figure) -> str:
    """Whether the criterion is met, and by how much it is missed."""
    if figure.holds is None:
        return ""
    if figure.holds:
        return "met"
    require = figure.measure.require
    assert require is not None
    if require.needed is not None:
        return f"missed: {figure.reached} of {len(figure.seeds)}"
    if not math.isfinite(figure.judged):
        if not figure.seeds:  # a difference or a ratio
            return "missed: at least one of the two never reached"
        return "missed: never reached" if math.isinf(figure.judged) else "missed: a seed diverged"
    bound = require.bound
    if require.kind == "within_spread":
        bound = math.copysign(0.0 if math.isnan(figure.spread) else bound * figure.spread, figure.judged)
    return f"missed by {number(abs(figure.judged - bound))}"


def number(value: float) -> str:
    """A number for a table: three decimals below ten, thousands with commas, words where it is none."""
    if math.isnan(value):
        return "diverged"
    if math.isinf(value):
        return "never"
    if value == int(value) and abs(value) >= 10:
        return f"{int(value):,}"
    return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"


def misses(verdict: Verdict) -> Sequence[str]:
    """In words, every criterion that a row misses."""
    return [f"{f.measure.label}: {outcome(f)}" for f in verdict.figures if f.holds is False]


def _why(verdict: Verdict) -> str:
    """What is missing of an incomplete row."""
    if not verdict.missing or verdict.state == UNMEASURED:
        return ""
    started = f", {verdict.started} of them begun" if verdict.started else ""
    wanted = len(verdict.baseline.arms) * verdict.baseline.seeds
    return f" ({len(verdict.missing)} of {wanted} seeds not measured{started})"
