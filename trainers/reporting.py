"""What the trainer tells the outside: the protocol that loggers follow, and what a progress display is told.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Logger(Protocol):
    """Where metrics go beside `metrics.jsonl`. The trainer calls it in the first process only.

    A logger must not raise: what it cannot deliver it turns into a warning.
    """

    @property
    def run_id(self) -> str | None:
        """What a resumed run hands to the next logger to go on under the same name; kept in checkpoints."""
        ...

    def start(self, *, run_id: str | None, step: int) -> None:
        """Called once before the first step; `run_id` comes from the checkpoint that is resumed, `step` from it too."""
        ...

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Named values at a step (`train/loss`, `val/score`, `ood/score/n=64`)."""
        ...

    def summary(self, values: Mapping[str, Any]) -> None:
        """Values that describe the whole run."""
        ...

    def curve(self, axis: str, points: Sequence[Mapping[str, float]]) -> None:
        """Named values along an axis that is not the trainer's steps; each point holds the axis's own value too."""
        ...

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table, of scores by size for one."""
        ...

    def image(self, name: str, path: Path) -> None:
        """A picture that lies in a file."""
        ...

    def artifact(self, name: str, path: Path, *, type: str = "model") -> None:
        """A file or folder to keep with the run, such as the best weights."""
        ...

    def close(self) -> None:
        """Called once, by whoever made the logger, when the run ends or fails."""
        ...


class NullLogger:
    """Drops everything."""

    run_id: str | None = None

    def start(self, *, run_id: str | None, step: int) -> None:
        """Nothing to start."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Drop."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """Drop."""

    def curve(self, axis: str, points: Sequence[Mapping[str, float]]) -> None:
        """Drop."""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Drop."""

    def image(self, name: str, path: Path) -> None:
        """Drop."""

    def artifact(self, name: str, path: Path, *, type: str = "model") -> None:
        """Drop."""

    def close(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True)
class Progress:
    """What a progress display gets after every logged step.

    Attributes:
        step: steps done.
        max_steps: steps in all.
        metrics: the values just logged; `val/score` among them after a validation.
    """

    step: int
    max_steps: int
    metrics: Mapping[str, float]


OnProgress = Callable[[Progress], None]
