"""What a training has taken is added up over its resumptions, and saved with it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

import tasks
import zoo
from trainers import checkpoint, stopwatch
from trainers.stopwatch import Seconds, Stopwatch
from trainers.trainer import Trainer, TrainerConfig


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Two hands that a test moves: the wall's and the processor's."""
    hands = [100.0, 7.0]
    monkeypatch.setattr(stopwatch.time, "monotonic", lambda: hands[0])
    monkeypatch.setattr(stopwatch.time, "process_time", lambda: hands[1])
    return hands


def test_time_counts_between_start_and_stop_alone(clock: list[float]) -> None:
    watch = Stopwatch()
    clock[:] = 110.0, 8.0
    assert watch.read() == Seconds(0.0, 0.0)
    watch.start()
    clock[:] = 115.0, 20.0
    assert watch.read() == Seconds(5.0, 12.0)
    watch.stop()
    clock[:] = 200.0, 90.0
    assert watch.read() == Seconds(5.0, 12.0)
    watch.start()
    watch.carry_over(Seconds(40.0, 30.0))
    clock[:] = 203.0, 91.0
    assert watch.read() == Seconds(43.0, 31.0)


def test_a_resumed_training_counts_what_was_taken_before(tmp_path: Path) -> None:
    def fit(steps: int) -> dict[str, float]:
        torch.manual_seed(0)
        task = tasks.create("bfs")
        model = zoo.Reasoner(task.spec, zoo.create("mpnn", hidden_size=4))
        config = TrainerConfig(sizes=(4,), max_steps=steps, batch_size=2, val_every=0, prefetch=0)
        return Trainer(model, task, config, folder=tmp_path).fit()

    first = fit(2)
    folder = tmp_path / "checkpoints"
    saved = checkpoint.load(checkpoint.path_of(folder, 2))
    state = saved.state
    assert 0 < state["seconds"] <= first["seconds"] and 0 < state["cpu_seconds"] <= first["cpu_seconds"]
    taken = {**state, "seconds": 1000.0, "cpu_seconds": 2000.0}
    shutil.rmtree(checkpoint.path_of(folder, 2))
    checkpoint.save(folder, dataclasses.replace(saved, state=taken), keep=1)
    second = fit(3)
    assert 1000 < second["seconds"] < 2000 < second["cpu_seconds"] < 3000
