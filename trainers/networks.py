"""A network by name: that of a run, a checkpoint, shipped weights, or an algorithm compiled on the spot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import tasks
import zoo
from tasks.task import Task
from trainers import baselines, checkpoint, runs
from trainers.build import build
from trainers.checkpoint import CheckpointError
from trainers.compiled import words
from trainers.config import compose
from trainers.experiment import load_trained
from trainers.run_config import Config
from trainers.usage import UsageError, unknown
from zoo.compiled import compile_algorithm, list_algorithms, plan, processors
from zoo.reasoner import Reasoner

COMPILED = ".compiled-"
"""Between processor and algorithm, in the name of what is compiled."""
_MOST_NAMES = 12  # runs that an error lists


@dataclass(frozen=True)
class Loaded:
    """A network with what it was made for.

    Attributes:
        name: as it was asked for.
        model: in evaluation mode.
        tasks: that it knows, by name.
        processor: name of its processor, with that of a memory beside it.
        config: of its run; None where there is none.
        folder: of its run; None where there is none.
    """

    name: str
    model: Reasoner
    tasks: Mapping[str, Task]
    processor: str
    config: Config | None = None
    folder: Path | None = None

    @property
    def precision(self) -> str:
        """`float64` or `float32`."""
        return "float64" if next(self.model.parameters()).dtype == torch.float64 else "float32"

    def about(self) -> dict[str, Any]:
        """What a record tells of it."""
        return {
            "name": self.name,
            "processor": self.processor,
            "precision": self.precision,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "seed": self.config.settings.seed if self.config else None,
            "trained_to": max(self.config.trainer.sizes) if self.config and self.config.trainer.max_steps else None,
        }


def compiled_names() -> list[str]:
    """Names of all that can be compiled, sorted: `mpnn.compiled-bfs`."""
    return sorted(f"{processor}{COMPILED}{name}" for name in list_algorithms() for processor in processors(name))


def load_network(name: str, *, runs_dir: str = "runs", like: Loaded | None = None) -> Loaded:
    """A network by its name.

    Args:
        name: a run (folder, name or `latest`), a checkpoint (folder or file), shipped weights, or `compiled_names`. Of
            equal names a run's comes first.
        runs_dir: folder that holds the runs.
        like: whose task and widths a compiled network takes; a run of its name is passed over then.

    Raises:
        UsageError: there is none; it lists the near names.
    """
    path = Path(name)
    if not (path / runs.CONFIG).is_file():
        if path.is_file() or _is_checkpoint(path):
            return _checkpoint(path)
        run = (Path(runs_dir) / name / runs.CONFIG).is_file()
        if name in compiled_names() and (like is not None or not run):
            return _compiled(name, like)
        if name in zoo.list_pretrained() and not run:
            return _pretrained(name)
    try:
        folder = runs.find(name, runs_dir)
    except UsageError as error:
        if name == "latest" or path.is_dir():
            raise
        there = [str(run.relative_to(runs_dir)) for run in runs.all_runs(runs_dir)]
        made = [*zoo.list_pretrained(), *compiled_names()]
        names, near = (list(dict.fromkeys([*some, *made])) for some in (there[-_MOST_NAMES:], there))
        among = "newest runs, shipped and compiled weights" if there else f"no runs in {runs_dir}; shipped and compiled"
        raise unknown("network", name, names, among=among, near=near) from error
    config = runs.load_config(folder)
    built = load_trained(folder, config)
    return Loaded(name, built.model.eval(), {t.name: t for t in built.tasks}, config.processor_name, config, folder)


def scoring_config(network: Loaded) -> Config:
    """The config that says how a network is scored: its run's, its row's, or that of `zoo compile`."""
    if network.config is not None:
        return network.config
    if network.name in zoo.list_pretrained():
        return row_config(network.name)
    processor, _, algorithm = network.name.partition(COMPILED)
    return compose(words(algorithm, processor))


def row_config(name: str) -> Config:
    """The config that shipped weights were trained and scored with."""
    card = zoo.pretrained.about(name)
    return baselines.load(card["baseline"]).config(card["arm"], seed=card["seed"])


def _is_checkpoint(path: Path) -> bool:
    """Whether a folder is one of a run's checkpoints."""
    return path.is_dir() and any((path / file).is_file() for file in (checkpoint.BEST, checkpoint.WEIGHTS))


def _checkpoint(path: Path) -> Loaded:
    """Weights of a run at some step."""
    file = path
    if path.is_dir():
        file = next(path / each for each in (checkpoint.BEST, checkpoint.WEIGHTS) if (path / each).is_file())
    folder = next((each for each in file.resolve().parents if (each / runs.CONFIG).is_file()), None)
    if folder is None:
        raise UsageError(f"{path} lies in no run folder", f"a checkpoint is built by the {runs.CONFIG} above it")
    config = runs.load_config(folder)
    built = build(config)
    if config.trainer.precision == "float64":
        built.model.double()
    try:
        checkpoint.load_weights(built.model, checkpoint.read_weights(file)[0], path=file)
    except CheckpointError as error:
        raise UsageError.of(error) from error
    return Loaded(
        str(path), built.model.eval(), {t.name: t for t in built.tasks}, config.processor_name, config, folder
    )


def _compiled(name: str, like: Loaded | None) -> Loaded:
    """An algorithm written into weights here and now."""
    processor, _, algorithm = name.partition(COMPILED)
    made = plan(algorithm, processor)
    widths = {}
    if like is not None and like.processor == processor:
        sizes = {key: int(getattr(like.model.processor, key)) for key in ("hidden_size", "input_size")}
        widths = {key: max(size, made.options[key]) for key, size in sizes.items()}
    own = like.tasks.get(algorithm) if like is not None else None
    task = own or tasks.create(algorithm, **made.program.task)
    model = compile_algorithm(algorithm, task.spec, processor, **widths)
    return Loaded(name, model, {algorithm: task}, processor)


def _pretrained(name: str) -> Loaded:
    """Shipped weights."""
    card = zoo.pretrained.about(name)
    model = zoo.load_pretrained(name)
    made = {task["name"]: tasks.create(task["name"], **task["options"]) for task in card["tasks"]}
    memory = f"+{card['memory']['name']}" if "memory" in card else ""
    return Loaded(name, model, made, f"{card['processor']['name']}{memory}")
