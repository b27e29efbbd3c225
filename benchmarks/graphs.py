"""Sparse graphs: samples a second with hints against SALSA-CLRS's sampler, and the growth of time with edges.

The other side cannot be installed beside this library; its rates are those measured once, see `SALSA_CLRS`. Both draw
connected Erdős–Rényi graphs, with 1 to 3 times ln n / n for the probability of an edge, in one thread. Large graphs are
sparse ones of few hops, from a seed to the finished batch. All is timed by the processor's clock, which is that on the
wall where nothing else runs: on a busy machine there is no other side to alternate with.

    python -m benchmarks graphs
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable

import tasks
from benchmarks.measure import MIB, Options, Row
from benchmarks.sampling import BATCH_SIZE
from benchmarks.sparse import slope
from tasks.batch import Batch

SALSA_CLRS = {
    16: {"bfs": 962, "dijkstra": 614, "mst_prim": 609, "dfs": 197, "eccentricity": 708},
    80: {"bfs": 175, "dijkstra": 97, "mst_prim": 96, "dfs": 19},
}
"""Samples a second by nodes and task, on two quiet cores; its sampler of independent sets fails as shipped."""
FASTER = {16: None, 80: 100.0}
SIZES = (62_500, 125_000, 250_000, 500_000, 1_000_000)
FAMILY = "erdos_renyi_log2"
SECONDS = 10.0
"""What the largest graph may take."""
LARGEST_SLOPE = 1.25
"""Linear is 1; the rows of random graphs are read in random order, of small ones from caches, of large ones not."""


def graphs(options: Options) -> list[Row]:
    """Rows on samples a second; then those on large graphs."""
    made = [
        speed(name, size, options)
        for size, peers in SALSA_CLRS.items()
        for name in (list(peers)[:1] if options.smoke else peers)
    ]
    return made + large(options)


def speed(name: str, size: int, options: Options) -> Row:
    """One task at one size, the median over repeats."""
    task, numbers = tasks.create(name), itertools.count(0, BATCH_SIZE)

    def draw() -> Batch:
        return task.sample(
            size=size, batch_size=BATCH_SIZE, index=next(numbers), distribution="erdos_renyi", layout="sparse"
        )

    draw()
    rates = [_rate(draw, 0.01 if options.smoke else 0.4) for _ in range(options.repeats)]
    ours, peer = statistics.median(rates), SALSA_CLRS[size][name]
    return Row(
        name="graphs",
        case=f"{name}, n = {size}, sparse, with hints, one thread, processor time; the peer as measured once",
        ours=f"{ours:,.0f} samples/s",
        peer=f"{peer:,.0f} samples/s",
        ratio=ours / peer,
        target=FASTER[size],
        values={"samples a second": rates},
    )


def _rate(draw: Callable[[], Batch], seconds: float) -> float:
    """Samples for each second of the processor's time, over about so many."""
    count, start = 0, time.process_time()
    while (elapsed := time.process_time() - start) < seconds or not count:
        draw()
        count += BATCH_SIZE
    return count / elapsed


def large(options: Options) -> list[Row]:
    """Breadth-first search on larger and larger graphs: seconds of the largest, and the exponent of their growth."""
    sizes = (500, 1_000, 2_000) if options.smoke else SIZES
    task = tasks.create("bfs", hints="full")
    drawn = [_timed(task, size, min(options.repeats, 3)) for size in sizes]
    edges = [batch.inputs["A"].shape[0] for batch, _ in drawn]
    seconds = [spent for _, spent in drawn]
    details = tuple(
        f"n = {n:8,}  {e:11,} entries  {batch.num_steps:3} steps  {s:7.2f} s  {1e9 * s / e:6.0f} ns an entry  "
        f"{batch.nbytes / MIB:6.0f} MiB"
        for n, e, (batch, s) in zip(sizes, edges, drawn, strict=True)
    )
    case = f"bfs trajectories, sparse, {FAMILY}, n = {sizes[0]:,}…{sizes[-1]:,}, processor time"
    values = {"edges": edges, "seconds": seconds}
    return [
        Row(
            name="graphs",
            case=f"{case}: seconds of the largest",
            ours=f"{seconds[-1]:.2f} s",
            ratio=seconds[-1],
            target=SECONDS,
            at_most=True,
            details=details,
            values=values,
        ),
        Row(
            name="graphs",
            case=f"{case}: exponent of time in edges",
            ours=f"{1e9 * seconds[-1] / edges[-1]:.0f} ns an entry",
            ratio=slope(edges, seconds),
            target=LARGEST_SLOPE,
            at_most=True,
            values=values,
        ),
    ]


def _timed(task: tasks.Task, size: int, repeats: int) -> tuple[Batch, float]:
    """A sampled graph, and the median of the seconds that samples like it take, a first one not counted."""
    spent = []
    for index in range(repeats + 1):
        start = time.process_time()
        batch = task.sample(size=size, batch_size=1, index=index, distribution=FAMILY, layout="sparse")
        spent.append(time.process_time() - start)
    return batch, statistics.median(spent[1:])
