"""Pairs of a parallel and a sequential algorithm: their networks, their records, and what docs/GAP.md says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from trainers import schema
from trainers.config import compose
from trainers.gap import page, pairs, study
from trainers.usage import UsageError
from zoo.compiled import list_algorithms

NETWORKS = study.networks()
PAIRS = {pair.name: pair for pair in study.pairs(NETWORKS)}
SMALL = ("trainer.sizes=[4]", "trainer.batch_size=2", "trainer.eval_sizes=[4]", "trainer.eval_samples=2")
SORTING: dict[str, Any] = {"pair": "sorting", "kind": "parallel", "partner": "bubble_sort"}


def _record(network: study.Network, seed: int, score: float, until: float, heard: float | None) -> dict[str, Any]:
    """What a measurement might have written; scores fall with size."""
    cells = []
    for size in study.PAIRED:
        share = score * study.PAIRED[0] / size
        hints = {"h": {"right": [until], "mean": until}, "d": {"error": [3.0], "mean": 3.0}}
        learned = {"score": share, "exact": share, "until": until, "hints": hints}
        apart = None if heard is None else {"matched": {"even": 2.0, "nearest": heard}}
        compiled = None if network.reference is None else learned
        cells.append({"n": size, "frames": 3.0, "learned": learned, "compiled": compiled, "heard": apart})
    return {
        "recipe": network.recipe("drawn"),
        "seed": seed,
        "compiled": network.reference and {"name": network.reference},
        "cost": {"updates": 1000, "cpu_seconds": 100.0 + seed, "threads": 1},
        "cells": cells,
        "parameters": {"left_out": "not needed here"},
    }


def _write(root: Path, network: study.Network, scores: list[float], until: float, heard: float | None) -> None:
    for seed, score in enumerate(scores):
        path = study.path_of(network, "drawn", seed, root / "results")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_record(network, seed, score, until, heard)), "utf-8")


@pytest.mark.parametrize("name", PAIRS)
def test_the_two_of_a_pair_are_one_network_trained_alike(name: str) -> None:
    pair = PAIRS[name]
    configs = [compose(network.command_line("drawn", 0)) for network in (pair.parallel, pair.sequential)]
    one, other = (schema.plain([each.processor, each.reasoner, each.trainer]) for each in configs)
    assert one == other and one[0]["options"]["hidden_size"] == 32
    assert configs[0].trainer.max_steps == 500 and configs[0].trainer.sizes == (study.PAIRED[0],)
    for config, network in zip(configs, pair[1:], strict=True):
        assert config.settings.compiled is None and config.task_name == network.algorithm
        assert (network.reference is None) == (network.algorithm not in list_algorithms())


@pytest.mark.parametrize("compiles", [True, False])
def test_a_pairs_network_is_trained_measured_and_recorded_compiled_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiles: bool
) -> None:
    monkeypatch.setattr(study, "PAIRED", (4,))
    monkeypatch.setattr(study, "GRAPHS", 2)
    one, other = ("binary_search", "minimum") if compiles else ("quickselect", "binary_search")
    beside: dict[str, Any] = {"pair": "two", "kind": "sequential", "partner": other}
    network = study.Network(name="small", processor="mpnn", algorithm=one, minutes=1.0, words=SMALL, steps=2, **beside)
    assert (one in list_algorithms()) == compiles and network.made_as == "binary_search"
    results = tmp_path / "results"
    study.measure(network, "drawn", 0, runs_dir=str(tmp_path / "runs"), results=results)
    record = study.record_of(network, "drawn", 0, results)
    assert record is not None and record["cost"]["updates"] == 2 and record["cost"]["cpu_seconds"] > 0
    [cell] = record["cells"]
    assert 0 <= cell["learned"]["score"] <= 1 and cell["frames"] >= 2
    assert (cell["compiled"] is None) == (cell["heard"] is None) == (record["compiled"] is None) == (not compiles)
    assert ("left_out" in record["parameters"]) != compiles
    monkeypatch.setattr(study.Network, "reference", "mpnn.compiled-other")
    assert study.record_of(network, "drawn", 0, results) is None, "measured against another reference"


def test_hints_of_a_network_alone_are_held_to_the_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "PAIRED", (4,))
    monkeypatch.setattr(study, "GRAPHS", 2)
    beside: dict[str, Any] = {"pair": "two", "kind": "parallel", "partner": "dfs"}
    network = study.Network(
        name="small", processor="mpnn", algorithm="topological_sort", minutes=1.0, words=SMALL, steps=1, **beside
    )
    assert network.made_as == "dfs" and network.reference is None
    path = study.measure(network, "drawn", 0, runs_dir=str(tmp_path / "runs"), results=tmp_path)
    [cell] = json.loads(path.read_text("utf-8"))["cells"]
    assert cell["learned"]["hints"] and 0 <= cell["learned"]["until"] <= 1
    assert cell["learned"]["first_step"] is None or cell["learned"]["first_step"] >= 1


def test_one_is_ahead_by_more_than_both_spreads(tmp_path: Path) -> None:
    pair = PAIRS["search"]

    def found(one: list[float], other: list[float], measure: str = "score") -> str | None:
        records = {
            network.name: [_record(network, seed, score, score, score) for seed, score in enumerate(scores)]
            for network, scores in zip(pair[1:], (one, other), strict=True)
        }
        return pairs.ahead(pair, records, measure)

    assert found([0.9, 0.9], [0.8, 0.8]) == "parallel" and found([0.8, 0.8], [0.9, 0.9]) == "sequential"
    assert found([0.9, 0.9], [0.8, 0.8], "heard") == "sequential", "a distance is better when it is smaller"
    assert found([0.7, 0.9], [0.65, 0.85]) == "neither" and found([0.9, 0.9], [0.9, 0.9]) == "neither"
    assert found([0.9], [0.8, 0.8]) is None and found([], []) is None
    assert found([0.9, float("nan")], [0.8, 0.8], "until") is None


def test_the_page_tells_of_pairs_what_the_records_tell(tmp_path: Path) -> None:
    empty = page.generate(tmp_path).page
    assert empty.count("Not measured yet") == 5 + 1 + len(PAIRS), "starts, the hypothesis, and every pair"
    pair = PAIRS["search"]
    _write(tmp_path, pair.parallel, [0.9, 1.0], 1.0, None if pair.parallel.reference is None else 0.2)
    once = page.generate(tmp_path).page
    assert "| `parallel_search` | parallel | 16 | 0.950 ± 0.071 |" in once and "`binary_search` has" not in once
    assert once.count("Not measured yet") == 5 + 1 + len(PAIRS)
    _write(tmp_path, pair.sequential, [0.5, 0.5], 1.0, 0.4)
    assert {page.FIGURES / f"{name}.png" for name in pairs.FIGURES} < set(page.write(tmp_path))
    text = (tmp_path / page.PAGE).read_text("utf-8")
    assert "At 16 nodes `parallel_search` has the higher score; neither follows its algorithm's steps further;" in text
    assert "the parallel one has the higher score in 1 of 1, the sequential one in 0" in text
    assert "| 3.0 | 1000 | 100 ± 1 | 2 of 3 |" in text and text.count("| 32 |") == 2
    assert not page.stale(tmp_path)
    _write(tmp_path, pair.sequential, [0.4, 0.5], 1.0, 0.4)
    assert set(page.stale(tmp_path)) == {page.PAGE, page.FIGURES / "pairs-score.png"}


def test_pairs_are_listed_and_start_from_drawn_weights(capsys: pytest.CaptureFixture[str]) -> None:
    listed = study.listing()
    assert "mpnn-binary_search, sequential beside parallel_search, about" in listed
    name = PAIRS["search"].parallel.name
    assert study.main([name, "--start", "noise"]) == 2
    assert "pairs start from: drawn" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "sequential"}, "pair sorting is not of two"),
        ({"kind": "paralel"}, "parallel"),
        ({"partner": "quicksort"}, "do not name one another"),
        ({"steps": 7}, "trained differently"),
        ({"partner": None}, "go together"),
    ],
)
def test_pairs_that_are_none_are_refused(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    plain = {"processor": "mpnn", "minutes": 1, "words": []}
    one = {"name": "a", "algorithm": "odd_even_transposition_sort", **plain, **SORTING}
    other = {"name": "b", "algorithm": "bubble_sort", **plain, "pair": "sorting", "kind": "sequential"}
    path = tmp_path / "gap.yaml"
    path.write_text(yaml.safe_dump([one, other | {"partner": one["algorithm"]}]), "utf-8")
    assert len(study.pairs(study.networks(path))) == 1
    path.write_text(yaml.safe_dump([one | change, other | {"partner": one["algorithm"]}]), "utf-8")
    with pytest.raises(UsageError, match=told):
        study.networks(path)


def test_a_pair_that_cannot_be_compiled_has_no_options() -> None:
    beside: dict[str, Any] = {"pair": "two", "kind": "sequential", "partner": "kmp_matcher"}
    network = study.Network(name="a", processor="mpnn", algorithm="jarvis_march", minutes=1.0, words=(), **beside)
    with pytest.raises(UsageError, match="jarvis_march and kmp_matcher cannot be written into mpnn"):
        network.command_line("drawn", 0)
