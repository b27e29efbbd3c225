"""Stack-RNN against its equations entry by entry, its stacks against lists, and what it learns."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.memory.stack_rnn import EMPTY, StackRNNCell, StackRNNConfig, act

SIZES: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "stacks": 2, "slots": 5}


def make(**options: Any) -> StackRNNCell:
    cell = StackRNNCell(StackRNNConfig(**SIZES | options)).double()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return cell


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def times(layer: Any, vector: list[float]) -> list[float]:
    assert layer.bias is None
    return [sum(w * v for w, v in zip(row, vector, strict=True)) for row in layer.weight.tolist()]


def slow_step(
    cell: StackRNNCell, x: list[float], hidden: list[float], stacks: list[list[float]], *, rounded: bool
) -> tuple[list[float], list[list[float]]]:
    """The paper's equations for one sample."""
    config = cell.config
    seen = times(cell.from_input, x)
    tops = [value for stack in stacks for value in stack[: config.read_depth]]
    seen = [a + b for a, b in zip(seen, times(cell.from_stacks, tops), strict=True)]
    if config.recurrent:
        seen = [a + b for a, b in zip(seen, times(cell.from_hidden, hidden), strict=True)]
    new = [logistic(value) for value in seen]
    count = 3 if config.no_op else 2
    scores, tops = times(cell.to_actions, new), times(cell.to_top, new)
    after = []
    for number, stack in enumerate(stacks):
        powers = [math.exp(score) for score in scores[number * count : (number + 1) * count]]
        a = [power / sum(powers) for power in powers]
        if rounded:
            a = [float(i == a.index(max(a))) for i in range(count)]
        entries = []
        for i in range(config.slots):
            above = logistic(tops[number]) if i == 0 else stack[i - 1]
            below = stack[i + 1] if i + 1 < config.slots else -1.0
            entries.append(a[0] * above + a[1] * below + (a[2] * stack[i] if count == 3 else 0.0))
        after.append(entries)
    return new, after


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options",
    [{}, {"no_op": True, "rounding": True}, {"recurrent": False, "read_depth": 1}, {"read_depth": 5}],
    ids=str,
)
def test_cell_follows_the_papers_equations(options: dict[str, Any], training: bool) -> None:
    cell = make(**options).train(training)
    xs = torch.randn(3, 6, 3, dtype=torch.float64) * 2
    with torch.no_grad():
        ys, after = cell.scan(xs, cell.initial(3, like=xs))
    for index in range(3):
        hidden, stacks = [0.0] * 4, [[-1.0] * 5 for _ in range(2)]
        for position in range(6):
            rounded = bool(options.get("rounding")) and not training
            hidden, stacks = slow_step(cell, xs[index, position].tolist(), hidden, stacks, rounded=rounded)
            exact = torch.tensor(hidden, dtype=torch.float64)
            torch.testing.assert_close(ys[index, position], exact, rtol=0, atol=1e-10)
        torch.testing.assert_close(after.hidden[index], torch.tensor(hidden, dtype=torch.float64), rtol=0, atol=1e-10)
        torch.testing.assert_close(after.stacks[index], torch.tensor(stacks, dtype=torch.float64), rtol=0, atol=1e-10)


def test_whole_actions_are_those_of_a_list() -> None:
    stacks, model = torch.full((1, 1, 6), EMPTY), [EMPTY] * 6
    for number in range(40):
        action = int(torch.randint(3, ()))
        top = torch.rand(1, 1)
        stacks = act(stacks, torch.eye(3)[action][None, None], top)
        if action == 0:
            model = [top.item(), *model[:-1]]
        elif action == 1:
            model = [*model[1:], EMPTY]
        assert stacks[0, 0].tolist() == model, number


def test_entries_stay_between_empty_and_one_however_large_the_tokens() -> None:
    cell = make(no_op=True)
    with torch.no_grad():
        for xs in (
            torch.randn(4, 2, 50, 3, dtype=torch.float64) * torch.tensor([0.0, 1.0, 1e3, 1e30])[:, None, None, None]
        ):
            ys, state = cell.scan(xs, cell.initial(2, like=xs))
            assert ys.isfinite().all()
            assert ((state.stacks >= EMPTY) & (state.stacks <= 1)).all()


def test_a_longer_stack_changes_nothing_that_a_short_one_can_hold() -> None:
    short, long = make(slots=8), make(slots=20)
    long.load_state_dict(short.state_dict())
    xs = torch.randn(2, 5, 3, dtype=torch.float64)
    ys, one = short.scan(xs, short.initial(2, like=xs))
    again, other = long.scan(xs, long.initial(2, like=xs))
    torch.testing.assert_close(again, ys, rtol=0, atol=1e-12)
    torch.testing.assert_close(other.stacks[:, :, :3], one.stacks[:, :, :3], rtol=0, atol=1e-12)


def test_size_is_that_of_the_papers_maps() -> None:
    cell = StackRNNCell(StackRNNConfig(input_size=4, hidden_size=40, no_op=True))
    expected = 40 * (4 + 40 + 10 * 2) + 10 * 3 * 40 + 10 * 40
    assert sum(p.numel() for p in cell.parameters()) == expected


def test_it_learns_to_count_through_its_stack_alone() -> None:
    """`aaabbb`: the end is known only to who counted; nothing else recurs here."""
    torch.manual_seed(0)
    processor: Any = zoo.create(
        "stack_rnn", hidden_size=10, input_size=2, stacks=1, slots=10, recurrent=False, tokens="inputs"
    )
    decoder = torch.nn.Linear(10, 1)
    counts, length = torch.tensor([1, 2, 3, 4]), 8
    place = torch.arange(length)
    letters = (place >= counts[:, None]).long()
    mask = place < 2 * counts[:, None]
    last = (place == 2 * counts[:, None] - 1).float()
    xs = torch.nn.functional.one_hot(letters, 2).float()
    optimizer = torch.optim.Adam([*processor.parameters(), *decoder.parameters()], lr=5e-2)
    loss: Tensor = torch.tensor(1.0)
    for _ in range(200):
        ys, _ = processor.cell.scan(xs, processor.cell.initial(4, like=xs), mask)
        each = torch.nn.functional.binary_cross_entropy_with_logits(decoder(ys)[..., 0], last, reduction="none")
        loss = torch.where(mask, each, 0.0).sum() / mask.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.05:
            break
    assert loss < 0.1


@pytest.mark.parametrize("options", [{"stacks": 0}, {"read_depth": 0}, {"read_depth": 9, "slots": 8}], ids=str)
def test_a_wrong_option_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        zoo.create("stack_rnn", **options)
