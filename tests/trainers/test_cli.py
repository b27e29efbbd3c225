"""The command: what it prints, what it writes, what it exits with."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

import configs
from trainers import runs
from trainers.cli import main
from trainers.experiment import weights_file

GROUPS = Path(configs.__file__).parent
QUICK = ["trainer.batch_size=4", "trainer.sizes=[4]", "trainer.val_samples=4", "trainer.eval_samples=4"]
QUICK += ["trainer.distributions=[clrs]", "trainer.eval_distributions=[clrs]"]
QUICK += ["trainer.eval_sizes=[4,6]", "trainer.val_every=2", "logger=none", "control.steps=0"]
TINY = ["processor=deep_sets", "task=bfs", "processor.hidden_size=8", "trainer.max_steps=4", *QUICK]
MINE = '''
from dataclasses import dataclass

from tasks.registry import option
from zoo import Latents, Processor, ProcessorConfig, Step, register
import torch


@dataclass(frozen=True, kw_only=True)
class MineConfig(ProcessorConfig):
    """Options of `mine_{tag}`."""

    scale: float = option(1.0, "of what a step adds")


@register("mine_{tag}", config=MineConfig, paper="Unpublished", year=2026)
class Mine(Processor):
    """A sum of inputs and hidden, of my own."""

    Config = MineConfig

    def __init__(self, config):
        super().__init__(config)
        self.linear = torch.nn.Linear(self.input_size + self.hidden_size, self.hidden_size)

    def forward(self, inputs, hidden, topology, state):
        both = torch.cat([inputs.encoded.nodes, hidden.nodes], -1)
        return Step(Latents(self.config.scale * self.linear(both).relu()), state)
'''


def zoo(*words: str) -> int:
    return main(list(words))


def mistake(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The two lines of a mistake."""
    capsys.readouterr()
    assert zoo(*words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == 2 and lines[0].startswith("zoo: ") and lines[1].startswith("     ")
    return printed.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("shared") / "runs" / "done"
    assert zoo("train", *TINY, f"run_dir={folder}") == 0
    return folder


def test_help_and_list_answer_without_torch_or_hydra() -> None:
    heavy = "{'torch', 'hydra', 'numba', 'numpy', 'wandb', 'matplotlib'} & set(sys.modules)"
    watch = f"import sys; from trainers.cli import main; main(['list']); sys.exit(str({heavy}) if {heavy} else 0)"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True)
    assert time.monotonic() - began < 1
    assert (done.returncode, done.stderr) == (0, "")
    for group in ("processor", "task"):
        assert {path.stem for path in (GROUPS / group).glob("*.yaml")} <= set(done.stdout.split())
    done = subprocess.run([sys.executable, "-m", "trainers", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "zoo train" in done.stdout


def test_every_yaml_starts_with_a_line_about_it() -> None:
    for path in GROUPS.rglob("*.yaml"):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith("# ") and len(first) > 10, path


def test_list_takes_a_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo("list", "tasks") == 0
    printed = capsys.readouterr().out
    assert "bfs" in printed.split() and "ntm" not in printed.split()


def test_matrix_names_both_sides_of_every_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    import tasks
    import zoo as library

    assert zoo("list", "--matrix") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0].rstrip("*"): line.split()[1:] for line in lines[1:] if line and line[0] != " "}
    own = library.list_processors()
    assert lines[0].split() == tasks.list_tasks(ready=True)
    for name in own:
        assert len(rows[name]) == len(tasks.list_tasks(ready=True)), name
        assert all(set(cell.split("+")) <= {"dense", "sparse"} for cell in rows[name]), "no pair is refused"
    refusals = [line for line in lines if line.startswith("  mpnn on bfs: ")]
    assert len(refusals) == 1 and "MPNN" in refusals[0] and "bfs" in refusals[0] and "sparse" in refusals[0]
    assert library.list_processors()


