"""Every scan against the loop over its step, in value and gradient; the cell contract."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from tests.zoo.memory.cells import DNC_OPTIONS, SETTINGS, make, tokens, used_state
from zoo.memory import Cell

MASKS = {
    "none": None,
    "suffix": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]],
    "holes": [[0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 1, 0, 0, 1]],
}


def run(cell: Cell, method: str, xs: Tensor, state: Any, mask: Tensor | None) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs with final state, and gradients of a random mixture of them by tokens, state and parameters."""
    xs = xs.clone().requires_grad_()
    leaves, structure = tree_flatten(state)
    leaves = [leaf.clone().requires_grad_(leaf.is_floating_point()) for leaf in leaves]
    ys, after = getattr(cell, method)(xs, tree_unflatten(leaves, structure), mask)
    results = [r for r in (ys, *tree_flatten(after)[0]) if r.is_floating_point()]
    generator = torch.Generator().manual_seed(0)
    mixture = sum((r * torch.randn(r.shape, generator=generator, dtype=r.dtype)).sum() for r in results)
    leaves = [leaf for leaf in leaves if leaf.is_floating_point()]
    inputs = [xs, *leaves, *(p for n, p in cell.named_parameters() if "first" not in n and "initial" not in n)]
    gradients = torch.autograd.grad(mixture, inputs, allow_unused=True, materialize_grads=True)
    return [r.detach() for r in results], list(gradients)


@pytest.mark.parametrize("mask_name", MASKS)
@pytest.mark.parametrize("name", SETTINGS)
def test_scan_equals_the_loop_in_value_and_gradient(name: str, mask_name: str) -> None:
    cell = make(name)
    pattern = MASKS[mask_name]
    mask = None if pattern is None else torch.tensor(pattern, dtype=torch.bool)
    xs, state = tokens(), used_state(cell)
    slow, fast = run(cell, "loop", xs, state, mask), run(cell, "scan", xs, state, mask)
    for results in zip(slow, fast, strict=True):
        for reference, value in zip(*results, strict=True):
            torch.testing.assert_close(value, reference, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (2, 1), (1, 6), (2, 0)])
