"""`zoo gap LEARNED COMPILED`: record, table and figure of two networks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trainers import runs
from trainers.build import check_distributions, check_sizes
from trainers.distributed import pick_device
from trainers.gap.arguments import GRAPHS, SIZES
from trainers.gap.drawing import gap_figure
from trainers.gap.measure import measure
from trainers.gap.sides import load_pair
from trainers.gap.table import columns, markdown, parameters_line, rows, transposed
from trainers.networks import Loaded
from trainers.run_config import LoggerConfig
from trainers.usage import UsageError

RECORD, TABLE, FIGURE = "gap.json", "gap.md", "gap.png"


class Gap(NamedTuple):
    """Two networks side by side.

    Attributes:
        record: plain data, see `trainers.gap.measure.measure`.
        folder: of `gap.json`, `gap.md` and `gap.png`.
        learned: the first network.
    """

    record: dict[str, Any]
    folder: Path
    learned: Loaded


def measure_gap(
    learned: str,
    compiled: str,
    *,
    sizes: Sequence[int] = SIZES,
    graphs: int = GRAPHS,
    distribution: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "cpu",
    runs_dir: str = "runs",
) -> Gap:
    """Compare a learned network with a compiled one, and write what comes out.

    Args:
        learned: see `trainers.gap.sides.load_pair`.
        compiled: likewise.
        sizes: of the graphs.
        graphs: how many of each size.
        distribution: of the inputs; the first that the run is scored on by default, else the task's.
        seed: of the held-out stream, as in `zoo eval`.
        out: folder; by default `gap/COMPILED` in the learned network's run, or in `runs_dir` where there is none.
        device: auto, cpu or cuda.
        runs_dir: folder that holds the runs.

    Raises:
        UsageError: there is no such network, size or distribution, or the two cannot be compared.
    """
    if graphs < 1:
        raise UsageError(f"--graphs: {graphs} graphs cannot be compared", "give at least 1")
    one, other, task = load_pair(learned, compiled, runs_dir=runs_dir)
    scored = one.config.trainer.eval_distributions if one.config is not None else ()
    distribution = distribution or next(iter(scored or task.distributions))
    check_sizes(task, sizes, "--sizes")
    check_distributions(task, [distribution], "--distribution")
    for side in (one, other):
        side.model.to(pick_device(device))
    record = measure(one, other, task, sizes=sorted(set(sizes)), graphs=graphs, distribution=distribution, seed=seed)
    base = one.folder or Path(runs_dir) / Path(learned).name
    folder = Path(out) if out is not None else base / "gap" / Path(compiled).name
    folder.mkdir(parents=True, exist_ok=True)
    runs.write_json(folder / RECORD, record)
    (folder / TABLE).write_text(markdown(record), encoding="utf-8")
    gap_figure(record, folder / FIGURE)
    return Gap(record, folder, one)


def command(learned: str, compiled: str, *, use_wandb: bool, **how: Any) -> int:
    """`zoo gap`: see `measure_gap`; prints the table and the places, and logs table and figure."""
    from trainers.display import console

    gap = measure_gap(learned, compiled, **how)
    screen = console()
    record = gap.record
    screen.print(f"{learned} against {compiled}: {record['task']}, {record['distribution']}, "
                 f"{record['graphs']} graphs a size", soft_wrap=True, markup=False)  # fmt: skip
    for line in transposed(record)[:1] + transposed(record)[2:]:
        first, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        screen.print(f"  {first:<28}" + "".join(f"{cell:>10}" for cell in cells), soft_wrap=True, markup=False)
    screen.print(parameters_line(record), soft_wrap=True, markup=False)
    for name, file in (("record", RECORD), ("table", TABLE), ("figure", FIGURE)):
        screen.print(f"{name:<11} {gap.folder / file}", soft_wrap=True, markup=False)
    config = gap.learned.config
    logger = config.logger if config is not None else LoggerConfig()
    if use_wandb and logger.name != "none":
        screen.print(f"W&B         {_log(gap, logger) or 'not written'}", soft_wrap=True, markup=False)
    return 0


def _log(gap: Gap, config: LoggerConfig) -> Path | None:
    """The gap as a W&B run of its own: a table and an image."""
    from trainers.wandb_logger import WandbLogger, wandb_mode

    record = gap.record
    names = [record[side]["name"] for side in ("learned", "compiled")]
    logger = WandbLogger(
        gap.folder,
        name=f"gap-{Path(names[0]).name}-{Path(names[1]).name}",
        mode=wandb_mode(config.mode),
        project=config.project,
        entity=config.entity,
        job_type="gap",
        tags=[gap.learned.processor, record["task"]],
        config={key: value for key, value in record.items() if key not in ("cells", "parameters")},
    )
    logger.start(run_id=None, step=0)
    written = logger.place
    logger.table("gap/measures", columns(record), rows(record))
    logger.image("gap/figure", gap.folder / FIGURE)
    logger.close()
    return written
