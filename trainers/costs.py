"""What rows cost: minutes as measured where the ledger has them, guessed where it does not.

On a CPU these are minutes of processor time over the threads used: what a machine with nothing else to do takes.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path

from trainers import ledger
from trainers.baselines import Baseline

CPU, GPU = "cpu", "gpu"


def seed_minutes(
    baseline: Baseline, arm: str, results: Path = ledger.RESULTS, *, device: str = CPU
) -> tuple[float, bool]:
    """Minutes that a seed of an arm takes.

    Args:
        baseline: the row.
        arm: of the row.
        results: folder of the ledger.
        device: `"cpu"` or `"gpu"`.

    Returns:
        The median over measured seeds, or the row's guess; and whether it was measured.
    """
    found = [
        (entry.values["cpu_seconds"] / entry.values["threads"] if device == CPU else entry.values["seconds"]) / 60
        for entry in ledger.entries(baseline, results)
        if entry.arm == arm
        and entry.state == ledger.FINISHED
        and entry.values["recipe"] == baseline.recipe(arm)
        and (entry.values.get("cuda") is not None) == (device == GPU)
    ]
    return (statistics.median(found), True) if found else (getattr(baseline.minutes, device), False)


def remaining_minutes(baseline: Baseline, results: Path = ledger.RESULTS, *, device: str = CPU) -> float:
    """Minutes that a row still needs."""
    counted = ledger.current(baseline, results)
    wanted = [(arm, seed) for arm in baseline.arms for seed in range(baseline.seeds)]
    left = [key for key in wanted if key not in counted or not counted[key].over]
    return sum(seed_minutes(baseline, arm, results, device=device)[0] for arm, _ in left)


def order_by_cost(rows: Iterable[Baseline], results: Path = ledger.RESULTS, *, device: str = CPU) -> list[Baseline]:
    """Rows, those that need least first."""
    return sorted(rows, key=lambda row: (remaining_minutes(row, results, device=device), row.name))
