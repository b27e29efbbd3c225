"""Optimisers against their equations, and the shapes of schedules."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from trainers.adamax import FreivaldsAdamax
from trainers.optimizers import GravesRMSprop, make_optimizer
from trainers.schedules import learning_rate
from trainers.trainer_config import OPTIMIZERS, TrainerConfig


def test_graves_rmsprop_follows_equations_38_to_41() -> None:
    parameter = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = GravesRMSprop([parameter], lr=0.01, alpha=0.9, momentum=0.8, eps=1e-4)
    weights, n, g, delta = [1.0, -2.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]
    for step in range(20):
        lr = 0.01 / (1 + step)
        optimizer.param_groups[0]["lr"] = lr
        gradient = [math.sin(3 * w) + step / 10 for w in weights]
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        for k, e in enumerate(gradient):
            n[k] = 0.9 * n[k] + 0.1 * e * e
            g[k] = 0.9 * g[k] + 0.1 * e
            delta[k] = 0.8 * delta[k] - lr * e / math.sqrt(n[k] - g[k] ** 2 + 1e-4)
            weights[k] += delta[k]
    assert parameter.tolist() == pytest.approx(weights, rel=1e-12)


def test_graves_rmsprop_survives_a_constant_gradient() -> None:
    parameter = nn.Parameter(torch.tensor([0.0]))
    optimizer = GravesRMSprop([parameter], lr=1e-3)
    for _ in range(500):  # the variance goes to 0, and rounding takes it below
        parameter.grad = torch.tensor([1e4])
        optimizer.step()
    assert torch.isfinite(parameter).all()


def test_freivalds_adamax_follows_the_rules_of_its_paper() -> None:
    parameter = nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    optimizer = FreivaldsAdamax([parameter], lr=0.01, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1)
    weights, mean, maximum, clipped = [1.0, -2.0, 0.5], [0.0] * 3, [0.0] * 3, []
    for step in range(60):
        lr = 0.01 / (1 + step)
        optimizer.param_groups[0]["lr"] = lr
        gradient = [1e-3 * (step % 7) * math.sin(3 * w + step) if k < 2 else 0.0 for k, w in enumerate(weights)]
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        for k, e in enumerate(gradient):
            e += 0.1 * weights[k]
            limit = 1.2 * maximum[k] + 1e-4
            clipped.append(abs(e) > limit)
            e = max(-limit, min(limit, e))
            mean[k] = 0.8 * mean[k] + 0.2 * e
            maximum[k] = max(0.9 * maximum[k], abs(e))
            weights[k] -= lr * mean[k] / (maximum[k] + 1e-3)
    assert parameter.tolist() == pytest.approx(weights, rel=1e-12)
    assert any(clipped) and not all(clipped)


def test_freivalds_adamax_steps_no_further_than_the_learning_rate() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    optimizer = FreivaldsAdamax([parameter], lr=0.1)
    for step in range(50):
        before = parameter.detach().clone()
        parameter.grad = torch.tensor([1e6 if step == 40 else 1.0, 0.0])
        optimizer.step()
        assert 0 < (before - parameter).abs()[0] <= 0.1 and parameter[1] == 0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_descends_and_leaves_what_has_no_gradient(name: str) -> None:
    moved, still = nn.Parameter(torch.tensor([3.0])), nn.Parameter(torch.tensor([2.0]))
    config = TrainerConfig(optimizer=name, lr=0.05, momentum=0.5 if "rmsprop" in name else 0.0, weight_decay=0.1)
    optimizer = make_optimizer([moved, still], config, torch.device("cpu"))
    for _ in range(100):
        optimizer.zero_grad()
        (moved**2).sum().backward()
        optimizer.step()
    assert abs(moved.item()) < 1.0 and still.item() == 2.0


def test_options_reach_the_optimizer() -> None:
    config = TrainerConfig(optimizer="adamw", lr=0.1, beta1=0.5, beta2=0.6, eps=1e-3, weight_decay=0.2)
    group = make_optimizer([nn.Parameter(torch.zeros(1))], config, torch.device("cpu")).param_groups[0]
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (0.1, (0.5, 0.6), 1e-3, 0.2)


def test_radam_decays_weights_apart_from_the_gradient() -> None:
    parameter = nn.Parameter(torch.tensor([2.0]))
    config = TrainerConfig(optimizer="radam", lr=0.1, weight_decay=0.5, beta1=0.7, beta2=0.8, eps=1e-5)
    optimizer = make_optimizer([parameter], config, torch.device("cpu"))
    group = optimizer.param_groups[0]
    assert isinstance(optimizer, torch.optim.RAdam)
    assert (group["lr"], group["betas"], group["eps"]) == (0.1, (0.7, 0.8), 1e-5)
    parameter.grad = torch.zeros(1)
    optimizer.step()
    assert parameter.item() == pytest.approx(2.0 * (1 - 0.1 * 0.5))


def rates(**options: object) -> list[float]:
    config = TrainerConfig(lr=1.0, max_steps=100, **options)  # type: ignore[arg-type]
    return [learning_rate(config, step) for step in range(100)]


def test_warm_up_rises_linearly_to_the_full_rate() -> None:
    found = rates(warmup_steps=10)
    assert found[:11] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0])
    assert set(found[10:]) == {1.0}


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_decay_starts_at_the_rate_and_ends_at_its_share(schedule: str) -> None:
    found = rates(schedule=schedule, warmup_steps=10, final_lr_ratio=0.1)
    assert found[10] == 1.0 and found[-1] == pytest.approx(0.1)
    assert all(one > other for one, other in pairwise(found[10:]))


def test_half_way_linear_and_cosine_meet_and_cosine_is_flatter_at_the_ends() -> None:
    linear, cosine = (rates(schedule=schedule) for schedule in ("linear", "cosine"))
    middle = (linear[49] + linear[50]) / 2, (cosine[49] + cosine[50]) / 2
    assert middle == (pytest.approx(0.5), pytest.approx(0.5))
    assert cosine[10] > linear[10] and cosine[90] < linear[90]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adan"}, "did you mean"),
        ({"schedule": "cosin"}, "cosine"),
        ({"batch_size": 0}, "at least 1"),
        ({"lr": -1.0}, "negative"),
        ({"label_smoothing": 1.0}, "below 1"),
        ({"sizes": ()}, "at least one"),
        ({"layout": "spars"}, "sparse"),
    ],
)
def test_wrong_options_are_refused_with_what_would_do(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainerConfig(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_a_fused_optimizer_leaves_everything_alone_after_a_failure(name: str) -> None:
    """What a training step on a GPU relies on; the kernel is the same on the CPU."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    parameter = nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = kind([parameter], lr=0.1, fused=True)
    parameter.grad = torch.ones(2)
    optimizer.step()
    before, state = parameter.detach().clone(), optimizer.state_dict()["state"][0]["exp_avg"].clone()
    parameter.grad = torch.tensor([torch.nan, 1.0])
    optimizer.found_inf = torch.ones(())  # type: ignore[attr-defined]
    optimizer.step()
    assert torch.equal(parameter, before) and torch.equal(optimizer.state_dict()["state"][0]["exp_avg"], state)
