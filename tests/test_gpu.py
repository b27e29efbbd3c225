"""Every processor on every task, the same on a GPU: values and gradients, and no step that waits for the device."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

import tasks
from tests.objective import total_loss
from tests.test_pairs import SIZE, build, pairs
from trainers.trainer import Trainer
from trainers.trainer_config import TrainerConfig

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

TOLERANCE = 1e-4


@pytest.fixture(autouse=True)
def _full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 products in float32: TF32 keeps ten bits."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@contextmanager
def no_waiting() -> Iterator[None]:
    """Raise where the host waits for the device."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def small(task: str, **options) -> tuple[tasks.Task, tasks.Batch]:
    made = tasks.create(task)
    return made, made.sample(seed=0, batch_size=3, size=(max(SIZE, made.min_size), SIZE + 3), **options)


def gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}


@pairs
def test_values_and_gradients_equal_those_on_the_cpu(processor, task):
    made, batch = small(task)
    here = build(processor, made)
    there = copy.deepcopy(here).cuda()
    torch.testing.assert_close(
        total_loss(there, batch.to("cuda")).cpu(), total_loss(here, batch), rtol=TOLERANCE, atol=TOLERANCE
    )
    total_loss(here, batch).backward()
    total_loss(there, batch.to("cuda")).backward()
    expected, got = gradients(here), gradients(there)
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=TOLERANCE, atol=TOLERANCE, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("processor", ["pgn", "deep_sets", "lstm", "ntm"])
def test_sparse_values_and_gradients_equal_those_on_the_cpu(processor):
    made, batch = small("bellman_ford", layout="sparse")
    here = build(processor, made)
    there = copy.deepcopy(here).cuda()
    total_loss(here, batch).backward()
    total_loss(there, batch.to("cuda")).backward()
    expected, got = gradients(here), gradients(there)
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=TOLERANCE, atol=TOLERANCE, msg=lambda m, n=name: f"{n}: {m}")


@pairs
def test_no_step_waits_for_the_device(processor, task):
    made, _ = small(task)
    config = TrainerConfig(max_steps=4, batch_size=4, sizes=(max(SIZE, made.min_size),), device="cuda", prefetch=0)
    trainer = Trainer(build(processor, made), made, config)
    trainer.training.set_mode()
    for step in range(2):  # allocations and kernels' first loading may wait
        items = trainer.sampler(step)
        trainer.training(step, items, items.counts)
    items = trainer.sampler(2)
    with no_waiting():
        trainer.training(2, items, items.counts)
