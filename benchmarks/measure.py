"""Interleaved timing, peak memory, and the rows of the table."""

from __future__ import annotations

import ctypes
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

NO_PEER = "peer not installed: pip install '.[peers]'"
MIB = 2**20
HOPELESS = 4.0
# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line asked for.

    Attributes:
        repeats: timed repeats of everything; the first, a warm-up, is not counted.
        smoke: tiny sizes, to see that everything runs; the ratios then mean nothing.
        compiled: whether to measure compiled forms too.
        threads: torch threads to measure with; the better count is quoted.
        pytorch_ntm: a checkout of pytorch-ntm, or None.
        device: of the GPU benchmarks.
        only: text in the cases that are measured, where a benchmark has many; empty for all.
    """

    repeats: int = 9
    smoke: bool = False
    compiled: bool = True
    threads: tuple[int, ...] = (1, 2)
    pytorch_ntm: str | None = None
    device: str = "cuda"
    only: str = ""


class Variant(NamedTuple):
    """One way to do the same thing; `step` does it once and returns when it is done."""

    label: str
    step: Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        name: of the benchmark.
        case: its sizes.
        ours: what is quoted of this library, with its unit.
        peer: likewise of the other one; empty where there is none.
        ratio: how many times better ours is, or what else the target bounds.
        target: what the ratio must reach; None where nothing is claimed.
        at_most: whether the ratio must stay below the target instead.
        unchecked: why the target could not be checked; empty where it was.
        details: every measured variant, printed below the line.
        values: the numbers behind it, for `--json`.
    """

    name: str
    case: str
    ours: str
    peer: str = ""
    ratio: float | None = None
    target: float | None = None
    at_most: bool = False
    unchecked: str = ""
    details: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """`"ok"`, `"missed"`, `"not checked"`, or `"-"` where nothing is claimed."""
        if self.unchecked:
            return "not checked"
        if self.target is None or self.ratio is None:
            return "-"
        good = self.ratio <= self.target if self.at_most else self.ratio >= self.target
        return "ok" if good else "missed"


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """So many torch threads inside, as many as before outside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_pages() -> None:
    """Have the C library keep what is freed, where it is glibc: from 32 MiB on it would map every tensor anew.

    The kernel clears pages that are mapped, which costs more than most operators do: the time of a step would jump
    where its tensors pass that size.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        for parameter, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1)):
            mallopt(parameter, value)


def free_pages() -> None:
    """Give back what `keep_pages` has kept."""
    gc.collect()
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> Any:
    """A function of the C library, or None where it is not glibc."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def interleave(
    variants: Sequence[Variant], *, repeats: int, threads: Sequence[int], clock: Callable[[], float] = time.perf_counter
) -> dict[tuple[str, int], list[float]]:
    """Seconds of each variant with each number of threads, A B A B …, after an uncounted round of all.

    Beside other busy processes more threads can be many times slower: a variant that is `HOPELESS` times slower with
    one number of threads than with another is measured so once only.

    Returns:
        For each (label, threads) one time a round: equal positions were measured side by side.
    """
    seconds: dict[tuple[str, int], list[float]] = {(v.label, n): [] for n in threads for v in variants}
    for round_ in range(repeats + 1):
        for count in threads:
            with torch_threads(count):
                for variant in variants:
                    times = seconds[variant.label, count]
                    if round_ > 1 and times[0] > HOPELESS * min(seconds[variant.label, n][0] for n in threads):
                        continue
                    start = clock()
                    variant.step()
                    if round_:
                        times.append(clock() - start)
    return seconds


def compare(
    name: str,
    case: str,
    ours: Sequence[Variant],
    peers: Sequence[Variant],
    options: Options,
    *,
    target: float | None,
    unchecked: str = "",
    notes: Sequence[str] = (),
) -> Row:
    """A row on the time of a step: the fastest of our variants against the fastest of the peers'.

    Args:
        name: of the benchmark.
        case: its sizes.
        ours: our variants.
        peers: the peer's; none if it is not there.
        options: repeats and threads.
        target: what the ratio must reach.
        unchecked: why the target does not apply to these peers; empty if it does.
        notes: further lines below the row.
    """
    seconds = interleave([*ours, *peers], repeats=options.repeats, threads=options.threads)
    medians = {key: statistics.median(times) for key, times in seconds.items()}
    best = min((key for key in medians if key[0] in {v.label for v in ours}), key=medians.__getitem__)
    theirs = min((key for key in medians if key[0] in {v.label for v in peers}), key=medians.__getitem__, default=None)
    ratio = None
    if theirs is not None:
        ratio = statistics.median(b / a for a, b in zip(seconds[best], seconds[theirs], strict=True))
    details = tuple(
        f"{v.label:24}" + "   ".join(f"{n} thread{'s' * (n > 1)} {_ms(medians[v.label, n])}" for n in options.threads)
        for v in [*ours, *peers]
    )
    return Row(
        name=name,
        case=case,
        ours=_ms(medians[best]),
        peer="" if theirs is None else _ms(medians[theirs]),
        ratio=ratio,
        target=target,
        unchecked=unchecked or ("" if peers else NO_PEER),
        details=(*details, *notes),
        values={"milliseconds": {f"{label}, threads {n}": 1e3 * value for (label, n), value in medians.items()}},
    )


def _ms(seconds: float) -> str:
    """Milliseconds in a column."""
    return f"{1e3 * seconds:8.1f} ms"


def peak_bytes(function: Callable[[], object]) -> int:
    """The most memory that torch's allocator for the CPU held for a function above what it held before.

    Counted from its own records, so that freed pages which the process keeps do not blur it.
    """
    with _profiler_silenced(), profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as seen:
        function()
    assert seen.profiler is not None and seen.profiler.kineto_results is not None
    records = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(records, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


@contextmanager
def _profiler_silenced() -> Iterator[None]:
    """Without the lines that the profiler writes to the process's standard error at start and stop."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def no_compiler() -> str:
    """Why torch.compile cannot work on this CPU, or an empty string."""
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler

        get_cpp_compiler()
    except Exception as error:  # what it raises differs between versions
        return str(error).strip().split("\n")[0] or type(error).__name__
    return ""
