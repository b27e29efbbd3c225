"""Scoring: held-out, with the model's own hints, the same however it is cut up."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import tasks
import zoo
from tasks.batch import Batch
from trainers import evaluation
from trainers.data import stream_seed
from trainers.evaluation import Cell, Evaluation, evaluate, samples_at_once
from trainers.experiment import score_rows
from zoo import Reasoner, ReasonerConfig


def bfs(processor: str = "mpnn", **options: Any) -> tuple[Any, Reasoner]:
    task = tasks.create("bfs")
    model = Reasoner(task.spec, zoo.create(processor, hidden_size=8), config=ReasonerConfig(**options))
    return task, model


def test_every_size_and_distribution_has_a_cell() -> None:
    task, model = bfs()
    found = evaluate(model, task, sizes=(4, 6), distributions=("clrs", "grid"), samples=5, batch_size=2)
    assert [(cell.distribution, cell.size, cell.graphs) for cell in found] == [
        ("clrs", 4, 5), ("clrs", 6, 5), ("grid", 4, 5), ("grid", 6, 5),
    ]  # fmt: skip
    assert all(0 <= cell.score <= 1 and 0 <= cell.exact <= 1 for cell in found)
    assert found.cell(size=6, distribution="grid").size == 6
    with pytest.raises(KeyError, match="size 7"):
        found.cell(size=7)


def test_scores_depend_neither_on_the_batch_size_nor_on_the_call() -> None:
    task, model = bfs(teacher_forcing=1.0)
    scores = [evaluate(model, task, sizes=(5,), samples=7, batch_size=size).as_dict() for size in (7, 3, 3, 1)]
    assert scores[0] == scores[1] == scores[2] == scores[3]


def test_modes_of_modules_come_back() -> None:
    task, model = bfs()
    model.train()
    model.processor.eval()
    evaluate(model, task, sizes=(4,), samples=2)
    assert model.training and not model.processor.training
    assert all(p.grad is None and not p.is_inference() for p in model.parameters())


def test_the_model_is_in_evaluation_mode_and_runs_by_its_own_hints() -> None:
    task, model = bfs(teacher_forcing=1.0)
    modes = []
    model.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    evaluate(model, task, sizes=(4,), samples=4, batch_size=2)
    assert modes == [False, False]


def test_dense_and_sparse_scores_agree() -> None:
    task, model = bfs("pgn")
    dense, sparse = (evaluate(model, task, sizes=(4, 7), samples=6, layout=layout) for layout in ("dense", "sparse"))
    assert dense.as_dict() == sparse.as_dict()


def test_samples_are_held_out_from_every_training_run() -> None:
    task, model = bfs()
    seen: list[Batch] = []
    model.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    for split in ("val", "test"):
        evaluate(model, task, sizes=(12,), samples=8, split=split)
    trained = [task.sample(seed=stream_seed(seed, "train"), batch_size=8, size=12) for seed in range(5)]
    batches = [batch.inputs["A"].flatten(1) for batch in (*seen, *trained)]
    graphs = {tuple(graph.tolist()) for batch in batches for graph in batch}
    assert len(graphs) == 7 * 8


def test_several_tasks_are_scored_in_turn_and_named() -> None:
    both = [tasks.create("bfs"), tasks.create("copy")]
    model = Reasoner([task.spec for task in both], zoo.create("mpnn", hidden_size=8))
    found = evaluate(model, both, sizes=(4,), samples=3)
    assert [cell.task for cell in found] == ["bfs", "copy"]
    metrics = found.metrics()
    assert set(metrics) == {f"ood/{kind}/{where}n=4" for kind in ("score", "exact") for where in (
        "bfs/clrs/", "copy/uniform/", "",
    )}  # fmt: skip
    assert metrics["ood/score/n=4"] == pytest.approx(found.score)


def test_metrics_are_named_by_distribution_and_size_and_the_first_distribution_leads() -> None:
    cells = [
        Cell("bfs", distribution, size, 4, size / 128 + k, 0.5, {"pi": {"score": 1.0}})
        for k, distribution in enumerate(("clrs", "grid"))
        for size in (16, 64)
    ]
    found = Evaluation(tuple(cells))
    metrics = found.metrics()
    assert metrics["ood/score/grid/n=64"] == 1.5 and metrics["ood/score/n=64"] == 0.5
    assert metrics["ood/exact/clrs/n=16"] == 0.5
    assert found.rows()[-1] == ["bfs", "grid", 64, 4, 1.5, 0.5]
    assert len(Evaluation.COLUMNS) == len(found.rows()[0])


def test_a_mixture_is_one_cell() -> None:
    task, model = bfs()
    (cell,) = evaluate(model, task, sizes=(4,), distributions=("clrs", "grid"), samples=6, mixed=True)
    assert cell.distribution == "clrs+grid" and cell.graphs == 6


def test_large_dense_graphs_come_in_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    task, model = bfs()
    assert samples_at_once(model, task, 64, 32, "dense") == 32
    monkeypatch.setattr(evaluation, "MEMORY_BYTES", 2**26)
    large = [samples_at_once(model, task, size, 32, "dense") for size in (256, 512)]
    assert 1 <= large[1] < large[0] < 32
    assert samples_at_once(model, task, 512, 32, "sparse") == 32
    whole = evaluate(model, task, sizes=(8,), samples=5).as_dict()
    sizes: list[int] = []
    model.register_forward_pre_hook(lambda _, arguments: sizes.append(arguments[0].batch_size))
    monkeypatch.setattr(evaluation, "MEMORY_BYTES", 1)
    assert evaluate(model, task, sizes=(8,), samples=5).as_dict() == whole
    assert sizes == [1] * 5


def test_logits_of_hints_count_by_what_they_point_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MEMORY_BYTES", 2**26)
    fit = {}
    for name in ("bellman_ford", "lcs_length", "floyd_warshall"):
        task = tasks.create(name)
        fit[name] = samples_at_once(Reasoner(task.spec, zoo.create("mpnn", hidden_size=8)), task, 32, 64, "dense")
    # At 32 nodes: five frames of one logit an edge, 17 of five, 32 of 34.
    assert fit["bellman_ford"] == 64
    assert 2**26 // (4 * 32**2 * 32 * 35) <= fit["floyd_warshall"] < 2**26 // (4 * 32**3 * 31) < fit["lcs_length"]


def test_sizes_below_the_minimum_are_refused() -> None:
    task, model = bfs()
    with pytest.raises(ValueError, match="size"):
        evaluate(model, task, sizes=(0,), samples=2)


def test_random_state_is_left_alone() -> None:
    task, model = bfs()
    before = torch.get_rng_state()
    evaluate(model, task, sizes=(4,), samples=2)
    assert torch.equal(before, torch.get_rng_state())


def test_right_prefixes_are_told_where_answers_are_sequences() -> None:
    task = tasks.create("transduction", symbols=3)
    model = Reasoner(task.spec, zoo.create("lstm", hidden_size=8))
    found = evaluate(model, task, sizes=(2,), samples=4)
    cell = found.cell(size=2)
    assert 0 <= cell.exact <= cell.prefix <= 1
    assert found.metrics()["ood/prefix/uniform/n=2"] == found.metrics()["ood/prefix/n=2"] == cell.prefix
    assert found.as_dict()[0]["prefix"] == cell.prefix
    assert {row.measure for row in score_rows("lstm", found)} == {"score", "exact", "prefix"}
    whole_graphs, network = bfs()
    other = evaluate(network, whole_graphs, sizes=(4,), samples=2)
    assert "prefix" not in other.as_dict()[0] and not any("prefix" in name for name in other.metrics())
    assert {row.measure for row in score_rows("mpnn", other)} == {"score", "exact"}
