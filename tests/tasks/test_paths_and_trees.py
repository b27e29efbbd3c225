"""Shortest paths and spanning trees against networkx and the theorems about them, frame by frame."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tasks
from tasks.batch import Batch
from tasks.generators import GRAPH_KINDS

DIJKSTRA, PRIM, DAG, KRUSKAL, FLOYD = (
    tasks.create(name) for name in ("dijkstra", "mst_prim", "dag_shortest_paths", "mst_kruskal", "floyd_warshall")
)
WEIGHTS = [0.0, 0.0, 0.25, 0.5, 1.0, 2.0]  # 0 is no edge; sums of the others are exact
EXAMPLES = settings(max_examples=40, deadline=None)


@st.composite
def directed(draw: st.DrawFn, most: int = 8) -> np.ndarray:
    """Any directed weighted graph: no edges, loops, ties and unreachable nodes included."""
    n = draw(st.integers(1, most))
    return draw(arrays(np.float64, (n, n), elements=st.sampled_from(WEIGHTS)))


@st.composite
def undirected(draw: st.DrawFn, negative: bool = False) -> np.ndarray:
    """Any undirected weighted graph."""
    n = draw(st.integers(1, 8))
    drawn = draw(arrays(np.float64, (n, n), elements=st.sampled_from([*WEIGHTS, *([-1.0] if negative else [])])))
    return np.triu(drawn) + np.triu(drawn, 1).T


@st.composite
def distinct(draw: st.DrawFn) -> np.ndarray:
    """An undirected graph no two of whose edges weigh the same."""
    n = draw(st.integers(1, 8))
    rank = np.array(draw(st.permutations(range(n * n)))).reshape(n, n) + 1.0
    upper = np.triu(rank * draw(arrays(np.bool_, (n, n))), 1)
    return upper + upper.T


@st.composite
def acyclic(draw: st.DrawFn) -> np.ndarray:
    """Any directed graph without cycles, negative weights included."""
    n = draw(st.integers(1, 8))
    drawn = np.triu(draw(arrays(np.float64, (n, n), elements=st.sampled_from([*WEIGHTS, -1.0]))), 1)
    label = draw(st.permutations(range(n)))
    return drawn[label][:, label]


@st.composite
def without_negative_cycles(draw: st.DrawFn, most: int = 6) -> np.ndarray:
    """Any directed graph whose cycles weigh more than 0 though edges may not: potentials change no cycle's weight."""
    matrix = draw(directed(most))
    potential = np.array(draw(st.lists(st.sampled_from([0.0, 0.125, 3.0]), min_size=len(matrix), max_size=len(matrix))))
    return np.where(matrix != 0, matrix + potential[:, None] - potential, 0.0)


def digraph(matrix: np.ndarray) -> nx.DiGraph:
    return nx.from_numpy_array(matrix, create_using=nx.DiGraph)


def run(task: tasks.Task, matrix: np.ndarray, source: int | None = None) -> Batch:
    return task.execute({"A": matrix[None]} | ({} if source is None else {"s": [source]}))


def check_predecessors(matrix: np.ndarray, source: int, exact: dict[int, float], pointers: list[int]) -> None:
    """Every reached node's predecessor lies on a shortest path to it; the other nodes point to themselves."""
    for v, u in enumerate(pointers):
        if v in exact and v != source:
            assert matrix[u, v] != 0
            assert exact[u] + matrix[u, v] == exact[v]
        else:
            assert u == v


