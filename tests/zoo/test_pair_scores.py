"""The hand-written scores of pairs against ordinary operators: values, derivatives, derivatives of those."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

import zoo.chunks as module
from zoo.pair_scores import pair_scores, pair_scores_plain


def arguments(batch: int, nodes: int, hidden: int, *, channels: int, ties: bool) -> list[Tensor]:
    """Senders, receivers, output vector, then edges and their map; whole numbers where the two terms should tie."""

    def draw(*shape: int) -> Tensor:
        values = torch.randint(-1, 2, shape).double() if ties else torch.randn(shape, dtype=torch.float64)
        return values.requires_grad_()

    edges = [draw(batch, nodes, nodes, channels), draw(hidden, channels)] if channels else []
    return [draw(batch, nodes, hidden), draw(batch, nodes, hidden), draw(hidden), *edges]


def by_hand(senders: Tensor, receivers: Tensor, out: Tensor, *edges: Tensor) -> Tensor:
    return pair_scores(senders, receivers, edges or None, out)  # type: ignore[arg-type]


def plain(senders: Tensor, receivers: Tensor, out: Tensor, *edges: Tensor) -> Tensor:
    return pair_scores_plain(senders, receivers, edges or None, out)  # type: ignore[arg-type]


@pytest.mark.parametrize("chunk", [2**18, 400, 50, 1], ids=lambda chunk: f"chunk={chunk}")
def test_values_and_derivatives(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    for channels, ties in itertools.product((0, 3), (False, True)):
        given = arguments(5, 7, 4, channels=channels, ties=ties)
        found, expected = by_hand(*given), plain(*given)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
        weight = torch.randn_like(expected)
        for a, b in zip(
            torch.autograd.grad((found * weight).sum(), given),
            torch.autograd.grad((expected * weight).sum(), given),
            strict=True,
        ):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-9)
        if ties and not channels:
            assert (given[0][:, :, None] == given[1][:, None]).any()


def test_second_derivative() -> None:
    given = arguments(2, 3, 3, channels=2, ties=False)
    assert torch.autograd.gradcheck(by_hand, given, fast_mode=True)
    assert torch.autograd.gradgradcheck(by_hand, given, fast_mode=True)


def test_some_inputs_without_gradient() -> None:
    given = arguments(2, 3, 3, channels=2, ties=False)
    given[3].requires_grad_(False)
    wanted = [t for t in given if t.requires_grad]
    found, expected = (torch.autograd.grad(f(*given).sum(), wanted) for f in (by_hand, plain))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
