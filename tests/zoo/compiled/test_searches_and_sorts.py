"""Compiled searches and sorts that follow a trace: right in every hint and output, in pairs of the same options."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import tasks
from tests.zoo.compiled.exactness import run, wrong
from zoo.compiled import compile_algorithm, plan

SEARCHES = [("parallel_search", "mpnn"), ("parallel_search", "pgn"), ("binary_search", "mpnn")]
SORTS = [("odd_even_transposition_sort", "mpnn"), ("bubble_sort", "mpnn")]
WIDTHS = ("hidden_size", "input_size")


def everything_wrong(name: str, processor: str, options: dict[str, Any] | None = None, **how: Any) -> dict[str, int]:
    """Wrong entries of every probe, on samples drawn as told; asserts that every probe is predicted."""
    task = tasks.create(name, **(options or {}))
    batch = task.sample(**how)
    found = wrong(run(compile_algorithm(name, task.spec, processor), batch), batch)
    assert set(found) == {probe.name for probe in task.spec.outputs + task.spec.hints}
    return found


@pytest.mark.parametrize("size", [[1, 2, 3, 5, 6, 7], 4, 16])
@pytest.mark.parametrize(("name", "processor"), SEARCHES + SORTS)
def test_every_hint_and_output_is_that_of_the_trace(name: str, processor: str, size: int | list[int]) -> None:
    for distribution in tasks.create(name).distributions:
        found = everything_wrong(name, processor, seed=3, batch_size=8, size=size, distribution=[distribution])
        assert not any(found.values()), distribution


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize(("name", "processor"), [*SEARCHES, SORTS[0]])
def test_every_hint_and_output_is_that_of_a_longer_trace(name: str, processor: str, size: int) -> None:
    for distribution in tasks.create(name).distributions:
        found = everything_wrong(name, processor, seed=4, batch_size=1, size=size, distribution=[distribution])
        assert not any(found.values()), distribution


@pytest.mark.slow
@pytest.mark.parametrize(("distribution", "size"), [("uniform", 64), ("few_distinct", 32)])
def test_every_hint_of_up_to_two_thousand_exchanges_is_that_of_the_trace(distribution: str, size: int) -> None:
    found = everything_wrong("bubble_sort", "mpnn", seed=4, batch_size=1, size=size, distribution=[distribution])
    assert not any(found.values())


@pytest.mark.parametrize("target", [-1.0, 0.1, 0.2, 0.3, 0.5, 0.7, 2.0])
@pytest.mark.parametrize(("name", "processor"), SEARCHES)
def test_targets_beyond_all_keys_among_them_and_between_equal_ones(name: str, processor: str, target: float) -> None:
    task = tasks.create(name)
    model = compile_algorithm(name, task.spec, processor)
    for keys in ([0.3], [0.1, 0.3], [0.1, 0.3, 0.3, 0.3, 0.5], [0.3, 0.3, 0.3, 0.3]):
        batch = task.execute({"key": torch.tensor([keys]).numpy(), "target": torch.tensor([target]).numpy()})
        assert not any(wrong(run(model, batch), batch).values()), keys


@pytest.mark.parametrize(("name", "processor"), SORTS)
def test_equal_keys_keep_their_order_and_few_nodes_are_sorted(name: str, processor: str) -> None:
    task = tasks.create(name)
    model = compile_algorithm(name, task.spec, processor)
    for keys in ([0.5], [0.5, 0.5], [0.5, 0.25], [1.0, -1.0, 0.0], [0.5, 0.25, 0.5, 0.25, 0.25], [0.75] * 6):
        batch = task.execute({"key": torch.tensor([keys]).numpy()})
        assert not any(wrong(run(model, batch), batch).values()), keys


@pytest.mark.parametrize(("one", "other"), [("parallel_search", "binary_search"), [name for name, _ in SORTS]])
def test_a_pair_differs_in_widths_only(one: str, other: str) -> None:
    made = [plan(name, "mpnn") for name in (one, other)]
    options = [{key: value for key, value in each.options.items() if key not in WIDTHS} for each in made]
    assert options[0] == options[1] and options[0]["message_layers"] == 1
    assert made[0].program.reasoner == made[1].program.reasoner
    assert made[0].program.precision == made[1].program.precision


def test_positions_must_be_evenly_spaced_but_for_the_parallel_search() -> None:
    how: dict[str, Any] = {"seed": 3, "batch_size": 8, "size": 16}
    uneven = {"random_pos": True}
    assert not any(everything_wrong("parallel_search", "mpnn", uneven, **how).values())
    assert everything_wrong("binary_search", "mpnn", uneven, **how)["mid"] > 0
    for name, processor in SORTS:
        assert everything_wrong(name, processor, uneven, **how)["pred_h"] > 0


def test_keys_that_differ_by_less_than_documented_are_not_told_apart() -> None:
    task = tasks.create("odd_even_transposition_sort")
    model = compile_algorithm("odd_even_transposition_sort", task.spec)
    for power, right in ((-50, True), (-54, False)):
        batch = task.execute({"key": torch.tensor([[2.0**power, 0.0, 0.0]]).numpy()})
        assert (not any(wrong(run(model, batch), batch).values())) == right
