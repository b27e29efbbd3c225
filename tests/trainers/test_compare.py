"""Multiruns and comparisons: one table, one figure, mean and spread over seeds."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from trainers import compare, runs
from trainers.cli import main

QUICK = ["task=copy", "task.bits=2", "trainer.max_steps=2", "trainer.batch_size=2", "trainer.sizes=[2]"]
QUICK += ["trainer.val_every=0", "trainer.eval_samples=4", "trainer.eval_sizes=[2,4]", "logger=none"]


@pytest.fixture(scope="module")
def multirun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two processors, two seeds each."""
    folder = tmp_path_factory.mktemp("multirun")
    words = ["processor=deep_sets,lstm", "seed=0,1", "processor.hidden_size=8", *QUICK, f"runs_dir={folder}"]
    assert main(["train", "-m", *words]) == 0
    [place] = folder.iterdir()
    return place


def test_every_combination_has_its_run_folder(multirun: Path) -> None:
    names = {path.name for path in multirun.iterdir() if path.is_dir()}
    assert names == {f"{name}-copy-s{seed}" for name in ("deep_sets", "lstm") for seed in (0, 1)}
    assert {runs.load_config(multirun / name).settings.seed for name in names} == {0, 1}


def test_comparison_is_mean_and_deviation_over_seeds(multirun: Path) -> None:
    rows = json.loads((multirun / "compare.json").read_text())
    assert [(row["processor"], row["n"], row["seeds"]) for row in rows] == [
        ("deep_sets", 2, 2),
        ("deep_sets", 4, 2),
        ("lstm", 2, 2),
        ("lstm", 4, 2),
    ]
    for row in rows:
        values = []
        for seed in (0, 1):
            summary = json.loads((multirun / f"{row['processor']}-copy-s{seed}" / "summary.json").read_text())
            values += [cell["score"] for cell in summary["scores"] if cell["n"] == row["n"]]
        assert row["score"] == pytest.approx(statistics.mean(values))
        assert row["score spread"] == pytest.approx(statistics.stdev(values))
    assert (multirun / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_compare_prints_a_line_a_processor(multirun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(multirun), "--no-wandb", "--output", "here"]) == 0
    printed = capsys.readouterr().out
    for told in ("deep_sets (2 seeds)", "lstm (2 seeds)", "n=2", "n=4", " ± ", "figure      here/compare.png"):
        assert told in printed
    single = [str(multirun / "lstm-copy-s0"), str(multirun / "deep_sets-copy-s1")]
    assert main(["compare", *single, "--no-wandb", "--output", "two"]) == 0
    printed = capsys.readouterr().out
    assert "seeds)" not in printed and "±" not in printed.replace("mean ± standard", "")


def test_comparison_is_a_wandb_table(multirun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    import trainers.wandb_logger as module

    tables = []
    monkeypatch.setattr(module.WandbLogger, "start", lambda self, **_: None)
    monkeypatch.setattr(module.WandbLogger, "table", lambda self, *given: tables.append(given))
    assert main(["compare", str(multirun), "--output", "logged"]) == 0
    [(name, columns, rows)] = tables
    assert name == "compare/scores" and len(rows) == 4 and len(rows[0]) == len(columns)


def test_series_of_one_processor_are_told_apart(multirun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["processor=lstm", "processor.hidden_size=6", *QUICK, "run_dir=narrow"]
    assert main(["train", *words]) == 0
    series, skipped = compare.gather([multirun / "lstm-copy-s0", multirun / "lstm-copy-s1", Path("narrow")])
    assert [one.label for one in series] == ["lstm (hidden_size=8)", "lstm (hidden_size=6)"]
    assert [len(one.folders) for one in series] == [2, 1] and not skipped


def test_unfinished_runs_are_left_out_with_a_warning(multirun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.write_start(Path("cut"), runs.load_config(multirun / "lstm-copy-s0"))
    assert main(["compare", str(multirun / "lstm-copy-s0"), "cut", "--no-wandb", "--output", "here"]) == 0
    assert "zoo: warning: cut has no scores yet" in capsys.readouterr().err
    assert main(["compare", "cut", "--no-wandb"]) == 2
    assert "no scores in cut" in capsys.readouterr().err


def test_interrupted_multirun_goes_on_where_it_stopped(multirun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    shutil.copytree(multirun, "again")
    finished = Path("again/deep_sets-copy-s0/summary.json").stat().st_mtime_ns
    shutil.rmtree("again/lstm-copy-s1")
    capsys.readouterr()
    assert main(["train", "resume=again"]) == 0
    printed = capsys.readouterr().out
    assert "run 4 of 4: lstm-copy-s1" in printed and "run 1 of 4" not in printed and "lstm (2 seeds)" in printed
    assert Path("again/deep_sets-copy-s0/summary.json").stat().st_mtime_ns == finished


def test_a_mistake_in_any_run_stops_a_multirun_before_its_first_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", "processor=lstm,ntn", *QUICK]) == 2
    assert "'ntn'" in capsys.readouterr().err and not Path("runs").exists()
