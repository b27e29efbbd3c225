"""`zoo compile`: runs whose weights are an algorithm's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trainers import baselines, runs
from trainers.build import build
from trainers.cli import main
from trainers.compiled import load, words
from trainers.config import compose
from trainers.evaluation import default_dtype
from trainers.usage import UsageError
from zoo.compiled import compile_algorithm, plan

QUICK = ["trainer.eval_sizes=[9]", "trainer.eval_samples=4", "trainer.eval_distributions=[clrs]"]


def test_a_compiled_run_is_scored_evaluated_and_inspected_like_any_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compile", "bellman_ford", "--processor", "pgn", "--runs-dir", str(tmp_path), *QUICK]) == 0
    folder = tmp_path / "pgn.compiled-bellman_ford"
    summary = runs.read_json(folder / runs.SUMMARY)
    assert summary["step"] == 0 and [cell["exact"] for cell in summary["scores"]] == [1.0]
    capsys.readouterr()
    assert main(["eval", str(folder), "--sizes", "12", "--samples", "4"]) == 0
    assert "exact     1.000" in capsys.readouterr().out
    assert main(["inspect", str(folder), "--size", "8", "--no-wandb"]) == 0


def test_training_goes_on_from_compiled_weights(tmp_path: Path) -> None:
    call = [*words("bfs", "mpnn"), *QUICK, f"runs_dir={tmp_path}", "trainer.max_steps=2", "trainer.lr=1e-9"]
    assert main(["train", *call, "trainer.sizes=[4]", "trainer.batch_size=2", "trainer.prefetch=0"]) == 0
    summary = runs.read_json(tmp_path / "mpnn.compiled-bfs" / runs.SUMMARY)
    assert summary["step"] == 2 and [cell["exact"] for cell in summary["scores"]] == [1.0]


@pytest.mark.parametrize("processor", ["mpnn", "gatv2"])
def test_a_wider_network_computes_the_same(processor: str) -> None:
    config = compose([*words("bfs", processor), "processor.hidden_size=16", "processor.input_size=5"])
    built = build(config)
    built.model.to(getattr(torch, config.trainer.precision))
    load(config, built)
    task = built.tasks[0].for_scoring()
    narrow = compile_algorithm("bfs", task.spec, processor)
    with default_dtype(config.trainer.precision), torch.no_grad():
        batch = task.sample(batch_size=4, size=9, seed=1, layout="dense", distribution="grid")
        wide, few = built.model.eval()(batch), narrow(batch)
    for name, value in few.values.items():
        assert torch.equal(wide.values[name], value) and torch.equal(value, batch.outputs[name])
    assert built.model.processor.hidden_size == 16 > narrow.processor.hidden_size


def test_noise_moves_every_parameter_by_its_share_and_is_drawn_from_the_seed() -> None:
    def parameters(*more: str) -> dict[str, torch.Tensor]:
        config = compose([*words("bfs", "mpnn"), *more])
        built = build(config)
        load(config, built)
        return {name: each.detach().clone() for name, each in built.model.named_parameters()}

    exact, noisy = parameters(), parameters("compiled_noise=0.1")
    again, other = parameters("compiled_noise=0.1"), parameters("compiled_noise=0.1", "seed=1")
    for name, value in exact.items():
        scale = 0.1 * value.square().mean().sqrt()
        assert torch.equal(noisy[name], again[name])
        if scale > 0:
            assert not torch.equal(noisy[name], other[name])
            assert bool(((noisy[name] - value).abs() < 5 * scale).all()) and bool((noisy[name] != value).any())
        else:
            assert torch.equal(noisy[name], value)
    with pytest.raises(UsageError, match="compiled_noise"):
        parameters("compiled=null", "compiled_noise=0.1")
    with pytest.raises(UsageError, match="compiled_noise"):
        compose(["compiled_noise=-1"])
    hashes = {runs.config_hash(compose([*words("bfs", "mpnn"), f"compiled_noise={share}"])) for share in (0, 0.1, 0.2)}
    assert len(hashes) == 3


def test_compiled_and_drawn_weights_are_different_recipes() -> None:
    config = compose(words("bfs", "mpnn"))
    drawn = compose([word for word in words("bfs", "mpnn") if not word.startswith("compiled=")])
    assert runs.config_hash(config) != runs.config_hash(drawn)


def test_algorithms_are_listed_and_unknown_ones_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "--list"]) == 0
    said = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["bellman_ford", "mpnn, pgn, gatv2"] in said and ["odd_even_transposition_sort", "mpnn"] in said
    assert main(["compile", "bsf"]) == 2
    assert "did you mean bfs" in capsys.readouterr().err
    assert main(["compile"]) == 2


@pytest.mark.parametrize(
    "word", ["processor.use_ln=true", "reasoner.encode_hints=true", "task=bellman_ford", "processor.hidden_size=3"]
)
def test_options_that_are_not_the_algorithms_are_refused(word: str, tmp_path: Path) -> None:
    from trainers.experiment import train

    with pytest.raises(UsageError, match="compiled: bfs"):
        train([*words("bfs", "mpnn"), word, f"runs_dir={tmp_path}"])


@pytest.mark.parametrize("name", [name for name in baselines.names() if ".compiled-" in name])
def test_rows_of_compiled_algorithms_have_the_options_that_these_need(name: str) -> None:
    row = baselines.load(name)
    for arm in row.arms:
        config = row.config(arm, seed=0)
        built = build(config)
        before = sum(float(parameter.detach().abs().sum()) for parameter in built.model.parameters())
        load(config, built)
        after = sum(float(parameter.detach().abs().sum()) for parameter in built.model.parameters())
        assert config.trainer.max_steps == 0 and before != after
        made = plan(str(config.settings.compiled), config.processor.name)
        assert config.trainer.precision == made.program.precision
