"""Processors on tasks: every pair builds, learns, and the processor is what learns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

import tasks
import zoo
from tasks.batch import Batch
from tests.objective import total_loss
from trainers.task_sets import members
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
SIZE, STEPS, PATIENCE, LEARNING_RATE = 6, 50, 4, 1e-2
SAMPLES = {"subset_sum": 6}
# Of questions about graphs the size is the lesson, the first of which has some fifty steps already.
SIZES = dict.fromkeys(["graph_traversal", "graph_shortest_path", "graph_inference"], 1)
ROUNDING = 1e-14

# Of the thirty of CLRS, those that between them have every kind of probe.
CLRS = ["bellman_ford", "bfs", "floyd_warshall", "heapsort", "insertion_sort", "lcs_length", "segments_intersect"]
REST = sorted(set(tasks.list_tasks(ready=True)) - set(members("clrs30")))
# Each of these meets each of the spine by default, and all other tasks in the slow tests. Of the rest every task meets
# one processor and every processor a few tasks.
CORE = {"deep_sets", "dnc", "lstm", "mpnn", "ntm", "pgn", "residual_shuffle_exchange"}
SPINE = [*CLRS, "copy", "associative_recall", "disjoint_set"]


def _pairs() -> Iterator[Any]:
    """Pairs of a processor and a task."""
    processors = zoo.list_processors()
    for p, processor in enumerate(processors):
        few = {SPINE[(p + k) % len(SPINE)] for k in (0, 4, 7)}
        for t, task in enumerate(CLRS + REST):
            if task in (SPINE if processor in CORE else few) or t % len(processors) == p:
                yield pytest.param(processor, task)
            elif processor in CORE:
                yield pytest.param(processor, task, marks=pytest.mark.slow)


pairs = pytest.mark.parametrize(("processor", "task"), list(_pairs()))


def build(processor: str, task: tasks.Task, hidden_size: int = 16) -> Reasoner:
    torch.manual_seed(0)
    return Reasoner(task.spec, zoo.create(processor, hidden_size=hidden_size, **SMALL.get(processor, {})))


def small(task: tasks.Task) -> Batch:
    """Two samples, or more where two have the same answer."""
    return task.sample(
        seed=0, batch_size=SAMPLES.get(task.name, 2), size=max(SIZES.get(task.name, SIZE), task.min_size)
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
    batch = small(task)
    model = build(processor, task)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    first = loss = total_loss(model, batch)
    for step in range(PATIENCE * STEPS):
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss = total_loss(model, batch)
        if loss.item() < 0.5 * first.item() or (step + 1) % STEPS == 0:  # half is well below what is asked
            with silenced(model):
                owed = total_loss(model, batch).item() > loss.item()
            if owed and loss.item() <= 0.75 * first.item():
                return
    pytest.fail(f"from {first.item()} to {loss.item()}, owed to the processor: {owed}")


@pairs
def test_gradient_reaches_every_processor_parameter_that_a_step_uses(processor, task):
    """A parameter is used if the loss depends on it: if moving it moves the loss."""
    torch.set_default_dtype(torch.float64)
    try:
        task = tasks.create(task, **SHORT.get(task, {}))
        batch = small(task)
        batch = batch.map(lambda value: value.double() if value.is_floating_point() else value)
        model = build(processor, task, hidden_size=8)
        loss = total_loss(model, batch)
        loss.backward()
        with torch.no_grad():
            for name, parameter in model.processor.named_parameters():
                kept = parameter.clone()
                parameter += 1e-3 * torch.randn_like(parameter)
                used = total_loss(model, batch).item() != loss.item()
                parameter.copy_(kept)
                reached = parameter.grad is not None and parameter.grad.abs().max().item() > ROUNDING
                assert reached == used, f"{name}: used {used}, gradient reached {reached}"
    finally:
        torch.set_default_dtype(torch.float32)
