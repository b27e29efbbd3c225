"""Graphs at scale: hints that are left out, algorithms whose time follows the edges, and SALSA-CLRS's own tasks."""

from __future__ import annotations

import re
import time
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tasks
import zoo
from tasks.algorithms import maximal_independent_set
from tasks.algorithms.graph_task import LARGEST_TRACED, OnGraphs
from tasks.packing import pack
from tests.tasks.samples import alone, assert_same, values
from trainers.losses import Supervised
from trainers.sample import sample
from trainers.usage import UsageError

SPARSE = [
    "bfs",
    "bellman_ford",
    "dfs",
    "dijkstra",
    "mst_prim",
    "articulation_points",
    "eccentricity",
    "maximal_independent_set",
]
ON_GRAPHS = [name for name in tasks.list_tasks() if issubclass(tasks.describe(name).cls, OnGraphs)]
MIS, ECCENTRICITY = tasks.create("maximal_independent_set"), tasks.create("eccentricity")


@st.composite
def matrices(draw: st.DrawFn, weights: tuple[float, ...] = (0.0, 0.0, 1.0)) -> np.ndarray:
    """Any undirected graph of 1 to 9 nodes: no edges, loops, ties and several parts included."""
    n = draw(st.integers(1, 9))
    matrix = draw(arrays(np.float64, (n, n), elements=st.sampled_from(weights)))
    return np.triu(matrix) + np.triu(matrix, 1).T


@pytest.mark.parametrize("name", ON_GRAPHS)
def test_without_hints_only_the_given_frame_is_kept(name: str) -> None:
    full, none = tasks.create(name), tasks.create(name, hints="none")
    layout = "sparse" if "sparse" in full.layouts else "dense"
    smallest = full.min_size
    choice = {"size": [smallest, smallest + 3, smallest + 8], "batch_size": 12, "layout": layout}
    choice["distribution"] = full.distributions[:4]
    whole, brief = full.sample(**choice), none.sample(**choice)
    assert_same(values(brief), {k: v[:1] if k.startswith("hint/") else v for k, v in values(whole).items()})
    assert torch.equal(whole.lengths, brief.lengths)
    assert none.spec == full.spec


@pytest.mark.parametrize("name", ["bfs", "eccentricity", "maximal_independent_set"])
def test_hints_of_large_graphs_are_left_out_unless_asked_for(name: str) -> None:
    choice = {"batch_size": 1, "layout": "sparse", "distribution": "watts_strogatz"}
    for task, size, recorded in [
        (tasks.create(name), LARGEST_TRACED, True),
        (tasks.create(name), LARGEST_TRACED + 1, False),
        (tasks.create(name), [5, LARGEST_TRACED + 1], False),
        (tasks.create(name, hints="full"), LARGEST_TRACED + 1, True),
        (tasks.create(name, hints="none"), 5, False),
    ]:
        batch = task.sample(size=size, **choice)
        assert {len(frames) for frames in batch.hints.values()} == {batch.lengths.item() if recorded else 1}
    given = tasks.create(name, hints="none").execute({**batch.inputs, "edge_index": batch.edge_index})
    assert_same(values(given), values(batch))


def test_unknown_hints_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown hints 'ful'; did you mean full"):
        tasks.create("bfs", hints="ful")


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_batches_without_hints_can_be_packed_and_taken_apart(layout: str) -> None:
    batch = tasks.create("eccentricity", hints="none").sample(size=[3, 9], batch_size=5, layout=layout)
    assert_same(values(pack(batch).unpack()), values(batch))
    if layout == "dense":
        taken = pack(batch).take([4, 1])
        assert_same(values(taken.unpack()), values(batch.take([4, 1])))


@pytest.mark.parametrize("name", ["bfs", "eccentricity"])
def test_a_model_of_hints_runs_and_is_scored_where_there_are_none(name: str) -> None:
    full, none = tasks.create(name), tasks.create(name, hints="none")
    model = zoo.Reasoner(full.spec, zoo.create("mpnn", hidden_size=8, adjacency="given")).eval()
    choice = {"size": 9, "batch_size": 3, "layout": "sparse", "distribution": "watts_strogatz"}
    whole, brief = full.sample(**choice), none.sample(**choice)
    with torch.no_grad():
        expected, found = model(whole), model(brief)
    assert_same(dict(expected.outputs), dict(found.outputs))
    assert_same(dict(expected.hints), dict(found.hints))
    objective = Supervised()
    (output,) = full.spec.outputs
    sums, wholly = objective(brief, found), objective(whole, expected)
    assert torch.equal(sums[output.name], wholly[output.name])
    assert all(sums[probe.name] == 0 and objective.counts(brief)[probe.name] == 0 for probe in full.spec.hints)
    model.train()(brief).outputs[output.name].sum().backward()


