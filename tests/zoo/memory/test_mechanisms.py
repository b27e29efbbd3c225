"""What the memories' mechanisms promise: addressing, allocation, links, at ordinary values and at the extremes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.zoo.memory.cells import DNC_SETTINGS, NTM_SETTINGS, make, tokens
from zoo.memory.addressing import content_weighting, cosine_similarity, read, sharpen, write
from zoo.memory.dnc import NORM_EPSILON, DNCCell
from zoo.memory.links import SparseLink, update_link, update_precedence
from zoo.memory.ntm import SHARPEN_EPSILON, rotate
from zoo.memory.usage import USAGE_EPSILON, allocation, retention, update_usage


def weightings(*shape: int) -> Tensor:
    """Random ones, summing to one."""
    return torch.randn(*shape, dtype=torch.float64).softmax(-1)


def states_along(cell: Any, length: int = 6) -> list[Any]:
    """The states after each token of a run from the initial state."""
    xs = tokens(length=length)
    state = cell.initial(len(xs), like=xs)
    states = []
    with torch.no_grad():
        for x in xs.unbind(1):
            state = cell(x, state)[1]
            states.append(state)
    return states


@pytest.mark.parametrize("name", NTM_SETTINGS)
def test_ntm_weightings_sum_to_one(name: str) -> None:
    for state in states_along(make(name)):
        for weighting in (state.read_weightings, state.write_weightings):
            assert (weighting >= 0).all()
            torch.testing.assert_close(weighting.sum(2), torch.ones_like(weighting[:, :, 0]))


@pytest.mark.parametrize("name", DNC_SETTINGS)
def test_dnc_weightings_and_links_sum_to_at_most_one(name: str) -> None:
    for state in states_along(make(name)):
        link = state.link.dense() if isinstance(state.link, SparseLink) else state.link
        links = (link, link.mT) if len(link) else ()
        for weighting in (state.read_weightings, state.write_weightings, state.precedence, *links):
            assert (weighting >= 0).all()
            assert (weighting.sum(-1) <= 1 + 1e-9).all()
        assert not links or not link.diagonal(dim1=2, dim2=3).any()
        assert ((state.usage >= 0) & (state.usage <= 1)).all()


def test_content_weighting_finds_the_slot_of_the_key() -> None:
    memory = torch.eye(5, dtype=torch.float64)[None] * 3
    found = content_weighting(memory, memory[:, [3]], torch.full((1, 1), 50.0, dtype=torch.float64), epsilon=1e-12)
    assert found[0, 0, 3] > 0.999


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("zero", ["memory", "keys", "both"])
def test_similarity_of_zeros_is_zero_with_a_finite_gradient(zero: str, dtype: torch.dtype) -> None:
    memory = (torch.randn(2, 4, 3, dtype=dtype) * (zero == "keys")).requires_grad_()
    keys = (torch.randn(2, 2, 3, dtype=dtype) * (zero == "memory")).requires_grad_()
    similarity = cosine_similarity(memory, keys, epsilon=NORM_EPSILON)
    assert not similarity.any()
    similarity.sum().backward()
    for tensor in (memory, keys):
        assert tensor.grad is not None and tensor.grad.isfinite().all()


def test_rotation_moves_slots_around_the_end() -> None:
    weighting = torch.tensor([[[0.0, 0.2, 0.0, 0.8]]])
    for offset in range(-2, 3):
        shift = torch.zeros(1, 1, 5)
        shift[0, 0, offset + 2] = 1
        torch.testing.assert_close(rotate(weighting, shift), weighting.roll(offset, 2))


def test_sharpening_by_one_is_nothing_and_by_much_is_the_largest() -> None:
    weighting = weightings(2, 3, 5)
    torch.testing.assert_close(
        sharpen(weighting, torch.ones(2, 3, dtype=torch.float64), epsilon=SHARPEN_EPSILON), weighting
    )
    sharp = sharpen(weighting, torch.full((2, 3), 1e4, dtype=torch.float64), epsilon=SHARPEN_EPSILON)
    assert (sharp.argmax(2) == weighting.argmax(2)).all()
    assert (sharp.amax(2) > 0.999).all()


@pytest.mark.parametrize("weighting", [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1e-38, 1e-38, 0.0], [1 / 3] * 3])
@pytest.mark.parametrize("sharpness", [1.0, 21.0, 1e4])
def test_sharpening_is_finite_at_the_extremes(weighting: list[float], sharpness: float) -> None:
    before = torch.tensor([[weighting]], requires_grad=True)
    power = torch.tensor([[sharpness]], requires_grad=True)
    after = sharpen(before, power, epsilon=SHARPEN_EPSILON)
    torch.testing.assert_close(after.sum(), torch.tensor(1.0))
    (after * torch.tensor([1.0, -2.0, 3.0])).sum().backward()
    for tensor in (before, power):
        assert tensor.grad is not None and tensor.grad.isfinite().all()


def test_reading_what_was_written_gives_it_back() -> None:
    memory = torch.randn(2, 4, 3, dtype=torch.float64)
    one_slot = torch.zeros(2, 1, 4, dtype=torch.float64)
    one_slot[:, 0, 2] = 1
    value = torch.randn(2, 1, 3, dtype=torch.float64)
    after = write(memory, one_slot, torch.ones_like(value), value)
    torch.testing.assert_close(read(after, one_slot), value)
    torch.testing.assert_close(after[:, [0, 1, 3]], memory[:, [0, 1, 3]])


def test_all_heads_erase_before_any_adds() -> None:
    memory = torch.randn(2, 4, 3, dtype=torch.float64)
    slot = torch.zeros(2, 2, 4, dtype=torch.float64)
    slot[:, :, 1] = 1
    add = torch.randn(2, 2, 3, dtype=torch.float64)
    after = write(memory, slot, torch.ones_like(add), add)
    torch.testing.assert_close(after[:, 1], add.sum(1))


def test_allocation_prefers_unused_slots() -> None:
    used = torch.tensor([[0.9, 0.1, 1.0, 0.4]], dtype=torch.float64)
    free = allocation(used)[0]
    assert free[1] > free[3] > free[0] > free[2]
    torch.testing.assert_close(free[1], 1 - used[0, 1], rtol=0, atol=1e-5)


def test_allocation_of_an_empty_memory_is_its_first_slot() -> None:
    torch.testing.assert_close(allocation(torch.zeros(1, 5))[0], torch.eye(5)[0], rtol=0, atol=2e-6)


def test_allocation_of_a_full_memory_is_nothing() -> None:
    assert allocation(torch.ones(1, 5)).abs().max() <= USAGE_EPSILON


@pytest.mark.parametrize("used", [[0.0] * 4, [1.0] * 4, [0.0, 1.0, 0.0, 0.5]])
def test_allocation_has_a_finite_gradient_at_the_extremes(used: list[float]) -> None:
    usage = torch.tensor([used], requires_grad=True)
    (allocation(usage) * torch.arange(4)).sum().backward()
    assert usage.grad is not None and usage.grad.isfinite().all()


def test_with_the_allocation_gate_open_the_free_slot_is_written() -> None:
    cell = make("dnc")
    assert isinstance(cell, DNCCell)
    with torch.no_grad():
        cell.interface.weight.zero_()
        cell.interface.bias.zero_()
        *_, allocation_gate, write_gate = cell.interface.bias.split(cell.widths)[:7]
        allocation_gate.fill_(20)
        write_gate.fill_(20)
    xs = tokens(length=1)
    state = cell.initial(3, like=xs)
    used = torch.ones_like(state.usage)
    used[0, 4] = used[1, 0] = used[2, 6] = 0
    with torch.no_grad():
        _, after = cell(xs[:, 0], state._replace(usage=used))
    torch.testing.assert_close(after.write_weightings[:, 0], 1 - used, rtol=0, atol=1e-5)


def test_free_gates_release_what_was_read() -> None:
    usage, nothing = torch.ones(1, 3), torch.zeros(1, 1, 3)
    reading = torch.eye(3)[None, :1]
    freed = update_usage(usage, nothing, retention(reading, torch.ones(1, 1)))
    torch.testing.assert_close(freed, torch.tensor([[0.0, 1, 1]]))
    torch.testing.assert_close(update_usage(usage, nothing, retention(reading, torch.zeros(1, 1))), usage)


def test_links_follow_the_order_of_writes() -> None:
    order = [2, 0, 3, 1]
    link, precedence = torch.zeros(1, 4, 4), torch.zeros(1, 4)
    for slot in order:
        writing = torch.eye(4)[None, slot]
        link = update_link(link, precedence, writing)
        precedence = update_precedence(precedence, writing)
    expected = torch.zeros(4, 4)
    for before, after in pairwise(order):
        expected[after, before] = 1
    torch.testing.assert_close(link[0], expected)
    torch.testing.assert_close(precedence[0], torch.eye(4)[order[-1]])


@pytest.mark.parametrize("name", ["ntm", "ntm-heads", "ntm-feedforward", "dnc", "dnc-google", "dnc-csordas", "dnc-all"])
@pytest.mark.parametrize("scan", ["loop", "scan"])
@pytest.mark.parametrize("scale", [0.0, 1e3])
def test_values_and_gradients_stay_finite_at_zero_memory_and_extreme_interfaces(
    name: str, scan: str, scale: float
) -> None:
    cell = make(name).float()
    with torch.no_grad():
        cell.interface.weight *= scale  # type: ignore[union-attr, operator]
        cell.interface.bias *= scale  # type: ignore[union-attr, operator]
    xs = tokens(length=12).float()
    state = cell.initial(3, like=xs)
    state = state._replace(memory=torch.zeros_like(state.memory))
    ys, after = getattr(cell, scan)(xs, state)
    (ys.sum() + after.memory.square().sum()).backward()
    assert ys.isfinite().all() and after.memory.isfinite().all()
    for parameter_name, parameter in cell.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), parameter_name
