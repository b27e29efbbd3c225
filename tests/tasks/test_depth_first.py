"""Depth-first search and the four algorithms built on it, against networkx and the theorems about them."""

from __future__ import annotations

import re

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
from tasks.task import Task
from tests.tasks.samples import alone, assert_same, values
from tests.tasks.test_graph_tasks import check_sparse_equals_dense

NAMES = ["dfs", "topological_sort", "articulation_points", "bridges", "strongly_connected_components"]
DFS, TOPOLOGICAL_SORT, ARTICULATION_POINTS, BRIDGES, COMPONENTS = map(tasks.create, NAMES)
TICK = 0.01


@st.composite
def directed(draw: st.DrawFn) -> np.ndarray:
    """Any directed graph of 1 to 8 nodes: without edges, in parts, with loops, with weights of either sign."""
    n = draw(st.integers(1, 8))
    return draw(arrays(np.float64, (n, n), elements=st.sampled_from([0.0, 0.0, 0.0, 1.0, -0.5])))


@st.composite
def undirected(draw: st.DrawFn) -> np.ndarray:
    """Any undirected graph of 1 to 8 nodes: without edges, in parts, with loops."""
    matrix = draw(directed())
    return np.triu(matrix) + np.triu(matrix, 1).T


@st.composite
def acyclic(draw: st.DrawFn) -> np.ndarray:
    """Any directed graph of 1 to 8 nodes without cycles."""
    matrix = np.triu(draw(directed()), 1)
    label = np.array(draw(st.permutations(range(len(matrix)))))
    return matrix[label][:, label]


def run(task: Task, matrix: np.ndarray) -> Batch:
    return task.execute({"A": matrix[None]})


def digraph(matrix: np.ndarray) -> nx.DiGraph:
    return nx.from_numpy_array(matrix, create_using=nx.DiGraph)


def simple(matrix: np.ndarray) -> nx.Graph:
    """The same undirected graph in networkx, without loops."""
    return nx.from_numpy_array(matrix * (1 - np.eye(len(matrix))))


def matrix_of(pairs: list[tuple[int, int]], n: int, *, both: bool) -> np.ndarray:
    matrix = np.zeros((n, n))
    for u, v in pairs:
        matrix[u, v] = 1
        if both:
            matrix[v, u] = 1
    return matrix


def last(batch: Batch, name: str) -> np.ndarray:
    """A hint of the only sample in its last frame."""
    return batch.hints[name][-1, 0].numpy()


def check_search(hints: dict[str, torch.Tensor]) -> None:
    """What holds in every frame of one search of one graph: about the stack and the colours."""
    frames = {name: value[:, 0].tolist() for name, value in hints.items()}
    for t, color in enumerate(frames["color"]):
        s, u, s_last, below = (frames[name][t] for name in ("s", "u", "s_last", "s_prev"))
        stack = [s_last]
        while below[stack[-1]] != stack[-1]:
            stack.append(below[stack[-1]])
        assert stack[-1] == s
        assert u in stack[:2]
        grey = {v for v, c in enumerate(color) if c == 1}
        if color[s] == 0:
            assert not grey
        elif color[u] == 2:  # a node that is left stays on the stack for that frame
            assert (set(stack) - {u}, frames["v"][t]) == (grey, len(color) - 1)
        else:
            assert set(stack) == grey
        if t:
            before = frames["color"][t - 1]
            assert sum(now != then for now, then in zip(color, before, strict=True)) <= 1
    assert set(frames["color"][-1]) == {2}
    assert set(frames["color"][0]) == {0}


def check_nesting(d: np.ndarray, f: np.ndarray, parent: np.ndarray) -> None:
    """The parenthesis theorem: the times of a node lie within those of its ancestors and outside of all others."""
    n = len(d)
    np.testing.assert_allclose(np.sort(np.concatenate([d, f])) / TICK, np.arange(1, 2 * n + 1), rtol=1e-5)
    for v in range(n):
        ancestors, u = set(), v
        while parent[u] != u:
            u = int(parent[u])
            ancestors.add(u)
        for u in set(range(n)) - {v}:
            around, within = d[u] < d[v] < f[v] < f[u], d[v] < d[u] < f[u] < f[v]
            assert around == (u in ancestors)
            assert around or within or f[u] < d[v] or f[v] < d[u]


