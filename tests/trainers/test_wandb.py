"""W&B: an offline run read back from its file, resumption under one id, and failures that cost a warning only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trainers.cli import main
from trainers.reporting import Logger
from trainers.wandb_logger import WandbLogger, wandb_mode

wandb = pytest.importorskip("wandb")

TINY = ["processor=ntm", "task=insertion_sort", "processor.hidden_size=8", "processor.slots=6", "processor.word=4"]
TINY += ["processor.controller_size=8", "trainer.batch_size=4", "trainer.sizes=[4]", "trainer.val_samples=4"]
TINY += ["trainer.val_every=2", "trainer.eval_samples=4", "trainer.eval_sizes=[4,6]"]


def records(log: Path) -> list[dict[str, Any]]:
    """Everything in a run's file, as W&B's own reader sees it."""
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(log)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "No such command" in done.stderr:
        pytest.skip("this wandb has no `leet inspect`")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def summary_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    """A run's summary, its last values."""
    summary: dict[str, Any] = {}
    for record in found:
        if record["type"] == "summary":
            summary |= record["summary"].get("update", {})
    return summary


def logs(folder: Path) -> list[Path]:
    """A run folder's W&B files, oldest first."""
    return sorted(folder.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run of two steps that was resumed for two more."""
    folder = tmp_path_factory.mktemp("wandb") / "run"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"MODE": "offline", "SILENT": "true", "ERROR_REPORTING": "false"}.items():
            patch.setenv(f"WANDB_{name}", value)
        patch.delenv("WANDB_DATA_DIR", raising=False)
        words = ["trainer.max_steps=2", "control.steps=1", "control.max_steps=1", f"run_dir={folder}"]
        assert main(["train", *TINY, *words]) == 0
        assert main(["train", f"resume={folder}", "trainer.max_steps=4"]) == 0
        yield folder


def test_offline_run_holds_every_promised_key(resumed: Path) -> None:
    found = records(logs(resumed)[0])
    history = [record["history"]["item"] for record in found if record["type"] == "history"]
    logged = {key for item in history for key in item}
    for key in ("train/loss", "train/loss/pred", "train/grad_norm", "train/samples_per_second", "train/lr"):
        assert sum(key in item for item in history) == 2, key
    for key in ("val/score", "val/score/pred", "ood/score/uniform/n=4", "ood/exact/uniform/n=6", "ood/score/n=6"):
        assert key in logged, key
    media = {key.split(".")[0] for key in logged}
    assert {"scores", "scores_and_control", "size_generalisation"} <= media, "tables and figure"
    assert {"pictures/weightings", "pictures/pointers/pred"} <= media
    run = next(record["run"] for record in found if record["type"] == "run")
    config = run["config"]["update"]
    assert (config["processor"]["slots"], config["trainer"]["max_steps"], config["task"]["name"]) == (
        6,
        2,
        "insertion_sort",
    )
    assert run["job_type"] == "train" and run["run_group"].startswith("ntm-insertion_sort-")
    assert {"ntm", "insertion_sort", "Graves et al., 2014"} <= set(run["tags"])
    metrics = {
        record["metric"].get("name") or record["metric"].get("glob_name") for record in found if "metric" in record
    }
    curves = {"ladder/score/uniform", "ladder/exact/uniform"}
    assert metrics == {"step", "*", "ladder/n", *curves}
    against = {r["metric"]["name"]: r["metric"].get("step_metric") for r in found if r.get("metric", {}).get("name")}
    assert {name: against[name] for name in curves} == dict.fromkeys(curves, "ladder/n")
    rows = [item for item in history if "ladder/n" in item]
    assert [item["ladder/n"] for item in rows] == [4, 6], "a row a size, or W&B cannot draw a line over sizes"
    assert [item["ladder/score/uniform"] for item in rows] == [summary_of(found)[f"ood/score/n={n}"] for n in (4, 6)]
    summary = summary_of(found)
    assert (config["processor_name"], config["task_name"]) == ("ntm", "insertion_sort")
    assert {"val/score", "ood/score/n=6", "parameters", "processor", "task", "seed"} <= set(summary)
    artifacts = [record["artifact"] for record in found if record["type"] == "artifact"]
    assert any(artifact["type"] == "model" and artifact["name"] == "run-best-weights" for artifact in artifacts)


def test_everything_lies_in_the_run_folder(resumed: Path) -> None:
    found = records(logs(resumed)[0])
    for record in found:
        if record["type"] == "artifact":
            for entry in record["artifact"]["manifest"]["contents"]:
                assert Path(entry["local_path"]).is_relative_to(resumed)
    assert not list(resumed.parent.glob("wandb"))


def test_resumed_run_goes_on_under_its_id(resumed: Path) -> None:
    first, second = (records(log) for log in logs(resumed))
    ids = [next(r["run"]["run_id"] for r in found if r["type"] == "run") for found in (first, second)]
    assert ids[0] == ids[1]
    rows = [[r["history"] for r in found if r["type"] == "history"] for found in (first, second)]
    steps = [[row["item"]["step"] for row in part if "train/loss" in row["item"]] for part in rows]
    assert steps == [[1, 2], [3, 4]]
    own = [[row["step"]["num"] for row in part] for part in rows]
    assert own == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]], "steps, a row each for sizes 4 and 6, tables and pictures"
    assert own[0] + own[1] == sorted({*own[0], *own[1]}), "the second file appends to the first"
    assert json.loads((resumed / "summary.json").read_text())["wandb_id"] == ids[0]


def test_mode_is_asked_for_or_from_the_environment_or_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    assert (wandb_mode(None), wandb_mode("offline")) == ("online", "offline")
    monkeypatch.delenv("WANDB_MODE")
    assert (wandb_mode(None), wandb_mode("online")) == ("offline", "online")


@pytest.mark.filterwarnings("default::RuntimeWarning")
def test_training_goes_on_without_wandb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert main(["train", *TINY, "trainer.max_steps=1", "run_dir=without"]) == 0
    printed = capsys.readouterr()
    assert "zoo: warning: wandb is not installed" in printed.err and "W&B" not in printed.out
    assert Path("without/summary.json").exists() and not logs(Path("without"))
    assert main(["train", *TINY, "trainer.max_steps=1", "run_dir=none", "logger=none"]) == 0
    assert "warning" not in capsys.readouterr().err


@pytest.mark.filterwarnings("default::RuntimeWarning")
def test_unwritable_folder_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    Path("taken").mkdir()
    Path("taken/wandb").write_text("a file where W&B wants a folder")
    assert main(["train", *TINY, "trainer.max_steps=1", "run_dir=taken"]) == 0
    assert "zoo: warning: W&B could not start, training goes on" in capsys.readouterr().err
    assert Path("taken/summary.json").exists()


def logger(folder: Path, mode: str = "offline") -> WandbLogger:
    made = WandbLogger(folder, name="run", mode=mode, project="test")
    assert isinstance(made, Logger)
    return made


def test_unreachable_server_is_a_warning_and_the_run_goes_on_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr("trainers.wandb_logger._INIT_TIMEOUT", 1)
    one = logger(tmp_path, "online")
    with pytest.warns(RuntimeWarning, match="W&B could not start, training goes on"):
        one.start(run_id=None, step=0)
    one.log(1, {"train/loss": 1.0})
    one.close()
    assert any(r["type"] == "history" for r in records(logs(tmp_path)[0]))


def test_a_failing_service_warns_once_and_never_raises(tmp_path: Path) -> None:
    class Broken:
        id, dir = "abc", str(tmp_path)

        def __getattr__(self, name: str) -> Any:
            raise BrokenPipeError("the service has died")

    one = logger(tmp_path)
    one._run, one._wandb = Broken(), wandb
    with pytest.warns(RuntimeWarning) as caught:
        for step in range(3):
            one.log(step, {"train/loss": 1.0})
            one.summary({"a": 1})
        one.table("t", ["a"], [[1]])
        one.image("i", tmp_path / "absent.png")
        one.artifact("a", tmp_path / "absent")
        one.close()
    told = [str(warning.message).split(",")[0] for warning in caught]
    assert len(told) == len(set(told)) == 6


def test_an_own_data_folder_of_the_user_is_left_alone(tmp_path: Path) -> None:
    before = os.environ["WANDB_DATA_DIR"]
    one = logger(tmp_path)
    one.start(run_id="chosen", step=0)
    assert one.run_id == "chosen" and os.environ["WANDB_DATA_DIR"] == before
    one.close()