def test_show_tells_options_paper_and_bibtex(capsys: pytest.CaptureFixture[str]) -> None:
    import tasks
    import zoo as library

    assert zoo("show", "processor", "ntm") == 0
    printed = capsys.readouterr().out
    for name in library.describe("ntm").config.__dataclass_fields__:
        assert f"  {name} = " in printed
    assert (
        "locations of the memory" in printed
        and "@article{graves2014neural" in printed
        and "Graves et al., 2014" in printed
    )
    assert zoo("show", "task", "bfs") == 0
    printed = capsys.readouterr().out
    for probe in tasks.create("bfs").spec:
        assert f"\n{probe.name} " in printed
    assert "frame 1: reach_h 1 1 1 0 0" in printed, "the worked example"


@pytest.mark.parametrize(
    ("words", "named", "near"),
    [
        (["trian"], "'trian'", "did you mean train?"),
        (["show", "processor", "ntn"], "'ntn'", "or ntm?"),
        (["show", "procesor", "ntm"], "'procesor'", "did you mean processor?"),
        (["list", "taks"], "'taks'", "did you mean tasks?"),
        (["eval", "nosuchrun"], "'nosuchrun'", "no runs in runs; shipped and compiled"),
        (["eval"], "NETWORK", "usage: zoo eval"),
        (["train", "--multi"], "--multi", "usage"),
        (["train", "trainer.max_step=3"], "'trainer.max_step'", "did you mean trainer.max_steps"),
        (
            ["train", "task=associative_recall", "trainer.sizes=[1]"],
            "1 is below the smallest size",
            "the smallest is 2",
        ),
        (["train", "trainer.distributions=[gird]"], "'gird'", "did you mean grid?"),
        (["train", "task=copy", "trainer.layout=sparse"], "copy has no sparse layout", "choices: dense"),
        (["train", "processor.adjacency=full", "trainer.layout=sparse"], "bfs is sparse here", "zoo show"),
        (["train", "reasoner=raw"], "task 'bfs' has edges", "use encoder 'linear'"),
        (["train", "bind.bfs.pointer=pi_h"], "'pointer'", "choices"),
        (["train", "processor.weights=nosuchrun"], "'nosuchrun'", "runs in runs: none"),
        (["train", "resume=latest"], "latest", "zoo train"),
        (["--load", "nosuch.py", "list"], "'nosuch.py'", "Python files there"),
    ],
)
def test_mistakes_are_two_lines(capsys: pytest.CaptureFixture[str], words: list[str], named: str, near: str) -> None:
    printed = mistake(capsys, *words)
    assert named in printed
    assert near in printed


