"""Time to sample a thousand sequences of a hundred places, for every task on sequences.

python -m benchmarks sequences
"""

from __future__ import annotations

import itertools
import statistics
import time

import tasks
from benchmarks.measure import Options, Row
from tasks.batch import Batch
from tasks.task import Task

SAMPLES, PLACES = 1_000, 100
LONGEST = 100.0
"""Milliseconds that a batch may take: a training step of the cells takes about as long."""


def sequences(options: Options) -> list[Row]:
    """A row for each task; its ratio is the time in milliseconds."""
    names = [name for name in tasks.list_tasks() if tasks.describe(name).cls.__module__.startswith("tasks.sequences.")]
    samples, places = (10, 30) if options.smoke else (SAMPLES, PLACES)
    return [row(tasks.create(name), samples, places, options.repeats) for name in names[:: 5 if options.smoke else 1]]


def row(task: Task, samples: int, places: int, repeats: int) -> Row:
    """The median over fresh batches; the first, which loads or compiles the kernels, is not counted."""
    size = fitting(task, places)
    numbers = itertools.count(0, samples)
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        batch = task.sample(size=size, batch_size=samples, index=next(numbers))
        times.append(1e3 * (time.perf_counter() - start))
    median = statistics.median(times[1:])
    return Row(
        name="sequences",
        case=f"{samples} samples of {task.name}, size {size}, up to {extent(batch)} places",
        ours=f"{median:.1f} ms",
        ratio=median,
        target=LONGEST,
        at_most=True,
        values={"milliseconds": times[1:]},
    )


def extent(batch: Batch) -> int:
    """Places of the longest sample: nodes, or steps of a stream."""
    streamed = any(probe.streamed for probe in batch.spec.probes)
    return batch.num_steps if streamed else int(batch.sizes.max())


def fitting(task: Task, places: int) -> int:
    """The largest size whose samples have at most so many places, or the smallest there is."""
    low, high = task.min_size, task.min_size + 1
    while extent(task.sample(size=high, batch_size=16)) <= places:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if extent(task.sample(size=middle, batch_size=16)) <= places else (low, middle)
    return low
