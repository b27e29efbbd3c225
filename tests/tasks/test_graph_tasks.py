"""Breadth-first search and Bellman-Ford against networkx and plain matrix products, in both layouts."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tasks
from tasks.generators import GRAPH_KINDS
from tests.tasks.samples import alone, assert_same, values

BFS, BELLMAN_FORD = tasks.create("bfs"), tasks.create("bellman_ford")
NAMES = ["bfs", "bellman_ford", "dijkstra", "mst_prim"]  # those with a sparse layout


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    """Any directed weighted graph of 1 to 8 nodes: no edges, loops, ties and unreachable nodes included."""
    n = draw(st.integers(1, 8))
    return draw(arrays(np.float64, (n, n), elements=st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0, 2.0])))


def digraph(matrix: np.ndarray) -> nx.DiGraph:
    """The same graph in networkx."""
    return nx.from_numpy_array(matrix, create_using=nx.DiGraph)


@settings(max_examples=60, deadline=None)
@given(matrix=matrices(), choice=st.integers(0, 7))
def test_bfs_reaches_nodes_by_depth_over_lowest_numbered_parents(matrix: np.ndarray, choice: int) -> None:
    source = choice % len(matrix)
    batch = BFS.execute({"A": matrix[None], "s": [source]})
    depth = nx.single_source_shortest_path_length(digraph(matrix), source)
    assert batch.lengths.item() == max(depth.values()) + 1
    parent = {
        v: min(u for u in depth if matrix[u, v] and depth[u] == depth[v] - 1) if v in depth and v != source else v
        for v in range(len(matrix))
    }
    assert batch.outputs["pi"][0].tolist() == [parent[v] for v in range(len(matrix))]
    for t in range(batch.lengths.item()):
        reached = [depth.get(v, t + 1) <= t for v in range(len(matrix))]
        assert batch.hints["reach_h"][t, 0].tolist() == reached
        assert batch.hints["pi_h"][t, 0].tolist() == [parent[v] if reached[v] else v for v in range(len(matrix))]


@settings(max_examples=60, deadline=None)
@given(matrix=matrices(), choice=st.integers(0, 7))
def test_bellman_ford_frame_t_has_shortest_paths_of_at_most_t_edges(matrix: np.ndarray, choice: int) -> None:
    n, source = len(matrix), choice % len(matrix)
    batch = BELLMAN_FORD.execute({"A": matrix[None], "s": [source]})
    weights = np.where(matrix != 0, matrix, np.inf)
    np.fill_diagonal(weights, 0)
    best = np.where(np.arange(n) == source, 0.0, np.inf)
    for t in range(batch.lengths.item()):
        mask = batch.hints["msk"][t, 0].numpy()
        np.testing.assert_array_equal(mask, np.isfinite(best))
        np.testing.assert_array_equal(batch.hints["d"][t, 0].numpy(), np.where(mask, best, 0))
        before, best = best, (best[:, None] + weights).min(0)
    assert np.array_equal(before, best)
    exact = nx.single_source_dijkstra_path_length(digraph(matrix), source)
    assert {v: before[v] for v in range(n) if np.isfinite(before[v])} == exact
    for v, u in enumerate(batch.outputs["pi"][0].tolist()):
        if v in exact and v != source:
            assert matrix[u, v] != 0
            assert exact[u] + matrix[u, v] == exact[v]
        else:
            assert u == v


@settings(max_examples=60, deadline=None)
@given(graphs=st.lists(matrices(), min_size=1, max_size=3), name=st.sampled_from(NAMES))
def test_sparse_execution_of_a_disjoint_union_equals_dense(graphs: list[np.ndarray], name: str) -> None:
    task = tasks.create(name)
    if name == "mst_prim":
        graphs = [np.maximum(graph, graph.T) for graph in graphs]
    sizes = np.array([len(graph) for graph in graphs])
    padded = np.zeros((len(graphs), sizes.max(), sizes.max()))
    for b, graph in enumerate(graphs):
        padded[b, : len(graph), : len(graph)] = graph
    dense = task.execute({"A": padded, "s": sizes - 1}, sizes=sizes)
    union = np.zeros((sizes.sum(), sizes.sum()))
    first = np.cumsum(sizes) - sizes
    for b, graph in enumerate(graphs):
        union[first[b] : first[b] + sizes[b], first[b] : first[b] + sizes[b]] = graph
    edges = np.argwhere(union).T[:, ::-1]
    sparse = task.execute({"A": union[edges[0], edges[1]], "edge_index": edges, "s": sizes - 1}, sizes=sizes)
    assert torch.equal(dense.lengths, sparse.lengths)
    for b in range(len(graphs)):
        check_sparse_equals_dense(alone(dense, b), alone(sparse, b))


def check_sparse_equals_dense(dense: dict[str, torch.Tensor], sparse: dict[str, torch.Tensor]) -> None:
    """One sample in the two layouts: the same node values, and the same matrices behind the edge values."""
    senders, receivers = sparse.pop("edge_index")
    n = len(dense["pos"])
    assert torch.equal(torch.argsort(receivers * n + senders), torch.arange(len(senders)))
    pattern = dense["adj"] | dense["adj"].T | torch.eye(n, dtype=torch.bool)
    assert len(senders) == pattern.sum()
    assert pattern[senders, receivers].all()
    assert torch.equal(dense["adj"], (dense["A"] + torch.eye(n)) != 0)
    assert_same({**dense, **{name: dense[name][senders, receivers] for name in ("A", "adj")}}, sparse)
    assert not dense["A"][~pattern].any()


@pytest.mark.parametrize("name", NAMES)
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
    assert torch.equal(again.edge_index, sparse.edge_index)


def matrices_of(kind: str, size: int, batch_size: int, task: tasks.Task = BFS) -> np.ndarray:
    return task.sample(seed=7, size=size, batch_size=batch_size, distribution=kind).inputs["A"].numpy()


def test_clrs_graphs_have_edges_with_probability_a_quarter_and_loops_with_one_half() -> None:
    drawn = matrices_of("clrs", 16, 400)
    assert (drawn == drawn.transpose(0, 2, 1)).all()
    off = ~np.eye(16, dtype=bool)
    # 48,000 and 6,400 draws: five standard deviations.
    assert drawn[:, off].mean() == pytest.approx(0.25, abs=5 * (0.1875 / 48_000) ** 0.5)
    assert drawn[:, ~off].mean() == pytest.approx(0.5, abs=5 * (0.25 / 6_400) ** 0.5)


@pytest.mark.parametrize("size", [2, 3, 16, 64])
def test_sparse_graphs_have_the_stated_density_everywhere(size: int) -> None:
    drawn = matrices_of("sparse", size, 400)
    p = min(1.0, 2 * np.log(size) / size)
    assert not drawn[:, np.eye(size, dtype=bool)].any()
    rows, columns = np.triu_indices(size, 1)
    each = drawn[:, rows, columns].mean(0)
    # Six standard deviations, as up to 2,016 pairs are looked at one by one.
    assert np.abs(each - p).max() <= 6 * (p * (1 - p) / 400) ** 0.5 + 1e-6
    assert each.mean() == pytest.approx(p, abs=5 * (p * (1 - p) / (400 * len(rows))) ** 0.5 + 1e-6)


def test_dense_mix_spans_the_densities_of_ibarz_et_al() -> None:
    drawn = matrices_of("dense_mix", 40, 300)
    density = drawn[:, np.triu_indices(40, 1)[0], np.triu_indices(40, 1)[1]].mean(1)
    nearest = np.abs(np.sqrt(density)[:, None] - np.arange(1, 10) / 10).argmin(1)
    assert len(set(nearest.tolist())) == 9
    assert np.bincount(nearest).max() < 300 * 0.25


@pytest.mark.parametrize("size", [1, 2, 3, 9, 10, 16, 36])
def test_grids_are_relabelled_squares_with_a_short_last_row(size: int) -> None:
    side = int(size**0.5)
    whole = nx.grid_2d_graph(-(-size // side), side)
    shape = whole.subgraph([node for node in whole if node[0] * side + node[1] < size])
    drawn = matrices_of("grid", size, 8)
    for matrix in drawn:
        assert nx.is_isomorphic(nx.from_numpy_array(matrix), shape)
    if size > 3:
        assert len({matrix.tobytes() for matrix in drawn}) > 1
    if side * side == size and size > 1:
        longest = BFS.sample(size=size, batch_size=64, distribution="grid").lengths.max().item()
        assert longest == 2 * (side - 1) + 1


@pytest.mark.parametrize("size", [1, 2, 3, 17])
def test_trees_and_paths_are_what_they_are_called(size: int) -> None:
    for matrix in matrices_of("tree", size, 8):
        assert nx.is_tree(nx.from_numpy_array(matrix))
    for matrix in matrices_of("path", size, 8):
        assert nx.is_isomorphic(nx.from_numpy_array(matrix), nx.path_graph(size))


def test_sources_and_labels_are_uniform() -> None:
    sources = BFS.sample(size=8, batch_size=4000, distribution="grid").inputs["s"].numpy()
    # 500 expected each: five standard deviations.
    assert np.abs(np.bincount(sources, minlength=8) - 500).max() < 5 * (4000 * 7 / 64) ** 0.5
    degree = (matrices_of("path", 8, 4000) > 0).sum(2)
    assert np.abs((degree == 1).sum(0) - 1000).max() < 5 * (4000 * 3 / 16) ** 0.5


def test_weights_are_symmetric_and_distributed_as_in_clrs() -> None:
    drawn = matrices_of("clrs", 32, 64, BELLMAN_FORD)
    assert (drawn == drawn.transpose(0, 2, 1)).all()
    weights = drawn[:, np.triu_indices(32, 1)[0], np.triu_indices(32, 1)[1]]
    weights = weights[weights > 0]
    assert weights.min() >= np.float32(1e-3**0.5)
    # E[w^2] = E[U]^2 + 1e-3; the variance of U U' is 7/144.
    assert (weights**2).mean() == pytest.approx(0.251, abs=5 * (7 / 144 / len(weights)) ** 0.5)
    loops = np.diagonal(drawn, axis1=1, axis2=2)
    loops = loops[loops > 0]
    # On the diagonal U is multiplied with itself: E[w^2] = 1/3 + 1e-3; the variance of U^2 is 4/45.
    assert (loops**2).mean() == pytest.approx(1 / 3 + 1e-3, abs=5 * (4 / 45 / len(loops)) ** 0.5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("domain", ["edges", "nodes"])
def test_pointer_domain_is_a_fact_of_the_probe(name: str, domain: str) -> None:
    spec = tasks.create(name, pointers=domain).spec
    assert {probe.name: probe.domain for probe in spec if probe.is_pointer} == {"pi": domain, "pi_h": domain}
    batch = tasks.create(name, pointers=domain).sample(size=12, distribution="sparse")
    linked = batch.inputs["adj"] | batch.inputs["adj"].mT
    assert torch.gather(linked.mT, 2, batch.outputs["pi"].long()[..., None]).all(), "every pointer is along an edge"


def test_sparse_execution_is_linear_in_edges() -> None:
    """Forty thousand nodes: any matrix of all pairs would take gigabytes."""
    n, degree = 40_000, 8
    low, high = np.sort(np.random.default_rng(0).integers(0, n, (2, n * degree // 2)), axis=0)
    pairs = np.unique((low * n + high)[low != high])
    edges = np.stack([pairs // n, pairs % n])
    both = np.concatenate([edges, edges[::-1]], axis=1)
    depth = nx.single_source_shortest_path_length(nx.Graph(edges.T.tolist()), 0)
    for name, hint in (("bfs", "reach_h"), ("bellman_ford", "msk")):
        batch = tasks.create(name, hints="full").execute({"edge_index": both, "A": np.ones(both.shape[1]), "s": 0})
        assert batch.sizes.tolist() == [n]
        assert batch.edge_index.shape == (2, both.shape[1] + n)
        assert batch.lengths.item() == max(depth.values()) + 1
        assert batch.hints[hint][-1].sum() == len(depth)


def test_sampling_ten_thousand_nodes_in_the_sparse_layout() -> None:
    batch = BFS.sample(size=10_000, batch_size=1, distribution="sparse", layout="sparse")
    expected = 2 * np.log(10_000) * 9_999 + 10_000
    assert batch.edge_index.shape[1] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"s": [3, 0]}, "'s'.*from 0 to 2 in sample 0, got 3"),
        ({"s": [-1, 0]}, "'s'.*got -1"),
        ({"s": [0.0, 1.0]}, "'s'.*integer.*float64"),
        ({"s": [0, 1, 2]}, r"'s'.*shape \[2\]"),
        ({"s": [[1, 0, 0], [1, 1, 0]]}, "'s'.*one-hot"),
        ({"A": np.zeros((2, 3, 4))}, "'A'.*nodes, nodes"),
        ({"A": np.zeros((2, 0, 0)), "s": [0, 0]}, "at least 1 nodes"),
        ({"A": np.zeros((0, 3, 3)), "s": np.zeros(0, int)}, "no samples"),
        ({"adj": np.zeros((2, 3, 3))}, "'adj'.*A \\+ I"),
        ({"adj": np.full((2, 3, 3), 2)}, "'adj'.*zeros and ones"),
        ({"pos": np.zeros((2, 4))}, "'pos'.*shape"),
        ({"A": np.full((2, 3, 3), np.inf)}, "'A'.*finite"),
    ],
)
def test_wrong_dense_inputs_are_refused_by_name(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BFS.execute({"A": np.zeros((2, 3, 3)), "s": [0, 1], **change})


def test_padding_must_be_empty() -> None:
    with pytest.raises(ValueError, match=r"'A'.*zeros past the end"):
        BFS.execute({"A": np.ones((1, 3, 3)), "s": [0]}, sizes=[2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edge_index": [[0, 1]]}, "'edge_index'.*shape"),
        ({"edge_index": [[0.0, 1.0], [1.0, 2.0]]}, "'edge_index'.*integer"),
        ({"edge_index": [[0, 0], [1, 1]]}, "'edge_index'.*twice"),
        ({"edge_index": [[0, 1], [1, 3]]}, "'edge_index'.*0 to 2"),
        ({"A": [1.0]}, r"'A'.*shape \[2\]"),
        ({"s": 3}, "'s'.*0 to 2"),
        ({"s": [0.0, 0.0, 0.0]}, "'s'.*exactly one source"),
        ({"adj": [0, 0]}, "'adj'.*A != 0"),
    ],
)
def test_wrong_sparse_inputs_are_refused_by_name(change: dict[str, object], message: str) -> None:
    inputs = {"edge_index": [[0, 1], [1, 2]], "A": [1.0, 1.0], "s": 0}
    with pytest.raises(ValueError, match=message):
        BFS.execute({**inputs, **change}, sizes=[3])


def test_an_edge_between_two_graphs_of_a_union_is_refused() -> None:
    with pytest.raises(ValueError, match="between two graphs"):
        BFS.execute({"edge_index": [[0], [1]], "A": [1.0], "s": [0, 0]}, sizes=[1, 1])


def test_a_graph_without_edges_needs_only_its_size() -> None:
    batch = BFS.execute({"edge_index": np.zeros((2, 0), int), "A": np.zeros(0), "s": 1}, sizes=[3])
    assert batch.outputs["pi"].tolist() == [0, 1, 2]
    assert batch.edge_index.tolist() == [[0, 1, 2], [0, 1, 2]]


def test_negative_cycles_are_refused_and_negative_edges_are_not() -> None:
    cycle = np.zeros((1, 3, 3))
    cycle[0, 0, 1] = cycle[0, 1, 0] = -1
    with pytest.raises(ValueError, match=r"'A'.*negative"):
        BELLMAN_FORD.execute({"A": cycle, "s": [0]})
    assert BELLMAN_FORD.execute({"A": cycle, "s": [2]}).lengths.item() == 1, "not reached from node 2"
    cycle[0, 1, 0] = 0
    batch = BELLMAN_FORD.execute({"A": cycle, "s": [0]})
    assert batch.hints["d"][-1, 0].tolist() == [0, -1, 0]


def test_worked_examples_of_the_docstrings() -> None:
    matrix = np.zeros((1, 5, 5))
    for u, v in [(0, 1), (0, 2), (1, 3), (2, 3)]:
        matrix[0, u, v] = matrix[0, v, u] = 1
    batch = BFS.execute({"A": matrix, "s": [0]})
    assert batch.hints["reach_h"][:, 0].int().tolist() == [[1, 0, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]
    assert batch.hints["pi_h"][:, 0].tolist() == [[0, 1, 2, 3, 4], [0, 0, 0, 3, 4], [0, 0, 0, 1, 4]]
    weighted = np.zeros((1, 3, 3))
    for u, v, weight in [(0, 1, 0.9), (0, 2, 0.2), (1, 2, 0.3)]:
        weighted[0, u, v] = weighted[0, v, u] = weight
    batch = BELLMAN_FORD.execute({"A": weighted, "s": [0]})
    torch.testing.assert_close(batch.hints["d"][:, 0], torch.tensor([[0.0, 0, 0], [0, 0.9, 0.2], [0, 0.5, 0.2]]))
    assert batch.hints["pi_h"][:, 0].tolist() == [[0, 1, 2], [0, 0, 0], [0, 2, 0]]
    assert batch.outputs["pi"].tolist() == [[0, 2, 0]]


def test_scoring_leaves_random_positions_out() -> None:
    random = tasks.create("bfs", random_pos=True)
    given = {"seed": 3, "batch_size": 2, "size": 5}
    plain = tasks.create("bfs").sample(**given)
    assert not torch.equal(random.sample(**given).inputs["pos"], plain.inputs["pos"])
    torch.testing.assert_close(random.for_scoring().sample(**given).inputs["pos"], plain.inputs["pos"])


def labelled(graph: nx.Graph) -> nx.Graph:
    """The same graph with words for nodes, in an order of its own."""
    return nx.relabel_nodes(graph, {k: f"node {k}" for k in graph})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_networkx_and_scipy_graphs_are_what_their_matrices_are(name: str, layout: str) -> None:
    task = tasks.create(name)
    graph = labelled(nx.gnp_random_graph(9, 0.3, seed=3, directed=True))
    for k, (u, v) in enumerate(graph.edges):
        graph[u][v]["weight"] = 0.25 + (k % 7) / 8
    graph.add_edge("node 2", "node 2", weight=0.5)
    graph = graph.to_undirected() if name == "mst_prim" else graph
    undirected = labelled(nx.path_graph(4))
    for one in (graph, undirected):
        matrix = nx.to_numpy_array(one)
        source = list(one)[1]
        exact = task.execute({"A": matrix[None], "s": [1]})
        for form, s in ((one, source), (scipy.sparse.csr_array(matrix), 1), (scipy.sparse.coo_matrix(matrix), 1)):
            batch = task.execute({"A": form, "s": s}, layout=layout)
            assert (batch.edge_index is None) == (layout == "dense")
            assert torch.equal(batch.outputs["pi"].flatten(), exact.outputs["pi"].flatten())
            if layout == "dense":
                assert_same(values(batch), values(exact))
    both = task.execute({"A": [graph, undirected], "s": ["node 0", "node 3"]}, layout=layout)
    assert both.sizes.tolist() == [9, 4]
    last = task.execute({"A": nx.to_numpy_array(undirected)[None], "s": [3]})
    assert_same(alone(both, 1), alone(task.execute({"A": undirected, "s": "node 3"}, layout=layout), 0))
    assert torch.equal(alone(both, 1)["pi"], last.outputs["pi"][0])


def test_a_graph_becomes_a_sparse_batch_unless_told_otherwise() -> None:
    assert BFS.execute({"A": nx.path_graph(3), "s": 0}).edge_index is not None
    alone_there = BFS.execute({"A": nx.empty_graph(1), "s": 0})
    assert alone_there.outputs["pi"].tolist() == [0]


@pytest.mark.parametrize(
    ("inputs", "more", "message"),
    [
        ({"A": nx.path_graph(3), "s": 5}, {}, "'s': expected a node of the graph, got 5"),
        ({"A": [nx.path_graph(3), nx.path_graph(2)], "s": [0]}, {}, "each of 2 graphs, got 1"),
        ({"A": nx.MultiGraph([(0, 1)]), "s": 0}, {}, "'A'.*MultiGraph"),
        ({"A": scipy.sparse.csr_array(np.ones((2, 3))), "s": 0}, {}, r"square matrix, got shape \[2, 3\]"),
        ({"A": nx.path_graph(3), "s": 0}, {"sizes": [3]}, "leave sizes out"),
        ({"A": np.zeros((1, 2, 2)), "s": [0]}, {"layout": "sparse"}, "keep their own layout"),
        ({"A": nx.path_graph(3), "s": 0}, {"layout": "thick"}, "unknown layout 'thick'"),
        ({"A": nx.empty_graph(0), "s": 0}, {}, "'s': expected a node"),
        ({"A": nx.Graph([(0, 1, {"weight": float("nan")})]), "s": 0}, {}, "'A'.*finite"),
    ],
)
def test_wrong_graphs_are_refused(inputs: dict[str, object], more: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BFS.execute(inputs, **more)
