"""Families of random graphs: each is what it is called, at every size, in time linear in its edges."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks import generators, graph_families
from tasks.graph_families import FAMILIES
from tests.tasks.samples import alone, assert_same

SEED = np.uint64(11)
SIZES = [1, 2, 3, 4, 5, 8, 9, 20, 41]


def graphs(family: str, size: int, count: int, index: int = 0) -> list[nx.Graph]:
    numbers, kinds = np.arange(index, index + count), np.full(count, FAMILIES.index(family))
    pairs, spans = graph_families.pairs(SEED, numbers, np.full(count, size), kinds)
    found = []
    for first, number in spans:
        own = pairs[first : first + number]
        assert len(np.unique(own)) == number, "every edge once"
        assert ((own >> 32) < (own & 0xFFFFFFFF)).all(), "the smaller node first"
        graph = nx.empty_graph(size)
        graph.add_edges_from(zip((own >> 32).tolist(), (own & 0xFFFFFFFF).tolist(), strict=True))
        assert len(graph) == size, "no further nodes"
        found.append(graph)
    return found


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 6), index=st.integers(0, 5), seed=st.integers(0, 2**64 - 1))
def test_a_graph_does_not_depend_on_the_others(family: str, count: int, index: int, seed: int) -> None:
    numbers, word = np.arange(index + count), generators.seed_word(seed)
    sizes = 1 + numbers * 5 % 13
    kind = FAMILIES.index(family)
    pairs, spans = graph_families.pairs(word, numbers, sizes, np.where(numbers % 4 == 3, -1, kind))
    for b in numbers[index:]:
        one, ((first, number),) = graph_families.pairs(word, numbers[b : b + 1], sizes[b : b + 1], np.full(1, kind))
        assert first == 0
        own = pairs[spans[b, 0] : spans[b].sum()]
        assert np.array_equal(own, one[:number] if b % 4 != 3 else [])


@pytest.mark.parametrize("family", ["erdos_renyi", "erdos_renyi_16", "watts_strogatz", "delaunay", "barabasi_albert"])
@pytest.mark.parametrize("size", SIZES)
def test_connected_families_are_connected(family: str, size: int) -> None:
    assert all(nx.is_connected(graph) for graph in graphs(family, size, 40))


def test_erdos_renyi_has_one_to_three_times_the_density_of_the_threshold() -> None:
    n, pairs = 200, 200 * 199 / 2
    factors = np.array([graph.number_of_edges() for graph in graphs("erdos_renyi", n, 400)]) / pairs / (np.log(n) / n)
    assert factors.min() > 0.9 and factors.max() < 3.2
    assert factors.mean() == pytest.approx(2.0, abs=0.15), "uniform, but for the few that were not connected"
    assert (factors < 1.5).mean() > 0.15 and (factors > 2.5).mean() > 0.15
    dense = [graph.number_of_edges() for graph in graphs("erdos_renyi_16", n, 400)]
    assert np.mean(dense) / pairs / (np.log(16) / 16) == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize(
    ("family", "p"),
    [("erdos_renyi_threshold", np.log(64) / 64), ("erdos_renyi_log2", np.log2(64) / 64)],
)
def test_every_pair_of_the_other_random_graphs_is_equally_likely(family: str, p: float) -> None:
    drawn = np.mean([nx.to_numpy_array(graph) for graph in graphs(family, 64, 400)], axis=0)
    each = drawn[np.triu_indices(64, 1)]
    # Six standard deviations, as 2,016 pairs are looked at one by one; five for their mean.
    assert np.abs(each - p).max() < 6 * (p * (1 - p) / 400) ** 0.5
    assert each.mean() == pytest.approx(p, abs=5 * (p * (1 - p) / 400 / 2016) ** 0.5)


def test_log2_density_is_at_most_a_half() -> None:
    edges = [graph.number_of_edges() for graph in graphs("erdos_renyi_log2", 4, 2000)]
    assert np.mean(edges) == pytest.approx(3.0, abs=5 * (6 / 4 / 2000) ** 0.5)


def test_small_worlds_are_rings_with_a_few_edges_moved() -> None:
    drawn = graphs("watts_strogatz", 100, 300)
    widths = np.array([graph.number_of_edges() for graph in drawn]) / 100
    assert set(widths.tolist()) == {2.0, 3.0, 4.0}
    moved = []
    for graph, width in zip(drawn, widths, strict=True):
        assert not any(nx.selfloop_edges(graph))
        moved.append(np.mean([min((u - v) % 100, (v - u) % 100) > width for u, v in graph.edges]))
    assert np.mean(moved) == pytest.approx(0.125, abs=0.015), "p is uniform in [0.05, 0.2]; some land nearby"
    assert max(moved) < 0.32


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7])
def test_small_worlds_of_few_nodes_are_the_widest_rings(size: int) -> None:
    half = (size - 1) // 2
    for graph in graphs("watts_strogatz", size, 60):
        if size == 2 or size % 2 or graph.number_of_edges() < size * half:
            assert graph.number_of_edges() in {size * min(width, half) for width in (2, 3, 4)} | {size == 2}


def test_growth_by_degrees_makes_hubs_of_early_nodes() -> None:
    drawn = graphs("barabasi_albert", 200, 100)
    attached = {
        (graph.number_of_edges() - 4) // 195 if graph.number_of_edges() == 4 + 4 * 195 else 5 for graph in drawn
    }
    assert attached == {4, 5}
    for graph in drawn:
        m = 4 if graph.number_of_edges() == 4 + 4 * 195 else 5
        assert graph.number_of_edges() == m + m * (200 - m - 1)
        for u in range(m + 1, 200):
            assert sum(v < u for v in graph[u]) == m, "every new node has m edges to distinct older ones"
    ours = [graph for graph in drawn if graph.number_of_edges() == 4 + 4 * 195]
    theirs = [nx.barabasi_albert_graph(200, 4, seed=seed) for seed in range(60)]
    old, older = (np.mean([[d for _, d in graph.degree()] for graph in some], axis=0) for some in (ours, theirs))
    for nodes in (slice(0, 5), slice(5, 15), slice(15, 40), slice(40, 100)):
        assert old[nodes].mean() == pytest.approx(older[nodes].mean(), rel=0.08), "as old nodes of networkx's"


def test_a_new_node_prefers_others_by_their_degrees() -> None:
    # The sixth node of a graph with m = 4 meets a star of 5: the centre has 4 of the 8 ends.
    first = [
        nx.to_numpy_array(graph)[5] for graph in graphs("barabasi_albert", 6, 4000) if graph.number_of_edges() == 8
    ]
    # It is left out only if four others of one end each are drawn without it: 4!/(8*7*6*5) = 1/70.
    assert 1 - np.mean(first, axis=0)[0] == pytest.approx(1 / 70, abs=5 * (1 / 70 / len(first)) ** 0.5)


@pytest.mark.parametrize("family", ["prufer_tree", "lobster"])
@pytest.mark.parametrize("size", SIZES)
def test_trees_are_trees(family: str, size: int) -> None:
    assert all(nx.is_tree(graph) for graph in graphs(family, size, 20))


def test_trees_by_prufer_sequences_are_uniform() -> None:
    drawn = [tuple(sorted(graph.edges)) for graph in graphs("prufer_tree", 4, 8000)]
    counts = np.array([drawn.count(tree) for tree in set(drawn)])
    assert len(counts) == 16, "Cayley: 4^2 labelled trees"
    assert np.abs(counts - 500).max() < 5 * (8000 * 15 / 256) ** 0.5


def test_lobsters_lose_all_but_a_path_with_two_rounds_of_leaves() -> None:
    leaves = []
    for graph in graphs("lobster", 150, 60):
        for _ in range(2):
            graph = graph.subgraph([v for v in graph if graph.degree(v) > 1]).copy()
        assert max(d for _, d in graph.degree()) <= 2
        leaves.append(150 - len(graph))
    assert np.mean(leaves) == pytest.approx(150 * 0.24 / 1.24 + 4, abs=6), "the path's own ends go, too"


@pytest.mark.parametrize("size", SIZES)
def test_ladders(size: int) -> None:
    (graph,) = graphs("ladder", size, 1)
    whole = nx.ladder_graph((size + 1) // 2)
    if size % 2:
        whole.remove_node((size + 1) // 2 - 1)
    assert nx.is_isomorphic(graph, whole)


@pytest.mark.parametrize(("family", "inside", "across"), [("community", 0.7, 0.01), ("caveman", 0.3, None)])
def test_four_parts_have_the_stated_densities(family: str, inside: float, across: float | None) -> None:
    drawn = [nx.to_numpy_array(graph) for graph in graphs(family, 42, 300)]
    part = np.repeat(np.arange(4), [10, 11, 10, 11])
    upper = np.triu(np.ones((42, 42), bool), 1)
    same = (part[:, None] == part) & upper
    mean = np.mean(drawn, axis=0)
    assert mean[same].mean() == pytest.approx(inside, abs=5 * (0.25 / 300 / same.sum()) ** 0.5)
    other = ~same & upper
    if across is None:
        assert {int(matrix[other].sum()) for matrix in drawn} == {2}, "0.025 * 42, rounded up"
        assert mean[other].max() < 15 / 300
    else:
        assert mean[other].mean() == pytest.approx(across, abs=5 * (across / 300 / other.sum()) ** 0.5)
        assert mean[other].max() < 15 / 300


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 40), index=st.integers(0, 1000))
def test_neighbours_are_nearest_on_the_line(size: int, index: int) -> None:
    (graph,) = graphs("nearest_neighbours", size, 1, index)
    points = np.sort(generators.flat_uniforms(SEED, np.array([index]), np.array([size]), generators.FAMILY))
    near = np.argsort(np.abs(points[:, None] - points), axis=1)[:, 1:9]
    assert {tuple(sorted(edge)) for edge in graph.edges} == {
        tuple(sorted((u, int(v)))) for u in range(size) for v in near[u]
    }


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 14), index=st.integers(0, 1000))
def test_triangulations_have_empty_circles(size: int, index: int) -> None:
    (graph,) = graphs("delaunay", size, 1, index)
    if size < 4:
        assert graph.number_of_edges() == size * (size - 1) // 2
        return
    points = generators.flat_uniforms(SEED, np.array([index]), np.array([2 * size]), generators.FAMILY).reshape(-1, 2)
    # By definition: an edge is a side of a triangle whose circumcircle has no other point inside.
    edges = set()
    for triangle in combinations(range(size), 3):
        a, b, c = points[list(triangle)]
        centre = np.linalg.solve(2 * np.array([b - a, c - a]), [b @ b - a @ a, c @ c - a @ a])
        distances = np.linalg.norm(np.delete(points, triangle, axis=0) - centre, axis=1)
        if (distances > np.linalg.norm(a - centre)).all():
            edges |= set(combinations(triangle, 2))
    assert {tuple(sorted(edge)) for edge in graph.edges} == edges


@pytest.mark.parametrize("family", FAMILIES)
def test_families_are_distributions_of_graph_tasks_in_both_layouts(family: str) -> None:
    for name in ("bfs", "dijkstra"):
        choice = {"size": [1, 2, 7, 12], "batch_size": 8, "distribution": family}
        dense = tasks.create(name).sample(**choice)
        sparse = tasks.create(name).sample(**choice, layout="sparse")
        for b in range(8):
            one, other = alone(dense, b), alone(sparse, b)
            senders, receivers = other.pop("edge_index")
            assert_same({**one, **{key: one[key][senders, receivers] for key in ("A", "adj")}}, other)
    directed = tasks.create("dfs").sample(size=20, batch_size=30, distribution=family).inputs["A"]
    one_way = ((directed != 0) & (directed.mT == 0)).sum() / ((directed != 0) | (directed.mT != 0)).triu(1).sum()
    assert one_way == pytest.approx(2 / 3, abs=0.13), "one way, the other, or both"
    for matrix in tasks.create("topological_sort").sample(size=9, batch_size=4, distribution=family).inputs["A"]:
        assert nx.is_directed_acyclic_graph(nx.from_numpy_array(matrix.numpy(), create_using=nx.DiGraph))


def test_labels_say_nothing_of_a_node() -> None:
    drawn = tasks.create("bfs").sample(size=24, batch_size=600, distribution="barabasi_albert").inputs["A"]
    degree = (drawn > 0).sum(2).double().mean(0)
    assert (degree - degree.mean()).abs().max() < 5 * 4.5 / 600**0.5


@pytest.mark.parametrize(
    "family", [name for name in FAMILIES if name not in ("erdos_renyi_16", "community", "caveman")]
)
def test_sampling_ten_thousand_nodes(family: str) -> None:
    batch = tasks.create("bfs").sample(size=10_000, batch_size=1, distribution=family, layout="sparse")
    assert batch.sizes.tolist() == [10_000]
    assert batch.inputs["A"].shape[0] < 10_000 * 40


def test_graphs_that_no_machine_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="'community': a graph of 1000000 nodes would have too many edges"):
        tasks.create("bfs").sample(size=1_000_000, batch_size=1, distribution="community", layout="sparse")
