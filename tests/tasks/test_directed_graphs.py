"""The random graphs of the tasks on depth-first search: directed, acyclic, thin, and in communities."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

import tasks
from tasks import legacy
from tasks.generators import GRAPH_KINDS
from tasks.task import Task

DFS, TOPOLOGICAL_SORT, COMPONENTS = map(tasks.create, ["dfs", "topological_sort", "strongly_connected_components"])
ARTICULATION_POINTS, BRIDGES = map(tasks.create, ["articulation_points", "bridges"])


def digraph(matrix: np.ndarray) -> nx.DiGraph:
    return nx.from_numpy_array(matrix, create_using=nx.DiGraph)


def matrices_of(task: Task, kind: str, size: int, batch_size: int) -> np.ndarray:
    return task.sample(seed=7, size=size, batch_size=batch_size, distribution=kind).inputs["A"].numpy()


def off_diagonal(size: int) -> np.ndarray:
    return ~np.eye(size, dtype=bool)


def near(share: np.ndarray, p: float) -> bool:
    """Whether a mean of independent bits is within five standard deviations."""
    return abs(share.mean() - p) <= 5 * (p * (1 - p) / share.size) ** 0.5


def test_directed_graphs_are_independent_bits() -> None:
    drawn = matrices_of(DFS, "clrs", 16, 300) > 0
    off = off_diagonal(16)
    assert near(drawn[:, off], 0.5)
    assert near(drawn[:, ~off], 0.5)
    rows, columns = np.triu_indices(16, 1)
    assert near(drawn[:, rows, columns] & drawn[:, columns, rows], 0.25)
    assert near(drawn[:, rows, columns], 0.5)


def test_acyclic_graphs_are_the_upper_half_of_bits_relabelled() -> None:
    drawn = matrices_of(TOPOLOGICAL_SORT, "clrs", 16, 300) > 0
    assert all(nx.is_directed_acyclic_graph(digraph(matrix)) for matrix in drawn)
    rows, columns = np.triu_indices(16, 1)
    assert near(drawn[:, rows, columns] | drawn[:, columns, rows], 0.5)
    # Whichever of two nodes comes first; pairs of one graph hang together, so graphs are what is counted.
    for u, v in [(0, 1), (0, 15), (7, 8)]:
        assert near(drawn[:, u, v], 0.25)
        assert near(drawn[:, v, u], 0.25)


@pytest.mark.parametrize("kind", GRAPH_KINDS)
def test_every_kind_of_acyclic_graph_is_acyclic(kind: str) -> None:
    for size in (1, 2, 3, 13):
        drawn = matrices_of(TOPOLOGICAL_SORT, kind, size, 20)
        assert all(nx.is_directed_acyclic_graph(digraph(matrix)) for matrix in drawn)


@pytest.mark.parametrize("kind", ["sparse", "grid", "tree", "path"])
def test_edges_of_directed_graphs_go_one_way_the_other_or_both(kind: str) -> None:
    drawn = matrices_of(DFS, kind, 16, 200) > 0
    rows, columns = np.triu_indices(16, 1)
    there, back = drawn[:, rows, columns], drawn[:, columns, rows]
    linked = there | back
    for share in (there & ~back, back & ~there, there & back):
        assert near(share[linked], 1 / 3)


def test_thin_graphs_have_edges_with_probability_a_twenty_fifth() -> None:
    for task in (ARTICULATION_POINTS, BRIDGES):
        drawn = matrices_of(task, "clrs", 16, 400) > 0
        assert (drawn == drawn.transpose(0, 2, 1)).all()
        rows, columns = np.triu_indices(16, 1)
        assert near(drawn[:, rows, columns], 0.04)
        assert near(drawn[:, np.arange(16), np.arange(16)], 0.2)
        # Densities for training are half of what other tasks train on (Ibarz et al., 2022): 0.05 to 0.45.
        mixed = matrices_of(task, "ibarz2022", 32, 300)[:, np.triu_indices(32, 1)[0], np.triu_indices(32, 1)[1]] > 0
        expected = np.mean([(0.05 * k) ** 2 for k in range(1, 10)])
        assert mixed.mean() == pytest.approx(expected, abs=5 * 0.065 / 300**0.5)


def test_communities_are_four_parts_with_few_arcs_that_close_no_cycle() -> None:
    drawn = matrices_of(COMPONENTS, "clrs", 16, 400) > 0
    sizes = [len(group) for matrix in drawn for group in nx.strongly_connected_components(digraph(matrix))]
    assert max(sizes) == 4
    # Four parts of four nodes: bits within, an arc in a hundred from an earlier part to a later one.
    rows, columns = np.triu_indices(16, 1)
    there, back = drawn[:, rows, columns], drawn[:, columns, rows]
    assert near(drawn[:, np.arange(16), np.arange(16)], 0.5)
    inside, across = 24, 96
    assert (there & back).sum(1).mean() == pytest.approx(inside / 4, abs=5 * (inside * 3 / 16 / 400) ** 0.5)
    one_way = (there ^ back).sum(1).mean()
    variance = inside / 4 + across * 0.01 * 0.99
    assert one_way == pytest.approx(inside / 2 + across * 0.01, abs=5 * (variance / 400) ** 0.5)
    # The last part takes the rest.
    sizes = [
        len(g) for m in matrices_of(COMPONENTS, "clrs", 19, 100) for g in nx.strongly_connected_components(digraph(m))
    ]
    assert max(sizes) == 7


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_few_nodes_fall_into_as_many_parts_as_there_can_be(size: int) -> None:
    batch = COMPONENTS.sample(size=size, batch_size=300, distribution=["clrs", "dense_mix"])
    groups = [len(set(row)) for row in batch.outputs["scc_id"].tolist()]
    assert min(groups) == min(size, 4)


def test_legacy_communities_need_a_node_in_each_part() -> None:
    with pytest.raises(ValueError, match="4 parts have at least as many nodes, not 3"):
        legacy.draw("strongly_connected_components", seed=1, samples=1, size=3)
