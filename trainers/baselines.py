"""Baselines: published results as recipes with a criterion, read from `configs/baseline/`. Imports no torch.

A row is a paper's experiment: arms (its own architecture first, then controls) that share a recipe and seeds, and
measures, each a figure with what was published of it and, for some, what must hold of it for the row to pass.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tasks.registry import option, required
from trainers import schema
from trainers.config import FOLDER, GROUPS, compose, read_yaml
from trainers.run_config import Config
from trainers.usage import UsageError, unknown

BASELINES = FOLDER / "baseline"
EVIDENCE = {
    "table": "read in a table of the paper",
    "text": "read in the text of the paper or of the authors' code",
    "figure": "read off a figure",
    "recomputed": "computed again from a definition",
    "recalled": "recalled from memory, not verified",
}
"""How a published figure was verified; a recalled one is shown as such and never gates."""
BOUNDS = {"at_least": "≥", "at_most": "≤", "above": ">", "below": "<", "within_spread": "±"}
HIGHER = ("at_least", "above")
_RULES = ("mean", "median", "best", "every")
ALL = "all"
"""In place of one distribution: the mean over all that were scored."""
ESTIMATOR, OPTIMAL = "estimator", "optimal"
"""The key of an arm that trains nothing, and what it names: the task's own optimal estimator is scored."""
# Keys of a recipe that do not decide what is learned.
_FREE = ("logger.", "trainer.eval_", "trainer.log_every", "trainer.checkpoint_every", "trainer.threads", "trainer.keep")


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a paper reports of a measure."""

    where: str = required("table, figure or section, and whose")
    evidence: str = required(f"how it was verified: {', '.join(EVIDENCE)}")
    value: float | None = option(None, "the figure, where there is one to draw")
    spread: float | None = option(None, "its spread as published")
    text: str = option("", "in words, where a number does not say it")

    def __post_init__(self) -> None:
        if self.evidence not in EVIDENCE:
            raise unknown("evidence", self.evidence, EVIDENCE)
        if self.value is None and not self.text:
            raise ValueError("published needs a value or a text")


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """What must hold of a measure."""

    at_least: float | None = option(None, "lower bound, itself allowed")
    at_most: float | None = option(None, "upper bound, itself allowed")
    above: float | None = option(None, "lower bound, itself refused")
    below: float | None = option(None, "upper bound, itself refused")
    within_spread: float | None = option(
        None, "of a difference: how far it may be from 0, in larger spreads over seeds of its two measures"
    )
    of: str = option("mean", "of which seeds: mean, median, best, every, or like '2 of 3'")

    def __post_init__(self) -> None:
        if sum(getattr(self, name) is not None for name in BOUNDS) != 1:
            raise ValueError(f"require takes exactly one of {', '.join(BOUNDS)}")
        if self.of not in _RULES and self.needed is None:
            raise ValueError(f"of: {self.of!r} is none of {', '.join(_RULES)}, nor like '2 of 3'")

    @property
    def kind(self) -> str:
        """Which of `BOUNDS` it is."""
        return next(name for name in BOUNDS if getattr(self, name) is not None)

    @property
    def bound(self) -> float:
        """The number."""
        return float(getattr(self, self.kind))

    @property
    def needed(self) -> int | None:
        """How many seeds must meet it, where that is the rule."""
        first, _, rest = self.of.partition(" of ")
        return int(first) if first.isdigit() and rest.isdigit() else None

    def holds(self, value: float, *, spread: float = math.nan) -> bool:
        """Whether a number meets it; NaN, what a diverged seed has, never does.

        Args:
            value: the number.
            spread: the larger one of the measures of a difference, for `within_spread`.
        """
        tests = {
            "at_least": value >= self.bound,
            "at_most": value <= self.bound,
            "above": value > self.bound,
            "below": value < self.bound,
            "within_spread": abs(value) <= self.bound * spread,
        }
        return tests[self.kind]

    def __str__(self) -> str:
        if self.kind == "within_spread":
            return f"within {self.bound:g} spread{'' if self.bound == 1 else 's'} of 0"
        return f"{self.of} {BOUNDS[self.kind]} {self.bound:g}"


@dataclass(frozen=True, kw_only=True)
class ScoreOf:
    """A value of the final scores."""

    size: int | None = option(None, "size of the samples")
    sizes: tuple[int, ...] = option((), "several sizes in its place: the mean over them")
    metric: str = option(
        "score", "score, exact, error (1 - exact) or prefix; or of a probe whatever `trainers.metrics` has of its type"
    )
    probe: str | None = option(None, "output that the metric is of; null for the whole cell")
    distribution: str | None = option(None, "of the inputs; null is the first one scored, all the mean over them")
    variant: str | None = option(None, "of the row's variants; null is the model as trained")

    def __post_init__(self) -> None:
        if (self.size is None) == (not self.sizes):
            raise ValueError("score takes either a size or several sizes")


@dataclass(frozen=True, kw_only=True)
class FirstBelow:
    """Training samples seen at the first validation whose metric is below a threshold; infinite if it never is."""

    metric: str = required("as logged, such as val/wrong_per_graph/copied")
    below: float = required("the threshold")


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A figure of a row: one value a seed, or a difference or ratio of two such figures."""

    name: str = required("unique in the row")
    label: str = required("in words, with its unit")
    arm: str | None = option(None, "whose; not for differences and ratios")
    score: ScoreOf | None = option(None, "a value of the final scores")
    first: FirstBelow | None = option(None, "samples until a validation metric is below a threshold")
    difference: tuple[str, ...] = option((), "two measures, the second taken from the first")
    ratio: tuple[str, ...] = option((), "two measures, the first divided by the second")
    by: str = option("mean", "what a difference or a ratio is of: mean or median")
    published: Published | None = option(None, "what the paper reports")
    require: Requirement | None = option(None, "what must hold for the row to pass")

    def __post_init__(self) -> None:
        given = (self.score is not None, self.first is not None, bool(self.difference), bool(self.ratio))
        if sum(given) != 1:
            raise ValueError(f"measure {self.name}: give exactly one of score, first, difference, ratio")
        if bool(self.pair) == (self.arm is not None) or len(self.pair) not in (0, 2):
            raise ValueError(
                f"measure {self.name}: a difference or a ratio has two measures and no arm, the others have an arm"
            )
        if self.require is not None and self.require.kind == "within_spread" and not self.difference:
            raise ValueError(f"measure {self.name}: within_spread is a requirement of differences")
        if self.by not in ("mean", "median"):
            raise unknown(f"by of measure {self.name}", self.by, ("mean", "median"))

    @property
    def pair(self) -> tuple[str, ...]:
        """The two measures of a difference or a ratio; none of the others."""
        return self.difference or self.ratio


