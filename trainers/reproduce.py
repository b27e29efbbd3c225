"""`zoo reproduce`: train, score and record a published row, a seed at a time, and say whether it passes."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch

from trainers import baselines, ledger, runs
from trainers.baselines import Baseline
from trainers.config import compose, override
from trainers.costs import CPU, GPU, order_by_cost, seed_minutes
from trainers.diagnosis import NonFiniteError
from trainers.display import console
from trainers.distributed import pick_device
from trainers.experiment import run
from trainers.interruption import TIMEOUT_CODE, Interrupted
from trainers.launchers import SEQUENTIAL, Job, launch
from trainers.rescoring import optimum, rescored
from trainers.run_config import Config
from trainers.usage import UsageError
from trainers.verdict import judge
from trainers.verdict_table import verdict_table

FREE = ("logger", "trainer.device", "trainer.compile", "trainer.threads", "trainer.prefetch", "trainer.sample_threads",
        "trainer.log_every", "trainer.checkpoint_every")  # fmt: skip
"""Overrides that a reproduction takes: where and how fast it runs, not what it learns."""


class Asked(NamedTuple):
    """One seed to be measured.

    Attributes:
        baseline: name of the row, or path of its file.
        arm: of the row.
        seed: of the arm.
        times: how many finished entries it should have in the end.
        words: overrides among `FREE`.
        deadline: `time.time()` at which it stops, 0 for none.
        results: folder of the ledger.
        runs_dir: folder of the runs.
    """

    baseline: str
    arm: str
    seed: int
    times: int = 1
    words: tuple[str, ...] = ()
    deadline: float = 0.0
    results: Path = ledger.RESULTS
    runs_dir: str = "runs"

    @property
    def job_name(self) -> str:
        """Unique among jobs."""
        return f"{baselines.load(self.baseline).name}/{self.arm}-s{self.seed}"


def reproduce(
    names: Sequence[str],
    *,
    arm: str | None = None,
    seed: int | None = None,
    again: bool = False,
    budget: float | None = None,
    device: str | None = None,
    launcher: str = SEQUENTIAL,
    words: Sequence[str] = (),
    results: Path = ledger.RESULTS,
    runs_dir: str = "runs",
) -> int:
    """Measure what is not measured yet of some rows, and print where they stand.

    Args:
        names: of the rows, or paths of files of your own; all of the library's, cheapest first, if there are none.
        arm: only this one.
        seed: only this one.
        again: measure once more what has been measured, as further entries; of the seeds that are asked for, those
            with the fewest finished entries, so that an interrupted call goes on.
        budget: minutes after which it stops, to be called again; what surely does not fit is not begun.
        device: `auto`, `cpu` or `cuda`.
        launcher: `sequential` or `ray`.
        words: overrides among `FREE`.
        results: folder of the ledger.
        runs_dir: folder of the runs.

    Returns:
        The exit code; 0 also for a missed row and for a budget that is used up.

    Raises:
        UsageError: an unknown row, arm or seed, a budget of nothing, torchrun, or an override that would change the
            recipe.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("torchrun and zoo reproduce do not go together", "hydra/launcher=ray runs seeds side by side")
    if budget is not None and not budget > 0:
        raise UsageError(f"--budget: {budget:g} minutes are no time", "give more than 0, or leave it out")
    known = {name: baselines.load(name) for name in names or baselines.names()}
    kind = GPU if device != CPU and torch.cuda.is_available() else CPU
    rows = known if names else {row.name: row for row in order_by_cost(known.values(), results, device=kind)}
    for word in words:
        if not word.partition("=")[0].startswith(FREE):
            raise UsageError(f"{word!r} would change the recipe", f"what may be given: {', '.join(FREE)}")
    deadline = time.time() + 60 * budget if budget else 0.0
    words = (*words, *([f"trainer.device={device}"] if device else []))
    asked = []
    for name, row in rows.items():
        arms = list(row.arms) if arm is None else [baselines.check_arm(row, arm)]
        seeds = range(row.seeds) if seed is None else [baselines.check_seed(row, seed)]
        over = ledger.finished(row, results)
        least = min(over[one, number] for one in arms for number in seeds) if again else 0
        asked += [
            Asked(name, one, number, least + 1, tuple(words), deadline, results, runs_dir)
            for one in arms
            for number in seeds
            if over[one, number] <= least
        ]
    code = _measure_all(asked, launcher, deadline) if asked else 0
    for row in rows.values():
        console().print(verdict_table(judge(row, ledger.current(row, results))))
    return code


