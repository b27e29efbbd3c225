"""Learning rates as functions of the step."""

from __future__ import annotations

import math

from trainers.trainer_config import TrainerConfig


def learning_rate(config: TrainerConfig, step: int) -> float:
    """The learning rate of a step, counted from 0.

    It rises linearly over `warmup_steps`, whose last step already has the full rate, and then stays, or falls along
    a line or half a cosine (Loshchilov and Hutter, SGDR, ICLR 2017, eq. 5), to `final_lr_ratio` at the last step.
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.lr
    past = min((step - config.warmup_steps) / max(config.max_steps - config.warmup_steps - 1, 1), 1.0)
    left = 1 - past if config.schedule == "linear" else (1 + math.cos(math.pi * past)) / 2
    return config.lr * (config.final_lr_ratio + (1 - config.final_lr_ratio) * left)
