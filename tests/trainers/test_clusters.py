"""The SLURM templates, run with stand-ins for SLURM's programs and for ours."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

import configs
from trainers.cli import main

ROOT = Path(__file__).resolve().parents[2]
REPRODUCE, TORCHRUN = ROOT / "scripts" / "reproduce.sbatch", ROOT / "scripts" / "torchrun.sbatch"
ROWS = Path(configs.__file__).parent / "baseline"
SECONDS = 60

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")


def stand_in(name: str, *lines: str) -> Path:
    """A program in the present folder that is found first."""
    path = Path("bin") / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["#!/usr/bin/env bash", *lines]) + "\n")
    path.chmod(0o755)
    return path.resolve()


def environment(**more: str) -> dict[str, str]:
    """What a job sees."""
    return {**os.environ, "PATH": f"{Path('bin').resolve()}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", **more}


def reproduce(index: int, zoo: Path) -> subprocess.Popen[str]:
    """One task of the array job."""
    variables = environment(SLURM_ARRAY_TASK_ID=str(index), SLURM_ARRAY_JOB_ID="7", ZOO=str(zoo))
    return subprocess.Popen(["bash", str(REPRODUCE)], env=variables, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("script", [REPRODUCE, TORCHRUN], ids=lambda path: path.name)
def test_shellcheck_is_content(script: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_an_array_measures_every_seed_of_its_arms_once() -> None:
    text = REPRODUCE.read_text()
    last = int(re.search(r"sbatch --array=0-(\d+)", text)[1])  # type: ignore[index]
    zoo = stand_in("zoo", 'echo "$@"')
    words = []
    for index in range(last + 1):
        task = reproduce(index, zoo)
        printed, _ = task.communicate(timeout=SECONDS)
        assert task.returncode == 0
        command, baseline, *options = printed.split()
        assert command == "reproduce" and options[::2] == ["--arm", "--seed", "--device"]
        words.append((baseline, options[1], int(options[3])))
    wanted = []
    for baseline in dict.fromkeys(baseline for baseline, *_ in words):
        row = yaml.safe_load((ROWS / f"{baseline}.yaml").read_text())
        wanted += [(baseline, arm, seed) for arm in row["arms"] for seed in range(row["seeds"])]
    assert words == wanted
    beyond = reproduce(last + 1, zoo)
    beyond.communicate(timeout=SECONDS)
    assert beyond.returncode == 2


def test_the_options_of_the_array_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["reproduce", "--help"])
    told = capsys.readouterr().out
    line = next(line for line in REPRODUCE.read_text().splitlines() if '"$zoo" reproduce' in line)
    assert all(option in told for option in re.findall(r"--[a-z]+", line))


def test_a_stopped_task_saves_its_state_and_queues_itself_again() -> None:
    zoo = stand_in("zoo", "trap 'sleep 0.3; echo saved; exit 143' TERM", "echo started", "while :; do sleep 0.05; done")
    stand_in("scontrol", 'echo "scontrol $*"')
    task = reproduce(0, zoo)
    assert task.stdout is not None and task.stdout.readline() == "started\n"
    task.send_signal(signal.SIGTERM)
    printed, _ = task.communicate(timeout=SECONDS)
    assert printed.splitlines() == ["saved", "scontrol requeue 7_0"] and task.returncode == 0


def test_a_failed_task_is_not_queued_again() -> None:
    stand_in("scontrol", 'echo "scontrol $*"')
    task = reproduce(0, stand_in("zoo", "exit 3"))
    assert task.communicate(timeout=SECONDS)[0] == "" and task.returncode == 3


def torchrun(step: str, status: int) -> subprocess.CompletedProcess[str]:
    """The training job, where training gets to a step and ends with a status."""
    stand_in("scontrol", 'if [ "$1" = show ]; then echo one; echo two; else echo "scontrol $*"; fi')
    stand_in("srun", 'echo "$@"', f"mkdir -p runs/large/checkpoints/{step}", f"exit {status}")
    variables = environment(SLURM_JOB_NODELIST="[one,two]", SLURM_NNODES="2", SLURM_GPUS_ON_NODE="4")
    command = ["bash", str(TORCHRUN), "runs/large", "task=bfs"]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=SECONDS)


def test_a_run_on_several_machines_goes_on_while_it_gains_steps() -> None:
    began = time.monotonic()
    first = torchrun("step-00000100", 1)
    words = first.stdout.splitlines()[0]
    assert "--nnodes=2 --nproc-per-node=4" in words and "--rdzv-endpoint=one:29500" in words
    assert " -m trainers train run_dir=runs/large trainer.time_limit=" in words and words.endswith("task=bfs")
    assert first.stdout.splitlines()[1:] == ["scontrol requeue 7"] and first.returncode == 0
    stuck = torchrun("step-00000100", 1)
    assert "requeue" not in stuck.stdout and stuck.returncode == 1, "no step was gained: it would go on for ever"
    Path("runs/large/summary.json").touch()
    assert torchrun("step-00000200", 1).returncode == 1 and torchrun("step-00000300", 0).returncode == 0
    assert time.monotonic() - began < SECONDS
