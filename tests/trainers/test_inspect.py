"""`zoo inspect`: files, arrays and figures of one sample, for every processor; its mistakes; its W&B images."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import tasks
import trainers
import zoo
from trainers import runs
from trainers.cli import main
from trainers.data import stream_seed
from trainers.experiment import load_trained
from trainers.inspection.model import FIGURES
from trainers.inspection.panels import chosen, rows_in_use
from trainers.inspection.sample import look
from zoo.recording import Kind

QUICK = ["processor.hidden_size=8", "trainer.max_steps=1", "trainer.batch_size=2", "trainer.sizes=[4]", "logger=none"]
QUICK += ["trainer.val_every=0", "trainer.eval_samples=2", "trainer.eval_sizes=[4]", "control.steps=0"]
MEMORY = ["processor.controller_size=8", "processor.slots=6", "processor.word=4"]
# What shows most of each: streams, sweeps over several steps, own pointers; any other processor on bfs.
WORDS = {
    "ntm": ["task=copy", "task.bits=3", *MEMORY],
    "lstm": ["task=copy", "task.bits=3"],
    "dnc": ["task=bfs", "processor.read_heads=2", *MEMORY],
    "adnc": ["task=bfs", "processor.read_heads=2", *MEMORY],
    "sdnc": ["task=bfs", "processor.read_heads=2", *MEMORY],
    "pgn": ["task=disjoint_set"],
    "residual_shuffle_exchange": ["task=insertion_sort", "processor.blocks=1"],
}
DRAWN = {
    "ntm": {"weightings", "gates"},
    "lstm": {"activations"},
    "dnc": {"weightings", "gates", "links", "hints", "pointers_pi"},
    "pgn": {"senders", "own_pointers", "hints"},
    "mpnn": {"senders", "hints", "pointers_pi"},
    "residual_shuffle_exchange": {"layers", "hints", "pointers_pred"},
    "iter_gnn": {"stopping"},
    "neural_executor": {"senders", "stopping"},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run of a processor after one step, made when first asked for."""
    place = tmp_path_factory.mktemp("runs")

    def run(name: str) -> Path:
        folder = place / name
        if not folder.exists():
            words = WORDS.get(name, ["task=bfs"])
            assert main(["train", f"processor={name}", *words, *QUICK, f"run_dir={folder}"]) == 0
        return folder

    return run


