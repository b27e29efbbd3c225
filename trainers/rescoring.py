"""Scores beside those of a training: of its weights in a changed model, and of a task's own optimal estimator."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import nn

from tasks.batch import Batch
from tasks.optimum import HasOptimum
from tasks.task import Task
from trainers import checkpoint, ledger
from trainers.build import build, build_tasks
from trainers.checkpoint import CheckpointError
from trainers.evaluation import Evaluation, default_dtype, evaluate
from trainers.experiment import Finished
from trainers.run_config import Config
from trainers.usage import UsageError
from zoo.prediction import Carry, Prediction
from zoo.processor import Latents
from zoo.unroll import topology_of


def rescored(config: Config, finished: Finished) -> Evaluation:
    """The scores of a run's best weights in the model that another config describes, a larger memory for instance.

    Args:
        config: of the model and of the scoring.
        finished: the run.

    Returns:
        The scores.

    Raises:
        UsageError: the weights do not fit the model.
    """
    with default_dtype(config.trainer.precision):
        built = build(config)
        try:
            tensors, _ = checkpoint.read_weights(finished.weights)
            checkpoint.load_weights(built.model, tensors, path=finished.weights)
        except CheckpointError as error:
            raise UsageError.of(error, where="variant") from error
        return evaluate(built.model, built.tasks, **config.trainer.scoring())


def optimum(config: Config) -> dict[str, Any]:
    """What the ledger keeps of a task's own optimal estimator, scored as a model is; nothing is trained.

    Args:
        config: its task and its scoring; the processor is not made.

    Returns:
        Values of an entry.

    Raises:
        UsageError: the task has no optimal estimator, or there are several tasks.
    """
    (task, *others), began = build_tasks(config), time.perf_counter()
    if others or not isinstance(task, HasOptimum):
        raise UsageError(
            f"estimator=optimal: {config.task_name} has no optimal estimator", "tasks that have: dynamic_ngrams"
        )
    evaluation = evaluate(OptimalEstimator(task), task, **config.trainer.scoring())
    return {
        **{"steps": 0, "samples": 0, "best_step": 0, "parameters": 0},
        "seconds": round(time.perf_counter() - began, 1),
        "scores": ledger.shortened(evaluation.as_dict()),
        "validation": {"samples": []},
    }


class OptimalEstimator(nn.Module):
    """A task's own optimal predictions where `evaluate` expects a model's."""

    def __init__(self, task: Task) -> None:
        """Keep the task.

        Args:
            task: with an optimal estimator.

        Raises:
            ValueError: it has none.
        """
        super().__init__()
        if not isinstance(task, HasOptimum):
            raise ValueError(f"task {task.name} has no optimal estimator")
        self.spec, self.optimum = task.spec, task.optimal_outputs

    def forward(self, batch: Batch) -> Prediction:
        """The optimal logits of every output."""
        outputs = {name: torch.from_numpy(logits) for name, logits in self.optimum(batch).items()}
        carry = Carry(Latents(torch.zeros(())), (), {})
        return Prediction(outputs, {}, {}, carry, (), topology_of(batch), self.spec)
