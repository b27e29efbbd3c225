"""Samples a second, with hints, against the samplers of dm-clrs on the same machine, interleaved.

    python -m benchmarks.sampling

Without dm-clrs installed (`pip install dm-clrs==2.0.3`) only this library's numbers are printed.
"""

from __future__ import annotations

import importlib
import itertools
import logging
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import tasks

CASES = tuple((name, size) for name in ("bfs", "bellman_ford", "insertion_sort") for size in (16, 64))
TARGET = 30.0
REPEATS = 7
BATCH_SIZE = 32
SECONDS = 0.4


class Row(NamedTuple):
    """Median samples a second of one task at one size; `peer` and `ratio` are None without dm-clrs."""

    task: str
    size: int
    ours: float
    peer: float | None
    ratio: float | None


def rate(draw: Callable[[], object]) -> float:
    """Samples a second of a function that draws one batch, over about `SECONDS`."""
    count = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < SECONDS:
        draw()
        count += BATCH_SIZE
    return count / elapsed


def ours(name: str, size: int) -> Callable[[], object]:
    """This library's sampler, compiled; it never draws the same sample twice."""
    task = tasks.create(name)
    numbers = itertools.count(0, BATCH_SIZE)
    task.sample(size=size, batch_size=BATCH_SIZE)
    return lambda: task.sample(size=size, batch_size=BATCH_SIZE, index=next(numbers))


def peer(clrs: Any, name: str, size: int) -> Callable[[], object]:
    """The sampler of dm-clrs, drawing on the fly."""
    sampler, _ = clrs.build_sampler(name, num_samples=-1, seed=0, track_max_steps=False, length=size)
    return lambda: sampler.next(BATCH_SIZE)


def import_peer() -> Any | None:
    """The dm-clrs package, or None where it is not installed."""
    try:
        return importlib.import_module("clrs")
    except ImportError:
        return None


def measure(clrs: Any | None) -> list[Row]:
    """One row a case: medians over interleaved repeats, the ratio that of each repeat's pair."""
    rows = []
    for name, size in CASES:
        mine = ours(name, size)
        if clrs is None:
            rows.append(Row(name, size, statistics.median(rate(mine) for _ in range(REPEATS)), None, None))
            continue
        theirs = peer(clrs, name, size)
        pairs = [(rate(mine), rate(theirs)) for _ in range(REPEATS)]
        medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
        rows.append(Row(name, size, medians[0], medians[1], statistics.median(a / b for a, b in pairs)))
    return rows


def main() -> None:
    """Print the table."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    clrs = import_peer()
    print(f"{'task':16}{'n':>4}{'ours/s':>12}{'dm-clrs/s':>12}{'ratio':>8}   (target {TARGET:.0f}x)")
    for row in measure(clrs):
        theirs = "-" if row.peer is None else f"{row.peer:,.0f}"
        ratio = "-" if row.ratio is None else f"{row.ratio:.0f}x"
        print(f"{row.task:16}{row.size:>4}{row.ours:>12,.0f}{theirs:>12}{ratio:>8}")


if __name__ == "__main__":
    main()
