"""`zoo sample --show`: what is printed of a trajectory holds its values, in lines that fit."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console

import tasks
from tasks.batch import Batch
from tasks.spec import Location, Type
from tasks.task import Task
from trainers.inspection.one_sample import alone, token
from trainers.sample_show import show


def shown(task: Task, batch: Batch, *, width: int = 80, terminal: bool = False, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    colours = "standard" if terminal else "auto"
    show(task, batch, Console(file=stream, width=width, force_terminal=terminal, color_system=colours))
    return raw.getvalue().decode(encoding)


def sampled(name: str, size: int, **how: object) -> tuple[Task, Batch]:
    task = tasks.create(name)
    return task, task.sample(batch_size=1, size=max(size, task.min_size), **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", tasks.list_tasks(ready=True))
@pytest.mark.parametrize("size", [1, 7])
def test_every_task_is_shown_in_lines_that_fit(name: str, size: int) -> None:
    task, batch = sampled(name, size)
    text = shown(task, batch)
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert text.startswith(f"{name}: {int(batch.sizes[0])} node")
    for probe in batch.spec:
        assert re.search(rf"(^|[\s,]){re.escape(probe.name)}\b", text, re.MULTILINE), probe.name


BFS = """\
bfs: 5 nodes, 2 steps
Breadth-first search: which nodes the source reaches, and a predecessor for each
of them.

inputs
  A, adj  4 undirected edges: 0-1 0-2 1-3 2-3
  s  0
  node    0   1   2   3   4
  pos     0 0.2 0.4 0.6 0.8

steps
  step 0 is given; a star after a value: the step changed it; a dot: it did not

        reach_h     pi_h
  step  0 1 2 3 4   0 1 2 3 4
     0  1 0 0 0 0   0 1 2 3 4
     1  1 1*1*0 0   0 0*0*3 4
     2  1 1 1 1*0   0 0 0 1*4

outputs
  node  0 1 2 3 4
  pi    0 0 0 1 4
"""


def test_a_search_by_hand_is_shown_as_it_is() -> None:
    adjacency = np.zeros((1, 5, 5))
    for a, b in ((0, 1), (0, 2), (1, 3), (2, 3)):
        adjacency[0, a, b] = adjacency[0, b, a] = 1
    task = tasks.create("bfs")
    assert shown(task, task.execute({"s": [0], "A": adjacency})) == BFS


def test_operations_stand_beside_what_they_lead_to() -> None:
    task = tasks.create("disjoint_set")
    pairs = [(0, 1), (2, 3), (0, 2), (0, 1)]
    ops = np.zeros((4, 1, 4))
    for step, pair in enumerate(pairs):
        ops[step, 0, list(pair)] = 1
    text = shown(task, task.execute({"priority": [[0.1, 0.7, 0.4, 0.9]], "op": ops}))
    rows = [line.split() for line in text.splitlines() if re.match(r" +[0-4]  ", line)]
    assert [row[0] for row in rows] == list("01234")
    assert rows[0][1:] == list("01230000")
    assert "".join(rows[2][1:]) == "0011" + "113*3" + "0*0*1*1*" + "1"
    assert rows[4][-1] == "0"


def test_bits_are_a_block_of_marks() -> None:
    task, batch = sampled("copy", 3)
    bits = batch.inputs["bits"][0].numpy().T
    for encoding, mark in (("utf-8", "█"), ("ascii", "#")):
        lines = shown(task, batch, encoding=encoding).splitlines()
        first = next(i for i, line in enumerate(lines) if line.startswith("  bits"))
        block = [line[4:] for line in lines[first + 1 : first + 1 + len(bits)]]
        assert block == ["".join(mark if bit else "." for bit in row) for row in bits]


def edge_hints() -> list[tuple[str, str]]:
    found = []
    for name in tasks.list_tasks(ready=True):
        for probe in tasks.create(name).spec.hints:
            if probe.location is Location.EDGE and probe.type in (Type.SCALAR, Type.POINTER):
                found.append((name, probe.name))
    return found


@pytest.mark.parametrize(("name", "hint"), edge_hints())
def test_changes_of_edges_lead_from_the_first_frame_to_the_last(name: str, hint: str) -> None:
    task, batch = sampled(name, 6)
    one = alone(batch)
    probe, value = batch.spec[hint], one.values(batch.spec[hint])
    assert (value[0] != value[-1]).any()
    part = shown(task, batch).split(f"\n  {hint}: (sender,receiver)=value")[1].split("\n\n")[0]
    entries = [[token(probe, entry) for entry in row] for row in value[0].tolist()]
    for sender, receiver, said in re.findall(r"\((\d+),(\d+)\)=(\S+)", part):
        assert entries[int(sender)][int(receiver)] != said or probe.type is Type.SCALAR
        entries[int(sender)][int(receiver)] = said
    assert entries == [[token(probe, entry) for entry in row] for row in value[-1].tolist()]


def test_a_row_of_nodes_too_wide_for_a_line_goes_on_in_further_tables() -> None:
    task, batch = sampled("insertion_sort", 40)
    lines = shown(task, batch).splitlines()
    heads = [line for line in lines if line.startswith("  step ")]
    nodes = [int(word) for line in heads[1:] for word in line.split()[1:]]
    assert nodes == list(range(40))
    last = [line[8:] for line in lines if re.match("    39  ", line)]
    pointers = [word for line in last for word in re.findall(r"\d+", line)]
    marks = [str(int(batch.hints[name][-1, 0])) for name in ("i", "j")]
    assert [word for word in marks if word in pointers]
    assert shown(task, batch, width=250, terminal=True).count("step  ") < len(heads)


def test_changes_are_in_colour_on_a_terminal_only() -> None:
    task, batch = sampled("insertion_sort", 5)
    coloured = shown(task, batch, terminal=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == shown(task, batch)


def test_strings_are_letters() -> None:
    name = next((n for n in tasks.list_tasks() if n in ("lcs_length", "kmp_matcher")), None)
    assert name is not None
    task, batch = sampled(name, 6)
    row = next(line for line in shown(task, batch).splitlines() if line.startswith("  key "))
    assert row.split()[1:] == ["abcd"[letter] for letter in batch.inputs["key"][0].tolist()]


def test_directed_edges_have_arrows() -> None:
    weights = np.zeros((1, 3, 3))
    weights[0, 0, 1] = weights[0, 2, 0] = 0.5
    task = tasks.create("dag_shortest_paths")
    assert "2 edges: 0->1=0.5 2->0=0.5" in shown(task, task.execute({"s": [2], "A": weights}))


@pytest.mark.parametrize("how", [{"batch_size": 2}, {"batch_size": 1, "layout": "sparse"}])
def test_other_batches_are_refused(how: dict[str, int | str]) -> None:
    task = tasks.create("bfs")
    with pytest.raises(ValueError, match="one sample in the dense layout"):
        show(task, task.sample(size=4, **how), Console(file=io.StringIO()))  # type: ignore[arg-type]
