"""Weights that passed: put into `zoo/pretrained/` with their card, and scored again."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainers import baselines, checkpoint, ledger, runs
from trainers.baselines import Baseline
from trainers.build import build_tasks
from trainers.display import console
from trainers.distributed import pick_device
from trainers.evaluation import Evaluation, default_dtype, evaluate
from trainers.experiment import load_trained
from trainers.ledger import Entry
from trainers.networks import row_config
from trainers.schema import plain
from trainers.usage import UsageError, unknown
from trainers.verdict import PASSED, judge
from zoo import pretrained

LARGEST = 3 * 2**20
"""Bytes that the weights of a row may have."""
TOLERANCE = 1e-4
"""By how much a score may differ from the recorded one, which has five digits."""


def ship(name: str, *, results: Path = ledger.RESULTS, folder: Path = pretrained.FOLDER) -> Path:
    """Put the weights of a row that passed into the package, of the seed that was best on validation.

    Args:
        name: of the row.
        results: folder of the ledger.
        folder: where the weights go.

    Returns:
        The file.

    Raises:
        UsageError: the row is not the library's or has not passed, its run folder is gone or another one, or its
            weights are too large.
    """
    row = baselines.load(name)
    counted = ledger.current(row, results)
    verdict = judge(row, counted)
    if name not in baselines.names():
        raise UsageError(f"{name} is a row of your own", "rows of the library's configs/baseline are shipped")
    if verdict.state != PASSED:
        raise UsageError(f"{name} is {verdict.state}: only weights that passed are shipped", f"zoo reproduce {name}")
    entry = best_on_validation([entry for (arm, _), entry in counted.items() if arm == row.main])
    run = Path(entry.values["run"])
    if not run.is_dir():
        raise UsageError(f"the weights of {name} were in {run}, which is gone", f"zoo reproduce {name} --again")
    summary = runs.read_json(run / runs.SUMMARY)
    if summary is None or ledger.shortened(summary["scores"]) != entry.values["scores"]:
        raise UsageError(f"the weights in {run} are not those that were measured", f"zoo reproduce {name} --again")
    config = row.config(entry.arm, seed=entry.seed)
    built = load_trained(run, config)
    weights = built.model.state_dict()
    size = sum(tensor.nbytes for tensor in weights.values())
    if size > LARGEST:
        raise UsageError(
            f"the weights of {name} have {size / 2**20:.1f} MB", f"at most {LARGEST / 2**20:.0f} MB are shipped"
        )
    card = {
        "baseline": name,
        "arm": entry.arm,
        "seed": entry.seed,
        "attempt": entry.attempt,
        "commit": entry.values["commit"],
        "config": entry.values["config"],
        "processor": {"name": config.processor.name, "options": plain(built.model.processor.config)},
        **({"memory": plain(config.memory)} if config.memory.name else {}),
        "tasks": [
            {"name": task.name, "options": plain(task.config), "probes": task.spec.as_dict()} for task in built.tasks
        ],
        "reasoner": plain(config.reasoner),
        "bind": config.settings.bind,
        **({"precision": "float64"} if config.trainer.precision == "float64" else {}),
        "scores": entry.values["scores"],
    }
    path = folder / f"{name}.safetensors"
    checkpoint.save_weights(path, weights, card)
    (folder / f"{name}.md").write_text(model_card(row, card), encoding="utf-8")
    return path


def best_on_validation(entries: Sequence[Entry]) -> Entry:
    """The finished seed whose best validation score is highest; of equals the lowest cross-entropy, then seed."""

    def key(entry: Entry) -> tuple[float, float, int]:
        curve: Mapping[str, Sequence[float | None]] = entry.values["validation"]
        scores = [value for value in curve.get("val/score", ()) if value is not None]
        bits = [
            min(value for value in values if value is not None)
            for name, values in curve.items()
            if name.startswith("val/bits_per_graph/") and any(value is not None for value in values)
        ]
        return -max(scores, default=-math.inf), sum(bits, 0.0), entry.seed

    return min((entry for entry in entries if entry.state == ledger.FINISHED), key=key)


def model_card(row: Baseline, card: Mapping[str, Any]) -> str:
    """The card of shipped weights, in Markdown."""
    cells = [
        f"| {cell['distribution']} | {cell['n']} | {cell['graphs']} | {_told(cell['score'])} | {_told(cell['exact'])} |"
        for cell in card["scores"]
    ]
    task = card["tasks"][0]
    origin = f"seed {card['seed']}, the best of {row.seeds} on validation; trained by"
    reach = "at sizes near those it was trained on"
    if "compiled" in row.values(card["arm"]):
        origin, reach = "its weights written analytically, without training, by", "at any size that rounding allows"
    return "\n".join(
        [
            f"# {row.name}",
            "",
            f"{row.title}. {row.paper}, <{row.link}>.",
            "",
            "```python",
            "import zoo",
            "",
            f'model = zoo.load_pretrained("{row.name}")',
            "```",
            "",
            f"Processor `{card['processor']['name']}` on task `{task['name']}`, {origin} "
            f"`zoo reproduce {row.name}` at commit `{str(card['commit'])[:8]}`. "
            f"`zoo reproduce {row.name} --pretrained` scores it again.",
            "",
            row.about.strip(),
            "",
            "| inputs | size | samples | score | whole samples exact |",
            "| --- | --- | --- | --- | --- |",
            *cells,
            "",
            f"Use: to compare with, to start from, to look into. It knows this one task, {reach}; the table says "
            "how far it carries.",
            "",
        ]
    )


def reevaluate_all(names: Sequence[str], *, device: str | None = None) -> int:
    """`zoo reproduce NAME --pretrained`: score shipped weights and compare with the ledger.

    Returns:
        0 where every score is the recorded one, 1 otherwise.
    """
    for name in names:
        if name not in pretrained.list_pretrained():
            baselines.load(name)
            raise unknown("pretrained weights", name, pretrained.list_pretrained(), among="shipped")
    if not pretrained.list_pretrained():
        raise UsageError("no weights are shipped yet", "`zoo reproduce --list` shows the rows and where they stand")
    wrong = 0
    for name in names or pretrained.list_pretrained():
        recorded = {(c["distribution"], c["n"]): c for c in pretrained.about(name)["scores"]}
        for cell in reevaluate(name, device=device).as_dict():
            before = recorded.get((cell["distribution"], cell["n"]), {"score": None, "exact": None})
            same = all(_close(cell[key], before[key]) for key in ("score", "exact"))
            wrong += not same
            told = f"score {_told(cell['score'])}  exact {_told(cell['exact'])}"
            recall = "as recorded" if same else f"recorded: {_told(before['score'])}, {_told(before['exact'])}"
            console().print(f"{name}  {cell['distribution']} n={cell['n']}  {told}  {recall}", soft_wrap=True)
    if wrong:
        print(f"zoo: {wrong} scores are not the recorded ones", file=sys.stderr)
    return int(wrong > 0)


def reevaluate(name: str, *, sizes: Sequence[int] | None = None, device: str | None = None) -> Evaluation:
    """Score shipped weights as their row does.

    Args:
        name: of the row.
        sizes: some of the row's sizes; all of them by default.
        device: `auto`, `cpu` or `cuda`; by default a GPU if there is one.

    Returns:
        The scores.
    """
    model = pretrained.load_pretrained(name, device=pick_device(device or "auto"))
    config = row_config(name)
    arguments = config.trainer.scoring()
    if sizes is not None:
        arguments |= {"sizes": sizes}
    with default_dtype(config.trainer.precision):
        return evaluate(model, build_tasks(config), **arguments)


def _close(one: float | None, other: float | None) -> bool:
    """Whether two scores are the same, up to the digits that are recorded."""
    one, other = (math.nan if value is None else value for value in (one, other))
    return abs(one - other) <= TOLERANCE or (math.isnan(one) and math.isnan(other))


def _told(value: float | None) -> str:
    """A score for a table."""
    return "" if value is None or math.isnan(value) else f"{value:.4f}"
