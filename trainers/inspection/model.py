"""One sample through one model, drawn and kept as arrays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tasks.task import Task
from trainers.evaluation import default_dtype
from trainers.inspection.memory import activation_figure, gate_figure, link_figure, memory_figure
from trainers.inspection.pointers import pointed, pointer_figure
from trainers.inspection.reasoning import (
    hint_figure,
    latent_figure,
    layer_figure,
    own_pointer_figure,
    sender_figure,
    stop_figure,
)
from trainers.inspection.sample import Array, Sample, look
from zoo.reasoner import Reasoner

ARRAYS = "arrays.npz"
FIGURES: Mapping[str, Callable[..., Path | None]] = {
    "weightings": memory_figure,
    "gates": gate_figure,
    "links": link_figure,
    "activations": activation_figure,
    "senders": sender_figure,
    "own_pointers": own_pointer_figure,
    "layers": layer_figure,
    "stopping": stop_figure,
    "latents": latent_figure,
    "hints": hint_figure,
}
"""Figures by name; each returns None where it has nothing to draw. `pointers/PROBE` are drawn besides."""


@dataclass(frozen=True)
class Inspection:
    """What a model did on one sample.

    Attributes:
        sample: the sample, the prediction, and what the processor recorded.
        title: names model, task and sample.
        figures: PNGs by name: those of `FIGURES` that had something to draw, and `pointers/PROBE`.
        arrays_file: the arrays as one npz; None if it was not asked for.
    """

    sample: Sample
    title: str
    figures: Mapping[str, Path]
    arrays_file: Path | None

    @property
    def arrays(self) -> Mapping[str, Array]:
        """All arrays by name; see `Sample.arrays`."""
        return self.sample.arrays


def can_inspect(model: Reasoner, task: Task) -> bool:
    """Whether model and task share the dense layout."""
    return "dense" in model.processor.layouts and "dense" in task.layouts


def inspect_model(
    model: Reasoner,
    task: Task,
    folder: str | Path,
    *,
    size: int,
    title: str,
    seed: int = 0,
    index: int = 0,
    distribution: str | None = None,
    only: Collection[str] | None = None,
) -> Inspection:
    """The same for any model, trained or not.

    Args:
        model: it is left in the mode that it was in.
        task: one of the model's.
        folder: for the PNGs and the npz.
        size: of the sample.
        title: names model and task.
        seed: of the task's stream of samples.
        index: number of the sample in the stream.
        distribution: of the input; the task's default if None.
        only: names of figures, `pointers` standing for all of those; then there is no npz.

    Returns:
        Arrays and paths.
    """
    batch = task.for_scoring().sample(
        seed=seed, batch_size=1, size=size, index=index, distribution=distribution, layout="dense"
    )
    double = next(model.parameters()).dtype == torch.float64
    with default_dtype("float64" if double else "float32"):
        sample, folder = look(model, batch), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    figures = {}
    for name, draw in FIGURES.items():
        if only is None or name in only:
            path = draw(sample, folder / f"{name}.png", title=title)
            if path is not None:
                figures[name] = path
    if only is None or "pointers" in only:
        for probe in pointed(sample):
            path = folder / f"pointers_{probe.name}.png"
            figures[f"pointers/{probe.name}"] = pointer_figure(sample, probe, path, title=title)
    arrays_file = None
    if only is None:
        arrays_file = folder / ARRAYS
        np.savez_compressed(arrays_file, **sample.arrays)  # type: ignore[arg-type]
    return Inspection(sample, title, figures, arrays_file)
