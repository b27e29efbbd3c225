"""Every registered processor stays finite: many steps, large inputs, an empty memory, gates fully open or shut."""

from __future__ import annotations

import pytest
import torch
from torch.utils._pytree import tree_map_only

import zoo
from tests.zoo.cases import SMALL, make, tensors
from tests.zoo.graphs import random_graphs, random_inputs
from zoo.processor import Inputs, Processor, Step, map_state
from zoo.topology import DenseTopology

FEW, MANY = 50, 2000
LAST = 3
"""Steps at the end that are differentiated."""
FRAMES, LARGE = 8, 1e3
"""Inputs that come in turn, and how much larger they are than a normal draw."""
SATURATED = 100
"""Factor on parameters after which gates are open or shut."""
UNBOUNDED = {
    "iter_gnn": ["confidence"],
    "matrix_shuffle_exchange": ["residual"],
    "neural_executor": ["terminate"],
    "persistent_message_passing": ["persistency_head", "relevance_head"],
    "pgn": ["modify_head", "pointer_head"],
    "pointer_graph": ["modify_head", "pointer_head"],
}
"""Processors whose hidden latents neither a norm nor a squashing bounds: with all weights a hundredfold, they would
grow as much at every step. Only what decides is made larger there."""


def saturate(name: str, processor: Processor) -> None:
    """Make gates, heads and whatever else squashes its argument decide for one side."""
    deciding = UNBOUNDED.get(name)
    chosen = {path: p for path, p in processor.named_parameters() if not deciding or {*deciding} & {*path.split(".")}}
    assert all(any(part in path.split(".") for path in chosen) for part in deciding or ())
    with torch.no_grad():
        for parameter in chosen.values():
            parameter *= SATURATED


def large_inputs(processor: Processor, topology: DenseTopology) -> list[Inputs]:
    """Random inputs of some steps."""
    drawn = [random_inputs(topology, processor.input_size) for _ in range(FRAMES)]
    return [tree_map_only(torch.Tensor, lambda x: LARGE * x, inputs) for inputs in drawn]


def finite(step: Step) -> bool:
    """Whether all values are finite, and heads numbers: an edge that is not there has a pointer's logit of -inf."""
    values = [x for x in tensors((step.hidden, step.state, step.penalties)) if x.is_floating_point()]
    return all(x.isfinite().all() for x in values) and not any(x.isnan().any() for x in tensors(step.heads))


@pytest.mark.parametrize("steps", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("start", ["zero memory", "saturated gates"])
@pytest.mark.parametrize("name", zoo.list_processors())
def test_many_steps_of_large_inputs_stay_finite(name: str, start: str, precision: torch.dtype, steps: int) -> None:
    processor = make((name, SMALL.get(name, {})))
    if start == "saturated gates":
        saturate(name, processor)
    topology = random_graphs([4, 2]).dense
    frames = large_inputs(processor, topology)
    with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
        with torch.no_grad():
            hidden, state = processor.initial(frames[0], topology)
            if start == "zero memory":
                state = map_state(torch.zeros_like, state)
            for number in range(steps - LAST):
                step = processor(frames[number % FRAMES], hidden, topology, state)
                assert finite(step), f"step {number}"
                hidden, state = step.hidden, step.state
        loss = torch.zeros(())
        for number in range(steps - LAST, steps):
            step = processor(frames[number % FRAMES], hidden, topology, state)
            assert finite(step), f"step {number}"
            hidden, state = step.hidden, step.state
            loss = loss + hidden.nodes.float().mean()
    loss.backward()
    for path, parameter in processor.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), path
