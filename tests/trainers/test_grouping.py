"""Batches computed in groups of like length: the cheapest groups, and the same training."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch

import tasks
import zoo
from tests.trainers.test_trainer import make
from trainers.data import Sampler
from trainers.distributed import Processes
from trainers.grouping import divide, grouped, hidden_of
from trainers.losses import Supervised
from trainers.step import TrainingStep
from trainers.trainer import TrainerConfig
from zoo.codec import ReasonerConfig
from zoo.reasoner import Reasoner


def cost(steps: list[int], bounds: list[int], overhead: float) -> float:
    """What a division costs, by its definition."""
    total, below = 0.0, 0
    for bound in bounds:
        total += bound * (sum(below < step <= bound for step in steps) + overhead)
        below = bound
    return total


@pytest.mark.parametrize("overhead", [0.0, 0.5, 2.0, 10.0, 1e9])
def test_the_division_is_the_cheapest_of_all(overhead: float) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        steps = torch.randint(1, 9, (12,), generator=generator).tolist()
        lengths = sorted(set(steps))
        every = [[*inner, lengths[-1]] for count in range(len(lengths)) for inner in combinations(lengths[:-1], count)]
        cheapest = min(cost(steps, bounds, overhead) for bounds in every)
        found = divide(torch.tensor(steps), overhead)
        assert found in every and cost(steps, found, overhead) == pytest.approx(cheapest)


def test_groups_hold_every_sample_once_and_stop_with_their_longest() -> None:
    batch = tasks.create("bfs").sample(size=[4, 16], batch_size=32, distribution=["path", "clrs"])
    groups = grouped(batch, 128)
    assert len(groups) > 1
    assert sorted(int(i) for group in groups for i in group.index) == list(range(32))
    assert groups[0].num_steps == batch.num_steps
    for group in groups:
        assert group.hints["pi_h"].shape[0] == group.num_steps + 1 or group.num_steps == 1
        assert group.inputs["A"].shape[1] == int(group.sizes.max())


def test_small_work_alike_lengths_and_the_sparse_layout_stay_whole() -> None:
    bfs = tasks.create("bfs")
    uneven: dict[str, Any] = {"size": 16, "batch_size": 8, "distribution": ["path", "clrs"]}
    assert len(grouped(bfs.sample(**uneven), 1)) == 1
    assert len(grouped(bfs.sample(**uneven, layout="sparse"), 128)) == 1
    assert len(grouped(tasks.create("copy").sample(size=4, batch_size=8), 10**6)) == 1


def test_only_models_whose_samples_do_not_meet_and_whose_steps_grow_with_them_are_grouped() -> None:
    spec = tasks.create("bfs").spec
    assert hidden_of(Reasoner(spec, zoo.create("mpnn", hidden_size=24))) == 24
    assert hidden_of(Reasoner(spec, zoo.create("mpnn"), config=ReasonerConfig(steps=3))) is None
    assert hidden_of(Reasoner(spec, zoo.create("lstm", hidden_size=24))) is None
    assert hidden_of(Reasoner(spec, zoo.create("residual_shuffle_exchange"))) is None
    assert hidden_of(torch.nn.Linear(1, 1)) is None


@pytest.mark.parametrize("task", ["bfs", "bellman_ford", "disjoint_set", "insertion_sort"])
@pytest.mark.parametrize("processor", ["mpnn", "pgn"])
def test_groups_give_the_gradients_of_the_whole(task: str, processor: str) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        made = tasks.create(task)
        torch.manual_seed(0)
        settings = ReasonerConfig(teacher_forcing=0.5)
        model = Reasoner(made.spec, zoo.create(processor, hidden_size=8), config=settings)
        config = TrainerConfig(batch_size=12, sizes=(3, 8), device="cpu", precision="float64", accumulate=2)
        objective = Supervised()
        training = TrainingStep(model, objective, config, seed=0, processes=Processes(device=torch.device("cpu")))
        found = []
        for hidden in (None, 10**7):
            items = Sampler([made], config, objective, seed=0, hidden=hidden)(3)
            assert (len(items.batches) > 2) == (hidden is not None)
            batches = [b.map(lambda v: v.double() if v.is_floating_point() else v) for b in items.batches]  # type: ignore[union-attr]
            training.optimizer.zero_grad()
            losses = training.losses(batches, items.counts, 3)
            gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
            found.append([*losses.means, *gradients])
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_trainer_on_the_cpu_groups() -> None:
    assert make(names=["bfs"]).sampler.hidden == 8
    assert make(names=["bfs"], processor="lstm").sampler.hidden is None
