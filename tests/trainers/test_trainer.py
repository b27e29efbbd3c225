"""The training loop: what it learns, keeps, logs, and how it stops and goes on."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tasks
import zoo
from trainers import checkpoint
from trainers.checkpoint import BEST, CheckpointError
from trainers.evaluation import Cell, Evaluation, evaluate
from trainers.losses import Supervised
from trainers.metrics_file import MetricsFile
from trainers.reporting import Logger, NullLogger, Progress
from trainers.step import TrainingStep, compile_processor
from trainers.trainer import Interrupted, NonFiniteError, Trainer, TrainerConfig
from zoo import Reasoner

SMALL: dict[str, Any] = {
    "max_steps": 6, "batch_size": 4, "sizes": (4,), "device": "cpu", "val_every": 3, "val_samples": 4,
    "checkpoint_every": 2, "eval_sizes": (5,), "eval_samples": 4, "prefetch": 2,
}  # fmt: skip


def make(
    folder: Path | None = None, *, names: Sequence[str] = ("copy",), processor: str = "mpnn", **options: Any
) -> Trainer:
    """A trainer of a tiny model; what is no trainer option goes to `Trainer`."""
    known = ("logger", "on_progress", "objective", "seed", "identity")
    given = {name: options.pop(name) for name in known if name in options}
    several = [tasks.create(name) for name in names]
    torch.manual_seed(0)
    model = Reasoner([task.spec for task in several], zoo.create(processor, hidden_size=8))
    return Trainer(model, several, TrainerConfig(**(SMALL | options)), folder=folder, **given)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def equal(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def final(folder: Path) -> checkpoint.Checkpoint:
    path = checkpoint.newest(folder / "checkpoints")
    assert path is not None
    return checkpoint.load(path)


def stop_after(step: int, number: int = signal.SIGTERM) -> Any:
    def on_progress(progress: Progress) -> None:
        if progress.step == step:
            os.kill(os.getpid(), number)

    return on_progress


class Recorder(NullLogger):
    """Keeps what it is told."""

    def __init__(self, run_id: str | None = None) -> None:
        self.run_id = run_id
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.started: list[tuple[str | None, int]] = []
        self.values: dict[str, Any] = {}
        self.tables: dict[str, Any] = {}
        self.files: list[Path] = []

    def start(self, *, run_id: str | None, step: int) -> None:
        self.started.append((run_id, step))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.rows.append((step, dict(metrics)))

    def summary(self, values: Mapping[str, Any]) -> None:
        self.values |= values

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.tables[name] = (columns, rows)

    def artifact(self, name: str, path: Path, *, type: str = "model") -> None:
        self.files.append(path)


def test_a_tiny_task_is_learned() -> None:
    trainer = make(names=["bfs"], max_steps=80, lr=0.02, batch_size=8, val_every=40, val_samples=32, val_sizes=(5,))
    before = evaluate(trainer.model, trainer.tasks, sizes=(5,), samples=32).score
    summary = trainer.fit()
    after = evaluate(trainer.model, trainer.tasks, sizes=(5,), samples=32).score
    assert after > max(before + 0.1, 0.85)
    assert summary["val/score"] > 0.85 and summary["step"] == 80


def test_every_step_has_one_line_with_the_promised_names(tmp_path: Path) -> None:
    recorder = Recorder()
    assert isinstance(recorder, Logger)
    seen: list[Progress] = []
    trainer = make(tmp_path, names=["bfs"], logger=recorder, on_progress=seen.append)
    trainer.fit()
    evaluation = trainer.score()
    rows = lines(tmp_path)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6] == [step for step, _ in recorder.rows[:6]]
    training = {f"train/{name}" for name in ("loss", "grad_norm", "lr", "step_ms", "samples_per_second")}
    assert training | {"train/loss/pi", "train/loss/reach_h", "train/loss/pi_h"} < rows[0].keys()
    assert {"val/score", "val/score/pi"} <= rows[2].keys() and "val/score" not in rows[0]
    assert recorder.rows[-1] == (6, evaluation.metrics()) and "ood/score/clrs/n=5" in evaluation.metrics()
    assert recorder.tables["scores"][1] == evaluation.rows()
    assert recorder.files == [tmp_path / "checkpoints" / BEST] and recorder.files[0].exists()
    assert {"ood/score/n=5", "val/score", "train/loss", "seconds"} <= recorder.values.keys()
    assert [progress.step for progress in seen] == [1, 2, 3, 4, 5, 6] and seen[0].max_steps == 6


def test_lines_can_be_rarer(tmp_path: Path) -> None:
    make(tmp_path, log_every=4, val_every=5, max_steps=9).fit()
    assert [row["step"] for row in lines(tmp_path)] == [1, 4, 5, 8, 9]


def test_weights_best_on_validation_end_in_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make(tmp_path, val_every=1)
    scores = iter([0.1, 0.7, 0.3, 0.7, 0.2, 0.5])
    kept = []

    def validate(model: nn.Module, *_: Any, **__: Any) -> Any:
        kept.append({name: value.clone() for name, value in model.state_dict().items()})
        return Evaluation(
            (Cell(task="copy", distribution="d", size=4, graphs=1, score=next(scores), exact=0.0, probes={}),)
        )

    monkeypatch.setattr("trainers.trainer.validate", validate)
    summary = trainer.fit()
    assert (summary["val/score"], summary["val/step"]) == (0.7, 4)  # of equals the later
    assert equal(weights(trainer), kept[3]) and not equal(weights(trainer), kept[5])
    tensors, metadata = checkpoint.read_weights(tmp_path / "checkpoints" / BEST)
    assert equal(tensors, kept[3]) and metadata["step"] == 4 and metadata["identity"]["specs"].keys() == {"copy"}


def test_without_validation_the_last_weights_count(tmp_path: Path) -> None:
    trainer = make(tmp_path, val_every=0)
    summary = trainer.fit()
    assert equal(weights(trainer), final(tmp_path).weights)
    tensors, metadata = checkpoint.read_weights(tmp_path / "checkpoints" / BEST)
    assert equal(tensors, weights(trainer)) and metadata["step"] == summary["val/step"] == 6


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "rmsprop_graves", "clip_value": 0.1, "clip_norm": 0.0, "schedule": "linear"},
        {"names": ("copy", "bfs"), "task_mix": "draw", "accumulate": 2, "precision": "float64"},
        {"precision": "bfloat16", "optimizer": "sgd", "momentum": 0.9},
        {"processor": "ntm", "optimizer": "rmsprop", "momentum": 0.9},
    ],
    ids=["adam", "rmsprop_graves", "two tasks", "bfloat16", "ntm"],
)
def test_a_run_stopped_by_a_signal_goes_on_as_if_it_had_not_been(tmp_path: Path, options: dict[str, Any]) -> None:
    number = signal.SIGTERM if options else signal.SIGINT
    alone = make(tmp_path / "alone", **options)
    alone.fit()
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted, match=f"{signal.Signals(number).name} after step 3") as stopped:
        make(tmp_path / "stopped", on_progress=stop_after(3, number), **options).fit()
    assert stopped.value.code == 128 + number and stopped.value.step == 3
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert final(tmp_path / "stopped").step == 3
    resumed = make(tmp_path / "stopped", **options)
    torch.manual_seed(77)  # the state of the process that resumes must not matter
    assert resumed.fit()["resumed_from"] == 3
    assert equal(weights(alone), weights(resumed))
    assert equal(final(tmp_path / "alone").weights, final(tmp_path / "stopped").weights)
    clocks = {"train/step_ms", "train/samples_per_second"}
    rows = [
        [{key: value for key, value in row.items() if key not in clocks} for row in lines(tmp_path / name)]
        for name in ("alone", "stopped")
    ]
    assert rows[0] == rows[1]


def test_a_signal_in_the_last_step_stops_what_comes_after_training(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="after step 6") as stopped:
        make(tmp_path, on_progress=stop_after(6)).fit()
    assert stopped.value.code == 143 and final(tmp_path).step == 6
    assert make(tmp_path).fit()["resumed_from"] == 6


def test_a_second_signal_acts_at_once(tmp_path: Path) -> None:
    def twice(progress: Progress) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, on_progress=twice).fit()


def test_a_time_limit_stops_like_a_signal(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="time_limit") as stopped:
        make(tmp_path, time_limit=1e-6).fit()
    assert stopped.value.code == 124 and final(tmp_path).step == stopped.value.step == 0
    assert make(tmp_path).fit()["step"] == 6


def test_training_in_a_thread_leaves_signals_alone(tmp_path: Path) -> None:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(make(tmp_path).fit()))
    thread.start()
    thread.join()
    assert results[0]["step"] == 6


def test_a_finished_run_is_not_trained_again_but_can_be_prolonged(tmp_path: Path) -> None:
    first = make(tmp_path)
    first.fit()
    rows = lines(tmp_path)
    again = make(tmp_path)
    assert again.fit()["resumed_from"] == 6 and lines(tmp_path) == rows
    assert equal(weights(first), weights(again))
    assert make(tmp_path, max_steps=8).fit()["resumed_from"] == 6
    assert [row["step"] for row in lines(tmp_path)] == list(range(1, 9))


def test_without_resume_a_run_starts_anew(tmp_path: Path) -> None:
    make(tmp_path).fit()
    assert make(tmp_path, resume=False, max_steps=4).fit()["resumed_from"] == 0
    assert [row["step"] for row in lines(tmp_path)] == [1, 2, 3, 4] and final(tmp_path).step == 4


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"names": ("bfs",)}, r"specs\.copy"),
        ({"lr": 0.5}, r"trainer\.lr is 0\.001 there, 0\.5 here"),
        ({"seed": 9}, "seed is 0 there, 9 here"),
        ({"identity": {"processor": "pgn"}}, 'processor is "mpnn" there, "pgn" here'),
    ],
)
def test_another_run_is_not_resumed(tmp_path: Path, options: dict[str, Any], named: str) -> None:
    make(tmp_path, identity={"processor": "mpnn"}).fit()
    with pytest.raises(CheckpointError, match=named):
        make(tmp_path, **({"identity": {"processor": "mpnn"}} | options)).fit()


def test_the_loggers_run_goes_on_under_its_id(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        make(tmp_path, logger=Recorder("abc"), on_progress=stop_after(2)).fit()
    recorder = Recorder()
    make(tmp_path, logger=recorder).fit()
    assert recorder.started == [("abc", 2)] and [step for step, _ in recorder.rows] == [3, 4, 5, 6]


@pytest.mark.parametrize(("batch_size", "accumulate"), [(2, 3), (3, 2), (1, 6)])
def test_accumulated_micro_batches_are_one_batch(batch_size: int, accumulate: int) -> None:
    options = {"names": ("bfs", "insertion_sort"), "sizes": (3, 6), "precision": "float64", "val_every": 0}
    whole = make(batch_size=6, **options)
    parts = make(batch_size=batch_size, accumulate=accumulate, **options)
    losses = [trainer.fit()["train/loss"] for trainer in (whole, parts)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    for name, value in weights(whole).items():
        torch.testing.assert_close(value, weights(parts)[name], rtol=1e-7, atol=1e-10, msg=name)


class Poisoned(nn.Module):
    """A model that goes wrong for one sample, in its outputs or only in its gradient."""

    def __init__(self, inner: nn.Module, sample: int, where: str) -> None:
        super().__init__()
        self.inner, self.sample, self.where = inner, sample, where

    def forward(self, batch: Any, noise: tuple[int, int] = (0, 0)) -> Any:
        prediction = self.inner(batch, noise=noise)
        bad = (batch.index == self.sample).reshape(-1, 1, 1)
        value = prediction.outputs["copied"]
        if self.where == "loss":
            value = torch.where(bad, torch.nan, value)
        else:  # a finite value with an infinite derivative
            inside = torch.where(bad, (value - value.detach()).abs(), 1.0)
            value = value + torch.where(bad, inside.sqrt(), 0.0)
        return prediction._replace(outputs={"copied": value})


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_what_is_not_finite_stops_the_run_and_says_where(tmp_path: Path, where: str) -> None:
    task = tasks.create("copy")
    torch.manual_seed(0)
    model = Poisoned(Reasoner(task.spec, zoo.create("mpnn", hidden_size=8)), 13, where)
    config = TrainerConfig(**(SMALL | {"val_every": 0}))
    trainer = Trainer(model, task, config, folder=tmp_path)
    with pytest.raises(NonFiniteError) as error:
        trainer.fit()
    problem = error.value
    assert (problem.step, problem.task) == (3, "copy")  # samples 12 to 15
    assert problem.term.startswith("loss of copied" if where == "loss" else "gradient of inner.")
    assert problem.samples == ([13] if where == "loss" else [12, 13, 14, 15])
    assert "step 3, task copy" in str(problem) and str(problem.folder) in str(problem)
    assert all(torch.isfinite(value).all() for value in weights(trainer).values())
    assert problem.folder == tmp_path / "nonfinite-step-00000003"
    (batch,) = torch.load(problem.folder / "batch.pt", weights_only=True)
    assert batch["index"].tolist() == [12, 13, 14, 15] and torch.equal(
        batch["inputs"]["bits"], trainer.sampler(3).batches[0].inputs["bits"]
    )
    path = checkpoint.newest(problem.folder)
    assert path is not None and equal(checkpoint.load(path).weights, weights(trainer))
    report = json.loads((problem.folder / "report.json").read_text())
    assert report["samples"] == problem.samples and report["step"] == 3
    assert [row["step"] for row in lines(tmp_path)] == [1, 2, 3]


def test_a_full_disk_in_the_middle_is_a_warning_and_at_the_end_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = checkpoint.write
    full = {"on": False}

    def maybe(path: Path, data: bytes) -> None:
        if full["on"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, data)

    def at(progress: Progress) -> None:
        full["on"] = progress.step >= 3

    monkeypatch.setattr(checkpoint, "write", maybe)
    with pytest.warns(UserWarning) as caught, pytest.raises(CheckpointError, match="step-00000002 is kept"):
        make(tmp_path, on_progress=at).fit()
    assert any("No space left" in str(warning.message) for warning in caught)
    monkeypatch.undo()
    assert final(tmp_path).step == 2
    alone = make(tmp_path / "alone")
    alone.fit()
    resumed = make(tmp_path)
    assert resumed.fit()["resumed_from"] == 2 and equal(weights(alone), weights(resumed))
    assert [row["step"] for row in lines(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_a_truncated_checkpoint_is_an_error_that_names_it(tmp_path: Path) -> None:
    make(tmp_path).fit()
    path = tmp_path / "checkpoints" / "step-00000006" / "state.pt"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=str(path)):
        make(tmp_path).fit()


def test_a_frozen_processor_stays_as_it_is_and_the_task_is_learned() -> None:
    trainer = make(names=["bfs"])
    model = trainer.model
    model.processor.requires_grad_(False)
    options = SMALL | {"max_steps": 80, "lr": 0.03, "batch_size": 8, "sizes": (6,), "val_every": 0}
    frozen = Trainer(model, trainer.tasks, TrainerConfig(**options))
    before = {name: value.clone() for name, value in model.processor.state_dict().items()}
    start = evaluate(model, trainer.tasks, sizes=(6,), samples=32).score
    frozen.training.set_mode()
    assert model.training and not model.processor.training
    frozen.fit()
    assert equal(before, model.processor.state_dict())
    assert evaluate(model, trainer.tasks, sizes=(6,), samples=32).score > max(start + 0.05, 0.9)


def test_nothing_to_train_is_an_error() -> None:
    trainer = make()
    trainer.model.requires_grad_(False)
    with pytest.raises(ValueError, match="every parameter is frozen"):
        Trainer(trainer.model, trainer.tasks, trainer.config)


class Learned(Supervised):
    """An objective with a parameter: a learned weight of the losses."""

    def __init__(self) -> None:
        super().__init__()
        self.log_weight = nn.Parameter(torch.zeros(()))

    def forward(self, batch: Any, prediction: Any) -> Any:
        scale = self.log_weight.exp()
        return {name: value * scale - self.log_weight for name, value in super().forward(batch, prediction).items()}


def test_an_objectives_own_parameters_are_trained_and_resumed(tmp_path: Path) -> None:
    alone = make(objective=Learned())
    alone.fit()
    assert alone.objective.log_weight.item() != 0
    with pytest.raises(Interrupted):
        make(tmp_path, objective=Learned(), on_progress=stop_after(3)).fit()
    resumed = make(tmp_path, objective=Learned())
    resumed.fit()
    assert torch.equal(alone.objective.log_weight, resumed.objective.log_weight)


def test_gradients_are_clipped_by_norm_and_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    for options, measure in (
        ({"clip_norm": 0.01}, lambda g: torch.cat([x.flatten() for x in g]).norm()),
        ({"clip_norm": 0.0, "clip_value": 0.001}, lambda g: torch.cat([x.flatten() for x in g]).abs().max()),
    ):
        trainer = make(max_steps=1, **options)
        found = []
        update = TrainingStep._update
        monkeypatch.setattr(
            TrainingStep,
            "_update",
            lambda self, finite, found=found, update=update: (
                found.append([p.grad.clone() for p in self.parameters if p.grad is not None]), update(self, finite)
            ),
        )  # fmt: skip
        trainer.fit()
        monkeypatch.undo()
        assert float(measure(found[0])) == pytest.approx(max(options.values()), rel=1e-3)


def test_gradients_that_share_memory_are_scaled_and_added_to_once() -> None:
    class Sum(nn.Module):
        """Its biases' gradients are one memory, as autograd leaves them."""

        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner
            self.biases = nn.ParameterList(nn.Parameter(torch.zeros(())) for _ in range(3))

        def forward(self, batch: Any, noise: tuple[int, int] = (0, 0)) -> Any:
            prediction = self.inner(batch, noise=noise)
            shift = torch.stack(list(self.biases)).sum(0)
            return prediction._replace(outputs={"copied": prediction.outputs["copied"] + shift})

    task = tasks.create("copy")
    for accumulate in (1, 2):
        torch.manual_seed(0)
        model = Sum(Reasoner(task.spec, zoo.create("mpnn", hidden_size=8)))
        config = SMALL | {"max_steps": 1, "batch_size": 4 // accumulate, "accumulate": accumulate, "val_every": 0,
                          "optimizer": "sgd", "lr": 1.0, "clip_norm": 1e-3}  # fmt: skip
        Trainer(model, task, TrainerConfig(**config)).fit()
        step = [bias.item() for bias in model.biases]
        if accumulate == 1:
            first = step
    assert step == pytest.approx(first, rel=1e-2) and step[0] == step[1] == step[2] != 0


