"""Launchers: the same jobs one after another and on a Ray cluster, stopped and gone on with."""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.trainers.test_reproduce import ROW
from trainers import loading
from trainers.launchers import Job, launch
from trainers.reproduce import reproduce
from trainers.usage import UsageError

SWEEP = ["processor=deep_sets", "task=bfs", "seed=0,1,2", "processor.hidden_size=8", "trainer.batch_size=4"]
SWEEP += ["trainer.sizes=[4]", "trainer.distributions=[clrs]", "trainer.eval_distributions=[clrs]", "logger=none"]
SWEEP += ["trainer.eval_sizes=[4]", "trainer.eval_samples=4", "trainer.val_samples=4", "trainer.val_every=200"]
SWEEP += ["trainer.checkpoint_every=50", "trainer.threads=1", "trainer.device=cpu", "control.steps=0"]
SECONDS = 240.0  # until a run of a few steps must have got somewhere, whatever else the machine does


def roots(*numbers: float) -> list[Job]:
    return [Job(name=f"root of {number}", function=math.sqrt, arguments=(number,)) for number in numbers]


def test_jobs_run_in_order_until_one_says_stop() -> None:
    seen = []
    launched = launch(roots(1, 4, 9), on_end=lambda job, value: seen.append((job.name, value)))
    assert seen == [("root of 1", 1.0), ("root of 4", 2.0), ("root of 9", 3.0)]
    assert launched.values == dict(seen) and launched.code == 0
    assert launch(roots(1, 4, 9), on_end=lambda job, value: value < 2).values == dict(seen[:2])


def test_mistakes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="did you mean sequential"):
        launch([], "sequental")
    with pytest.raises(ValueError, match="root of 4"):
        launch(roots(4, 1, 4))
    with pytest.raises(ValueError, match="math domain error"):
        launch(roots(-1))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"not installed; pip install 'algorithm-zoo\[ray\]'"):
        launch(roots(1), "ray")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="torchrun"):
        launch(roots(1), "ray")


def test_a_mistake_travels_from_another_machine_whole() -> None:
    mistake = pickle.loads(pickle.dumps(UsageError("no such thing", "take another")))
    assert (mistake.problem, mistake.remedy) == ("no such thing", "take another")


def test_loaded_files_are_known_to_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.py").write_text("VALUE = 1\n")
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    loading.load(str(tmp_path / "own.py"))
    assert str(tmp_path / "own.py") in loading.loaded()


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a Ray cluster of two machines of a core each, both of them here."""
    pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("OMP_NUM_THREADS", "1")
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        made.add_node(num_cpus=1)
        made.wait_for_nodes()
        yield made.address
        made.shutdown()


@pytest.fixture
def joined(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This test and its processes use the cluster."""
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")


def zoo(*words: str) -> subprocess.Popen[str]:
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "trainers", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process: subprocess.Popen[str], code: int) -> str:
    """What a process printed, once it has ended with a code."""
    printed, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == code, printed
    return printed


def until_checkpoints(place: Path, count: int) -> Path:
    """Wait until that many runs of the one multirun there have a checkpoint."""
    late = time.monotonic() + SECONDS
    while len({path.parent.parent for path in place.glob("*/*/checkpoints/step-*")}) < count:
        assert time.monotonic() < late, "training does not get anywhere"
        time.sleep(0.1)
    [multirun] = place.iterdir()
    return multirun


def results(multirun: Path) -> dict[str, Any]:
    """Weights, and metrics but for the clock, of every run."""
    jobs = yaml.safe_load((multirun / "multirun.yaml").read_text())["jobs"]
    found: dict[str, Any] = {}
    for name in jobs:
        lines = [yaml.safe_load(line) for line in (multirun / name / "metrics.jsonl").read_text().splitlines()]
        rows = [
            {key: each for key, each in row.items() if "_ms" not in key and "per_second" not in key} for row in lines
        ]
        found[name] = (multirun / name / "checkpoints" / "best.safetensors").read_bytes(), rows
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_ray_runs_jobs_and_hands_on_values_and_mistakes(joined: None) -> None:
    import ray

    seen = []
    launched = launch(roots(1, 4, 9), "ray", on_end=lambda job, value: seen.append((job.name, value)))
    assert launched.values == dict(seen) == {"root of 1": 1.0, "root of 4": 2.0, "root of 9": 3.0}
    assert not ray.is_initialized()
    elsewhere = launch([Job(name=str(n), function=os.getcwd) for n in range(2)], "ray").values
    assert set(elsewhere.values()) == {os.getcwd()}
    with pytest.raises(ValueError, match="math domain error"):
        launch(roots(-1, 4), "ray")
    with pytest.raises(UsageError, match="unknown task 'bsf'"):
        from trainers.command import run_job

        launch([Job(name="wrong", function=run_job, arguments=("run", ["task=bsf"]))], "ray")
    began = time.monotonic()
    sleeps = [Job(name=str(n), function=time.sleep, arguments=(0.1 if n == 0 else 10 * SECONDS,)) for n in range(4)]
    assert launch(sleeps, "ray", on_end=lambda job, value: False).values == {"0": None}
    assert time.monotonic() - began < SECONDS, "the others were not told to stop"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_sweep_on_ray_stopped_killed_and_resumed_ends_like_one_after_another(joined: None) -> None:
    steps = "trainer.max_steps=800"
    on_ray = zoo("train", "-m", *SWEEP, steps, "runs_dir=shared", "hydra/launcher=ray")
    multirun = until_checkpoints(Path("shared"), 2)
    on_ray.send_signal(signal.SIGTERM)
    printed = ended(on_ray, 143)
    assert f"zoo train resume={multirun} hydra/launcher=ray" in printed
    assert not list(multirun.glob("*/summary.json")), "stopped at the end of training: more steps are needed"
    before = {path: path.name for path in multirun.glob("*/checkpoints/step-*")}
    assert any(int(name.rpartition("-")[2]) % 50 for name in before.values()), "no state was saved on being stopped"

    killed = zoo("train", f"resume={multirun}", "hydra/launcher=ray")
    late = time.monotonic() + SECONDS
    while set(multirun.glob("*/checkpoints/step-*")) == set(before):
        assert time.monotonic() < late, "resumed training does not get anywhere"
        time.sleep(0.1)
    killed.kill()
    killed.communicate()
    time.sleep(5)  # until the cluster has ended the orphaned jobs

    printed = ended(zoo("train", f"resume={multirun}", "hydra/launcher=ray"), 0)
    assert printed.count(": finished") == 3 and (multirun / "compare.json").exists()
    ended(zoo("train", "-m", *SWEEP, steps, "runs_dir=alone"), 0)
    [alone] = Path("alone").iterdir()
    assert results(multirun) == results(alone)


@pytest.mark.slow
def test_seeds_of_a_row_side_by_side_on_ray_are_recorded_as_one_after_another(joined: None, tmp_path: Path) -> None:
    row = tmp_path / "lstm.somebody2020-copy.yaml"
    row.write_text(yaml.safe_dump(ROW, sort_keys=False), "utf-8")
    scores = {}
    for launcher in ("ray", "sequential"):
        place = tmp_path / launcher
        done = reproduce([str(row)], launcher=launcher, results=place, runs_dir=str(place / "runs"))
        found = {path.name: json.loads(path.read_text("utf-8")) for path in (place / row.stem).glob("*.json")}
        assert done == 0 and len(found) == 4
        scores[launcher] = {name: (entry["state"], entry["scores"]) for name, entry in found.items()}
    assert scores["ray"] == scores["sequential"]