@settings(max_examples=30, deadline=None)
@given(matrix=matrices(weights=(0.0, 0.0, 0.25, 0.5, 0.75, 2.0)), choice=st.integers(0, 8))
def test_queues_settle_nodes_by_key_then_number(matrix: np.ndarray, choice: int) -> None:
    source = choice % len(matrix)
    for name, adds_up in (("dijkstra", True), ("mst_prim", False)):
        batch = tasks.create(name).execute({"A": matrix[None], "s": [source]})
        keys, parents, taken = {source: 0.0}, {}, []
        while len(taken) < len(keys):
            u = min((v for v in keys if v not in taken), key=lambda v: (keys[v], v))
            taken.append(u)
            for v in np.flatnonzero(matrix[u]).tolist():
                through = matrix[u, v] + (keys[u] if adds_up else 0)
                if v not in taken and through < keys.get(v, np.inf):
                    keys[v], parents[v] = through, u
        assert batch.hints["u"][1:, 0].tolist() == taken
        assert batch.outputs["pi"][0].tolist() == [parents.get(v, v) for v in range(len(matrix))]


@settings(max_examples=30, deadline=None)
@given(matrix=arrays(np.float64, (5, 5), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0, -0.5])))
def test_relaxing_only_what_changed_is_relaxing_everything(matrix: np.ndarray) -> None:
    distance, reached = np.zeros(5), np.arange(5) == 0
    pointer, frames = np.arange(5), []
    for _ in range(5):
        frames.append((distance, reached, pointer))
        before, known = distance, reached
        distance, reached, pointer = distance.copy(), reached.copy(), pointer.copy()
        for u, v in np.argwhere(matrix):
            if known[u] and (not reached[v] or before[u] + matrix[u, v] < distance[v]):
                distance[v], pointer[v], reached[v] = before[u] + matrix[u, v], u, True
        if (distance == before).all():
            break
    else:
        with pytest.raises(ValueError, match="cycle of negative weight"):
            tasks.create("bellman_ford").execute({"A": matrix[None], "s": [0]})
        return
    batch = tasks.create("bellman_ford").execute({"A": matrix[None], "s": [0]})
    assert batch.lengths.item() == len(frames)
    for t, (d, mask, pi) in enumerate(frames):
        assert np.array_equal(batch.hints["d"][t, 0].numpy(), d.astype(np.float32))
        assert np.array_equal(batch.hints["msk"][t, 0].numpy(), mask)
        assert np.array_equal(batch.hints["pi_h"][t, 0].numpy(), pi)
    assert np.array_equal(batch.outputs["pi"][0].numpy(), pointer)


@settings(max_examples=40, deadline=None)
@given(matrix=matrices(), choice=st.integers(0, 8))
def test_eccentricity_is_the_distance_to_the_farthest_node(matrix: np.ndarray, choice: int) -> None:
    source = choice % len(matrix)
    batch = ECCENTRICITY.execute({"A": matrix[None], "s": [source]})
    depth = nx.single_source_shortest_path_length(nx.from_numpy_array(matrix), source)
    assert batch.outputs["eccentricity"].item() == max(depth.values())
    hints = {name: value[:, 0] for name, value in batch.hints.items()}
    for t in range(batch.lengths.item()):
        # A flood visits a node at the step after the one that reaches it; echoes never exceed what is known.
        assert hints["visited_h"][t].tolist() == [depth.get(v, t) < t for v in range(len(matrix))]
        assert hints["floodstate_h"][t].tolist() == [
            d if (d := depth.get(v, t + 1)) <= t else 0 for v in range(len(matrix))
        ]
        assert (hints["echostate_h"][t] <= max(depth.values())).all()
        senders, receivers = np.nonzero(hints["tree_h"][t].numpy())
        assert all(matrix[senders, receivers]) and all(
            abs(depth[u] - depth[v]) <= 1 for u, v in zip(senders, receivers, strict=True)
        )
    assert torch.equal(hints["eccentricity_h"], hints["echostate_h"][:, source])
    assert not hints["tree_h"][-1][source].any() or matrix[source, source]


