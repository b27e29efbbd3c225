"""Holding a task to the worked example in its docstring."""

from __future__ import annotations

import re

import pytest

from tasks.batch import Batch
from tasks.task import Task
from tests.tasks.orders import listed


def numbers(words: str) -> list[float]:
    return [float(word) for word in words.split()]


def check_worked_example(task: Task) -> Batch:
    """Run the task on the example's inputs and compare every frame and output that it shows.

    The example's lines are fields `name value…` three spaces apart: first the inputs, then `frame t:` with every
    hint (and `list`, the nodes in the order of `pred_h`), with remarks after them; outputs stand after `output`.
    """
    text = type(task).__doc__
    assert text is not None
    lines = text[re.search(r"^ +key   ", text, re.MULTILINE).start() :].splitlines()
    given = dict(re.findall(r"(\w+) +([\d. ]+)", lines[0]))
    nodes = {probe.name: probe.location == "node" for probe in task.spec.inputs}
    values = {name: numbers(words) for name, words in given.items()}
    batch = task.execute({name: [value if nodes[name] else value[0]] for name, value in values.items()})
    frames = [line for line in lines if line.strip().startswith("frame ")]
    assert len(frames) == batch.lengths.item()
    for t, line in enumerate(frames):
        head, rest = line.split(":", 1)
        assert head.split() == ["frame", str(t)]
        fields = dict(re.findall(r"(\w+) ([\d. ]*\d)(?=   |$)", rest.strip()))
        if "list" in fields:
            assert numbers(fields.pop("list")) == listed(batch.hints["pred_h"][t, 0].tolist()), line
        fields = {name: words for name, words in fields.items() if name in batch.hints}
        assert fields.keys() == batch.hints.keys(), line
        for name, words in fields.items():
            assert numbers(words) == pytest.approx(batch.hints[name][t, 0].double().reshape(-1).tolist(), abs=5e-4), (
                line
            )
    outputs = dict(re.findall(r"output (\w+) ([\d ]*\d)", "\n".join(lines)))
    assert outputs.keys() == batch.outputs.keys()
    for name, words in outputs.items():
        assert numbers(words) == batch.outputs[name][0].reshape(-1).tolist()
    return batch