@settings(max_examples=40, deadline=None)
@given(matrix=directed())
def test_dfs_is_the_search_of_networkx_with_neighbours_in_order(matrix: np.ndarray) -> None:
    batch, graph, n = run(DFS, matrix), digraph(matrix), len(matrix)
    assert batch.lengths.item() == 3 * n
    before = nx.dfs_predecessors(graph, sort_neighbors=sorted)
    pi = batch.outputs["pi"][0].numpy()
    assert pi.tolist() == [before.get(v, v) for v in range(n)]
    assert last(batch, "pi_h").tolist() == pi.tolist()
    d, f = last(batch, "d"), last(batch, "f")
    assert np.argsort(d).tolist() == list(nx.dfs_preorder_nodes(graph, sort_neighbors=sorted))
    assert np.argsort(f).tolist() == list(nx.dfs_postorder_nodes(graph, sort_neighbors=sorted))
    check_nesting(d, f, pi)
    # No edge from a node to one that was entered only after it was left (the white-path theorem).
    assert all(d[v] < f[u] for u, v in graph.edges)


@settings(max_examples=40, deadline=None)
@given(matrix=directed())
def test_frames_of_dfs_follow_its_stack(matrix: np.ndarray) -> None:
    batch = run(DFS, matrix)
    check_search(batch.hints)
    for t in range(batch.lengths.item()):
        color, d, f = (batch.hints[name][t, 0].numpy() for name in ("color", "d", "f"))
        assert ((f > 0) == (color == 2)).all()
        assert ((d > 0) <= (color > 0)).all()
        assert batch.hints["time"][t, 0] == pytest.approx(max(d.max(), f.max()))
        seen = batch.hints["pi_h"][t, 0].numpy() != np.arange(len(matrix))
        assert (seen <= (color > 0)).all()


@settings(max_examples=40, deadline=None)
@given(matrix=acyclic())
def test_topological_order_is_the_reverse_of_that_of_leaving(matrix: np.ndarray) -> None:
    batch, graph = run(TOPOLOGICAL_SORT, matrix), digraph(matrix)
    check_search(batch.hints)
    after = batch.outputs["topo"][0].tolist()
    order = [batch.outputs["topo_head"].item()]
    while after[order[-1]] != order[-1]:
        order.append(after[order[-1]])
    assert sorted(order) == list(range(len(matrix)))
    assert all(order.index(u) < order.index(v) for u, v in graph.edges)
    assert order == list(nx.dfs_postorder_nodes(graph, sort_neighbors=sorted))[::-1]
    # In each frame the nodes left so far are the end of that order.
    for t in range(batch.lengths.item()):
        count = int((batch.hints["color"][t, 0] == 2).sum())
        tail = order[len(order) - count :]
        assert batch.hints["topo_head_h"][t, 0] == (tail[0] if tail else 0)
        expected = [after[v] if v in tail else v for v in range(len(matrix))]
        assert batch.hints["topo_h"][t, 0].tolist() == expected


@settings(max_examples=60, deadline=None)
@given(matrix=undirected())
def test_articulation_points_are_those_of_networkx(matrix: np.ndarray) -> None:
    batch, graph = run(ARTICULATION_POINTS, matrix), simple(matrix)
    cuts = set(nx.articulation_points(graph))
    assert set(np.flatnonzero(batch.outputs["is_cut"][0].numpy()).tolist()) == cuts
    parts = nx.number_connected_components(graph)
    for v in graph:
        rest = graph.subgraph(set(graph) - {v})
        apart = len(rest) > 0 and nx.number_connected_components(rest) > parts
        assert batch.outputs["is_cut"][0, v] == apart
    check_search(batch.hints)
    check_low_points(batch, matrix)
    # A node is marked when it is left, not before.
    for t in range(batch.lengths.item()):
        black = batch.hints["color"][t, 0] == 2
        assert torch.equal(batch.hints["is_cut_h"][t, 0], batch.outputs["is_cut"][0] & black)
    children = np.bincount(last(batch, "pi_h"), minlength=len(matrix)) - (last(batch, "pi_h") == np.arange(len(matrix)))
    np.testing.assert_allclose(last(batch, "child_cnt"), children * TICK, atol=1e-6)


