"""The study behind docs/GAP.md: its networks, its records, its verdicts, and the page made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trainers import ledger
from trainers.build import build
from trainers.config import compose
from trainers.gap import page, study, verdict
from trainers.gap.parameters import mismatch
from trainers.networks import Loaded, load_network
from trainers.usage import UsageError

NETWORKS = {network.name: network for network in study.networks()}
ALONE = [name for name, network in NETWORKS.items() if network.pair is None]


def _record(network: study.Network, seed: int, *, score: float = 1.0, hints: float = 1.0, heard: float = 0.1) -> Any:
    """What a measurement might have written."""
    side = {"score": score, "exact": score, "until": hints, "hints": {"h": {"right": [hints], "mean": hints}}}
    side["hints"]["d"] = {"error": [3.0], "mean": 3.0}
    side["hints"]["not told"] = {"right": [0.2], "mean": 0.2}
    compiled = {**side, "hints": {**side["hints"], "h": {"right": [1.0], "mean": 1.0}}}
    apart = {"matched": {"even": 2.0, "nearest": heard}}
    cells = [{"n": size, "learned": side, "compiled": compiled, "heard": apart} for size in study.SIZES]
    return {
        "recipe": network.recipe("drawn"),
        "seed": seed,
        "compiled": {"name": network.reference},
        "cells": cells,
        "parameters": {"total": 0.9, "matched": 0.8},
    }


def _write(root: Path, network: study.Network, seed: int, **how: float) -> None:
    path = study.path_of(network, "drawn", seed, root / "results")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_record(network, seed, **how)), "utf-8")


@pytest.mark.parametrize("name", ALONE)
def test_networks_have_the_shape_of_the_compiled_ones(name: str) -> None:
    network = NETWORKS[name]
    config = compose(network.command_line("drawn", 1))
    assert config.settings.compiled is None and config.settings.seed == 1 and config.trainer.max_steps > 0
    built = build(config)
    one = Loaded("drawn", built.model, {task.name: task for task in built.tasks}, config.processor_name)
    other = load_network(str(network.reference), like=one)
    assert mismatch(one.model, other.model) is None and list(other.tasks) == [network.algorithm]
    for start in ("compiled", "noise", "noise_only"):
        config = compose(network.command_line(start, 0))
        assert config.settings.compiled == network.algorithm and not config.trainer.val_every
        assert bool(config.settings.compiled_noise) == (start != "compiled")


def test_a_network_is_trained_measured_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "SIZES", (4,))
    monkeypatch.setattr(study, "GRAPHS", 2)
    words = ("trainer.sizes=[4]", "trainer.batch_size=2", "trainer.eval_sizes=[4]", "trainer.eval_samples=2")
    network = study.Network(name="small", processor="mpnn", algorithm="bfs", minutes=1.0, words=words)
    results = tmp_path / "results"
    assert study.record_of(network, "noise_only", 3, results) is None
    path = study.measure(network, "noise_only", 3, runs_dir=str(tmp_path / "runs"), results=results)
    record = study.record_of(network, "noise_only", 3, results)
    assert record is not None and path == results / "gap/small/noise_only-s3.json"
    assert record["cells"][0]["compiled"]["exact"] == 1 and record["parameters"]["total"] > 0
    assert path.stat().st_size < 60_000 and (record["network"], record["start"]) == ("small", "noise_only")
    assert (record["seed"], record["graphs_seed"]) == (3, 0)
    assert record["cost"]["updates"] == 0 and record["cells"][0]["frames"] > 1
    changed = study.Network(name="small", processor="mpnn", algorithm="bfs", minutes=1.0, words=words[1:])
    assert study.record_of(changed, "noise_only", 3, results) is None, "another recipe's record does not count"


def test_a_training_that_stops_by_itself_is_recorded_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("trainer.sizes=[4]", "trainer.batch_size=2", "trainer.lr=1e30", "trainer.clip_norm=0")
    network = study.Network(name="wild", processor="mpnn", algorithm="bfs", minutes=1.0, words=words)
    results = tmp_path / "results"
    study.measure(network, "compiled", 2, runs_dir=str(tmp_path / "runs"), results=results)
    record = study.record_of(network, "compiled", 2, results)
    assert record is not None and record["seed"] == 2 and 0 <= record["stopped"]["step"] < 300
    assert "cells" not in record and record["commit"]
    monkeypatch.setattr(page, "networks", lambda: [network])
    text = page.generate(tmp_path).page
    assert f"`wild` of seed 2 in update {1 + record['stopped']['step']}." in text
    assert text.count("Not measured yet.") >= len(study.STARTS) - 1


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({}, verdict.FAITHFUL),
        ({"hints": 0.9}, verdict.UNFAITHFUL),
        ({"heard": 0.6}, verdict.UNFAITHFUL),
        ({"heard": float("nan")}, verdict.UNFAITHFUL),
        ({"score": 0.9}, verdict.INEFFECTIVE),
        ({"score": float("nan")}, verdict.INEFFECTIVE),
    ],
)
def test_verdicts_follow_the_thresholds(how: dict[str, float], word: str) -> None:
    records = [_record(NETWORKS["mpnn-bfs"], seed, **how) for seed in range(2)]
    assert verdict.verdict(records, study.SIZES[0]) == word


def test_the_page_is_made_of_records_alone(tmp_path: Path) -> None:
    empty = page.generate(tmp_path)
    assert empty.page.count("not measured yet") == len(ALONE) and not empty.figures
    for seed in range(2):
        _write(tmp_path, NETWORKS["mpnn-bfs"], seed, score=0.98 + 0.02 * seed)
    assert set(page.write(tmp_path)) == {page.PAGE, *(page.FIGURES / f"{n}.png" for n in ("score", "until", "heard"))}
    text = (tmp_path / page.PAGE).read_text("utf-8")
    assert "| bfs | `mpnn` | 2 of 3 | faithful |" in text
    assert "| bfs `mpnn` | 16 | 0.990 ± 0.014 | 0.990 ± 0.014 | 1.000 ± 0.000 |" in text
    assert not page.stale(tmp_path)
    _write(tmp_path, NETWORKS["mpnn-bfs"], 1, heard=1.5)
    assert set(page.stale(tmp_path)) == {page.PAGE, page.FIGURES / "heard.png"}
    page.write(tmp_path)
    assert "effective but unfaithful |" in (tmp_path / page.PAGE).read_text("utf-8") and not page.stale(tmp_path)


def test_the_page_in_the_repository_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert page.main(["--check"]) == 0, capsys.readouterr().err
    assert "mpnn-dfs" in study.listing()
    for path in (ledger.RESULTS / study.RECORDS).glob("*/*.json"):
        assert path.parent.name in NETWORKS and path.stat().st_size < 400_000


def test_mistakes_of_the_study_are_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert study.main(["mpnn-bsf"]) == 2
    assert "did you mean mpnn-bfs" in capsys.readouterr().err
    path = tmp_path / "gap.yaml"
    path.write_text("- {name: a, processor: mpnn, algorithm: bfs, minute: 1, words: []}\n", "utf-8")
    with pytest.raises(UsageError, match="minute"):
        study.networks(path)
