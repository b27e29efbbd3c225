"""Taking batches apart, for the tests of tasks."""

from __future__ import annotations

import torch
from torch import Tensor

import tasks
from tasks.batch import Batch
from tasks.spec import Location, Probe, Stage, Type


def sizes_of(name: str) -> list[int]:
    """A few small sizes of a task, its smallest among them."""
    smallest = tasks.create(name).min_size
    return [smallest, smallest + 3, smallest + 6]


def values(batch: Batch) -> dict[str, Tensor]:
    """Every probe of a batch, by stage and name."""
    groups = {"input": batch.inputs, "hint": batch.hints, "output": batch.outputs}
    return {f"{stage}/{name}": value for stage, group in groups.items() for name, value in group.items()}


def alone(batch: Batch, b: int) -> dict[str, Tensor]:
    """Sample b of a batch, either layout, without its padding; edges of the sparse layout beside the probes."""
    n, length = int(batch.sizes[b]), int(batch.lengths[b])
    first = int(batch.sizes[:b].sum())
    of_edge = None
    if batch.edge_index is not None:
        of_edge = (batch.edge_index[1] >= first) & (batch.edge_index[1] < first + n)

    def cut(probe: Probe, value: Tensor) -> Tensor:
        leading = 0
        if probe.stage is Stage.HINT or probe.streamed:
            value = value[: length if probe.stage is Stage.HINT else max(length - 1, 1)]
            leading = 1
        if probe.location is Location.GRAPH or probe.type is Type.MASK_ONE:
            return value.select(leading, b)
        if of_edge is not None and probe.location is Location.NODE:
            return value.narrow(leading, first, n)
        if of_edge is not None:
            return value[:, of_edge] if leading else value[of_edge]
        value = value.select(leading, b).narrow(leading, 0, n)
        return value.narrow(leading + 1, 0, n) if probe.location is Location.EDGE else value

    groups = {Stage.INPUT: batch.inputs, Stage.HINT: batch.hints, Stage.OUTPUT: batch.outputs}
    parts = {probe.name: cut(probe, groups[probe.stage][probe.name]) for probe in batch.spec}
    if batch.edge_index is not None:
        parts["edge_index"] = batch.edge_index[:, of_edge] - first
    return parts


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """Equal names, dtypes and values."""
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert value.dtype == theirs[name].dtype, name
        assert torch.equal(value, theirs[name]), name