def check_low_points(batch: Batch, matrix: np.ndarray) -> None:
    """Each against its definition, given the tree and the times of the search."""
    n, low, d, parent = len(matrix), last(batch, "low"), last(batch, "d"), last(batch, "pi_h")
    check_nesting(d, last(batch, "f"), parent)
    for v in range(n):
        best = d[v]
        for w in range(n):
            if d[v] <= d[w] and last(batch, "f")[w] <= last(batch, "f")[v]:
                best = min([best, *(d[x] for x in range(n) if matrix[w, x] and x != parent[w])])
        assert low[v] == best


@settings(max_examples=60, deadline=None)
@given(matrix=undirected())
def test_bridges_are_those_of_networkx(matrix: np.ndarray) -> None:
    batch, graph, n = run(BRIDGES, matrix), simple(matrix), len(matrix)
    expected = np.where(matrix + np.eye(n) != 0, 0, -1)
    for u, v in nx.bridges(graph):
        expected[u, v] = expected[v, u] = 1
    assert batch.outputs["is_bridge"][0].tolist() == expected.tolist()
    parts = nx.number_connected_components(graph)
    for u, v in graph.edges:
        rest = nx.restricted_view(graph, [], [(u, v)])
        assert (expected[u, v] == 1) == (nx.number_connected_components(rest) > parts)
    check_search(batch.hints)
    check_low_points(batch, matrix)
    # A bridge is marked when the node above it is left.
    parent = last(batch, "pi_h")
    for t in range(batch.lengths.item()):
        black = batch.hints["color"][t, 0].numpy() == 2
        shown = expected.copy()
        for u, v in np.argwhere(expected == 1):
            above = u if parent[v] == u else v
            shown[u, v] = int(black[above])
        assert batch.hints["is_bridge_h"][t, 0].tolist() == shown.tolist()


@settings(max_examples=40, deadline=None)
@given(matrix=undirected())
def test_articulation_points_and_bridges_come_from_one_search(matrix: np.ndarray) -> None:
    points, bridges = run(ARTICULATION_POINTS, matrix), run(BRIDGES, matrix)
    assert torch.equal(points.lengths, bridges.lengths)
    for name in points.hints.keys() & bridges.hints.keys():
        assert torch.equal(points.hints[name], bridges.hints[name]), name


@settings(max_examples=60, deadline=None)
@given(matrix=directed())
def test_strongly_connected_components_are_those_of_networkx(matrix: np.ndarray) -> None:
    batch, graph, n = run(COMPONENTS, matrix), digraph(matrix), len(matrix)
    chosen = batch.outputs["scc_id"][0].tolist()
    groups = {frozenset(v for v in range(n) if chosen[v] == one) for one in set(chosen)}
    assert groups == set(map(frozenset, nx.strongly_connected_components(graph)))
    phase = batch.hints["phase"][:, 0]
    first = int((~phase).sum())
    # The first phase is dfs itself; a component is stood for by its node that is left last in it.
    search = run(DFS, matrix)
    assert first == search.lengths.item()
    for name in search.hints.keys() & batch.hints.keys():
        assert torch.equal(batch.hints[name][:first], search.hints[name]), name
    f = batch.hints["f"][first - 1, 0]
    assert chosen == [max(group, key=lambda w: f[w]) for v in range(n) for group in groups if v in group]
    assert phase[first:].all()
    roots = len(groups)
    assert batch.lengths.item() == first + 2 * n + roots
    check_search({name: value[first:] for name, value in batch.hints.items()})
    reverse = torch.from_numpy((matrix + np.eye(n) != 0).T)
    assert (batch.hints["A_t"][:, 0] == reverse).all()
    found = [last(batch, "scc_id_h")[v] for v in range(n)]
    assert found == chosen
    # Times of entering change for roots of the second search only.
    late = last(batch, "d") > f.max().item()
    assert late.tolist() == [chosen[v] == v for v in range(n)]


@pytest.mark.parametrize("leaves", [1, 2, 7])
def test_neighbours_are_seen_again_after_each_child(leaves: int) -> None:
    """Node 0 in the middle of a star: before child k + 1, and at the end, it sees the k children left so far."""
    star = matrix_of([(0, v) for v in range(1, leaves + 1)], leaves + 1, both=True)
    for task in (ARTICULATION_POINTS, BRIDGES):
        assert run(task, star).lengths.item() == 3 * (leaves + 1) + leaves * (leaves + 1) // 2


