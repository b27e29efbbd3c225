"""Baby-NTM and Suzgun's Stack-RNN against their equations row by row, their moves, and what they learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import zoo
from tests.zoo.memory.transcriptions import Linear, lstm_step, sigmoid, softmax

NAMES = ["baby_ntm", "suzgun_stack_rnn"]
SIZES: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "slots": 5, "word": 2}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("baby_ntm", {}),
    ("baby_ntm", {"layers": 2}),
    ("suzgun_stack_rnn", {}),
    ("suzgun_stack_rnn", {"layers": 2, "controller": "lstm"}),
]


def make(name: str, **options: Any) -> Any:
    cell: Any = zoo.create(name, **SIZES | options).cell
    for parameter in cell.double().parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return cell


def linear(layer: Any) -> Linear:
    return Linear(layer.weight.detach().numpy(), layer.bias.detach().numpy())


def slow_memory(name: str, memory: Any, a: list[float], new: Any) -> Any:
    """The memory after one step, row by row."""
    last = len(memory) - 1
    after = np.zeros_like(memory)
    for i in range(len(memory)):
        below = memory[i + 1] if i < last else 0 * new
        if name == "suzgun_stack_rnn":
            after[i] = a[0] * (new if i == 0 else memory[i - 1]) + a[1] * below
        else:
            around_left, around_right = memory[(i + 1) % len(memory)], memory[(i - 1) % len(memory)]
            above = memory[i - 1] if i else 0 * new
            after[i] = a[0] * around_left + a[1] * around_right + a[2] * memory[i] + a[3] * above + a[4] * below
            after[i] += new if i == 0 else 0.0
    return after


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_cell_follows_the_equations(name: str, options: dict[str, Any]) -> None:
    cell = make(name, **options)
    xs = torch.randn(2, 7, 3, dtype=torch.float64)
    with torch.no_grad():
        ys, after = cell.scan(xs, cell.initial(2, like=xs))
    read, act, top = linear(cell.from_memory), linear(cell.to_actions), linear(cell.to_top)
    controller = cell.controller
    pairs = [tuple(map(linear, pair)) for pair in zip(controller.below, controller.past, strict=True)]
    joined = [Linear(np.concatenate([low.weight, back.weight], 1), low.bias + back.bias) for low, back in pairs]
    for index in range(2):
        memory = np.zeros((5, 2))
        state = {"hidden": np.zeros((len(pairs), 4)), "cell": np.zeros((len(pairs), 4))}
        for position in range(7):
            x = xs[index, position].numpy()
            seen = state["hidden"] + read(memory[0])
            if options.get("controller") == "lstm":
                x, state = lstm_step(joined, x, {"hidden": seen, "cell": state["cell"]})
            else:
                hidden = []
                for (low, back), own in zip(pairs, seen, strict=True):
                    x = np.tanh(low(x) + back(own))
                    hidden.append(x)
                state = {"hidden": np.array(hidden)}
            np.testing.assert_allclose(ys[index, position].numpy(), x, rtol=0, atol=1e-10)
            memory = slow_memory(name, memory, softmax(list(act(x))), sigmoid(top(x)))
        np.testing.assert_allclose(after.memory[index].numpy(), memory, rtol=0, atol=1e-10)
        for field, values in state.items():
            np.testing.assert_allclose(getattr(after.controller, field)[index].numpy(), values, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "action", "expected"),
    [
        ("baby_ntm", "rotate-left", "bcdea"),
        ("baby_ntm", "rotate-right", "eabcd"),
        ("baby_ntm", "no-op", "abcde"),
        ("baby_ntm", "pop-right", "0abcd"),
        ("baby_ntm", "pop-left", "bcde0"),
        ("suzgun_stack_rnn", "push", "nabcd"),
        ("suzgun_stack_rnn", "pop", "bcde0"),
    ],
)
def test_each_move_is_the_papers(name: str, action: str, expected: str) -> None:
    cell = make(name)
    rows = {letter: torch.randn(2, dtype=torch.float64) for letter in "abcden"} | {"0": torch.zeros(2).double()}
    memory = torch.stack([rows[letter] for letter in "abcde"])[None]
    weights = torch.tensor([[float(other == action) for other in cell.actions]], dtype=torch.float64)
    after = cell.move(memory, weights, rows["n"][None])[0]
    if name == "baby_ntm":  # which adds to the top, whatever it does
        after[0] -= rows["n"]
    torch.testing.assert_close(after, torch.stack([rows[letter] for letter in expected]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [0.0, 1e3, 1e30])
def test_large_tokens_and_many_of_them_keep_everything_finite(name: str, size: float) -> None:
    cell = make(name).float()
    xs = torch.randn(2, 200, 3) * size
    ys, state = cell.scan(xs, cell.initial(2, like=xs))
    (ys.sum() + state.memory.sum()).backward()
    assert ys.isfinite().all() and state.memory.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in cell.parameters())
    if name == "suzgun_stack_rnn":
        assert ((state.memory >= 0) & (state.memory <= 1)).all()


@pytest.mark.parametrize("name", NAMES)
def test_size_is_that_of_the_authors_modules(name: str) -> None:
    """Of their code on Dyck-2, whose four letters come in and go out: less W_y, which is the decoder here."""
    processor = zoo.create(name, hidden_size=8, input_size=4, tokens="inputs")
    actions = 5 if name == "baby_ntm" else 2
    expected = 8 * (4 + 8 + 2) + 8 * (5 + 1) + actions * (8 + 1) + 5 * (8 + 1)
    assert sum(p.numel() for p in processor.parameters()) == expected


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_which_bracket_closes_next(name: str) -> None:
    """Dyck-2 as a prediction of sets: what may close now is what was opened last, to any of eight words."""
    torch.manual_seed(0)
    words = ["([])", "[()]", "(())", "[[]]", "()[]", "[]()", "(([[", "[([("]
    xs = torch.nn.functional.one_hot(torch.tensor([["([)]".index(letter) for letter in word] for word in words]), 4)
    target = torch.zeros(len(words), 4, 2)
    for number, word in enumerate(words):
        opened: list[int] = []
        for place, letter in enumerate(word):
            if letter in "([":
                opened.append("([".index(letter))
            else:
                opened.pop()
            if opened:
                target[number, place, opened[-1]] = 1
    cell: Any = zoo.create(name, hidden_size=8, input_size=4, slots=6, tokens="inputs").cell
    decoder = torch.nn.Linear(8, 2)
    optimizer = torch.optim.Adam([*cell.parameters(), *decoder.parameters()], lr=3e-2)
    loss: Tensor = torch.tensor(1.0)
    for _ in range(250):
        ys, _ = cell.scan(xs.float(), cell.initial(len(words), like=target))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(decoder(ys), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.05:
            break
    assert loss < 0.1


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="slots must be at least 2"):
        zoo.create("baby_ntm", slots=1)
    with pytest.raises(ValueError, match="did you mean rnn"):
        zoo.create("suzgun_stack_rnn", controller="rn")
