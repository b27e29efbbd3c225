"""Samples a second, with hints, against the samplers of dm-clrs on the same machine, interleaved.

python -m benchmarks sampling
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import tasks
from benchmarks.measure import NO_PEER, Options, Row
from benchmarks.message_passing import import_clrs

CASES = tuple((name, size) for name in ("bfs", "bellman_ford", "insertion_sort") for size in (16, 64))
TARGET = 30.0
BATCH_SIZE = 32
SECONDS = 0.4


def rate(draw: Callable[[], object], seconds: float = SECONDS) -> float:
    """Samples a second of a function that draws one batch, over about so many seconds."""
    count = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or not count:
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


def rows(options: Options) -> list[Row]:
    """One row a case: medians over interleaved repeats, the ratio that of each repeat's pair."""
    clrs = import_clrs()
    cases = CASES[::2] if options.smoke else CASES
    seconds = 0.01 if options.smoke else SECONDS
    return [row(clrs, name, 5 if options.smoke else size, options.repeats, seconds) for name, size in cases]


def row(clrs: Any | None, name: str, size: int, repeats: int, seconds: float) -> Row:
    """A task at a size."""
    drawers = [ours(name, size), *([] if clrs is None else [peer(clrs, name, size)])]
    rates = [[rate(draw, seconds) for draw in drawers] for _ in range(repeats)]
    medians = [statistics.median(column) for column in zip(*rates, strict=True)]
    return Row(
        name="sampling",
        case=f"{name}, n = {size}, with hints, one thread",
        ours=f"{medians[0]:,.0f} samples/s",
        peer=f"{medians[1]:,.0f} samples/s" if clrs is not None else "",
        ratio=statistics.median(a / b for a, b in rates) if clrs is not None else None,
        target=TARGET,
        unchecked="" if clrs is not None else NO_PEER,
        values={"samples a second": medians},
    )
