"""What needs processes of its own: kills at any moment, and training in two processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run(driver: str, *arguments: object, timeout: float) -> str:
    """The output of a driver; its traceback if it fails."""
    command = [sys.executable, str(HERE / driver), *map(str, arguments)]
    environment = os.environ | {"JAXTYPING_DISABLE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_killed_at_random_moments_and_resumed_a_run_ends_bit_identical(tmp_path: Path) -> None:
    assert run("kill_driver.py", tmp_path, 10, 0, timeout=300).startswith("10 kills")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_fifty_times_and_resumed_a_run_ends_bit_identical(tmp_path: Path, seed: int) -> None:
    assert run("kill_driver.py", tmp_path, 50, seed, timeout=900).startswith("50 kills")


def test_two_processes_train_like_one(tmp_path: Path) -> None:
    """Gradients, metrics, validation, weights; several tasks, unused parameters; stopped in one and resumed in both."""
    assert run("distributed_driver.py", tmp_path, timeout=300).startswith("equal")