def test_processors_are_annealed_from_nought_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make(max_steps=4)
    progress: list[float] = []
    monkeypatch.setattr(type(trainer.model.processor), "anneal", lambda self, value: progress.append(value))
    trainer.fit()
    assert progress == [0.0, 0.25, 0.5, 0.75]


def test_half_precision_trains_with_a_loss_scale() -> None:
    trainer = make(precision="float16", max_steps=4)
    before = weights(trainer)
    summary = trainer.fit()
    assert not equal(before, weights(trainer)) and summary["train/loss"] > 0


def test_a_missing_compiler_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", "/nowhere/c++")
    trainer = make(compile=True, max_steps=2, val_every=0)
    from torch._inductor import cpp_builder

    def missing() -> str:
        raise RuntimeError("no C++ compiler found")

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", missing)
    with pytest.warns(UserWarning, match=r"compile is ignored.*no C\+\+ compiler"):
        assert trainer.fit()["step"] == 2


@pytest.mark.compile
@pytest.mark.filterwarnings("ignore")  # tracing meets warnings of torch's own
def test_a_compiled_processor_learns_the_same() -> None:
    losses = [
        make(processor="deep_sets", names=["bfs"], compile=compiled, max_steps=2, val_every=0).fit()["train/loss"]
        for compiled in (False, True)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_processor_that_does_not_compile_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make()
    monkeypatch.setattr(type(trainer.model.processor), "compiles", False)
    with pytest.warns(UserWarning, match="does not compile"):
        compile_processor(trainer.model, torch.device("cpu"))


def test_a_run_is_a_function_of_its_seed() -> None:
    one, same, other = make(), make(), make(seed=1)
    for trainer in (one, same, other):
        torch.randn(3)
        trainer.fit()
    assert equal(weights(one), weights(same)) and not equal(weights(one), weights(other))


def test_prefetching_does_not_change_what_is_learned() -> None:
    trainers = [make(prefetch=0), make(prefetch=3, sample_threads=3)]
    for trainer in trainers:
        trainer.fit()
    assert equal(weights(trainers[0]), weights(trainers[1]))


def test_metrics_wait_for_room_on_a_full_disk(tmp_path: Path) -> None:
    class Full:
        def __init__(self, inner: Any) -> None:
            self.inner, self.full = inner, True

        def write(self, data: bytes) -> int:
            if self.full:
                self.inner.write(data[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return int(self.inner.write(data))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    metrics.write({"step": 1})
    metrics._file = full = Full(metrics._file)
    with pytest.warns(UserWarning, match="kept for later"):
        metrics.write({"step": 2, "train/loss": float("nan")})
    assert lines(tmp_path) == [{"step": 1}]
    full.full = False
    metrics.write({"step": 3})
    metrics.close()
    assert lines(tmp_path) == [{"step": 1}, {"step": 2, "train/loss": None}, {"step": 3}]


def test_metrics_are_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    first = MetricsFile(path)
    first.write({"step": 1})
    position = first.sync()
    first.write({"step": 2})
    first.close()
    again = MetricsFile(path, position=position)
    again.write({"step": 2, "again": True})
    again.close()
    assert lines(tmp_path) == [{"step": 1}, {"step": 2, "again": True}]
    with pytest.warns(UserWarning, match="shorter"):
        MetricsFile(path, position=10**6).close()
