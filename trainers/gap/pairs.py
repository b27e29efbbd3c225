"""The part of docs/GAP.md on pairs of a parallel and a sequential algorithm, and what its figures show."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

from trainers.figures import Panel
from trainers.gap.seeds import Record, line, spread, told
from trainers.gap.study import PAIRED, SEEDS, Network, Pair
from trainers.gap.verdict import values

Seeds = Mapping[str, Sequence[Record]]
"""Records from drawn weights of every seed, by network."""
Ahead = Literal["parallel", "sequential", "neither"]

TRAINED = PAIRED[0]
"""The training size, at which one is said to be ahead."""
FIGURES = {
    "pairs-score": ("score", "parallel against sequential: score of the outputs", "score"),
    "pairs-until": ("until", "parallel against sequential: steps before the first wrong hint", "share of steps"),
}
"""Measure, title and axis of each figure, by the name of its file."""

_MEASURES = {
    "score": ("has the higher score", True),
    "until": ("follows its algorithm's steps further", True),
    "heard": ("hears more nearly whom its compiled network hears", False),
}
_ABOUT = f"""The paper's hypothesis: gradient descent learns parallel algorithms, those of the class NC, better than
sequential ones. Each pair solves one problem with one network: the same processor and options (those of the compiled
networks, which agree; where one of the algorithms cannot be compiled, those of the other's), the same number of updates
on as many graphs of {TRAINED} nodes, the same inputs. Hints are held to each algorithm's own trace, compiled or not.
Components are named by other nodes in the two algorithms.

- `score`, `exact`, `until`, `heard` as above; `hints`: share right of the hint that is least right, numbers aside.
- `until, compiled`: likewise of the compiled network; below 1 where its steps cannot tell every hint in time, which may
  be out of a trained network's reach, too.
- `frames`: of a trajectory, the given first one included, mean over the graphs that are scored. A share of two steps is
  another thing than one of a hundred, which `until` does not tell.
- `updates` and `processor seconds`: what the training took, validation included.

At the training size one of the two is said to be ahead in a measure if its mean over seeds is better by more than the
two standard deviations together, neither if not, and nothing is said of fewer than two seeds."""


def section(pairs: Sequence[Pair], seeds: Seeds, figures: Sequence[str]) -> list[str]:
    """The lines of the page.

    Args:
        pairs: of the study.
        seeds: what was measured.
        figures: paths of those that are drawn, from the page.
    """
    lines = ["## Parallel against sequential", "", *_ABOUT.split("\n"), ""]
    for path in figures:
        title = next(title for name, (_, title, _) in FIGURES.items() if name in path)
        lines += [f"![{title}]({path})", ""]
    lines += [_hypothesis(pairs, seeds), ""]
    for pair in pairs:
        said = _sentence(pair, seeds)
        lines += [f"### {pair.name.capitalize()}", "", *([said, ""] if said else []), *_table(pair, seeds), ""]
    return lines[:-1]


def panels(pairs: Sequence[Pair], seeds: Seeds, measure: str) -> list[Panel]:
    """A figure's panels: a pair each, a line a network; none where nothing is measured."""
    found = []
    for pair in pairs:
        lines = [
            line(
                kind, {size: [_values(each, size)[measure] for each in seeds[network.name]] for size in PAIRED}, colour
            )
            for colour, (kind, network) in enumerate(_members(pair))
        ]
        drawn = [each for each in lines if each is not None]
        if drawn:
            title = f"{pair.parallel.algorithm}\nagainst {pair.sequential.algorithm}"
            label = next(label for name, _, label in FIGURES.values() if name == measure)
            found.append(Panel(title, label, drawn))
    return found


def ahead(pair: Pair, seeds: Seeds, measure: str) -> Ahead | None:
    """Which of a pair is ahead in `score`, `until` or `heard` at the training size, by the page's rule.

    Returns:
        None where one has fewer than two seeds, or where the measure is not there.
    """
    both = [[_values(each, TRAINED)[measure] for each in seeds[network.name]] for _, network in _members(pair)]
    if any(len(each) < 2 or any(math.isnan(value) for value in each) for each in both):
        return None
    apart = statistics.fmean(both[0]) - statistics.fmean(both[1])
    if abs(apart) <= spread(both[0]) + spread(both[1]):
        return "neither"
    return "parallel" if (apart > 0) == _MEASURES[measure][1] else "sequential"


def _members(pair: Pair) -> list[tuple[str, Network]]:
    """Both, by kind."""
    return [("parallel", pair.parallel), ("sequential", pair.sequential)]


def _values(record: Record, size: int) -> dict[str, float]:
    """See `trainers.gap.verdict.values`; `hints` is of all hints, so that a pair's are of one measure."""
    cell = next(each for each in record["cells"] if each["n"] == size)
    hints = [
        hint["mean"] for hint in cell["learned"]["hints"].values() if hint.get("right") and hint["mean"] is not None
    ]
    ceiling = (cell["compiled"] or {}).get("until")
    return values(record, size) | {
        "hints": min(hints, default=math.nan),
        "until, compiled": math.nan if ceiling is None else ceiling,
        "frames": cell["frames"],
    }


def _sentence(pair: Pair, seeds: Seeds) -> str:
    """Who of a pair is ahead in what; nothing where not both are measured."""
    if not all(seeds[network.name] for _, network in _members(pair)):
        return ""
    names = {kind: f"`{network.algorithm}`" for kind, network in _members(pair)}
    parts = []
    for measure, (what, _) in _MEASURES.items():
        who = ahead(pair, seeds, measure)
        if who is not None:
            parts.append(f"{'neither' if who == 'neither' else names[who]} {what}")
        elif measure == "heard" and ahead(pair, seeds, "score") is not None:
            alone = [names[kind] for kind, network in _members(pair) if network.reference is None]
            reason = f"{' and '.join(alone)} cannot be compiled" if alone else "not both tell it"
            parts.append(f"whom they hear is not compared, since {reason}")
    if not parts:
        return f"Fewer than two of {SEEDS} seeds are measured of one of the two, so that nothing is said."
    return f"At {TRAINED} nodes {'; '.join(parts)}."


def _hypothesis(pairs: Sequence[Pair], seeds: Seeds) -> str:
    """In how many pairs the parallel one is ahead."""
    parts = []
    for measure, (what, _) in _MEASURES.items():
        found = [who for pair in pairs if (who := ahead(pair, seeds, measure)) is not None]
        if found:
            count = {kind: found.count(kind) for kind in ("parallel", "sequential")}
            parts.append(
                f"the parallel one {what} in {count['parallel']} of {len(found)}, the sequential one in "
                f"{count['sequential']}"
            )
    if not parts:
        return "Not measured yet."
    return f"Over the pairs that are measured at {TRAINED} nodes, {'; '.join(parts)}."


def _table(pair: Pair, seeds: Seeds) -> list[str]:
    """A row an algorithm and size."""
    names = ("score", "exact", "hints", "until", "until, compiled", "heard")
    head = ["algorithm", "kind", "n", *names, "frames", "updates", "processor seconds", "seeds"]
    rows = []
    for kind, network in _members(pair):
        there = seeds[network.name]
        for size in PAIRED if there else ():
            each = [_values(record, size) for record in there]
            cells = [told([one[name] for one in (each[:1] if "compiled" in name else each)]) for name in names]
            cells.append(f"{statistics.fmean(one['frames'] for one in each):.1f}")
            first = [f"`{network.algorithm}`", kind]
            last = [
                str(there[0]["cost"]["updates"]),
                told([record["cost"]["cpu_seconds"] for record in there], 0),
                f"{len(there)} of {SEEDS}",
            ]
            if size != TRAINED:
                first, last = ["", ""], ["", "", ""]
            rows.append(f"| {' | '.join([*first, str(size), *cells, *last])} |")
    waiting = [f"`{network.algorithm}`" for _, network in _members(pair) if not seeds[network.name]]
    if not rows:
        return [f"Not measured yet: {', '.join(waiting)}."]
    after = ["", f"Not measured yet: {', '.join(waiting)}."] if waiting else []
    return [f"| {' | '.join(head)} |", "| --- |" + " --- |" * (len(head) - 1), *rows, *after]
