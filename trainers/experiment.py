"""One run from its config: train, score, the depth-blind control beside it, figures, summary."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.task import Task
from trainers import checkpoint, compiled, ladder, runs
from trainers.build import Built, build, identity, identity_defaults
from trainers.checkpoint import CheckpointError
from trainers.config import compose
from trainers.data import stream_seed
from trainers.display import ProgressDisplay, Row, number
from trainers.distributed import Processes, pick_device
from trainers.evaluation import Cell, Evaluation
from trainers.figures import COLOURS, Line, Panel, size_figure
from trainers.inspection.model import can_inspect, inspect_model
from trainers.logger import make_logger
from trainers.reporting import Logger, NullLogger
from trainers.run_config import Config
from trainers.trainer import Trainer
from trainers.usage import UsageError
from zoo.reasoner import Reasoner

CHECKPOINTS = "checkpoints"
CONTROL = "control"


@dataclass(frozen=True)
class Finished:
    """What a run left behind.

    Attributes:
        folder: the run folder.
        config: of the run.
        evaluation: scores of the best weights.
        control: scores of the control, if there is one.
        summary: what `summary.json` holds.
        figure: score against size.
        weights: the best weights.
        logs: folder of the W&B run, None without one.
    """

    folder: Path
    config: Config
    evaluation: Evaluation
    control: Evaluation | None
    summary: Mapping[str, Any]
    figure: Path
    weights: Path
    logs: Path | None


def train(overrides: Sequence[str]) -> Finished:
    """`zoo train` as a function: train, score and log one run in a new folder, `runs/…`.

    Args:
        overrides: what the command line takes: `["processor=mpnn", "task=bfs", "trainer.max_steps=300"]`.

    Returns:
        Scores and places.

    Raises:
        UsageError: an unknown name or key, a wrong value, or parts that do not go together.
        Interrupted: a signal came; the state was saved.
        NonFiniteError: training met a number that is none.
    """
    config = compose(overrides)
    return run(config, runs.new_folder(config))


def run(config: Config, folder: Path, processes: Processes | None = None) -> Finished:
    """Train what a config describes, or go on where its folder's last checkpoint stands.

    Args:
        config: of the run.
        folder: the run folder.
        processes: that train together, of which the first prints, logs and writes; by default this one alone.

    Returns:
        Scores and places.

    Raises:
        UsageError: the parts do not go together, or a checkpoint cannot be used.
        Interrupted: a signal came; the state was saved.
        NonFiniteError: training met a number that is none.
    """
    processes = processes or Processes(device=pick_device(config.trainer.device))
    built = build(config)
    compiled.load(config, built)
    load_processor(config, built)
    logger: Logger = NullLogger()
    if processes.main:
        runs.write_start(folder, config)
        logger = make_logger(config, folder)
    try:
        title = f"{config.processor_name} on {config.task_name}"
        summary, evaluation = _train(config, built, folder, logger, title, processes)
        control = _control(config, folder, processes)
        finished = _conclude(config, built, folder, logger, summary, evaluation, control, processes.main)
    finally:
        logger.close()
    return finished


def load_processor(config: Config, built: Built) -> None:
    """Put another run's trained processor into the model, if the config names one.

    Raises:
        UsageError: there is no such run, its processor is another one, or its weights are unreadable.
    """
    if config.processor.weights is None:
        return
    source = runs.find(config.processor.weights, config.settings.runs_dir)
    there = runs.load_config(source).processor_name
    if there != config.processor_name:
        raise UsageError(
            f"processor.weights: {source} holds a trained {there}, this run has processor={config.processor_name}",
            f"write processor={there.replace('+', ' memory=')}",
        )
    weights = weights_file(source)
    try:
        tensors, _ = checkpoint.read_weights(weights)
        checkpoint.load_weights(built.model.processor, tensors, path=weights, prefix="processor.")
    except CheckpointError as error:
        raise UsageError.of(error, where="processor.weights") from error


def load_trained(folder: Path, config: Config) -> Built:
    """A run's model with its best weights, in double precision where the run was.

    Raises:
        UsageError: there are none, they are unreadable, or of another model or task.
    """
    built = build(config)
    weights = weights_file(folder)
    try:
        tensors, about = checkpoint.read_weights(weights)
        if "identity" in about:
            specs = {task.name: task.spec.as_dict() for task in built.tasks}
            here = checkpoint.plain({**identity(config), "specs": specs})
            there = {key: about["identity"].get(key) for key in here}
            checkpoint.check_identity(weights, there, here, identity_defaults(config))
        if config.trainer.precision == "float64":
            built.model.double()
        checkpoint.load_weights(built.model, tensors, path=weights)
    except CheckpointError as error:
        raise UsageError.of(error) from error
    return built


def weights_file(folder: Path) -> Path:
    """The file of a run's best weights, of its last ones where none were validated.

    Raises:
        UsageError: there is no checkpoint yet.
    """
    best = folder / CHECKPOINTS / checkpoint.BEST
    if best.exists():
        return best
    newest = checkpoint.newest(folder / CHECKPOINTS)
    if newest is None:
        raise UsageError(f"run {folder} has no checkpoint yet", f"train it first: zoo train resume={folder}")
    return newest / (checkpoint.BEST if (newest / checkpoint.BEST).exists() else checkpoint.WEIGHTS)


def score_rows(name: str, evaluation: Evaluation) -> list[Row]:
    """Lines of the table of scores: score, shares of samples exact and right up to a mistake, wrong bits of masks."""
    several = len({cell.task for cell in evaluation}) > 1
    rows: dict[tuple[str, str], dict[int, str]] = {}
    for cell in evaluation:
        where = f"{cell.task} {cell.distribution}" if several else cell.distribution
        rows.setdefault((where, "score"), {})[cell.size] = number(cell.score)
        rows.setdefault((where, "exact"), {})[cell.size] = number(cell.exact)
        if not math.isnan(cell.prefix):
            rows.setdefault((where, "prefix"), {})[cell.size] = number(cell.prefix)
        wrong = [values["wrong_per_graph"] for values in cell.probes.values() if "wrong_per_graph" in values]
        if len(wrong) == len(cell.probes):
            rows.setdefault((where, "wrong bits"), {})[cell.size] = f"{sum(wrong):.2f}"
    return [Row(name, where, measure, cells) for (where, measure), cells in rows.items() if any(cells.values())]


def control_name(config: Config) -> str:
    """What the control is called."""
    steps = config.settings.control.steps
    return f"{config.processor_name}, only {steps} step{'s' if steps > 1 else ''} (control)"


def _train(
    config: Config, built: Built, folder: Path, logger: Logger, title: str, processes: Processes
) -> tuple[dict[str, Any], Evaluation]:
    """Train and score one model in one folder."""
    with ProgressDisplay(title, config.trainer.max_steps, quiet=not processes.main) as display:
        try:
            trainer = Trainer(
                built.model,
                built.tasks,
                config.trainer,
                seed=config.settings.seed,
                folder=folder,
                logger=logger,
                on_progress=display,
                identity=identity(config),
                defaults=identity_defaults(config),
                processes=processes,
            )
            summary = trainer.fit()
        except CheckpointError as error:
            raise UsageError.of(error) from error
        return summary, trainer.score()


def _control(config: Config, folder: Path, processes: Processes) -> Evaluation | None:
    """The same model held to a few processor steps, trained and scored likewise; None if none is asked for."""
    control = config.settings.control
    if control.steps == 0:
        return None
    # Without the algorithm's own number of steps, its hints have no frames to match.
    held = dataclasses.replace(config.reasoner, steps=control.steps)
    trainer = dataclasses.replace(config.trainer, max_steps=control.max_steps or config.trainer.max_steps)
    blind = dataclasses.replace(config, reasoner=held, trainer=trainer)
    built = build(blind)
    load_processor(blind, built)
    title = f"control, {control.steps} steps"
    _, evaluation = _train(blind, built, folder / CONTROL, NullLogger(), title, processes)
    return evaluation


def _conclude(
    config: Config,
    built: Built,
    folder: Path,
    logger: Logger,
    summary: Mapping[str, Any],
    evaluation: Evaluation,
    control: Evaluation | None,
    main: bool,
) -> Finished:
    """Write figures and summary, hand them to the logger."""
    whole = {
        "processor": config.processor_name,
        "task": config.task_name,
        "seed": config.settings.seed,
        "config": runs.config_hash(config),
        "wandb_id": logger.run_id,
        **summary,
        "scores": evaluation.as_dict(),
        CONTROL: None if control is None else {"steps": config.settings.control.steps, "scores": control.as_dict()},
    }
    figure, weights = folder / runs.FIGURE, folder / CHECKPOINTS / checkpoint.BEST
    if main:
        weights = weights_file(folder)
        draw_scores(config, evaluation, control, figure)
        runs.write_json(folder / runs.SUMMARY, whole)
        _log(config, built, folder, logger, evaluation, control, figure)
        logger.summary({key: value for key, value in whole.items() if not isinstance(value, list | dict)})
    logs = getattr(logger, "place", None)
    return Finished(folder, config, evaluation, control, whole, figure, weights, logs)


_MEASURES = (("score", "score", "score"), ("whole samples exact", "exact", "share of samples"))


def draw_scores(config: Config, evaluation: Evaluation, control: Evaluation | None, path: Path) -> Path:
    """Draw score and share of whole samples exact against size: a panel for each, or for each of many tasks."""
    measured: list[tuple[Cell, bool]] = [(cell, False) for cell in evaluation]
    measured += [(cell, True) for cell in control or ()]
    several = len(config.tasks) > 1
    wheres = list(dict.fromkeys((cell.task, cell.distribution) for cell, _ in measured))

    def lines(where: tuple[str, str], name: str, measure: str, colour: int) -> list[Line]:
        """A measure on one task and distribution, and that of the control."""
        drawn = []
        for held in (False, True):
            cells = [c for c, h in measured if (c.task, c.distribution, h) == (*where, held)]
            cells = [c for c in cells if getattr(c, measure) == getattr(c, measure)]
            if cells:
                values = [getattr(c, measure) for c in cells]
                drawn.append(Line(name + ", control" * held, [c.size for c in cells], values, None, colour, held))
        return drawn

    drawn: list[tuple[str, str, list[Line]]] = []
    if len(wheres) > len(COLOURS):
        for task in dict.fromkeys(task for task, _ in wheres):
            of_task = []
            for position, (_, distribution) in enumerate(where for where in wheres if where[0] == task):
                further = f", {distribution}" if position else ""
                for colour, (title, measure, _) in enumerate(_MEASURES):
                    of_task += lines((task, distribution), title + further, measure, 2 * position + colour)
            drawn.append((task, "", of_task))
    else:
        for title, measure, label in _MEASURES:
            names = [" ".join(where) if several else where[1] for where in wheres]
            each = [lines(where, names[k], measure, k) for k, where in enumerate(wheres)]
            drawn.append((title, label, [line for some in each for line in some]))
    panels = []
    for title, label, shown in drawn:
        if shown:
            bounded = all(0 <= value <= 1 for line in shown for value in line.values)
            panels.append(Panel(title, label, shown, share=bounded))
    note = f"control: {config.settings.control.steps} processor steps" if control is not None else ""
    title = f"{config.processor_name} on {config.task_name}, seed {config.settings.seed}"
    return size_figure(panels, path, title=title, trained_to=max(config.trainer.sizes), note=note)


def _log(
    config: Config,
    built: Built,
    folder: Path,
    logger: Logger,
    evaluation: Evaluation,
    control: Evaluation | None,
    figure: Path,
) -> None:
    """Curves over sizes, tables and pictures, for the logger; scores and weights it has from the trainer."""
    logger.curve(ladder.AXIS, ladder.points(evaluation))
    if control is not None:
        rows = [[config.processor_name, *row] for row in evaluation.rows()]
        rows += [[control_name(config), *row] for row in control.rows()]
        logger.table("scores_and_control", ("model", *Evaluation.COLUMNS), rows)
    logger.image("size_generalisation", figure)
    for name, path in pictures(config, built.model, built.tasks, folder).items():
        logger.image(name, path)


def pictures(config: Config, model: Reasoner, tasks: Sequence[Task], folder: Path) -> dict[str, Path]:
    """Memory and pointers on the first scored sample of each task at the largest training size; see `zoo inspect`."""
    found: dict[str, Path] = {}
    for task in tasks:
        if not can_inspect(model, task):
            continue
        size, several = max(config.trainer.sizes), f"{task.name}/" if len(tasks) > 1 else ""
        inspection = inspect_model(
            model,
            task,
            folder / "pictures" / several,
            size=size,
            seed=stream_seed(0, "test"),
            distribution=next(iter(config.trainer.eval_distributions), None),
            title=f"{config.processor_name} on {task.name}, n = {size}",
            only=("weightings", "pointers"),
        )
        found |= {f"pictures/{several}{name}": path for name, path in inspection.figures.items()}
    return found
