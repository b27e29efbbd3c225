"""Max-plus maps and products against plain operators, values and derivatives, and the laws that they are made for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import zoo.max_plus as module
from zoo.max_plus import max_plus, max_plus_plain, max_plus_product, max_plus_product_plain

SHAPES = [((3, 5, 4), 6), ((1, 1), 1), ((7, 2), 9)]


@pytest.mark.parametrize("chunk", [1, 40, 2**18])
@pytest.mark.parametrize(("shape", "outputs"), SHAPES)
def test_values_and_gradients_are_the_plain_ones(shape, outputs: int, chunk: int, monkeypatch) -> None:
    """Ties included: numbers of few values."""
    monkeypatch.setattr(module, "CHUNK", chunk)
    values = torch.randint(-1, 2, shape).double().requires_grad_()
    weight = torch.randint(-1, 2, (outputs, shape[-1])).double().requires_grad_()
    found, expected = max_plus(values, weight), max_plus_plain(values, weight)
    assert torch.equal(found, expected)
    grad = torch.randn_like(expected)
    for a, b in zip(*(torch.autograd.grad(y, (values, weight), grad) for y in (found, expected)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_the_derivative_has_one() -> None:
    values = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(max_plus, (values, weight))
    assert torch.autograd.gradgradcheck(lambda x, w: max_plus(x * x, w), (values, weight))


def test_maps_pass_through_maxima_and_compose() -> None:
    x, y = torch.randn(2, 6, 4, dtype=torch.float64)
    a, b = torch.randn(3, 4, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    assert torch.equal(max_plus(torch.maximum(x, y), a), torch.maximum(max_plus(x, a), max_plus(y, a)))
    product = max_plus(b, a.T.contiguous())
    torch.testing.assert_close(max_plus(max_plus(x, a), b), max_plus(x, product))


def factors(
    shape: tuple[int, int, int], *, dtype: torch.dtype = torch.float64, ties: bool = False, turned: bool = False
) -> list[Tensor]:
    """Two batches of matrices, `[2, 3, i, m]` and `[2, 3, m, j]`; the first stored the other way round if `turned`."""
    i, m, j = shape
    left, right = (
        torch.randint(-1, 2, x).to(dtype) if ties else torch.randn(x, dtype=dtype) for x in ((2, 3, i, m), (2, 3, m, j))
    )
    left = left.mT.contiguous().mT if turned else left
    return [left.requires_grad_(), right.requires_grad_()]


@pytest.fixture(params=[2**18, 700, 90, 1], ids=lambda chunk: f"chunk={chunk}")
def way(request, monkeypatch: pytest.MonkeyPatch) -> None:
    """In chunks of some size."""
    monkeypatch.setattr(module, "CHUNK", request.param)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 5, 5), (2, 3, 5), (7, 1, 33), (1, 70, 2)])
def test_products_and_their_gradients_are_the_plain_ones(
    shape: tuple[int, int, int], ties: bool, turned: bool, way: None
) -> None:
    for dtype in (torch.float32, torch.float64):
        given = factors(shape, dtype=dtype, ties=ties, turned=turned)
        found, expected = max_plus_product(*given), max_plus_product_plain(*given)
        assert torch.equal(found, expected)
        grad = torch.randn_like(expected)
        for a, b in zip(*(torch.autograd.grad(y, given, grad) for y in (found, expected)), strict=True):
            torch.testing.assert_close(a, b)


def test_the_derivative_of_products_has_one(way: None) -> None:
    given = factors((3, 4, 2))
    assert torch.autograd.gradcheck(max_plus_product, given)
    assert torch.autograd.gradgradcheck(lambda x, y: max_plus_product(x * x, y), given)


@pytest.mark.parametrize("broken", [0, 2, 4])
def test_what_is_no_number_stays_seen_in_products(broken: int, way: None) -> None:
    left, right = (factor.detach() for factor in factors((5, 5, 5)))
    left[0, 2, 1, broken] = torch.nan
    found = max_plus_product(left, right).isnan()
    assert torch.equal(found, max_plus_product_plain(left, right).isnan()) and found.sum() == 5


def test_a_place_of_minus_infinity_has_no_part_in_products(way: None) -> None:
    left, right = factors((5, 5, 5))
    without = max_plus_product(left[..., :4], right[:, :, :4])
    best = max_plus_product(left.masked_fill(torch.arange(5) == 4, -torch.inf), right)
    assert torch.equal(best, without)
    for a, b in zip(*(torch.autograd.grad(y.sum(), [left, right]) for y in (best, without)), strict=True):
        torch.testing.assert_close(a, b)
