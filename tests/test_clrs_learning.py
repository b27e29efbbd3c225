"""On the tasks of CLRS it is messages between nodes that let the training loss fall."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clrs_learning import EXCEPTIONS
from trainers.task_sets import members

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in members("clrs30") if name not in EXCEPTIONS])
def test_messages_lower_the_training_loss(name: str) -> None:
    """In a process of its own, where nothing checks the types of every call."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.clrs_learning", name]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def test_exceptions_are_tasks_and_say_why() -> None:
    assert set(EXCEPTIONS) <= set(members("clrs30")) and all(EXCEPTIONS.values())
