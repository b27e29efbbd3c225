"""`zoo report`: one HTML page of several runs, made from their folders, that needs no server and no network.

The page holds everything itself: data, pictures, style and scripts. It is read from the folders alone, in whatever
state the runs are, with or without W&B.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainers import runs
from trainers.report.collect import collect
from trainers.report.images import embed
from trainers.report.page import page
from trainers.usage import UsageError

NAME = "report.html"

__all__ = ["write_report"]


def write_report(
    names: Sequence[str | Path],
    *,
    runs_dir: str | Path = "runs",
    output: str | Path | None = None,
    title: str | None = None,
) -> Path:
    """Write the report of runs.

    Args:
        names: run folders, names under `runs_dir`, `latest`, or folders of multiruns, whose members count.
        runs_dir: folder that holds the runs.
        output: the file; by default `report.html` in the folder of the run or multirun, in `runs_dir` if several are
            named.
        title: above the page; by default processors and tasks.

    Returns:
        The file.

    Raises:
        UsageError: a run does not exist, its config cannot be read, or the file cannot be written.
    """
    if not names:
        raise UsageError("no run to report on", "name at least one: zoo report latest")
    folders = runs.members([str(name) for name in names], runs_dir)
    report = collect(folders)
    pictures, left_out = embed(folders)
    path = Path(output) if output is not None else _place(names, folders, runs_dir) / NAME
    text = page(report, pictures, left_out, title=title)
    try:
        if path.is_dir():
            path = path / NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        problem = f"cannot write the report to {str(path)!r}: {error}"
        raise UsageError(problem, "choose another: --output FILE") from error
    return path


def _place(names: Sequence[str | Path], folders: Sequence[Path], runs_dir: str | Path) -> Path:
    """The folder of what was named, if that is one thing."""
    if len(names) > 1:
        return Path(runs_dir)
    return folders[0] if len(folders) == 1 else folders[0].parent
