"""Transduction against lists of Python, its layout, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import tasks


def flip(symbols: list[int]) -> list[int]:
    """Pairs the other way round, as in the paper, and what is left over."""
    even = len(symbols) // 2 * 2
    return [symbol for i in range(0, even, 2) for symbol in (symbols[i + 1], symbols[i])] + symbols[even:]


ORACLES: dict[str, Callable[[list[int]], list[int]]] = {
    "copy": list,
    "reverse": lambda symbols: symbols[::-1],
    "bigram_flip": flip,
}


@pytest.mark.parametrize("kind", ORACLES)
@settings(max_examples=30, deadline=None)
@given(symbols=st.lists(st.integers(1, 5), min_size=1, max_size=9))
def test_answers_are_those_of_lists(kind: str, symbols: list[int]) -> None:
    n = len(symbols)
    source = [6, *symbols, 7, *[0] * n]
    batch = tasks.create("transduction", kind=kind, symbols=5).execute({"source": torch.tensor(source)[:, None, None]})
    generated = batch.outputs["generated"][:, 0, 0].tolist()
    assert generated == [-1] * (n + 1) + ORACLES[kind](symbols) + [0]
    assert batch.hints["previous"][:, 0, 0].tolist() == [-1, *generated]
    assert batch.lengths.tolist() == [2 * n + 3]


@pytest.mark.parametrize("kind", ORACLES)
def test_samples_are_laid_out_as_promised(kind: str) -> None:
    batch = tasks.create("transduction", kind=kind).sample(size=[1, 4, 9], batch_size=30)
    assert batch.sizes.tolist() == [1] * 30
    seen = set()
    for b, steps in enumerate(batch.steps.tolist()):
        n = steps // 2 - 1
        seen.add(n)
        source = batch.inputs["source"][:steps, b, 0].tolist()
        symbols = source[1 : n + 1]
        assert source == [129, *symbols, 130, *[0] * n]
        assert all(1 <= symbol <= 128 for symbol in symbols)
        assert batch.outputs["generated"][n + 1 : steps, b, 0].tolist() == [*ORACLES[kind](symbols), 0]
        assert not batch.inputs["source"][steps:, b].any()
    assert seen == {1, 4, 9}


def test_worked_example_of_the_docstring() -> None:
    task = tasks.create("transduction", kind="reverse", symbols=4)
    batch = task.execute({"source": torch.tensor([5, 3, 1, 2, 6, 0, 0, 0])[:, None, None]})
    assert batch.outputs["generated"].flatten().tolist() == [-1, -1, -1, -1, 2, 1, 3, 0]
    assert batch.hints["previous"].flatten().tolist() == [-1, -1, -1, -1, -1, 2, 1, 3, 0]


def test_symbols_are_drawn_uniformly() -> None:
    source = tasks.create("transduction", symbols=5).sample(size=10, batch_size=1000).inputs["source"]
    counts = torch.bincount(source.flatten().long(), minlength=8)
    assert counts[[6, 7]].tolist() == [1000, 1000]
    # 2,000 expected each: five standard deviations.
    assert (counts[1:6] - 2000).abs().max() < 5 * (10000 * 0.16) ** 0.5


@pytest.mark.parametrize("symbols", [128, 126, 40])
def test_large_alphabets_fit(symbols: int) -> None:
    batch = tasks.create("transduction", symbols=symbols).sample(size=64, batch_size=64)
    assert int(batch.outputs["generated"].max()) == symbols
    assert int(batch.inputs["source"].max()) == symbols + 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([5, 3, 6], "4 steps.*got 3"),
        ([5, 6, 0, 0], "'source'.*the start 5"),
        ([3, 3, 6, 0], "'source'.*the start 5"),
        ([5, 0, 6, 0], "'source'.*another order"),
        ([5, 3, 6, 1], "'source'.*then 0"),
        ([5, 3, 6, 6], "'source'.*then 0"),
        ([5, 5, 6, 0], "'source'.*another order"),
        ([5, 3, 3, 0], "'source'.*another order"),
        ([5, 3, 6, 7], "'source'.*from 0 to 6"),
    ],
)
def test_wrong_inputs_are_refused_by_name(source: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.create("transduction", symbols=4).execute({"source": torch.tensor(source)[:, None, None]})


def test_more_nodes_than_one_and_unknown_kinds_are_refused() -> None:
    task = tasks.create("transduction", symbols=4)
    source: Tensor = torch.tensor([5, 3, 6, 0])[:, None, None]
    with pytest.raises(ValueError, match=r"'source'.*batch, 1"):
        task.execute({"source": source.expand(-1, -1, 2)})
    with pytest.raises(ValueError, match="sizes are 1"):
        task.execute({"source": source}, sizes=[0])
    with pytest.raises(ValueError, match="'reversal'; did you mean reverse"):
        tasks.create("transduction", kind="reversal")
    with pytest.raises(ValueError, match="symbols must be from 1"):
        tasks.create("transduction", symbols=0)
