"""Copy and associative recall: where everything stands, and what is to be answered."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import tasks

BITS = torch.tensor([[0, 1, 1], [1, 0, 0], [1, 1, 0]])


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_copy_asks_for_the_vectors_after_the_delimiter(bits: int) -> None:
    task = tasks.create("copy", bits=bits)
    batch = task.sample(size=[1, 4, 6], batch_size=9)
    assert batch.hints == {}
    assert batch.lengths.tolist() == [2] * 9
    for b, n in enumerate(batch.sizes.tolist()):
        size = (n - 1) // 2
        assert batch.inputs["delimiter"][b].nonzero().flatten().tolist() == [size]
        assert not batch.inputs["bits"][b, size:].any()
        copied = batch.outputs["copied"][b]
        assert torch.equal(copied[size + 1 : n], batch.inputs["bits"][b, :size].to(torch.int8))
        assert (copied[: size + 1] == -1).all()
        assert (copied[n:] == -1).all()
    assert batch.outputs["copied"].dim() == (3 if bits > 1 else 2)


@pytest.mark.parametrize(("name", "size"), [("copy", 20), ("associative_recall", 6)])
def test_sampled_bits_are_fair_coins(name: str, size: int) -> None:
    task = tasks.create(name)
    bits = task.sample(size=size, batch_size=300).inputs["bits"]
    words = bits[:, :size] if name == "copy" else bits[:, [4 * k + i for k in range(size) for i in (1, 2, 3)]]
    # Five standard deviations of the mean of every (node, bit) over the batch, and of the mean of all.
    assert (words.float().mean(0) - 0.5).abs().max() < 5 * 0.5 / 300**0.5
    assert words.float().mean().item() == pytest.approx(0.5, abs=5 * 0.5 / words.numel() ** 0.5)


def split(bits: Tensor, size: int, vectors: int) -> tuple[list[Tensor], Tensor]:
    """Items and query of one sample."""
    words = [bits[(vectors + 1) * k + 1 : (vectors + 1) * (k + 1)] for k in range(size + 1)]
    return words[:-1], words[-1]


@pytest.mark.parametrize(("vectors", "bits"), [(3, 6), (1, 2), (2, 1)])
def test_associative_recall_asks_for_the_item_after_the_query(vectors: int, bits: int) -> None:
    task = tasks.create("associative_recall", vectors=vectors, bits=bits)
    batch = task.sample(size=[2, 3, 6], batch_size=24)
    stride = vectors + 1
    for b, n in enumerate(batch.sizes.tolist()):
        size = n // stride - 2
        assert n == stride * (size + 2)
        items, query = split(batch.inputs["bits"][b], size, vectors)
        assert batch.inputs["item_delimiter"][b].nonzero().flatten().tolist() == [stride * k for k in range(size)]
        ends = [stride * size, stride * (size + 1)]
        assert batch.inputs["query_delimiter"][b].nonzero().flatten().tolist() == ends
        place = next(k for k, item in enumerate(items) if torch.equal(item, query))
        assert place < size - 1
        recalled = batch.outputs["recalled"][b]
        assert torch.equal(recalled[n - vectors : n], items[place + 1].to(torch.int8))
        assert (recalled[: n - vectors] == -1).all()
        assert (recalled[n:] == -1).all()


def test_every_item_but_the_last_is_asked_for_equally_often() -> None:
    batch = tasks.create("associative_recall").sample(size=5, batch_size=2000)
    counts = [0] * 5
    for b in range(2000):
        items, query = split(batch.inputs["bits"][b], 5, 3)
        counts[next(k for k, item in enumerate(items) if torch.equal(item, query))] += 1
    assert counts[4] == 0
    # 500 expected each: five standard deviations.
    assert max(abs(count - 500) for count in counts[:4]) < 5 * (2000 * 3 / 16) ** 0.5


def test_worked_examples_of_the_docstrings() -> None:
    bits = torch.zeros(1, 5, 3, dtype=torch.bool)
    bits[0, :2] = BITS[:2]
    copied = tasks.create("copy", bits=3).execute({"bits": bits}).outputs["copied"]
    assert copied[0].tolist() == [[-1] * 3, [-1] * 3, [-1] * 3, [0, 1, 1], [1, 0, 0]]
    bits = torch.zeros(1, 10, 3, dtype=torch.bool)
    bits[0, [1, 3, 5, 7]] = BITS[[0, 1, 2, 1]].bool()
    batch = tasks.create("associative_recall", vectors=1, bits=3).execute({"bits": bits})
    assert batch.inputs["item_delimiter"][0].nonzero().flatten().tolist() == [0, 2, 4]
    assert batch.inputs["query_delimiter"][0].nonzero().flatten().tolist() == [6, 8]
    assert batch.outputs["recalled"][0].tolist() == [[-1] * 3] * 9 + [[1, 1, 0]]


def test_the_first_occurrence_of_the_query_counts() -> None:
    bits = torch.zeros(1, 12, 3)
    bits[0, [1, 3, 5, 7, 9]] = BITS[[0, 1, 0, 2, 0]].float()
    recalled = tasks.create("associative_recall", vectors=1, bits=3).execute({"bits": bits}).outputs["recalled"]
    assert recalled[0, -1].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("copy", {"bits": torch.zeros(1, 4, 8)}, "3, 5, 7.*got \\[4\\]"),
        ("copy", {"bits": torch.zeros(1, 1, 8)}, "3, 5, 7.*got \\[1\\]"),
        ("copy", {"bits": torch.zeros(0, 3, 8)}, "3, 5, 7"),
        ("copy", {"bits": torch.zeros(1, 3, 7)}, "'bits'.*nodes, 8"),
        ("copy", {"bits": torch.ones(1, 3, 8)}, "'bits'.*zeros from the delimiter on"),
        ("copy", {"bits": torch.full((1, 3, 8), 0.5)}, "'bits'.*zeros and ones"),
        ("copy", {"bits": torch.zeros(1, 3, 8), "delimiter": torch.zeros(1, 3)}, "'delimiter'"),
        ("copy", {"bits": torch.zeros(1, 3, 8), "pos": torch.zeros(1, 2)}, "'pos'.*shape"),
        ("associative_recall", {"bits": torch.zeros(1, 12, 6)}, "16, 20, 24.*got \\[12\\]"),
        ("associative_recall", {"bits": torch.ones(1, 16, 6)}, "'bits'.*delimiters and blanks"),
    ],
)
def test_wrong_inputs_are_refused_by_name(name: str, inputs: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.create(name).execute(inputs)


def test_a_query_that_is_no_item_is_refused() -> None:
    bits = torch.zeros(1, 8, 3)
    bits[0, [1, 3, 5]] = BITS.float()
    with pytest.raises(ValueError, match=r"'bits'.*query equal to one of the items before the last.*sample 0"):
        tasks.create("associative_recall", vectors=1, bits=3).execute({"bits": bits})


@pytest.mark.parametrize(
    ("name", "option"), [("copy", "bits"), ("associative_recall", "bits"), ("associative_recall", "vectors")]
)
def test_empty_words_are_refused(name: str, option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be at least 1"):
        tasks.create(name, **{option: 0})
