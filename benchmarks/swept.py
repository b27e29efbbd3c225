"""What a swept cell costs on a graph: time and memory of a training step over T steps and N nodes.

python -m benchmarks swept
"""

from __future__ import annotations

import statistics

import tasks
import zoo
from benchmarks.measure import MIB, Options, Row, Variant, interleave, peak_bytes
from benchmarks.steps import Trained
from zoo.codec import ReasonerConfig

CELLS = ("ntm", "dnc", "lstm")
GRID = ((1, 16), (4, 16), (16, 16), (4, 64))
BATCH_SIZE = 16


def swept(options: Options) -> list[Row]:
    """A row for each cell and each way to read; nothing is claimed."""
    grid, batch_size = (((2, 3),), 2) if options.smoke else (GRID, BATCH_SIZE)
    sizes = {"hidden_size": 8} if options.smoke else {"hidden_size": 128}
    rows = []
    for cell in CELLS:
        for every, reading in (("step", "reads all nodes at each step"), ("start", "reads all nodes once")):
            steps = [Variant(f"{t}, {n}", step_on(cell, every, t, n, batch_size=batch_size, **sizes)) for t, n in grid]
            # Costs, not a comparison: one round after the uncounted one says enough.
            times = interleave(steps, repeats=min(options.repeats, 2), threads=options.threads[:1])
            seconds = [statistics.median(times[v.label, options.threads[0]]) for v in steps]
            memory = [peak_bytes(v.step) for v in steps]
            details = tuple(
                f"T = {t:3}  N = {n:3}  {1e3 * s:9.1f} ms  {m / MIB:9.1f} MiB"
                for (t, n), s, m in zip(grid, seconds, memory, strict=True)
            )
            rows.append(
                Row(
                    name="swept",
                    case=f"{cell} on bfs, {reading}, batch {batch_size}, hidden {sizes['hidden_size']}, "
                    f"{options.threads[0]} thread",
                    ours=f"{1e3 * seconds[-1]:.0f} ms",
                    details=details,
                    values={"T, N": grid, "seconds": seconds, "bytes": memory},
                )
            )
    return rows


def step_on(cell: str, every: str, steps: int, size: int, *, batch_size: int, **sizes: int) -> Trained:
    """A training step of a cell on BFS, of so many processor steps whatever the graph."""
    batch = tasks.create("bfs").sample(batch_size=batch_size, size=size)
    return Trained(batch, zoo.create(cell, every=every, **sizes), reasoner=ReasonerConfig(steps=steps))
