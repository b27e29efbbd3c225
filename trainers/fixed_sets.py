"""Sets of samples that do not change while a model trains: published ones, those in files, and a stream's first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tasks import dataset
from tasks.batch import Batch
from tasks.canonical import CANONICAL
from tasks.dataset import DataSet
from tasks.packing import Packed
from tasks.task import Task
from trainers.trainer_config import TrainerConfig, is_file
from trainers.usage import UsageError

# Sets that unpacked take more bytes than this stay packed: taking a batch out of them costs milliseconds more.
_PLAIN_BYTES = 256 * 2**20


class FixedSet(NamedTuple):
    """A training set.

    Attributes:
        samples: all of them; packed where they are many.
        fingerprint: tells one file from another; empty for a published set.
    """

    samples: Batch | Packed
    fingerprint: str = ""


def training_set(task: Task, config: TrainerConfig) -> FixedSet | None:
    """What a task is trained on, or None if new samples are drawn at every step.

    Raises:
        ValueError: the task has no such set, its config does not go with it, or the file cannot be used.
    """
    if config.data == CANONICAL:
        return FixedSet(_canonical(task))
    if not is_file(config.data):
        return None
    found = read(config.data, task, where="trainer.data")
    wanted = {"sizes": found.sizes, "distributions": found.distributions}
    wrong = {name: value for name, value in wanted.items() if set(getattr(config, name)) != set(value)}
    if wrong:
        held = " and ".join(f"{name} {_listed(value) or 'of the default'}" for name, value in wrong.items())
        fixes = " ".join(f"trainer.{name}=[{_listed(value)}]" for name, value in wrong.items())
        raise ValueError(f"trainer.data: {config.data} holds samples with {held}\nwrite {fixes}, or leave it out")
    small = found.samples.unpacked_nbytes <= _PLAIN_BYTES
    return FixedSet(found.samples.unpack() if small else found.samples, found.fingerprint)


def first_samples(task: Task, config: TrainerConfig, stream: int) -> FixedSet:
    """The first samples of a task's stream, as many as are to be trained on; smaller sets are parts of larger ones.

    Args:
        task: of the samples.
        config: how many, of which sizes and distributions.
        stream: seed of the samples.
    """
    return FixedSet(
        task.sample(
            seed=stream,
            batch_size=config.train_samples,
            size=config.sizes,
            distribution=config.distributions or None,
            layout="dense",
        )
    )


def read(path: str, task: Task, *, where: str) -> DataSet:
    """A file's samples of a task.

    Args:
        path: of the file.
        task: of the samples.
        where: what the file was named by, for messages.

    Raises:
        ValueError: there is no such file, it is broken, or of something else.
    """
    remedy = f"write one: zoo sample {task.name} --out {path}"
    try:
        return dataset.read(path, task)
    except FileNotFoundError:
        raise ValueError(f"{where}: there is no file {path}\n{remedy}") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}\n{remedy.replace(path, 'ANOTHER.npz')}") from error


def settings(path: str, tasks: Sequence[str]) -> dict[str, Any]:
    """The trainer's options that follow from training on a file.

    Args:
        path: of the file.
        tasks: names of the run's tasks.

    Raises:
        UsageError: there is no such file, it is broken or of another task, or there are several tasks.
    """
    if len(tasks) != 1:
        raise UsageError(
            f"trainer.data: {path} holds samples of one task, the run has {', '.join(tasks)}",
            "train one task on a file, or several with trainer.data=stream",
        )
    try:
        about = dataset.read_about(path)
        if about["task"] != tasks[0]:
            raise ValueError(f"{path} holds samples of {about['task']}, expected those of {tasks[0]}")
    except OSError as error:
        remedy = f"write one: zoo sample {tasks[0]} --out {path}"
        raise UsageError(f"trainer.data: {path}: {error.strerror}", remedy) from error
    except ValueError as error:
        remedy = f"write one: zoo sample {tasks[0]} --out ANOTHER.npz"
        raise UsageError.of(error, where="trainer.data", remedy=remedy) from error
    held = {"sizes": about.get("sizes"), "distributions": about.get("distributions", [])}
    return {"layout": "dense", **{name: value for name, value in held.items() if value is not None}}


def _canonical(task: Task) -> Batch:
    """The whole canonical training set of a task."""
    if getattr(task.config, "random_pos", False):
        raise ValueError(
            f"the canonical set of {task.name} has evenly spaced positions, its config asks for random ones\n"
            f"write task.random_pos=false"
        )
    return task.canonical("train")


def _listed(values: Sequence[Any]) -> str:
    """Values in the command line's form."""
    return ",".join(map(str, values))
