"""Maximum degree and lengths of shortest paths, with the graphs, weights and features of their papers."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tasks
from tasks.task import Task
from tasks.theory.extrapolation_graphs import FAMILIES
from tests.tasks.samples import alone

DEGREE, NEAR = tasks.create("maximum_degree"), tasks.create("three_hop_shortest_path")
LENGTH = tasks.create("shortest_path_length")
WEIGHTED = tasks.create("shortest_path_length", weighted=True)


def graphs_of(task: Task, kind: str, size: int | list[int], count: int) -> tuple[list[nx.Graph], dict[str, np.ndarray]]:
    """Sampled graphs, each without its padding, and all inputs and outputs by name."""
    batch = task.sample(seed=3, size=size, batch_size=count, distribution=kind)
    values = {name: value.numpy() for name, value in {**batch.inputs, **batch.outputs}.items()}
    drawn = zip(values["A"], batch.sizes.tolist(), strict=True)
    return [nx.from_numpy_array(matrix[:n, :n].astype(float), create_using=nx.DiGraph) for matrix, n in drawn], values


@st.composite
def matrices(draw: st.DrawFn, *, symmetric: bool) -> np.ndarray:
    """Any graph of 5 to 8 nodes with loops and without negative weights."""
    n = draw(st.integers(5, 8))
    matrix = draw(arrays(np.float64, (n, n), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0])))
    return np.maximum(matrix, matrix.T) if symmetric else matrix


def test_worked_examples() -> None:
    def shows(task: Task, line: str) -> bool:
        return line in " ".join((type(task).__doc__ or "").split())

    graph = nx.path_graph(5)
    assert DEGREE.execute({"A": graph, "feature": np.zeros((5, 3))}).outputs["degree"].item() == 2
    graph.add_edge(1, 3)
    assert DEGREE.execute({"A": graph, "feature": np.zeros((5, 3))}).outputs["degree"].item() == 3
    assert shows(DEGREE, "0 - 1 - 2 - 3 - 4 degree 2, and 3 with the edge 1-3, whatever the features are")
    graph = nx.Graph()
    graph.add_nodes_from(range(5))
    graph.add_weighted_edges_from([(0, 1, 1.0), (1, 2, 2.5), (0, 2, 4.0)])
    batch = NEAR.execute({"A": graph, "feature": np.zeros(5), "s": 0, "t": 2})
    assert (batch.outputs["length"].item(), batch.steps.item()) == (3.5, 3)
    assert shows(NEAR, "0 - 1 of weight 1, 1 - 2 of 2.5 and 0 - 2 of 4: from s 0 to t 2, length 3.5")
    batch = LENGTH.execute({"A": nx.path_graph(4), "s": 0, "t": 2})
    assert (batch.outputs["length"].item(), batch.steps.item()) == (2, 3)
    assert shows(LENGTH, "0 - 1 - 2 - 3 from s 0 to t 2: length 2, in 3 steps, as node 3 takes as many")


@settings(max_examples=30, deadline=None)
@given(matrix=matrices(symmetric=True))
def test_maximum_degree_counts_other_nodes(matrix: np.ndarray) -> None:
    n = len(matrix)
    np.testing.assert_array_equal(
        DEGREE.execute({"A": matrix[None], "feature": np.ones((1, n, 3))}).outputs["degree"],
        [((matrix != 0) & ~np.eye(n, dtype=bool)).sum(1).max()],
    )


@settings(max_examples=30, deadline=None)
@given(matrix=matrices(symmetric=False), choice=st.integers(0, 63))
def test_lengths_are_those_of_dijkstra_and_three_hops_must_do(matrix: np.ndarray, choice: int) -> None:
    n = len(matrix)
    source, target = choice % n, choice // 8 % n
    graph = nx.from_numpy_array(matrix, create_using=nx.DiGraph)
    distances = nx.single_source_dijkstra_path_length(graph, source)
    inputs = {"A": matrix[None], "s": [source], "t": [target]}
    if target not in distances:
        with pytest.raises(ValueError, match=rf"'t'.*a node that the source reaches, got node {target} in sample 0"):
            LENGTH.execute(inputs)
        return
    batch = LENGTH.execute(inputs)
    assert batch.outputs["length"].item() == distances[target]
    assert batch.lengths.item() == tasks.create("bellman_ford").execute({"A": matrix[None], "s": [source]}).lengths
    paths = nx.all_shortest_paths(graph, source, target, weight="weight")
    inputs["feature"] = np.zeros((1, n))
    if min(len(path) for path in paths) <= 4:
        assert NEAR.execute(inputs).outputs["length"].item() == distances[target]
    else:
        with pytest.raises(ValueError, match=r"'t'.*at most 3 edges"):
            NEAR.execute(inputs)


def test_families_are_what_they_are_called() -> None:
    checks = {
        "general": nx.is_connected,
        "expander": nx.is_connected,
        "regular": lambda graph: {degree for _, degree in graph.degree} == {4},
        "complete": lambda graph: graph.size() == len(graph) * (len(graph) - 1) // 2,
        "tree": nx.is_tree,
        "ladder": lambda graph: len(graph) % 2 or nx.is_isomorphic(graph, nx.ladder_graph(len(graph) // 2)),
        "cycle": lambda graph: nx.is_isomorphic(graph, nx.cycle_graph(len(graph))),
        "path": lambda graph: nx.is_isomorphic(graph, nx.path_graph(len(graph))),
        "general_wide": nx.is_connected,
    }
    assert tuple(checks) == DEGREE.distributions == (*FAMILIES, "general_wide")
    for kind, check in checks.items():
        drawn, values = graphs_of(DEGREE, kind, [5, 8, 12], 12)
        for graph, degree in zip(drawn, values["degree"], strict=True):
            assert not nx.number_of_selfloops(graph)
            plain = graph.to_undirected()
            assert plain.size() * 2 == graph.size()
            assert check(plain), kind
            assert degree == max(count for _, count in plain.degree)


def test_general_graphs_have_every_tenth_as_density_and_expanders_their_own() -> None:
    drawn, _ = graphs_of(DEGREE, "general", 40, 180)
    densities = np.array([nx.density(graph) for graph in drawn])
    # A density of 780 pairs is within a twentieth of its probability.
    counts = np.bincount(np.rint(10 * densities).astype(int), minlength=10)
    assert counts.sum() == counts[1:10].sum() == 180
    assert (abs(counts[1:] - 20) < 5 * (180 * 8 / 81) ** 0.5).all()
    for task, p in [(DEGREE, 0.8), (NEAR, 0.6)]:
        drawn, _ = graphs_of(task, "expander", 40, 20)
        assert np.mean([nx.density(graph) for graph in drawn]) == pytest.approx(p, abs=5 * (0.25 / 15_600) ** 0.5)


def test_ranges_of_training_and_of_extrapolation() -> None:
    for kind, most in [("general", 5), ("path", 5), ("general_wide", 10)]:
        feature = graphs_of(DEGREE, kind, 30, 60)[1]["feature"]
        assert feature.shape == (60, 30, 3)
        assert most * 0.99 < abs(feature).max() <= most
        assert abs(feature.mean()) < 5 * most / (3 * feature.size) ** 0.5
        inputs = graphs_of(NEAR, kind, 30, 60)[1]
        weights = inputs["A"][inputs["A"] != 0]
        assert 1 <= weights.min() < 1.1
        assert 0.98 * most < weights.max() <= most
        assert weights.mean() == pytest.approx((1 + most) / 2, rel=0.05)
        assert np.array_equal(inputs["A"], inputs["A"].transpose(0, 2, 1))
        assert 4.9 < abs(inputs["feature"]).max() <= 5
    same = tasks.create("maximum_degree", features="identical").sample(size=[5, 9], batch_size=6)
    for b, n in enumerate(same.sizes.tolist()):
        assert (same.inputs["feature"][b, :n] == 1).all()


@pytest.mark.parametrize("kind", ["general", "tree", "cycle", "general_wide"])
def test_sampled_targets_are_three_hops_away_at_most_and_so_are_the_shortest_paths(kind: str) -> None:
    drawn, values = graphs_of(NEAR, kind, [5, 20], 40)
    hops = []
    for graph, source, target, length in zip(drawn, values["s"], values["t"], values["length"], strict=True):
        path = nx.dijkstra_path(graph, source, target)
        assert 2 <= len(path) <= 4
        assert length == pytest.approx(nx.path_weight(graph, path, "weight"), rel=1e-6)
        hops.append(len(path) - 1)
    assert len(set(hops)) == 3


@pytest.mark.parametrize("kind", ["clrs", "lobster", "nearest_neighbours", "delaunay"])
def test_any_node_may_be_asked_for_over_edges_of_weight_one_or_about_one(kind: str) -> None:
    for task in (LENGTH, WEIGHTED):
        drawn, values = graphs_of(task, kind, [4, 20, 33], 30)
        for graph, source, target, length in zip(drawn, values["s"], values["t"], values["length"], strict=True):
            assert source != target or not nx.descendants(graph, source)
            assert length == pytest.approx(nx.dijkstra_path_length(graph, source, target), rel=1e-6)
        weights = values["A"][values["A"] != 0]
        if task is LENGTH:
            assert (weights == 1).all()
        else:
            assert 0.5 <= weights.min() < 0.55
            assert 1.45 < weights.max() <= 1.5
            assert (values["A"] != values["A"].transpose(0, 2, 1)).any()
    n = 33
    if kind == "clrs":
        matrices = graphs_of(LENGTH, kind, n, 40)[1]["A"][:, ~np.eye(n, dtype=bool)]
        assert (matrices != 0).mean() == pytest.approx(0.5, abs=5 * (0.25 / (40 * n * (n - 1) / 2)) ** 0.5)


def test_names_of_distributions_are_those_of_the_graphs_drawn() -> None:
    assert LENGTH.distributions[0] == "lobster"
    checks = {
        "lobster": nx.is_tree,
        "nearest_neighbours": lambda graph: min(degree for _, degree in graph.degree) >= 8,
        "delaunay": lambda graph: graph.size() > 2 * len(graph) and nx.check_planarity(graph)[0],
        "path": lambda graph: nx.is_isomorphic(graph, nx.path_graph(30)),
        "ladder": lambda graph: nx.is_isomorphic(graph, nx.ladder_graph(15)),
    }
    for kind, check in checks.items():
        assert all(check(graph.to_undirected()) for graph in graphs_of(WEIGHTED, kind, 30, 4)[0]), kind


@pytest.mark.parametrize("task", [DEGREE, NEAR, WEIGHTED], ids=lambda task: task.name)
def test_layouts_agree(task: Task) -> None:
    choice = {"seed": 4, "size": [5, 9, 12], "batch_size": 12, "distribution": task.distributions[:5]}
    dense, sparse = task.sample(**choice), task.sample(**choice, layout="sparse")
    again = task.execute({**sparse.inputs, "edge_index": sparse.edge_index}, sizes=sparse.sizes)
    for name in task.spec.outputs:
        assert torch.equal(dense.outputs[name.name], sparse.outputs[name.name])
        assert torch.equal(again.outputs[name.name], sparse.outputs[name.name])
    for b in range(12):
        one, other = alone(dense, b), alone(sparse, b)
        senders, receivers = other["edge_index"]
        assert torch.equal(one["A"][senders, receivers], other["A"])
        for name in {"s", "t", "feature"} & one.keys():
            assert torch.equal(one[name], other[name])


def test_inputs_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'A'.*symmetric"):
        DEGREE.execute({"A": np.triu(np.ones((1, 5, 5))), "feature": np.zeros((1, 5, 3))})
    with pytest.raises(ValueError, match=r"'feature'.*shape \[1, 5, 3\]"):
        DEGREE.execute({"A": np.zeros((1, 5, 5)), "feature": np.zeros((1, 5, 2))})
    with pytest.raises(ValueError, match=r"'A'.*no negative weights"):
        LENGTH.execute({"A": -np.ones((1, 5, 5)), "s": [0], "t": [1]})
    with pytest.raises(ValueError, match=r"'t'.*a node from 0 to 4"):
        LENGTH.execute({"A": np.ones((1, 5, 5)), "s": [0], "t": [5]})
    with pytest.raises(ValueError, match=r"'t': expected a node of the graph, got 9"):
        LENGTH.execute({"A": nx.path_graph(4), "s": 0, "t": 9})
    with pytest.raises(ValueError, match="'identicals'; did you mean identical"):
        tasks.create("maximum_degree", features="identicals")
