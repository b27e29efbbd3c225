"""What to say, and to keep, when a loss or a gradient is not finite."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tasks.batch import Batch
from tasks.packing import Packed
from trainers import checkpoint
from trainers.checkpoint import Checkpoint, CheckpointError
from trainers.data import Sampler
from trainers.step import Report, TrainingStep


class NonFiniteError(FloatingPointError):
    """A loss or gradient was infinite or NaN; training stopped before it reached the parameters.

    Attributes:
        step: where.
        task: on which.
        term: first loss term that was not finite, or `gradient of NAME`.
        samples: numbers of the samples that bring it about alone; all of the step if none does.
        folder: with `batch.pt`, `report.json` and the state before the step; None if nothing could be kept.
    """

    def __init__(self, step: int, task: str, term: str, samples: Sequence[int], folder: Path | None) -> None:
        shown = ", ".join(map(str, samples[:8])) + (", …" if len(samples) > 8 else "")
        kept = f"batch and state are in {folder}" if folder else "nothing was kept, for there is no place to write"
        super().__init__(f"step {step}, task {task}: {term} is not finite (samples {shown})\n{kept}")
        self.step, self.task, self.term, self.samples, self.folder = step, task, term, list(samples), folder


def diagnose(
    report: Report, training: TrainingStep, sampler: Sampler, folder: Path | None, state: Callable[[], Checkpoint]
) -> NonFiniteError:
    """Find out where a step failed, and write its batches and the state to a folder.

    Args:
        report: of the failed step.
        training: with the parameters before it.
        sampler: to make its batches again.
        folder: where to write, None for nowhere.
        state: makes the checkpoint to be kept.

    Returns:
        The error to raise.
    """
    items = sampler(report.step)
    values = report.values.tolist()
    term = next((n for n, v in zip(report.names, values, strict=False) if not torch.isfinite(torch.tensor(v))), None)
    named = f"loss of {term}" if term else _failed_gradient(training, items.batches, items.counts, report.step)
    samples = [
        int(index)
        for batch in items.batches
        for index in batch.index.tolist()
        if _fails(sampler.sample(items.task, index, 1), training, term, report.step)
    ] or [int(index) for batch in items.batches for index in batch.index]
    if folder is not None:
        suffix = f"-rank{training.processes.rank}" if training.processes.world > 1 else ""
        folder = folder / f"nonfinite-step-{report.step:08d}{suffix}"
        found = dict(zip((*report.names, "loss", "grad_norm"), map(repr, values), strict=False))
        details = {"step": report.step, "task": report.task, "term": named, "samples": samples, "values": found}
        folder = _dump(folder, details, items.batches, state)
    return NonFiniteError(report.step, report.task, named, samples, folder)


def _failed_gradient(
    training: TrainingStep, batches: Sequence[Batch | Packed], counts: Mapping[str, int | float], step: int
) -> str:
    """The first parameter whose gradient is not finite, made again."""
    training.optimizer.zero_grad(set_to_none=True)
    training.losses(batches, counts, step)
    for name, parameter in training.named:
        if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
            return f"gradient of {name}"
    return "gradient of some parameter"


def _fails(batch: Batch, training: TrainingStep, term: str | None, step: int) -> bool:
    """Whether a sample alone gives a loss term that is not finite."""
    with torch.no_grad():
        batch = batch.to(training.device)
        sums = training.objective(batch, training.model(batch, noise=(training.seed, step)))
    chosen = [value for name, value in sums.items() if term is None or name == term]
    return not all(bool(torch.isfinite(value)) for value in chosen)


def _dump(
    folder: Path, details: Mapping[str, Any], batches: Sequence[Batch | Packed], state: Callable[[], Checkpoint]
) -> Path | None:
    """Write what is known; the folder, or None where that fails."""
    buffer = io.BytesIO()
    torch.save([plain_batch(batch) for batch in batches], buffer)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint.replace(folder / "batch.pt", buffer.getvalue())
        checkpoint.replace(folder / "report.json", json.dumps(details, indent=1).encode())
        checkpoint.save(folder, state())
    except (OSError, CheckpointError):
        return None
    return folder


def plain_batch(batch: Batch | Packed) -> dict[str, Any]:
    """A batch as a dictionary of tensors, which loads with `weights_only=True`."""
    batch = batch.unpack() if isinstance(batch, Packed) else batch
    return {
        "task": batch.spec.task,
        "inputs": dict(batch.inputs),
        "hints": dict(batch.hints),
        "outputs": dict(batch.outputs),
        "lengths": batch.lengths,
        "sizes": batch.sizes,
        "index": batch.index,
        "edge_index": batch.edge_index,
    }
