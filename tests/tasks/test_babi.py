"""bAbI read from a made-up folder of the same format."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tasks
import zoo
from tasks.batch import Batch
from tasks.questions.babi import Babi
from tests.tasks.samples import alone, assert_same, values
from trainers.evaluation import evaluate
from trainers.listing import show
from zoo import Reasoner

NAMES = ["Mary", "John", "Anna", "Omar", "Ida", "Noor", "Ben", "Zoe", "Lee", "Kim"]
PLACES = ["garden", "kitchen", "hall", "attic"]


def first(split: str) -> str:
    """Stories of two questions, each story with its own name; ten of them to train on, four to test."""
    lines = []
    for k, name in enumerate(NAMES if split == "train" else NAMES[:4]):
        here, there = PLACES[k % 4], PLACES[(k + (1 if split == "train" else 2)) % 4]
        lines += [f"1 {name} went to the {here}.", f"2 Where is {name}? \t{here}\t1", f"3 {name} went to the {there}."]
        lines += [f"4 Where is {name}? \t{there}\t3"]
    return "\n".join(lines) + "\n"


def second(split: str) -> str:
    """Stories with answers of several words, and one without."""
    milk = "1 Mary took the milk.\n2 Mary took the apple.\n3 What is Mary carrying?\tmilk,apple\t1 2\n"
    way = "1 The hall is north of the attic.\n2 How do you go from attic to hall?\tn\t1\n3 Is it far?\tno\n"
    return milk + way if split == "train" else way + milk


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("en-10k")
    for split in ("train", "test"):
        (path / f"qa1_single-supporting-fact_{split}.txt").write_text(first(split), encoding="utf-8")
        (path / f"qa12_made-up_{split}.txt").write_text(second(split), encoding="utf-8")
    (path / "readme.txt").write_text("nothing", encoding="utf-8")
    return str(path)


def text(task: Babi, batch: Batch, b: int) -> tuple[str, list[str]]:
    """A sample in words, and what is due at each."""
    n = int(batch.sizes[b])
    told = " ".join(task.words[number] for number in batch.inputs["words"][b, :n].tolist())
    due = [task.words[number] if number >= 0 else "" for number in batch.outputs["answer"][b, :n].tolist()]
    return told, due


def test_worked_example_of_the_docstring(tmp_path: Path) -> None:
    (tmp_path / "qa1_x_train.txt").write_text("1 Mary went home.\n2 Where is Mary?\thome\t1\n", encoding="utf-8")
    task = tasks.create("babi", path=str(tmp_path))
    told, due = text(task, task.sample(size=1, batch_size=1), 0)
    assert told == "mary went home . where is mary ? -"
    assert due == [""] * 8 + ["home"]


def test_a_training_sample_is_a_whole_story_with_all_its_questions(folder: str) -> None:
    task = tasks.create("babi", path=folder)
    batch = task.sample(size=[1, 12], batch_size=60)
    seen = set()
    for b in range(60):
        told, due = text(task, batch, b)
        assert [word == "-" for word in told.split()] == [bool(word) for word in due]
        seen.add((told, " ".join(filter(None, due))))
    stories = {told for told, _ in seen}
    assert ("mary took the milk . mary took the apple . what is mary carrying ? - -", "milk apple") in seen
    assert ("mary went to the garden . where is mary ? - mary went to the kitchen . where is mary ? -",
            "garden kitchen") in seen  # fmt: skip
    assert not any("kim" in told for told in stories), "the last tenth is held out"
    assert len(stories) == 9 + 1
    assert task.words[0] == "-" and {".", "?", "n", "no"} <= set(task.words)
    assert batch.outputs["answer"].dtype == torch.int8


def test_scoring_takes_its_own_split_and_each_question_once(folder: str) -> None:
    task = tasks.create("babi", path=folder)
    test, val = task.for_scoring(), task.for_scoring("val")
    assert test.spec == val.spec == task.spec
    batch = test.sample(seed=5, size=1, batch_size=8)
    told = [text(test, batch, b) for b in range(8)]
    assert len({words for words, _ in told}) == 8
    for words, due in told:
        assert [bool(word) for word in due] == [False] * (len(due) - 1) + [True]
        assert words.count(" -") == (2 if words.count("went") == 2 else 1)
    both = text(val, val.sample(size=1, batch_size=2), 0), text(val, val.sample(size=1, batch_size=2), 1)
    assert {words for words, _ in both} == {
        "kim went to the kitchen . where is kim ? -",
        "kim went to the kitchen . where is kim ? - kim went to the hall . where is kim ? -",
    }
    two = test.sample(size=12, batch_size=3)
    assert sorted(int((two.outputs["answer"][b] >= 0).sum()) for b in range(3)) == [1, 1, 2]


def test_samples_keep_the_promises_of_every_task(folder: str) -> None:
    for task in (tasks.create("babi", path=folder), tasks.create("babi", path=folder).for_scoring()):
        whole = task.sample(seed=2, index=3, size=[1, 12], batch_size=9)
        halves = [task.sample(seed=2, index=3, size=[1, 12], batch_size=4),
                  task.sample(seed=2, index=7, size=[1, 12], batch_size=5)]  # fmt: skip
        parts = [alone(half, b) for half in halves for b in range(half.batch_size)]
        for b, part in enumerate(parts):
            assert_same(alone(whole, b), part)
        assert_same(values(task.execute(whole.inputs, sizes=whole.sizes)), values(whole))
        outside = torch.arange(int(whole.sizes.max())) >= whole.sizes[:, None]
        assert outside.any() and not whole.inputs["words"][outside].any()
        assert (whole.outputs["answer"][outside] == -1).all()
        assert not torch.equal(task.sample(seed=3, size=1, batch_size=9).inputs["words"][:, 0],
                               task.sample(seed=2, size=1, batch_size=9).inputs["words"][:, 0])  # fmt: skip


def test_a_model_is_scored_task_by_task_on_whole_answers(folder: str) -> None:
    task = tasks.create("babi", path=folder)
    model = Reasoner(task.spec, zoo.create("lstm", hidden_size=8))
    found = evaluate(model, task, sizes=(1, 12), samples=8)
    assert [(cell.size, cell.graphs) for cell in found] == [(1, 8), (12, 8)]
    assert found.cell(size=1).exact == found.cell(size=1).probes["answer"]["accuracy"]


def test_what_is_missing_is_named(folder: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="babi reads your own copy: give path"):
        tasks.create("babi")
    with pytest.raises(ValueError, match=r"no folder .*nowhere: path is where qa1"):
        tasks.create("babi", path=str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="holds no files like qa1_single"):
        tasks.create("babi", path=str(tmp_path))
    task = tasks.create("babi", path=folder)
    with pytest.raises(ValueError, match=r"no qa2_\.\.\._train\.txt in .* are qa1, qa12; size is the task"):
        task.sample(size=2)
    (tmp_path / "qa1_x_train.txt").write_text("1 A b.\n2 C?\tb\t1\n", encoding="utf-8")
    only = tasks.create("babi", path=str(tmp_path))
    with pytest.raises(ValueError, match=r"no qa1_\.\.\._test\.txt in .* are none"):
        only.for_scoring().sample(size=1)
    with pytest.raises(ValueError, match="holds 1 stories, too few for a split 'val'"):
        only.for_scoring("val").sample(size=1)
    with pytest.raises(ValueError, match="split has no choice 'valid'; did you mean val"):
        tasks.create("babi", path=folder, split="valid")
    assert "probes follow from path: zoo sample babi path=" in show("task", "babi")
    assert "babi" in tasks.list_tasks() and "babi" not in tasks.list_tasks(ready=True)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("Mary went home.\n", "line 1: expected a number"),
        ("2 Mary went home.\n", "line 1: expected a number"),
        ("1 Mary went home.\n\n", "line 2: expected a number"),
        ("1 Mary went home.\n", "asks no questions"),
    ],
)
def test_files_of_another_format_are_refused(lines: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "qa1_x_train.txt").write_text(lines, encoding="utf-8")
    with pytest.raises(ValueError, match=f"qa1_x_train.txt.*{message}"):
        tasks.create("babi", path=str(tmp_path)).sample(size=1)


def test_wrong_inputs_are_refused_by_name(folder: str) -> None:
    task = tasks.create("babi", path=folder)
    known = task.read("mary took the milk . mary took the apple . what is mary carrying ? - -")
    answer = task.execute({"words": [known]}).outputs["answer"][0]
    assert [task.words[number] for number in answer[-2:].tolist()] == ["milk", "apple"]
    with pytest.raises(ValueError, match=r"'words'.*a story of .*split train.*'mary took the milk \.' "):
        task.execute({"words": [known[:5]]})
    with pytest.raises(ValueError, match=r"'words'.*whole numbers"):
        task.execute({"words": [[len(task.words)]]})
    with pytest.raises(ValueError, match="has no word 'marry'; did you mean mary"):
        task.read("marry")
