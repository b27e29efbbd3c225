"""One sample through one model: what it was given, what it should find, what it found, and what its processor recorded.

Axis letters: T steps, N nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tasks.batch import Batch
from tasks.spec import Location, Probe, Type
from trainers.losses import Term, hint_terms
from trainers.metrics import Tally
from zoo.prediction import Prediction
from zoo.reasoner import Reasoner
from zoo.recording import Track

Array = np.ndarray[Any, np.dtype[Any]]


class Segment(NamedTuple):
    """Tokens that a cell read in one go.

    Attributes:
        step: of the processor, from 0; -1 for what is read before the first.
        length: number of tokens.
    """

    step: int
    length: int


@dataclass(frozen=True)
class Sample:
    """One sample, in the dense layout, and everything that a model made of it.

    Attributes:
        batch: the sample, alone.
        prediction: what the model made of it, traced.
        tracks: what the processor recorded, as declared.
        heads: the probe that each of the processor's own heads stands for.
    """

    batch: Batch
    prediction: Prediction
    tracks: Mapping[str, Track]
    heads: Mapping[str, Probe]

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return int(self.batch.sizes[0])

    @property
    def steps(self) -> int:
        """Number of steps that the processor took."""
        return len(self.prediction.trace)

    @cached_property
    def scores(self) -> dict[str, Any]:
        """Scores of this sample alone, as `trainers.metrics.Tally.result` gives them."""
        tally = Tally(self.batch.spec)
        tally.add(self.batch, self.prediction)
        return tally.result()

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """Everything, by name; the axis of the batch is gone.

        Returns:
            `input/PROBE`, `output/PROBE` and `hint/PROBE`: given and true values in the compact form of a `Batch`
            (streamed ones lead with T, hints with T + 1). `predicted/PROBE`: decided values, of hints `[T, …]`, where
            t predicts frame t + 1. `probability/PROBE` of outputs: of a mask that it is on, of classes `[…, classes]`,
            of a pointer `[candidate, node]`. `right/PROBE` and `error/PROBE`: by step, the share of a hint's entries
            that are right, and the root mean square error of a scalar hint. `hidden`: `[T, N, width]`.
            `record/TRACK`: `[T, *axes]` as the processor's `tracks` declare it; `start/TRACK`: the same before the
            first step, where it records anything then.
        """
        found = {}
        for probe in self.batch.spec.inputs:
            found[f"input/{probe.name}"] = _one(self.batch.inputs[probe.name], int(probe.streamed))
        for probe in self.batch.spec.hints:
            found[f"hint/{probe.name}"] = _one(self.batch.hints[probe.name], 1)
        for probe in self.batch.spec.outputs:
            found[f"output/{probe.name}"] = _one(self.batch.outputs[probe.name], int(probe.streamed))
            found[f"predicted/{probe.name}"] = _one(self.prediction.values[probe.name], int(probe.streamed))
            logits = self.prediction.outputs[probe.name]
            if probe.type is not Type.SCALAR:
                found[f"probability/{probe.name}"] = _one(_probabilities(probe, logits), int(probe.streamed))
        for name, value in self.prediction.hint_values.items():
            found[f"predicted/{name}"] = _one(value, 1)
        for term in hint_terms(self.batch, self.prediction.topology):
            if term.probe.name in self.prediction.hints:
                kind = "error" if term.probe.type is Type.SCALAR else "right"
                found[f"{kind}/{term.probe.name}"] = _by_step(term, self.prediction.hint_values[term.probe.name])
        found["hidden"] = np.stack([_one(step.hidden.nodes) for step in self.prediction.trace])
        start, *steps = self.prediction.records
        found |= {f"start/{name}": _one(value) for name, value in start.items()}
        for name in steps[0] if steps else ():
            found[f"record/{name}"] = np.stack([_one(record[name]) for record in steps])
        return found

    def over_time(self, name: str) -> Array:
        """A track whose first axis is `tokens`, from the first token to the last, steps after one another."""
        parts = [self.arrays[f"start/{name}"]] if f"start/{name}" in self.arrays else []
        return np.concatenate([*parts, *self.arrays[f"record/{name}"]])

    @cached_property
    def segments(self) -> list[Segment]:
        """Tokens of every step, where the processor records any."""
        found = []
        for step, record in enumerate(self.prediction.records):
            timed = [value for name, value in record.items() if self.tracks[name].axes[0] == "tokens"]
            if timed:
                found.append(Segment(step - 1, timed[0].shape[1]))
        return found

    def at_tokens(self, values: Array) -> Array:
        """Values of nodes, `[N, …]` or `[T, N, …]`, at the tokens that stand for nodes; NaN at others.

        Args:
            values: of every node, the same at every step; or with an axis of steps, shorter ones aligned to the end.
        """
        stepped = values.ndim == 3
        parts = []
        for segment in self.segments:
            step = segment.step - (self.steps - len(values)) if stepped else 0
            if segment.length != self.nodes or (stepped and not 0 <= step < len(values)):
                parts.append(np.full((segment.length, values.shape[-1]), np.nan))
            else:
                parts.append(values[step] if stepped else values)
        return np.concatenate(parts).astype(float)


def look(model: Reasoner, batch: Batch) -> Sample:
    """Run a model over one sample and keep what it does.

    Args:
        model: it is left in the mode that it was in.
        batch: one sample in the dense layout.

    Raises:
        ValueError: the batch has several samples, or another layout.
    """
    if batch.batch_size != 1 or batch.edge_index is not None:
        raise ValueError("look takes one sample in the dense layout: sample with batch_size=1, layout='dense'")
    device = next(iter(model.parameters())).device
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            prediction = model(batch.to(device), trace=True)
    finally:
        model.train(training)
    codec: Any = model.tasks[batch.spec.task]
    return Sample(batch.to(device), prediction, model.processor.tracks, codec.heads)


def _one(value: Tensor, axis: int = 0) -> Array:
    """The only sample's part of a tensor whose axis of samples is given."""
    value = value.select(axis, 0).cpu()
    return (value.float() if value.dtype in (torch.bfloat16, torch.float16) else value).numpy()


def _probabilities(probe: Probe, logits: Tensor) -> Tensor:
    """Probabilities of an output from its logits."""
    if probe.type is Type.MASK:
        return logits.sigmoid()
    if probe.type is Type.CATEGORICAL:
        return logits.softmax(-1)
    return logits.exp()


def _by_step(term: Term, value: Tensor) -> Array:
    """For each step, the share of right entries of a hint, of a scalar the root mean square error; NaN past the end."""
    frames = min(len(term.target), len(value))
    target, valid, value = term.target[:frames], term.valid[:frames], value[:frames]
    if term.probe.type is Type.SCALAR:
        amount = (value - target).square().double()
    else:
        amount = ((value > 0) == (target > 0) if term.probe.type is Type.MASK else value == target).double()
    count = valid.flatten(1).sum(1)
    mean = torch.where(valid, amount, 0.0).flatten(1).sum(1) / count.clamp_min(1)
    mean = torch.where(count > 0, mean.sqrt() if term.probe.type is Type.SCALAR else mean, torch.nan)
    return mean.cpu().numpy()


def at_nodes(probe: Probe) -> bool:
    """Whether a probe's values can be drawn as rows over nodes."""
    return probe.location is Location.NODE and probe.type in (Type.SCALAR, Type.MASK, Type.CATEGORICAL, Type.MASK_ONE)
