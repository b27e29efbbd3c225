"""`zoo sample`: one trajectory printed or drawn, or many written to a file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tasks
from tasks import dataset
from tasks.batch import Batch
from tasks.task import Task
from trainers.build import check_distributions, check_sizes
from trainers.config import compose
from trainers.usage import UsageError

FILE_SIZE, FILE_COUNT = 16, 1000
SHOWN_SIZE = 6
# Samples that are not packed yet.
_CHUNK = 256


def command(options: argparse.Namespace) -> None:
    """`zoo sample` with its parsed options; `KEY=VALUE` words may also stand behind those that take several values."""
    given = vars(options)
    words = list(options.overrides)
    chosen: dict[str, Any] = {}
    for name in ("size", "distribution"):
        values = given[name] or []
        words += [word for word in values if "=" in str(word)]
        chosen[name] = [word for word in values if "=" not in str(word)] or None
    rest = {name: given[name] for name in ("show", "draw", "out", "count", "seed", "index", "force")}
    sample(options.task, words, **rest, **chosen)


def sample(
    name: str,
    overrides: Sequence[str] = (),
    *,
    show: bool = False,
    draw: str | None = None,
    out: str | None = None,
    size: Sequence[int] | None = None,
    count: int | None = None,
    seed: int = 0,
    index: int = 0,
    distribution: Sequence[str] | None = None,
    force: bool = False,
) -> None:
    """Draw samples of a task and do with them what is asked for.

    Args:
        name: of the task, as in `zoo train task=NAME`.
        overrides: `KEY=VALUE` words, the task's options.
        show: print the first sample's trajectory.
        draw: file that the first sample's trajectory is drawn into.
        out: file that all samples are written to.
        size: sizes of which each sample draws its own; by default 16, and 6 where no file is written.
        count: how many, of a file; by default 1000.
        seed: of the stream of samples.
        index: number of the first sample.
        distribution: distributions of which each sample draws its own; the task's first by default.
        force: whether `out` may exist already.

    Raises:
        UsageError: a wrong name or value, nothing asked for, or a file that exists.
    """
    if not (show or draw or out):
        raise UsageError(
            f"nothing to do with samples of {name}", "give --show to print one, --draw FILE or --out FILE.npz"
        )
    if count is not None and not out:
        raise UsageError(f"--count {count}: one sample is shown or drawn", "leave it out, or give --out FILE.npz")
    for option, value, least in (("--count", count, 1), ("--index", index, 0)):
        if value is not None and value < least:
            raise UsageError(f"{option} {value} is too small", f"give at least {least}")
    if out:
        _check_place(Path(out), force)
    task = make_task(name, overrides)
    sizes = list(size) if size else [FILE_SIZE if out else max(SHOWN_SIZE, task.min_size)]
    check_sizes(task, sizes, "--size")
    check_distributions(task, distribution or (), "--distribution")
    if show or draw:
        batch = task.sample(seed=seed, batch_size=1, size=sizes, index=index, distribution=distribution)
        if not batch.recorded:
            raise UsageError(f"only the first frame of {name} is recorded at this size", "add hints=full")
        if show:
            from trainers.display import console
            from trainers.sample_show import show as show_sample

            show_sample(task, batch, console())
        if draw:
            from trainers.sample_draw import draw as draw_sample

            draw_sample(task, batch, Path(draw))

    if out:
        number = count or FILE_COUNT

        def chunks() -> Iterator[Batch]:
            for first in range(0, number, _CHUNK):
                some = min(_CHUNK, number - first)
                yield task.sample(
                    seed=seed, batch_size=some, size=sizes, index=index + first, distribution=distribution
                )

        drawn = {"seed": seed, "sizes": sizes, "distributions": list(distribution or ()), "index": index}
        dataset.write(out, task, chunks(), drawn=drawn, force=force)
        print(f"data set    {out}  ({number} samples, {Path(out).stat().st_size / 1e6:.1f} MB)")


def _check_place(out: Path, force: bool) -> None:
    """Refuse a file that cannot be written before anything is sampled."""
    if out.suffix != dataset.SUFFIX:
        raise UsageError(f"--out {out}: a data set's file ends in {dataset.SUFFIX}", f"--out {out}{dataset.SUFFIX}")
    if out.exists() and not force:
        raise UsageError(f"--out {out}: the file exists", "choose another, or write over it with --force")
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}", "make it, or choose another")


def make_task(name: str, overrides: Sequence[str]) -> Task:
    """The task that `task=NAME task.KEY=VALUE …` stands for on a training's command line."""
    choice, *more = compose([f"task={name}", *(f"task.{word}" for word in overrides)]).tasks
    if more:
        raise UsageError(f"{name} stands for several tasks", f"sample one after another, beginning with {choice.name}")
    try:
        made: Task = tasks.describe(choice.name).cls(choice.options)
    except ValueError as error:
        raise UsageError.of(error, remedy=f"`zoo show task {choice.name}` explains its options") from error
    return made
