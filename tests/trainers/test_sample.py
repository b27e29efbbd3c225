"""`zoo sample`: what it hands to what prints, draws and writes."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tasks
from tasks import dataset
from tests.tasks.samples import assert_same, values
from trainers.cli import main


def zoo(*words: str) -> int:
    return main(["sample", *words])


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was shown and drawn, by stand-ins for the two."""
    calls: list[tuple[Any, ...]] = []
    for name in ("show", "draw"):
        module = ModuleType(f"trainers.sample_{name}")
        setattr(module, name, lambda *arguments, name=name: calls.append((name, *arguments)))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


def test_one_sample_is_shown_and_drawn_with_the_options_of_training(seen: list[tuple[Any, ...]]) -> None:
    assert zoo("bfs", "--show", "--draw", "a.gif", "--size", "5", "9", "random_pos=false", "--seed", "3",
               "--index", "7", "--distribution", "path", "pointers=nodes") == 0  # fmt: skip
    (shown, task, batch, console), (drawn, _, again, path) = seen
    assert (shown, drawn, path) == ("show", "draw", Path("a.gif")) and hasattr(console, "print")
    assert (task.config.random_pos, task.config.pointers) == (False, "nodes")
    wanted = task.sample(seed=3, batch_size=1, size=[5, 9], index=7, distribution="path")
    assert_same(values(batch), values(wanted))
    assert_same(values(again), values(wanted))


def test_a_task_is_configured_as_training_configures_it(seen: list[tuple[Any, ...]]) -> None:
    assert zoo("bfs", "--show") == 0
    ((_, task, batch, _),) = seen
    assert task.config.random_pos and batch.sizes.tolist() == [6]
    assert not tasks.create("bfs").config.random_pos


@pytest.mark.parametrize(
    ("words", "problem", "remedy"),
    [
        ("bfs", "nothing to do", "give --show"),
        ("bsf --show", "unknown task 'bsf'", "did you mean bfs?"),
        ("bfs --show --size 0", "--size: 0 is below", "the smallest is 1"),
        ("bfs --show --size four", "invalid", "usage: zoo sample"),
        ("bfs --show --distribution pth", "--distribution 'pth'", "did you mean path?"),
        ("bfs --show --count 3", "one sample is shown", "--out FILE.npz"),
        ("bfs --show --index -1", "--index -1 is too small", "at least 0"),
        ("bfs --show --size 4 random_po=true", "'task.random_po'", "did you mean task.random_pos?"),
        ("[bfs,bellman_ford] --show", "stands for several tasks", "beginning with bfs"),
    ],
)
def test_mistakes_are_told_in_two_lines(
    capsys: pytest.CaptureFixture[str], seen: list[tuple[Any, ...]], words: str, problem: str, remedy: str
) -> None:
    assert zoo(*words.split()) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert problem in first and remedy in second and not seen


def test_a_file_is_the_stream_in_pieces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "set.npz"
    words = ["--size", "4", "9", "--seed", "5", "--index", "3", "--distribution", "path", "tree", "random_pos=false"]
    assert zoo("bfs", "--out", str(path), "--count", "300", *words) == 0
    assert "300 samples" in capsys.readouterr().out
    task = tasks.create("bfs", pointers="edges")
    wanted = task.sample(seed=5, batch_size=300, size=[4, 9], index=3, distribution=["path", "tree"])
    assert_same(values(task.load(path)), values(wanted))
    about = dataset.read(path, task).about
    assert (about["seed"], about["index"], about["sizes"]) == (5, 3, [4, 9])
    assert (about["distributions"], about["options"]["random_pos"]) == (["path", "tree"], False)


def test_a_file_is_written_over_only_with_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "set.npz"
    words = ["copy", "--size", "4", "--count", "3", "--out", str(path)]
    assert zoo(*words) == 0
    before = path.read_bytes()
    assert zoo(*words, "--seed", "1") == 2
    assert "the file exists" in capsys.readouterr().err and path.read_bytes() == before
    assert zoo(*words, "--seed", "1", "--force") == 0
    assert path.read_bytes() != before
    for wrong in ("set.npy", "none/set.npz"):
        assert zoo("copy", "--out", str(tmp_path / wrong)) == 2