@dataclass(frozen=True, kw_only=True)
class Minutes:
    """What a seed of an arm is guessed to cost before one was measured."""

    cpu: float = required("minutes on two cores")
    gpu: float = required("minutes on one GPU")


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A row: a published experiment as this library runs it."""

    name: str = required("architecture.authorYEAR-task")
    title: str = required("what it is, in a few words")
    paper: str = required("authors, title, year")
    link: str = required("where the paper is")
    about: str = required("the recipe, what differs from the paper, and why")
    arms: dict[str, Any] = required(
        "overrides by arm, laid over `base`; the row's own architecture is first; `estimator: optimal` trains nothing"
    )
    measures: tuple[Measure, ...] = required("lines of the results table")
    base: dict[str, Any] = option({}, "overrides that all arms share, keys as on the command line")
    variants: dict[str, Any] = option({}, "overrides by name, under which the trained weights are scored once more")
    seeds: int = option(3, "seeds 0 to this, less one, of every arm")
    minutes: Minutes = option(Minutes(cpu=10.0, gpu=3.0), "guessed cost of a seed")
    notes: str = option("", "what was tried, where it is missed")

    def __post_init__(self) -> None:
        names = [measure.name for measure in self.measures]
        single = [measure.name for measure in self.measures if not measure.pair]
        if self.seeds < 1 or len(set(names)) < len(names) or not self.arms:
            raise ValueError("a baseline has an arm, a seed at least, and measures of different names")
        for measure in self.measures:
            if measure.arm is not None and measure.arm not in self.arms:
                raise unknown(f"arm of measure {measure.name}", measure.arm, self.arms)
            for other in measure.pair:
                if other not in single:
                    raise unknown(f"measure in {measure.name}", other, single)
            require = measure.require
            if require is not None and require.needed is not None and not require.of.endswith(f" of {self.seeds}"):
                raise ValueError(f"measure {measure.name}: {require.of!r}, but there are {self.seeds} seeds")
            if measure.score is not None and measure.score.variant not in (None, *self.variants):
                raise unknown(f"variant of measure {measure.name}", str(measure.score.variant), self.variants)
        for arm in self.arms:
            if self.estimator(arm) not in (None, OPTIMAL):
                raise unknown(f"estimator of arm {arm}", str(self.estimator(arm)), (OPTIMAL,))

    @property
    def main(self) -> str:
        """The arm of the row's own architecture."""
        return next(iter(self.arms))

    def values(self, arm: str) -> dict[str, Any]:
        """An arm's whole recipe, by key."""
        return self.base | (self.arms[arm] or {})

    def estimator(self, arm: str) -> str | None:
        """What is scored in place of a trained model, if anything is."""
        return self.values(arm).get(ESTIMATOR)

    def variants_of(self, arm: str) -> dict[str, Any]:
        """The variants that measures of an arm are about, with their overrides."""
        scores = [measure.score for measure in self.measures if measure.arm == arm and measure.score is not None]
        return {name: over for name, over in self.variants.items() if name in {score.variant for score in scores}}

    def words(self, arm: str, *, seed: int, folder: Path | None = None, variant: str | None = None) -> list[str]:
        """An arm's command line of `zoo train`."""
        values = self.values(arm) | (self.variants[variant] if variant is not None else {})
        # A choice of a group goes first: other keys' schemas depend on it.
        ordered = sorted((key for key in values if key != ESTIMATOR), key=lambda key: key not in GROUPS)
        place = [] if folder is None else [f"run_dir={folder}"]
        return [f"{key}={_hydra(values[key])}" for key in ordered] + [f"seed={seed}", *place]

    def config(self, arm: str, *, seed: int, folder: Path | None = None, variant: str | None = None) -> Config:
        """An arm's config.

        Raises:
            UsageError: the recipe is none.
        """
        return compose(self.words(arm, seed=seed, folder=folder, variant=variant))

    def recipe(self, arm: str) -> str:
        """Eight letters for what decides what an arm learns, as the file has it: defaults may be added later."""
        learned = {key: value for key, value in self.values(arm).items() if not key.startswith(_FREE)}
        return hashlib.sha256(json.dumps(learned, sort_keys=True).encode()).hexdigest()[:8]


