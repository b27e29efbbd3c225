"""Every processor on every task of the spine: it builds, learns, and the processor is what learns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

import tasks
import zoo
from tasks.algorithms.array_task import ArrayTask
from tasks.algorithms.graph_task import GraphTask
from tasks.batch import Batch
from trainers.losses import PENALTY, Supervised
from zoo.processor import Inputs, Latents, State, Step
from zoo.reasoner import Reasoner
from zoo.topology import Topology

MEMORY = {"controller_size": 16, "slots": 8, "word": 6}
SMALL = {"ntm": MEMORY, "dnc": MEMORY | {"read_heads": 2}, "adnc": MEMORY | {"read_heads": 2}}
STRUCTURE = {"controller_size": 16, "slots": 16, "word": 6}
SMALL |= {"baby_ntm": {"slots": 8}, "suzgun_stack_rnn": {"slots": 8}}
SMALL |= {"neural_stack": STRUCTURE, "neural_queue": STRUCTURE, "neural_deque": STRUCTURE}
SMALL |= {"stack_rnn": {"stacks": 2, "slots": 8}, "sam": MEMORY | {"read_heads": 2}, "sdnc": MEMORY | {"read_heads": 2}}
SMALL |= {"transformer": {"layers": 2}}
# Ten repeats make long sequences, which would cost more than all other tasks together.
SHORT = {"repeat_copy": {"max_repeats": 2}}
SIZE, STEPS, LEARNING_RATE = 6, 50, 1e-2
ROUNDING = 1e-14

# Of the thirty of CLRS, those that between them have every kind of probe.
CLRS = ["bellman_ford", "bfs", "floyd_warshall", "heapsort", "insertion_sort", "lcs_length", "segments_intersect"]
REST = [
    name for name in tasks.list_tasks(ready=True) if not issubclass(tasks.describe(name).cls, ArrayTask | GraphTask)
]

pairs = pytest.mark.parametrize(("processor", "task"), [(p, t) for p in zoo.list_processors() for t in CLRS + REST])


def build(processor: str, task: tasks.Task, hidden_size: int = 16) -> Reasoner:
    torch.manual_seed(0)
    return Reasoner(task.spec, zoo.create(processor, hidden_size=hidden_size, **SMALL.get(processor, {})))


def total(model: Reasoner, batch: Batch) -> Tensor:
    """The trainer's loss: every term's mean, summed."""
    objective = Supervised()
    counts = objective.counts(batch)
    sums = objective(batch, model(batch))
    return sum(
        objective.weight(batch, name) * value / max(1, counts[PENALTY if name.startswith(PENALTY) else name])
        for name, value in sums.items()
    )


@contextmanager
def silenced(model: Reasoner) -> Iterator[None]:
    """Hidden latents of the processor set to zero after every step."""

    def zero(module: torch.nn.Module, args: tuple[Inputs, Latents, Topology, State], step: Step) -> Step:
        return step._replace(hidden=Latents(*(None if x is None else torch.zeros_like(x) for x in step.hidden)))

    hook = model.processor.register_forward_hook(zero)
    yield
    hook.remove()


@pairs
def test_every_pair_learns_and_owes_it_to_the_processor(processor, task):
    task = tasks.create(task, **SHORT.get(task, {}))
    batch = task.sample(seed=0, batch_size=2, size=max(SIZE, task.min_size))
    model = build(processor, task)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    first = loss = total(model, batch)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss = total(model, batch)
        if loss.item() < 0.5 * first.item():  # well below what is asked
            break
    assert loss.item() <= 0.75 * first.item()
    with silenced(model):
        assert total(model, batch).item() > loss.item()


@pairs
def test_gradient_reaches_every_processor_parameter_that_a_step_uses(processor, task):
    """A parameter is used if the loss depends on it: if moving it moves the loss."""
    torch.set_default_dtype(torch.float64)
    try:
        task = tasks.create(task, **SHORT.get(task, {}))
        batch = task.sample(seed=0, batch_size=2, size=max(SIZE, task.min_size))
        batch = batch.map(lambda value: value.double() if value.is_floating_point() else value)
        model = build(processor, task, hidden_size=8)
        loss = total(model, batch)
        loss.backward()
        with torch.no_grad():
            for name, parameter in model.processor.named_parameters():
                kept = parameter.clone()
                parameter += 1e-3 * torch.randn_like(parameter)
                used = total(model, batch).item() != loss.item()
                parameter.copy_(kept)
                reached = parameter.grad is not None and parameter.grad.abs().max().item() > ROUNDING
                assert reached == used, f"{name}: used {used}, gradient reached {reached}"
    finally:
        torch.set_default_dtype(torch.float32)
