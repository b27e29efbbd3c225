"""`make gpu` goes on where the last call stopped, and says what failed."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import gpu_pieces
from benchmarks.gpu_pieces import State, fingerprint, run_remaining


class Machine:
    """Runs pieces in made-up time: a piece's command is its name, seconds needed and exit status."""

    def __init__(self, pieces: dict[str, tuple[float, int]]) -> None:
        self.commands = {name: [name, str(seconds), str(code)] for name, (seconds, code) in pieces.items()}
        self.state: State = {}
        self.now = 0.0
        self.ran: list[str] = []

    def run(self, command: Sequence[str], limit: float) -> int | None:
        self.ran.append(command[0])
        self.now += min(float(command[1]), limit)
        return int(command[2]) if float(command[1]) <= limit else None

    def call(self, seconds: float) -> list[str]:
        """One `make gpu`: what ran in it."""
        self.ran = []
        start = self.now
        self.left = run_remaining(
            self.commands, self.state, seconds, save=lambda state: None, run=self.run, clock=lambda: self.now
        )
        assert self.now - start <= seconds
        return self.ran


def test_every_piece_passes_once_over_several_calls() -> None:
    machine = Machine({"a": (40, 0), "b": (50, 0), "c": (30, 0), "d": (60, 0)})
    calls = [machine.call(100) for _ in range(3)]
    assert calls == [["a", "b", "c"], ["c", "d"], []]
    assert machine.left == []


def test_stopped_piece_goes_first_and_has_the_whole_call() -> None:
    machine = Machine({"short": (50, 0), "long": (90, 0), "other": (10, 0)})
    assert machine.call(100) == ["short", "long"]
    assert machine.left == ["long", "other"]
    assert machine.call(100) == ["long", "other"]
    assert machine.left == []


def test_failed_piece_runs_again_after_the_others() -> None:
    machine = Machine({"broken": (30, 1), "a": (60, 0), "b": (60, 0)})
    machine.call(100)
    assert machine.state["broken"]["status"] == "failed"
    assert machine.call(100) == ["b", "broken"]
    machine.commands["broken"][2] = "0"
    assert machine.call(100) == ["broken"]
    assert machine.left == []


def test_piece_that_no_call_can_hold_is_a_failure() -> None:
    machine = Machine({"endless": (1e9, 0), "a": (1, 0)})
    machine.call(100)
    assert machine.state["endless"]["status"] == "failed"
    assert [machine.call(100), machine.call(100)] == [["a"], ["endless"]]
    assert machine.left == ["endless"]


def test_state_is_saved_after_each_piece() -> None:
    machine = Machine({"a": (1, 0), "b": (1, 0)})
    saved: list[list[str]] = []
    run_remaining(
        machine.commands, {}, 9, save=lambda state: saved.append(list(state)), run=machine.run, clock=lambda: 0
    )
    assert saved == [["a"], ["a", "b"]]


def test_stopping_a_piece_ends_what_it_started(tmp_path: Path) -> None:
    child = f"import time, pathlib; time.sleep(3); pathlib.Path({str(tmp_path / 'late')!r}).touch()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    assert gpu_pieces._run([sys.executable, "-c", parent], 1.0) is None
    time.sleep(3.5)
    assert not (tmp_path / "late").exists()


def test_exit_status_of_a_piece_is_seen() -> None:
    assert gpu_pieces._run([sys.executable, "-c", "raise SystemExit(3)"], 30.0) == 3


@pytest.mark.parametrize("changed", ["zoo/a.py", "configs/task/b.yaml"])
def test_changed_source_is_a_new_fingerprint(tmp_path: Path, changed: str) -> None:
    for name in ("zoo/a.py", "configs/task/b.yaml", "zoo/notes.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    before = fingerprint(tmp_path)
    (tmp_path / "zoo/notes.md").write_text("2")
    assert fingerprint(tmp_path) == before
    (tmp_path / changed).write_text("2")
    assert fingerprint(tmp_path) != before
