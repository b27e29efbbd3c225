"""What a run shows in the terminal: a progress bar (plain lines where nobody watches), and tables of scores."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from trainers.reporting import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_PLAIN_LINES = 20  # lines of progress in all, where output is no terminal


def console() -> Console:
    """The console of standard output; wide where output is no terminal, so that tables are not cut."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 200
    return Console(highlight=False, width=width, soft_wrap=not sys.stdout.isatty())


class ProgressDisplay:
    """A training's progress, as a context manager that is called with every `Progress`."""

    def __init__(self, title: str, max_steps: int, *, quiet: bool = False) -> None:
        """Prepare.

        Args:
            title: before the bar.
            max_steps: steps in all.
            quiet: show nothing, as processes after the first do.
        """
        self.title, self.max_steps, self.quiet = title, max_steps, quiet
        self.live = not quiet and sys.stdout.isatty()
        self._score = float("nan")
        self._next = 0
        self._bar: Any = None
        self._row: Any = None

    def __enter__(self) -> ProgressDisplay:
        if self.live:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[values]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=console(),
            )
            self._row = self._bar.add_task(self.title, total=self.max_steps, values="")
            self._bar.start()
        return self

    def __call__(self, progress: Progress) -> None:
        """Show the values of a step."""
        if self.quiet:
            return
        self._score = progress.metrics.get("val/score", self._score)
        values = self._values(progress.metrics)
        if self._bar is not None:
            self._bar.update(self._row, completed=progress.step, total=progress.max_steps, values=values)
        elif progress.step >= self._next or progress.step == progress.max_steps:
            self._next = progress.step + max(progress.max_steps // _PLAIN_LINES, 1)
            width = len(str(progress.max_steps))
            print(f"{self.title}  step {progress.step:>{width}}/{progress.max_steps}  {values}", flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _values(self, metrics: Mapping[str, float]) -> str:
        """Loss, last validation score and speed."""
        parts = []
        if "train/loss" in metrics:
            parts.append(f"loss {metrics['train/loss']:.4f}")
        if self._score == self._score:
            parts.append(f"score {self._score:.3f}")
        if "train/samples_per_second" in metrics:
            parts.append(f"{metrics['train/samples_per_second']:.0f} samples/s")
        return "  ".join(parts)


class Row(NamedTuple):
    """A line of a table of scores.

    Attributes:
        model: what was scored.
        distribution: of the inputs.
        measure: what the numbers are.
        cells: text by size.
    """

    model: str
    distribution: str
    measure: str
    cells: Mapping[int, str]


def score_table(title: str, rows: Sequence[Row], *, first: str = "model") -> Table:
    """A table of scores by size; names that repeat are written once.

    Args:
        title: above it.
        rows: its lines.
        first: heading of the first column.

    Returns:
        The table, for a console to print.
    """
    from rich import box
    from rich.table import Table

    sizes = sorted({size for row in rows for size in row.cells})
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, title_style="bold")
    for heading in (first, "distribution", "measure"):
        table.add_column(heading, no_wrap=True)
    for size in sizes:
        widest = max(len(row.cells.get(size, "")) for row in rows)
        table.add_column(f"n={size}", justify="right", no_wrap=True, min_width=widest)
    model = distribution = None
    for row in rows:
        if model not in (None, row.model):
            table.add_section()
            distribution = None
        names = (row.model if row.model != model else "", row.distribution if row.distribution != distribution else "")
        table.add_row(*names, row.measure, *(row.cells.get(size, "") for size in sizes))
        model, distribution = row.model, row.distribution
    return table


def number(value: float | None) -> str:
    """A score with three decimals; empty where there is none."""
    return "" if value is None or value != value else f"{value:.3f}"
