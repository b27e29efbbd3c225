"""`zoo inspect`: one held-out sample through a run's best weights, drawn and kept as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainers import runs
from trainers.build import check_distributions, check_sizes
from trainers.data import stream_seed
from trainers.experiment import load_trained
from trainers.inspection.model import Inspection, can_inspect, inspect_model
from trainers.inspection.sample import Sample
from trainers.logger import make_logger
from trainers.run_config import Config
from trainers.usage import UsageError, unknown

FOLDER = "inspect"


def inspect_run(
    run: str | Path,
    *,
    runs_dir: str | Path = "runs",
    size: int | None = None,
    seed: int = 0,
    sample: int = 0,
    distribution: str | None = None,
    task: str | None = None,
    output: str | Path | None = None,
) -> Inspection:
    """Run one held-out sample through a run's best weights, draw it, and keep the arrays.

    Samples are those that `zoo eval` scores: with its seed and at its size, sample k is the k-th graph of a cell.

    Args:
        run: a folder, a name under `runs_dir`, or `latest`.
        runs_dir: folder that holds the runs.
        size: of the sample; the largest training size by default.
        seed: of the held-out stream.
        sample: its number in the stream.
        distribution: of the input; the first that the run is scored on by default.
        task: which, of a run with several; its first by default.
        output: folder for the PNGs and `arrays.npz`; by default a folder of the sample's own in `RUN/inspect`.

    Returns:
        Arrays and paths.

    Raises:
        UsageError: there is no such run, task, distribution or sample, or the sample cannot be dense.
    """
    folder = runs.find(str(run), runs_dir)
    config = runs.load_config(folder)
    built = load_trained(folder, config)
    by_name = {one.name: one for one in built.tasks}
    if task is not None and task not in by_name:
        raise unknown("task of this run", task, by_name)
    chosen = by_name[task] if task is not None else built.tasks[0]
    size = max(config.trainer.sizes) if size is None else size
    distribution = distribution or next(iter(config.trainer.eval_distributions or chosen.distributions))
    check_sizes(chosen, [size], "--size")
    check_distributions(chosen, [distribution], "--distribution")
    if sample < 0:
        raise UsageError(f"--sample: there is no sample {sample}", "samples are numbered from 0")
    if not can_inspect(built.model, chosen):
        raise UsageError(
            f"{config.processor_name} on {chosen.name} has no dense layout, which inspection draws",
            "`zoo show processor NAME` and `zoo show task NAME` tell the layouts",
        )
    several = f"{chosen.name}-" if len(by_name) > 1 else ""
    stream = f"-seed{seed}" if seed else ""
    name = f"{several}{distribution}-n{size}{stream}-sample{sample}"
    return inspect_model(
        built.model,
        chosen,
        Path(output) if output is not None else folder / FOLDER / name,
        size=size,
        seed=stream_seed(seed, "test"),
        index=sample,
        distribution=distribution,
        title=f"{config.processor_name} on {chosen.name}, {distribution}, n = {size}, sample {sample}",
    )


def command(run: str, *, runs_dir: str, use_wandb: bool, **how: Any) -> int:
    """`zoo inspect`: see `inspect_run`; prints scores, names and places, and logs the figures."""
    from trainers.display import console

    inspection = inspect_run(run, runs_dir=runs_dir, **how)
    folder = runs.find(run, runs_dir)
    config = runs.load_config(folder)
    screen = console()
    screen.print(inspection.title)
    for line in _found(inspection.sample):
        screen.print(f"  {line}")
    for name, path in inspection.figures.items():
        screen.print(f"{name:<20} {path}", soft_wrap=True)
    screen.print(f"{'arrays':<20} {inspection.arrays_file}", soft_wrap=True)
    for line in _listed(inspection.sample):
        screen.print(f"  {line}", soft_wrap=True)
    if use_wandb and config.logger.name != "none":
        place = log(config, folder, inspection.figures)
        screen.print(f"{'W&B':<20} {place or 'not written'}", soft_wrap=True)
    return 0


def log(config: Config, folder: Path, figures: Mapping[str, Path]) -> Path | None:
    """Put figures into the run's own W&B run, as `inspect/NAME`; into one of job type `inspect` where it has none.

    Args:
        config: of the run.
        folder: the run folder.
        figures: PNGs by name.

    Returns:
        Folder of the W&B files; None if there are none.
    """
    summary = runs.read_json(folder / runs.SUMMARY) or {}
    run_id = summary.get("wandb_id")
    logger = make_logger(config, folder, job_type="inspect" if run_id is None else "train")
    logger.start(run_id=run_id, step=summary.get("step") or 0)
    place: Path | None = getattr(logger, "place", None)
    for name, path in figures.items():
        logger.image(f"{FOLDER}/{name}", path)
    logger.close()
    return place


def _found(sample: Sample) -> list[str]:
    """What came out: every output's scores, and of hints how much was right over all steps."""
    scores = sample.scores
    lines = []
    for name, values in scores["probes"].items():
        parts = [f"{measure.replace('_', ' ')} {value:.3f}" for measure, value in values.items()]
        lines.append(f"output {name}: {', '.join(parts)}")
    hints = {name.partition("/")[2]: values for name, values in sample.arrays.items() if name.startswith("right/")}
    lines += [f"hint {name}: {np.nanmean(v):.3f} right over {len(v)} steps" for name, v in hints.items() if len(v)]
    exact = scores["exact"]
    return lines if exact != exact else [*lines, "the whole sample is " + ("right" if exact == 1 else "not right")]


def _listed(sample: Sample) -> list[str]:
    """Names of the arrays with their shapes, and what recorded ones mean."""
    lines = []
    for name, values in sample.arrays.items():
        track = sample.tracks.get(name.partition("/")[2]) if name.startswith(("record/", "start/")) else None
        axes = ""
        if track is not None:
            lead = ["steps"] if name.startswith("record/") else []
            axes = f" {' x '.join([*lead, *track.axes])}: {track.meaning}"
        lines.append(f"{name:<30} {values.dtype}{list(values.shape)}{axes}")
    return lines
