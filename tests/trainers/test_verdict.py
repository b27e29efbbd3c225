"""Verdicts on pairs of measures: their ratio, and whether they differ by more than seeds do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from trainers import ledger
from trainers.baselines import Baseline, Measure, Requirement, ScoreOf
from trainers.verdict import Figure, judge
from trainers.verdict_table import outcome


def figure_of(pair: dict[str, Any], one: tuple[float, ...], two: tuple[float, ...]) -> Figure:
    """The figure of a measure of two others, whose values over seeds are given."""
    singles = [Measure(name=name, label=name, arm=name, score=ScoreOf(size=3)) for name in ("first", "second")]
    measure = Measure(name="of", label="of", **pair | {"require": Requirement(**pair["require"])})
    row = Baseline(
        name="a",
        title="a",
        paper="a",
        link="a",
        about="a",
        arms={"first": None, "second": None},
        measures=(*singles, measure),
    )
    entries = {
        (arm, seed): ledger.Entry(Path(), told | {"state": "finished", "scores": [cell]})
        for arm, values in (("first", one), ("second", two))
        for seed, value in enumerate(values)
        for told in ({"arm": arm, "seed": seed, "recipe": row.recipe(arm)},)
        for cell in ({"n": 3, "distribution": "uniform", "score": value},)
    }
    return judge(row, entries).figures[2]


@pytest.mark.parametrize(
    ("one", "two", "require", "value", "holds"),
    [
        ((3.0, 3.0, 3.0), (2.0, 2.0, 2.0), {"at_most": 1.5}, 1.5, True),
        ((3.1, 3.0, 3.0), (2.0, 2.0, 2.0), {"at_most": 1.5}, 9.1 / 6, False),
        ((0.5, 0.5, 0.5), (0.0, 0.0, 0.0), {"at_least": 10.0}, math.inf, True),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), {"at_least": 10.0}, math.nan, False),
        ((math.inf, 1.0, 1.0), (2.0, 2.0, 2.0), {"at_most": 1.5}, math.inf, False),
        ((1.0, 1.0, 1.0), (math.inf, 2.0, 2.0), {"at_most": 1.5}, 0.0, True),
        ((1.0, 1.0, 1.0), (math.nan, 2.0, 2.0), {"at_most": 1.5}, math.nan, False),
    ],
)
def test_a_ratio_divides_the_first_by_the_second(
    one: tuple[float, ...],
    two: tuple[float, ...],
    require: dict[str, Any],
    value: float,
    holds: bool,
) -> None:
    figure = figure_of({"ratio": ("first", "second"), "require": require}, one, two)
    assert figure.value == pytest.approx(value, nan_ok=True) and figure.holds is holds


@pytest.mark.parametrize(
    ("one", "two", "holds"),
    [
        ((1.0, 2.0, 3.0), (2.9, 2.9, 2.9), True),  # 0.9 apart, a spread of 1
        ((2.9, 2.9, 2.9), (1.0, 2.0, 3.0), True),
        ((1.0, 2.0, 3.0), (3.1, 3.1, 3.1), False),
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), True),
        ((1.0, 1.0, 1.0), (1.1, 1.1, 1.1), False),
        ((1.0, 2.0, math.inf), (1.0, 2.0, 3.0), False),
    ],
)
def test_a_difference_within_the_spread_is_held_against_the_larger_one(
    one: tuple[float, ...], two: tuple[float, ...], holds: bool
) -> None:
    pair = {"difference": ("first", "second"), "require": {"within_spread": 1.0}}
    figure = figure_of(pair, one, two)
    assert figure.holds is holds
    assert outcome(figure).startswith("met" if holds else "missed")