def names() -> list[str]:
    """Names of all baselines."""
    return sorted(path.stem for path in BASELINES.glob("*.yaml"))


@cache
def load(name: str) -> Baseline:
    """A baseline by name, or one of your own by the path of its file, which ends in `.yaml`.

    Raises:
        UsageError: there is none of that name, or its file is wrong.
    """
    if name.endswith(".yaml"):
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"no baseline file {name!r}", "give the path of a file like those of configs/baseline")
    elif name in names():
        path = BASELINES / f"{name}.yaml"
    else:
        raise unknown("baseline", name, names(), among="baselines")
    return schema.check(Baseline, {"name": path.stem, **read_yaml(path)}, path=path.stem)


def check_arm(baseline: Baseline, arm: str) -> str:
    """The arm, if the baseline has it.

    Raises:
        UsageError: it has not.
    """
    if arm not in baseline.arms:
        raise unknown(f"arm of {baseline.name}", arm, baseline.arms)
    return arm


def check_seed(baseline: Baseline, seed: int) -> int:
    """The seed, if it is one of the baseline's.

    Raises:
        UsageError: it is not.
    """
    if not 0 <= seed < baseline.seeds:
        raise UsageError(f"{baseline.name} has no seed {seed}", f"its seeds are 0 to {baseline.seeds - 1}")
    return seed


def _hydra(value: Any) -> str:
    """A value in Hydra's grammar."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_hydra, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_hydra(each)}' for key, each in value.items())}}}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
