"""Curricula: how often sizes are drawn, when the next ones join, and that a stopped run goes on in its lesson."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import tasks
from tests.trainers.test_trainer import SMALL, equal, final, lines, make, stop_after
from trainers import data
from trainers.config import compose
from trainers.config_groups import choices
from trainers.curriculum import Curriculum, CurriculumConfig, Lesson
from trainers.data import Sampler
from trainers.evaluation import Cell, Evaluation
from trainers.losses import Supervised
from trainers.trainer import Interrupted, TrainerConfig
from trainers.usage import UsageError

SIZES = (3, 4, 5, 6, 7, 8)


def curriculum(**options: Any) -> Curriculum:
    return Curriculum(CurriculumConfig(**options), SIZES)


def kaiser(unlocked: int) -> Iterator[tuple[float, int]]:
    """Chance and outcome of every way in which openai/neural-gpu draws one of `SIZES`."""
    for a, b, c in product(range(unlocked), range(unlocked), range(len(SIZES))):
        for two, ahead in product((False, True), (False, True)):
            chance = (0.6 if two else 0.4) * (0.25 if ahead else 0.75) / (unlocked**2 * len(SIZES))
            yield chance, max(a, b if two else 0, c if ahead else 0)


def test_every_training_size_is_drawn_alike_by_default() -> None:
    default = curriculum()
    assert not default.grows and default.menu(default.first) == SIZES


def test_the_newest_size_leaves_a_share_to_earlier_ones() -> None:
    lessons = curriculum(start=1, draw="newest", earlier=0.1)
    assert set(lessons.menu(lessons.first)) == {3}, "there is nothing earlier yet"
    counts = Counter(lessons.menu(Lesson(3)))
    assert counts == {3: 50, 4: 50, 5: 900}
    fixed = curriculum(draw="newest")
    assert set(fixed.menu(fixed.first)) == {8} and not fixed.grows


@pytest.mark.parametrize("unlocked", [1, 4, 6])
def test_the_neural_gpus_lengths_are_drawn_as_its_code_draws_them(unlocked: int) -> None:
    config = compose(["curriculum=kaiser2016", "task=copy"]).trainer.curriculum
    lessons = Curriculum(config, SIZES)
    expected = [0.0] * len(SIZES)
    for chance, outcome in kaiser(unlocked):
        expected[outcome] += chance
    assert lessons.shares(Lesson(unlocked)) == pytest.approx(expected)
    counts, menu = Counter(lessons.menu(Lesson(unlocked))), lessons.menu(Lesson(unlocked))
    assert [counts[size] / len(menu) for size in SIZES] == pytest.approx(expected, abs=2e-3)


def cells(*scores: tuple[float, float, float]) -> Evaluation:
    """Cells with exact, bits and wrong bits of two outputs each."""
    made = []
    for exact, bits, wrong in scores:
        probe = {"score": 0.5, "bits_per_graph": bits / 2, "wrong_per_graph": wrong / 2}
        cell = Cell(
            task="t", distribution="d", size=4, graphs=1, score=0.5, exact=exact, probes={"a": probe, "b": probe}
        )
        made.append(cell)
    return Evaluation(tuple(made))


def test_success_is_that_of_the_worst_task() -> None:
    found = cells((0.95, 3.0, 1.0), (0.8, 1.0, 4.0))
    assert [curriculum(start=1, measure=name).value(found) for name in ("exact", "bits", "wrong")] == [0.8, 3.0, 4.0]


def test_sizes_are_unlocked_one_by_one_or_doubled_up_to_the_last() -> None:
    step = curriculum(start=1, passes_at=0.9)
    assert step.after(Lesson(1), 0.89, 30) == Lesson(1)
    assert step.after(Lesson(1), 0.9, 30) == Lesson(2, 30)
    assert step.after(Lesson(6, 30), 1.0, 60) == Lesson(6, 30)
    double = curriculum(start=1, grow="double", measure="bits", passes_at=1.0)
    reached = [double.first]
    for _ in range(3):
        assert double.after(reached[-1], 1.1, 9) == reached[-1]
        reached.append(double.after(reached[-1], 1.0, 9))
    assert [lesson.unlocked for lesson in reached] == [1, 2, 4, 6]


@pytest.mark.parametrize("name", choices("curriculum"))
def test_every_curriculum_file_makes_a_run_whose_sizes_are_all_reached(name: str) -> None:
    config = compose([f"curriculum={name}", "task=copy", "trainer.sizes=[1,2,3,4,5,6,7,8,9]"]).trainer
    lessons = Curriculum(config.curriculum, config.sizes)
    lessons.check([tasks.create("copy").spec])
    lesson = lessons.first
    best = 0.0 if config.curriculum.measure in ("bits", "wrong") else 1e9
    for step in range(9):
        assert set(lessons.menu(lesson)) <= set(config.sizes)
        lesson = lessons.after(lesson, best, step)
    assert lesson.unlocked == 9 and lessons.newest(lesson) == 9
    assert (9 in lessons.menu(lessons.first)) == (not lessons.grows or config.curriculum.ahead > 0)


def test_a_curriculum_goes_over_protocols_and_leaves_their_other_values() -> None:
    config = compose(["protocol=ibarz2022", "curriculum=growing", "task=bfs", "trainer.curriculum.passes_at=0.5"])
    assert (config.trainer.curriculum.start, config.trainer.curriculum.passes_at) == (1, 0.5)
    assert config.trainer.eval_data == "canonical" and config.settings.control.steps == 0
    assert compose(["curriculum=growing"]).settings.control == compose([]).settings.control


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("curriculum=growin", "growing"),
        ("trainer.curriculum.draw=newst", "newest"),
        ("trainer.curriculum.measure=acc", "exact"),
        ("trainer.curriculum.earlier=0.1", "draw=newest"),
        ("trainer.curriculum.ahead=2", "from 0 to 1"),
        ("trainer.curriculum.passes=2", "passes_at"),
        ("curriculum=growing trainer.val_every=0", "val_every"),
        ("protocol=velickovic2022 curriculum=growing", "fixed samples"),
    ],
)
def test_mistakes_are_told(words: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        compose(words.split())
    assert said in f"{caught.value.problem} {caught.value.remedy}"


def test_a_measure_that_a_task_does_not_have_is_refused() -> None:
    pointers = tasks.create("bfs").spec
    for measure in ("bits", "wrong", "prefix"):
        with pytest.raises(ValueError, match=f"measure={measure}.*bfs has no such score; it has score, exact, samples"):
            curriculum(start=1, measure=measure).check([pointers])
    curriculum(measure="bits").check([pointers])  # nothing is measured where nothing is locked


GROWING: dict[str, Any] = {
    "sizes": (2, 3, 4), "max_steps": 12, "val_every": 3, "checkpoint_every": 4, "log_every": 1,
    "curriculum": CurriculumConfig(start=1, measure="score", passes_at=0.0, draw="newest"),
}  # fmt: skip


def test_batches_are_of_the_lessons_sizes() -> None:
    config = TrainerConfig(**(SMALL | GROWING))
    sampler = Sampler([tasks.create("copy")], config, Supervised(), seed=0)
    for unlocked, size in ((1, 2), (3, 4)):
        sampler.lesson = Lesson(unlocked)
        # A copy of n vectors has 2n + 1 nodes.
        assert set(sampler(5).batches[0].sizes.tolist()) == {2 * size + 1}


def test_training_unlocks_a_size_at_a_validation_and_the_very_next_batch_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = dict[int, int]()
    sample = Sampler.sample

    def spy(self: Sampler, task: int, index: int, batch_size: int) -> Any:
        batch = sample(self, task, index, batch_size)
        drawn[index // self.config.batch_size] = int(batch.sizes.max())
        return batch

    monkeypatch.setattr(data.Sampler, "sample", spy)
    trainer = make(tmp_path, **GROWING)
    trainer.fit()
    assert [drawn[step] for step in range(12)] == [5] * 3 + [7] * 3 + [9] * 6
    logged = [row["curriculum/size"] for row in lines(tmp_path) if "curriculum/size" in row]
    assert logged == [2.0, 3.0, 4.0, 4.0]
    assert final(tmp_path).state["lesson"] == (3, 6)


def test_samples_unlock_by_their_number() -> None:
    options = GROWING | {"curriculum": CurriculumConfig(start=1, measure="samples", passes_at=20.0)}
    trainer = make(**options)
    trainer.fit()
    # Four samples a step: 20 are passed at the validation after step 6, and again after step 12.
    assert trainer.sampler.lesson == Lesson(3, 12)


@pytest.mark.parametrize("step", [4, 7])
def test_a_stopped_run_goes_on_in_its_lesson(tmp_path: Path, step: int) -> None:
    whole = make(tmp_path / "whole", **GROWING)
    whole.fit()
    with pytest.raises(Interrupted):
        make(tmp_path / "stopped", on_progress=stop_after(step), **GROWING).fit()
    rest = make(tmp_path / "stopped", **GROWING)
    rest.fit()
    assert equal(whole.model.state_dict(), rest.model.state_dict())
    assert rest.sampler.lesson == whole.sampler.lesson


def test_how_often_a_growing_run_validates_cannot_change_when_it_is_resumed() -> None:
    growing, plain = TrainerConfig(**(SMALL | GROWING)).lasting(), TrainerConfig(**SMALL).lasting()
    assert "val_every" in growing and "val_every" not in plain
