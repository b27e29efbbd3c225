"""Scoring a model on a ladder of sizes, by held-out samples and with its own hints."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from tasks.batch import Batch
from tasks.canonical import CANONICAL, split_of
from tasks.packing import Packed
from tasks.spec import Location, Probe
from tasks.task import Task
from trainers.data import share, stream_seed
from trainers.distributed import Processes
from trainers.fixed_sets import read
from trainers.metrics import Tally
from zoo.processor import Processor

FILE = "file"
"""What the distribution of samples from a file is called in tables of scores."""
# Memory that one batch of an evaluation may take, by the estimate of `samples_at_once`.
MEMORY_BYTES = 2 * 2**30
# Edge latents alive at once in a dense step without gradients: messages, their sum and two temporaries.
_EDGE_TENSORS = 4


@dataclass(frozen=True)
class Cell:
    """Scores of one task at one size of one distribution.

    Attributes:
        task: registry name.
        distribution: of the inputs; several mixed are joined by `+`; `canonical` is a published set, `file` a file's.
        size: as passed to the task's sampler; the largest of a file's.
        graphs: how many were scored.
        score: mean over outputs of each one's score; higher is better.
        exact: share of graphs in which every output is right; NaN where all outputs are scalars.
        prefix: mean share of an answer that is right before its first mistake; NaN where the task does not ask for it.
        probes: `score`, `accuracy`, `wrong_per_graph`, `bits_per_graph`, `relative_error` and `rounds_right` by output,
            as far as its type has them;
            see `trainers.metrics.Tally.result`.
    """

    task: str
    distribution: str
    size: int
    graphs: int
    score: float
    exact: float
    prefix: float = field(default=math.nan, kw_only=True)
    probes: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Evaluation:
    """Scores over tasks, distributions and sizes; a sequence of cells with views of them."""

    cells: tuple[Cell, ...] = field(default=())

    COLUMNS = ("task", "distribution", "n", "graphs", "score", "exact")

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.cells)

    def __add__(self, other: Evaluation) -> Evaluation:
        return Evaluation(self.cells + other.cells)

    def cell(self, *, size: int, distribution: str | None = None, task: str | None = None) -> Cell:
        """One cell; the first task and distribution by default.

        Raises:
            KeyError: it was not evaluated.
        """
        for cell in self.cells:
            if cell.size == size and distribution in (None, cell.distribution) and task in (None, cell.task):
                return cell
        raise KeyError(f"no scores for task {task}, distribution {distribution}, size {size}")

    @property
    def score(self) -> float:
        """Mean score over all cells."""
        return sum(cell.score for cell in self.cells) / len(self.cells)

    def rows(self) -> list[list[Any]]:
        """One row a cell, under `COLUMNS`."""
        return [[c.task, c.distribution, c.size, c.graphs, c.score, c.exact] for c in self.cells]

    def as_dict(self) -> list[dict[str, Any]]:
        """Plain data, every probe included."""
        return [
            {
                "task": c.task,
                "distribution": c.distribution,
                "n": c.size,
                "graphs": c.graphs,
                "score": c.score,
                "exact": c.exact,
                **({} if math.isnan(c.prefix) else {"prefix": c.prefix}),
                "probes": {name: dict(values) for name, values in c.probes.items()},
            }
            for c in self.cells
        ]

    def metrics(self, prefix: str = "ood") -> dict[str, float]:
        """Named values: `ood/score/DISTRIBUTION/n=64`, `ood/exact/…`, and `ood/score/n=64` of the first distribution.

        Where answers are sequences, `ood/prefix/…` likewise.

        With several tasks the task's name comes before the distribution's, and `ood/score/n=64` is the tasks' mean.
        At the size of a canonical set or of a file it is theirs.
        """
        tasks = list(dict.fromkeys(cell.task for cell in self.cells))
        values: dict[str, float] = {}
        first: dict[tuple[str, int], list[float]] = {}
        fixed = {(c.task, c.size): c.distribution for c in self.cells if c.distribution in (CANONICAL, FILE)}
        names = {task: list(dict.fromkeys(c.distribution for c in self.cells if c.task == task)) for task in tasks}
        leading = {task: next((n for n in names[task] if n not in (CANONICAL, FILE)), names[task][0]) for task in tasks}
        for cell in self.cells:
            where = cell.distribution if len(tasks) == 1 else f"{cell.task}/{cell.distribution}"
            values[f"{prefix}/score/{where}/n={cell.size}"] = cell.score
            if not math.isnan(cell.exact):
                values[f"{prefix}/exact/{where}/n={cell.size}"] = cell.exact
            if not math.isnan(cell.prefix):
                values[f"{prefix}/prefix/{where}/n={cell.size}"] = cell.prefix
            if cell.distribution == fixed.get((cell.task, cell.size), leading[cell.task]):
                first.setdefault(("score", cell.size), []).append(cell.score)
                first.setdefault(("exact", cell.size), []).append(cell.exact)
                first.setdefault(("prefix", cell.size), []).append(cell.prefix)
        for (name, size), numbers in first.items():
            mean = sum(numbers) / len(numbers)
            if not math.isnan(mean):
                values[f"{prefix}/{name}/n={size}"] = mean
        return values


def evaluate(
    model: nn.Module,
    task: Task | Sequence[Task],
    *,
    sizes: Sequence[int] = (16, 32, 64),
    distributions: Sequence[str] | None = None,
    samples: int = 64,
    seed: int = 0,
    split: str = "test",
    batch_size: int = 32,
    layout: str = "dense",
    mixed: bool = False,
    canonical: bool = False,
    data: str | None = None,
    precision: str = "float32",
    processes: Processes | None = None,
) -> Evaluation:
    """Score a model with its own hints on held-out samples, at the positions that the literature uses.

    Args:
        model: a `Reasoner`; it comes back in the mode (training or not) that it was in.
        task: what it is scored on; several one after another.
        sizes: sizes of the ladder.
        distributions: of the inputs; the task's default if None.
        samples: graphs a cell.
        seed: of the held-out stream, which no training run shares, whatever its seed.
        split: `"test"` or `"val"`, two separate streams.
        batch_size: samples at once; fewer where the graphs are large, see `samples_at_once`.
        layout: of the batches.
        mixed: whether the distributions are mixed in one cell instead of having one each.
        canonical: whether to score the split's canonical set besides, all of it, in a cell of the distribution
            `canonical`; it stands in for the default distribution's cell at its size.
        data: a file whose samples are scored besides, all of them, in a cell of the distribution `file`, likewise.
        precision: `"bfloat16"` or `"float16"` runs the model in mixed precision.
        processes: that share the work; each gets all scores.

    Returns:
        A cell for each task, distribution and size.

    Raises:
        ValueError: a size below the task's minimum, an unknown distribution or layout; a canonical set that the task
            or the split has not, a file that cannot be used, either in the sparse layout, or both.
    """
    if (canonical or data) and layout != "dense":
        raise ValueError("canonical sets and files hold dense graphs: evaluate with layout='dense'")
    if canonical and data:
        raise ValueError("score a canonical set or a file in one evaluation, not both")
    processes = processes or Processes()
    tasks = [one.for_scoring(split) for one in ([task] if isinstance(task, Task) else task)]
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    stream = stream_seed(seed, split)
    tallies = []
    with _evaluating(model), torch.inference_mode(), autocast(device, precision):
        for one in tasks:
            names = list(distributions or one.distributions[:1])
            kinds = [names] if mixed else [[name] for name in names]
            fixed = _fixed(one, split, canonical, data)
            for kind, size in _cells(kinds, sizes, fixed, one.distributions[0]):
                at_once = samples_at_once(model, one, size, batch_size, layout)
                tally = Tally(one.spec)
                whole = fixed.samples if fixed is not None and kind == [fixed.name] else None
                count = samples if whole is None else whole.batch_size
                low, high = share(count, processes.rank, processes.world)
                for index in range(low, high, at_once):
                    number = min(at_once, high - index)
                    if whole is not None:
                        taken = whole.take(range(index, index + number))
                        batch = taken.unpack() if isinstance(taken, Packed) else taken
                    else:
                        batch = one.sample(
                            seed=stream, batch_size=number, size=size, index=index, distribution=kind, layout=layout
                        )
                    batch = batch.to(device, non_blocking=True)
                    tally.add(batch, model(batch))
                tallies.append((one.name, "+".join(kind), size, tally))
    if processes.world > 1:
        flat = processes.sum_vector(torch.cat([tally.flat() for *_, tally in tallies]))
        parts = flat.split([tally.flat().numel() for *_, tally in tallies])
        for (*_, tally), part in zip(tallies, parts, strict=True):
            tally.load_flat(part)
    return Evaluation(tuple(Cell(name, kind, size, **tally.result()) for name, kind, size, tally in tallies))


class _Fixed(NamedTuple):
    """A set that is scored whole: what its distribution is called, its size, its samples."""

    name: str
    size: int
    samples: Batch | Packed


def _fixed(task: Task, split: str, canonical: bool, data: str | None) -> _Fixed | None:
    """The fixed set that is asked for."""
    if canonical:
        return _Fixed(CANONICAL, split_of(split).size, task.canonical(split))
    if data is None:
        return None
    found = read(data, task, where="data")
    return _Fixed(FILE, max(found.sizes), found.samples)


def _cells(
    kinds: Sequence[list[str]], sizes: Sequence[int], fixed: _Fixed | None, default: str
) -> Iterator[tuple[list[str], int]]:
    """Distributions and size of every cell."""
    if fixed is not None and not (fixed.size in sizes and [default] in kinds):
        yield [fixed.name], fixed.size
    for kind in kinds:
        for size in sizes:
            yield ([fixed.name] if fixed and size == fixed.size and kind == [default] else kind), size


def samples_at_once(model: nn.Module, task: Task, size: int, batch_size: int, layout: str) -> int:
    """How many samples of a size fit `MEMORY_BYTES`, at least 1 and at most `batch_size`.

    A dense step holds a few `[N, N, hidden]` tensors a sample; sparse graphs are taken as they come.
    """
    processor = next((m for m in model.modules() if isinstance(m, Processor)), None)
    if layout == "sparse" or processor is None:
        return batch_size
    probe = task.sample(size=size, batch_size=1)
    nodes, spec = int(probe.sizes.max()), task.spec
    if not spec.has_edges and processor.adjacency == "none":
        return batch_size
    an_edge = sum(_logits_an_edge(p, nodes) for p in spec.hints) * probe.num_steps
    a_sample = 4 * nodes**2 * (_EDGE_TENSORS * processor.hidden_size + an_edge)
    return max(1, min(batch_size, MEMORY_BYTES // a_sample))


def _logits_an_edge(probe: Probe, nodes: int) -> int:
    """How many logits of a probe there are for every pair of nodes."""
    if probe.location is Location.EDGE:
        return nodes if probe.is_pointer else max(probe.classes, probe.channels)
    return int(probe.location is Location.NODE and probe.is_pointer)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Mixed precision where `precision` asks for it."""
    mixed = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision)
    return torch.autocast(device.type, dtype=mixed or torch.bfloat16, enabled=mixed is not None)


@contextmanager
def default_dtype(precision: str) -> Iterator[None]:
    """Double precision as torch's default, which encoders follow, where `precision` asks for it."""
    before = torch.get_default_dtype()
    if precision == "float64":
        torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, every module's own mode restored at the end."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