def _measure_all(asked: Sequence[Asked], launcher: str, deadline: float) -> int:
    """Measure seeds, one after another or side by side; an interruption ends it."""
    jobs = [Job(name=one.job_name, function=measure, arguments=(one,), gpu=True) for one in asked]
    codes: list[int] = []

    def ended(job: Job, code: int) -> bool:
        codes.append(code)
        return code in (0, TIMEOUT_CODE)  # what does not fit may be followed by what does

    done = launch(jobs, launcher, on_end=ended)
    late = codes.count(TIMEOUT_CODE)
    stopped = next((code for code in codes if code not in (0, TIMEOUT_CODE)), done.code)
    if stopped:
        print("zoo: stopped; the same command goes on from there", file=sys.stderr)
    elif late and time.time() < deadline:
        print(f"zoo: the rest of the budget is too short for {late} more seeds", file=sys.stderr)
    elif late:
        print("zoo: the budget is used up; the same command goes on from there", file=sys.stderr)
    return stopped


def measure(asked: Asked) -> int:
    """Train and score one seed, or go on with it, and write its entry.

    Returns:
        0 when the seed came to an end, a diverged one too; the code of the interruption otherwise.
    """
    row = baselines.load(asked.baseline)
    if ledger.finished(row, asked.results)[asked.arm, asked.seed] >= asked.times:
        return 0  # by another process, since this one was asked
    folder, path, values = _attempt(row, asked)
    config = _config(row, asked, folder)
    kind = GPU if pick_device(config.trainer.device).type == "cuda" else CPU
    if asked.deadline:
        left = asked.deadline - time.time()
        minutes, _ = seed_minutes(row, asked.arm, asked.results, device=kind)
        if left <= 0 or ("started" not in values and 60 * minutes > left):  # what was begun always goes on
            return TIMEOUT_CODE
    began = time.process_time()
    here = runs.environment(config)
    values |= {
        "config": runs.config_hash(config),
        "run": str(folder),
        **{key: here[key] for key in ("commit", "dirty", "python", "versions", "device", "cuda", "threads", "cores")},
    }
    values.setdefault("started", here["started"])
    ledger.write(path, values)
    print(f"\n{asked.job_name}, attempt {values['attempt']}: {folder}", flush=True)
    code = 0
    try:
        found = optimum(config) if row.estimator(asked.arm) else _trained(row, asked, config, folder)
        values |= {"state": ledger.FINISHED, **found}
    except NonFiniteError as error:
        values |= {"state": ledger.DIVERGED, "message": str(error).splitlines()[0]}
    except Interrupted as stop:
        code = stop.code
    values["cpu_seconds"] = round(values.get("cpu_seconds", 0.0) + time.process_time() - began, 1)
    if code == 0:
        values["ended"] = datetime.now().astimezone().isoformat(timespec="seconds")
    ledger.write(path, values)
    return code


def _trained(row: Baseline, asked: Asked, config: Config, folder: Path) -> dict[str, Any]:
    """What the entry of a seed says of its training: scores, curve, and those of the arm's variants."""
    finished = run(config, folder)
    summary, samples = finished.summary, config.trainer.batch_size * config.trainer.accumulate
    variants = {
        name: ledger.shortened(rescored(row.config(asked.arm, seed=asked.seed, variant=name), finished).as_dict())
        for name in row.variants_of(asked.arm)
    }
    return {
        "steps": summary["step"],
        "samples": summary["step"] * samples,
        "best_step": summary["val/step"],
        "parameters": summary["parameters"],
        "seconds": round(summary["seconds"], 1),
        "scores": ledger.shortened(finished.evaluation.as_dict()),
        "validation": ledger.validation_curve(runs.metrics(folder), samples),
        **({"variants": variants} if variants else {}),
    }


def _attempt(row: Baseline, asked: Asked) -> tuple[Path, Path, dict[str, Any]]:
    """Run folder, ledger file and what it holds, of the attempt that is to begin or to go on."""
    before = [e for e in ledger.entries(row, asked.results) if (e.arm, e.seed) == (asked.arm, asked.seed)]
    recipe = row.recipe(asked.arm)
    goes_on = bool(before) and not before[-1].over and before[-1].values["recipe"] == recipe
    attempt = before[-1].attempt + (not goes_on) if before else 1
    values: dict[str, Any] = {
        "baseline": row.name,
        "arm": asked.arm,
        "seed": asked.seed,
        "attempt": attempt,
        "state": ledger.STARTED,
        "recipe": recipe,
    }
    if goes_on:
        values |= before[-1].values
    name = f"{asked.arm}-s{asked.seed}" + (f"-{attempt}" if attempt > 1 else "")
    folder = Path(asked.runs_dir) / "baselines" / row.name / name
    path = ledger.path_of(row, asked.arm, asked.seed, attempt, asked.results)
    return folder, path, values


def _config(row: Baseline, asked: Asked, folder: Path) -> Config:
    """The config of a seed, with what this call may change."""
    words = [word for word in asked.words if word.startswith("logger=")]
    rest = [word for word in asked.words if not word.startswith("logger=")]
    config = override(compose([*row.words(asked.arm, seed=asked.seed, folder=folder), *words]), rest)
    if not asked.deadline:
        return config
    limit = max(asked.deadline - time.time(), 1.0)
    return dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, time_limit=limit))
