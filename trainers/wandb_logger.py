"""Weights & Biases behind the trainer's `Logger` protocol: whatever goes wrong here is a warning, never an error."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

STEP = "step"
_own = {"data": ""}  # the WANDB_DATA_DIR that an earlier run of this process set; a user's own is left alone
_AHEAD = "steps-ahead.txt"
_INIT_TIMEOUT = 30  # seconds after which a server that does not answer is given up and the run goes on offline


def wandb_mode(asked: str | None) -> str:
    """How W&B runs: as the config asks, else as WANDB_MODE says, else offline."""
    return asked or os.environ.get("WANDB_MODE") or "offline"


class WandbLogger:
    """Logs one run; everything it writes lies in the run folder.

    W&B's own steps follow the trainer's, a few ahead once curves were logged, so that a resumed offline run appends
    where the first one ended.

    Attributes:
        folder: the run folder.
        mode: `"offline"`, `"online"` or `"disabled"`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        mode: str,
        project: str,
        entity: str | None = None,
        group: str | None = None,
        job_type: str = "train",
        tags: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep what the run will be called; nothing is started yet.

        Args:
            folder: the run folder.
            name: shown name of the run.
            mode: `"offline"`, `"online"` or `"disabled"`.
            project: W&B project.
            entity: W&B user or team; None is the account's own.
            group: runs of one config.
            job_type: `"train"` or `"compare"`.
            tags: words to filter by.
            config: the run's complete config.
        """
        self.folder, self.mode = folder, mode
        self._about = {"name": name, "project": project, "entity": entity, "group": group, "job_type": job_type}
        self._tags, self._config = _shortened(tags), dict(config or {})
        self._run: Any = None
        self._wandb: Any = None
        self._id: str | None = None
        self._step = 0
        self._ahead = 0  # W&B's own step is so much greater than the trainer's
        self._warned: set[str] = set()

    @property
    def run_id(self) -> str | None:
        """W&B's id of the run, by which a resumed one goes on."""
        return self._id

    @property
    def place(self) -> Path | None:
        """Folder of the run's W&B files; None if there are none."""
        return None if self._run is None else Path(self._run.dir).parent

    def start(self, *, run_id: str | None, step: int) -> None:
        """Begin, or go on with, a run; without wandb, or where its files cannot be written, only warn."""
        self._id, self._step = run_id, step
        try:
            import wandb
        except ImportError:
            self._warn("import", "wandb is not installed: local logs only (pip install wandb; logger=none is silent)")
            return
        self._wandb = wandb
        self._try("start", lambda: self._start(self.mode))
        if self._run is None and self.mode == "online":
            self._try("start offline", lambda: self._start("offline"))
        if self._run is not None:
            self._id = self._run.id
            self._ahead = self._recorded_ahead()
            self._try("define metrics", self._define)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Named values at a step."""
        self._step = max(step, self._step)
        self._log({STEP: step, **metrics})

    def summary(self, values: Mapping[str, Any]) -> None:
        """Values that describe the whole run."""
        if self._run is not None:
            self._try("write the summary", lambda: self._run.summary.update(dict(values)))

    def curve(self, axis: str, points: Sequence[Mapping[str, float]]) -> None:
        """Named values along an axis of their own."""
        if self._run is not None:
            self._try("log a curve", lambda: self._curve(axis, points))

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table."""
        if self._run is not None:
            data = [list(row) for row in rows]
            self._try("log a table", lambda: self._send({name: self._wandb.Table(columns=list(columns), data=data)}))

    def image(self, name: str, path: Path) -> None:
        """A picture that lies in a file."""
        if self._run is not None:
            self._try("log an image", lambda: self._send({name: self._wandb.Image(str(path))}))

    def artifact(self, name: str, path: Path, *, type: str = "model") -> None:
        """A file or folder, kept with the run."""
        if self._run is not None:
            self._try("log an artifact", lambda: self._artifact(name, path, type))

    def close(self) -> None:
        """Finish the run; once."""
        if self._run is not None:
            self._try("finish", lambda: self._run.finish())
            self._run = None

    def _start(self, mode: str) -> None:
        """Call `wandb.init`."""
        (self.folder / "wandb").mkdir(parents=True, exist_ok=True)
        # Files of artifacts wait for an upload here; elsewhere an offline run would not be whole in its folder.
        if os.environ.get("WANDB_DATA_DIR", _own["data"]) == _own["data"]:
            _own["data"] = os.environ["WANDB_DATA_DIR"] = str((self.folder / "wandb" / "data").resolve())
        self._run = self._wandb.init(
            **self._about,
            mode=mode,
            id=self._id,
            resume="allow" if mode == "online" else None,
            dir=str(self.folder.resolve()),
            tags=self._tags,
            config=self._config,
            settings=self._wandb.Settings(
                console="off", disable_code=True, disable_git=True, silent=True, init_timeout=_INIT_TIMEOUT
            ),
        )

    def _define(self) -> None:
        """Plot everything against the trainer's steps."""
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)

    def _log(self, values: Mapping[str, Any]) -> None:
        if self._run is not None:
            self._try("log", lambda: self._send(values))

    def _send(self, values: Mapping[str, Any]) -> None:
        """Log at the present step."""
        self._run.log({STEP: self._step, **values}, step=self._step + self._ahead)

    def _curve(self, axis: str, points: Sequence[Mapping[str, float]]) -> None:
        """Log a row a point: a line plot has a logged metric on its x axis, and one value of it a row."""
        self._run.define_metric(axis)
        for name in dict.fromkeys(name for point in points for name in point):
            if name != axis:
                self._run.define_metric(name, step_metric=axis)
        for point in points:
            self._ahead += 1
            self._run.log(dict(point), step=self._step + self._ahead)
        self._ahead += 1
        (self.folder / "wandb" / _AHEAD).write_text(f"{self._id} {self._ahead}", encoding="utf-8")

    def _recorded_ahead(self) -> int:
        """How far W&B's steps ran ahead before this run was resumed: rows of a step that it has would be dropped."""
        try:
            run, ahead = (self.folder / "wandb" / _AHEAD).read_text(encoding="utf-8").split()
        except (OSError, ValueError):
            return 0
        return int(ahead) if run == self._id else 0

    def _artifact(self, name: str, path: Path, type: str) -> None:
        """Log a copy, so that later changes of the file do not matter."""
        # Names are a project's, and versions of one name should be of one run.
        artifact = self._wandb.Artifact(_artifact_name(f"{self._about['name']}-{name}"), type=type)
        if path.is_dir():
            artifact.add_dir(str(path), policy="mutable")
        else:
            artifact.add_file(str(path), policy="mutable")
        self._run.log_artifact(artifact)

    def _try(self, what: str, action: Callable[[], Any]) -> None:
        """Do it, or warn once."""
        try:
            action()
        except Exception as error:  # a third party's service, which must not cost anyone a training run
            self._warn(what, f"W&B could not {what}, training goes on: {type(error).__name__}: {error}")

    def _warn(self, what: str, message: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            warnings.warn(message, RuntimeWarning, stacklevel=4)


def _shortened(tags: Sequence[str]) -> list[str]:
    """Tags as W&B takes them: up to 64 characters, none empty, none twice."""
    return list(dict.fromkeys(tag[:64] for tag in tags if tag))


def _artifact_name(name: str) -> str:
    """A name in the letters that artifacts may have."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)[:128]
