"""Matrix transpose against lists of Python, and what it refuses."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

import tasks
import zoo


def test_answers_are_those_of_lists() -> None:
    batch = tasks.create("matrix_transpose").sample(size=[1, 2, 5, 8], batch_size=40)
    assert set(batch.sizes.tolist()) == {1, 2, 5, 8}
    for b, n in enumerate(batch.sizes.tolist()):
        given, answer = batch.inputs["entries"][b], batch.outputs["transposed"][b]
        rows = given[:n, :n].tolist()
        assert all(1 <= symbol <= 9 for row in rows for symbol in row)
        assert answer[:n, :n].tolist() == [list(column) for column in zip(*rows, strict=True)]
        outside = torch.ones(8, 8, dtype=torch.bool)
        outside[:n, :n] = False
        assert not given[outside].any() and not answer[outside].any()


def test_worked_example_of_the_docstring() -> None:
    task = tasks.create("matrix_transpose")
    lines = dict(re.findall(r"^ +(entries|transposed) +([\d ]+)$", type(task).__doc__ or "", re.MULTILINE))
    rows = {name: [[int(x) for x in row.split()] for row in line.split("   ")] for name, line in lines.items()}
    assert task.execute({"entries": [rows["entries"]]}).outputs["transposed"].tolist() == [rows["transposed"]]


def test_one_hot_symbols_are_read_as_classes() -> None:
    task = tasks.create("matrix_transpose", symbols=4)
    batch = task.sample(size=[2, 3], batch_size=6)
    hot = torch.nn.functional.one_hot(batch.inputs["entries"].long(), 5).float()
    again = task.execute({"entries": hot}, sizes=batch.sizes)
    assert torch.equal(again.outputs["transposed"], batch.outputs["transposed"])


def test_symbols_are_drawn_uniformly() -> None:
    entries = tasks.create("matrix_transpose", symbols=5).sample(size=4, batch_size=625).inputs["entries"]
    counts = torch.bincount(entries.flatten().long(), minlength=6)
    assert counts[0] == 0 and len(counts) == 6
    # 2,000 expected each: five standard deviations.
    assert (counts[1:] - 2000).abs().max() < 5 * (10000 * 0.16) ** 0.5


def test_a_model_can_be_made_for_what_has_no_node_probe() -> None:
    """Exchanging sender and receiver of every edge is all that the task asks for."""
    torch.manual_seed(0)
    task = tasks.create("matrix_transpose", symbols=2)
    model = zoo.Reasoner(task.spec, zoo.create("matrix_shuffle_exchange", hidden_size=16, blocks=1))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(60):
        batch = task.sample(size=4, batch_size=16, index=16 * step)
        logits = model(batch).outputs["transposed"]
        loss = torch.nn.functional.cross_entropy(logits.movedim(-1, 1), batch.outputs["transposed"].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    test = task.sample(seed=1, size=4, batch_size=32)
    assert (model(test).outputs["transposed"].argmax(-1) == test.outputs["transposed"]).float().mean() > 0.95


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (torch.tensor([[[1, 2], [0, 3]]]), "'entries'.*first 2 nodes.*sample 0"),
        (torch.ones(1, 2, 3), "'entries'.*square.*2 rows and 3 columns"),
        (torch.tensor([[[10]]]), "'entries'.*from 0 to 9"),
        (torch.zeros(1, 0, 0), "at least 1 nodes"),
    ],
)
def test_wrong_inputs_are_refused_by_name(entries: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.create("matrix_transpose").execute({"entries": entries})


@pytest.mark.parametrize("symbols", [0, 127])
def test_alphabets_that_do_not_fit_are_refused(symbols: int) -> None:
    with pytest.raises(ValueError, match="symbols must be from 1 to 126"):
        tasks.create("matrix_transpose", symbols=symbols)
