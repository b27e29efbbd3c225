"""Every cell against the slow transcription of its paper, outputs and states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.zoo.memory.cells import DNC_SETTINGS, LSTM_SETTINGS, NTM_SETTINGS, make, tokens, used_state
from tests.zoo.memory.dnc_transcription import Options, dnc_step
from tests.zoo.memory.transcriptions import Linear, Model, Sizes, lstm_step, ntm_step
from zoo.memory import dnc, ntm
from zoo.memory.external import ControllerState
from zoo.memory.links import SparseLink


def linear(module: nn.Module) -> Linear:
    assert isinstance(module, nn.Linear)
    return Linear(module.weight.detach().numpy(), module.bias.detach().numpy())


def model_of(cell: Any, *, exact: bool) -> Model:
    """The cell's parameters and settings for the transcription; `exact` leaves the epsilons out."""
    config = cell.config
    is_ntm = isinstance(cell, ntm.NTMCell)
    sizes = Sizes(config.read_heads, config.word, config.write_heads)
    if is_ntm:
        sizes = sizes._replace(offsets=2 * config.shifts + 1)
    epsilons = (ntm.NORM_EPSILON, ntm.SHARPEN_EPSILON) if is_ntm else (dnc.NORM_EPSILON, dnc.USAGE_EPSILON)
    return Model(
        layers=[linear(layer) for layer in cell.controller.layers],
        interface=linear(cell.interface),
        output=linear(cell.output) if config.output == "project" else None,
        sizes=sizes,
        recurrent=config.controller == "lstm",
        clip=np.inf if config.clip is None else config.clip,
        norm_epsilon=0.0 if exact else epsilons[0],
        small_epsilon=0.0 if exact else epsilons[1],
        squash_keys=is_ntm and config.key_activation == "tanh",
        least_strength=1.0 if is_ntm or config.strengths == "oneplus" else 0.0,
    )


def options_of(cell: Any) -> Options:
    """What departs from the published DNC."""
    config = cell.config
    return Options(
        links=config.links,
        entries=config.link_entries,
        softmax_allocation=config.allocation == "softmax",
        mask_floor=config.mask_floor if config.mask_keys else None,
        deallocate=config.deallocate,
        sharpen_epsilon=dnc.SHARPEN_EPSILON if config.sharpen_links else None,
    )


def sample_of(state: Any, index: int) -> dict[str, np.ndarray]:
    """One sample's state by field name, the controller's beside the others."""
    fields = state._asdict()
    controller = fields.pop("controller", ControllerState(*state[:2]))
    link = fields.pop("link", ())
    if isinstance(link, SparseLink):
        fields["link"] = link.dense()
    elif isinstance(link, torch.Tensor):
        fields["link"] = link
    return {name: value[index].numpy() for name, value in {**fields, **controller._asdict()}.items()}


def assert_same_run(
    cell: Any, step: Callable[[Any, dict[str, np.ndarray]], Any], scan: Callable[..., Any], tolerance: float
) -> None:
    """Four tokens from a used state; the transcription sample by sample."""
    xs, state = tokens(length=4), used_state(cell)
    with torch.no_grad():
        ys, after = scan(xs, state)
    for index in range(len(xs)):
        slow = sample_of(state, index)
        for position in range(xs.shape[1]):
            y, slow = step(xs[index, position].numpy(), slow)
            np.testing.assert_allclose(ys[index, position].numpy(), y, rtol=tolerance, atol=tolerance)
        fast = sample_of(after, index)
        assert fast.keys() == slow.keys()
        for name in slow:
            np.testing.assert_allclose(fast[name], slow[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("scan", ["loop", "scan"])
@pytest.mark.parametrize("name", NTM_SETTINGS)
def test_ntm_follows_the_papers_equations(name: str, scan: str) -> None:
    cell = make(name)
    model = model_of(cell, exact=False)
    assert_same_run(cell, lambda x, state: ntm_step(model, x, state), getattr(cell, scan), 1e-10)


@pytest.mark.parametrize("scan", ["loop", "scan"])
@pytest.mark.parametrize("name", DNC_SETTINGS)
def test_dnc_follows_the_papers_equations(name: str, scan: str) -> None:
    cell = make(name)
    model, options = model_of(cell, exact=False), options_of(cell)
    assert_same_run(cell, lambda x, state: dnc_step(model, x, state, options), getattr(cell, scan), 1e-10)


@pytest.mark.parametrize("name", ["ntm", "ntm-heads", "dnc", "dnc-google"])
def test_epsilons_change_the_fifth_decimal_at_most(name: str) -> None:
    cell = make(name)
    model = model_of(cell, exact=True)
    step = ntm_step if name in NTM_SETTINGS else dnc_step
    assert_same_run(cell, lambda x, state: step(model, x, state), cell.scan, 1e-5)


@pytest.mark.parametrize("scan", ["loop", "scan"])
@pytest.mark.parametrize("name", LSTM_SETTINGS)
def test_lstm_follows_its_equations(name: str, scan: str) -> None:
    cell: Any = make(name)
    layers = [
        Linear(np.concatenate([below.weight, past.weight], 1), below.bias + past.bias)
        for below, past in zip(map(linear, cell.below), map(linear, cell.past), strict=True)
    ]
    assert_same_run(cell, lambda x, state: lstm_step(layers, x, state), getattr(cell, scan), 1e-10)
