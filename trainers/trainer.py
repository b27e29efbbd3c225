"""The training loop: a plain torch loop over steps, the same on a CPU, on a GPU and over many of them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tasks.task import Task
from trainers import checkpoint
from trainers.checkpoint import BEST, Checkpoint, CheckpointError
from trainers.curriculum import SAMPLES, Lesson
from trainers.data import Prefetch, Sampler, StepBatches, stream_seed
from trainers.diagnosis import NonFiniteError, diagnose
from trainers.distributed import Processes, pick_device
from trainers.evaluation import Evaluation, default_dtype, evaluate
from trainers.grouping import hidden_of
from trainers.interruption import Interrupted, Stop
from trainers.losses import Objective, Supervised
from trainers.metrics_file import MetricsFile
from trainers.reporting import Logger, NullLogger, OnProgress, Progress
from trainers.step import Report, TrainingStep, compile_processor
from trainers.stopwatch import Seconds, Stopwatch
from trainers.trainer_config import TrainerConfig
from trainers.validation import metrics, validate
from zoo.reasoner import Reasoner

__all__ = ["Interrupted", "Logger", "NonFiniteError", "NullLogger", "Progress", "Trainer", "TrainerConfig"]

# On a GPU this many steps may pass before their reports are read, so that no step waits for it.
_REPORTS_AT_ONCE = 25


class Trainer:
    """Trains one model on one task, or on several over a shared processor."""

    def __init__(
        self,
        model: nn.Module,
        task: Task | Sequence[Task],
        config: TrainerConfig | None = None,
        *,
        seed: int = 0,
        folder: str | Path | None = None,
        objective: Objective | None = None,
        logger: Logger | None = None,
        on_progress: OnProgress | None = None,
        identity: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
        processes: Processes | None = None,
    ) -> None:
        """Move the model to its device; nothing is written yet.

        Args:
            model: a `Reasoner`, or what is called like one: `model(batch, noise=(seed, step))`. Its parameters with
                `requires_grad` are trained.
            task: what it learns; several are trained in turn.
            config: the trainer's options.
            seed: of the samples and of the noise. Held-out samples do not depend on it.
            folder: the run folder, for `metrics.jsonl` and `checkpoints/`; None keeps nothing on disk.
            objective: what is minimised; outputs, hints and penalties by default.
            logger: where metrics go besides.
            on_progress: called after logged steps.
            identity: plain data that a checkpoint must agree with to be resumed (the processor's name and config, …).
            defaults: values of the options in `identity` that a checkpoint may be older than.
            processes: that train together, see `trainers.distributed.join`; by default this one alone.

        Raises:
            ValueError: nothing to train, no such device, a batch smaller than the number of processes.
        """
        self.config = config or TrainerConfig()
        self.tasks = [task] if isinstance(task, Task) else list(task)
        self.processes = processes or Processes(device=pick_device(self.config.device))
        self.device, self.seed = self.processes.device, seed
        self.folder = None if folder is None else Path(folder)
        self.logger = logger if logger is not None and self.processes.main else NullLogger()
        self.on_progress = on_progress if self.processes.main else None
        if self.config.threads:
            torch.set_num_threads(self.config.threads)
        self.model = model.to(self.device, torch.float64 if self.config.precision == "float64" else None)
        steps = model.config.steps if isinstance(model, Reasoner) else None
        self.objective = objective or Supervised(
            hint_weight=self.config.hint_weight,
            penalty_weights=self.config.penalty_weights,
            frames=steps if isinstance(steps, int) else None,
            per=self.config.loss_per,
            label_smoothing=self.config.label_smoothing,
        )
        self.objective.to(next(self.model.parameters()))
        self.training = TrainingStep(model, self.objective, self.config, seed=seed, processes=self.processes)
        self.sampler = Sampler(
            self.tasks,
            self.config,
            self.objective,
            seed=seed,
            rank=self.processes.rank,
            world=self.processes.world,
            pin_memory=self.device.type == "cuda",
            hidden=hidden_of(model) if self.device.type == "cpu" and not self.config.compile else None,
        )
        own = {"seed": seed, "trainer": self.config.lasting(), "specs": {t.name: t.spec.as_dict() for t in self.tasks}}
        self.identity = checkpoint.plain({**(identity or {}), **own, **self.sampler.identity})
        self.defaults = {**(defaults or {}), "trainer": checkpoint.plain(TrainerConfig().lasting())}
        self.sampler.curriculum.check(task.spec for task in self.tasks)
        self.step = 0
        self.best: dict[str, Tensor] | None = None
        self.best_score, self.best_step = float("-inf"), 0
        self._watch, self._last_loss = Stopwatch(), float("nan")
        self._metrics: MetricsFile | None = None
        self._reports: list[tuple[Report, dict[str, float]]] = []
        self._clock, self._read_step = 0.0, 0
        self._compiled = False

    @property
    def checkpoints(self) -> Path | None:
        """Folder of the checkpoints and of the best weights."""
        return None if self.folder is None else self.folder / "checkpoints"

    def fit(self) -> dict[str, Any]:
        """Train to `max_steps` (from the last checkpoint on), then put the weights best on validation into the model.

        Torch's global random state is set from the seed, so that a run is a function of its options.

        Returns:
            The summary: `step`, `train/loss` (last), `val/score` and `val/step` (best), `seconds` and `cpu_seconds`
            (over all resumptions; the latter of this process), `samples_per_second`, `parameters`, `resumed_from`.

        Raises:
            Interrupted: SIGINT or SIGTERM came, or the time limit; the state was saved. `.code` is the exit code.
            NonFiniteError: a loss or gradient was not finite; it names step, task, term, samples and dump.
            CheckpointError: the checkpoint is unreadable, of another run, or cannot be written at the end.
        """
        with default_dtype(self.config.precision), Stop(self.config.time_limit) as stop:
            began = time.monotonic()
            self._watch.start()
            resumed_from = self._start()
            try:
                self._loop(stop)
            finally:
                self._watch.stop()
                if self._metrics is not None:
                    self._metrics.close()
            self._restore_best()
        samples = (self.step - resumed_from) * self.config.batch_size * self.config.accumulate
        summary = {
            "step": self.step,
            "train/loss": self._last_loss,
            "val/score": self.best_score if self.best is not None else None,
            "val/step": self.best_step if self.best is not None else None,
            "seconds": self._watch.read().wall,
            "cpu_seconds": self._watch.read().processor,
            "samples_per_second": samples / max(time.monotonic() - began, 1e-9),
            "parameters": sum(parameter.numel() for parameter in self.training.parameters),
            "resumed_from": resumed_from,
        }
        self.logger.summary({name: value for name, value in summary.items() if value is not None})
        return summary

    def score(self, **changes: Any) -> Evaluation:
        """Score the model on the ladder of `eval_sizes`; log `ood/…`, the table `scores` and both as summary.

        Args:
            **changes: arguments of `evaluate` that replace the config's.

        Returns:
            The scores, in every process.
        """
        arguments = self.config.scoring() | {"processes": self.processes} | changes
        with default_dtype(self.config.precision):
            evaluation = evaluate(self.model, self.tasks, **arguments)
        metrics = evaluation.metrics()
        self.logger.log(self.step, metrics)
        self.logger.summary(metrics)
        self.logger.table("scores", Evaluation.COLUMNS, evaluation.rows())
        return evaluation

    def _start(self) -> int:
        """Random state, checkpoint, metrics and logger; the step that training goes on from."""
        torch.manual_seed(stream_seed(self.seed, f"torch:{self.processes.rank}"))
        position, run_id = 0, None
        if self.checkpoints is not None:
            path = self._found(self.checkpoints)
            if path is not None:
                found = checkpoint.load(path, identity=self.identity, defaults=self.defaults)
                position, run_id = self._resume(found, path)
        self.processes.broadcast([*self.model.state_dict().values(), *self.objective.state_dict().values()])
        if self.folder is not None and self.processes.main:
            self._metrics = MetricsFile(self.folder / "metrics.jsonl", position=position)
        if self.config.compile and not self._compiled:
            compile_processor(self.model, self.device)
            self._compiled = True
        self.logger.start(run_id=run_id, step=self.step)
        return self.step

    def _found(self, folder: Path) -> Path | None:
        """The checkpoint to go on from: the first process looks, the others follow."""
        if self.processes.main and not self.config.resume:
            checkpoint.clear(folder)
        path = checkpoint.newest(folder) if self.processes.main else None
        (step,) = self.processes.sum_numbers([-1.0 if path is None else checkpoint.step_of(path)])
        # Every process but the first adds its -1.
        step += self.processes.world - 1
        return None if step < 0 else checkpoint.path_of(folder, int(step))

    def _resume(self, saved: Checkpoint, path: Path) -> tuple[int, str | None]:
        """Take over a checkpoint; position in the metrics and the logger's run."""
        checkpoint.load_weights(self.model, saved.weights, path=path / checkpoint.WEIGHTS)
        state = saved.state
        self.objective.load_state_dict(state["objective"])
        self.training.optimizer.load_state_dict(state["optimizer"])
        self.training.scaler.load_state_dict(state["scaler"])
        self._watch.carry_over(Seconds(state["seconds"], state.get("cpu_seconds", float("nan"))))
        self.step, self._last_loss = saved.step, state["loss"]
        self.best = None if saved.best is None else dict(saved.best)
        self.best_score, self.best_step = state["best_score"], state["best_step"]
        self.sampler.lesson = Lesson(*state.get("lesson", self.sampler.curriculum.first))
        if self.processes.main:
            torch.set_rng_state(state["rng"])
            if self.device.type == "cuda" and state["cuda_rng"] is not None:
                torch.cuda.set_rng_state(state["cuda_rng"], self.device)
            if self.best is None:
                (path.parent / BEST).unlink(missing_ok=True)
            else:
                self._write_best()
        else:
            torch.manual_seed(stream_seed(self.seed, f"torch:{self.processes.rank}:{self.step}"))
        return state["metrics_position"], state["run_id"]

    def _loop(self, stop: Stop) -> None:
        """All steps that are left, and the checkpoint at the end."""
        config = self.config
        self.training.set_mode()
        self._clock, self._read_step = time.monotonic(), self.step
        while self.step < config.max_steps:
            end = config.max_steps
            if self.sampler.curriculum.grows:  # batches after a validation wait for what it unlocks
                end = min(end, (self.step // config.val_every + 1) * config.val_every)
            depth, threads = config.prefetch, config.sample_threads
            with Prefetch(self.sampler, self.step, end, depth=depth, threads=threads) as ahead:
                self._train(ahead, stop)
        self._read_reports()
        if config.val_every == 0:
            self.best, self.best_step = self._weights(), self.step
        self._save(required=True)
        if self.processes.sum_numbers([float(stop.signal is not None)])[0]:
            raise stop.interrupted(self.step)

    def _train(self, ahead: Prefetch[StepBatches], stop: Stop) -> None:
        """The steps of some batches."""
        for items in ahead:
            counts = self._agree(items, stop)
            if counts is None:
                self._read_reports()
                self._save(required=True)
                raise stop.interrupted(self.step)
            report = self.training(self.step, items, counts)
            self.step += 1
            self._after(report)

    def _agree(self, items: StepBatches, stop: Stop) -> dict[str, float] | None:
        """The counts of a step over all processes, or None if any of them wants to stop before it."""
        totals = self.processes.sum_numbers([float(stop.wanted), *items.counts.values()])
        return None if totals[0] else dict(zip(items.counts, totals[1:], strict=True))

    def _after(self, report: Report) -> None:
        """What is due after a step: reports, validation, checkpoint."""
        config, step = self.config, self.step
        last = step == config.max_steps
        validates = bool(config.val_every) and (step % config.val_every == 0 or last)
        saves = bool(config.checkpoint_every) and step % config.checkpoint_every == 0
        extra: dict[str, float] = {}
        self._reports.append((report, extra))
        on_cpu = self.device.type == "cpu"
        if on_cpu and not bool(report.values[-1]):
            self._read_reports()
        if validates:
            if not on_cpu:
                self._check_reports()
            extra |= self._validate()
        due = on_cpu and (step % config.log_every == 0 or step == 1)
        if due or last or validates or saves or len(self._reports) >= _REPORTS_AT_ONCE * config.log_every:
            self._read_reports()
        if saves and not last:
            self._save(required=False)

    def _validate(self) -> dict[str, float]:
        """Score on held-out samples, keep the weights if they are the best, and see what the curriculum unlocks."""
        config = self.config
        evaluation = validate(self.model, self.tasks, config, config.validation_sizes, self.processes)
        # Of equals the later ones: a validation at training sizes is often perfect long before training ends.
        if self.best is None or evaluation.score >= self.best_score:
            self.best, self.best_score, self.best_step = self._weights(), evaluation.score, self.step
            self._write_best()
        return metrics(evaluation, several_tasks=len(self.tasks) > 1) | self._take_on(evaluation)

    def _take_on(self, evaluation: Evaluation) -> dict[str, float]:
        """Unlock what the curriculum says, after a validation; what to log of it."""
        curriculum, lesson = self.sampler.curriculum, self.sampler.lesson
        if not curriculum.grows:
            return {}
        newest, measure = curriculum.newest(lesson), curriculum.config.measure
        if measure == SAMPLES:
            value = float((self.step - lesson.since) * self.config.batch_size * self.config.accumulate)
        else:
            if self.config.validation_sizes != (newest,):
                evaluation = validate(self.model, self.tasks, self.config, (newest,), self.processes)
            value = curriculum.value(evaluation)
        self.sampler.lesson = curriculum.after(lesson, value, self.step)
        return {"curriculum/size": float(newest), f"curriculum/{measure}": value}

    def _check_reports(self) -> None:
        """Raise for the first pending report that is not finite."""
        for report, _ in self._reports:
            if not bool(report.values[-1]):
                raise self._diagnosed(report)

    def _diagnosed(self, report: Report) -> NonFiniteError:
        """What to raise for a step that was not finite."""
        return diagnose(report, self.training, self.sampler, self.folder, partial(self._checkpoint, report.step))

    def _read_reports(self) -> None:
        """Fetch what has been reported, stop at what is not finite, log the rest."""
        if not self._reports:
            return
        reports, self._reports = self._reports, []
        values = torch.cat([report.values for report, _ in reports]).tolist()
        now, steps = time.monotonic(), self.step - self._read_step
        seconds = (now - self._clock) / max(steps, 1)
        self._clock, self._read_step = now, self.step
        first = 0
        for report, extra in reports:
            row = values[first : first + len(report.values)]
            first += len(report.values)
            if not row[-1]:
                raise self._diagnosed(report)
            self._last_loss = row[-3]
            done = report.step + 1
            if extra or done % self.config.log_every == 0 or done in (1, self.config.max_steps):
                self._log(report, row, seconds, extra)

    def _log(self, report: Report, row: Sequence[float], seconds: float, extra: Mapping[str, float]) -> None:
        """One line of metrics."""
        prefix = "train/loss/" if len(self.tasks) == 1 else f"train/loss/{report.task}/"
        metrics = {prefix + name: value for name, value in zip(report.names, row, strict=False)}
        metrics |= {
            "train/loss": row[-3],
            "train/grad_norm": row[-2],
            "train/lr": report.lr,
            "train/step_ms": 1000 * seconds,
            "train/samples_per_second": self.config.batch_size * self.config.accumulate / max(seconds, 1e-9),
            **extra,
        }
        step = report.step + 1
        if self._metrics is not None:
            self._metrics.write({"step": step, **metrics})
        self.logger.log(step, metrics)
        if self.on_progress is not None:
            self.on_progress(Progress(step, self.config.max_steps, metrics))

    def _weights(self) -> dict[str, Tensor]:
        """A copy of the model's tensors on the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}

    def _checkpoint(self, step: int) -> Checkpoint:
        """Everything needed to go on after `step` steps."""
        state = {
            "objective": self.objective.state_dict(),
            "optimizer": self.training.optimizer.state_dict(),
            "scaler": self.training.scaler.state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "best_score": self.best_score,
            "best_step": self.best_step,
            "lesson": tuple(self.sampler.lesson),
            "seconds": self._watch.read().wall,
            "cpu_seconds": self._watch.read().processor,
            "loss": self._last_loss,
            "metrics_position": 0 if self._metrics is None else self._metrics.sync(),
            "run_id": self.logger.run_id,
        }
        return Checkpoint(step, self._weights(), self.best, state, self.identity)

    def _save(self, *, required: bool) -> None:
        """Write a checkpoint; one that is not required and cannot be written is a warning."""
        if self.checkpoints is None or not self.processes.main:
            return
        try:
            checkpoint.save(self.checkpoints, self._checkpoint(self.step), keep=self.config.keep)
        except CheckpointError as error:
            if required:
                raise
            warnings.warn(str(error), stacklevel=2)

    def _write_best(self) -> None:
        """Keep the best weights in a file of their own, for whoever wants nothing else."""
        if self.checkpoints is None or not self.processes.main or self.best is None:
            return
        metadata = {"step": self.best_step, "score": self.best_score, "identity": self.identity}
        try:
            checkpoint.save_weights(self.checkpoints / BEST, self.best, metadata)
        except OSError as error:
            warnings.warn(f"cannot write {self.checkpoints / BEST}: {error}", stacklevel=2)

    def _restore_best(self) -> None:
        """Put the best weights into the model, write and hand them on."""
        if self.best is None:
            return
        self.model.load_state_dict(self.best)
        self._write_best()
        if self.checkpoints is not None and self.processes.main:
            self.logger.artifact("best-weights", self.checkpoints / BEST)
