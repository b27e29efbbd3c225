"""Weighted graphs of the tasks on paths and trees: how they are sampled, which are refused, the worked examples."""

from __future__ import annotations

import re

import networkx as nx
import numpy as np
import pytest
import torch

import tasks
from tasks.generators import GRAPH_KINDS
from tests.tasks.test_paths_and_trees import DAG, DIJKSTRA, FLOYD, KRUSKAL, PRIM, digraph


def drawn_matrices(task: tasks.Task, kind: str, size: int, count: int) -> np.ndarray:
    return task.sample(seed=7, size=size, batch_size=count, distribution=kind).inputs["A"].numpy()


@pytest.mark.parametrize("kind", GRAPH_KINDS)
def test_sampled_dags_have_no_cycles_and_others_are_symmetric(kind: str) -> None:
    for matrix in drawn_matrices(DAG, kind, 12, 16):
        assert nx.is_directed_acyclic_graph(digraph(matrix))
        assert matrix.min() >= 0
        assert matrix.max() <= 1
    for task in (PRIM, KRUSKAL, FLOYD, DIJKSTRA):
        drawn = drawn_matrices(task, kind, 12, 16)
        assert drawn.any()
        assert (drawn == drawn.transpose(0, 2, 1)).all()


def test_sampled_dags_are_as_dense_as_those_of_clrs_in_every_place() -> None:
    drawn = drawn_matrices(DAG, "clrs", 12, 1500)
    off = ~np.eye(12, dtype=bool)
    # Half of the pairs in one order of the nodes, and each pair in either way equally often.
    assert ((drawn != 0) | (drawn != 0).transpose(0, 2, 1))[:, off].mean() == pytest.approx(0.5, abs=0.01)
    each = (drawn != 0).mean(0)[off]
    assert np.abs(each - 0.25).max() < 5 * (0.1875 / 1500) ** 0.5
    weights = drawn[drawn != 0]
    assert weights.mean() == pytest.approx(0.5, abs=5 * (1 / 12 / len(weights)) ** 0.5)
    assert weights.var() == pytest.approx(1 / 12, rel=0.03)


def test_kruskal_is_sampled_on_thin_graphs() -> None:
    drawn = drawn_matrices(KRUSKAL, "clrs", 16, 1000) != 0
    off = ~np.eye(16, dtype=bool)
    # 120,000 pairs of probability 0.2 * 0.2, and 16,000 loops of probability 0.2.
    assert drawn[:, off].mean() == pytest.approx(0.04, abs=5 * (0.04 * 0.96 / 120_000) ** 0.5)
    assert drawn[:, ~off].mean() == pytest.approx(0.2, abs=5 * (0.16 / 16_000) ** 0.5)
    mixed = drawn_matrices(KRUSKAL, "dense_mix", 40, 300) != 0
    density = np.sqrt(mixed[:, np.triu_indices(40, 1)[0], np.triu_indices(40, 1)[1]].mean(1))
    nearest = np.abs(density[:, None] - np.arange(1, 10) / 20).argmin(1)
    assert len(set(nearest.tolist())) == 9, "probabilities 0.05, 0.1, … 0.45"
    assert density.max() < 0.5


def one(*entries: tuple[int, int, float]) -> np.ndarray:
    matrix = np.zeros((2, 3, 3))
    for u, v, weight in entries:
        matrix[1, u, v] = weight
    return matrix


@pytest.mark.parametrize(
    ("task", "matrix", "message"),
    [
        (DIJKSTRA, one((2, 1, -0.5)), "'A'.*no negative weights, got -0.5 from node 2 to node 1 in sample 1"),
        (
            KRUSKAL,
            one((2, 1, -0.5), (1, 2, -0.5)),
            "'A'.*no negative weights, got -0.5 from node 1 to node 2 in sample 1",
        ),
        (PRIM, one((0, 1, 2.0)), "'A'.*symmetric matrix.*2.0 from node 0 to node 1 in sample 1 and 0.0 the other way"),
        (KRUSKAL, one((0, 2, 1.0), (2, 0, 3.0)), "'A'.*symmetric matrix.*1.0 from node 0 to node 2.*3.0 the other way"),
        (DAG, one((0, 1, 1.0), (1, 2, 1.0), (2, 0, 1.0)), "'A'.*without directed cycles, got one in sample 1"),
        (DAG, one((0, 1, -1.0), (1, 0, 1.0)), "'A'.*without directed cycles, got one in sample 1"),
        (DAG, one((2, 2, 1.0)), "'A'.*without directed cycles, got one in sample 1"),
        (FLOYD, one((0, 1, -1.0), (1, 0, 0.5)), "'A'.*no cycle of negative weight, got one in sample 1"),
        (FLOYD, one((1, 1, -1.0)), "'A'.*no cycle of negative weight, got one in sample 1"),
        (FLOYD, one((0, 1, 1.0), (1, 2, 1.0), (2, 0, -2.5)), "'A'.*no cycle of negative weight, got one in sample 1"),
    ],
)
def test_graphs_that_the_algorithm_is_not_for_are_refused(task: tasks.Task, matrix: np.ndarray, message: str) -> None:
    source = {"s": [0, 0]} if task.source else {}
    with pytest.raises(ValueError, match=f"{task.name} input {message}"):
        task.execute({"A": matrix, **source})


