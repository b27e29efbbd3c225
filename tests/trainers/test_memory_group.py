"""`memory=NAME` on the command line: composed, named, trained, saved and loaded with the processor beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainers import cli
from trainers.build import build, identity
from trainers.config import compose, from_tree, override
from trainers.config_groups import choices
from trainers.experiment import load_trained
from trainers.runs import config_hash, load_config
from trainers.usage import UsageError
from zoo.memory.graph_memory import GraphMemory

SMALL = ["processor=deep_sets", "processor.hidden_size=8", "task=bfs", "logger=none", "trainer.device=cpu"]
SMALL += ["trainer.sizes=[4]", "trainer.val_sizes=[4]", "trainer.eval_sizes=[4]", "trainer.batch_size=2"]
SMALL += ["trainer.val_samples=2", "trainer.eval_samples=2", "trainer.max_steps=2", "control.steps=0"]
CELL = ["memory=ntm", "memory.slots=6", "memory.word=3", "memory.controller_size=5"]


def test_a_cell_takes_its_own_options_and_the_processors_width() -> None:
    config = compose([*SMALL, *CELL])
    assert config.memory.name == "ntm" and config.processor_name == "deep_sets+ntm"
    assert (config.memory.options.slots, config.memory.options.hidden_size) == (6, 8)
    assert compose([*SMALL, *CELL, "memory.hidden_size=5"]).memory.options.hidden_size == 5
    assert from_tree(config.tree()) == config
    assert override(config, ["memory.word=4"]).memory.options.word == 4
    assert isinstance(build(config).model.processor, GraphMemory)


def test_without_a_cell_a_run_is_what_it_was() -> None:
    plain = compose(SMALL)
    assert plain.memory.name is None and plain.processor_name == "deep_sets"
    assert "memory" not in plain.tree() and "memory" not in identity(plain)
    assert compose([*SMALL, "memory=none"]) == plain
    assert config_hash(compose([*SMALL, *CELL])) != config_hash(plain)


def test_cells_are_the_choices() -> None:
    assert {"none", "ntm", "dnc", "lstm", "sam"} <= set(choices("memory"))
    assert not {"mpnn", "pgn", "deep_sets"} & set(choices("memory"))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["memory=mpnn"], "'mpnn'"),
        (["memory=ntn"], "'ntn'"),
        (["memory.slots=3"], "memory.slots"),
        (["memory=ntm", "memory.slot=3"], "memory.slot"),
        (["memory=ntm", "memory.every=start"], "every has no meaning"),
    ],
)
def test_mistakes_are_named(words: list[str], named: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(compose([*SMALL, *words]))
    assert named in str(caught.value) + caught.value.problem


def test_a_run_is_trained_saved_and_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    assert cli.main(["train", *SMALL, *CELL, f"run_dir={folder}"]) == 0
    assert "deep_sets+ntm on bfs" in capsys.readouterr().out
    config = load_config(folder)
    assert config.memory.name == "ntm"
    loaded = load_trained(folder, config).model.processor
    assert isinstance(loaded, GraphMemory) and type(loaded.processor).__name__ == "DeepSets"
    with pytest.raises(UsageError, match=r"deep_sets\+ntm"):
        from trainers.experiment import load_processor

        asked = compose([*SMALL, f"processor.weights={folder}"])
        load_processor(asked, build(asked))


def test_show_tells_that_a_cell_may_stand_beside_a_processor(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "processor", "ntm"]) == 0
    assert "memory=ntm" in capsys.readouterr().out
    assert cli.main(["show", "processor", "mpnn"]) == 0
    assert "memory=" not in capsys.readouterr().out
