"""Trajectories drawn, and what one call trains and compares."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.axes
import numpy as np
import pytest

import tasks
import trainers
from trainers.inspection.drawn_graph import place_nodes
from trainers.usage import UsageError

TINY = (
    "processor=deep_sets", "processor.hidden_size=8", "task=bfs", "logger=none", "trainer.max_steps=2",
    "trainer.batch_size=2", "trainer.sizes=[6]", "trainer.distributions=[clrs]", "trainer.val_samples=2",
    "trainer.eval_sizes=[6,8]", "trainer.eval_samples=2", "trainer.eval_distributions=[clrs]", "control.steps=0",
)  # fmt: skip


def path_graph(nodes: int) -> np.ndarray:
    return np.eye(nodes, k=1) + np.eye(nodes, k=-1)


def test_a_frame_is_drawn_for_each_step_with_an_arrow_for_each_pointer(monkeypatch: pytest.MonkeyPatch) -> None:
    arrows: dict[str, int] = {}
    titles: list[str] = []
    annotate = matplotlib.axes.Axes.annotate
    set_title = matplotlib.axes.Axes.set_title

    def counted(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        arrows[id(self)] = arrows.get(id(self), 0) + 1
        return annotate(self, *args, **kwargs)

    def told(self, text, **kwargs):  # type: ignore[no-untyped-def]
        titles.append(f"{text}: {arrows.get(id(self), 0)}")
        return set_title(self, text, **kwargs)

    monkeypatch.setattr(matplotlib.axes.Axes, "annotate", counted)
    monkeypatch.setattr(matplotlib.axes.Axes, "set_title", told)
    batch = tasks.create("bfs").execute({"s": [0, 0], "A": np.stack([path_graph(4), np.zeros((4, 4))])})
    path = trainers.trajectory_figure(batch, "drawn/bfs.png")
    assert titles == ["given: 0", "step 1: 1", "step 2: 2", "step 3: 3"]
    assert path.read_bytes().startswith(b"\x89PNG")
    titles.clear()
    trainers.trajectory_figure(batch, "drawn/alone.png", sample=1)
    assert titles == ["given: 0"]


def test_unconnected_nodes_stay_near() -> None:
    adjacency = np.zeros((9, 9), bool)
    adjacency[:8, :8] = path_graph(8) > 0
    place = place_nodes(adjacency)
    lengths = np.linalg.norm(place[1:8] - place[:7], axis=1)
    assert np.linalg.norm(place[8] - place[:8].mean(0)) < 3 * place[:8].std(0).max()
    assert lengths.min() > 0.05
    np.testing.assert_array_equal(place, place_nodes(adjacency))


@pytest.mark.parametrize(
    "task, size, layout, sample, told",
    [
        ("copy", 3, "dense", 0, "draw bfs"),
        ("bfs", 41, "dense", 0, "at most 40"),
        ("bfs", 6, "sparse", 0, "layout='dense'"),
        ("bfs", 6, "dense", 5, "positions from 0 to 0"),
    ],
)
def test_what_cannot_be_drawn_says_why(task: str, size: int, layout: str, sample: int, told: str) -> None:
    batch = tasks.create(task).sample(batch_size=1, size=size, layout=layout)
    with pytest.raises(ValueError, match=told):
        trainers.trajectory_figure(batch, "none.png", sample=sample)


def test_runs_of_one_call_each_compare_with_one_more() -> None:
    runs = [trainers.train([*TINY, f"seed={seed}"]) for seed in (0, 1)]
    assert runs[0].folder != runs[1].folder
    assert all(run.folder.parent == Path("runs") for run in runs)
    found = trainers.compare_runs([run.folder for run in runs])
    assert found.figure == Path("runs/compare/compare.png")
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    assert rows == json.loads((found.figure.parent / "compare.json").read_text("utf-8"))
    for row in rows:
        scores = [run.evaluation.cell(size=row["n"]).score for run in runs]
        assert row["score"] == pytest.approx(sum(scores) / 2, abs=1e-6)
        assert row["seeds"] == 2
    assert {row["n"] for row in rows} == {6, 8}
    elsewhere = trainers.compare_runs(["latest"], output="here")
    assert elsewhere.figure == Path("here/compare.png")


def test_a_misspelled_word_is_refused_before_a_folder_is_made() -> None:
    with pytest.raises(UsageError, match="hiden_size"):
        trainers.train([*TINY, "processor.hiden_size=8"])
    assert not Path("runs").exists()
