"""The trainer's loss of one batch, for tests that train without a trainer."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.batch import Batch
from trainers.losses import Supervised
from trainers.step import count_name
from zoo.reasoner import Reasoner


def total_loss(model: Reasoner, batch: Batch) -> Tensor:
    """Every term's mean under its weight, summed."""
    objective = Supervised()
    counts, sums = objective.counts(batch), objective(batch, model(batch))
    terms = [objective.weight(batch, name) * value / max(1, counts[count_name(name)]) for name, value in sums.items()]
    return torch.stack(terms).sum()
