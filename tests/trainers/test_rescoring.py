"""Scores beside those of a training: of a larger memory, and of a task's own optimal estimator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import tasks
from tasks.optimum import HasOptimum
from tasks.sequences.dynamic_ngrams import DynamicNgrams
from trainers import baselines, experiment, ledger, reproduce
from trainers.evaluation import evaluate
from trainers.rescoring import OptimalEstimator
from trainers.usage import UsageError
from trainers.verdict import judge

HEAD = {"title": "a row", "paper": "Somebody, 2020", "link": "https://example.org", "about": "made up", "seeds": 1}
MEMORY = {
    "base": {
        "task": "copy",
        "reasoner": "raw",
        "logger": "none",
        "processor": "dnc",
        "processor.tokens": "inputs",
        "processor.output": "concat",
        "processor.controller_size": 6,
        "processor.slots": 3,
        "processor.word": 4,
        "processor.read_heads": 1,
        "trainer.sizes": [2],
        "trainer.batch_size": 2,
        "trainer.max_steps": 3,
        "trainer.val_every": 3,
        "trainer.val_samples": 4,
        "trainer.eval_sizes": [3],
        "trainer.eval_samples": 8,
        "trainer.prefetch": 0,
    },
    "arms": {"dnc": None, "other": None},
    "variants": {"same": {"processor.slots": 3}, "larger": {"processor.slots": 7}, "unused": {"processor.slots": 9}},
    "measures": [
        {"name": "same", "label": "same", "arm": "dnc",
         "score": {"size": 3, "probe": "copied", "metric": "bits_per_graph", "variant": "same"}},
        {"name": "larger", "label": "larger", "arm": "dnc",
         "score": {"size": 3, "probe": "copied", "metric": "bits_per_graph", "variant": "larger"}},
        {"name": "error", "label": "error", "arm": "dnc", "score": {"size": 3, "metric": "error"}},
    ],
}  # fmt: skip
OPTIMUM = {
    "base": {"task": "dynamic_ngrams", "logger": "none", "trainer.eval_sizes": [60], "trainer.eval_samples": 40},
    "arms": {"optimal": {"estimator": "optimal"}},
    "measures": [
        {"name": "bits", "label": "bits", "arm": "optimal",
         "score": {"size": 60, "probe": "next", "metric": "bits_per_graph"}},
        {"name": "soon", "label": "soon", "arm": "optimal", "first": {"metric": "val/score", "below": 1}},
    ],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(baselines, "BASELINES", tmp_path)
    yield
    baselines.load.cache_clear()


def measured(tmp_path: Path, row: dict[str, Any], arm: str) -> tuple[baselines.Baseline, dict[str, Any]]:
    """A row's arm, seed 0, and its entry."""
    (tmp_path / "it.somebody2020-this.yaml").write_text(yaml.safe_dump(HEAD | row, sort_keys=False), "utf-8")
    name, results = "it.somebody2020-this", tmp_path / "results"
    assert reproduce.reproduce([name], arm=arm, results=results, runs_dir=str(tmp_path / "runs")) == 0
    return baselines.load(name), json.loads((results / name / f"{arm}-s0-1.json").read_text("utf-8"))


def test_trained_weights_are_scored_in_the_variants_that_measures_ask_for(tmp_path: Path) -> None:
    row, entry = measured(tmp_path, MEMORY, "dnc")
    assert entry["variants"].keys() == {"same", "larger"}
    assert entry["variants"]["same"] == entry["scores"]
    config = row.config("dnc", seed=0, variant="larger")
    assert config.processor.options.slots == 7
    built = experiment.build(config)
    trained = experiment.load_trained(Path(entry["run"]), row.config("dnc", seed=0))
    built.model.load_state_dict(trained.model.state_dict())
    again = ledger.shortened(evaluate(built.model, built.tasks, **config.trainer.scoring()).as_dict())
    assert entry["variants"]["larger"] == again != entry["scores"]
    same, larger, error = judge(row, ledger.current(row, tmp_path / "results")).figures
    assert same.value == entry["scores"][0]["probes"]["copied"]["bits_per_graph"]
    assert larger.value == again[0]["probes"]["copied"]["bits_per_graph"]
    assert error.value == 1 - entry["scores"][0]["exact"]


def test_an_arm_without_measures_of_variants_has_none(tmp_path: Path) -> None:
    _, entry = measured(tmp_path, MEMORY, "other")
    assert "variants" not in entry and entry["state"] == "finished"


def test_a_variant_that_the_weights_do_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="variant"):
        measured(tmp_path, MEMORY | {"variants": {"same": {"processor.word": 5}, "larger": None}}, "dnc")


def test_the_optimal_estimator_is_scored_and_nothing_is_trained(tmp_path: Path) -> None:
    row, entry = measured(tmp_path, OPTIMUM, "optimal")
    assert entry["steps"] == entry["parameters"] == 0 and not (tmp_path / "runs").exists()
    task = tasks.create("dynamic_ngrams")
    assert isinstance(task, DynamicNgrams)
    batch = task.sample(seed=experiment.stream_seed(0, "test"), size=60, batch_size=40)
    bits, soon = judge(row, ledger.current(row, tmp_path / "results")).figures
    assert bits.value == pytest.approx(task.optimal_bits(batch).mean(), rel=1e-4)
    assert not soon.seeds


def test_optimal_outputs_cost_what_the_optimum_does_at_mixed_sizes() -> None:
    task = tasks.create("dynamic_ngrams", order=3)
    assert isinstance(task, DynamicNgrams) and isinstance(task, HasOptimum)
    batch = task.sample(size=[1, 5, 40], batch_size=9)
    logits, due = OptimalEstimator(task)(batch).outputs["next"], batch.outputs["next"]
    assert logits.shape == due.shape
    nats = torch.nn.functional.binary_cross_entropy_with_logits(logits, due.double(), reduction="none")
    cost = torch.where(due >= 0, nats, 0.0).sum(1) / torch.log(torch.tensor(2.0, dtype=torch.double))
    torch.testing.assert_close(cost, torch.as_tensor(task.optimal_bits(batch)))


def test_a_task_without_an_optimum_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="copy has no optimal estimator"):
        measured(tmp_path, OPTIMUM | {"base": OPTIMUM["base"] | {"task": "copy"}}, "optimal")  # type: ignore[operator]
    with pytest.raises(ValueError, match="copy has no optimal estimator"):
        OptimalEstimator(tasks.create("copy"))