@pytest.mark.parametrize("name", zoo.list_processors())
def test_every_processor_can_be_inspected(
    trained: Callable[[str], Path], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained(name)
    assert main(["inspect", str(folder), "--size", "5", "--sample", "3", "--no-wandb"]) == 0
    printed = capsys.readouterr().out
    [place] = (folder / "inspect").iterdir()
    assert place.name.endswith("-n5-sample3")
    figures = {path.stem for path in place.glob("*.png")}
    assert figures >= DRAWN.get(name, set()) | {"latents"}
    for path in place.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000
        assert str(path) in printed
    arrays = np.load(place / "arrays.npz")
    assert all(array in printed for array in arrays.files)

    config = runs.load_config(folder)
    built = load_trained(folder, config)
    [task] = built.tasks
    distribution = next(iter(config.trainer.eval_distributions or task.distributions))
    held_out = {"seed": stream_seed(0, "test"), "size": 5, "distribution": distribution}
    batch = task.for_scoring().sample(batch_size=1, index=3, **held_out)
    four = task.for_scoring().sample(batch_size=4, **held_out)
    assert torch.equal(four.index[3:], batch.index), "the fourth sample that `zoo eval` scores"
    with torch.no_grad():
        prediction = built.model.eval()(batch)
    for probe in batch.spec.outputs:
        assert np.array_equal(arrays[f"output/{probe.name}"], batch.outputs[probe.name].select(int(probe.streamed), 0))
        logits = prediction.outputs[probe.name].select(int(probe.streamed), 0).numpy()
        probability = 1 / (1 + np.exp(-logits)) if probe.type == "mask" else np.exp(logits)
        np.testing.assert_allclose(arrays[f"probability/{probe.name}"], probability, atol=1e-5)
    for probe in batch.spec.hints:
        right = arrays[f"predicted/{probe.name}"] == arrays[f"hint/{probe.name}"][1:]
        if probe.type != "scalar":
            np.testing.assert_allclose(arrays[f"right/{probe.name}"], right.reshape(len(right), -1).mean(1))
    np.testing.assert_allclose(arrays["hidden"][-1], prediction.carry.hidden.nodes[0], atol=1e-5)
    for track_name, track in built.model.processor.tracks.items():
        if track.kind is Kind.WEIGHTING and name == "ntm":
            np.testing.assert_allclose(arrays[f"record/{track_name}"].sum(-1), 1, atol=1e-5)
        if track.kind is Kind.SHARES and track.axes == ("senders", "receivers"):
            np.testing.assert_allclose(arrays[f"record/{track_name}"].sum(1), 1, atol=1e-5)


def test_the_library_returns_what_the_command_writes(trained: Callable[[str], Path]) -> None:
    folder = trained("mpnn")
    inspection = trainers.inspect_run(folder, size=4, distribution="grid", output="here")
    assert inspection.arrays_file == Path("here/arrays.npz")
    saved = np.load(inspection.arrays_file)
    assert set(saved.files) == set(inspection.arrays)
    assert all(np.array_equal(saved[name], inspection.arrays[name], equal_nan=True) for name in saved.files)
    assert set(inspection.figures) == {"senders", "latents", "hints", "pointers/pi"}
    other = trainers.inspect_run(folder, size=4, distribution="grid", sample=1, output="there")
    assert not np.array_equal(other.arrays["input/adj"], inspection.arrays["input/adj"])
    again = trainers.inspect_run(folder, size=4, distribution="grid", seed=1, output="there")
    assert not np.array_equal(again.arrays["input/A"], inspection.arrays["input/A"])


@pytest.mark.parametrize(("task", "size"), [("bfs", 40), ("insertion_sort", 34), ("insertion_sort", 5)])
def test_pointers_are_drawn_at_any_size(task: str, size: int) -> None:
    task = tasks.create(task)
    model = zoo.Reasoner(task.spec, zoo.create("deep_sets", hidden_size=4))
    inspection = trainers.inspect_model(model, task, Path("here"), size=size, title="any", only=("pointers",))
    [path] = inspection.figures.values()
    assert path.stat().st_size > 5000 and inspection.arrays_file is None and model.training


def test_figures_of_what_is_not_recorded_are_not_drawn() -> None:
    task = tasks.create("copy")
    model = zoo.Reasoner(task.spec, zoo.create("deep_sets", hidden_size=4, pool="none"))
    sample = look(model, task.sample(batch_size=1, size=3))
    found = {name: draw(sample, Path(f"{name}.png"), title="none") for name, draw in FIGURES.items()}
    assert {name for name, path in found.items() if path is not None} == {"latents"}
    bfs = tasks.create("bfs")
    one_step = look(zoo.Reasoner(bfs.spec, zoo.create("deep_sets", hidden_size=4)), bfs.sample(batch_size=1, size=1))
    assert one_step.steps == 1 and FIGURES["hints"](one_step, Path("hints.png"), title="none") is None
    with pytest.raises(ValueError, match="one sample in the dense layout"):
        look(model, task.sample(batch_size=2, size=3))


def test_a_cell_that_reads_once_is_drawn_from_its_start() -> None:
    task = tasks.create("bfs")
    processor = zoo.create("dnc", hidden_size=8, controller_size=8, slots=6, word=4, every="start")
    model = zoo.Reasoner(task.spec, processor)
    inspection = trainers.inspect_model(model, task, Path("here"), size=6, title="dnc")
    sample = inspection.sample
    assert [segment.length for segment in sample.segments] == [6] + [1] * sample.steps
    assert sample.over_time("usage").shape == (6 + sample.steps, 6)
    at_tokens = sample.at_tokens(np.ones((6, 1)))
    assert (at_tokens[:6] == 1).all() and np.isnan(at_tokens[6:]).all(), "a pooled token stands for no node"
    assert {"weightings", "gates", "links"} <= set(inspection.figures)


def test_outputs_are_aligned_to_the_last_sweep() -> None:
    task = tasks.create("bfs")
    processor = zoo.create("lstm", hidden_size=4)
    sample = look(zoo.Reasoner(task.spec, processor), task.sample(batch_size=1, size=5))
    assert sample.steps > 1
    values = sample.at_tokens(np.arange(5.0)[None, :, None])[:, 0]
    assert np.isnan(values[:-5]).all() and np.array_equal(values[-5:], np.arange(5))


def test_rows_in_use_keep_every_row_that_matters() -> None:
    weights = np.zeros((3, 20))
    weights[0, 8], weights[2, 11] = 1.0, 0.5
    assert rows_in_use(weights) == slice(6, 14)
    assert rows_in_use(np.ones((3, 20))) == slice(0, 20)
    assert chosen(100, 4) == [0, 33, 66, 99] and chosen(2, 6) == [0, 1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--size", "0"], "below the smallest size of task bfs"),
        (["--sample", "-1"], "there is no sample -1"),
        (["--distribution", "grif"], "did you mean grid?"),
        (["--task", "bfz"], "did you mean bfs?"),
    ],
)
def test_mistakes_are_told_in_two_lines(
    trained: Callable[[str], Path], words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained("mpnn")
    capsys.readouterr()
    assert main(["inspect", str(folder), *words]) == 2
    error = capsys.readouterr().err
    assert told in error and len(error.splitlines()) == 2


def test_an_unknown_run_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "nowhere"]) == 2
    assert "unknown run 'nowhere'" in capsys.readouterr().err


def records(folder: Path) -> list[dict]:
    """The newest W&B file of a run folder, as W&B's own reader sees it."""
    log = max(folder.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns)
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(log)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "No such command" in done.stderr:
        pytest.skip("this wandb has no `leet inspect`")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_images_go_to_the_runs_own_wandb_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_DATA_DIR")
    words = [*WORDS["ntm"], *(word for word in QUICK if word != "logger=none")]
    assert main(["train", "processor=ntm", *words, "run_dir=own"]) == 0
    before = len(list(Path("own").glob("wandb/offline-run-*")))
    assert main(["inspect", "own"]) == 0
    assert len(list(Path("own").glob("wandb/offline-run-*"))) == before + 1
    found = records(Path("own"))
    run = next(record["run"] for record in found if record["type"] == "run")
    assert run["run_id"] == json.loads(Path("own/summary.json").read_text())["wandb_id"]
    logged = {key.split(".")[0] for record in found if record["type"] == "history" for key in record["history"]["item"]}
    assert {"inspect/weightings", "inspect/gates", "inspect/latents"} <= logged

    summary = json.loads(Path("own/summary.json").read_text())
    Path("own/summary.json").write_text(json.dumps(summary | {"wandb_id": None}))
    assert main(["inspect", "own"]) == 0
    other = next(record["run"] for record in records(Path("own")) if record["type"] == "run")
    assert other["job_type"] == "inspect" and other["run_id"] != run["run_id"]
