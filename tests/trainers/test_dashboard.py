"""The W&B workspace: what its panels ask for is what runs log; built without a network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trainers.cli import main

pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed")
pytest.importorskip("wandb")

from trainers import dashboard

# The package's own, raised when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic V1 style:DeprecationWarning")
TINY = ["processor=ntm", "task=insertion_sort", "processor.hidden_size=8", "processor.slots=6", "processor.word=4"]
TINY += ["processor.controller_size=8", "trainer.batch_size=4", "trainer.sizes=[4]", "trainer.val_samples=4"]
TINY += ["trainer.val_every=1", "trainer.eval_samples=4", "trainer.eval_sizes=[4,6]", "trainer.max_steps=2"]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Keys of a tiny run: of its history, its media and tables, its config and its summary."""
    folder = tmp_path_factory.mktemp("dashboard") / "run"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"MODE": "offline", "SILENT": "true", "ERROR_REPORTING": "false"}.items():
            patch.setenv(f"WANDB_{name}", value)
        patch.delenv("WANDB_DATA_DIR", raising=False)
        assert main(["train", *TINY, f"run_dir={folder}"]) == 0
    [log] = folder.glob("wandb/offline-run-*/*.wandb")
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(log)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "No such command" in done.stderr:
        pytest.skip("this wandb has no `leet inspect`")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    history = {key for record in found if record["type"] == "history" for key in record["history"]["item"]}
    summary = {key for record in found if record["type"] == "summary" for key in record["summary"].get("update", {})}
    config = next(record["run"] for record in found if record["type"] == "run")["config"]["update"]
    return {
        "history": history,
        "media": {key.partition(".")[0] for key in history},
        "config": set(config),
        "summary": summary,
    }


def sections() -> dict[str, list[dict[str, Any]]]:
    """Panels of the spec, by section."""
    spec = dashboard.spec(dashboard.workspace(project="p", baselines="| a |\n| - |"))
    found = spec["spec"]["section"]["panelBankConfig"]["sections"]
    return {section["name"]: section["panels"] for section in found}


def lines() -> list[dict[str, Any]]:
    """Configs of all line plots."""
    panels = [panel for section in sections().values() for panel in section]
    return [panel["config"] for panel in panels if panel["viewType"] == "Run History Line Plot"]


def test_every_line_plot_finds_its_axis_and_its_values_in_a_run(logged: dict[str, set[str]]) -> None:
    assert len(lines()) == 10
    for plot in lines():
        assert plot["xAxis"] in logged["history"], plot
        assert set(plot["metrics"]) <= logged["history"], plot
        if plot.get("useMetricRegex"):
            assert any(re.search(plot["metricRegex"], key) for key in logged["history"]), plot
        else:
            assert plot["metrics"], plot
        if "groupBy" in plot:
            assert plot["groupBy"].removesuffix(".value") in logged["config"], plot


def test_size_generalisation_is_over_n_by_processor(logged: dict[str, set[str]]) -> None:
    score, exact = (panel["config"] for panel in sections()["Size generalisation by processor"])
    for plot, measure in ((score, "score"), (exact, "exact")):
        assert plot["xAxis"] == "ladder/n" and plot["groupBy"] == "processor_name.value" and plot["aggregate"]
        matched = {key for key in logged["history"] if re.search(plot["metricRegex"], key)}
        assert matched == {f"ladder/{measure}/uniform"}


def test_pictures_of_runs_have_their_panel(logged: dict[str, set[str]]) -> None:
    keys = {key for panel in sections()["Memory and pointers"] for key in panel["config"]["mediaKeys"]}
    drawn = {key for key in logged["media"] if key.startswith("pictures/")} | {"size_generalisation"}
    assert {"pictures/weightings", "pictures/pointers/pred", "size_generalisation"} <= drawn
    assert drawn <= keys
    assert {"inspect/links", "inspect/gates", "inspect/pointers/pi"} <= keys


def test_tables_and_columns_exist(logged: dict[str, set[str]]) -> None:
    [scores] = sections()["Scores"]
    assert "scores" in logged["media"] and '"scores"' in json.dumps(scores)
    spec = dashboard.spec(dashboard.workspace(project="p"))["spec"]["section"]
    for column in spec["runSets"][0]["runFeed"]["columnPinned"]:
        kind, _, key = column.partition(":")
        assert kind == "run" or key in logged[kind], column


def test_baselines_are_taken_from_their_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Baselines" in sections()
    Path("table.md").write_text("| row | verdict |\n| - | - |\n![a figure](a.png)\n| ntm | reproduced |\n")
    assert main(["dashboard", "--project", "mine", "--entity", "us", "--baselines", "table.md"]) == 0
    printed = capsys.readouterr()
    spec = json.loads(printed.out)
    assert (spec["project"], spec["entity"]) == ("mine", "us")
    last = spec["spec"]["section"]["panelBankConfig"]["sections"][-1]["panels"][0]
    assert last["viewType"] == "Markdown Panel"
    assert last["config"]["value"] == "| row | verdict |\n| - | - |\n| ntm | reproduced |"
    assert "zoo dashboard --save" in printed.err
    assert main(["dashboard", "--output", "spec.json", "--baselines", "table.md"]) == 0
    assert capsys.readouterr().out == "" and json.loads(Path("spec.json").read_text())["project"] == "algorithm-zoo"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--baselines", "absent.md"], "--baselines absent.md: no such file"),
        (["--output", "no/such/folder/spec.json"], "cannot write"),
        (["--save", "--entity", "us"], "W&B did not save the workspace"),
    ],
)
def test_mistakes_are_two_lines(words: list[str], told: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboard", *words]) == 2
    printed = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("wandb:")]
    assert len(printed) == 2 and told in printed[0]


def test_without_the_package_the_remedy_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    assert main(["dashboard"]) == 2
    assert "pip install 'algorithm-zoo[dashboard]'" in capsys.readouterr().err


def test_saving_hands_the_whole_spec_to_the_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from wandb_workspaces.workspaces import Workspace, internal

    sent = []

    def upsert(view: Any) -> dict[str, Any]:
        sent.append(view)
        return {"upsertView": {"view": {"id": "1", "name": view.name}, "inserted": True}}

    monkeypatch.setattr(internal, "upsert_view2", upsert)
    monkeypatch.setattr(Workspace, "url", property(lambda self: f"https://server/{self.entity}/{self.project}"))
    assert main(["dashboard", "--save", "--entity", "us", "--project", "mine"]) == 0
    assert "https://server/us/mine" in capsys.readouterr().out
    [view] = sent
    assert view.name and (view.entity, view.project) == ("us", "mine")
    assert len(view.spec.section.panel_bank_config.sections) >= 5
