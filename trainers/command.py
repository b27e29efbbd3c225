"""What the subcommands of `zoo` do that need torch: train, eval, compare."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
import yaml

from trainers import compare, runs, sweeps
from trainers.build import check_distributions, check_sizes
from trainers.config import compose, override
from trainers.diagnosis import NonFiniteError
from trainers.display import console, score_table
from trainers.distributed import Processes, join
from trainers.evaluation import default_dtype, evaluate
from trainers.experiment import Finished, control_name, run, score_rows
from trainers.interruption import Interrupted
from trainers.launchers import SEQUENTIAL, Job, launch
from trainers.networks import load_network, scoring_config
from trainers.overrides import expand
from trainers.run_config import Config
from trainers.usage import UsageError

MULTIRUN = "multirun.yaml"


def train(overrides: Sequence[str], *, multirun: bool, resume: str | None) -> int:
    """`zoo train`.

    Args:
        overrides: Hydra's `key=value` words; `resume=RUN` among them is the option.
        multirun: whether several values of a key, or a named sweep, stand for several runs.
        resume: an interrupted run to go on with.

    Returns:
        The exit code.
    """
    rest = [word for word in overrides if not word.startswith("resume=")]
    resume = next((word.removeprefix("resume=") for word in overrides if word.startswith("resume=")), resume)
    if resume is not None:
        return _resume(resume, rest)
    if multirun:
        asked = sweeps.read(rest)
        return _multirun(expand(asked.overrides), asked)
    config = compose(sweeps.single(rest))
    with _processes(config) as processes:
        return _one(config, _agreed(runs.new_folder(config), processes), processes)


def evaluate_network(
    name: str,
    *,
    runs_dir: str,
    sizes: Sequence[int] | None,
    distributions: Sequence[str] | None,
    samples: int | None,
    seed: int | None,
    device: str | None,
) -> int:
    """`zoo eval`: score a network; what is not given is as in its run, its row, or `zoo compile`."""
    network = load_network(name, runs_dir=runs_dir)
    config, made = scoring_config(network), list(network.tasks.values())
    trainer = config.trainer
    for task in made:
        check_sizes(task, sizes or (), "--sizes")
        check_distributions(task, distributions or (), "--distributions")
    if samples is not None and samples < 1:
        raise UsageError(f"--samples: {samples} graphs cannot be scored", "give at least 1")
    with _processes(
        dataclasses.replace(config, trainer=dataclasses.replace(trainer, device=device or trainer.device))
    ) as processes:
        asked = {"sizes": sizes, "distributions": distributions, "samples": samples, "seed": seed}
        given = {name: value for name, value in asked.items() if value is not None}
        with default_dtype(trainer.precision):
            evaluation = evaluate(
                network.model.to(processes.device), made, **(trainer.scoring() | given), processes=processes
            )
        if processes.main:
            title = f"{network.processor} on {config.task_name}: {network.folder or network.name}"
            console().print(score_table(title, score_rows(network.processor, evaluation)))
    return 0


def compile_run(algorithm: str, processor: str, overrides: Sequence[str], *, runs_dir: str) -> int:
    """`zoo compile`: a run whose weights are set and not trained, scored like any other."""
    from trainers.compiled import words

    return train([*words(algorithm, processor), f"runs_dir={runs_dir}", *overrides], multirun=False, resume=None)


def compare_runs(names: Sequence[str], *, runs_dir: str, output: str | None, use_wandb: bool) -> int:
    """`zoo compare`: table and figure of several runs."""
    _print_comparison(compare.compare_runs(names, runs_dir=runs_dir, output=output), use_wandb=use_wandb)
    return 0


def _one(config: Config, folder: Path, processes: Processes, *, whole: Path | None = None) -> int:
    """One run, printed at the end; `whole` is the multirun that it is part of, and goes on with."""
    try:
        finished = run(config, folder, processes)
    except Interrupted as stop:
        _tell(
            processes, f"zoo: {str(stop).partition(';')[0]}\n     go on from there: zoo train resume={whole or folder}"
        )
        return stop.code
    except NonFiniteError as error:
        _tell(processes, f"zoo: {error}")
        return 1
    if processes.main:
        _print(finished)
    return 0


def _tell(processes: Processes, lines: str) -> None:
    """Say on standard error why a run ended, once."""
    if processes.main:
        print(lines.replace("\n", "\n     ") if "\n     " not in lines else lines, file=sys.stderr)


@contextmanager
def _processes(config: Config) -> Iterator[Processes]:
    """The processes that train together."""
    try:
        joined = join(config.trainer.device)
        with joined as processes:
            yield processes
    except ValueError as error:
        if not str(error).startswith("trainer.device"):
            raise
        raise UsageError.of(error, remedy="trainer.device=auto takes a GPU if there is one") from error


def _agreed(folder: Path, processes: Processes) -> Path:
    """The first process's folder, in every process."""
    names = [str(folder)]
    if processes.world > 1:
        torch.distributed.broadcast_object_list(names, 0)
    return Path(names[0])


