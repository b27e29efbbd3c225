"""Samples a second with hints, and bytes of a batch, against dm-clrs on the same machine, interleaved.

python -m benchmarks sampling
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tasks
from benchmarks.measure import MIB, NO_PEER, Options, Row
from benchmarks.message_passing import import_clrs
from tasks import legacy
from tasks.packing import pack

SIZES = (16, 64)
SLOWEST, MEAN = 10.0, 50.0
"""What the ratio of speeds must reach: for every task, and as a geometric mean over all."""
LARGEST, TOGETHER = 1 / 3, 1 / 9
"""What the ratio of bytes may be: for every task, and for all of them together."""
BATCH_SIZE = 32
SECONDS = 0.4
PATIENCE = 2.0
"""Seconds a batch above which fewer repeats have to do."""


class Drawer(NamedTuple):
    """One side of a comparison: a function that draws a batch, and the bytes of what it gave."""

    draw: Callable[[], Any]
    size_of: Callable[[Any], int]


def rate(draw: Callable[[], object], seconds: float = SECONDS) -> float:
    """Samples a second of a function that draws one batch, over about so many seconds."""
    count = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or not count:
        draw()
        count += BATCH_SIZE
    return count / elapsed


def ours(name: str, size: int) -> Drawer:
    """This library's sampler, compiled; it never draws the same sample twice."""
    task = tasks.create(name)
    numbers = itertools.count(0, BATCH_SIZE)
    task.sample(size=size, batch_size=BATCH_SIZE)
    return Drawer(
        lambda: task.sample(size=size, batch_size=BATCH_SIZE, index=next(numbers)), lambda batch: pack(batch).nbytes
    )


def peer(clrs: Any, name: str, size: int) -> Drawer:
    """The sampler of dm-clrs, drawing on the fly."""
    sampler, _ = clrs.build_sampler(name, num_samples=-1, seed=0, track_max_steps=False, length=size)

    def size_of(feedback: Any) -> int:
        features = feedback.features
        points = [*features.inputs, *features.hints, *feedback.outputs]
        return sum(point.data.nbytes for point in points) + features.lengths.nbytes

    return Drawer(lambda: sampler.next(BATCH_SIZE), size_of)


def rows(options: Options) -> list[Row]:
    """A row on speed for each task and size and on memory for each task; then those on all tasks together."""
    clrs = import_clrs()
    names = sorted(legacy.SAMPLERS)[:: 10 if options.smoke else 1]
    sizes = (5,) if options.smoke else SIZES
    seconds = 0.01 if options.smoke else SECONDS
    made: list[Row] = []
    for size in sizes:
        speeds = [speed(clrs, name, size, options.repeats, seconds) for name in names]
        made += [*speeds, together(speeds, size)]
    memories = [memory(clrs, name, sizes[-1]) for name in names]
    return [*made, *memories, all_bytes(memories, sizes[-1])]


def speed(clrs: Any | None, name: str, size: int, repeats: int, seconds: float) -> Row:
    """A task at a size: medians over interleaved repeats, the ratio that of each repeat's pair."""
    drawers = [ours(name, size), *([] if clrs is None else [peer(clrs, name, size)])]
    rates: list[list[float]] = []
    while len(rates) < repeats:
        rates.append([rate(drawer.draw, seconds) for drawer in drawers])
        if BATCH_SIZE / rates[-1][-1] > PATIENCE:
            repeats = min(repeats, 3)
    medians = [statistics.median(column) for column in zip(*rates, strict=True)]
    return Row(
        name="sampling",
        case=f"{name}, n = {size}, with hints, one thread",
        ours=f"{medians[0]:,.0f} samples/s",
        peer=f"{medians[1]:,.0f} samples/s" if clrs is not None else "",
        ratio=statistics.median(a / b for a, b in rates) if clrs is not None else None,
        target=SLOWEST,
        unchecked="" if clrs is not None else NO_PEER,
        values={"samples a second": medians},
    )


def together(speeds: Sequence[Row], size: int) -> Row:
    """Geometric means over all tasks: of the samples a second, and of their ratios."""
    ratios = [row.ratio for row in speeds if row.ratio is not None]
    rates = [_mean(column) for column in zip(*(row.values["samples a second"] for row in speeds), strict=True)]
    return Row(
        name="sampling",
        case=f"geometric mean over {len(speeds)} tasks, n = {size}",
        ours=f"{rates[0]:,.0f} samples/s",
        peer=f"{rates[1]:,.0f} samples/s" if ratios else "",
        ratio=_mean(ratios) if ratios else None,
        target=MEAN,
        unchecked="" if ratios else NO_PEER,
        values={"samples a second": rates},
    )


def _mean(values: Sequence[float]) -> float:
    """The geometric mean."""
    return math.exp(statistics.fmean(map(math.log, values)))


def memory(clrs: Any | None, name: str, size: int) -> Row:
    """Bytes of one batch, packed as it is kept; the ratio is ours to the peer's."""
    drawers = [ours(name, size), *([] if clrs is None else [peer(clrs, name, size)])]
    nbytes = [drawer.size_of(drawer.draw()) for drawer in drawers]
    return Row(
        name="sampling",
        case=f"bytes of {BATCH_SIZE} samples of {name}, n = {size}",
        ours=f"{nbytes[0] / MIB:.2f} MiB",
        peer=f"{nbytes[1] / MIB:.2f} MiB" if clrs is not None else "",
        ratio=nbytes[0] / nbytes[1] if clrs is not None else None,
        target=LARGEST,
        at_most=True,
        unchecked="" if clrs is not None else NO_PEER,
        values={"bytes": nbytes},
    )


def all_bytes(memories: Sequence[Row], size: int) -> Row:
    """Bytes of the batches of all tasks together."""
    columns = list(zip(*(row.values["bytes"] for row in memories), strict=True))
    totals = [sum(column) for column in columns]
    both = len(totals) > 1
    return Row(
        name="sampling",
        case=f"bytes of {BATCH_SIZE} samples of each of {len(memories)} tasks, n = {size}",
        ours=f"{totals[0] / MIB:.2f} MiB",
        peer=f"{totals[1] / MIB:.2f} MiB" if both else "",
        ratio=totals[0] / totals[1] if both else None,
        target=TOGETHER,
        at_most=True,
        unchecked="" if both else NO_PEER,
        values={"bytes": totals},
    )
