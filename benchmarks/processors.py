"""Processors over growing size, and three that must be fast and lean.

Growth: time and peak memory of a step with its derivative, for every architecture at four sizes, each twice the one
before. The claim is the exponent of the growth, held against that of the architecture's family (`benchmarks.families`).
It is fitted to the increments from size to size, in which fixed costs (operators to launch, buffers of chunks) cancel;
of architectures that pass over the nodes as many times as there are, to those of the time of a pass.
On the CPU the clock is that of the process, and the least of some runs counts: what else runs can only add to it.

Targets: `sam` against `ntm` with the heads and words of the paper and a large memory, a million tokens through
`residual_shuffle_exchange`, and `triplet_gmpnn` against dm-clrs.

    python -m benchmarks processors sam million triplet_gmpnn
    python -m benchmarks processors --only "sparse messages"
    python -m benchmarks --gpu processors
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch

import zoo
from benchmarks.families import CASES, Case, GraphStep
from benchmarks.measure import MIB, Options, Row, Variant, compare, free_pages, keep_pages, peak_bytes, torch_threads
from benchmarks.message_passing import against_clrs
from benchmarks.sparse import slope
from zoo.memory.sweep import Sweep
from zoo.processor import Inputs, Latents
from zoo.topology import DenseTopology

TOLERANCE = 0.15
"""How far an exponent may be from its family's."""
TINY = (2, 4, 8)
REPEATS = 3
ROUNDS, ENOUGH = 3, 12.0
"""Rounds over the sizes of a case, at least, and seconds after which no other begins."""
SHORT = 1.0
"""Seconds of a step that the state of the caches matters to."""
A_TURN = 0.1
"""Seconds after which a size has been timed often enough in a round; once at least."""
SAM_FASTER, SAM_LEANER = 20.0, 50.0
LONGEST, LARGEST = 300.0, 12.0
"""Seconds and GiB that a million tokens may take on two cores."""
TRIPLET_TARGET = 1.5
GIB = 2**30


def processors(options: Options) -> Iterator[Row]:
    """Two rows a case, on the CPU: the exponents of time and of memory."""
    keep_pages()
    return grown(options, "cpu")


def processors_gpu(options: Options) -> Iterator[Row]:
    """The same on the device asked for."""
    return grown(options, options.device)


def grown(options: Options, device: str) -> Iterator[Row]:
    """Two rows a case: the exponents of time and of memory."""
    cases = {case.family.name: case for case in CASES}.values() if options.smoke else CASES
    for case in cases:
        if options.only in f"{case.label}; {case.family.name}":
            free_pages()
            yield from growth(case, options, device)


def growth(case: Case, options: Options, device: str) -> list[Row]:
    """Exponents of time and memory of one case, against its family's."""
    sizes = TINY if options.smoke else case.family.sizes
    steps = [GraphStep(case, size, device=device) for size in sizes]
    clock = time.process_time if device == "cpu" else time.perf_counter
    seconds = quickest(steps, clock, rounds=ROUNDS, enough=0.0 if options.smoke else ENOUGH)
    memory = [float(peak(step, device)) for step in steps]
    counted = [step.counted for step in steps]
    what = "edges" if case.family.layout == "sparse" else "nodes"
    details = tuple(
        f"{count:7} {what}  {1e3 * s:9.2f} ms  {m / MIB:9.2f} MiB"
        for count, s, m in zip(counted, seconds, memory, strict=True)
    )
    return [
        held_against(case, f"time on {device}", f"{1e3 * seconds[-1]:.1f} ms", counted, seconds, details=details),
        held_against(case, f"memory on {device}", f"{memory[-1] / MIB:.1f} MiB", counted, memory),
    ]


def quickest(
    steps: Sequence[Callable[[], object]], clock: Callable[[], float], *, rounds: int, enough: float
) -> list[float]:
    """The least seconds of each step on one thread.

    In rounds, for the speed of a machine drifts from minute to minute; and in each round short ones after a run that is
    not timed, for what runs after another size finds the caches full of that.

    Args:
        steps: one a size.
        clock: of the seconds.
        rounds: at least.
        enough: seconds after which no round begins.
    """
    least = [math.inf] * len(steps)
    begin, done = time.perf_counter(), 0
    with torch_threads(1):
        while done < rounds or time.perf_counter() - begin < enough:
            for index, step in enumerate(steps):
                if not done or least[index] < SHORT:
                    step()
                stop = time.perf_counter() + A_TURN
                while True:
                    start = clock()
                    step()
                    least[index] = min(least[index], clock() - start)
                    if time.perf_counter() > stop:
                        break
            done += 1
    return least