def run_job(folder: str, words: Sequence[str]) -> int:
    """One run of a multirun, wherever it was launched: its folder and its words; the exit code."""
    config = compose(words)
    with _processes(config) as processes:
        return _one(config, Path(folder), processes)


def _resume(name: str, overrides: Sequence[str]) -> int:
    """Go on with a run, or with all unfinished runs of a multirun."""
    runs_dir = next((word.removeprefix("runs_dir=") for word in overrides if word.startswith("runs_dir=")), "runs")
    for place in (Path(name), Path(runs_dir) / name):
        if (place / MULTIRUN).is_file():
            jobs = yaml.safe_load((place / MULTIRUN).read_text(encoding="utf-8"))["jobs"]
            more, launcher = sweeps.read(overrides)
            jobs = {job: [*words, *more] for job, words in jobs.items()}
            return _run_all(jobs, {job: compose(words) for job, words in jobs.items()}, place, launcher)
    folder = runs.find(name, runs_dir)
    config = override(runs.load_config(folder), sweeps.single(overrides))
    with _processes(config) as processes:
        return _one(config, folder, processes)


def _multirun(jobs: Sequence[Sequence[str]], asked: sweeps.Multirun) -> int:
    """All runs of a sweep, then their comparison."""
    named: dict[str, Sequence[str]] = {}
    configs: dict[str, Config] = {}
    for words in jobs:  # every mistake comes to light before the first step
        config = compose(words)
        name = f"{config.processor_name}-{config.task_name}-s{config.settings.seed}"
        number = sum(each == name or each.startswith(f"{name}+") for each in named)
        name = f"{name}+{number + 1}" if number else name
        named[name], configs[name] = list(words), config
    return _run_all(named, configs, None, asked.launcher, asked.overrides)


def _run_all(
    jobs: dict[str, Sequence[str]],
    configs: dict[str, Config],
    place: Path | None,
    launcher: str,
    overrides: Sequence[str] = (),
) -> int:
    """The runs of a sweep that are not finished yet, then the comparison of all.

    Args:
        jobs: words of each run, by the name of its folder.
        configs: what they mean.
        place: the multirun's folder; None makes one.
        launcher: where they run; one after another, the first that does not end well ends all.
        overrides: the words that the jobs were made of.
    """
    first = next(iter(configs.values()))
    with _processes(first) if launcher == SEQUENTIAL else nullcontext(Processes()) as processes:
        if place is None:
            place = _agreed(runs.new_multirun_folder(first.settings.runs_dir), processes)
            if processes.main:
                place.mkdir(parents=True)
                text = yaml.safe_dump({"overrides": list(overrides), "jobs": jobs}, sort_keys=False)
                (place / MULTIRUN).write_text(text, encoding="utf-8")
        codes = _launch(configs, jobs, place, launcher, processes)
        if processes.main and not any(codes):
            comparison = compare.write([place / name for name in jobs], place)
            _print_comparison(comparison, use_wandb=first.logger.name == "wandb")
    return next(filter(None, codes), 0)


