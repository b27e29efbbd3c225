"""Reverse, duplicate and integer sort against lists of Python, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import tasks
from tests.tasks.drawings import check_drawing, drawings

ORACLES: dict[str, tuple[str, Callable[[list[int]], list[int]]]] = {
    "reverse": ("reversed", lambda x: x[::-1]),
    "integer_sort": ("sorted", sorted),
    "duplicate": ("duplicated", lambda x: x[: len(x) // 2] * 2 + [-1] * (len(x) % 2)),
}


@pytest.mark.parametrize("name", ORACLES)
def test_answers_are_those_of_lists(name: str) -> None:
    answer, oracle = ORACLES[name]
    batch = tasks.create(name).sample(size=[2, 3, 8, 13], batch_size=40)
    assert set(batch.sizes.tolist()) == {2, 3, 8, 13}
    for b, n in enumerate(batch.sizes.tolist()):
        given = batch.inputs["symbols"][b].tolist()
        told = n // 2 if name == "duplicate" else n
        assert all(1 <= symbol <= 11 for symbol in given[:told])
        assert not any(given[told:])
        assert batch.outputs[answer][b, :n].tolist() == oracle(given[:n])
        assert (batch.outputs[answer][b, n:] == -1).all()


def test_worked_examples_of_the_docstrings() -> None:
    reversed_ = tasks.create("reverse").execute({"symbols": [[3, 11, 3, 8, 1]]}).outputs["reversed"]
    assert reversed_.tolist() == [[1, 8, 3, 11, 3]]
    duplicated = tasks.create("duplicate").execute({"symbols": [[3, 11, 8, 0, 0, 0, 0]]}).outputs["duplicated"]
    assert duplicated.tolist() == [[3, 11, 8, 3, 11, 8, -1]]
    task = tasks.create("integer_sort")
    check_drawing(task, drawings(task)[0])


@pytest.mark.parametrize("name", ORACLES)
def test_one_hot_symbols_are_read_as_classes(name: str) -> None:
    task = tasks.create(name)
    batch = task.sample(size=[4, 7], batch_size=6)
    hot = torch.nn.functional.one_hot(batch.inputs["symbols"].long(), 12).float()
    again = task.execute({"symbols": hot}, sizes=batch.sizes)
    assert torch.equal(again.outputs[task.answer], batch.outputs[task.answer])


def test_symbols_are_drawn_uniformly() -> None:
    symbols = tasks.create("reverse", symbols=5).sample(size=10, batch_size=1000).inputs["symbols"]
    counts = torch.bincount(symbols.flatten().long(), minlength=6)
    assert counts[0] == 0 and len(counts) == 6
    # 2,000 expected each: five standard deviations.
    assert (counts[1:] - 2000).abs().max() < 5 * (10000 * 0.16) ** 0.5


@pytest.mark.parametrize(
    ("name", "symbols", "message"),
    [
        ("reverse", torch.tensor([[1, 0, 2]]), "'symbols'.*first 3 of 3 nodes.*sample 0"),
        ("duplicate", torch.tensor([[1, 2, 0, 0], [1, 2, 3, 0]]), "'symbols'.*first 2 of 4 nodes.*sample 1"),
        ("duplicate", torch.tensor([[0]]), "at least 2 nodes"),
        ("reverse", torch.tensor([[1, 12]]), "'symbols'.*from 0 to 11.*1 to 12"),
        ("reverse", torch.tensor([[1, 1.5]]), "'symbols'.*whole numbers"),
        ("reverse", torch.ones(1, 2, 12), "'symbols'.*one-hot"),
        ("reverse", torch.ones(1, 2, 11), r"'symbols'.*shape \[batch, nodes, 12\]"),
    ],
)
def test_wrong_inputs_are_refused_by_name(name: str, symbols: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.create(name).execute({"symbols": symbols})


@pytest.mark.parametrize("symbols", [0, 127])
def test_alphabets_that_do_not_fit_are_refused(symbols: int) -> None:
    with pytest.raises(ValueError, match="symbols must be from 1 to 126"):
        tasks.create("reverse", symbols=symbols)
