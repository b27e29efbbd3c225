"""Losses against plain loops over entries, and what lets parts of a batch add up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import tasks
import zoo
from tasks.batch import Batch
from tasks.spec import Location, Probe, Spec, Stage, Type
from trainers.losses import PENALTY, Supervised
from zoo.prediction import Carry, Prediction
from zoo.reasoner import Reasoner
from zoo.unroll import topology_of

SIZES, LENGTHS, STEPS, CLASSES = (4, 3), (4, 2), 3, 3
KINDS = [
    (Location.NODE, Type.SCALAR, 1),
    (Location.NODE, Type.MASK, 1),
    (Location.NODE, Type.MASK, 2),
    (Location.NODE, Type.MASK_ONE, 1),
    (Location.NODE, Type.CATEGORICAL, 1),
    (Location.NODE, Type.POINTER, 1),
    (Location.EDGE, Type.SCALAR, 1),
    (Location.EDGE, Type.MASK, 1),
    (Location.EDGE, Type.CATEGORICAL, 1),
    (Location.EDGE, Type.POINTER, 1),
    (Location.GRAPH, Type.SCALAR, 3),
    (Location.GRAPH, Type.MASK, 1),
    (Location.GRAPH, Type.CATEGORICAL, 1),
    (Location.GRAPH, Type.POINTER, 1),
]


def probes() -> Iterator[Probe]:
    yield Probe("x", Stage.INPUT, Location.NODE, Type.SCALAR)
    for stage, streamed in ((Stage.OUTPUT, False), (Stage.OUTPUT, True), (Stage.HINT, False)):
        for location, kind, channels in KINDS:
            name = f"{stage}{'_streamed' if streamed else ''}_{location}_{kind}_{channels}"
            classes = CLASSES if kind is Type.CATEGORICAL else 0
            yield Probe(name, stage, location, kind, classes=classes, channels=channels, streamed=streamed)


def shape(probe: Probe) -> tuple[int, ...]:
    batch, nodes = len(SIZES), max(SIZES)
    at = {Location.NODE: (batch, nodes), Location.EDGE: (batch, nodes, nodes), Location.GRAPH: (batch,)}[probe.location]
    return at[:1] if probe.location is Location.NODE and probe.type is Type.MASK_ONE else at


def target(probe: Probe, frames: int | None) -> Tensor:
    full = (*(() if frames is None else (frames,)), *shape(probe), *(() if probe.channels == 1 else (probe.channels,)))
    if probe.type is Type.SCALAR:
        return torch.randn(full)
    high = {Type.MASK: 2, Type.CATEGORICAL: CLASSES}.get(probe.type, min(SIZES))
    value = torch.randint(0, high, full)
    if probe.type in (Type.MASK, Type.CATEGORICAL):
        return torch.where(torch.rand(full) < 0.3, -1, value).to(torch.int8)
    return value.to(torch.int32)


def logits(probe: Probe, frames: int | None) -> Tensor:
    """Random logits in the form of a decoder; log-probabilities over real nodes where it gives those."""
    lead = () if frames is None else (frames,)
    batch, nodes = len(SIZES), max(SIZES)
    real = torch.arange(nodes) < torch.tensor(SIZES)[:, None]
    if probe.type is Type.CATEGORICAL:
        return torch.randn(*lead, *shape(probe), CLASSES)
    if not (probe.is_pointer or probe.type is Type.MASK_ONE):
        return torch.randn(*lead, *shape(probe), *(() if probe.channels == 1 else (probe.channels,)))
    if probe.location is Location.EDGE:
        scores = torch.randn(*lead, batch, nodes, nodes, nodes)
        return scores.masked_fill(~real[:, None, None], -math.inf).log_softmax(-1)
    if probe.location is Location.NODE and probe.is_pointer:
        scores = torch.randn(*lead, batch, nodes, nodes)
        return scores.masked_fill(~real[:, :, None], -math.inf).log_softmax(-2)
    return torch.randn(*lead, batch, nodes).masked_fill(~real, -math.inf).log_softmax(-1)


def synthetic() -> tuple[Batch, Prediction]:
    """A batch with a probe of every kind, and random predictions of them."""
    spec = Spec("synthetic", tuple(probes()))
    outputs = {p.name: target(p, STEPS if p.streamed else None) for p in spec.outputs}
    hints = {p.name: target(p, STEPS + 1) for p in spec.hints}
    batch = Batch(
        spec, {"x": torch.zeros(2, 4)}, hints, outputs, torch.tensor(LENGTHS), torch.tensor(SIZES), torch.arange(2)
    )
    predicted = {p.name: logits(p, STEPS if p.streamed else None) for p in spec.outputs}
    hinted = {p.name: logits(p, STEPS) for p in spec.hints}
    penalties = {"ponder": torch.tensor([1.0, 3.0])}
    carry = Carry(zoo.Latents(torch.zeros(2, 4, 1)), (), {})
    return batch, Prediction(predicted, hinted, penalties, carry, (), topology_of(batch), spec)


def entry_loss(probe: Probe, row: Any, value: Any) -> float:
    """The loss of one entry, from its definition."""
    if probe.type is Type.SCALAR:
        return float(row - value) ** 2
    if probe.type is Type.MASK:
        probability = 1 / (1 + math.exp(-float(row)))
        return -math.log(probability if value else 1 - probability)
    if probe.type is Type.CATEGORICAL:
        return -math.log(math.exp(row[value]) / sum(math.exp(x) for x in row))
    return -float(row[value])


def frame_loss(probe: Probe, logits: Tensor, value: Tensor, b: int) -> tuple[float, int]:
    """Sum and count over the entries of sample `b` in one frame, by loops."""
    rows: list[tuple[Any, Any]] = []
    n = range(SIZES[b])
    if probe.location is Location.GRAPH or probe.type is Type.MASK_ONE:
        rows = [(logits[b], value[b])]
    elif probe.location is Location.NODE:
        rows = [(logits[b, :, i] if probe.is_pointer else logits[b, i], value[b, i]) for i in n]
    else:
        rows = [(logits[b, i, j], value[b, i, j]) for i in n for j in n]
    if probe.channels > 1:
        rows = [(x, y) for row, values in rows for x, y in zip(row, values, strict=True)]
    scored = [(row, value) for row, value in rows if probe.type is Type.SCALAR or value >= 0]
    return sum(entry_loss(probe, row, value) for row, value in scored), len(scored)


def by_loops(batch: Batch, prediction: Prediction) -> dict[str, tuple[float, int]]:
    expected = {}
    for probe in (*batch.spec.outputs, *batch.spec.hints):
        parts = []
        for b in range(2):
            if probe.stage is Stage.HINT:
                frames = [(prediction.hints[probe.name][t], batch.hints[probe.name][t + 1]) for t in range(STEPS)]
                frames = [frame for t, frame in enumerate(frames) if t + 1 < LENGTHS[b]]
            elif probe.streamed:
                frames = [(prediction.outputs[probe.name][t], batch.outputs[probe.name][t]) for t in range(STEPS)]
                frames = [frame for t, frame in enumerate(frames) if t < max(LENGTHS[b] - 1, 1)]
            else:
                frames = [(prediction.outputs[probe.name], batch.outputs[probe.name])]
            parts += [frame_loss(probe, row, value, b) for row, value in frames]
        expected[probe.name] = (sum(part[0] for part in parts), sum(part[1] for part in parts))
    return expected


def test_every_kind_of_probe_equals_a_loop_over_its_entries() -> None:
    batch, prediction = synthetic()
    objective = Supervised()
    sums, counts = objective(batch, prediction), objective.counts(batch)
    expected = by_loops(batch, prediction)
    assert set(sums) == {*expected, PENALTY + "ponder"}
    for name, (total, count) in expected.items():
        assert counts[name] == count > 0, name
        assert float(sums[name]) == pytest.approx(total, rel=1e-5), name
    assert float(sums[PENALTY + "ponder"]) == 4.0 and counts[PENALTY] == 2


def test_gradient_is_finite_where_logits_are_infinite() -> None:
    batch, prediction = synthetic()
    leaves = {name: value.requires_grad_() for name, value in {**prediction.outputs, **prediction.hints}.items()}
    outputs = {name: leaves[name] for name in prediction.outputs}
    hints = {name: leaves[name] for name in prediction.hints}
    sum(Supervised()(batch, prediction._replace(outputs=outputs, hints=hints)).values(), torch.zeros(())).backward()
    for name, leaf in leaves.items():
        assert leaf.grad is not None and torch.isfinite(leaf.grad).all(), name
        assert leaf.grad.any(), name


def test_permutation_rows_are_those_of_the_cycle_and_the_head_has_its_own_term() -> None:
    task = tasks.create("insertion_sort")
    batch = task.sample(seed=1, batch_size=3, size=(3, 5))
    model = Reasoner(task.spec, zoo.create("mpnn", hidden_size=8)).eval()
    with torch.no_grad():
        prediction = model(batch)
    sums, counts = Supervised(hint_weight=0.0)(batch, prediction), Supervised(hint_weight=0.0).counts(batch)
    total = head_total = 0.0
    for b, n in enumerate(batch.sizes.tolist()):
        pointer = batch.outputs["pred"][b, :n].tolist()
        head = next(i for i, target in enumerate(pointer) if i == target)
        (tail,) = set(range(n)) - {target for i, target in enumerate(pointer) if i != head}
        pointer[head] = tail
        total -= sum(float(prediction.outputs["pred"][b, target, i]) for i, target in enumerate(pointer))
        head_total -= float(prediction.outputs["pred:head"][b, head])
    assert float(sums["pred"]) == pytest.approx(total, rel=1e-5)
    assert float(sums["pred:head"]) == pytest.approx(head_total, rel=1e-5)
    assert counts == {"pred": int(batch.sizes.sum()), "pred:head": 3, PENALTY: 3}


@pytest.fixture
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize("name", ["bfs", "bellman_ford"])
def test_dense_and_sparse_losses_are_equal(name: str) -> None:
    task = tasks.create(name)
    model = Reasoner(task.spec, zoo.create("pgn", hidden_size=8)).double()
    both = {}
    for layout in ("dense", "sparse"):
        batch = task.sample(seed=2, batch_size=4, size=(4, 7), layout=layout)
        with torch.no_grad():
            both[layout] = Supervised()(batch, model(batch)), Supervised().counts(batch)
    (dense, dense_counts), (sparse, sparse_counts) = both["dense"], both["sparse"]
    assert dense_counts == sparse_counts
    for term in dense:
        assert float(dense[term]) == pytest.approx(float(sparse[term]), rel=1e-12), term


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize("name", ["bfs", "insertion_sort", "copy", "disjoint_set"])
def test_halves_add_up_to_the_whole(name: str) -> None:
    task = tasks.create(name)
    model = Reasoner(task.spec, zoo.create("mpnn", hidden_size=8)).double()
    objective = Supervised(hint_weight=0.5)
    parts = [task.sample(seed=3, batch_size=2, size=(3, 6), index=first) for first in (0, 2)]
    whole = task.sample(seed=3, batch_size=4, size=(3, 6))
    with torch.no_grad():
        predictions = [objective(batch, model(batch, noise=(0, 5))) for batch in (*parts, whole)]
    counts = [objective.counts(batch) for batch in (*parts, whole)]
    for term in predictions[2]:
        added = float(predictions[0][term] + predictions[1][term])
        assert added == pytest.approx(float(predictions[2][term]), rel=1e-10), term
    assert {term: counts[0][term] + counts[1][term] for term in counts[2]} == counts[2]


def test_weights_choose_by_stage_and_name() -> None:
    batch = tasks.create("bfs").sample(batch_size=2, size=4)
    objective = Supervised(hint_weight=0.25, penalty_weights={"ponder": 0.5})
    names = ("pi", "pi_h", PENALTY + "ponder", PENALTY + "other")
    assert [objective.weight(batch, name) for name in names] == [1.0, 0.25, 0.5, 1.0]


def test_cost_per_sample_divides_the_same_sums_by_samples() -> None:
    task = tasks.create("copy")
    batch = task.sample(seed=1, batch_size=3, size=(2, 5))
    model = Reasoner(task.spec, zoo.create("mpnn", hidden_size=8))
    by_entry, by_sample = Supervised(), Supervised(per="sample")
    assert by_sample.counts(batch)["copied"] == 3 < by_entry.counts(batch)["copied"]
    prediction = model(batch)
    assert torch.equal(by_sample(batch, prediction)["copied"], by_entry(batch, prediction)["copied"])


def test_label_smoothing_is_the_cross_entropy_to_a_spread_target() -> None:
    task = tasks.create("reverse", symbols=3)
    batch = task.sample(batch_size=2, size=5)
    logits = torch.randn(2, 5, 4)
    spread = torch.full((2, 5, 4), 0.3 / 3).scatter(2, batch.outputs["reversed"].long()[..., None], 0.7)
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), spread.flatten(0, 1), reduction="sum")
    model = Reasoner(task.spec, zoo.create("deep_sets", hidden_size=8))
    prediction = model(batch)._replace(outputs={"reversed": logits})
    found = Supervised(label_smoothing=0.3)(batch, prediction)["reversed"]
    torch.testing.assert_close(found, expected)
    assert not torch.isclose(found, Supervised()(batch, prediction)["reversed"])
