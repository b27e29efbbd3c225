"""From a config to what is trained: tasks and a Reasoner, with every mismatch found before the first step."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import tasks
import zoo
from tasks.canonical import CANONICAL
from tasks.task import Task
from trainers import checkpoint, fixed_sets, memory_group, schema
from trainers.run_config import Config
from trainers.trainer_config import TrainerConfig, is_file
from trainers.usage import UsageError, unknown
from zoo.binding import check
from zoo.encoders import raw_width
from zoo.reasoner import Reasoner


class Built(NamedTuple):
    """What a config describes.

    Attributes:
        model: the Reasoner.
        tasks: in the config's order.
    """

    model: Reasoner
    tasks: list[Task]


def build(config: Config) -> Built:
    """Make tasks and model; parameters are drawn from the config's seed.

    Raises:
        UsageError: task, processor, sizes, layout or distributions do not go together.
    """
    import torch

    made = build_tasks(config)
    torch.manual_seed(config.settings.seed)
    entry = zoo.describe(config.processor.name)
    options = config.processor.options
    if config.reasoner.encoder == "raw" and options.input_size is None:
        options = dataclasses.replace(options, input_size=_raw_width(config, made))
    explain = f"`zoo show processor {entry.name}` and `zoo show task {config.tasks[0].name}` tell what they can do"
    try:
        processor = memory_group.put_beside(entry.cls(options), config)
        for task in made:
            for layout in {config.trainer.layout, config.trainer.scoring_layout}:
                check(task.spec, processor, layout=layout)
        specs = [task.spec for task in made]
        model = Reasoner(specs, processor, config=config.reasoner, bind=config.settings.bind)
    except ValueError as error:
        raise UsageError.of(error, remedy=explain) from error
    if config.processor.frozen:
        processor.requires_grad_(False)
    return Built(model, made)


def build_tasks(config: Config) -> list[Task]:
    """The tasks, and that they can be sampled as the config asks.

    Raises:
        UsageError: a size below a task's minimum, a distribution or a layout that it lacks.
    """
    made = []
    for choice in config.tasks:
        try:
            made.append(tasks.describe(choice.name).cls(choice.options))
        except ValueError as error:
            raise UsageError.of(error, remedy=f"`zoo show task {choice.name}` explains its options") from error
    trainer = config.trainer
    for task in made:
        for name in ("sizes", "val_sizes", "eval_sizes"):
            check_sizes(task, getattr(trainer, name), f"trainer.{name}")
        for name in ("distributions", "eval_distributions"):
            check_distributions(task, getattr(trainer, name), f"trainer.{name}")
        for name in ("layout", "eval_layout"):
            layout = getattr(trainer, name)
            if layout and layout not in task.layouts:
                raise UsageError(
                    f"trainer.{name}: task {task.name} has no {layout} layout",
                    f"choices: {', '.join(sorted(task.layouts))}",
                )
        check_data(task, trainer, several=len(made) > 1)
    return made


def check_data(task: Task, trainer: TrainerConfig, *, several: bool = False) -> None:
    """Refuse fixed sets that a task has not, or not as it is configured, and files for several tasks."""
    for name in ("data", "eval_data"):
        if several and is_file(getattr(trainer, name)):
            problem = f"trainer.{name}: {getattr(trainer, name)} holds samples of one task, the run has several"
            raise UsageError(problem, f"write trainer.{name}=stream, or train one task")
    try:
        fixed_sets.training_set(task, trainer)
        if trainer.scoring_data == CANONICAL:
            task.canonical("test")
        elif is_file(trainer.scoring_data):
            fixed_sets.read(trainer.scoring_data, task, where="trainer.eval_data")
    except ValueError as error:
        where = "trainer.data" if trainer.data == CANONICAL else "trainer.eval_data"
        raise UsageError.of(error, where="" if str(error).startswith("trainer.") else where) from error


def check_sizes(task: Task, sizes: Any, where: str) -> None:
    """Refuse sizes below a task's minimum."""
    for size in sizes:
        if size < task.min_size:
            raise UsageError(
                f"{where}: {size} is below the smallest size of task {task.name}", f"the smallest is {task.min_size}"
            )


def check_distributions(task: Task, names: Any, where: str) -> None:
    """Refuse distributions that a task does not have."""
    for name in names:
        if name not in task.distributions and name not in task.aliases:
            raise unknown(f"distribution of task {task.name} in {where}", name, [*task.distributions, *task.aliases])


def identity(config: Config) -> dict[str, Any]:
    """What a checkpoint must agree with to be resumed: everything that shapes the model."""
    tree = config.tree()
    return {
        "processor": {key: value for key, value in tree["processor"].items() if key not in ("weights", "frozen")},
        "task": tree["task"],
        "reasoner": tree["reasoner"],
        "bind": tree["bind"],
        **({"memory": tree["memory"]} if "memory" in tree else {}),
    }


def identity_defaults(config: Config) -> dict[str, Any]:
    """Defaults of all options in an identity, for checkpoints from before an option existed."""
    tasks_there = {choice.name: schema.defaults(type(choice.options)) for choice in config.tasks}
    return checkpoint.plain(
        {
            "processor": schema.defaults(type(config.processor.options)),
            "task": tasks_there if len(tasks_there) > 1 else next(iter(tasks_there.values())),
            "reasoner": schema.defaults(type(config.reasoner)),
            **({"memory": schema.defaults(type(config.memory.options))} if config.memory.name else {}),
        }
    )


def _raw_width(config: Config, made: list[Task]) -> int:
    """The width that all tasks give the processor without encoders."""
    cls: Any = zoo.describe(config.processor.name).cls
    ordered = cls.ordered
    try:
        widths = {task.name: raw_width(task.spec, ordered=ordered) for task in made}
    except ValueError as error:
        raise UsageError.of(error, where="reasoner.encoder") from error
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{name} {width}" for name, width in widths.items())
        raise UsageError("reasoner.encoder: without encoders all tasks must be equally wide", f"channels: {told}")
    return next(iter(widths.values()))
