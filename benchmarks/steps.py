"""Whole training steps of this library, made as the trainer makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import zoo
from tasks.batch import Batch
from trainers.data import StepBatches
from trainers.distributed import Processes
from trainers.losses import Supervised
from trainers.step import TrainingStep
from trainers.trainer_config import TrainerConfig
from zoo.codec import ReasonerConfig
from zoo.encoders import raw_width
from zoo.memory.sweep import Sweep
from zoo.reasoner import Reasoner

RAW = ReasonerConfig(encoder="raw", decode_from=("new",))
"""A sequence reaches the cell as it is, and the decoder is the cell's output layer."""
COPY_TRAINING = TrainerConfig(optimizer="rmsprop", lr=1e-4, momentum=0.9, clip_norm=0.0, clip_value=10.0)
"""As in pytorch-ntm."""


class Trained:
    """A model that trains on one batch again and again; calling it takes a step and waits for its end."""

    def __init__(
        self,
        batch: Batch,
        processor: zoo.Processor,
        *,
        reasoner: ReasonerConfig | None = None,
        config: TrainerConfig | None = None,
        device: str = "cpu",
    ) -> None:
        """Make model, losses and optimiser.

        Args:
            batch: to train on.
            processor: any.
            reasoner: how it is unrolled.
            config: optimiser and clipping.
            device: where it trains; the batch stays there.
        """
        where = torch.device(device)
        self.model = Reasoner(batch.spec, processor, config=reasoner).to(where)
        steps = self.model.config.steps
        objective = Supervised(frames=steps if isinstance(steps, int) else None)
        config = config or TrainerConfig(clip_norm=0.0)
        self.training = TrainingStep(self.model, objective, config, seed=0, processes=Processes(device=where))
        self.training.set_mode()
        counts = objective.counts(batch)
        self.items = StepBatches(0, (batch.to(where),), counts)
        self.counts: dict[str, float] = dict(counts)
        self.step = 0

    def __call__(self) -> torch.Tensor:
        """One step; the loss."""
        report = self.training(self.step, self.items, self.counts)
        self.step += 1
        if self.training.device.type == "cuda":
            torch.cuda.synchronize()
        return report.values[-3]


def swept(name: str, batch: Batch, *, form: str = "scan", device: str = "cpu", **options: Any) -> Trained:
    """A cell on a sequence, with exactly the paper's modules.

    Args:
        name: of the swept cell.
        batch: of a sequence task.
        form: `"scan"`, `"loop"` (the plain cell, step by step) or `"compiled"` (its step compiled).
        device: where it trains.
        **options: of the processor.
    """
    processor = zoo.create(name, input_size=raw_width(batch.spec, ordered=True), tokens="inputs", **options)
    assert isinstance(processor, Sweep)
    if form != "scan":
        processor.cell.scan = processor.cell.loop  # type: ignore[method-assign]
    if form == "compiled":
        compiled: Callable[..., Any] = torch.compile(processor.cell.forward)
        processor.cell.forward = compiled  # type: ignore[method-assign]
    return Trained(batch, processor, reasoner=RAW, config=COPY_TRAINING, device=device)
