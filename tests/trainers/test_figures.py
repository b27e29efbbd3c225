"""Figures of scores: a panel for each measure, or for each of many tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainers import experiment
from trainers.config import compose
from trainers.evaluation import Cell, Evaluation
from trainers.figures import Panel
from trainers.task_sets import members


def scores(tasks: list[str]) -> Evaluation:
    return Evaluation(tuple(Cell(task, "uniform", n, 8, 0.5, 0.25, {}) for task in tasks for n in (16, 32)))


@pytest.mark.parametrize(("tasks", "titles"), [("[bfs,dfs]", ["score", "whole samples exact"]), ("clrs30", None)])
def test_many_tasks_have_a_panel_each(
    tasks: str, titles: list[str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose([f"task={tasks}"])
    names = [task.name for task in config.tasks]
    drawn: list[Panel] = []
    real = experiment.size_figure

    def draw(panels: list[Panel], path: Path, **more: object) -> Path:
        drawn.extend(panels)
        return real(panels, path, **more)

    monkeypatch.setattr(experiment, "size_figure", draw)
    path = experiment.draw_scores(config, scores(names), scores(names), tmp_path / "scores.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [panel.title for panel in drawn] == (titles or members("clrs30"))
    for panel in drawn:
        assert len(panel.lines) == 4  # two tasks or two measures, each with the control's
        assert all(list(line.sizes) == [16, 32] for line in panel.lines)
        assert {line.control for line in panel.lines} == {True, False}
