"""Named sweeps: the multirun's grid and the W&B sweep's are one, and all their runs are valid."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

import configs
from trainers import sweeps
from trainers.cli import main
from trainers.config import compose
from trainers.config_groups import choices
from trainers.overrides import expand, parse
from trainers.usage import UsageError

FOLDER = Path(configs.__file__).parent / "sweep"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def by_agent(sweep: dict[str, Any], chosen: dict[str, Any]) -> list[str]:
    """The command line that a W&B agent makes of one point of a grid."""
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils")
    known = utils.create_sweep_command_args({"args": {key: {"value": value} for key, value in chosen.items()}})
    words: list[str] = []
    for part in utils.create_sweep_command(sweep["command"]):
        name = part.removeprefix("${").removesuffix("}")
        words += known[name] if part.startswith("${") else [part]
    return [str(word) for word in words]


def points(sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """All points of a W&B grid."""
    assert sweep["method"] == "grid"
    values = {key: one.get("values", [one.get("value")]) for key, one in sweep["parameters"].items()}
    return [dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())]


def values(words: list[str]) -> frozenset[tuple[str, Any]]:
    """What the words of one run say, in no order."""
    return frozenset((asked.key, asked.value) for asked in parse(words))


@pytest.mark.parametrize("name", NAMES)
def test_multirun_and_wandb_sweep_are_one_grid_of_valid_configs(name: str) -> None:
    sweep = yaml.safe_load((FOLDER / "wandb" / f"{name}.yaml").read_text())
    asked = sweeps.read([f"sweep={name}"])
    ours = [values(words) for words in expand(asked.overrides)]
    theirs = []
    for point in points(sweep):
        zoo, train, *words = by_agent(sweep, point)
        assert (zoo, train) == ("zoo", "train")
        config = compose(words)
        assert config.logger.mode == "online", "a run that is not online does not belong to its sweep"
        assert config.logger.project == sweep["project"]
        theirs.append(values(words) - {("logger.mode", "online")})
    assert len(ours) == len(theirs) > 1
    assert set(ours) == set(theirs) and len(set(ours)) == len(ours)
    assert asked.launcher == "sequential"


def test_every_sweep_has_both_files() -> None:
    assert NAMES and NAMES == choices("sweep") == sorted(path.stem for path in (FOLDER / "wandb").glob("*.yaml"))


def test_words_beside_a_sweep_replace_its_values() -> None:
    asked = sweeps.read(["+sweep=bfs_processors", "seed=7", "trainer.max_steps=10", "hydra/launcher=ray"])
    runs = expand(asked.overrides)
    assert asked.launcher == "ray" and len(runs) == 6
    assert {word for run in runs for word in run if word.startswith("seed=")} == {"seed=7"}
    assert all("trainer.max_steps=10" in run and "task=bfs" in run for run in runs)
    assert sweeps.read(["seed=0,1"]) == (["seed=0,1"], "sequential")


def test_mistakes_name_the_near_matches(capsys: pytest.CaptureFixture[str]) -> None:
    for words, problem, remedy in (
        (["-m", "sweep=bfs_procesors"], "unknown sweep 'bfs_procesors'", "did you mean bfs_processors"),
        (["-m", "seed=0,1", "hydra/launcher=rya"], "unknown launcher 'rya'", "did you mean ray"),
        (["-m", "sweep=a", "sweep=b"], "sweep is given twice", "give it once"),
        (["sweep=bfs_processors"], "is for several runs", "zoo train -m sweep=bfs_processors"),
        (["hydra/launcher=ray"], "is for several runs", "zoo train -m hydra/launcher=ray"),
    ):
        assert main(["train", *words]) == 2
        first, second = capsys.readouterr().err.splitlines()
        assert problem in first and remedy in second
    assert not list(Path().iterdir())


def test_a_file_without_a_grid_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for broken in ({}, {"hydra": {"sweeper": {"params": ["seed=0,1"]}}}, {"hydra": None}):
        monkeypatch.setattr(sweeps, "file_values", lambda group, name, broken=broken: broken)
        with pytest.raises(UsageError, match=r"hydra\.sweeper\.params"):
            sweeps.grid("bfs_processors")