@EXAMPLES
@given(matrix=directed(), choice=st.integers(0, 7))
def test_dijkstra_settles_nodes_by_distance_and_number(matrix: np.ndarray, choice: int) -> None:
    n, source = len(matrix), choice % len(matrix)
    batch = run(DIJKSTRA, matrix, source)
    exact = nx.single_source_dijkstra_path_length(digraph(matrix), source)
    order = sorted(exact, key=lambda v: (exact[v], v))
    assert batch.lengths.item() == len(order) + 1
    assert batch.hints["u"][:, 0].tolist() == [source, *order]
    check_predecessors(matrix, source, exact, batch.outputs["pi"][0].tolist())
    for t in range(1, len(order) + 1):
        settled = order[:t]
        border = {v for u in settled for v in range(n) if matrix[u, v]} - set(settled)
        d = [
            exact[v] if v in settled else min((exact[u] + matrix[u, v] for u in settled if matrix[u, v]), default=0.0)
            for v in range(n)
        ]
        assert batch.hints["mark"][t, 0].nonzero()[:, 0].tolist() == sorted(settled)
        assert batch.hints["in_queue"][t, 0].nonzero()[:, 0].tolist() == sorted(border)
        assert batch.hints["d"][t, 0].tolist() == d
        pointers = batch.hints["pi_h"][t, 0].tolist()
        assert all(exact[pointers[v]] + matrix[pointers[v], v] == d[v] for v in border)
        assert all(pointers[v] == v for v in range(n) if v not in border and v not in settled)
    assert torch.equal(batch.hints["pi_h"][-1], batch.outputs["pi"])


@EXAMPLES
@given(matrix=undirected(negative=True), choice=st.integers(0, 7))
def test_prim_adds_the_lightest_edge_that_leaves_the_tree(matrix: np.ndarray, choice: int) -> None:
    n, source = len(matrix), choice % len(matrix)
    batch = run(PRIM, matrix, source)
    component = nx.node_connected_component(nx.from_numpy_array(matrix), source)
    assert batch.lengths.item() == len(component) + 1
    taken = batch.hints["u"][1:, 0].tolist()
    assert taken[0] == source
    assert sorted(taken) == sorted(component)
    for t in range(1, len(taken)):
        tree = taken[:t]
        key = {
            v: min(matrix[u, v] for u in tree if matrix[u, v]) for v in component - set(tree) if matrix[tree, v].any()
        }
        assert taken[t] == min(key, key=lambda v: (key[v], v))
        assert batch.hints["mark"][t, 0].nonzero()[:, 0].tolist() == sorted(tree)
        assert batch.hints["in_queue"][t, 0].nonzero()[:, 0].tolist() == sorted(key)
        pointers, keys = batch.hints["pi_h"][t, 0].tolist(), batch.hints["key"][t, 0].tolist()
        assert {v: keys[v] for v in key} == key
        assert all(pointers[v] in tree and matrix[pointers[v], v] == key[v] for v in key)
    pointers = batch.outputs["pi"][0].tolist()
    assert all(pointers[v] == v for v in range(n) if v == source or v not in component)
    tree_edges = nx.Graph([(pointers[v], v) for v in component if v != source])
    assert len(component) == 1 or (nx.is_tree(tree_edges) and set(tree_edges) == component)
    best = nx.minimum_spanning_tree(nx.from_numpy_array(matrix).subgraph(component))
    assert sum(matrix[u, v] for u, v in tree_edges.edges) == best.size(weight="weight")


@EXAMPLES
@given(matrix=distinct(), choice=st.integers(0, 7))
def test_with_distinct_weights_prim_and_kruskal_find_the_one_spanning_forest(matrix: np.ndarray, choice: int) -> None:
    source = choice % len(matrix)
    graph = nx.from_numpy_array(matrix)
    forest = nx.to_numpy_array(nx.minimum_spanning_tree(graph), nodelist=range(len(matrix))) != 0
    np.testing.assert_array_equal(run(KRUSKAL, matrix).outputs["in_mst"][0].numpy(), forest)
    inside = np.isin(np.arange(len(matrix)), list(nx.node_connected_component(graph, source)))
    tree = np.zeros_like(forest)
    for v, u in enumerate(run(PRIM, matrix, source).outputs["pi"][0].tolist()):
        tree[u, v] = tree[v, u] = u != v
    np.testing.assert_array_equal(tree, forest & inside[:, None])