def test_run_folder_holds_what_is_promised(trained: Path) -> None:
    config = yaml.safe_load((trained / "config.yaml").read_text())
    assert (config["processor"]["name"], config["trainer"]["max_steps"], config["seed"]) == ("deep_sets", 4, 0)
    environment = json.loads((trained / "environment.json").read_text())
    assert environment["versions"]["torch"] == torch.__version__
    assert {"commit", "dirty", "device", "command", "threads", "python"} <= set(environment)
    steps = [json.loads(line)["step"] for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["step"] == 4 and {row["n"] for row in summary["scores"]} == {4, 6}
    assert (trained / "size_generalisation.png").read_bytes().startswith(b"\x89PNG")
    assert weights_file(trained).is_file()
    assert not (trained / "wandb").exists(), "logger=none"


def test_training_prints_progress_table_and_places(capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo("train", *TINY, "run_dir=here", "trainer.max_steps=2", "control.steps=2", "control.max_steps=2") == 0
    printed = capsys.readouterr().out
    assert "step 2/2  loss " in printed and "score " in printed
    for told in ("n=4", "n=6", "only 2 steps (control)", "figure      here/size_generalisation.png"):
        assert told in printed
    assert "checkpoint  here/checkpoints/best.safetensors" in printed and "local logs  here" in printed
    summary = json.loads(Path("here/summary.json").read_text())
    assert summary["control"]["steps"] == 2 and len(summary["control"]["scores"]) == len(summary["scores"])


def test_eval_finds_a_run_by_folder_name_and_latest(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = []
    for name in (str(trained), "done", "latest"):
        assert zoo("eval", name, "--runs-dir", str(trained.parent), "--sizes", "4", "5", "--samples", "3") == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1].replace("done", str(trained)) or "n=5" in tables[0]
    assert all("n=5" in table and "clrs" in table for table in tables)
    assert "did you mean done?" in mistake(capsys, "eval", "dome", "--runs-dir", str(trained.parent))
    assert "0 is below" in mistake(capsys, "eval", str(trained), "--sizes", "0")
    assert "'gird'" in mistake(capsys, "eval", str(trained), "--distributions", "gird")


def test_a_multirun_that_was_stopped_tells_how_all_of_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    code = zoo("train", "-m", *TINY, "seed=0,1", "trainer.time_limit=1e-9")
    (place,) = Path("runs").glob("*-multirun")
    assert code == 124 and f"go on from there: zoo train resume={place}\n" in capsys.readouterr().err


def test_runs_of_baselines_are_found_as_others_are(tmp_path: Path) -> None:
    place = tmp_path / "baselines" / "ntm.graves2014-copy" / "ntm-s0"
    place.mkdir(parents=True)
    (place / runs.CONFIG).write_text("{}", encoding="utf-8")
    assert runs.find("latest", tmp_path) == runs.find("ntm-s0", tmp_path) == place


def test_places_that_cannot_be_written_are_told_in_two_lines(
    trained: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    below = str(tmp_path / "file" / "folder")
    for words in (
        ["compare", str(trained), "--no-wandb", "--output", below],
        ["inspect", str(trained), "--no-wandb", "--output", below],
        ["train", "-m", "seed=0,1", *TINY, f"runs_dir={below}"],
    ):
        assert str(tmp_path / "file") in mistake(capsys, *words)


def test_ctrl_c_ends_without_a_traceback(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trainers.command.evaluate", stop)
    assert zoo("eval", str(trained)) == 130
    assert capsys.readouterr().err == "zoo: stopped\n"


def test_eval_repeats_the_scores_of_training(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo("eval", str(trained)) == 0
    printed = capsys.readouterr().out
    first = json.loads((trained / "summary.json").read_text())["scores"][0]
    row = next(line for line in printed.splitlines() if " score " in line)
    assert f"{first['score']:.3f}" in row


def test_truncated_checkpoint_and_other_spec_are_two_lines(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    copy = Path("copy")
    shutil.copytree(trained, copy)
    weights = weights_file(copy)
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert str(weights) in mistake(capsys, "eval", "copy")
    assert str(weights) in mistake(capsys, "train", *TINY, "processor.weights=copy", "run_dir=other")
    weights.write_bytes(whole)
    config = yaml.safe_load((copy / "config.yaml").read_text())
    config["task"]["name"] = "bellman_ford"
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    assert "bfs" in mistake(capsys, "eval", "copy")
    (copy / "config.yaml").write_text("processor: [")
    assert "config.yaml" in mistake(capsys, "eval", "copy")
    state = next((copy / "checkpoints").glob("step-*")) / "state.pt"
    shutil.copy(trained / "config.yaml", copy / "config.yaml")
    state.write_bytes(b"")
    assert "state.pt" in mistake(capsys, "train", "resume=copy", "trainer.max_steps=6")


def test_resumed_run_goes_on_in_its_folder() -> None:
    assert zoo("train", *TINY, "run_dir=whole", "trainer.max_steps=6") == 0
    assert zoo("train", *TINY, "run_dir=part", "trainer.max_steps=3") == 0
    assert zoo("train", "resume=part", "trainer.max_steps=6") == 0
    losses = {
        name: [json.loads(line)["train/loss"] for line in Path(name, "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "part")
    }
    assert len(losses["part"]) == 6 and losses["part"] == losses["whole"]
    assert len(json.loads(Path("part/environment.json").read_text())["resumed"]) == 1
    assert zoo("train", "--resume", "part", "task=copy") == 2


def test_interruption_exits_with_its_code_and_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo("train", *TINY, "run_dir=cut", "trainer.max_steps=100000", "trainer.time_limit=0.2") == 124
    printed = capsys.readouterr().err
    assert "zoo train resume=cut" in printed and "time_limit" in printed and len(printed.splitlines()) == 2


def test_frozen_processor_stays_as_loaded_while_the_task_is_learned(trained: Path) -> None:
    from safetensors.torch import load_file

    words = [*TINY, "task=bellman_ford", f"processor.weights={trained}", "processor.frozen=true", "trainer.lr=0.02"]
    assert zoo("train", *words, "trainer.max_steps=40", "trainer.val_every=10", "run_dir=moved") == 0
    before, after = load_file(weights_file(trained)), load_file(weights_file(Path("moved")))
    carried = [name for name in before if name.startswith("processor.")]
    assert carried and all(torch.equal(before[name], after[name]) for name in carried)
    losses = [json.loads(line)["train/loss"] for line in Path("moved/metrics.jsonl").read_text().splitlines()]
    assert sum(losses[-5:]) / 5 < 0.7 * losses[0], "encoders and decoders alone learn"


def test_weights_of_another_processor_are_refused(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = mistake(capsys, "train", *TINY, "processor=mpnn", f"processor.weights={trained}")
    assert "deep_sets" in printed and "processor=mpnn" in printed
    printed = mistake(capsys, "train", *TINY, "processor.hidden_size=12", f"processor.weights={trained}")
    assert "do not fit" in printed


def test_own_processor_trains_from_any_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(MINE.replace("{tag}", "a"))
    assert zoo("--load", "mine.py", "list") == 0
    assert "A sum of inputs and hidden, of my own." in capsys.readouterr().out
    assert zoo("--load", "mine.py", "show", "processor", "mine_a") == 0
    assert "scale = 1.0" in capsys.readouterr().out
    words = [*TINY, "processor=mine_a", "processor.scale=0.5", "trainer.max_steps=2", "run_dir=own"]
    assert zoo("--load", "mine.py", "train", *words) == 0
    assert yaml.safe_load(Path("own/config.yaml").read_text())["processor"]["scale"] == 0.5
    assert zoo("--load", "mine.py", "eval", "own", "--sizes", "4") == 0
    assert "scale" in mistake(capsys, "--load", "mine.py", "train", "processor=mine_a", "processor.scal=1")
    Path("broken.py").write_text("x = 1\nraise RuntimeError('mine')\n")
    assert "line 2 of broken.py" in mistake(capsys, "--load", "broken.py", "list")


def test_several_tasks_train_over_one_processor(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*TINY, "task=[bfs,bellman_ford]", "trainer.max_steps=2", "run_dir=both"]
    assert zoo("train", *words) == 0
    printed = capsys.readouterr().out
    assert "bfs clrs" in printed and "bellman_ford clrs" in printed
    assert zoo("eval", "both", "--sizes", "4") == 0


def test_run_names_do_not_collide() -> None:
    from trainers.config import compose

    config = compose([*TINY, "name=twice"])
    assert runs.new_folder(config) == Path("runs/twice")
    Path("runs/twice").mkdir(parents=True)
    assert runs.new_folder(config) == Path("runs/twice-2")


def test_torchrun_prints_and_writes_once(tmp_path: Path) -> None:
    words = [*TINY, "trainer.max_steps=2", "runs_dir=shared"]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=0", "-m", "trainers"]
    command[4:5] = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    done = subprocess.run([*command, "train", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("checkpoint  ") == 1 and done.stdout.count("step 2/2") == 1
    assert len(list(Path("shared").iterdir())) == 1
