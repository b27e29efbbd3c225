"""Summary statistics, relational argmax, dynamic programming and subset sum against brute force."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tasks
from tasks.task import Task

DIFFERENCE, PAIR = tasks.create("maximum_value_difference"), tasks.create("furthest_pair")
MONSTERS, SUBSET = tasks.create("monster_trainer"), tasks.create("subset_sum")


def even(counts: np.ndarray) -> bool:
    """Whether counts of equally likely outcomes are within five standard deviations."""
    p, total = 1 / len(counts), counts.sum()
    return bool((abs(counts - p * total) <= 5 * (p * (1 - p) * total) ** 0.5).all())


def test_worked_examples() -> None:
    def shows(task: Task, line: str) -> bool:
        return line in " ".join((type(task).__doc__ or "").split())

    features = {"location": np.zeros((1, 3, 8)), "color": [[0, 0, 0]]}
    assert DIFFERENCE.execute({"value": [[30, 80, 45]], **features}).outputs["difference"].item() == 50
    assert shows(DIFFERENCE, "value 30 80 45 location and color whatever they are: difference 50")
    place = np.zeros((1, 3, 8))
    place[0, :, 0] = [0, 3, 9]
    batch = PAIR.execute({"value": np.zeros((1, 3)), "location": place, "color": [[4, 2, 1]]})
    assert batch.outputs["colors"].item() == 9
    assert shows(PAIR, "first coordinate 0 3 9, the others 0 color 4 2 1")
    assert shows(PAIR, "colors 9, which is 1-4")
    batch = MONSTERS.execute({"level": [[2, 0, 1]], "location": [[[0, 0], [4, 0], [2, 0]]], "target": [2]})
    assert batch.outputs["cost"].item() == 4
    assert shows(MONSTERS, "level 2 0 1 location 0,0 4,0 2,0 target 2: cost 4 (by way of level 1; straight on it is 8)")
    assert SUBSET.execute({"number": [[5, -3, -2, 100, 70, 9], [5, -3, -4, 100, 70, 9]]}).outputs[
        "solvable"
    ].tolist() == [True, False]
    assert shows(SUBSET, "number 5 -3 -2 100 70 9 solvable 1 number 5 -3 -4 100 70 9 solvable 0")


@settings(max_examples=30, deadline=None)
@given(value=st.lists(st.integers(0, 100), min_size=1, max_size=8))
def test_difference_is_between_the_largest_and_the_smallest_value(value: list[int]) -> None:
    n = len(value)
    batch = DIFFERENCE.execute({"value": [value], "location": np.zeros((1, n, 8)), "color": [[0] * n]})
    assert batch.outputs["difference"].item() == max(abs(a - b) for a in value for b in value)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), n=st.integers(2, 7))
def test_furthest_pair_has_the_colors_of_the_first_largest_distance(data: st.DataObject, n: int) -> None:
    place = data.draw(arrays(np.float64, (n, 8), elements=st.sampled_from([0.0, 1.0, 2.0])))
    color = data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))
    batch = PAIR.execute({"value": np.zeros((1, n)), "location": place[None], "color": [color]})
    i, j = max(itertools.combinations(range(n), 2), key=lambda ends: np.abs(place[ends[0]] - place[ends[1]]).sum())
    classes = list(itertools.combinations_with_replacement(range(6), 2))
    assert batch.outputs["colors"].item() == classes.index(tuple(sorted((color[i], color[j]))))


def test_objects_are_uniform_and_as_many_as_in_the_paper() -> None:
    inputs = {name: value.numpy() for name, value in PAIR.sample(size=25, batch_size=400).inputs.items()}
    assert inputs["location"].shape == (400, 25, 8)
    for name, count in [("value", 101), ("location", 21), ("color", 6)]:
        assert even(np.bincount(inputs[name].astype(int).ravel(), minlength=count)), name
        assert len(np.unique(inputs[name])) == count
    same = DIFFERENCE.sample(size=25, batch_size=400)
    assert np.array_equal(same.inputs["location"], inputs["location"])


@settings(max_examples=30, deadline=None)
@given(data=st.data(), n=st.integers(2, 7))
def test_monsters_cost_the_shortest_path_between_levels(data: st.DataObject, n: int) -> None:
    level = data.draw(st.permutations(range(n)))
    place = data.draw(arrays(np.float64, (n, 2), elements=st.integers(0, 10).map(float)))
    target = data.draw(st.integers(1, n - 1))
    graph = nx.DiGraph()
    for u, v in itertools.permutations(range(n), 2):
        if level[u] < level[v]:
            graph.add_edge(level[u], level[v], weight=(level[v] - level[u]) * np.abs(place[u] - place[v]).sum())
    batch = MONSTERS.execute({"level": [level], "location": place[None], "target": [target]})
    assert batch.outputs["cost"].item() == nx.dijkstra_path_length(graph, 0, target)
    assert batch.steps.item() == min(7, n - 1)


def test_sampled_monsters_take_three_to_seven_fights_equally_often() -> None:
    batch = MONSTERS.sample(size=11, batch_size=300)
    fights = np.zeros(11, int)
    for b in range(300):
        level, place = batch.inputs["level"][b].numpy(), batch.inputs["location"][b].numpy()
        assert sorted(level) == list(range(11))
        assert len({tuple(xy) for xy in place.tolist()}) == 11
        where = place[np.argsort(level)]
        best = [(0.0, 0)]  # cost and fights, by level
        for k in range(1, 11):
            best.append(min((best[i][0] + (k - i) * abs(where[k] - where[i]).sum(), best[i][1] + 1) for i in range(k)))
        cost, count = best[int(batch.inputs["target"][b])]
        assert batch.outputs["cost"][b] == cost
        fights[count] += 1
    assert even(fights[3:8])
    assert fights[3:8].sum() == 300
    for node in (0, 5, 10):  # levels are in no order
        assert even(np.bincount(batch.inputs["level"][:, node].int().numpy(), minlength=11))


@settings(max_examples=30, deadline=None)
@given(numbers=st.lists(st.integers(-9, 9), min_size=3, max_size=8))
def test_subset_sum_tries_every_subset(numbers: list[int]) -> None:
    some = any(not sum(part) for k in range(1, len(numbers) + 1) for part in itertools.combinations(numbers, k))
    assert SUBSET.execute({"number": [numbers]}).outputs["solvable"].item() == some


def test_sampled_sets_are_balanced_and_seldom_trivial() -> None:
    batch = SUBSET.sample(size=6, batch_size=1500)
    numbers, solvable = batch.inputs["number"].numpy(), batch.outputs["solvable"].numpy()
    assert even(np.bincount(solvable, minlength=2))
    assert abs(numbers).max() == 200
    assert even(np.histogram(numbers[~solvable], bins=10, range=(-200.5, 200.5))[0])
    # Of all sets an eighth is solvable, of these an eighth has a zero and a quarter two opposite numbers.
    zero = (numbers == 0).any(1)
    opposite = np.array([bool(set(row) & set(-row)) for row in numbers]) & ~zero
    assert zero[solvable].mean() < 0.06
    assert opposite[solvable].mean() < 0.06


def test_inputs_that_mean_nothing_are_refused() -> None:
    features = {"location": np.zeros((1, 2, 8)), "color": [[0, 0]]}
    with pytest.raises(ValueError, match=r"'value'.*whole numbers from 0 to 100, got 100.5"):
        DIFFERENCE.execute({"value": [[1, 100.5]], **features})
    with pytest.raises(ValueError, match=r"'location'.*shape"):
        DIFFERENCE.execute({"value": [[1, 2]], "location": np.zeros((1, 2, 7)), "color": [[0, 0]]})
    with pytest.raises(ValueError, match=r"'level'.*each level from 0 to 1 once in sample 0"):
        MONSTERS.execute({"level": [[0, 0]], "location": np.zeros((1, 2, 2)), "target": [1]})
    with pytest.raises(ValueError, match=r"'target'.*from 1 to 1 in sample 0, got 2"):
        MONSTERS.execute({"level": [[0, 1]], "location": np.zeros((1, 2, 2)), "target": [2]})
    with pytest.raises(ValueError, match="at most 121"):
        MONSTERS.sample(size=122)
    with pytest.raises(ValueError, match=r"'number'.*whole numbers"):
        SUBSET.execute({"number": [[0.5, 1, 2]]})
    with pytest.raises(ValueError, match=r"'number'.*at most 24 numbers"):
        SUBSET.execute({"number": [[1] * 25]})
    with pytest.raises(ValueError, match="at most 12, got 13"):
        SUBSET.sample(size=13)
    with pytest.raises(ValueError, match="between 2 and 15"):
        tasks.create("furthest_pair", colors=16)
