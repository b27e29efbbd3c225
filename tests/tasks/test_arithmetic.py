"""Addition and multiplication of binary numbers against Python's integers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import tasks
from tests.tasks.drawings import check_drawing, drawings

NAMES = {"binary_addition": "sum", "binary_multiplication": "product"}


def digits(number: int, places: int) -> list[int]:
    return [number >> k & 1 for k in range(places)]


def expected(name: str, first: int, second: int, places: int, nodes: int, leading: str) -> list[int]:
    """The answer's classes, from integers and their decimal and binary strings."""
    result = first + second if name == "binary_addition" else first * second
    written = [1 + int(digit) for digit in reversed(f"{result:b}")]
    if leading == "zero":
        written += [1] * (2 * places + 1 - len(written))
    return written + [-1 if leading == "unscored" else 0] * (nodes - len(written))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("leading", ["blank", "unscored", "zero"])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_results_are_those_of_integers(name: str, leading: str, data: st.DataObject) -> None:
    places, blank = data.draw(st.integers(1, 70)), data.draw(st.integers(0, 1))
    first, second = (data.draw(st.integers(0, 2**places - 1)) for _ in range(2))
    numbers = [[1 + bit for bit in digits(number, places)] for number in (first, second)]
    symbols = [*numbers[0], 3, *numbers[1], *[0] * blank]
    answer = tasks.create(name, leading=leading).execute({"symbols": [symbols]}).outputs[NAMES[name]]
    assert answer[0].tolist() == expected(name, first, second, places, len(symbols), leading)


@pytest.mark.parametrize("name", NAMES)
def test_samples_of_several_lengths_are_answered_alike(name: str) -> None:
    batch = tasks.create(name, leading="blank").sample(size=[3, 4, 9, 600], batch_size=12)
    assert set(batch.sizes.tolist()) == {3, 4, 9, 600}
    for b, nodes in enumerate(batch.sizes.tolist()):
        places = (nodes - 1) // 2
        row = batch.inputs["symbols"][b].tolist()
        assert row[places] == 3 and set(row[:places] + row[places + 1 : 2 * places + 1]) <= {1, 2}
        assert not any(row[2 * places + 1 :])
        first, second = (sum((row[start + k] - 1) << k for k in range(places)) for start in (0, places + 1))
        answer = batch.outputs[NAMES[name]][b]
        assert answer[:nodes].tolist() == expected(name, first, second, places, nodes, "blank")
        assert (answer[nodes:] == -1).all()


def test_digits_are_fair_coins() -> None:
    symbols = tasks.create("binary_addition").sample(size=21, batch_size=500).inputs["symbols"].float()
    numbers = torch.cat([symbols[:, :10], symbols[:, 11:]], 1) - 1
    assert (numbers.mean(0) - 0.5).abs().max() < 5 * 0.5 / 500**0.5


@pytest.mark.parametrize("name", NAMES)
def test_worked_examples_of_the_docstrings(name: str) -> None:
    task = tasks.create(name)
    check_drawing(task, drawings(task)[0], skipped=("digits",))


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        (torch.tensor([[1, 3]]), "at least 3 nodes"),
        (torch.tensor([[1, 1, 3]]), r"'symbols'.*1 digits.*\[1, 1, 3\] in sample 0"),
        (torch.tensor([[1, 3, 1, 0], [1, 3, 1, 1]]), "'symbols'.*sample 1"),
        (torch.tensor([[0, 3, 1]]), "'symbols'.*sample 0"),
        (torch.tensor([[4, 3, 1]]), "'symbols'.*from 0 to 3"),
    ],
)
def test_wrong_inputs_are_refused_by_name(symbols: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.create("binary_addition").execute({"symbols": symbols})


def test_an_unknown_way_to_lead_is_refused() -> None:
    with pytest.raises(ValueError, match="'blanks'; did you mean blank"):
        tasks.create("binary_multiplication", leading="blanks")
