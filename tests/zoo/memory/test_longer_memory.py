"""Weights trained with few slots in a memory with more: what must not change, and what does by definition."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from tests.zoo.cases import SMALL, make, unroll
from tests.zoo.graphs import random_graphs, random_inputs
from zoo.processor import Processor, config_options

TOKENS, STEPS = 6, 2
SLOTS, MORE = 16, 40  # both hold all tokens of all steps
SOUGHT = ("adnc", "dnc", "sam", "sdnc")
"""Content is looked for in all slots: an empty one resembles a key a little too (a cosine of 0)."""
PER_SLOT = {
    "memnet": "a sentence's place has a bias of its own",
    "ntm": "heads start at learned weightings of the slots",
}
"""Processors with parameters for each slot, and which they are."""
EVERY = [name for name in zoo.list_processors() if "slots" in config_options(zoo.describe(name).config)]


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def built(name: str, slots: int) -> Processor:
    """A processor whose weights are large enough that every mechanism acts."""
    options: dict[str, Any] = SMALL[name] | {"slots": slots}
    processor = make((name, options))
    with torch.no_grad():
        for parameter in processor.parameters():
            parameter.normal_(std=0.7)
    return processor


def results(name: str) -> tuple[list[Tensor], list[Tensor]]:
    """Hidden latents after every step, in the smaller memory and in the larger."""
    tight, roomy = built(name, SLOTS), built(name, MORE)
    roomy.load_state_dict(tight.state_dict())
    topology = random_graphs([TOKENS, 4]).dense
    inputs = random_inputs(topology, tight.input_size)
    first, second = ([step.hidden.nodes for step in unroll(one, inputs, topology, STEPS)] for one in (tight, roomy))
    return first, second


@pytest.mark.parametrize("name", [name for name in EVERY if name not in SOUGHT and name not in PER_SLOT])
def test_slots_that_are_not_reached_change_nothing(name: str) -> None:
    for tight, roomy in zip(*results(name), strict=True):
        torch.testing.assert_close(roomy, tight, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SOUGHT)
def test_what_is_sought_by_content_is_sought_in_every_slot(name: str) -> None:
    tight, roomy = results(name)
    assert all(each.isfinite().all() for each in roomy)
    assert (roomy[-1] - tight[-1]).abs().max() > 1e-4


@pytest.mark.parametrize("name", PER_SLOT)
def test_parameters_of_a_slot_fit_no_other_number_of_slots(name: str) -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        results(name)
