"""The training loop on a GPU: the CPU's gradients, no waiting inside a step, resumption, what is not finite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tasks
import zoo
from trainers.distributed import Processes
from trainers.losses import Supervised
from trainers.step import TrainingStep
from trainers.trainer import NonFiniteError, Trainer, TrainerConfig
from zoo import Reasoner

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]

OPTIONS: dict[str, Any] = {
    "max_steps": 8, "batch_size": 4, "sizes": (4, 6), "device": "cuda", "val_every": 4, "val_samples": 4,
    "checkpoint_every": 4, "eval_samples": 4,
}  # fmt: skip


def make(folder: Path | None = None, *, task: str = "bfs", model: nn.Module | None = None, **options: Any) -> Trainer:
    made = tasks.create(task)
    torch.manual_seed(0)
    model = model or Reasoner(made.spec, zoo.create("mpnn", hidden_size=16))
    return Trainer(model, made, TrainerConfig(**(OPTIONS | options)), folder=folder)


@pytest.mark.parametrize("task", ["bfs", "insertion_sort", "copy", "disjoint_set"])
def test_gradients_are_those_of_the_cpu(task: str) -> None:
    found = []
    for device in ("cpu", "cuda"):
        trainer = make(task=task, device=device)
        items = trainer.sampler(0)
        trainer.training.losses(items.batches, items.counts, 0)
        found.append({name: p.grad.cpu() for name, p in trainer.training.named if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("task", ["bfs", "copy", "disjoint_set"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "adamax_freivalds", "rmsprop_graves"])
def test_no_step_waits_for_the_gpu(task: str, optimizer: str) -> None:
    trainer = make(task=task, optimizer=optimizer)
    trainer.training.set_mode()
    for step in range(3):
        items = trainer.sampler(step)
        if step == 2:
            torch.cuda.synchronize()
            torch.cuda.set_sync_debug_mode("error")
        try:
            report = trainer.training(step, items, items.counts)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert bool(report.values[-1])


def test_a_run_can_be_resumed(tmp_path: Path) -> None:
    alone, halves = make(), make(tmp_path, max_steps=4)
    alone.fit()
    assert halves.fit()["step"] == 4
    rest = make(tmp_path)
    assert rest.fit()["resumed_from"] == 4
    for name, value in alone.model.state_dict().items():
        torch.testing.assert_close(rest.model.state_dict()[name], value, rtol=1e-3, atol=1e-4, msg=name)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 8


class Poisoned(nn.Module):
    """Not a number for one sample."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, batch: Any, noise: tuple[int, int] = (0, 0)) -> Any:
        prediction = self.inner(batch, noise=noise)
        value = prediction.outputs["copied"]
        bad = (batch.index == 13).reshape(-1, 1, 1).to(value.device, non_blocking=True)
        return prediction._replace(outputs={"copied": torch.where(bad, torch.nan, value)})


def test_the_first_step_that_is_not_finite_is_the_last_that_could_have_changed_anything(tmp_path: Path) -> None:
    task = tasks.create("copy")

    def model() -> nn.Module:
        torch.manual_seed(0)
        return Poisoned(Reasoner(task.spec, zoo.create("mpnn", hidden_size=16)))

    options = {"val_every": 0, "checkpoint_every": 0, "task": "copy", "max_steps": 8}
    before = make(model=model(), **(options | {"max_steps": 3}))
    before.fit()
    trainer = make(tmp_path, model=model(), **options)
    with pytest.raises(NonFiniteError) as error:
        trainer.fit()
    assert (error.value.step, error.value.samples, error.value.term) == (3, [13], "loss of copied")
    for name, value in before.model.state_dict().items():
        torch.testing.assert_close(trainer.model.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_trains(precision: str) -> None:
    trainer = make(precision=precision, max_steps=20, val_every=0)
    assert trainer.fit()["train/loss"] < float("inf")


def test_objectives_live_where_the_model_does() -> None:
    model = Reasoner(tasks.create("copy").spec, zoo.create("mpnn", hidden_size=8)).cuda()
    processes = Processes(device=torch.device("cuda", 0))
    step = TrainingStep(model, Supervised(), TrainerConfig(device="cuda"), seed=0, processes=processes)
    assert step.failed.is_cuda and all(parameter.is_cuda for parameter in step.parameters)
