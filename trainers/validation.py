"""What the training loop measures on held-out samples of the training set's kind."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from tasks.canonical import CANONICAL
from tasks.task import Task
from trainers.distributed import Processes
from trainers.evaluation import Evaluation, evaluate
from trainers.trainer_config import TrainerConfig

# What is logged of each output, where its type has it.
_LOGGED = {"score", "wrong_per_graph", "bits_per_graph"}


def validate(
    model: nn.Module, tasks: Sequence[Task], config: TrainerConfig, sizes: Sequence[int], processes: Processes
) -> Evaluation:
    """Score a model on held-out samples of some sizes, drawn as the training samples are.

    Args:
        model: what is trained.
        tasks: what it learns.
        config: number of samples, distributions and layout.
        sizes: one cell of scores for each.
        processes: that share the samples.

    Returns:
        The scores, in every process.
    """
    return evaluate(
        model,
        tasks,
        sizes=sizes,
        distributions=config.distributions or None,
        samples=config.val_samples,
        split="val",
        batch_size=config.eval_batch_size,
        layout=config.scoring_layout,
        mixed=True,
        canonical=config.data == CANONICAL,
        precision=config.precision,
        processes=processes,
    )


def metrics(evaluation: Evaluation, *, several_tasks: bool) -> dict[str, float]:
    """Named values of a validation.

    Args:
        evaluation: the scores.
        several_tasks: whether a probe's name comes after its task's.

    Returns:
        `val/score`, `val/exact` where defined, and for every output `val/score/PROBE`, `val/wrong_per_graph/PROBE`
        and `val/bits_per_graph/PROBE`, means over all cells; of several sizes also each one's, under `…/n=16`.
    """
    exact = [cell.exact for cell in evaluation if not math.isnan(cell.exact)]
    found = {"val/score": evaluation.score} | ({"val/exact": sum(exact) / len(exact)} if exact else {})
    several = len({cell.size for cell in evaluation}) > 1
    means: dict[str, list[float]] = {}
    for cell in evaluation:
        for name, values in cell.probes.items():
            probe = f"{cell.task}/{name}" if several_tasks else name
            for measure in _LOGGED & values.keys():
                means.setdefault(f"val/{measure}/{probe}", []).append(values[measure])
                if several:
                    found[f"val/{measure}/{probe}/n={cell.size}"] = values[measure]
    return found | {name: sum(values) / len(values) for name, values in means.items()}
