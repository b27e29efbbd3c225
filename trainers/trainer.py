"""The training loop: a plain torch loop over steps, the same on a CPU, on a GPU and over many of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from tasks.task import Task
from trainers.reporting import Logger, NullLogger, OnProgress, Progress
from trainers.trainer_config import TrainerConfig

__all__ = ["Logger", "NullLogger", "Progress", "Trainer", "TrainerConfig"]


class Trainer:
    """Trains one model on one task, or on several over a shared processor."""

    def __init__(
        self,
        model: nn.Module,
        task: Task | Sequence[Task],
        config: TrainerConfig | None = None,
        *,
        seed: int = 0,
        folder: str | Path | None = None,
        logger: Logger | None = None,
        on_progress: OnProgress | None = None,
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare training; nothing is written yet.

        Args:
            model: called as `model(batch, noise=(seed, step))`; its parameters with `requires_grad` are trained.
            task: what it learns; several are trained in turn.
            config: the trainer's options.
            seed: of the samples, of the noise and of the held-out samples.
            folder: the run folder, for `metrics.jsonl` and `checkpoints/`; None keeps nothing on disk.
            logger: where metrics go besides.
            on_progress: called after every logged step.
            identity: plain data that a checkpoint must agree with to be resumed (the processor's name and config, …).
        """

    def fit(self) -> dict[str, Any]:
        """Train to `max_steps` (from the last checkpoint on), then put the weights best on validation into the model.

        Returns:
            The summary: `step`, `train/loss`, `val/score` (best), `val/step`, `seconds`, `samples_per_second`, ….

        Raises:
            Interrupted: SIGINT or SIGTERM came (or the time limit); the state was saved. `.code` is the exit code.
            NonFiniteError: a loss or gradient was not finite; it names step, task, term and dump.
            CheckpointError: the checkpoint is unreadable, or of another model, task or config.
        """
        raise NotImplementedError

    def score(self) -> Any:
        """Score the model on the ladder of `eval_sizes`, log `ood/…` and the table; returns the `Evaluation`."""
        raise NotImplementedError
