"""Kills a training run again and again until it is through, and compares it with one that was left alone.

Run as a program, `kill_driver.py FOLDER KILLS SEED`, so that its children are forks of a process that has imported
everything but never trained: a child then costs milliseconds instead of seconds.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # optimisers import it on first use, in every child if not here

import tasks
import zoo
from trainers import checkpoint
from trainers.trainer import Trainer, TrainerConfig
from zoo import Reasoner, ReasonerConfig

STEPS = 40
TIMES = {"train/step_ms", "train/samples_per_second"}


def train(folder: Path) -> None:
    """One run, or the rest of it."""
    task = tasks.create("bfs")
    torch.manual_seed(1)
    model = Reasoner(task.spec, zoo.create("mpnn", hidden_size=8), config=ReasonerConfig(teacher_forcing=0.5))
    model.processor = Dropping(model.processor)
    config = TrainerConfig(
        max_steps=STEPS, batch_size=4, sizes=(4, 5), optimizer="adamw", schedule="cosine", warmup_steps=5, device="cpu",
        checkpoint_every=4, val_every=7, val_samples=4, prefetch=3, sample_threads=2, keep=2,
    )  # fmt: skip
    Trainer(model, task, config, seed=3, folder=folder).fit()


class Dropping(zoo.Processor):
    """A processor under dropout, so that torch's own random state matters."""

    def __init__(self, inner: zoo.Processor) -> None:
        super().__init__(inner.config)
        self.inner, self.adjacency, self.layouts = inner, inner.adjacency, inner.layouts  # type: ignore[misc]
        self.dropout = torch.nn.Dropout(0.1)

    def forward(self, inputs: Any, hidden: Any, topology: Any, state: Any) -> Any:
        step = self.inner(inputs, hidden, topology, state)
        return step._replace(hidden=step.hidden._replace(nodes=self.dropout(step.hidden.nodes)))


def die_inside_a_write(at: int) -> None:
    """Make the process kill itself at its `at`-th operation on checkpoint files, half-way through it if it writes."""
    operations = 0

    def counted(function: Callable[..., Any], half: Callable[..., None] | None = None) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal operations
            operations += 1
            if operations == at:
                if half is not None:
                    half(*args)
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return wrapper

    def write_half(path: Path, data: bytes) -> None:
        path.write_bytes(data[: len(data) // 2])

    checkpoint.write = counted(checkpoint.write, write_half)
    os.rename = counted(os.rename)
    checkpoint._sync_folder = counted(checkpoint._sync_folder)
    checkpoint.shutil.rmtree = counted(checkpoint.shutil.rmtree)


def child(folder: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Start training in a fork; its process number."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        prepare()
        train(folder)
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


def wait(number: int) -> int:
    """Exit status of a child, negative for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def kill_once(folder: Path, draw: random.Random) -> bool:
    """Start training and kill it at a random moment; whether it was killed before it was through."""
    if draw.random() < 0.5:
        at = draw.randrange(1, 50)
        status = wait(child(folder, lambda: die_inside_a_write(at)))
    else:
        number = child(folder)
        time.sleep(draw.uniform(0.0, 0.4))
        os.kill(number, signal.SIGKILL)
        status = wait(number)
    assert status in (0, -signal.SIGKILL), f"training ended with {status}"
    return status != 0


def lines(folder: Path) -> list[dict[str, float]]:
    """The metrics of a run without what depends on the clock."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def compare(alone: Path, killed: Path) -> None:
    """Fail unless two finished runs are bit for bit the same."""
    assert [row["step"] for row in lines(killed)] == list(range(1, STEPS + 1)), "a step is missing or there twice"
    assert lines(killed) == lines(alone), "metrics differ"
    one, other = (checkpoint.newest(folder / "checkpoints") for folder in (alone, killed))
    assert one is not None and other is not None and one.name == other.name
    for name in (checkpoint.WEIGHTS, checkpoint.BEST):
        assert (one / name).read_bytes() == (other / name).read_bytes(), f"{name} differs"
    first, second = checkpoint.load(one).state, checkpoint.load(other).state
    for key in ("optimizer", "rng", "objective", "best_score", "best_step", "loss"):
        assert _same(first[key], second[key]), f"{key} differs"
    best = [(folder / "checkpoints" / checkpoint.BEST).read_bytes() for folder in (alone, killed)]
    assert best[0] == best[1], "best weights differ"
    left = sorted(path.name for path in (killed / "checkpoints").iterdir())
    assert left == sorted(path.name for path in (alone / "checkpoints").iterdir()), left


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def main(folder: Path, kills: int, seed: int) -> None:
    """Kill `kills` times, over as many runs as it takes; print how many runs and how many kills in writes."""
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    tasks.create("bfs").sample(size=4, batch_size=1)  # load the kernels once, before the forks
    alone = folder / "alone"
    assert wait(child(alone)) == 0
    draw = random.Random(seed)
    done, runs = 0, 0
    while done < kills:
        killed = folder / f"killed-{runs}"
        runs += 1
        while done < kills and kill_once(killed, draw):
            done += 1
        assert wait(child(killed)) == 0
        compare(alone, killed)
    print(f"{done} kills over {runs} runs")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
