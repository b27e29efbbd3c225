"""Dynamic n-grams: the optimal estimator against marginal likelihoods, and the published cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import betaln
from torch import Tensor

import tasks
from tasks.sequences.dynamic_ngrams import DynamicNgrams, optimal_estimate
from tests.tasks.drawings import check_drawing, drawings

PUBLISHED, ERROR = 132.98, 0.25  # mean of 20,000 sequences of 200 bits, and its standard error
SPREAD = 35.8  # of one sequence's cost


def marginal_bits(bits: np.ndarray, order: int) -> float:
    """What a sequence costs in bits, from the marginal likelihood of what followed each context."""
    counts: dict[tuple[int, ...], list[int]] = {}
    for t in range(order - 1, len(bits)):
        counts.setdefault(tuple(bits[t - order + 1 : t]), [0, 0])[bits[t]] += 1
    nats = sum(betaln(n1 + 0.5, n0 + 0.5) - betaln(0.5, 0.5) for n0, n1 in counts.values())
    return min(order - 1, len(bits)) - float(nats) / np.log(2)


@pytest.mark.parametrize("order", [1, 2, 4, 6])
def test_the_optimal_cost_is_the_marginal_likelihood(order: int) -> None:
    task = tasks.create("dynamic_ngrams", order=order)
    batch = task.sample(size=[1, 7, 60], batch_size=12)
    cost = task.optimal_bits(batch)
    for b, nodes in enumerate(batch.sizes.tolist()):
        bits = batch.inputs["bits"][b, 1:nodes].numpy().astype(int)
        assert cost[b] == pytest.approx(marginal_bits(bits, order), abs=1e-9)
        assert batch.outputs["next"][b].tolist() == [*bits, *[-1] * (batch.outputs["next"].shape[1] - len(bits))]
        assert batch.inputs["start"][b].nonzero().flatten().tolist() == [0]


def test_bits_come_as_often_as_the_optimal_estimate_says() -> None:
    bits = tasks.create("dynamic_ngrams").sample(size=200, batch_size=400).inputs["bits"][:, 1:].numpy()
    estimate = optimal_estimate(bits)
    for low in np.arange(0, 1, 0.1):
        there = (estimate >= low) & (estimate < low + 0.1)
        assert there.sum() > 500
        # Errors of the estimate are independent from bit to bit: each has mean zero given all bits before it.
        error = 5 * 0.5 / there.sum() ** 0.5
        assert bits[there].mean() == pytest.approx(estimate[there].mean(), abs=error)
    # Half of Beta(1/2, 1/2) lies outside of [0.146, 0.854], and an estimate from many bits is close to its table.
    late = estimate[:, 150:]
    assert ((late < 0.146) | (late > 0.854)).mean() == pytest.approx(0.5, abs=0.1)


def optimal_mean(samples: int) -> float:
    task = tasks.create("dynamic_ngrams")
    assert isinstance(task, DynamicNgrams)
    return float(task.optimal_bits(task.sample(seed=1, size=200, batch_size=samples)).mean())


def test_the_optimal_cost_is_near_the_published_one() -> None:
    error = (SPREAD**2 / 1000 + ERROR**2) ** 0.5
    assert optimal_mean(1000) == pytest.approx(PUBLISHED, abs=4 * error)


@pytest.mark.slow
def test_the_optimal_cost_is_the_published_one() -> None:
    assert optimal_mean(20_000) == pytest.approx(PUBLISHED, abs=0.3)


def test_worked_example_of_the_docstring() -> None:
    task = tasks.create("dynamic_ngrams")
    check_drawing(task, drawings(task)[0])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"bits": torch.zeros(1, 1)}, "start and at least one bit, got nodes \\[1\\]"),
        ({"bits": torch.ones(1, 3)}, "'bits'.*zeros"),
        ({"bits": torch.zeros(1, 3), "start": torch.ones(1, 3)}, "'start'.*first node"),
    ],
)
def test_wrong_inputs_are_refused_by_name(inputs: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.create("dynamic_ngrams").execute(inputs)


@pytest.mark.parametrize("order", [0, 17])
def test_orders_without_a_table_are_refused(order: int) -> None:
    with pytest.raises(ValueError, match="order must be from 1 to 16"):
        tasks.create("dynamic_ngrams", order=order)
