"""Sparse BFS inference: time and memory against the number of edges.

Random graphs of average degree 8, messages along given edges only, a fixed number of processor steps, so that
nothing but the graph grows. The claim is the slope of log cost against log edges.

    python -m benchmarks sparse
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import numpy as np
import torch

import tasks
import zoo
from benchmarks.measure import MIB, Options, Row, Variant, interleave, peak_bytes
from tasks.batch import Batch

SIZES = (1_250, 2_500, 5_000, 10_000, 20_000)
DEGREE = 8
STEPS = 8
LARGEST_SLOPE = 1.15
"""Linear is 1; caches and allocation make large graphs dearer an edge than small ones."""


def sparse(options: Options) -> list[Row]:
    """Slope of time and memory, and the figures at n = 10,000."""
    sizes, hidden = ((50, 100, 200), 8) if options.smoke else (SIZES, 128)
    model = zoo.Reasoner(
        tasks.create("bfs").spec,
        zoo.create("mpnn", hidden_size=hidden, adjacency="given"),
        config=zoo.ReasonerConfig(steps=STEPS),
    ).eval()
    batches = [random_graph(size) for size in sizes]
    edges = [batch.inputs["A"].shape[0] for batch in batches]
    infer = [Variant(f"n = {size}", inference(model, batch)) for size, batch in zip(sizes, batches, strict=True)]
    times = interleave(infer, repeats=options.repeats, threads=options.threads)
    count = min(options.threads, key=lambda n: sum(statistics.median(times[v.label, n]) for v in infer))
    seconds = [statistics.median(times[v.label, count]) for v in infer]
    memory = [peak_bytes(variant.step) for variant in infer]
    details = tuple(
        f"n = {n:6}  {e:7} edges  {1e3 * s:8.1f} ms  {m / MIB:7.1f} MiB  {1e6 * s / e:7.2f} us an edge  "
        f"{m / e:7.0f} bytes an edge"
        for n, e, s, m in zip(sizes, edges, seconds, memory, strict=True)
    )
    case = f"bfs inference, degree {DEGREE}, {STEPS} steps, hidden {hidden}, n = {sizes[0]}…{sizes[-1]}"
    at = sizes.index(10_000) if 10_000 in sizes else -1
    where = f" at n = {sizes[at]}"
    claims = {
        "time": (seconds, f"{1e3 * seconds[at]:.0f} ms{where}", (*details, f"{count} thread{'s' * (count > 1)}")),
        "memory": ([float(m) for m in memory], f"{memory[at] / MIB:.0f} MiB{where}", ()),
    }
    return [
        Row(
            name="sparse",
            case=f"{case}: exponent of {what}",
            ours=quoted,
            ratio=slope(edges, costs),
            target=LARGEST_SLOPE,
            at_most=True,
            details=lines,
            values={"edges": edges, what: costs},
        )
        for what, (costs, quoted, lines) in claims.items()
    ]


def random_graph(size: int) -> Batch:
    """One Erdős–Rényi graph of average degree `DEGREE`, in the sparse layout."""
    draw = np.random.default_rng(size)
    pairs = np.sort(draw.integers(size, size=(size * DEGREE, 2)), axis=1)
    pairs = np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)
    pairs = pairs[draw.permutation(len(pairs))[: size * DEGREE // 2]]
    edge_index = np.concatenate([pairs, pairs[:, ::-1]]).T
    source = int(edge_index[0, 0])
    return tasks.create("bfs").execute(
        {"edge_index": edge_index, "A": np.ones(edge_index.shape[1]), "s": source}, sizes=[size]
    )


def inference(model: zoo.Reasoner, batch: Batch) -> Callable[[], object]:
    """One pass without gradients."""

    def infer() -> object:
        with torch.inference_mode():
            return model(batch)

    return infer


def slope(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Least-squares slope of log cost against log size: the exponent of the growth."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