def test_loops_take_frames_of_all_nodes_but_roots() -> None:
    path = matrix_of([(0, 1), (1, 2)], 3, both=True)
    plain = run(BRIDGES, path)
    for task in (ARTICULATION_POINTS, BRIDGES):
        assert run(task, path + np.diag([1, 0, 0])).lengths.item() == plain.lengths.item()
        assert run(task, path + np.diag([0, 0, 1])).lengths.item() == plain.lengths.item() + 1
    looped = run(BRIDGES, path + np.eye(3))
    assert torch.equal(looped.outputs["is_bridge"], plain.outputs["is_bridge"])


@pytest.mark.parametrize("task", [DFS, COMPONENTS], ids=lambda task: task.name)
def test_a_long_path_is_searched_to_its_end(task: Task) -> None:
    n = 400
    batch = run(task, matrix_of([(v, v + 1) for v in range(n - 1)], n, both=False))
    assert batch.lengths.item() == 3 * n + (3 * n if task is COMPONENTS else 0)
    # Four hundred times 0.01 twice over, in float64 as the benchmark adds it up.
    total = 0.0
    for _ in range(4 * n if task is COMPONENTS else 2 * n):
        total += TICK
    assert batch.hints["time"][-1, 0] == np.float32(total)


@settings(max_examples=40, deadline=None)
@given(graphs=st.lists(undirected(), min_size=1, max_size=3), name=st.sampled_from(["dfs", "articulation_points"]))
def test_sparse_execution_of_a_disjoint_union_equals_dense(graphs: list[np.ndarray], name: str) -> None:
    task = tasks.create(name)
    sizes = np.array([len(graph) for graph in graphs])
    first = np.cumsum(sizes) - sizes
    padded = np.zeros((len(graphs), sizes.max(), sizes.max()))
    union = np.zeros((sizes.sum(), sizes.sum()))
    for b, graph in enumerate(graphs):
        if name == "dfs":
            graph = np.triu(graph)  # in one direction only
        padded[b, : sizes[b], : sizes[b]] = graph
        union[first[b] : first[b] + sizes[b], first[b] : first[b] + sizes[b]] = graph
    dense = task.execute({"A": padded}, sizes=sizes)
    edges = np.argwhere(union).T[:, ::-1]
    sparse = task.execute({"A": union[edges[0], edges[1]], "edge_index": edges}, sizes=sizes)
    assert torch.equal(dense.lengths, sparse.lengths)
    for b in range(len(graphs)):
        check_sparse_equals_dense(alone(dense, b), alone(sparse, b))


@pytest.mark.parametrize("name", ["dfs", "articulation_points"])
@pytest.mark.parametrize("kind", GRAPH_KINDS)
def test_sampled_layouts_agree(name: str, kind: str) -> None:
    task = tasks.create(name)
    choice = {"seed": 4, "size": [1, 2, 9, 12], "batch_size": 24, "distribution": kind}
    dense, sparse = task.sample(**choice), task.sample(**choice, layout="sparse")
    assert torch.equal(dense.lengths, sparse.lengths)
    for b in range(24):
        check_sparse_equals_dense(alone(dense, b), alone(sparse, b))
    again = task.execute({**sparse.inputs, "edge_index": sparse.edge_index}, sizes=sparse.sizes)
    assert_same(values(sparse), values(again))


@pytest.mark.parametrize("name", NAMES)
def test_a_padded_batch_is_its_samples_one_by_one(name: str) -> None:
    task = tasks.create(name)
    batch = task.sample(seed=1, size=[1, 2, 5, 9], batch_size=12, distribution=["clrs", "tree", "grid"])
    for b, n in enumerate(batch.sizes.tolist()):
        one = task.execute({"A": batch.inputs["A"][b : b + 1, :n, :n]})
        assert_same(alone(batch, b), alone(one, 0))


