"""Scores against numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import tasks
import zoo
from tasks.batch import Batch
from tasks.spec import Location, Probe, Spec, Stage, Type
from trainers.metrics import Tally
from zoo.prediction import Carry, Prediction
from zoo.reasoner import Reasoner
from zoo.unroll import topology_of

NODE, GRAPH = Location.NODE, Location.GRAPH


def scores(
    *probes: tuple[Probe, Any, Any], sizes: tuple[int, ...], steps: tuple[int, ...] | None = None, prefix: bool = False
) -> dict:
    """The result for outputs given as (probe, truth, logits)."""
    x = Probe("x", Stage.INPUT, NODE, Type.SCALAR)
    spec = Spec("made_up", (x, *(probe for probe, *_ in probes)), prefix=prefix)
    lengths = torch.tensor(steps or [1] * len(sizes)) + 1
    inputs = {"x": torch.zeros(len(sizes), max(sizes))}
    outputs = {probe.name: torch.as_tensor(truth) for probe, truth, _ in probes}
    batch = Batch(spec, inputs, {}, outputs, lengths, torch.tensor(sizes), torch.arange(len(sizes)))
    logits: dict[str, Tensor] = {probe.name: torch.as_tensor(given).float() for probe, _, given in probes}
    carry = Carry(zoo.Latents(torch.zeros(len(sizes), max(sizes), 1)), (), {})
    tally = Tally(spec)
    tally.add(batch, Prediction(logits, {}, {}, carry, (), topology_of(batch), spec))
    return tally.result()


def test_mask_f1_is_pooled_and_padding_and_masked_entries_do_not_count() -> None:
    probe = Probe("m", Stage.OUTPUT, NODE, Type.MASK)
    truth = torch.tensor([[1, 1, 0, -1], [0, 1, 0, 1]], dtype=torch.int8)
    # Second graph has 3 nodes: its last entry is padding. Right: TP 2, FP 1, FN 1, TN 2.
    result = scores((probe, truth, [[1, -1, -1, 1], [1, 1, -1, -1]]), sizes=(4, 3))
    precision, recall = 2 / 3, 2 / 3
    assert result["score"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert result["probes"]["m"]["accuracy"] == pytest.approx(4 / 6)
    assert result["probes"]["m"]["wrong_per_graph"] == 1.0
    assert result["exact"] == 0.0


@pytest.mark.parametrize(
    ("truth", "said", "score"),
    [([0, 0], [-1, -1], 1.0), ([0, 0], [1, -1], 0.0), ([1, 0], [-1, -1], 0.0), ([1, 1], [1, 1], 1.0)],
)
def test_undefined_precision_and_recall_are_one(truth: list[int], said: list[int], score: float) -> None:
    probe = Probe("m", Stage.OUTPUT, NODE, Type.MASK)
    result = scores((probe, torch.tensor([truth], dtype=torch.int8), [said]), sizes=(2,))
    assert result["score"] == score


def test_pointers_classes_and_indices_are_scored_by_accuracy_and_graphs_as_wholes() -> None:
    pointer = Probe("p", Stage.OUTPUT, NODE, Type.POINTER)
    classes = Probe("c", Stage.OUTPUT, NODE, Type.CATEGORICAL, classes=2)
    index = Probe("i", Stage.OUTPUT, NODE, Type.MASK_ONE)
    # Columns are receivers: node i points to the row of the largest entry in its column.
    pointing = torch.full((2, 2, 2), -5.0)
    pointing[0, 1, 0] = pointing[0, 0, 1] = 0.0  # 0 -> 1, 1 -> 0
    pointing[1, 0, 0] = pointing[1, 0, 1] = 0.0  # both -> 0
    result = scores(
        (pointer, torch.tensor([[1, 0], [0, 1]], dtype=torch.int32), pointing),
        (classes, torch.tensor([[0, 1], [-1, 1]], dtype=torch.int8), [[[1, 0], [0, 1]], [[0, 1], [1, 0]]]),
        (index, torch.tensor([1, 0], dtype=torch.int32), [[-2.0, -1.0], [-3.0, -1.0]]),
        sizes=(2, 2),
    )
    found = {name: probe["score"] for name, probe in result["probes"].items()}
    assert found == {"p": 3 / 4, "c": pytest.approx(2 / 3), "i": 1 / 2}
    assert result["score"] == pytest.approx((3 / 4 + 2 / 3 + 1 / 2) / 3)
    assert result["exact"] == 0.5 and result["graphs"] == 2


def test_scalars_are_mean_squared_errors_and_count_in_the_score_only_alone() -> None:
    scalar = Probe("s", Stage.OUTPUT, GRAPH, Type.SCALAR)
    mask = Probe("m", Stage.OUTPUT, GRAPH, Type.MASK)
    row = (scalar, torch.tensor([1.0, 2.0]), [1.0, 4.0])
    alone = scores(row, sizes=(1, 1))
    assert alone["probes"]["s"]["score"] == 2.0 and alone["score"] == -2.0 and math.isnan(alone["exact"])
    both = scores(row, (mask, torch.tensor([1, 0], dtype=torch.int8), [1.0, -1.0]), sizes=(1, 1))
    assert both["score"] == 1.0 and both["exact"] == 1.0 and both["probes"]["s"]["score"] == 2.0


def test_streamed_outputs_count_up_to_each_samples_own_end() -> None:
    probe = Probe("m", Stage.OUTPUT, GRAPH, Type.MASK, streamed=True)
    truth = torch.tensor([[1, 1], [0, 0], [1, 0]], dtype=torch.int8)
    result = scores((probe, truth, [[1, -1], [-1, 1], [1, 1]]), sizes=(1, 1), steps=(3, 1))
    assert result["probes"]["m"]["accuracy"] == 3 / 4 and result["exact"] == 0.5


def test_steps_that_the_model_did_not_take_are_wrong() -> None:
    probe = Probe("m", Stage.OUTPUT, GRAPH, Type.MASK, streamed=True)
    truth = torch.tensor([[1], [0], [1]], dtype=torch.int8)
    result = scores((probe, truth, [[1]]), sizes=(1,), steps=(3,))
    assert result["probes"]["m"]["accuracy"] == pytest.approx(1 / 3) and result["exact"] == 0.0


def test_edges_make_their_graph_wrong() -> None:
    probe = Probe("e", Stage.OUTPUT, Location.EDGE, Type.MASK)
    truth = torch.zeros(2, 3, 3, dtype=torch.int8)
    said = torch.full((2, 3, 3), -1.0)
    said[1, 0, 1] = 1.0
    said[0, 2, 2] = 1.0  # padding of the first graph
    result = scores((probe, truth, said), sizes=(2, 3))
    assert result["exact"] == 0.5 and result["probes"]["e"]["accuracy"] == pytest.approx(12 / 13)


@pytest.mark.parametrize("name", ["bfs", "insertion_sort", "copy", "disjoint_set"])
def test_tallies_of_parts_merge_into_that_of_the_whole(name: str) -> None:
    task = tasks.create(name)
    model = Reasoner(task.spec, zoo.create("mpnn", hidden_size=8)).eval()
    whole, *parts = (Tally(task.spec) for _ in range(3))
    for tally, first, count in ((whole, 0, 4), (parts[0], 0, 1), (parts[1], 1, 3)):
        batch = task.sample(seed=5, batch_size=count, size=(3, 5), index=first)
        tally.add(batch, model(batch))
    merged = Tally(task.spec)
    merged.load_flat(parts[0].flat() + parts[1].flat())
    torch.testing.assert_close(merged.flat(), whole.flat())


@pytest.mark.parametrize("name", ["bfs", "insertion_sort", "copy", "associative_recall", "disjoint_set"])
def test_the_truth_scores_one(name: str) -> None:
    task = tasks.create(name)
    batch = task.sample(seed=5, batch_size=4, size=(3, 6))
    model = Reasoner(task.spec, zoo.create("mpnn", hidden_size=8)).eval()

    class Truth(Prediction):
        values = {name: value.clamp_min(0).long() for name, value in batch.outputs.items()}  # noqa: RUF012

    tally = Tally(task.spec)
    tally.add(batch, Truth(*model(batch)))
    result = tally.result()
    assert result["score"] == 1.0 and result["exact"] == 1.0


def test_bits_are_the_cross_entropy_of_the_scored_entries_per_graph() -> None:
    mask = Probe("m", Stage.OUTPUT, NODE, Type.MASK)
    classes = Probe("c", Stage.OUTPUT, NODE, Type.CATEGORICAL, classes=4)
    quarter = torch.zeros(2, 2, 4)  # four equal classes: 2 bits an entry
    result = scores(
        (mask, torch.tensor([[1, 0], [-1, 1]], dtype=torch.int8), [[0.0, 0.0], [9.0, 0.0]]),
        (classes, torch.tensor([[0, 3], [2, -1]], dtype=torch.int8), quarter),
        sizes=(2, 2),
    )
    assert result["probes"]["m"]["bits_per_graph"] == pytest.approx(3 / 2)  # the entry at -1 costs nothing
    assert result["probes"]["c"]["bits_per_graph"] == pytest.approx(6 / 2)


@pytest.mark.parametrize(
    ("said", "share"),
    [([1, 2, 0], 1.0), ([1, 2, 1], 2 / 3), ([1, 0, 0], 1 / 3), ([0, 2, 0], 0.0)],
)
def test_prefix_is_the_right_part_before_the_first_mistake(said: list[int], share: float) -> None:
    probe = Probe("c", Stage.OUTPUT, NODE, Type.CATEGORICAL, classes=3, streamed=True)
    truth = torch.tensor([-1, 1, 2, 0, 0], dtype=torch.int8)[:, None, None].repeat(1, 2, 1)
    truth[3:, 1] = 0
    # The second answer is shorter, and always right; the step before the answers does not count.
    right = [2, 1, 2, 0, 2]
    logits = torch.zeros(5, 2, 1, 3)
    for t, (first, second) in enumerate(zip([2, *said, 2], right, strict=True)):
        logits[t, 0, 0, first] = logits[t, 1, 0, second] = 1.0
    result = scores((probe, truth, logits), sizes=(1, 1), steps=(4, 3), prefix=True)
    assert result["prefix"] == pytest.approx((share + 1.0) / 2)
    assert result["exact"] == (1.0 if share == 1.0 else 0.5)
    assert math.isnan(scores((probe, truth, logits), sizes=(1, 1), steps=(4, 3))["prefix"])


def test_prefix_takes_outputs_together_and_nodes_in_order() -> None:
    one = Probe("a", Stage.OUTPUT, NODE, Type.MASK)
    other = Probe("b", Stage.OUTPUT, NODE, Type.MASK, channels=2)
    truth = torch.tensor([[-1, 1, 0, 1], [1, 1, -1, -1]], dtype=torch.int8)
    both = truth[..., None].repeat(1, 1, 2)
    said, bits = torch.where(truth > 0, 1.0, -1.0), torch.where(both > 0, 1.0, -1.0)
    bits[0, 2, 1] = 1.0  # second of three places
    result = scores((one, truth, said), (other, both, bits), sizes=(4, 2), prefix=True)
    assert result["prefix"] == pytest.approx((1 / 3 + 1) / 2)
    edges = Probe("e", Stage.OUTPUT, Location.EDGE, Type.MASK)
    with pytest.raises(ValueError, match="'e' has no order"):
        scores((edges, torch.zeros(1, 1, 1, dtype=torch.int8), [[[1.0]]]), sizes=(1,), prefix=True)