@EXAMPLES
@given(matrix=undirected())
def test_kruskal_joins_what_is_apart_trying_edges_by_weight(matrix: np.ndarray) -> None:
    n = len(matrix)
    batch = run(KRUSKAL, matrix)
    hints = {name: value[:, 0] for name, value in batch.hints.items()}
    edges = sorted((matrix[u, v], u, v) for u in range(n) for v in range(u + 1, n) if matrix[u, v])
    ends = [t for t in range(1, batch.lengths.item()) if hints["phase"][t] == 0]
    assert [(hints["u"][t].item(), hints["v"][t].item()) for t in ends] == [(u, v) for _, u, v in edges]
    assert not hints["in_mst_h"][0].any()
    before = 0
    for t, (_, u, v) in zip(ends, edges, strict=True):
        for side, end in (("u", u), ("v", v)):
            root = hints[f"root_{side}"][t].item()
            passed = hints[f"mask_{side}"][t].nonzero()[:, 0].tolist()
            assert {end, root} <= set(passed)
            assert all(hints["pi"][t - 1, i] == root for i in passed), "every node passed points to the root"
            assert (hints[f"mask_{side}"][before + 1].nonzero()[:, 0].tolist()) == [end]
        apart = not nx.has_path(nx.from_numpy_array(hints["in_mst_h"][before].numpy()), u, v)
        assert (hints["root_u"][t] != hints["root_v"][t]).item() == apart
        added = hints["in_mst_h"][t] != hints["in_mst_h"][t - 1]
        assert sorted(map(tuple, added.nonzero().tolist())) == ([(u, v), (v, u)] if apart else [])
        climb = hints["phase"][before + 1 : t].tolist()
        assert climb == sorted(climb)
        assert set(climb) <= {1, 2}
        before = t
    forest = nx.from_numpy_array(batch.outputs["in_mst"][0].numpy())
    assert nx.is_forest(forest)
    best = nx.minimum_spanning_tree(nx.from_numpy_array(matrix))
    assert sum(matrix[u, v] for u, v in forest.edges) == sum(matrix[u, v] for u, v in best.edges if u != v)


@EXAMPLES
@given(matrix=acyclic(), choice=st.integers(0, 7))
def test_dag_shortest_paths_relaxes_along_a_topological_order(matrix: np.ndarray, choice: int) -> None:
    n, source = len(matrix), choice % len(matrix)
    batch = run(DAG, matrix, source)
    hints = {name: value[:, 0] for name, value in batch.hints.items()}
    exact = nx.single_source_bellman_ford_path_length(digraph(matrix), source)
    assert batch.lengths.item() == 3 * len(exact) + 1
    check_predecessors(matrix, source, exact, batch.outputs["pi"][0].tolist())
    assert hints["d"][-1].tolist() == [exact.get(v, 0.0) for v in range(n)]
    assert hints["mark"][-1].nonzero()[:, 0].tolist() == sorted(exact)
    assert torch.equal(hints["pi_h"][-1], batch.outputs["pi"][0])
    order, following = [source], hints["topo_h"][-1].tolist()
    while following[order[-1]] != order[-1]:
        order.append(following[order[-1]])
    assert sorted(order) == sorted(exact)
    place = {v: position for position, v in enumerate(order)}
    assert all(place[u] < place[v] for u in order for v in range(n) if matrix[u, v])
    walk = 2 * len(order) + 1
    assert hints["phase"].tolist() == [False] * walk + [True] * len(order)
    assert hints["topo_head_h"][walk:].tolist() == order
    for t in range(len(order)):  # a node's distance is final when the walk comes to it
        assert hints["d"][walk + t, order[t]] == exact[order[t]]


@EXAMPLES
@given(matrix=acyclic(), choice=st.integers(0, 7))
def test_dag_shortest_paths_searches_depth_first(matrix: np.ndarray, choice: int) -> None:
    source = choice % len(matrix)
    hints = {name: value[:, 0] for name, value in run(DAG, matrix, source).hints.items()}
    stack: list[int] = []
    finished: list[int] = []
    for t in range(1, (~hints["phase"]).sum().item()):
        changed = (hints["color"][t] != hints["color"][t - 1]).nonzero()[:, 0].tolist()
        assert len(changed) == 1
        node = changed[0]
        white = [v for v in range(len(matrix)) if hints["color"][t - 1, v] == 0]
        if hints["color"][t, node] == 1:
            assert node in white
            if stack:
                assert hints["u"][t] == stack[-1]
                assert node == min(v for v in white if matrix[stack[-1], v])
            assert hints["v"][t] == node
            stack.append(node)
        else:
            assert (hints["u"][t], stack.pop()) == (node, node)
            assert not any(matrix[node, v] for v in white)
            finished.append(node)
            assert hints["topo_head_h"][t] == node
        assert hints["s_last"][t] == (stack[-1] if hints["color"][t, node] == 1 else node)
        under = hints["s_prev"][t].tolist()
        assert all(under[above] == below for below, above in pairwise(stack))
        assert under[source] == source
    assert not stack
    assert finished[-1] == source


