"""Batches of a step, made again from nothing but seed and step, and sampled ahead in threads."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch

from tasks import generators
from tasks.batch import Batch
from tasks.packing import Packed, pack
from tasks.task import Task
from trainers.curriculum import Curriculum
from trainers.fixed_sets import first_samples, training_set
from trainers.grouping import grouped
from trainers.losses import Objective
from trainers.trainer_config import TrainerConfig

Item = TypeVar("Item")
# Batches of more bytes wait for a GPU, and move to it, packed. Packing takes the sampling thread about a second for
# every 100 MB, so that it pays where page-locked memory and the bus are short, not for every small batch.
_PACKED_FROM = 32 * 2**20


def stream_seed(seed: int, split: str) -> int:
    """The seed of a split's samples: different splits never share a stream, whatever their seeds.

    Args:
        seed: of the run, or of the evaluation.
        split: `"train"`, `"val"`, `"test"`, or any other name.

    Returns:
        A hash of both, below 2^63.
    """
    digest = hashlib.sha256(f"{split}:{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def share(count: int, rank: int, world: int) -> tuple[int, int]:
    """First and one-past-last of a process's contiguous part of `count` samples."""
    return count * rank // world, count * (rank + 1) // world


class StepBatches(NamedTuple):
    """What one process trains on in one step.

    Attributes:
        task: position of the step's task.
        batches: one micro-batch after another, in groups of like length or whole; large ones on their way to a GPU are
            packed.
        counts: scored entries of each loss term over all of them.
    """

    task: int
    batches: tuple[Batch | Packed, ...]
    counts: dict[str, int]


class Sampler:
    """Training batches as a function of the step and of the curriculum's lesson, which are all there is to resume.

    Attributes:
        curriculum: how sizes are drawn.
        lesson: where it stands; set between two steps, while no batch is being made.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        config: TrainerConfig,
        objective: Objective,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
        pin_memory: bool = False,
        hidden: int | None = None,
    ) -> None:
        """Prepare; nothing is sampled yet.

        Args:
            tasks: what is trained on, in turn.
            config: batch size, sizes, distributions and layout.
            objective: whose terms are counted.
            seed: of the run.
            rank: of this process, which gets its contiguous part of every micro-batch.
            world: number of processes.
            pin_memory: whether batches are page-locked, for asynchronous copies to a GPU.
            hidden: units of a processor whose micro-batches are computed in groups of like length; None for none.

        Raises:
            ValueError: a micro-batch that does not give every process a sample, a fixed set that a task cannot be
                trained on.
        """
        if config.batch_size < world:
            raise ValueError(f"trainer.batch_size={config.batch_size} leaves one of {world} processes without a sample")
        self.tasks, self.config, self.objective = list(tasks), config, objective
        self.seed, self.rank, self.world, self.pin_memory = seed, rank, world, pin_memory
        self.hidden = hidden
        self.stream = stream_seed(seed, "train")
        self.curriculum = Curriculum(config.curriculum, config.sizes)
        self.lesson = self.curriculum.first
        if config.train_samples:
            self.sets = [first_samples(task, config, self.stream) for task in tasks]
        else:
            self.sets = [found for task in tasks if (found := training_set(task, config)) is not None]

    @property
    def identity(self) -> dict[str, list[str]]:
        """Which files are trained on, if any are: what a run and its resumption must share."""
        files = [each.fingerprint for each in self.sets if each.fingerprint]
        return {"data": files} if files else {}

    def task_of(self, step: int) -> int:
        """Position of the task of a step."""
        if self.config.task_mix == "draw":
            return stream_seed(step, f"task:{self.seed}") % len(self.tasks)
        return step % len(self.tasks)

    def samples_of(self, step: int) -> list[tuple[int, int]]:
        """First sample number and number of samples of each of this process's micro-batches."""
        low, high = share(self.config.batch_size, self.rank, self.world)
        first = step * self.config.accumulate * self.config.batch_size
        return [(first + k * self.config.batch_size + low, high - low) for k in range(self.config.accumulate)]

    def sizes_at(self, index: int) -> tuple[int, ...]:
        """Sizes of which a sample may draw: one for all of its micro-batch, where that draws it."""
        sizes = self.curriculum.menu(self.lesson)
        if self.config.sizes_by == "sample":
            return sizes
        number = index // self.config.batch_size
        return (sizes[stream_seed(number, f"size:{self.seed}") % len(sizes)],)

    def sample(self, task: int, index: int, batch_size: int) -> Batch:
        """Training samples `index` to `index + batch_size` of a task, all of one micro-batch.

        From a fixed set they are drawn with replacement, each by its number in the run, which becomes its index.
        """
        if self.sets:
            whole = self.sets[task].samples
            numbers = np.arange(index, index + batch_size)
            members = np.full(batch_size, whole.batch_size)
            drawn = generators.choices(generators.seed_word(self.stream), numbers, members, generators.MEMBER)
            taken = whole.take(torch.from_numpy(drawn))
            batch = taken.unpack() if isinstance(taken, Packed) else taken
            return replace(batch, index=torch.from_numpy(numbers))
        return self.tasks[task].sample(
            seed=self.stream,
            batch_size=batch_size,
            size=self.sizes_at(index),
            index=index,
            distribution=self.config.distributions or None,
            layout=self.config.layout,
        )

    def __call__(self, step: int) -> StepBatches:
        """This process's part of the batches of a step."""
        task = self.task_of(step)
        batches, counts = list[Batch | Packed](), dict[str, int]()
        for index, batch_size in self.samples_of(step):
            batch = self.sample(task, index, batch_size)
            for name, count in self.objective.counts(batch).items():
                counts[name] = counts.get(name, 0) + count
            parts = [batch] if self.hidden is None else grouped(batch, self.hidden)
            batches += [_pinned(part) if self.pin_memory else part for part in parts]
        return StepBatches(task, tuple(batches), counts)


def _pinned(batch: Batch) -> Batch | Packed:
    """A batch ready for its copy to a GPU."""
    waiting = pack(batch) if batch.nbytes > _PACKED_FROM else batch
    return waiting.pin_memory()


class Prefetch(Generic[Item]):
    """Items `make(start), make(start + 1), …`, made ahead in threads and handed out in order.

    Tasks' kernels release the interpreter's lock, so that sampling runs beside the training step. An exception in
    `make` is raised where its item is due. Close it, or use it in a `with` statement, to end its threads.
    """

    def __init__(self, make: Callable[[int], Item], start: int, stop: int, *, depth: int = 4, threads: int = 1) -> None:
        """Start making items.

        Args:
            make: the item of a number; called from several threads.
            start: first number.
            stop: one past the last.
            depth: items made ahead, 0 to make each when it is asked for, without threads.
            threads: that make them.
        """
        self.make, self.depth = make, depth
        self.next, self.stop = start, stop
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="sample") if depth else None
        self.pending: deque[Future[Item]] = deque()

    def __iter__(self) -> Iterator[Item]:
        if self.pool is None:
            yield from map(self.make, range(self.next, self.stop))
            return
        while self.pending or self.next < self.stop:
            while self.next < self.stop and len(self.pending) < self.depth:
                self.pending.append(self.pool.submit(self.make, self.next))
                self.next += 1
            yield self.pending.popleft().result()

    def __enter__(self) -> Prefetch[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop what was made ahead and end the threads."""
        self.pending.clear()
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)
