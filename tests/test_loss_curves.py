"""Twenty steps of training, to the last digits that matter: a refactoring that changes nothing changes no loss.

After a change that is meant to change them, write them anew: `python -m tests.test_loss_curves`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import tasks
import zoo
from trainers.trainer import Trainer
from trainers.trainer_config import TrainerConfig

GOLDEN = Path(__file__).parent / "golden" / "loss_curves.json"
TASKS = {"bfs": (4, 6), "insertion_sort": (5,), "disjoint_set": (4,), "copy": (2,)}
MEMORY = {"controller_size": 8, "slots": 6, "word": 4}
SMALL = {"ntm": MEMORY, "dnc": MEMORY | {"read_heads": 2}, "adnc": MEMORY | {"read_heads": 2}}
SMALL |= {"sdnc": MEMORY | {"read_heads": 2}, "sam": MEMORY | {"read_heads": 2}}
STRUCTURE = {"controller_size": 8, "slots": 6, "word": 4}
SMALL |= {"neural_stack": STRUCTURE, "neural_queue": STRUCTURE, "neural_deque": STRUCTURE}
SMALL |= {"stack_rnn": {"stacks": 2, "slots": 6}, "baby_ntm": {"slots": 6}, "suzgun_stack_rnn": {"slots": 6}}
CURVES = [(processor, "bfs") for processor in zoo.list_processors()] + [
    ("mpnn", "insertion_sort"),
    ("pgn", "disjoint_set"),
    ("pointer_graph", "disjoint_set"),
    ("ntm", "copy"),
    ("dnc", "copy"),
]


def curve(processor: str, task: str) -> list[float]:
    """Losses of twenty steps in float64 from a fixed seed."""
    made = tasks.create(task)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    try:
        model = zoo.Reasoner(
            made.spec,
            zoo.create(processor, hidden_size=8, **SMALL.get(processor, {})),
            config=zoo.ReasonerConfig(teacher_forcing=0.5),
        )
        losses: list[float] = []
        config = TrainerConfig(
            max_steps=20, batch_size=4, sizes=TASKS[task], val_every=0, precision="float64", device="cpu", prefetch=0
        )
        Trainer(model, made, config, on_progress=lambda p: losses.append(p.metrics["train/loss"])).fit()
    finally:
        torch.set_default_dtype(torch.float32)
    return losses


@pytest.mark.parametrize(("processor", "task"), CURVES)
def test_losses_are_those_of_before(processor: str, task: str) -> None:
    expected = json.loads(GOLDEN.read_text("utf-8"))[f"{processor} on {task}"]
    assert curve(processor, task) == pytest.approx(expected, rel=1e-7)


if __name__ == "__main__":
    torch.set_num_threads(1)
    curves = {f"{processor} on {task}": curve(processor, task) for processor, task in CURVES}
    lines = (f"  {json.dumps(name)}: {json.dumps(losses)}" for name, losses in curves.items())
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
