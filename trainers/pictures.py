"""Pictures of what a trained model does on one held-out sample: its memory's weightings, its pointers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.batch import Batch
from tasks.spec import Location
from tasks.task import Task
from trainers.data import stream_seed
from trainers.figures import pointer_figure, weighting_figure
from zoo.memory.cell import Cell
from zoo.prediction import Prediction
from zoo.processor import Processor
from zoo.reasoner import Reasoner

Array = np.ndarray[Any, np.dtype[Any]]
_MOST_TOKENS = 200  # columns of a picture of weightings; more would be narrower than a pixel


def draw(model: Reasoner, task: Task, folder: Path, *, size: int, title: str, seed: int = 0) -> dict[str, Path]:
    """Draw what there is to draw of one held-out sample.

    Args:
        model: trained; it is left in the mode that it was in.
        task: the sample's task.
        folder: for the PNGs.
        size: of the sample.
        title: names model and task.
        seed: of the run.

    Returns:
        Files by the name under which W&B shows them: `pictures/weightings` of processors with an external memory,
        `pictures/pointers/PROBE` of every output that points from node to node. Nothing for a task or a processor
        without a dense layout.
    """
    processor = model.processor
    if "dense" not in processor.layouts or "dense" not in task.layouts:
        return {}
    device = next(iter(model.parameters())).device
    batch = task.for_scoring().sample(seed=stream_seed(seed, "picture"), batch_size=1, size=size, layout="dense")
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), _recorded(processor) as states:
            prediction = model(batch.to(device))
    finally:
        model.train(training)
    several = f"{task.name}_" if len(model.specs) > 1 else ""
    found = {}
    if weightings := _weightings(states):
        found["pictures/weightings"] = weighting_figure(
            weightings, folder / f"{several}weightings.png", title=f"{title}, n = {size}: weightings over time"
        )
    for name, probabilities in _pointers(batch, prediction).items():
        truth = batch.outputs[name][0].cpu().numpy()
        found[f"pictures/pointers/{name}"] = pointer_figure(
            probabilities,
            truth,
            folder / f"{several}pointers_{name}.png",
            title=f"{title}, n = {size}: {name} of one sample",
        )
    return {name.replace("pictures/", f"pictures/{several}", 1): path for name, path in found.items()}


@contextmanager
def _recorded(processor: Processor) -> Iterator[list[Any]]:
    """Collect the cell's state after every token; its scan is the plain loop meanwhile."""
    states: list[Any] = []
    cell = getattr(processor, "cell", None)
    if not isinstance(cell, Cell):
        yield states
        return
    handle = cell.register_forward_hook(lambda _module, _inputs, result: states.append(result[1]))
    cell.scan = cell.loop  # type: ignore[method-assign]
    try:
        yield states
    finally:
        del cell.scan
        handle.remove()


def _weightings(states: list[Any]) -> Mapping[str, Array]:
    """`[time, slots]` of every head of the first sample, writes before reads."""
    if not states or not hasattr(states[0], "_fields"):
        return {}
    found = {}
    names = sorted((name for name in states[0]._fields if "weighting" in name), reverse=True)
    for name in names:
        over_time = torch.stack([getattr(state, name)[0] for state in states[:_MOST_TOKENS]]).float().cpu()
        kind = name.split("_")[0]
        if over_time.dim() == 2:
            found[f"{kind} head"] = over_time.numpy()
            continue
        for head, values in enumerate(over_time.unbind(1)):
            label = f"{kind} head" if over_time.shape[1] == 1 else f"{kind} head {head + 1}"
            found[label] = values.numpy()
    return found


def _pointers(batch: Batch, prediction: Prediction) -> Mapping[str, Array]:
    """`[node, candidate]` probabilities of every output that points from node to node, at the last step if streamed."""
    found = {}
    for probe in batch.spec.outputs:
        if probe.location is Location.NODE and probe.is_pointer and not probe.streamed:
            logits: Tensor = prediction.outputs[probe.name][0]  # [sender, receiver]
            found[probe.name] = logits.exp().T.float().cpu().numpy()
    return found
