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


@pytest.mark.parametrize("layers", [0, 2])
@pytest.mark.parametrize("masked", [False, True])
def test_second_derivative(masked: bool, layers: int) -> None:
    given = arguments(2, 3, 3, channels=2, layers=layers, masked=masked, ties=False)

    def values(senders: Tensor, receivers: Tensor, edges: Tensor, weight: Tensor, *layers: Tensor) -> Tensor:
        return message_max(senders, receivers, (edges, weight), layers, given[4])

    assert torch.autograd.gradcheck(values, leaves(given), fast_mode=True)
    assert torch.autograd.gradgradcheck(values, leaves(given), fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [0, 1, 8, 9])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("hidden", [33, 600])
def test_sums_without_layers_on_more_nodes(
    hidden: int, ties: bool, masked: bool, channels: int, dtype: torch.dtype
) -> None:
    """More receivers than a block of the kernel has, a node that hears nobody, and more channels than it takes."""
    given = arguments(2, 19, hidden, channels=channels, layers=0, masked=masked, ties=ties)
    if masked:
        given[4][:, :, 5] = False
    given[:2] = [x.detach().to(dtype).requires_grad_() for x in given[:2]]
    given[2] = given[2] and tuple(x.detach().to(dtype).requires_grad_() for x in given[2])
    found, expected = message_max(*given), message_max_plain(*given)
    assert type(found.grad_fn).__name__ == ("_MessageMaxBackward" if channels > 8 else "_MaxOfSumsBackward")
    torch.testing.assert_close(found, expected)
    assert not masked or not found[:, 5].any()
    grad = torch.randn_like(expected)
    for a, b in zip(*(torch.autograd.grad(y, leaves(given), grad) for y in (found, expected)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_what_is_no_number_stays_seen() -> None:
    given = arguments(2, 9, 4, channels=2, layers=0, masked=True, ties=False)
    given[2][0].data[0, 3, 1] = torch.nan
    given[4][0, 3, 1] = True
    found = message_max(*given).isnan()
    assert torch.equal(found, message_max_plain(*given).isnan()) and found[0, 1].all() and found.sum() == 4


@pytest.mark.parametrize("layers", [0, 1])
def test_some_inputs_without_gradient(layers: int) -> None:
    given = arguments(2, 3, 3, channels=2, layers=layers, masked=False, ties=False)
    given[2][0].requires_grad_(False)
    for weight in given[3][:1]:
        weight.requires_grad_(False)
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
