"""The hand-written maximum of messages against ordinary operators: values, derivatives, derivatives of those."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo.chunks as module
from zoo.message_max import message_max, message_max_plain


def arguments(
    batch: int, nodes: int, hidden: int, *, channels: int, layers: int, masked: bool, ties: bool
) -> list[Any]:
    """Random arguments; small whole numbers where messages should tie."""

    def draw(*shape: int) -> Tensor:
        values = torch.randint(-1, 2, shape).double() if ties else torch.randn(shape, dtype=torch.float64)
        return values.requires_grad_()

    edges = (draw(batch, nodes, nodes, channels), draw(hidden, channels)) if channels else None
    stack = [t for _ in range(layers) for t in (draw(hidden, hidden), draw(hidden))]
    mask = torch.rand(batch, nodes, nodes) < 0.3 if masked else None
    return [draw(batch, nodes, hidden), draw(batch, nodes, hidden), edges, stack, mask]


def leaves(given: list[Any]) -> list[Tensor]:
    return [given[0], given[1], *(given[2] or ()), *given[3]]


@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "products"])
@pytest.mark.parametrize("chunk", [2**18, 400, 50, 1], ids=lambda chunk: f"chunk={chunk}")
def test_values_and_derivatives(chunk: int, kernels: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole batches, some graphs, some receivers, one receiver at a time."""
    monkeypatch.setattr(module, "CHUNK", chunk)
    monkeypatch.setattr("zoo.message_max.HAS_NUMBA", kernels)
    tied = 0
    for layers, masked, channels, ties in itertools.product((0, 1, 3), (False, True), (0, 3), (False, True)):
        given = arguments(5, 7, 4, channels=channels, layers=layers, masked=masked, ties=ties)
        expected, found = message_max_plain(*given), message_max(*given)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
        weight = torch.randn_like(expected)
        for a, b in zip(
            torch.autograd.grad((found * weight).sum(), leaves(given)),
            torch.autograd.grad((expected * weight).sum(), leaves(given)),
            strict=True,
        ):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-9)
        if ties and not (layers or channels or masked):
            tied = int((given[0] == given[0].amax(1, keepdim=True)).sum()) - given[0][:, 0].numel()
    assert tied > 0


def test_several_chunks_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sizes above do cut where they say: by graphs, by receivers, to one receiver."""
    for chunk, count in ((2**18, 1), (400, 3), (50, 5 * 7), (1, 5 * 7)):
        monkeypatch.setattr(module, "CHUNK", chunk)
        parts = list(module.chunks(5, 7, 4))
        assert len(parts) == count
        covered = torch.zeros(5, 7, dtype=torch.long)
        for part in parts:
            covered[part] += 1
        assert (covered == 1).all()


@pytest.mark.parametrize("masked", [False, True])
def test_second_derivative(masked: bool) -> None:
    given = arguments(2, 3, 3, channels=2, layers=2, masked=masked, ties=False)

    def values(senders: Tensor, receivers: Tensor, edges: Tensor, weight: Tensor, *layers: Tensor) -> Tensor:
        return message_max(senders, receivers, (edges, weight), layers, given[4])

    assert torch.autograd.gradcheck(values, leaves(given), fast_mode=True)
    assert torch.autograd.gradgradcheck(values, leaves(given), fast_mode=True)


def test_some_inputs_without_gradient() -> None:
    given = arguments(2, 3, 3, channels=2, layers=1, masked=False, ties=False)
    given[2][0].requires_grad_(False)
    given[3][0].requires_grad_(False)
    wanted = [t for t in leaves(given) if t.requires_grad]
    found, expected = (torch.autograd.grad(f(*given).sum(), wanted) for f in (message_max, message_max_plain))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_function_transforms_take_ordinary_operators() -> None:
    senders = torch.randn(3, 4, 2)
    assert module.by_hand(senders)
    allowed = []

    def total(x: Tensor) -> Tensor:
        allowed.append(module.by_hand(x))
        return x.sum()

    torch.func.grad(total)(senders)
    assert allowed == [False]
