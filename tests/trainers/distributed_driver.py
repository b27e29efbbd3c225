"""Trains the same model in one process and in two, and compares; run as a program, `distributed_driver.py FOLDER`.

The two are forks of a process that has imported everything but never trained.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # optimisers import it on first use, in every child if not here

import tasks
import zoo
from trainers import checkpoint
from trainers.distributed import Processes, join
from trainers.losses import Supervised
from trainers.trainer import Interrupted, Trainer, TrainerConfig
from zoo import Reasoner, ReasonerConfig

OPTIONS: dict[str, Any] = {
    "batch_size": 6, "accumulate": 2, "sizes": (3, 6), "precision": "float64", "device": "cpu", "prefetch": 2,
    "max_steps": 6, "val_every": 3, "val_samples": 5, "checkpoint_every": 2, "optimizer": "adamw", "clip_norm": 0.5,
}  # fmt: skip


VARIANTS: dict[str, dict[str, Any]] = {
    "canonical": {"data": "canonical", "sizes": (16,), "batch_size": 5},
    "batch": {"sizes": (3, 6, 8), "sizes_by": "batch"},
}


class Learned(Supervised):
    """An objective with a parameter of its own: the logarithm of each term's weight is shared and learned."""

    def __init__(self) -> None:
        super().__init__()
        self.log_weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, batch: Any, prediction: Any) -> Any:
        return {name: value * self.log_weight.exp() for name, value in super().forward(batch, prediction).items()}


def trainer(folder: Path, processes: Processes, **changes: Any) -> Trainer:
    """Two tasks over one processor, so that each step leaves some parameters without a gradient."""
    both = [tasks.create("bfs"), tasks.create("insertion_sort")]
    torch.manual_seed(processes.rank)  # initial weights differ: those of the first process count
    model = Reasoner(
        [task.spec for task in both], zoo.create("mpnn", hidden_size=8), config=ReasonerConfig(teacher_forcing=0.5)
    )
    config = TrainerConfig(**(OPTIONS | changes))
    return Trainer(model, both, config, seed=3, folder=folder, processes=processes, objective=Learned())


def gradients(folder: Path, processes: Processes) -> None:
    """Gradients of each task's first step."""
    torch.set_default_dtype(torch.float64)
    made = trainer(folder, processes)
    processes.broadcast([*made.model.state_dict().values()])
    training = made.training
    for step in (0, 1):
        items = made.sampler(step)
        totals = dict(zip(items.counts, processes.sum_numbers(list(items.counts.values())), strict=True))
        training.optimizer.zero_grad(set_to_none=True)
        _, means, _ = training.losses(items.batches, totals, step)
        if step == 0 and processes.rank == 1:
            training.parameters[-1].grad = None  # as if this process had not used a parameter
        elif step == 0 and processes.world == 1:
            only_rank_0(made, training)
        means = processes.sum_gradients(training.parameters, means)
        found = {name: p.grad for name, p in training.named if p.grad is not None}
        if processes.main:
            torch.save({"means": means, "gradients": found}, folder / f"gradients-{step}.pt")


def only_rank_0(made: Trainer, training: Any) -> None:
    """Replace the last parameter's gradient by the part that the first of two processes contributes."""
    parts = [made.sampler.sample(0, first, 3) for first in (0, 6)]
    totals = made.sampler(0).counts
    kept = [None if p.grad is None else p.grad.clone() for p in training.parameters]
    training.optimizer.zero_grad(set_to_none=True)
    training.losses(parts, {name: float(count) for name, count in totals.items()}, 0)
    kept[-1] = training.parameters[-1].grad
    for parameter, gradient in zip(training.parameters, kept, strict=True):
        parameter.grad = gradient


def fit(folder: Path, processes: Processes, **changes: Any) -> None:
    trainer(folder, processes, **changes).fit()


def resumed(folder: Path, processes: Processes) -> None:
    """Stopped by a signal that only the second process gets, then resumed."""
    made = trainer(folder, processes)
    if processes.rank == 1:
        anneal = made.model.processor.anneal

        def stop(progress: float) -> None:
            if progress >= 0.5:
                os.kill(os.getpid(), signal.SIGTERM)
            anneal(progress)

        made.model.processor.anneal = stop
    try:
        made.fit()
        raise AssertionError("not stopped")
    except Interrupted as interrupted:
        assert interrupted.code == 128 + signal.SIGTERM and interrupted.step == 4
    trainer(folder, processes).fit()


def launch(part: Callable[[Path, Processes], None], folder: Path, world: int) -> None:
    """Run a part in `world` forks."""
    folder.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(world):
        number = os.fork()
        if not number:
            code = 1
            try:
                os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world),
                               "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}  # fmt: skip
                with join("cpu") as processes:
                    part(folder, processes)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(number)
    codes = [os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) for number in children]
    assert codes == [0] * world, codes


def compare_gradients(one: Path, two: Path) -> None:
    for step in (0, 1):
        single, double = (torch.load(folder / f"gradients-{step}.pt") for folder in (one, two))
        torch.testing.assert_close(double["means"], single["means"], rtol=1e-12, atol=1e-12)
        assert single["gradients"].keys() == double["gradients"].keys()
        for name, gradient in single["gradients"].items():
            torch.testing.assert_close(double["gradients"][name], gradient, rtol=1e-10, atol=1e-12, msg=name)
        named = {name for name in single["gradients"] if name.startswith("tasks.")}
        other = "insertion_sort" if step == 0 else "bfs"
        assert named and not any(f".{other}." in name for name in named), "a task without a turn has gradients"


def compare_runs(one: Path, two: Path) -> None:
    rows = [[json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()] for folder in (one, two)]
    assert [row["step"] for row in rows[1]] == list(range(1, 7))
    for single, double in zip(*rows, strict=True):
        assert single.keys() == double.keys()
        for key in single.keys() - {"train/step_ms", "train/samples_per_second"}:
            assert abs(single[key] - double[key]) < 1e-9, (key, single["step"], single[key], double[key])
    newest = [checkpoint.newest(folder / "checkpoints") for folder in (one, two)]
    single, double = (checkpoint.load(path) for path in newest if path is not None)
    for name, weight in single.weights.items():
        torch.testing.assert_close(double.weights[name], weight, rtol=1e-9, atol=1e-11, msg=name)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    began = time.monotonic()
    for task in ("bfs", "insertion_sort"):
        tasks.create(task).sample(size=3, batch_size=1)  # load the kernels once, before the forks
    for world in (1, 2):
        launch(gradients, folder / f"gradients-{world}", world)
        launch(fit, folder / f"fit-{world}", world)
        for name, changes in VARIANTS.items():
            launch(partial(fit, **changes), folder / f"{name}-{world}", world)
    compare_gradients(folder / "gradients-1", folder / "gradients-2")
    compare_runs(folder / "fit-1", folder / "fit-2")
    for name in VARIANTS:
        compare_runs(folder / f"{name}-1", folder / f"{name}-2")
    launch(resumed, folder / "resumed", 2)
    compare_runs(folder / "fit-1", folder / "resumed")
    print(f"equal, {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