def test_the_sparse_layout_is_held_to_the_same_conditions() -> None:
    edges = {"edge_index": [[0, 1, 0], [1, 0, 2]], "s": 0}
    with pytest.raises(ValueError, match=r"'A'.*symmetric.*0.5 from node 0 to node 2 in sample 0 and 0.0"):
        PRIM.execute({**edges, "A": [1.0, 1.0, 0.5]})
    with pytest.raises(ValueError, match=r"'A'.*no negative weights, got -1.0 from node 1 to node 0"):
        DIJKSTRA.execute({**edges, "A": [1.0, -1.0, 0.5]})


@pytest.mark.parametrize("task", [DIJKSTRA, PRIM, DAG, KRUSKAL])
def test_worked_example_of_the_docstring(task: tasks.Task) -> None:
    text = type(task).__doc__
    assert text is not None
    edges = re.findall(r"(\d) ?(->?) ?(\d) of (?:weight )?(\d\.\d)", " ".join(text.split()))
    assert len(edges) == 3
    matrix = np.zeros((1, 3, 3))
    for u, arrow, v, weight in edges:
        matrix[0, int(u), int(v)] = float(weight)
        if arrow == "-":
            matrix[0, int(v), int(u)] = float(weight)
    batch = task.execute({"A": matrix, **({"s": [0]} if task.source else {})})
    frames = re.findall(r"^ +frame +(\d+): +(.*?)(?: +output pi ([\d ]+))?$", text, re.MULTILINE)
    assert [int(t) for t, *_ in frames] == list(range(batch.lengths.item()))
    shown = set()
    for t, line, _ in frames:
        for field in re.split(" {3,}", line):
            name, *words = field.split()
            value = batch.hints[name][int(t), 0]
            if value.ndim == 2:
                assert words == ([f"{u}-{v}" for u, v in value.nonzero().tolist() if u < v] or ["none"])
            else:
                assert [float(word) for word in words] == pytest.approx(value.reshape(-1).float().tolist()), line
            shown.add(name)
    assert shown == set(batch.hints)
    if "pi" in batch.outputs:
        assert [int(word) for word in frames[-1][2].split()] == batch.outputs["pi"][0].tolist()
    else:
        assert torch.equal(batch.outputs["in_mst"], batch.hints["in_mst_h"][-1])


def test_worked_example_of_floyd_warshall() -> None:
    text = FLOYD.__doc__
    assert text is not None
    edges = re.findall(r"(\d)-(\d) of (?:weight )?(\d\.\d)", " ".join(text.split()))
    matrix = np.zeros((1, 3, 3))
    for u, v, weight in edges:
        matrix[0, int(u), int(v)] = matrix[0, int(v), int(u)] = float(weight)
    batch = FLOYD.execute({"A": matrix})
    assert re.findall(r"frame \d: k (\d)", text) == [str(k) for k in batch.hints["k"][:, 0].tolist()]
    rows = re.findall(r"(\d\.\d) (\d\.\d) (\d\.\d) +(?:Pi_h )?(\d) (\d) (\d)$", text, re.MULTILINE)
    distances, pointers = np.array(rows, dtype=float).reshape(2, 3, 2, 3).transpose(2, 0, 1, 3)
    np.testing.assert_allclose(batch.hints["D"][:2, 0].numpy(), distances, atol=1e-6)
    np.testing.assert_array_equal(batch.hints["Pi_h"][:2, 0].numpy(), pointers)
    for name in ("D", "Pi_h"):
        assert torch.equal(batch.hints[name][2], batch.hints[name][1])
    assert torch.equal(batch.outputs["Pi"], batch.hints["Pi_h"][2])
    assert batch.hints["msk"].all()