@EXAMPLES
@given(matrix=without_negative_cycles())
def test_floyd_warshall_points_along_shortest_paths(matrix: np.ndarray) -> None:
    n = len(matrix)
    batch = run(FLOYD, matrix)
    assert batch.lengths.item() == n
    pointers = batch.outputs["Pi"][0].tolist()
    for i in range(n):
        exact = nx.single_source_bellman_ford_path_length(digraph(matrix - np.diag(matrix.diagonal())), i)
        back = [exact[j] + matrix[j, i] for j in exact if matrix[j, i]]  # cycles through i, its loop among them
        for j in range(n):
            p = pointers[i][j]
            if i == j and matrix[i, i]:
                assert (exact[p] + matrix[p, i]) == min(back)
            elif i == j or j not in exact:
                assert p == i
            else:
                assert matrix[p, j] != 0
                assert exact[p] + matrix[p, j] == exact[j]


@settings(max_examples=25, deadline=None)
@given(matrix=without_negative_cycles(most=5))
def test_frame_k_of_floyd_warshall_allows_the_first_k_nodes_between(matrix: np.ndarray) -> None:
    n = len(matrix)
    hints = {name: value[:, 0] for name, value in run(FLOYD, matrix).hints.items()}
    assert hints["k"].tolist() == list(range(n))
    for k in range(n):
        for i in range(n):
            for j in set(range(n)) - {i}:
                exact = nx.single_source_bellman_ford_path_length(
                    digraph(matrix - np.diag(matrix.diagonal())).subgraph({*range(k), i, j}), i
                )
                assert hints["msk"][k, i, j].item() == (j in exact)
                assert hints["D"][k, i, j].item() == exact.get(j, 0.0)
        assert hints["msk"][k].diagonal().all()
        loops = np.diagonal(matrix)
        diagonal = hints["D"][k].diagonal().numpy()
        assert ((diagonal == loops) if k == 0 else (diagonal <= loops)).all()


@pytest.mark.parametrize("task", [DIJKSTRA, PRIM])
def test_of_equal_keys_the_lowest_numbered_node_is_taken_in_large_graphs_too(task: tasks.Task) -> None:
    matrix = 1.0 - np.eye(40)
    taken = run(task, matrix, 7).hints["u"][1:, 0].tolist()
    assert taken == [7, *(v for v in range(40) if v != 7)]


def test_pointers_along_edges_are_and_others_may_go_anywhere() -> None:
    domains = {probe.name: probe.domain for probe in DAG.spec if probe.is_pointer}
    assert domains == {"pi": "edges", "pi_h": "edges", "topo_h": "nodes", "s_prev": "edges"}
    batch = DAG.sample(seed=2, size=10, batch_size=16, distribution=GRAPH_KINDS)
    inside = torch.arange(batch.hints["s_prev"].shape[0])[:, None] < batch.lengths
    for pointers in (batch.hints["s_prev"], batch.hints["pi_h"]):
        senders = batch.inputs["adj"].mT.expand(len(pointers), -1, -1, -1)
        along = torch.gather(senders, 3, pointers.long()[..., None])[..., 0]
        assert along[inside].all()
    for task in (KRUSKAL, FLOYD):
        assert {probe.domain for probe in task.spec if probe.is_pointer} == {"nodes"}
        with pytest.raises(ValueError, match="no option 'pointers'"):
            tasks.create(task.name, pointers="edges")