@pytest.mark.parametrize("pairs", [[(0, 0)], [(0, 1), (1, 0)], [(2, 0), (0, 1), (1, 2)]])
def test_cycles_are_refused(pairs: list[tuple[int, int]]) -> None:
    matrices = np.stack([matrix_of([(0, 1)], 3, both=False), matrix_of(pairs, 3, both=False)])
    with pytest.raises(ValueError, match=r"topological_sort input 'A'.*without directed cycles.*one in sample 1"):
        TOPOLOGICAL_SORT.execute({"A": matrices})


@pytest.mark.parametrize("task", [ARTICULATION_POINTS, BRIDGES], ids=lambda task: task.name)
def test_an_edge_in_one_direction_is_refused(task: Task) -> None:
    matrices = np.stack([matrix_of([(0, 1)], 3, both=True), matrix_of([(1, 2)], 3, both=False)])
    with pytest.raises(ValueError, match=f"{task.name} input 'A'.*symmetric.*node 1 to node 2 in sample 1"):
        task.execute({"A": matrices})


@pytest.mark.parametrize("name", NAMES)
def test_no_source_is_asked_for(name: str) -> None:
    with pytest.raises(ValueError, match="no input 's'"):
        tasks.create(name).execute({"A": np.zeros((1, 2, 2)), "s": [0]})


@pytest.mark.parametrize("domain", ["edges", "nodes"])
def test_pointers_that_are_not_along_edges_point_to_any_node(domain: str) -> None:
    free = {"topo", "topo_h", "scc_id", "scc_id_h"}
    for name in NAMES:
        task = tasks.create(name, pointers=domain)
        pointers = {probe.name: probe.domain for probe in task.spec if probe.is_pointer}
        assert pointers == {probe: "nodes" if probe in free else domain for probe in pointers}
        batch = task.sample(size=12, batch_size=8, distribution=["sparse", "clrs"])
        linked = (batch.inputs["adj"] | batch.inputs["adj"].mT).mT
        for probe in pointers.keys() - free:
            value = (batch.hints | batch.outputs)[probe].reshape(-1, 8, 12)
            for t, frame in enumerate(value.long()):
                alive = torch.gather(linked, 2, frame[..., None]).all(2).all(1)
                assert (alive | (t >= batch.lengths)).all(), probe


@pytest.mark.parametrize("name", ["dfs", "topological_sort", "articulation_points", "strongly_connected_components"])
def test_worked_example_of_the_docstring(name: str) -> None:
    task = tasks.create(name)
    text = type(task).__doc__
    pairs = [(int(u), int(v)) for u, v in re.findall(r"\b(\d)-(\d)\b", text)]
    batch = run(task, matrix_of(pairs, 3, both=name == "articulation_points"))
    frames = re.findall(r"^ +frame (\d+): +(.*)$", text, re.MULTILINE)
    assert int(frames[-1][0]) == batch.lengths.item() - 1
    assert len(frames) == batch.lengths.item() - int(frames[0][0])
    for t, line in frames:
        fields = [field.split() for field in re.split(r"   +", line)]
        assert len(fields) >= 6
        for probe, *words in fields:
            shown = batch.hints[probe][int(t), 0].reshape(-1).double().tolist()
            assert [float(word) for word in words] == pytest.approx(shown, abs=1e-6), (t, probe)
    for probe, row in re.findall(r"(\w+) ((?:\d ?)+)", re.search(r"Output ([^.:;]*)", text)[1]):
        assert [int(word) for word in row.split()] == batch.outputs[probe].reshape(-1).tolist()


def test_worked_example_of_bridges() -> None:
    text = type(BRIDGES).__doc__
    pairs = [(int(u), int(v)) for u, v in re.findall(r"\b(\d)-(\d)\b", text)]
    batch = run(BRIDGES, matrix_of(pairs, 3, both=True))
    rows = [[int(word) for word in line.split()] for line in re.findall(r"^ +((?:-?\d +){8}-?\d)$", text, re.MULTILINE)]
    shown = np.array(rows).reshape(3, 3, 3).transpose(1, 0, 2)
    expected = np.concatenate([np.repeat(shown[:1], 8, 0), np.repeat(shown[1:2], 2, 0), shown[2:]])
    assert batch.hints["is_bridge_h"][:, 0].tolist() == expected.tolist()
    assert batch.outputs["is_bridge"][0].tolist() == shown[2].tolist()