@settings(max_examples=40, deadline=None)
@given(matrix=matrices(), seed=st.integers(0, 99), ties=st.booleans())
def test_independent_sets_are_maximal_and_follow_the_numbers(matrix: np.ndarray, seed: int, ties: bool) -> None:
    n, random = len(matrix), np.random.default_rng(seed)
    rows = random.integers(0, 3, (n, n)) / 4 if ties else random.random((n, n)).astype(np.float32)
    batch = MIS.execute({"A": matrix[None], "randomness": rows.repeat(2, 0)[:, None]})
    hints = {name: value[:, 0] for name, value in batch.hints.items()}
    graph = nx.from_numpy_array(matrix)
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    chosen: set[int] = set()
    for t in range(batch.lengths.item()):
        if t % 2:
            numbers = {v: (rows[t // 2, v], -v) for v in graph}
            joining = {v for v in graph if all(numbers[v] < numbers[u] for u in graph[v])}
            chosen |= joining
            graph.remove_nodes_from(joining | {u for v in joining for u in graph[v]})
        assert hints["phase_h"][t].item() == t % 2
        assert set(np.flatnonzero(hints["inmis_h"][t])) == chosen
        assert set(np.flatnonzero(hints["alive_h"][t])) == set(graph)
        loops = matrix.diagonal()[list(graph)].sum()
        assert hints["Ain_h"][t].sum() == 2 * graph.number_of_edges() + loops
    assert not graph, "the trace ends when all are dead"
    assert set(np.flatnonzero(batch.outputs["inmis"][0])) == chosen
    whole = nx.from_numpy_array(matrix)
    whole.remove_edges_from(list(nx.selfloop_edges(whole)))
    assert nx.is_dominating_set(whole, chosen) and not any(whole.subgraph(chosen).edges)


@pytest.mark.parametrize("name", ["maximal_independent_set", "eccentricity"])
def test_layouts_agree(name: str) -> None:
    task = tasks.create(name)
    choice = {"seed": 4, "size": [1, 2, 9, 13], "batch_size": 30, "distribution": task.distributions}
    dense, sparse = task.sample(**choice), task.sample(**choice, layout="sparse")
    edges = [probe.name for probe in task.spec if probe.location == "edge"]
    assert torch.equal(dense.lengths, sparse.lengths)
    for b in range(30):
        one, other = alone(dense, b), alone(sparse, b)
        senders, receivers = other.pop("edge_index")
        assert_same({**one, **{key: one[key][..., senders, receivers] for key in edges}}, other)
    again = task.execute({**sparse.inputs, "edge_index": sparse.edge_index}, sizes=sparse.sizes)
    assert_same(values(again), values(sparse))


def test_sets_of_more_rounds_than_usual_get_more_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = {"size": [5, 60], "batch_size": 6, "distribution": "tree"}
    usual = MIS.sample(**choice)
    assert usual.lengths.max() > 2, "some take several rounds"
    monkeypatch.setattr(maximal_independent_set, "_USUAL_ROUNDS", 1)
    assert_same(values(usual), values(MIS.sample(**choice)))
    for b in range(6):
        randomness = alone(usual, b)["randomness"]
        assert torch.equal(randomness[1::2], randomness[:-1:2])
        assert ((randomness >= 0) & (randomness < 1)).all()
        assert len(randomness) < 3 or not torch.equal(randomness[0], randomness[2]), "other numbers in each round"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"randomness": np.zeros((1, 2, 3))}, r"'randomness'.*shape \[steps, 1, 3\]"),
        ({"randomness": np.zeros((0, 1, 3))}, "'randomness'.*every round, got 0 steps, too few for sample 0"),
        ({"randomness": np.array([[[0.3, 0.2, 0.1]], [[0.3, 0.3, 0.1]], [[0.5, 0.5, 0.5]]])}, "'randomness'.*both"),
        ({"A": np.array([[[0, 1, 0], [0, 0, 1], [0, 1, 0]]])}, "'A'.*symmetric"),
    ],
)
def test_wrong_numbers_are_refused(change: dict[str, object], message: str) -> None:
    path = np.array([[[0, 1, 0], [1, 0, 1], [0, 1, 0]]])
    good = {"A": path, "randomness": np.array([[[0.3, 0.2, 0.1]], [[0.3, 0.2, 0.1]], [[0.5, 0.5, 0.5]]])}
    assert MIS.execute(good).outputs["inmis"].tolist() == [[True, False, True]]
    with pytest.raises(ValueError, match=message):
        MIS.execute({**good, **change})


