"""The ledger: what was measured of the baselines, one small JSON a measured seed, under version control.

`results/BASELINE/ARM-sSEED-ATTEMPT.json` is written when a seed starts and again when it ends. A rerun is a further
attempt; no entry is dropped or replaced. An entry holds the scores and the validation curve, so that measures are
computed from it, and where they are from: config, commit, versions, device, wall time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainers import runs
from trainers.baselines import Baseline
from trainers.config_groups import FOLDER

# In a clone the ledger is the clone's; an installed copy keeps one where it is run.
RESULTS = FOLDER.parent / "results" if (FOLDER.parent / "pyproject.toml").exists() else Path("results")
STARTED, FINISHED, DIVERGED = "started", "finished", "diverged"
_DIGITS = 5


@dataclass(frozen=True)
class Entry:
    """One attempt at a seed.

    Attributes:
        path: its file.
        values: what the file holds.
    """

    path: Path
    values: Mapping[str, Any]

    @property
    def arm(self) -> str:
        """Whose it is."""
        return str(self.values["arm"])

    @property
    def seed(self) -> int:
        """Which seed."""
        return int(self.values["seed"])

    @property
    def attempt(self) -> int:
        """1 for the first, higher for reruns."""
        return int(self.values["attempt"])

    @property
    def state(self) -> str:
        """`started`, `finished` or `diverged`."""
        return str(self.values["state"])

    @property
    def over(self) -> bool:
        """Whether it came to an end, good or bad."""
        return self.state in (FINISHED, DIVERGED)


def entries(baseline: Baseline, results: Path = RESULTS) -> list[Entry]:
    """All entries of a baseline, by arm in its order, seed and attempt."""
    found = []
    for path in (results / baseline.name).glob("*.json"):
        values = runs.read_json(path)
        if isinstance(values, dict) and values.get("arm") in baseline.arms:
            found.append(Entry(path, values))
    order = list(baseline.arms)
    return sorted(found, key=lambda entry: (order.index(entry.arm), entry.seed, entry.attempt))


def current(baseline: Baseline, results: Path = RESULTS) -> dict[tuple[str, int], Entry]:
    """The entry that counts of each arm and seed: the last one by the recipe as it is now.

    An attempt that only started gives way to an earlier one that came to an end.
    """
    found: dict[tuple[str, int], Entry] = {}
    for entry in entries(baseline, results):
        key = (entry.arm, entry.seed)
        if entry.seed >= baseline.seeds or entry.values["recipe"] != baseline.recipe(entry.arm):
            continue
        if entry.over or key not in found:
            found[key] = entry
    return found


def finished(baseline: Baseline, results: Path = RESULTS) -> Counter[tuple[str, int]]:
    """How many entries by the recipe as it is now came to an end, by arm and seed."""
    return Counter(
        (entry.arm, entry.seed)
        for entry in entries(baseline, results)
        if entry.over and entry.values["recipe"] == baseline.recipe(entry.arm)
    )


def path_of(baseline: Baseline, arm: str, seed: int, attempt: int, results: Path = RESULTS) -> Path:
    """The file of an attempt."""
    return results / baseline.name / f"{arm}-s{seed}-{attempt}.json"


def write(path: Path, values: Mapping[str, Any]) -> Entry:
    """Write an entry."""
    path.parent.mkdir(parents=True, exist_ok=True)
    runs.write_json(path, values)
    return Entry(path, values)


def validation_curve(rows: Iterable[Mapping[str, Any]], batch_size: int) -> dict[str, list[Any]]:
    """Validation metrics over the samples seen, those of single sizes left out.

    Args:
        rows: lines of `metrics.jsonl`.
        batch_size: samples a step.

    Returns:
        Columns of floats by metric, and of integers `samples`.
    """
    chosen = [row for row in rows if "val/score" in row]
    metrics = [name for name in (chosen[0] if chosen else {}) if name.startswith("val/") and "/n=" not in name]
    columns = {name: [_short(row.get(name)) for row in chosen] for name in sorted(metrics)}
    return {"samples": [int(row["step"]) * batch_size for row in chosen], **columns}


def shortened(value: Any) -> Any:
    """Plain data with floats to a few digits: enough for any table, and small files."""
    if isinstance(value, Mapping):
        return {key: shortened(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [shortened(each) for each in value]
    return _short(value) if isinstance(value, float) else value


def _short(value: Any) -> float:
    """A float to a few significant digits; NaN for what is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return math.nan
    return float(f"{value:.{_DIGITS}g}")
