"""The ADNC against a slow transcription, what reading both ways means, and its bypass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from tests.zoo.memory.dnc_transcription import Options, access, parse
from tests.zoo.memory.transcriptions import Array, Linear, Model, Sizes, sigmoid
from zoo.memory import ADNCCell, ADNCConfig
from zoo.memory.adnc import LAYER_NORM_EPSILON, ADNCState, NormedLSTM
from zoo.memory.dnc import NORM_EPSILON, USAGE_EPSILON

MASK = torch.tensor([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [1, 1, 1, 1, 1]], dtype=torch.bool)


def make(**options: Any) -> ADNCCell:
    sizes = {"input_size": 4, "hidden_size": 6, "controller_size": 5, "slots": 7, "word": 3, "read_heads": 2}
    cell = ADNCCell(ADNCConfig(**sizes | options)).double()
    # Whatever the initial weights took of the stream: near ties of usage would be ordered by rounding.
    torch.manual_seed(1)
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return cell


def tokens(batch: int = 3, length: int = 5) -> Tensor:
    return torch.randn(batch, length, 4, dtype=torch.float64)


def linear(module: Any) -> Linear:
    return Linear(module.weight.detach().numpy(), module.bias.detach().numpy())


def layer_norm(x: Array, norm: Any) -> Array:
    """Mean 0 and variance 1 over the channels, then scale and bias."""
    mean = sum(x) / len(x)
    variance = sum((x - mean) ** 2) / len(x)
    return (x - mean) / np.sqrt(
        variance + LAYER_NORM_EPSILON
    ) * norm.weight.detach().numpy() + norm.bias.detach().numpy()


def lstm_step(module: NormedLSTM, x: Array, hidden: Array, cells: Array) -> tuple[Array, Array, Array]:
    """One token through layer-normed LSTM layers."""
    hiddens, news = [], []
    for depth, layer in enumerate(module.layers):
        weight: Any = layer.weight
        told = layer_norm(weight.detach().numpy() @ np.concatenate([x, hidden[depth]]), module.gate_norms[depth])
        forget, open_, out, candidate = told.reshape(4, -1)
        cell = sigmoid(forget) * cells[depth] + sigmoid(open_) * np.tanh(candidate)
        x = sigmoid(out) * np.tanh(layer_norm(cell, module.cell_norms[depth]))
        hiddens.append(x)
        news.append(cell)
    return x, np.array(hiddens), np.array(news)


def transcribed(cell: ADNCCell, xs: Array) -> tuple[Array, dict[str, Array]]:
    """A whole sequence from the initial state: its outputs and last state."""
    config = cell.config
    reads, slots, layers = config.read_heads, config.slots, config.controller_layers
    interface, output = linear(cell.access.interface), linear(cell.output)
    sizes = Sizes(reads, config.word)
    model = Model([], interface, output, sizes, True, np.inf, NORM_EPSILON, USAGE_EPSILON)
    zeros = np.zeros((layers, config.controller_size))
    future: list[Array] = [np.zeros(0)] * len(xs)
    if cell.backwards is not None:
        hidden, cells = zeros, zeros
        for position in reversed(range(len(xs))):
            future[position], hidden, cells = lstm_step(cell.backwards, xs[position], hidden, cells)
    state = {
        "memory": np.zeros((slots, config.word)),
        "usage": np.zeros(slots),
        "precedence": np.zeros((1, slots)),
        "write_weightings": np.zeros((1, slots)),
        "read_weightings": np.zeros((reads, slots)),
        "reads": np.zeros((reads, config.word)),
    }
    controller: Any = cell.access.controller
    hidden, cells, ys, options = zeros, zeros, [], Options(links="none")
    for x, ahead in zip(xs, future, strict=True):
        out, hidden, cells = lstm_step(controller.forwards, np.concatenate([x, *state["reads"]]), hidden, cells)
        out = np.concatenate([out, ahead])
        state = access(model, options, parse(model, options, layer_norm(interface(out), cell.access.norm)), state)
        ys.append(output(np.concatenate([out, *state["reads"]])))
    return np.array(ys), state | {"hidden": hidden, "cell": cells}


@pytest.mark.parametrize("options", [{}, {"bidirectional": False}, {"controller_layers": 2}], ids=str)
def test_adnc_follows_the_papers_equations(options: dict[str, Any]) -> None:
    cell, xs = make(**options), tokens(2)
    with torch.no_grad():
        ys, state = cell.scan(xs, cell.initial(2, like=xs))
    fields = state.access._asdict() | state.access.controller._asdict()
    for index in range(2):
        expected, last = transcribed(cell, xs[index].numpy())
        np.testing.assert_allclose(ys[index].numpy(), expected, rtol=0, atol=1e-10)
        for name, value in last.items():
            np.testing.assert_allclose(fields[name][index].numpy(), value, rtol=0, atol=1e-10, err_msg=name)


def test_only_both_ways_does_the_future_matter() -> None:
    xs, other = tokens(), tokens()
    other[:, :3] = xs[:, :3]
    for bidirectional in (True, False):
        cell = make(bidirectional=bidirectional)
        one, two = (cell.scan(tokens, cell.initial(3, like=xs))[0][:, :3] for tokens in (xs, other))
        assert torch.allclose(one, two) != bidirectional


@pytest.mark.parametrize("bidirectional", [True, False])
def test_blanks_on_either_side_leave_the_gradient_moderate(bidirectional: bool) -> None:
    sizes: dict[str, Any] = {"input_size": 4, "hidden_size": 6, "slots": 7, "word": 3, "read_heads": 2}
    cell = ADNCCell(ADNCConfig(**sizes, controller_size=64, bidirectional=bidirectional))
    xs = torch.zeros(2, 33, 4)
    xs[:, 15:18] = torch.randn(2, 3, 4)
    cell.scan(xs, cell.initial(2, like=xs))[0].square().sum().backward()
    largest = max(float(parameter.grad.abs().amax()) for parameter in cell.parameters() if parameter.grad is not None)
    assert 0 < largest < 1e4


@pytest.mark.parametrize("bidirectional", [True, False])
def test_masked_tokens_change_nothing(bidirectional: bool) -> None:
    cell, xs = make(bidirectional=bidirectional), tokens()
    with torch.no_grad():
        ys, after = cell.scan(xs, cell.initial(3, like=xs), MASK)
        for sample in range(3):
            short = xs[sample : sample + 1, MASK[sample]]
            expected, last = cell.scan(short, cell.initial(1, like=xs))
            torch.testing.assert_close(ys[sample, MASK[sample]], expected[0], rtol=0, atol=1e-12)
            for found, leaf in zip(tree_leaves(after), tree_leaves(last), strict=True):
                torch.testing.assert_close(found[sample], leaf[0], rtol=0, atol=1e-12)
    assert not ys[~MASK].any()


def test_a_single_token_is_a_sequence_of_its_own() -> None:
    cell, xs = make(), tokens(2, 1)
    state = cell.initial(2, like=xs)
    scanned, stepped = cell.scan(xs, state), cell(xs[:, 0], state)
    torch.testing.assert_close(scanned[0][:, 0], stepped[0])
    torch.testing.assert_close(tree_leaves(scanned[1]), tree_leaves(stepped[1]))
    observed = cell.observe(xs[:, 0], state)
    torch.testing.assert_close(observed[0], stepped[0])


def test_recording_changes_nothing() -> None:
    cell, xs = make(), tokens()
    state = cell.initial(3, like=xs)
    ys, _, record = cell.record(xs, state, MASK)
    torch.testing.assert_close(ys, cell.scan(xs, state, MASK)[0])
    assert record.keys() == cell.tracks.keys() and not any(name.startswith("link") for name in record)
    assert not record["usage"][~MASK].any()


def test_gradient_reaches_every_parameter() -> None:
    cell, xs = make(controller_layers=2), tokens()
    cell.scan(xs, cell.initial(3, like=xs))[0].square().sum().backward()
    for name, parameter in cell.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_bypass_is_masked_in_training_only_and_once_a_sequence() -> None:
    cell, xs = make(bypass_dropout=0.5), tokens()
    state = cell.initial(3, like=xs)
    assert set(state.kept.unique().tolist()) == {0.0, 2.0}
    ys, after = cell.scan(xs, state)
    assert torch.equal(after.kept, state.kept)
    torch.testing.assert_close(cell.scan(xs, state)[0], ys, rtol=0, atol=0)
    hidden = ADNCState(state.access, torch.zeros_like(state.kept))
    assert cell.scan(xs, hidden)[0].isfinite().all()
    assert (cell.eval().initial(3, like=xs).kept == 1).all()


@pytest.mark.parametrize("scale", [0.0, 1e3])
def test_values_and_gradients_stay_finite_at_the_extremes(scale: float) -> None:
    cell, xs = make().float(), tokens(length=12).float() * scale
    with torch.no_grad():
        for parameter in cell.access.interface.parameters():
            parameter.mul_(scale)
    ys, after = cell.scan(xs, cell.initial(3, like=xs))
    (ys.sum() + after.access.memory.square().sum()).backward()
    assert ys.isfinite().all()
    for name, parameter in cell.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def test_a_scan_leaves_its_state_alone() -> None:
    cell, xs = make(), tokens()
    state = cell.initial(3, like=xs)
    before = tree_map(torch.clone, state)
    cell.scan(xs, state)[0].sum().backward()
    torch.testing.assert_close(tree_leaves(state), tree_leaves(before), rtol=0, atol=0)


@pytest.mark.parametrize(
    "options",
    [{"controller": "feedforward"}, {"learn_controller": True}, {"controller_init": "wide"}, {"bypass_dropout": 1.0}],
)
def test_options_that_it_lacks_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        ADNCConfig(**options)


def test_reading_both_ways_it_learns_to_tell_the_last_token_at_the_first() -> None:
    torch.manual_seed(0)
    cell = ADNCCell(ADNCConfig(input_size=1, hidden_size=1, controller_size=6, slots=3, word=2, read_heads=1))
    optimiser = torch.optim.Adam(cell.parameters(), 3e-2)
    losses = []
    for _ in range(60):
        xs = torch.randint(2, (8, 3, 1)).float() * 2 - 1
        ys, _ = cell.scan(xs, cell.initial(8, like=xs))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(ys[:, 0], (xs[:, 2] > 0).float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) / 10 < 0.2, losses[::10]
