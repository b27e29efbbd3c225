"""Greedy generation: what a model answers at a step is what it reads at the next."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import tasks
import zoo
from tasks.batch import Batch
from tasks.spec import Location, Probe, Spec, Stage, Type
from trainers.losses import Supervised
from zoo.codec import ReasonerConfig
from zoo.prediction import Prediction
from zoo.reasoner import Reasoner

TASK = tasks.create("transduction", kind="reverse", symbols=4)


def read_in(model: Reasoner, batch: Batch) -> tuple[list[Tensor], Prediction]:
    """What the model reads in `previous` at each step, `[batch, 1, classes]`, and what it predicts."""
    seen: list[Tensor] = []
    hook = model.tasks["transduction"].encoder.register_forward_pre_hook(
        lambda _, given: seen.append(given[0]["previous"])
    )
    prediction = model(batch)
    hook.remove()
    return seen, prediction


def one_hot(values: Tensor) -> Tensor:
    """Classes as channels, -1 as none."""
    return (values[..., None] == torch.arange(5)).float()


@pytest.mark.parametrize("name", ["lstm", "ntm", "dnc", "mpnn"])
def test_scored_alone_a_model_reads_its_own_decided_answers(name: str) -> None:
    batch = TASK.sample(seed=3, size=[1, 3, 5], batch_size=6)
    model = Reasoner(TASK.spec, zoo.create(name, hidden_size=16), config=ReasonerConfig(teacher_forcing=1.0)).eval()
    seen, prediction = read_in(model, batch)
    said = prediction.values["generated"]
    assert len(seen) == batch.num_steps and not seen[0].any()
    for t in range(1, batch.num_steps):
        live = t < batch.steps
        due = batch.outputs["generated"][t - 1] >= 0
        assert torch.equal(seen[t][live], (one_hot(said[t - 1]) * due[..., None])[live])
    assert "previous" not in prediction.hints
    assert not torch.equal(said, batch.outputs["generated"].long()), "an untrained model is not right by chance"


def test_forced_by_a_teacher_it_reads_the_truth() -> None:
    batch = TASK.sample(seed=3, size=[2, 4], batch_size=5)
    model = Reasoner(TASK.spec, zoo.create("lstm", hidden_size=16), config=ReasonerConfig(teacher_forcing=1.0))
    seen, _ = read_in(model, batch)
    for t, value in enumerate(seen):
        live = t < batch.steps
        assert torch.equal(value[live], one_hot(batch.hints["previous"][t])[live])


def test_the_loss_of_an_answer_counts_once_and_its_echo_has_no_decoder() -> None:
    batch = TASK.sample(size=3, batch_size=4)
    model = Reasoner(TASK.spec, zoo.create("lstm", hidden_size=16))
    assert set(model.tasks["transduction"].decoders) == {"generated"}
    objective = Supervised()
    assert objective.counts(batch) == {"generated": 16, "penalty:": 4}
    assert set(objective(batch, model(batch))) == {"generated"}


def test_a_learned_copy_is_generated_alone() -> None:
    """Trained on the truth and scored on its own answers, it is right: both read the same channels."""
    torch.manual_seed(0)
    task = tasks.create("transduction", symbols=2)
    config = ReasonerConfig(teacher_forcing=1.0)
    model = Reasoner(task.spec, zoo.create("lstm", hidden_size=16), config=config)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-2)
    objective = Supervised()
    for step in range(40):
        batch = task.sample(size=1, batch_size=8, index=8 * step)
        loss = objective(batch, model(batch))["generated"] / objective.counts(batch)["generated"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    batch = task.sample(seed=1, size=1, batch_size=16)
    said = model.eval()(batch).values["generated"]
    due = batch.outputs["generated"] >= 0
    assert torch.equal(said[due], batch.outputs["generated"][due].long())


def test_an_echo_repeats_a_streamed_output_of_its_form() -> None:
    node = Location.NODE
    answer = Probe("answer", Stage.OUTPUT, node, Type.CATEGORICAL, classes=3, streamed=True)
    told = Probe("told", Stage.HINT, node, Type.CATEGORICAL, classes=3, echoes="answer")
    spec = Spec("made_up", (told, answer))
    assert Spec.from_dict("made_up", spec.as_dict()) == spec
    assert "echoes" in spec.as_dict()[0] and "echoes" not in spec.as_dict()[1]
    for wrong in (
        Probe("answer", Stage.OUTPUT, node, Type.CATEGORICAL, classes=3),
        Probe("answer", Stage.OUTPUT, node, Type.CATEGORICAL, classes=4, streamed=True),
        Probe("other", Stage.OUTPUT, node, Type.CATEGORICAL, classes=3, streamed=True),
    ):
        with pytest.raises(ValueError, match="told echoes 'answer', no streamed output"):
            Spec("made_up", (told, wrong))
    with pytest.raises(ValueError, match="only a hint can echo"):
        Probe("x", Stage.INPUT, node, Type.CATEGORICAL, classes=3, echoes="answer")
