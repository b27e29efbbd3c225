"""Networks by name: `zoo eval` scores runs, checkpoints, shipped and compiled weights, and tells near names."""

from __future__ import annotations

from pathlib import Path

import pytest

import zoo
from trainers.cli import main
from trainers.compiled import words
from trainers.networks import load_network, scoring_config
from trainers.usage import UsageError


def _line(capsys: pytest.CaptureFixture[str], words: set[str], *arguments: str) -> str:
    """The first line that has these words in the table of `zoo eval`."""
    assert main(["eval", *arguments]) == 0
    return next(line for line in capsys.readouterr().out.splitlines() if words <= set(line.split()))


@pytest.mark.parametrize("name", ["mpnn.velickovic2022-bfs", "mpnn.compiled-bfs"])
def test_shipped_weights_are_scored_as_their_row_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    card = zoo.pretrained.about(name)
    cell = min(card["scores"], key=lambda each: each["n"])
    config = scoring_config(load_network(name))
    assert cell["n"] in config.trainer.eval_sizes and config.trainer.eval_samples == cell["graphs"]
    wanted = {cell["distribution"], "score"}
    line = _line(capsys, wanted, name, "--sizes", str(cell["n"]), "--distributions", cell["distribution"])
    assert f"{cell['score']:.3f}" in line


def test_compiled_weights_are_scored_without_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    name = "mpnn.compiled-binary_search"
    assert name not in zoo.list_pretrained()
    assert "1.000" in _line(capsys, {"exact"}, name, "--sizes", "7", "--samples", "3")
    assert not Path("runs").exists(), "nothing is written"


def test_a_run_comes_before_weights_of_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs_dir, small = tmp_path / "mine", ["trainer.eval_sizes=[5]", "trainer.eval_samples=2", "processor.hidden_size=9"]
    assert main(["train", *words("bfs", "mpnn"), *small, f"runs_dir={runs_dir}"]) == 0
    run = load_network("mpnn.compiled-bfs", runs_dir=str(runs_dir))
    assert run.folder == runs_dir / "mpnn.compiled-bfs" and run.model.processor.hidden_size == 9
    assert load_network("mpnn.compiled-bfs", runs_dir=str(tmp_path / "none")).folder is None
    beside = load_network("mpnn.compiled-bfs", runs_dir=str(runs_dir), like=run)
    assert beside.folder is None and beside.model.processor.hidden_size == 9
    capsys.readouterr()
    weights = next((runs_dir / "mpnn.compiled-bfs" / "checkpoints").rglob("*.safetensors"))
    assert "1.000" in _line(capsys, {"exact"}, str(weights), "--sizes", "6", "--samples", "2")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("mpnn.velickovic2022-bsf", "did you mean mpnn.velickovic2022-bfs"),
        ("mpnn.compiled-binary_serch", "did you mean mpnn.compiled-binary_search"),
    ],
)
def test_misspelt_names_are_told_with_near_ones(name: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", name]) == 2
    told = capsys.readouterr().err
    assert f"unknown network '{name}'" in told and near in told
    with pytest.raises(UsageError, match="no runs in runs"):
        load_network(name)


def test_the_help_of_eval_is_true(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["eval", "--help"])
    shown = capsys.readouterr().out
    assert "shipped weights" in shown and "PROCESSOR.compiled-ALGORITHM" in shown
    examples = [line.split()[2] for line in shown.splitlines() if line.startswith("  zoo eval ")]
    assert examples[0] == "latest" and all(load_network(name).model for name in examples[1:])