def _launch(
    configs: dict[str, Config], jobs: dict[str, Sequence[str]], place: Path, launcher: str, processes: Processes
) -> list[int]:
    """Launch the unfinished runs; their exit codes, and the launch's own."""
    left = [name for name in configs if runs.read_json(place / name / runs.SUMMARY) is None]
    here = launcher == SEQUENTIAL
    numbers = {name: f"run {position + 1} of {len(jobs)}: {name}" for position, name in enumerate(jobs)}

    def one(name: str) -> int:
        if processes.main:
            print(f"\n{numbers[name]}", flush=True)
        return _one(configs[name], place / name, processes, whole=place)

    def told(job: Job, code: int) -> bool | None:
        if not here:
            print(f"{numbers[job.name]}: {'finished' if not code else f'ended with exit code {code}'}", flush=True)
        # A run that diverged does not keep the others from theirs.
        return code in (0, 1) if here else None

    work = [
        Job(
            name=name,
            function=one if here else run_job,
            arguments=(name,) if here else (str(place / name), list(jobs[name])),
            gpu=configs[name].trainer.device != "cpu",
        )
        for name in left
    ]
    launched = launch(work, launcher, on_end=told)
    if launched.code:
        _tell(processes, f"zoo: stopped\n     go on from there: zoo train resume={place} hydra/launcher={launcher}")
    return [launched.code, *launched.values.values()]


def _print_comparison(comparison: compare.Comparison, *, use_wandb: bool) -> None:
    """Print the table, log table and figure."""
    for line in comparison.skipped:
        print(f"zoo: warning: {line}", file=sys.stderr)
    screen = console()
    screen.print(comparison.table)
    screen.print(f"figure      {comparison.figure}", soft_wrap=True)
    if use_wandb:
        screen.print(f"W&B         {_compare_wandb(comparison) or 'not written'}")


def _compare_wandb(comparison: compare.Comparison) -> Path | None:
    """The comparison as a W&B run of its own."""
    from trainers.wandb_logger import WandbLogger, wandb_mode

    series, place = comparison.series, comparison.figure.parent
    first = series[0].config
    logger = WandbLogger(
        place,
        name=f"compare-{place.name}",
        mode=wandb_mode(first.logger.mode),
        project=first.logger.project,
        entity=first.logger.entity,
        job_type="compare",
        tags=list(dict.fromkeys([*(one.config.processor_name for one in series), first.task_name])),
        config={"runs": [str(folder) for one in series for folder in one.folders]},
    )
    logger.start(run_id=None, step=0)
    written = logger.place
    logger.table("compare/scores", comparison.columns, comparison.rows)
    logger.image("compare/score_against_size", comparison.figure)
    logger.close()
    return written


def _print(finished: Finished) -> None:
    """Table of scores, and where everything is."""
    config = finished.config
    rows = score_rows(config.processor_name, finished.evaluation)
    if finished.control is not None:
        rows += score_rows(control_name(config), finished.control)
    samples = config.trainer.eval_samples
    title = (
        f"{config.processor_name} on {config.task_name}: score by size, and share of whole samples exact "
        f"({samples} held-out samples a cell, own hints)"
    )
    screen = console()
    screen.print(score_table(title, rows))
    places = {
        "figure": finished.figure,
        "checkpoint": finished.weights,
        "local logs": f"{finished.folder}  (config.yaml, environment.json, metrics.jsonl, summary.json)",
        "W&B": _wandb_place(finished),
    }
    for name, place in places.items():
        if place:
            screen.print(f"{name:<11} {place}", soft_wrap=True)


def _wandb_place(finished: Finished) -> str:
    """Where the W&B run is, and how an offline one is uploaded."""
    if finished.logs is None:
        return ""
    place = os.path.relpath(finished.logs)
    return f"{place}  (offline; upload: wandb sync {place})" if "offline" in finished.logs.name else place
