"""The parallel relatives of a search, a sort and strong components: the same answers, and what each step may do."""

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
from tests.tasks.orders import listed, predecessors
from tests.tasks.worked import check_worked_example

SEARCH, BINARY = tasks.create("parallel_search"), tasks.create("binary_search")
SORT = tasks.create("odd_even_transposition_sort")
COMPONENTS = tasks.create("divide_and_conquer_components")
VALUES = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0])
KEYS = st.lists(VALUES, min_size=1, max_size=9)


def test_worked_examples() -> None:
    check_worked_example(SEARCH)
    check_worked_example(SORT)
    batch = COMPONENTS.execute({"A": [[[0, 1, 0], [1, 0, 0], [0, 1, 0]]]})
    lines = re.findall(r"frame (\d+): (.*)", type(COMPONENTS).__doc__ or "")
    assert len(lines) == batch.lengths.item()
    for t, line in lines:
        fields = dict(re.findall(r"(\w+) ([\d ]*\d)", line))
        assert fields.keys() == batch.hints.keys()
        for name, words in fields.items():
            assert [int(word) for word in words.split()] == batch.hints[name][int(t), 0].int().tolist(), (t, name)
    assert batch.outputs["scc_id"][0].tolist() == [0, 0, 2]


@settings(max_examples=30, deadline=None)
@given(keys=KEYS, target=VALUES | st.sampled_from([-2.0, 0.3, 2.0]))
def test_parallel_search_answers_as_binary_search_in_two_steps(keys: list[float], target: float) -> None:
    inputs = {"key": [sorted(keys)], "target": [target]}
    batch = SEARCH.execute(inputs)
    assert batch.steps.item() == 2
    assert torch.equal(batch.outputs["return"], BINARY.execute(inputs).outputs["return"])
    below = [key < target for key in sorted(keys)]
    assert batch.hints["below_h"][:, 0].tolist() == [[False] * len(keys), below, below]
    assert batch.hints["return_h"][:, 0].tolist() == [0, 0, batch.outputs["return"].item()]


def test_both_searches_have_the_same_samples() -> None:
    choice = {"size": [1, 5, 12], "batch_size": 20, "distribution": SEARCH.distributions}
    ours, theirs = SEARCH.sample(**choice), BINARY.sample(**choice)
    assert torch.equal(ours.inputs["key"], theirs.inputs["key"])
    assert torch.equal(ours.outputs["return"], theirs.outputs["return"])


def test_search_refuses_keys_out_of_order() -> None:
    with pytest.raises(ValueError, match=r"'key'.*ascending order, got 0.5 before 0.25 in sample 0"):
        SEARCH.execute({"key": [[0.5, 0.25]], "target": [0.1]})


@settings(max_examples=30, deadline=None)
@given(keys=KEYS | st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=12, unique=True))
def test_odd_even_transposition_swaps_every_other_pair_of_places_at_once(keys: list[float]) -> None:
    batch = SORT.execute({"key": [keys]})
    n = len(keys)
    assert batch.steps.item() == n
    order = list(range(n))
    for t in range(n + 1):
        partner = list(range(n))
        if t > 0:
            for first in range((t + 1) % 2, n - 1, 2):
                pair = order[first : first + 2]
                partner[pair[0]], partner[pair[1]] = pair[1], pair[0]
                order[first : first + 2] = sorted(pair, key=keys.__getitem__)  # stable: equal keys stay
        assert listed(batch.hints["pred_h"][t, 0].tolist()) == order
        assert batch.hints["partner_h"][t, 0].tolist() == partner
    assert order == sorted(range(n), key=keys.__getitem__)
    assert batch.outputs["pred"][0].tolist() == predecessors(order)


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    """Any directed graph of 1 to 8 nodes: no edges, loops and weights included."""
    n = draw(st.integers(1, 8))
    return draw(arrays(np.float64, (n, n), elements=st.sampled_from([0.0, 0.0, 0.0, 0.5, -1.0])))


@settings(max_examples=50, deadline=None)
@given(matrix=matrices())
def test_components_are_those_of_networkx_under_their_lowest_node(matrix: np.ndarray) -> None:
    graph = nx.from_numpy_array(matrix, create_using=nx.DiGraph)
    batch = COMPONENTS.execute({"A": matrix[None]})
    expected = {v: min(part) for part in nx.strongly_connected_components(graph) for v in part}
    assert batch.outputs["scc_id"][0].tolist() == [expected[v] for v in range(len(matrix))]
    assert batch.hints["done_h"][-1, 0].all()
    assert batch.hints["scc_id_h"][-1, 0].tolist() == batch.outputs["scc_id"][0].tolist()


@settings(max_examples=50, deadline=None)
@given(matrix=matrices())
def test_parts_grow_by_one_hop_or_are_divided(matrix: np.ndarray) -> None:
    batch = COMPONENTS.execute({"A": matrix[None]})
    edge = matrix != 0
    n = len(matrix)
    frames = {name: value[:, 0].numpy() for name, value in batch.hints.items()}
    for t in range(batch.steps.item()):
        pivot, forward, backward, done = (frames[name + "_h"][t] for name in ("pivot", "forward", "backward", "done"))
        together = (pivot[:, None] == pivot) & ~done & ~done[:, None]
        reached = forward | (edge & together & forward[:, None]).any(0)
        reaching = backward | (edge & together & backward).any(1)
        after = {name: value[t + 1] for name, value in frames.items()}
        for part in np.unique(pivot[~done]):
            nodes = np.flatnonzero((pivot == part) & ~done)
            assert nodes[0] == part
            if (reached != forward)[nodes].any() or (reaching != backward)[nodes].any():
                assert (after["pivot_h"][nodes] == part).all()
                assert not after["done_h"][nodes].any()
                assert np.array_equal(after["forward_h"][nodes], reached[nodes])
                assert np.array_equal(after["backward_h"][nodes], reaching[nodes])
                continue
            assert np.array_equal(after["done_h"][nodes], (forward & backward)[nodes])
            for ahead, behind in [(True, False), (False, True), (False, False)]:
                some = nodes[(forward[nodes] == ahead) & (backward[nodes] == behind)]
                assert (after["pivot_h"][some] == some[:1]).all()
                assert after["forward_h"][some].tolist() == [v == some[0] for v in some]
                assert after["backward_h"][some].tolist() == [v == some[0] for v in some]
    assert frames["scc_id_h"][0].tolist() == list(range(n))


def test_components_take_far_fewer_steps_than_the_sequential_algorithm() -> None:
    choice = {"size": 16, "batch_size": 50}
    sequential = tasks.create("strongly_connected_components").sample(**choice)
    parallel = COMPONENTS.sample(**choice)
    assert torch.equal(sequential.inputs["A"], parallel.inputs["A"])
    assert 3 * parallel.steps.double().mean() < sequential.steps.double().mean()
