"""Shipped weights: of rows that passed, small, and scoring what the ledger says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.trainers.test_reproduce import NAME, ROW, _rows, write_row  # noqa: F401 - a fixture
from trainers import baselines, ledger, reproduce, shipping
from trainers.cli import main
from trainers.usage import UsageError
from zoo import pretrained


@pytest.fixture()
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A row that was run, and its weights in a folder of their own."""
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "pretrained")
    results = tmp_path / "results"
    assert reproduce.reproduce([NAME], results=results, runs_dir=str(tmp_path / "runs")) == 0
    return shipping.ship(NAME, results=results, folder=tmp_path / "pretrained")


def test_shipped_weights_load_and_score_as_recorded(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo.list_pretrained() == [NAME] and shipped.stat().st_size < shipping.LARGEST
    model = zoo.load_pretrained(NAME)
    assert not model.training and model.processor.config.hidden_size == 4
    assert shipping.reevaluate_all([NAME]) == 0
    assert capsys.readouterr().out.count("as recorded") == 2
    card = shipped.with_name(f"{NAME}.md").read_text("utf-8")
    assert f'zoo.load_pretrained("{NAME}")' in card and "| uniform | 3 | 4 |" in card


def test_changed_weights_are_found_out(
    shipped: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = pretrained.load_pretrained

    def broken(name: str, **more: Any) -> zoo.Reasoner:
        model = load(name, **more)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.neg_()
        return model

    monkeypatch.setattr(pretrained, "load_pretrained", broken)
    assert shipping.reevaluate_all([NAME]) == 1
    assert "not the recorded ones" in capsys.readouterr().err


def test_the_seed_best_on_validation_is_chosen(tmp_path: Path) -> None:
    def entry(seed: int, scores: list[float | None], bits: list[float]) -> ledger.Entry:
        curve = {"val/score": scores, "val/bits_per_graph/copied": bits}
        return ledger.Entry(tmp_path, {"seed": seed, "state": "finished", "validation": curve})

    chosen = [entry(0, [0.5, 0.8], [1.0, 1.0]), entry(1, [0.9, None], [2.0, 3.0]), entry(2, [0.9, 0.1], [1.0, 5.0])]
    assert shipping.best_on_validation(chosen).seed == 2


def test_only_what_passed_is_shipped(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text((baselines.BASELINES / f"{NAME}.yaml").read_text("utf-8"), "utf-8")
    with pytest.raises(UsageError, match="of your own"):
        shipping.ship(str(own), results=tmp_path / "results", folder=tmp_path)
    with pytest.raises(UsageError, match="not measured"):
        shipping.ship(NAME, results=tmp_path / "results", folder=tmp_path)
    missed = ROW["measures"][0] | {"require": {"at_most": -1}}  # type: ignore[index]
    write_row(ROW | {"measures": [missed]})
    reproduce.reproduce([NAME], results=tmp_path / "results", runs_dir=str(tmp_path / "runs"))
    with pytest.raises(UsageError, match="missed"):
        shipping.ship(NAME, results=tmp_path / "results", folder=tmp_path)


def test_weights_of_another_run_or_too_large_ones_are_refused_and_shipped_ones_stay(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shipped.read_bytes()
    monkeypatch.setattr(shipping, "LARGEST", 100)
    with pytest.raises(UsageError, match="MB"):
        shipping.ship(NAME, results=tmp_path / "results", folder=shipped.parent)
    assert shipped.read_bytes() == before
    monkeypatch.undo()
    monkeypatch.setattr(baselines, "BASELINES", tmp_path / "baseline")
    for path in (tmp_path / "runs").rglob("summary.json"):
        summary = json.loads(path.read_text("utf-8"))
        summary["scores"][0]["score"] = 2.0
        path.write_text(json.dumps(summary), "utf-8")
    with pytest.raises(UsageError, match="not those that were measured"):
        shipping.ship(NAME, results=tmp_path / "results", folder=shipped.parent)


def test_a_size_that_was_not_recorded_is_no_recorded_score(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_row(ROW | {"base": ROW["base"] | {"trainer.eval_sizes": [1, 2]}})  # type: ignore[operator]
    assert shipping.reevaluate_all([NAME]) == 1
    assert capsys.readouterr().out.count("as recorded") == 1


def test_nothing_shipped_and_nothing_named_are_told_in_two_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    for words in (["--all", "--pretrained"], ["--all", "--ship"]):
        assert main(["reproduce", *words]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 2


def test_unknown_weights_are_told_with_near_matches(shipped: Path) -> None:
    with pytest.raises(ValueError, match=f"did you mean {NAME}"):
        zoo.load_pretrained(NAME + "x")
    with pytest.raises(UsageError, match="unknown"):
        shipping.reevaluate_all(["nothing"])


@pytest.mark.parametrize("name", zoo.list_pretrained())
def test_weights_of_the_repository_score_what_the_ledger_says_at_their_smallest_size(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "BASELINES", baselines.FOLDER / "baseline")
    baselines.load.cache_clear()
    card = pretrained.about(name)
    row = baselines.load(name)
    entry = ledger.current(row)[card["arm"], card["seed"]]
    assert entry.values["scores"] == card["scores"] and entry.values["config"] == card["config"]
    size = min(cell["n"] for cell in card["scores"])
    recorded = {cell["distribution"]: cell for cell in card["scores"] if cell["n"] == size}
    for cell in shipping.reevaluate(name, sizes=[size], device="cpu"):
        if cell.size == size:
            assert cell.score == pytest.approx(recorded[cell.distribution]["score"], abs=shipping.TOLERANCE)
    assert pretrained.path_of(name).stat().st_size <= shipping.LARGEST
    assert sum(path.stat().st_size for path in pretrained.FOLDER.glob("*")) <= 40 * 2**20