def held_against(
    case: Case, what: str, quoted: str, counted: Sequence[int], costs: Sequence[float], *, details: tuple[str, ...] = ()
) -> Row:
    """A row whose ratio is how far an exponent is from the family's.

    Args:
        case: what was measured.
        what: time or memory, and where.
        quoted: the largest cost in words.
        counted: nodes or edges, of each size.
        costs: likewise seconds or bytes.
        details: lines below the row.
    """
    family, timed = case.family, what.startswith("time")
    law = family.time if timed else family.memory
    each = timed and family.passes
    found, meant = (exponent(counted, one, each=each) for one in (costs, [law(count) for count in counted]))
    return Row(
        name="processors",
        case=f"{case.label}: exponent of {what}; {family.name}, {law.__doc__} from {counted[0]} to {counted[-1]}",
        ours=f"{found:.2f}, {quoted}",
        peer=f"{meant:.2f} meant",
        ratio=abs(found - meant),
        target=TOLERANCE,
        at_most=True,
        details=details,
        values={"counted": list(counted), what: list(costs), "exponent": found, "meant": meant},
    )


def exponent(sizes: Sequence[int], costs: Sequence[float], *, each: bool = False) -> float:
    """Exponent p of costs a + b · size^p, of sizes that double; NaN if a larger one is not dearer.

    The least-squares slope of log increments against log size. With `each` every unit of the size has a fixed cost
    too, of costs size · (a + b · size^(p - 1)).
    """
    if each:
        return 1 + exponent(sizes, [cost / size for size, cost in zip(sizes, costs, strict=True)])
    increments = [after - before for before, after in pairwise(costs)]
    return slope(sizes[1:], increments) if min(increments) > 0 else math.nan


def peak(step: Callable[[], object], device: str) -> int:
    """The most memory that a step held above what was held before, in bytes."""
    if device == "cpu":
        with torch_threads(1):
            return peak_bytes(step)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    return torch.cuda.max_memory_allocated() - before


def sam(options: Options) -> list[Row]:
    """`sam` against `ntm`: 65,536 slots of 32 numbers, 4 heads that read and write, 100 steps, batch 1."""
    slots, length, word, heads, units = (64, 4, 4, 2, 6) if options.smoke else (65_536, 100, 32, 4, 100)
    shared = {"slots": slots, "word": word, "read_heads": heads, "controller_size": units}
    ours = Variant("sam", scanned("sam", length, **shared))
    peer = Variant("ntm", scanned("ntm", length, write_heads=heads, **shared))
    case = f"{slots} slots of {word}, {heads} heads that read and {heads} that write, {length} steps, batch 1"
    few = Options(repeats=min(options.repeats, REPEATS), threads=options.threads)
    bytes_ours, bytes_peer = (peak_bytes(variant.step) for variant in (ours, peer))
    leaner = Row(
        name="sam",
        case=f"{case}: peak memory",
        ours=f"{bytes_ours / MIB:.1f} MiB",
        peer=f"{bytes_peer / MIB:.1f} MiB",
        ratio=bytes_peer / bytes_ours,
        target=SAM_LEANER,
        values={"bytes": [bytes_ours, bytes_peer]},
    )
    return [compare("sam", case, [ours], [peer], few, target=SAM_FASTER), leaner]


def scanned(name: str, length: int, **sizes: int) -> Callable[[], object]:
    """A scan of a cell over random tokens, and its derivative."""
    torch.manual_seed(0)
    processor = zoo.create(name, hidden_size=8, **sizes)
    assert isinstance(processor, Sweep)
    cell, xs = processor.cell, torch.randn(1, length, 8)

    def step() -> None:
        ys, _ = cell.scan(xs, cell.initial(1, like=xs))
        ys.square().sum().backward()

    return step


def million(options: Options) -> list[Row]:
    """`residual_shuffle_exchange`, width 48, on a sequence of 1,000,000 tokens, without gradients; one run."""
    length, width = (30, 8) if options.smoke else (1_000_000, 48)
    torch.manual_seed(0)
    processor = zoo.create("residual_shuffle_exchange", hidden_size=width).eval()
    seconds = 0.0

    @torch.inference_mode()
    def infer() -> None:
        nonlocal seconds
        topology = DenseTopology(1, length)
        inputs = Inputs(Latents(torch.randn(1, length, width)))
        hidden, state = processor.initial(inputs, topology)
        start = time.perf_counter()
        processor(inputs, hidden, topology, state)
        seconds = time.perf_counter() - start

    count = max(options.threads)
    with torch_threads(count):
        gib = peak_bytes(infer) / GIB
    case = f"residual_shuffle_exchange, width {width}, {length:,} tokens, no gradients, {count} threads"
    return [
        Row(
            name="million",
            case=f"{case}: {what}",
            ours=f"{value:.2f} {unit}",
            ratio=value,
            target=most,
            at_most=True,
            values={unit: value},
        )
        for what, unit, value, most in (("time", "s", seconds, LONGEST), ("peak memory", "GiB", gib, LARGEST))
    ]


def triplet_gmpnn(options: Options) -> list[Row]:
    """A training step of `triplet_gmpnn` on BFS against dm-clrs's jitted one: batch 32, n = 16, hidden 128."""
    return against_clrs("triplet_gmpnn", options, target=TRIPLET_TARGET)
