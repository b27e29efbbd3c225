"""Streams of operations, for the tests of data structures: made from lists, and read from docstrings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor

from tasks.batch import Batch
from tasks.spec import Location
from tasks.task import Task

Operation = tuple[str, Sequence[int]]


def stream(kinds: Sequence[str], operations: Sequence[Operation], nodes: int) -> dict[str, Tensor]:
    """Operations, each a kind and the nodes that it names, as the streamed inputs of one sample."""
    element = torch.zeros(len(operations), 1, nodes)
    for t, (_, named) in enumerate(operations):
        element[t, 0, list(named)] = 1
    return {"operation": torch.tensor([[1 + kinds.index(kind)] for kind, _ in operations]), "element": element}


def check_streamed_example(task: Task, kinds: Sequence[str], given: Mapping[str, list[float]]) -> Batch:
    """Run the operations that the task's docstring shows and compare everything that it shows of them.

    An operation's line has fields two or more spaces apart: its kind and the nodes that it names, then `name value…`
    of inputs, outputs and the frame after it, with - for -1. The only kind of a task whose input is `op` is `op`.
    """
    text = type(task).__doc__
    assert text is not None
    lines = [re.split(r" {2,}", line.strip()) for line in text.splitlines()]
    lines = [line for line in lines if len(line) > 2 and line[0].split()[0] in kinds]
    assert len(lines) >= 4
    operations, shown = [], []
    for head, *fields in lines:
        kind, *named = head.split()
        operations.append((kind, [int(node) for node in named[0].split(",")] if named else []))
        shown.append({name: [float(w.replace("-", "-1")) for w in words] for name, *words in map(str.split, fields)})
    nodes = len(shown[0][next(probe.name for probe in task.spec.hints if probe.name in shown[0])])
    inputs = stream(kinds, operations, nodes)
    inputs = {"op": inputs["element"]} if "op" in [probe.name for probe in task.spec.inputs] else inputs
    for probe in task.spec.inputs:
        if probe.streamed and probe.location is Location.GRAPH and probe.name not in inputs:
            inputs[probe.name] = torch.tensor([fields.get(probe.name, [0.0]) for fields in shown])
    batch = task.execute({**inputs, **{name: torch.tensor([value]) for name, value in given.items()}})
    assert batch.lengths.item() == len(lines) + 1
    for t, fields in enumerate(shown):
        for name, words in fields.items():
            values = batch.hints[name][t + 1] if name in batch.hints else (batch.inputs | batch.outputs)[name][t]
            assert values.reshape(-1).tolist() == pytest.approx(words), (t, name)
        streamed = {probe.name for probe in task.spec.outputs}
        assert streamed <= fields.keys()
    return batch
