"""The disjoint-set task against networkx's components and a plain recursive transcription."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import tasks
from tasks.batch import Batch

TASK = tasks.create("disjoint_set")


@st.composite
def instances(draw: st.DrawFn) -> tuple[list[float], list[tuple[int, int]]]:
    """Priorities with ties, and operations with repetitions."""
    n = draw(st.integers(2, 7))
    priority = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=n, max_size=n))
    nodes = st.integers(0, n - 1)
    pairs = draw(st.lists(st.tuples(nodes, nodes).filter(lambda p: p[0] != p[1]), min_size=1, max_size=12))
    return priority, pairs


def operations(pairs: list[tuple[int, int]], n: int) -> Tensor:
    """Pairs as the streamed mask of one sample, `[T, 1, N]`."""
    op = torch.zeros(len(pairs), 1, n)
    for t, pair in enumerate(pairs):
        op[t, 0, list(pair)] = 1
    return op


def find(parent: list[int], node: int, path: set[int]) -> int:
    """Recursive find with path compression, as in the textbook (Cormen et al., section 21.3)."""
    path.add(node)
    if parent[node] != node:
        parent[node] = find(parent, parent[node], path)
    return parent[node]


@settings(max_examples=80, deadline=None)
@given(instance=instances())
def test_trace_equals_the_recursive_textbook(instance: tuple[list[float], list[tuple[int, int]]]) -> None:
    priority, pairs = instance
    n = len(priority)
    batch = TASK.execute({"priority": [priority], "op": operations(pairs, n)})
    parent = list(range(n))
    assert batch.lengths.item() == len(pairs) + 1
    assert batch.hints["parent_h"][0, 0].tolist() == parent
    assert not batch.hints["modified_h"][0].any()
    for t, (u, v) in enumerate(pairs):
        path: set[int] = set()
        before = list(parent)
        x, y = find(parent, u, path), find(parent, v, path)
        if x != y:
            low, high = sorted((x, y), key=lambda root: (priority[root], root))
            parent[low] = high
        assert batch.outputs["answer"][t, 0].item() == (x != y)
        assert batch.hints["parent_h"][t + 1, 0].tolist() == parent
        assert batch.hints["modified_h"][t + 1, 0].nonzero().flatten().tolist() == sorted(path)
        assert {i for i in range(n) if parent[i] != before[i]} <= path


def check_components(batch: Batch, b: int) -> None:
    """Answers and forests of one sample say what networkx says of the graph of its operations."""
    n = int(batch.sizes[b])
    graph = nx.empty_graph(n)
    for t in range(int(batch.steps[b])):
        u, v = batch.inputs["op"][t, b].nonzero().flatten().tolist()
        assert batch.outputs["answer"][t, b].item() != nx.has_path(graph, u, v)
        graph.add_edge(u, v)
        parents = batch.hints["parent_h"][t + 1, b, :n].tolist()
        forest = nx.Graph([(i, parent) for i, parent in enumerate(parents)])
        sets = sorted(sorted(part) for part in nx.connected_components(graph))
        assert sorted(sorted(part) for part in nx.connected_components(forest)) == sets
        roots = {i for i, parent in enumerate(parents) if i == parent}
        assert len(roots) == len(sets)


def test_sampled_forests_are_the_connected_components() -> None:
    batch = TASK.sample(seed=3, size=[2, 5, 20], batch_size=12)
    for b in range(12):
        check_components(batch, b)


def test_roots_have_the_highest_priority_of_their_set() -> None:
    batch = TASK.sample(size=20, batch_size=16)
    parents = batch.hints["parent_h"][-1].long()
    for _ in range(20):
        parents = parents.gather(1, parents)
    priority = batch.inputs["priority"]
    assert (priority.gather(1, parents) >= priority).all()


@pytest.mark.parametrize(
    ("operations_option", "counts"), [("1.5n", [30, 75, 150]), ("2n", [40, 100, 200]), ("7", [7] * 3)]
)
def test_number_of_operations_follows_the_option(operations_option: str, counts: list[int]) -> None:
    task = tasks.create("disjoint_set", operations=operations_option)
    for size, count in zip([20, 50, 100], counts, strict=True):
        batch = task.sample(size=size, batch_size=2)
        assert batch.lengths.tolist() == [count + 1] * 2
        assert batch.inputs["op"].shape == (count, 2, size)
        assert batch.outputs["answer"].shape == (count, 2)


@pytest.mark.parametrize("text", ["n", "1.5", "-1", "0n", "many", "infn", "nann"])
def test_other_numbers_of_operations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"'1.5n', got '{text}'"):
        tasks.create("disjoint_set", operations=text)


def test_pairs_are_uniform_among_distinct_nodes_and_independent_of_priorities() -> None:
    batch = tasks.create("disjoint_set", operations="100").sample(size=4, batch_size=60)
    pairs = batch.inputs["op"].flatten(0, 1).float()
    together = pairs.T @ pairs
    # 6,000 operations over 6 pairs, 1,000 expected each: five standard deviations.
    assert (together[~torch.eye(4, dtype=torch.bool)] - 1000).abs().max() < 5 * (6000 * 5 / 36) ** 0.5
    priority = batch.inputs["priority"].expand(100, 60, 4).flatten(0, 1)
    assert (priority[pairs.bool()].mean() - priority.mean()).abs() < 0.02


def test_worked_example_of_the_docstring() -> None:
    op = operations([(0, 1), (2, 3), (0, 2), (0, 1)], 4)
    batch = TASK.execute({"priority": [[0.1, 0.7, 0.4, 0.9]], "op": op})
    assert batch.outputs["answer"].flatten().tolist() == [True, True, True, False]
    parents = [[0, 1, 2, 3], [1, 1, 2, 3], [1, 1, 3, 3], [1, 3, 3, 3], [3, 3, 3, 3]]
    assert batch.hints["parent_h"][:, 0].tolist() == parents
    modified = [[0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1], [1, 1, 0, 1]]
    assert batch.hints["modified_h"][:, 0].int().tolist() == modified


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 0, 0]],
        [[1, 1, 1]],
        [[0, 0, 0]],
        [[0, 0, 0], [1, 1, 0]],
    ],
)
def test_wrong_operations_are_refused(rows: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"'op'.*two nodes an operation"):
        TASK.execute({"priority": [[0.1, 0.2, 0.3]], "op": torch.tensor(rows)[:, None]})


def test_wrong_shapes_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'op'.*\[steps, 1, 3\]"):
        TASK.execute({"priority": [[0.1, 0.2, 0.3]], "op": torch.zeros(1, 1, 2)})
    with pytest.raises(ValueError, match=r"at least 2 nodes"):
        TASK.execute({"priority": [[0.1]], "op": torch.zeros(1, 1, 1)})
    with pytest.raises(ValueError, match=r"'op'.*two nodes"):
        TASK.execute({"priority": [[0.1, 0.2]], "op": torch.zeros(0, 1, 2)})
