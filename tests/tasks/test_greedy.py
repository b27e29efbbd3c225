"""Activity selection and task scheduling against all subsets, and the inputs that they sample and refuse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks

ACTIVITIES, SCHEDULING = tasks.create("activity_selector"), tasks.create("task_scheduling")
QUARTERS = st.integers(0, 4).map(lambda k: k / 4)
SPANS = st.lists(st.tuples(QUARTERS, QUARTERS).map(sorted), min_size=1, max_size=7)
JOBS = st.lists(st.tuples(st.integers(1, 6), QUARTERS), min_size=1, max_size=7)


def subsets(n: int) -> Iterator[tuple[int, ...]]:
    """All sets of nodes, the smaller ones first."""
    for count in range(n + 1):
        yield from combinations(range(n), count)


def apart(spans: Sequence[Sequence[float]], chosen: Sequence[int]) -> bool:
    """Whether no two of the chosen activities share a moment."""
    return all(spans[u][1] <= spans[v][0] or spans[v][1] <= spans[u][0] for u, v in combinations(chosen, 2) if u != v)


def in_time(deadlines: Sequence[int], chosen: Sequence[int]) -> bool:
    """Whether the chosen tasks can all be done by their deadlines, the most urgent first."""
    return all(place < deadline for place, deadline in enumerate(sorted(deadlines[v] for v in chosen)))


def nodes_of(mask: torch.Tensor) -> list[int]:
    return mask.nonzero()[:, 0].tolist()


@settings(max_examples=60, deadline=None)
@given(spans=SPANS)
def test_selected_activities_are_as_many_as_fit(spans: list[list[float]]) -> None:
    starts, finishes = zip(*spans, strict=True)
    batch = ACTIVITIES.execute({"s": [starts], "f": [finishes]})
    chosen = nodes_of(batch.outputs["selected"][0])
    assert apart(spans, chosen)
    most = max(len(some) for some in subsets(len(spans)) if apart(spans, some))
    if all(start < finish for start, finish in spans):
        assert len(chosen) == most
    order = sorted(range(len(spans)), key=lambda v: (finishes[v], v))
    for place, v in enumerate(order):
        clash = any(finishes[u] > starts[v] for u in order[:place] if u in chosen)
        assert (v in chosen) != clash, "left out for an earlier finish that it overlaps, and for nothing else"


@settings(max_examples=40, deadline=None)
@given(spans=SPANS)
def test_frames_of_activity_selection_go_by_finish(spans: list[list[float]]) -> None:
    starts, finishes = zip(*spans, strict=True)
    n = len(spans)
    batch = ACTIVITIES.execute({"s": [starts], "f": [finishes]})
    chosen = nodes_of(batch.outputs["selected"][0])
    order = sorted(range(n), key=lambda v: (finishes[v], v))
    assert batch.lengths.tolist() == [n + 1]
    assert batch.hints["m"][:, 0].tolist() == [0, *order]
    for t in range(n + 1):
        so_far = [v for v in order[:t] if v in chosen]
        assert nodes_of(batch.hints["selected_h"][t, 0]) == sorted(so_far)
        assert batch.hints["k"][t, 0].item() == (so_far[-1] if so_far else 0)


def test_an_activity_without_duration_may_keep_one_with_the_same_finish_out() -> None:
    first = ACTIVITIES.execute({"s": [[1.0, 0.0]], "f": [[1.0, 1.0]]})
    assert first.outputs["selected"].tolist() == [[True, False]]
    second = ACTIVITIES.execute({"s": [[0.0, 1.0]], "f": [[1.0, 1.0]]})
    assert second.outputs["selected"].tolist() == [[True, True]]


@settings(max_examples=60, deadline=None)
@given(jobs=JOBS)
def test_a_task_is_scheduled_if_fewer_that_weigh_more_are_than_its_deadline(jobs: list[tuple[int, float]]) -> None:
    deadlines, weights = zip(*jobs, strict=True)
    n = len(jobs)
    batch = SCHEDULING.execute({"d": [deadlines], "w": [weights]})
    order = sorted(range(n), key=lambda v: (-weights[v], v))

    def as_stated(some: tuple[int, ...]) -> bool:
        return all(
            (v in some) == (sum(u in some for u in order[:place]) < deadlines[v]) for place, v in enumerate(order)
        )

    (stated,) = [some for some in subsets(n) if as_stated(some)]
    assert nodes_of(batch.outputs["selected"][0]) == list(stated)
    assert in_time(deadlines, stated)
    best = max(sum(weights[v] for v in some) for some in subsets(n) if in_time(deadlines, some))
    assert sum(weights[v] for v in stated) <= best
    assert batch.lengths.tolist() == [n + 1]
    assert batch.hints["i"][:, 0].tolist() == [0, *order]
    for t in range(n + 1):
        assert nodes_of(batch.hints["selected_h"][t, 0]) == sorted(set(order[:t]) & set(stated))
        assert batch.hints["t"][t, 0].item() == len(set(order[:t]) & set(stated))


@settings(max_examples=40, deadline=None)
@given(weights=st.lists(QUARTERS, min_size=1, max_size=7), deadline=st.integers(1, 9))
def test_with_one_deadline_for_all_the_heaviest_tasks_are_scheduled(weights: list[float], deadline: int) -> None:
    batch = SCHEDULING.execute({"d": [[deadline] * len(weights)], "w": [weights]})
    scheduled = [weights[v] for v in nodes_of(batch.outputs["selected"][0])]
    assert sorted(scheduled, reverse=True) == sorted(weights, reverse=True)[:deadline]


def test_scheduling_is_lighter_than_the_best_where_a_light_task_is_more_urgent() -> None:
    deadlines, weights = [2, 1], [1.0, 0.5]
    batch = SCHEDULING.execute({"d": [deadlines], "w": [weights]})
    assert batch.outputs["selected"].tolist() == [[True, False]]
    assert in_time(deadlines, [0, 1])


def test_worked_examples_of_the_docstrings() -> None:
    batch = ACTIVITIES.execute({"s": [[0.5, 0.0, 0.25]], "f": [[1.0, 0.25, 0.75]]})
    assert batch.hints["selected_h"][:, 0].int().tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 1, 1]]
    assert batch.hints["m"][:, 0].tolist() == [0, 1, 2, 0]
    assert batch.hints["k"][:, 0].tolist() == [0, 1, 2, 2]
    assert batch.outputs["selected"].int().tolist() == [[0, 1, 1]]
    batch = SCHEDULING.execute({"d": [[1, 3, 1, 3]], "w": [[0.25, 0.75, 0.5, 0.125]]})
    assert batch.hints["selected_h"][:, 0].int().tolist() == [[0] * 4, *[[0, 1, 0, 0]] * 3, [0, 1, 0, 1]]
    assert batch.hints["i"][:, 0].tolist() == [0, 1, 2, 0, 3]
    assert batch.hints["t"][:, 0].tolist() == [0, 1, 1, 1, 2]
    assert batch.outputs["selected"].int().tolist() == [[0, 1, 0, 1]]


@pytest.mark.parametrize("task", [ACTIVITIES, SCHEDULING], ids=lambda task: task.name)
def test_sizes_mix_in_one_execution(task: tasks.Task) -> None:
    whole = task.sample(size=[1, 3, 8], batch_size=16)
    for b, n in enumerate(whole.sizes.tolist()):
        one = task.execute({name: value[b : b + 1, :n] for name, value in whole.inputs.items()})
        assert torch.equal(one.outputs["selected"][0], whole.outputs["selected"][b, :n])


def test_sampled_activities_are_sorted_pairs_of_uniform_draws() -> None:
    batch = ACTIVITIES.sample(size=50, batch_size=400)
    starts, finishes = batch.inputs["s"].double(), batch.inputs["f"].double()
    assert ((starts >= 0) & (starts <= finishes) & (finishes <= 1)).all()
    # Means of the minimum and the maximum, and of their product, that of both draws; 20,000 of each: five deviations.
    assert starts.mean().item() == pytest.approx(1 / 3, abs=5 * (1 / 18 / 20_000) ** 0.5)
    assert finishes.mean().item() == pytest.approx(2 / 3, abs=5 * (1 / 18 / 20_000) ** 0.5)
    assert (starts * finishes).mean().item() == pytest.approx(1 / 4, abs=5 * (7 / 144 / 20_000) ** 0.5)
    few = ACTIVITIES.sample(size=50, batch_size=40, distribution="few_distinct")
    assert set(few.inputs["f"].flatten().tolist()) >= {0.0, 0.25, 0.5, 0.75}
    assert not (few.inputs["f"] * 4 % 1).any()


@pytest.mark.parametrize("size", [1, 7])
def test_sampled_deadlines_are_uniform_and_independent_of_the_weights(size: int) -> None:
    batch = SCHEDULING.sample(size=size, batch_size=14_000 // size)
    deadlines, weights = batch.inputs["d"].numpy(), batch.inputs["w"].double().numpy()
    counts = np.bincount(deadlines.astype(int).ravel(), minlength=size + 1)
    assert counts[0] == 0
    # Equally often each: five standard deviations.
    p = 1 / size
    assert np.abs(counts[1:] - 14_000 * p).max() <= 5 * (14_000 * p * (1 - p)) ** 0.5
    assert weights.mean() == pytest.approx(0.5, abs=5 * (1 / 12 / 14_000) ** 0.5)
    heavy = deadlines[weights > 0.5].mean()
    light = deadlines[weights <= 0.5].mean()
    assert heavy == pytest.approx(light, abs=5 * ((size**2 - 1) / 12 * 4 / 14_000) ** 0.5 + 1e-9)
    few = SCHEDULING.sample(size=size, batch_size=64, distribution="few_distinct")
    assert not (few.inputs["w"] * 4 % 1).any()


@pytest.mark.parametrize(
    ("task", "inputs", "message"),
    [
        (ACTIVITIES, {"s": [[0.0, 0.5]], "f": [[0.5, 0.25]]}, "'f'.*no finish before its start.*0.25.*0.5 at node 1"),
        (SCHEDULING, {"d": [[1.0, 1.5]], "w": [[0.5, 0.5]]}, "'d'.*whole numbers of at least 1, got 1.5"),
        (SCHEDULING, {"d": [[1, 0]], "w": [[0.5, 0.5]]}, "'d'.*whole numbers of at least 1, got 0"),
        (SCHEDULING, {"d": [[1, 2]], "w": [[0.5, -0.5]]}, "'w'.*none below 0, got -0.5"),
        (SCHEDULING, {"d": [[1, 2]], "w": [[0.5]]}, r"'w'.*shape \[1, 2\]"),
        (ACTIVITIES, {"s": [[]], "f": [[]]}, "at least 1 nodes"),
    ],
)
def test_wrong_inputs_are_refused_by_name(task: tasks.Task, inputs: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task.execute(inputs)
