"""Repeat copy against plain loops, in both of its published forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import tasks

BITS = torch.tensor([[0, 1, 1], [1, 0, 0]])
FLAGS = {"graves": 0, "google": 1}


def told(form: str, repeats: int) -> float:
    """How the papers write the number: over 1 to 10."""
    return repeats / 10 if form == "google" else (repeats - 5.5) / 2.8722813


@pytest.mark.parametrize("form", ["graves", "google"])
@pytest.mark.parametrize("bits", [1, 4])
def test_vectors_are_repeated_as_often_as_told_and_the_end_is_marked(form: str, bits: int) -> None:
    task = tasks.create("repeat_copy", form=form, bits=bits, min_repeats=2, max_repeats=4)
    batch = task.sample(size=[1, 2, 5], batch_size=40)
    flags, seen = FLAGS[form], set()
    for b, n in enumerate(batch.sizes.tolist()):
        number = batch.inputs["repeats"][b]
        asked = int(number.nonzero())
        size = asked - flags
        repeats = (n - asked - 2) // size
        seen.add((size, repeats))
        assert number[asked].item() == pytest.approx(told(form, repeats), abs=1e-5)
        words = batch.inputs["bits"][b].to(torch.int8).reshape(-1, bits)
        assert not words[:flags].any() and not words[asked:].any()
        expected = [words[flags:asked]] * repeats + [torch.zeros(1, bits, dtype=torch.int8)]
        repeated = batch.outputs["repeated"][b].reshape(-1, bits)
        assert torch.equal(repeated[asked + 1 : n], torch.cat(expected))
        assert (repeated[: asked + 1] == -1).all() and (repeated[n:] == -1).all()
        end = batch.outputs["end"][b]
        assert end[asked + 1 : n].tolist() == [0] * (size * repeats) + [1]
        assert (end[: asked + 1] == -1).all() and (end[n:] == -1).all()
        if flags:
            assert batch.inputs["start"][b].nonzero().flatten().tolist() == [0]
    assert seen == {(size, repeats) for size in (1, 2, 5) for repeats in (2, 3, 4)}


def test_worked_examples_of_the_docstring() -> None:
    bits, number = torch.zeros(1, 9, 3), torch.zeros(1, 9)
    bits[0, 1:3], number[0, 3] = BITS.float(), 0.2
    google = tasks.create("repeat_copy", form="google", bits=3).execute({"bits": bits, "repeats": number})
    answer = [[0, 1, 1], [1, 0, 0], [0, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert google.inputs["start"].tolist() == [[True] + [False] * 8]
    assert google.outputs["repeated"][0].tolist() == [[-1] * 3] * 4 + answer
    assert google.outputs["end"][0].tolist() == [-1] * 4 + [0, 0, 0, 0, 1]
    bits, number = torch.zeros(1, 8, 3), torch.zeros(1, 8)
    bits[0, :2], number[0, 2] = BITS.float(), told("graves", 2)
    assert number[0, 2].item() == pytest.approx(-1.22, abs=5e-3)
    graves = tasks.create("repeat_copy", bits=3).execute({"bits": bits, "repeats": number})
    assert graves.outputs["repeated"][0].tolist() == [[-1] * 3] * 3 + answer
    assert graves.outputs["end"][0].tolist() == [-1] * 3 + [0, 0, 0, 0, 1]


def test_numbers_of_repeats_are_drawn_uniformly_and_told_with_mean_0_and_variance_1() -> None:
    batch = tasks.create("repeat_copy").sample(size=1, batch_size=4000)
    number = batch.inputs["repeats"].sum(1)
    counts = torch.unique(number, return_counts=True)[1].float()
    # 400 expected each: five standard deviations. The mean of 4,000 draws has a standard deviation of 1/63.
    assert len(counts) == 10
    assert (counts - 400).abs().max() < 5 * (4000 * 0.09) ** 0.5
    assert number.mean().abs() < 5 / 63
    assert number.var().item() == pytest.approx(1, abs=0.1)


def test_more_repeats_than_in_training_are_told_in_the_same_units() -> None:
    number = tasks.create("repeat_copy", min_repeats=20, max_repeats=20).sample(size=3, batch_size=2).inputs["repeats"]
    assert number.sum(1).tolist() == pytest.approx([told("graves", 20)] * 2)


def test_a_number_told_as_zero_is_understood() -> None:
    task = tasks.create("repeat_copy", norm=3, max_repeats=3)
    batch = task.sample(size=[1, 2, 3], batch_size=60)
    silent = ~batch.inputs["repeats"].any(1)
    assert silent.any()
    again = task.execute({name: batch.inputs[name] for name in ("bits", "repeats")}, sizes=batch.sizes)
    assert torch.equal(again.outputs["repeated"], batch.outputs["repeated"])


def filled(nodes: int, **places: float) -> Tensor:
    row = torch.zeros(1, nodes)
    for name, value in places.items():
        row[0, int(name[1:])] = value
    return row


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            {"bits": torch.zeros(1, 6, 8), "repeats": filled(6, n1=0.2, n2=0.2)},
            r"'repeats'.*one number.*nodes \[1, 2\]",
        ),
        ({"bits": torch.zeros(1, 6, 8), "repeats": filled(6, n2=0.25)}, "'repeats'.*units of norm=10"),
        ({"bits": torch.zeros(1, 7, 8), "repeats": filled(7, n2=0.2)}, r"'repeats'.*T \+ TR \+ 3 nodes"),
        ({"bits": torch.zeros(1, 5, 8), "repeats": filled(5)}, "'repeats'.*one number"),
        ({"bits": torch.ones(1, 6, 8), "repeats": filled(6, n2=0.2)}, "'bits'.*zeros on flag"),
        (
            {"bits": torch.zeros(1, 6, 8), "repeats": filled(6, n2=0.2), "start": torch.zeros(1, 6)},
            "'start'.*first node",
        ),
        ({"bits": torch.zeros(1, 6, 8), "repeats": filled(6, n2=0.2), "pos": torch.zeros(1, 2)}, "'pos'.*shape"),
        ({"bits": torch.zeros(0, 6, 8), "repeats": torch.zeros(0, 6)}, "at least 1"),
    ],
)
def test_wrong_inputs_are_refused_by_name(inputs: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.create("repeat_copy", form="google").execute(inputs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 0}, "bits must be at least 1"),
        ({"form": "gogle"}, "did you mean google"),
        ({"min_repeats": 0}, "min_repeats must be at least 1"),
        ({"min_repeats": 11}, "at most max_repeats, got 11 and 10"),
        ({"norm": 1}, "norm must be at least 2"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, int | str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.create("repeat_copy", **options)
