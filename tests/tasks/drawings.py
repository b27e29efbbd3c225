"""Holding a task to the drawing of its layout in its docstring: a row of nodes, a row a probe."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tasks.batch import Batch
from tasks.spec import Probe, Stage
from tasks.task import Task


def drawings(task: Task) -> list[list[tuple[str, list[str]]]]:
    """The drawings in a docstring, each as its rows: a name, and a cell a node."""
    text = type(task).__doc__
    assert text is not None
    found = []
    for block in re.split(r"\n\s*\n", text):
        lines = [re.split(r"\s{3,}\(", line)[0].split() for line in block.splitlines() if line.strip()]
        if lines[0][0] == "node":
            assert lines[0][1:] == [str(node) for node in range(len(lines[0]) - 1)]
            assert all(len(line) == len(lines[0]) for line in lines), lines
            found.append([(line[0], line[1:]) for line in lines[1:]])
    return found


def _value(probe: Probe, cell: str, words: Mapping[str, int]) -> object:
    """A cell as the batch has it."""
    blank = {".": 0, "-": -1}.get(cell)
    if probe.channels > 1:
        return [int(bit) for bit in cell] if blank is None else [blank] * probe.channels
    return blank if blank is not None else words[cell] if cell in words else float(cell)


def check_drawing(
    task: Task, rows: list[tuple[str, list[str]]], words: Mapping[str, int] | None = None, skipped: tuple[str, ...] = ()
) -> Batch:
    """Run a task on the inputs drawn and compare all that is drawn; `words` are cells that stand for classes."""
    probes = {probe.name: probe for probe in task.spec}
    drawn = {
        name: [_value(probes[name], cell, words or {}) for cell in cells] for name, cells in rows if name in probes
    }
    assert {name for name, _ in rows} - drawn.keys() == set(skipped)
    assert {probe.name for probe in task.spec if not probe.positional} == drawn.keys()
    given = {name: [values] for name, values in drawn.items() if probes[name].stage is Stage.INPUT}
    batch = task.execute(given)
    for name, values in drawn.items():
        got = {**batch.inputs, **batch.outputs}[name][0].tolist()
        assert got == values or [round(x, 6) for x in got] == values, name
    return batch
