"""Which logger a config asks for, and under which names its run goes."""

from __future__ import annotations

from pathlib import Path

import tasks
import zoo
from trainers import runs
from trainers.reporting import Logger, NullLogger
from trainers.run_config import Config


def make_logger(config: Config, folder: Path, *, job_type: str = "train") -> Logger:
    """The logger of a run; without one, wandb is not imported.

    Args:
        config: of the run.
        folder: the run folder, where everything is written.
        job_type: `"train"`, or what else the run is.

    Returns:
        A W&B logger, or one that drops everything.
    """
    if config.logger.name == "none":
        return NullLogger()
    from trainers.wandb_logger import WandbLogger, wandb_mode

    return WandbLogger(
        folder,
        name=folder.name,
        mode=wandb_mode(config.logger.mode),
        project=config.logger.project,
        entity=config.logger.entity,
        group=config.logger.group or runs.group_name(config),
        job_type=job_type,
        tags=[*tags(config), *config.logger.tags],
        # A sweep's agent puts its own values over keys of the same name, so that `processor` may be but a name there.
        config={**config.tree(), **names(config)},
    )


def names(config: Config) -> dict[str, str]:
    """Flat keys of the run's W&B config by which runs are grouped."""
    return {"processor_name": config.processor_name, "task_name": config.task_name}


def tags(config: Config) -> list[str]:
    """Names and papers of the processor and the tasks."""
    processor = zoo.describe(config.processor.name)
    memories = [zoo.describe(config.memory.name)] if config.memory.name else []
    entries = [processor, *memories, *(tasks.describe(task.name) for task in config.tasks)]
    return [*(entry.name for entry in entries), *(entry.paper for entry in entries)]