def test_scan_equals_the_loop_at_odd_sizes(name: str, batch: int, length: int) -> None:
    cell = make(name)
    xs, state = tokens(batch, length), used_state(cell, batch)
    slow, fast = run(cell, "loop", xs, state, None), run(cell, "scan", xs, state, None)
    for results in zip(slow, fast, strict=True):
        for reference, value in zip(*results, strict=True):
            torch.testing.assert_close(value, reference, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", SETTINGS)
def test_scan_without_gradients_gives_the_same(name: str) -> None:
    cell = make(name)
    mask = torch.tensor(MASKS["holes"], dtype=torch.bool)
    xs, state = tokens(), used_state(cell)
    with_gradients = cell.scan(xs, state, mask)
    with torch.no_grad():
        without = cell.scan(xs, state, mask)
    torch.testing.assert_close(without, tree_map(torch.Tensor.detach, with_gradients), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SETTINGS)
def test_masked_tokens_change_nothing(name: str) -> None:
    cell = make(name)
    xs, state = tokens(2, 6), used_state(cell, 2)
    mask = torch.tensor([[1, 0, 1, 1, 0, 0], [0, 0, 1, 0, 1, 1]], dtype=torch.bool)
    with torch.no_grad():
        ys, after = cell.scan(xs, state, mask)
        for sample in range(2):
            one = tree_map(lambda leaf, i=sample: leaf[i : i + 1], state)
            short, last = cell.scan(xs[sample : sample + 1, mask[sample]], one)
            torch.testing.assert_close(ys[sample, mask[sample]], short[0], rtol=0, atol=1e-12)
            this = tree_map(lambda leaf, i=sample: leaf[i : i + 1], after)
            torch.testing.assert_close(this, last, rtol=0, atol=1e-12)
    assert not ys[~mask].any()


@pytest.mark.parametrize("method", ["loop", "scan"])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_scan_leaves_its_state_alone_and_keeps_nothing(name: str, method: str) -> None:
    cell = make(name)
    xs, state = tokens(), used_state(cell)
    before = tree_map(torch.clone, state)
    attributes = set(vars(cell))
    first = getattr(cell, method)(xs, state)
    first[0].square().sum().backward()
    torch.testing.assert_close(state, before, rtol=0, atol=0)
    second = getattr(cell, method)(xs, state)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert set(vars(cell)) == attributes


@pytest.mark.parametrize("name", ["ntm", "ntm-heads", "dnc", "lstm"])
def test_scan_has_the_derivative_that_finite_differences_find(name: str) -> None:
    sizes = {} if name == "lstm" else {"controller_size": 3, "slots": 4, "word": 2}
    cell = make(name, hidden_size=2, **sizes)
    xs = tokens(2, 3)
    leaves, structure = tree_flatten(used_state(cell, 2))
    mask = torch.tensor([[1, 1, 1], [1, 0, 1]], dtype=torch.bool)

    def outputs(xs: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
        ys, after = cell.scan(xs, tree_unflatten(list(leaves), structure), mask)
        return (ys, *tree_flatten(after)[0])

    inputs = tuple(leaf.clone().requires_grad_() for leaf in (xs, *leaves))
    assert torch.autograd.gradcheck(outputs, inputs, fast_mode=True)


@pytest.mark.parametrize("name", SETTINGS)
def test_gradient_reaches_every_parameter_from_the_initial_state(name: str) -> None:
    cell = make(name)
    xs = tokens()
    ys, _ = cell.scan(xs, cell.initial(3, like=xs))
    ys.square().sum().backward()
    for parameter_name, parameter in cell.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.compile
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("name", ["ntm", "dnc", "dnc-all", "lstm"])
def test_scan_compiles_in_one_graph(name: str, backend: str) -> None:
    cell = make(name)
    xs, state = tokens(length=3), used_state(cell)
    mask = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=torch.bool)
    compiled = torch.compile(cell.scan, fullgraph=True, backend=backend)
    torch.testing.assert_close(compiled(xs, state, mask), cell.scan(xs, state, mask), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["dnc", *DNC_OPTIONS])
def test_kernels_are_for_the_published_dnc_only(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr("zoo.memory.dnc_scan.DNCScan.apply", lambda *_: called.append(name) or 1 / 0)
    cell = make(name)
    xs, state = tokens(), used_state(cell)
    with contextlib.suppress(ZeroDivisionError):
        torch.testing.assert_close(cell.scan(xs, state), cell.loop(xs, state))
    assert bool(called) == (name == "dnc")


def test_dnc_scans_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = make("dnc")
    xs, state = tokens(), used_state(cell)
    with_kernels = cell.scan(xs, state)
    monkeypatch.setattr("zoo.memory.cell.HAS_NUMBA", False)
    monkeypatch.setattr("zoo.memory.dnc_scan.DNCScan.apply", None)
    torch.testing.assert_close(cell.scan(xs, state), with_kernels, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["ntm-heads", "dnc"])
def test_scan_equals_the_loop_in_single_precision_at_working_size(name: str) -> None:
    cell = make(name, controller_size=24, slots=40, word=8).float()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    xs = tokens(2, 12).float()
    state = tree_map(torch.Tensor.detach, cell.initial(2, like=xs))
    # An untouched memory has slots that are alike, and rounding alone would decide which is used first.
    state = state._replace(memory=torch.randn_like(state.memory))
    if name == "dnc":
        state = state._replace(usage=torch.rand_like(state.usage))
    slow, fast = run(cell, "loop", xs, state, None), run(cell, "scan", xs, state, None)
    for results in zip(slow, fast, strict=True):
        for reference, value in zip(*results, strict=True):
            torch.testing.assert_close(value, reference, rtol=1e-3, atol=1e-4)
