"""The gap of two networks on the same held-out graphs, size by size; of one alone, what needs no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from tasks.batch import Batch
from tasks.task import Task
from trainers.data import stream_seed
from trainers.evaluation import MEMORY_BYTES, default_dtype, samples_at_once
from trainers.gap.course import Course
from trainers.gap.hearing import Distances, Heard, heard, listening
from trainers.gap.parameters import parameter_distances
from trainers.metrics import Tally
from trainers.networks import Loaded
from zoo.prediction import Prediction

BATCH = 32
"""Graphs at once; fewer where memory needs it."""
_ALONE = {"left_out": "there is no compiled network"}
_Receive = Callable[[Tensor, Tensor, Tensor], None]


def measure(
    learned: Loaded,
    compiled: Loaded | None,
    task: Task,
    *,
    sizes: Sequence[int],
    graphs: int,
    distribution: str,
    seed: int = 0,
) -> dict[str, Any]:
    """Run both networks over the graphs that `zoo eval` scores.

    Args:
        learned: the network that is compared.
        compiled: the network that it is compared with; None where there is none.
        task: of both.
        sizes: of the graphs.
        graphs: how many of each size.
        distribution: of the inputs.
        seed: of the held-out stream.

    Returns:
        `learned`, `compiled`: what they are. `cells`, one a size: `n`, the mean number of `frames` of a trajectory, for
        each side `score`, `exact`, `probes` (see `trainers.metrics.Tally.result`) and its hints, held to the
        algorithm's own (see `trainers.gap.course.Course.result`), and `heard` (see
        `trainers.gap.hearing.Distances.result`; None where the processor does not tell). `parameters`: see
        `trainers.gap.parameters.parameter_distances`. Without a compiled network its side and `heard` are None, and
        parameters are left out.
    """
    task = task.for_scoring()
    cells = [_cell(learned, compiled, task, size, graphs, distribution, seed) for size in sizes]
    return {
        "task": task.name,
        "distribution": distribution,
        "graphs": graphs,
        "seed": seed,
        "learned": learned.about(),
        "compiled": compiled and compiled.about(),
        "cells": cells,
        "parameters": _ALONE if compiled is None else parameter_distances(learned.model, compiled.model),
    }


def _cell(
    learned: Loaded, compiled: Loaded | None, task: Task, size: int, graphs: int, distribution: str, seed: int
) -> dict[str, Any]:
    """One size."""
    # The reference first: the other one is compared with what it heard.
    sides = {"learned": learned} if compiled is None else {"compiled": compiled, "learned": learned}
    at_once = min(samples_at_once(side.model, task, size, BATCH, "dense") for side in sides.values())
    if compiled is not None:
        at_once = min(at_once, _kept_at_once(compiled, task, size, distribution))
    scores = {name: (Tally(task.spec), Course()) for name in sides}
    apart, frames = Distances(), 0
    for index in range(0, graphs, at_once):
        batch = task.sample(
            seed=stream_seed(seed, "test"),
            batch_size=min(at_once, graphs - index),
            size=size,
            index=index,
            distribution=distribution,
            layout="dense",
        )
        frames += int(batch.lengths.sum())
        reference = None if compiled is None else _Reference(batch, apart)
        for name, (tally, course) in scores.items():
            receive = None if reference is None else reference.receiver(name)
            there, prediction = _run(sides[name], batch, receive)
            tally.add(there, prediction)
            course.add(there, prediction)
    cell: dict[str, Any] = {"n": size, "frames": frames / graphs, "compiled": None}
    for name, (tally, course) in scores.items():
        result = tally.result()
        cell[name] = {key: result[key] for key in ("score", "exact", "probes")} | course.result()
    return cell | {"heard": None if compiled is None else apart.result()}


def _kept_at_once(reference: Loaded, task: Task, size: int, distribution: str) -> int:
    """How many graphs' shares of senders, of all parts and steps, fit `MEMORY_BYTES`; at least 1."""
    one = task.sample(size=size, batch_size=1, distribution=distribution, layout="dense")
    numbers = int(one.sizes.max()) ** 2 * one.num_steps * reference.model.processor.hidden_size
    return max(1, MEMORY_BYTES // (4 * numbers))


class _Reference:
    """What the reference hears on a batch, and how that is compared with another network, step by step."""

    def __init__(self, batch: Batch, apart: Distances) -> None:
        self._lengths = batch.steps
        self._apart = apart
        self._kept: list[Heard] = []
        self._step = 0

    def receiver(self, side: str) -> _Receive:
        """What takes the steps of a side."""
        return self.keep if side == "compiled" else self.compare

    def keep(self, shares: Tensor, exists: Tensor, nodes: Tensor) -> None:
        """The reference's next step."""
        self._kept.append(heard(shares, exists, choosing=True))

    def compare(self, shares: Tensor, exists: Tensor, nodes: Tensor) -> None:
        """The other network's next step; steps after a graph's end, or that the reference does not take, are left."""
        step, self._step = self._step, self._step + 1
        if step < len(self._kept):
            live = nodes & (step < self._lengths).to(nodes.device)[:, None]
            self._apart.add(heard(shares, exists), self._kept[step], live)


def _run(side: Loaded, batch: Batch, receive: _Receive | None) -> tuple[Batch, Prediction]:
    """A network's predictions for a batch, and whom it hears, told as they are made."""
    listens = nullcontext() if receive is None else listening(side.model.processor, receive)
    with default_dtype(side.precision), torch.inference_mode(), listens:
        there = batch.to(next(side.model.parameters()).device)
        return there, side.model(there)
