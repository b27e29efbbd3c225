"""The search for a minimum and binary search, against numpy and the standard library."""

from __future__ import annotations

import bisect
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tests.tasks.worked import check_worked_example

MINIMUM, SEARCH = tasks.create("minimum"), tasks.create("binary_search")
VALUES = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0])
KEYS = st.lists(VALUES, min_size=1, max_size=9)


@settings(max_examples=40, deadline=None)
@given(keys=KEYS)
def test_minimum_is_the_first_of_the_smallest_keys_so_far(keys: list[float]) -> None:
    batch = MINIMUM.execute({"key": [keys]})
    n = len(keys)
    assert batch.lengths.item() == n
    assert batch.hints["i"][:, 0].tolist() == list(range(n))
    assert batch.hints["min_h"][:, 0].tolist() == [int(np.argmin(keys[: t + 1])) for t in range(n)]
    assert batch.outputs["min"].item() == np.argmin(keys)


@settings(max_examples=60, deadline=None)
@given(keys=KEYS, target=VALUES | st.sampled_from([-2.0, 0.3, 2.0]))
def test_binary_search_finds_the_first_key_not_below_the_target_or_the_last_key(
    keys: list[float], target: float
) -> None:
    keys = sorted(keys)
    batch = SEARCH.execute({"key": [keys], "target": [target]})
    n, frames = len(keys), batch.lengths.item()
    answer = min(bisect.bisect_left(keys, target), n - 1)
    assert batch.outputs["return"].item() == answer
    low, high, mid = (batch.hints[name][:, 0].tolist() for name in ("low", "high", "mid"))
    assert (low[0], high[0]) == (0, n - 1)
    assert low[-1] == high[-1] == answer
    assert math.floor(math.log2(n)) + 1 <= frames <= math.ceil(math.log2(n)) + 1
    for t in range(frames):
        assert low[t] <= answer <= high[t]
        assert mid[t] == (low[t] + high[t]) // 2
        if t + 1 < frames:
            half = (low[t], mid[t]) if answer <= mid[t] else (mid[t] + 1, high[t])
            assert (low[t + 1], high[t + 1]) == half


def test_sampled_searches_are_over_ascending_keys() -> None:
    for kind in SEARCH.distributions:
        batch = SEARCH.sample(size=[1, 5, 12], batch_size=60, distribution=kind)
        for b, n in enumerate(batch.sizes.tolist()):
            keys, target = batch.inputs["key"][b, :n], batch.inputs["target"][b]
            assert torch.equal(keys, keys.sort().values)
            assert (target in keys) or kind != "present"
            if kind == "few_distinct":
                assert torch.equal(torch.cat([keys, target[None]]) * 4 % 1, torch.zeros(n + 1))


def test_targets_are_uniform_and_present_ones_are_any_of_the_keys() -> None:
    batch = SEARCH.sample(size=8, batch_size=4000)
    counts = torch.histc(batch.inputs["target"], bins=10, min=0, max=1)
    assert (counts - 400).abs().max() < 5 * 360**0.5  # five standard deviations
    # Nothing ties a target to its keys: either may be the smaller, and the correlation is within four deviations.
    both = torch.stack([batch.inputs["target"], batch.inputs["key"].mean(1)])
    assert torch.corrcoef(both)[0, 1].abs() < 4 / 4000**0.5
    found = SEARCH.sample(size=8, batch_size=4000, distribution="present").outputs["return"]
    assert (torch.bincount(found, minlength=8) - 500).abs().max() < 5 * 437.5**0.5


def test_binary_search_mixes_sizes_and_refuses_keys_out_of_order() -> None:
    keys = [[0.1, 0.3, 0.0, 0.0], [0.1, 0.3, 0.5, 0.8]]
    batch = SEARCH.execute({"key": keys, "target": [0.9, 0.4]}, sizes=[2, 4])
    assert batch.outputs["return"].tolist() == [1, 2]
    assert batch.lengths.tolist() == [2, 3]
    with pytest.raises(ValueError, match=r"'key'.*ascending order, got 0.3 before 0.0 in sample 0"):
        SEARCH.execute({"key": keys, "target": [0.9, 0.4]})
    with pytest.raises(ValueError, match=r"'target'.*shape \[2\]"):
        SEARCH.execute({"key": keys, "target": [0.9]}, sizes=[2, 4])
    with pytest.raises(ValueError, match=r"'target'.*finite"):
        SEARCH.execute({"key": keys, "target": [0.9, float("nan")]}, sizes=[2, 4])


@pytest.mark.parametrize("name", ["minimum", "binary_search"])
def test_the_order_of_the_nodes_can_be_an_input(name: str) -> None:
    as_hint, as_input = tasks.create(name), tasks.create(name, pred_as_input=True)
    assert [probe.name for probe in as_input.spec.inputs] == [*(p.name for p in as_hint.spec.inputs), "pred"]
    assert [probe.name for probe in as_hint.spec.hints] == ["pred_h", *(p.name for p in as_input.spec.hints)]
    batch = as_input.sample(size=[2, 5], batch_size=6)
    assert set(batch.sizes.tolist()) == {2, 5}
    for b, n in enumerate(batch.sizes.tolist()):
        assert batch.inputs["pred"][b].tolist() == [max(v - 1, 0) for v in range(n)] + [0] * (5 - n)


@pytest.mark.parametrize("task", [MINIMUM, SEARCH], ids=lambda task: task.name)
def test_worked_example_of_the_docstring(task: tasks.Task) -> None:
    check_worked_example(task)
