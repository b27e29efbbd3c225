"""Curricula over sizes: which of the training sizes are drawn, how often, and when harder ones join them.

The sizes of `trainer.sizes` are the lessons, in their order; for tasks whose size is the number of a lesson they are
lessons by name too. So many of them are unlocked. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tasks.registry import near, option
from tasks.spec import Spec, Type

if TYPE_CHECKING:
    from trainers.evaluation import Evaluation

GROWTHS = ("next", "double")
DRAWS = ("uniform", "newest", "longer")
AT_LEAST = ("score", "exact", "prefix")
AT_MOST = ("bits", "wrong")
SAMPLES = "samples"
MEASURES = (*AT_LEAST, *AT_MOST, SAMPLES)
# The share of samples that Kaiser and Sutskever's code (openai/neural-gpu) gives the larger of two draws.
_LARGER_OF_TWO = 0.6
# A sample draws uniformly from a menu in which a size comes as often as it is likely, in thousandths.
_MENU = 1000


@dataclass(frozen=True, kw_only=True)
class CurriculumConfig:
    """How training sizes are drawn and unlocked; the default draws uniformly from all of them."""

    start: int = option(0, "how many of trainer.sizes are unlocked at first; 0 for all")
    grow: str = option("next", "what success unlocks: the next size, or as many again (double)")
    measure: str = option("exact", "what success is, at the newest size: score, exact, prefix, bits, wrong or samples")
    passes_at: float = option(0.9, "least score, exact or prefix; most bits or wrong bits a graph; or samples seen")
    draw: str = option("uniform", "of the unlocked sizes: uniform, newest, or longer (60 % the larger of two draws)")
    earlier: float = option(0.0, "with newest: share of samples that draw uniformly from the sizes before it")
    ahead: float = option(0.0, "share of samples that take the larger of that and a draw from all sizes")

    def __post_init__(self) -> None:
        for name, choices in (("grow", GROWTHS), ("measure", MEASURES), ("draw", DRAWS)):
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(f"trainer.curriculum.{name}: unknown {value!r}; {near(str(value), choices)}")
        if self.start < 0:
            raise ValueError(f"trainer.curriculum.start must not be negative, not {self.start}")
        for name in ("earlier", "ahead"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"trainer.curriculum.{name} is a share from 0 to 1, not {getattr(self, name)}")
        if self.earlier and self.draw != "newest":
            raise ValueError("trainer.curriculum.earlier goes with draw=newest; other draws take earlier sizes anyway")


class Lesson(NamedTuple):
    """Where a run stands.

    Attributes:
        unlocked: how many sizes are.
        since: the step at which the newest was.
    """

    unlocked: int
    since: int = 0


class Curriculum:
    """A curriculum over the sizes of a run."""

    def __init__(self, config: CurriculumConfig, sizes: Sequence[int]) -> None:
        """Hold both; `start` may be more than there are sizes.

        Args:
            config: the options.
            sizes: from the first lesson to the last.
        """
        self.config, self.sizes = config, tuple(sizes)

    @property
    def first(self) -> Lesson:
        """Where a run begins."""
        return Lesson(min(self.config.start or len(self.sizes), len(self.sizes)))

    @property
    def grows(self) -> bool:
        """Whether some sizes are locked at first."""
        return self.first.unlocked < len(self.sizes)

    def newest(self, lesson: Lesson) -> int:
        """The size that was unlocked last."""
        return self.sizes[lesson.unlocked - 1]

    def menu(self, lesson: Lesson) -> tuple[int, ...]:
        """Sizes to draw from uniformly; one comes as often as it is likely, rounded to thousandths."""
        shares = self.shares(lesson)
        if len(set(shares)) == 1:
            return self.sizes[: len(shares)]
        totals = [0.0]
        for share in shares:
            totals.append(totals[-1] + share)
        counts = [round(_MENU * high) - round(_MENU * low) for low, high in pairwise(totals)]
        return tuple(size for size, count in zip(self.sizes, counts, strict=False) for _ in range(count))

    def shares(self, lesson: Lesson) -> list[float]:
        """How likely each size is, from the first one on; sizes that are left out are never drawn."""
        unlocked, every, config = lesson.unlocked, len(self.sizes), self.config
        if config.draw == "newest":
            before = unlocked - 1
            earlier = config.earlier if before else 0.0
            shares = [earlier / max(before, 1)] * before + [1 - earlier]
        else:
            twice = _LARGER_OF_TWO if config.draw == "longer" else 0.0
            up_to = [(1 - twice) * k / unlocked + twice * (k / unlocked) ** 2 for k in range(unlocked + 1)]
            shares = [high - low for low, high in pairwise(up_to)] if twice else [1 / unlocked] * unlocked
        if not config.ahead:
            return shares
        below, mixed = 0.0, []
        for k, share in enumerate([*shares, *[0.0] * (every - unlocked)]):
            # The larger of two draws is at most the k-th size with the product of both chances.
            larger = (below + share) * (k + 1) / every - below * k / every
            mixed.append((1 - config.ahead) * share + config.ahead * larger)
            below += share
        return mixed

    def check(self, specs: Iterable[Spec]) -> None:
        """Refuse a measure that a task does not have.

        Raises:
            ValueError: it names task and measure.
        """
        if not self.grows:
            return
        for spec in specs:
            types = {probe.type for probe in spec.outputs}
            has = {
                "exact": bool(types - {Type.SCALAR}),
                "prefix": spec.prefix,
                "bits": bool(types & {Type.MASK, Type.CATEGORICAL}),
                "wrong": Type.MASK in types,
            }
            if not has.get(self.config.measure, True):
                known = ", ".join(name for name in MEASURES if has.get(name, True))
                raise ValueError(
                    f"trainer.curriculum.measure={self.config.measure}: task {spec.task} has no such score; "
                    f"it has {known}"
                )

    def value(self, evaluation: Evaluation) -> float:
        """The measure of the tasks' worst."""
        measure = self.config.measure
        if measure in AT_LEAST:
            return min(getattr(cell, measure) for cell in evaluation)
        field = "bits_per_graph" if measure == "bits" else "wrong_per_graph"
        return max(sum(probe.get(field, 0.0) for probe in cell.probes.values()) for cell in evaluation)

    def after(self, lesson: Lesson, value: float, step: int) -> Lesson:
        """Where a run stands once `value` was measured after `step` steps."""
        config = self.config
        passed = value <= config.passes_at if config.measure in AT_MOST else value >= config.passes_at
        if not passed or lesson.unlocked == len(self.sizes):
            return lesson
        more = 2 * lesson.unlocked if config.grow == "double" else lesson.unlocked + 1
        return Lesson(min(more, len(self.sizes)), step)