def test_eccentricity_is_of_undirected_graphs() -> None:
    with pytest.raises(ValueError, match=r"eccentricity input 'A'.*symmetric"):
        ECCENTRICITY.execute({"A": [[[0, 1], [0, 0]]], "s": [0]})


@pytest.mark.parametrize("task", [MIS, ECCENTRICITY])
def test_worked_examples_of_the_docstrings(task: tasks.Task) -> None:
    text = type(task).__doc__
    assert text is not None
    head, rest = re.split(r"\n +frame 0", text)
    edges = [(int(u), int(v)) for u, v in re.findall(r"(\d)-(\d)", head)]
    matrix = np.zeros((1, 4, 4))
    for u, v in edges:
        matrix[0, u, v] = matrix[0, v, u] = 1
    frames = re.split(r"\n +frame \d", rest.split("\n\n")[0])
    shown = [dict(re.findall(r"(\w+) ((?:[\d.>-]+ ?)+|none)", frame)) for frame in frames]
    given = {"s": [0]} if task is ECCENTRICITY else {}
    if task is MIS:
        rows = [[float(x) for x in frame["randomness"].split()] for frame in shown[:-1]]
        given = {"randomness": np.array(rows)[:, None]}
    batch = task.execute({"A": matrix, **given})
    assert batch.lengths.item() == len(frames)
    for t, frame in enumerate(shown):
        for name, hint in batch.hints.items():
            value, words = hint[t, 0], frame[name].split()
            if value.ndim == 2:
                sign = ">" if task is ECCENTRICITY else "-"
                pairs = [f"{u}{sign}{v}" for u, v in value.nonzero().tolist() if sign == ">" or u < v]
                assert words == (pairs or ["none"])
            else:
                assert [float(word) for word in words] == value.reshape(-1).tolist()
    (output,) = batch.outputs
    assert [float(word) for word in shown[-1][output].split()] == batch.outputs[output].reshape(-1).tolist()


@pytest.mark.parametrize("name", SPARSE)
def test_time_and_memory_do_not_grow_with_the_square_of_the_nodes(name: str) -> None:
    task = tasks.create(name)
    choice = {"batch_size": 1, "layout": "sparse", "distribution": "watts_strogatz"}
    task.sample(size=8, **choice)
    start = time.process_time()
    batch = task.sample(size=40_000, **choice)
    # A look at all nodes in each of 40,000 steps takes longer, and any matrix of them far more memory.
    assert time.process_time() - start < 1.2
    assert batch.nbytes < 40_000 * 1_000
    assert {len(frames) for frames in batch.hints.values()} == {1}


def test_relaxing_a_long_path_takes_as_many_steps_as_it_has_nodes_and_little_time() -> None:
    task = tasks.create("bellman_ford")
    task.sample(size=8, batch_size=1, distribution="path", layout="sparse")
    start = time.process_time()
    batch = task.sample(size=40_000, batch_size=1, distribution="path", layout="sparse")
    assert time.process_time() - start < 1.2
    assert batch.lengths.item() > 20_000


@pytest.mark.parametrize("name", ["bfs", "eccentricity"])
def test_large_graphs_are_searched_to_their_depth(name: str) -> None:
    batch = tasks.create(name).sample(size=10_000, batch_size=1, layout="sparse", distribution="erdos_renyi")
    graph = nx.Graph(batch.edge_index.T.tolist())
    depth = max(nx.single_source_shortest_path_length(graph, batch.inputs["s"].item()).values())
    if name == "bfs":
        assert batch.lengths.item() == depth + 1
    else:
        assert batch.outputs["eccentricity"].item() == depth
        assert 2 * depth + 1 <= batch.lengths.item() <= 2 * depth + 4


def test_samples_without_hints_are_not_written(tmp_path: Path) -> None:
    task = tasks.create("bfs", hints="none")
    with pytest.raises(ValueError, match="with all hints: make them with hints='full'"):
        task.save(tmp_path / "set.npz", task.sample(size=5, distribution="path"))
    with pytest.raises(UsageError, match="only the first frame of bfs"):
        sample("bfs", ["hints=none"], show=True)
