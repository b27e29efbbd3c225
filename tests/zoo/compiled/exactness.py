"""Which predicted values of a model are not those of the algorithm's trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from tasks.batch import Batch
from tasks.spec import Location, Probe, Type
from zoo.prediction import Prediction
from zoo.reasoner import Reasoner
from zoo.topology import Topology

FLOAT32 = 1e-6
"""Relative rounding of the scalars that a batch holds."""


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Another default dtype for a while."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, name))
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def run(model: Reasoner, batch: Batch) -> Prediction:
    """Predictions in the model's own precision."""
    (dtype,) = {parameter.dtype for parameter in model.parameters()}
    with precision(str(dtype).removeprefix("torch.")), torch.inference_mode():
        return model(batch)


def wrong(prediction: Prediction, batch: Batch) -> dict[str, int]:
    """How many entries of each predicted probe, all frames of a hint together, are not the trace's."""
    found = {}
    for name, value in prediction.values.items():
        found[name] = _count(batch.spec[name], value, batch.outputs[name], prediction.topology)
    for name, frames in prediction.hint_values.items():
        probe, missed = batch.spec[name], 0
        for t in range(int(batch.lengths.max()) - 1):
            live = batch.lengths > t + 1
            missed += _count(probe, frames[t], batch.hints[name][t + 1], prediction.topology, live)
        found[name] = missed
    return found


def _count(probe: Probe, value: Tensor, true: Tensor, topology: Topology, live: Tensor | None = None) -> int:
    """Entries that differ, of graphs that are live and of nodes that exist."""
    if probe.type is Type.SCALAR:
        differ = (value - true).abs() > FLOAT32 * (1 + true.abs())
    else:
        differ = value.long() != true.long()
    live = torch.ones(topology.batch_size, dtype=torch.bool) if live is None else live
    location = Location.GRAPH if probe.type is Type.MASK_ONE else probe.location
    where = topology.per_entry(live, location)
    if location is Location.NODE:
        where = where & topology.node_mask()
    elif location is Location.EDGE:
        mask = topology.node_mask()
        where = where & topology.senders(mask) & topology.receivers(mask)
    return int((differ & where).sum())
