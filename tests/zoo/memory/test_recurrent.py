"""GRU and simple recurrent layers against their equations, unit by unit, and as they start."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from tests.zoo.memory.cells import GRU_SETTINGS, RNN_SETTINGS, make, tokens, used_state


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def rows_of(below: Any, past: Any, x: list[float], hidden: list[float]) -> tuple[list[float], list[float]]:
    """Every row of both maps, by sums over their weights."""

    def affine(layer: Any, values: list[float]) -> list[float]:
        weight, bias = layer.weight.tolist(), layer.bias.tolist()
        return [sum(w * v for w, v in zip(row, values, strict=True)) + b for row, b in zip(weight, bias, strict=True)]

    return affine(below, x), affine(past, hidden)


def gru_layer(below: list[float], past: list[float], hidden: list[float]) -> list[float]:
    units = len(hidden)
    new = []
    for i, h in enumerate(hidden):
        r = logistic(below[i] + past[i])
        z = logistic(below[units + i] + past[units + i])
        candidate = math.tanh(below[2 * units + i] + r * past[2 * units + i])
        new.append(z * h + (1 - z) * candidate)
    return new


def rnn_layer(activation: str, below: list[float], past: list[float]) -> list[float]:
    return [math.tanh(a + b) if activation == "tanh" else max(0.0, a + b) for a, b in zip(below, past, strict=True)]


@pytest.mark.parametrize("scan", ["loop", "scan"])
@pytest.mark.parametrize("name", [*GRU_SETTINGS, *RNN_SETTINGS])
def test_cell_follows_its_equations(name: str, scan: str) -> None:
    cell: Any = make(name)
    xs, state = tokens(length=4), used_state(cell)
    with torch.no_grad():
        ys, after = getattr(cell, scan)(xs, state)
    for index in range(len(xs)):
        hidden = state.hidden[index].tolist()
        for position in range(xs.shape[1]):
            x = xs[index, position].tolist()
            for depth, layers in enumerate(zip(cell.below, cell.past, strict=True)):
                below, past = rows_of(*layers, x, hidden[depth])
                if name in GRU_SETTINGS:
                    x = gru_layer(below, past, hidden[depth])
                else:
                    x = rnn_layer(cell.config.activation, below, past)
                hidden[depth] = x
            torch.testing.assert_close(ys[index, position], torch.tensor(x, dtype=torch.float64), rtol=0, atol=1e-10)
        torch.testing.assert_close(after.hidden[index], torch.tensor(hidden, dtype=torch.float64), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("name", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_size_is_that_of_torchs_layers_and_the_learned_start(name: str, gates: int) -> None:
    processor = zoo.create(name, hidden_size=16, input_size=5, layers=2, tokens="inputs")
    layers = gates * 16 * (5 + 16 + 2) + gates * 16 * (16 + 16 + 2)
    start = 2 * 16 * (2 if name == "lstm" else 1)
    assert sum(p.numel() for p in processor.parameters()) == layers + start


@pytest.mark.parametrize("update", [-100.0, 100.0])
def test_gru_keeps_or_replaces_its_hidden_as_the_update_gate_says(update: float) -> None:
    cell: Any = make("gru")
    with torch.no_grad():
        cell.below[0].bias[6:12] = update
    x, state = tokens()[:, 0], used_state(cell)
    after = cell(x, state)[1].hidden
    assert torch.equal(after, state.hidden) == (update > 0)
    assert after.isfinite().all()


@pytest.mark.parametrize("name", ["gru", "rnn"])
def test_cell_learns_to_recall_the_first_token(name: str) -> None:
    processor: Any = zoo.create(name, hidden_size=12, input_size=1, tokens="inputs").double()
    decoder = torch.nn.Linear(12, 1).double()
    optimizer = torch.optim.Adam([*processor.parameters(), *decoder.parameters()], lr=2e-2)
    bits = torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(4)
    xs = torch.zeros(8, 4, 1, dtype=torch.float64)
    xs[:, 0, 0] = 2 * bits - 1
    loss: Tensor = torch.tensor(1.0)
    for _ in range(80):
        ys, _ = processor.cell.scan(xs, processor.cell.initial(8, like=xs))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(decoder(ys[:, -1])[:, 0], bits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1


@pytest.mark.parametrize(("name", "options"), [("gru", {"layers": 0}), ("rnn", {"activation": "tan"})])
def test_a_wrong_option_is_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        zoo.create(name, **options)
