"""`make gpu`: the GPU tests and benchmarks in pieces, as many a call as fit its time; the next call goes on.

A piece is one command: a test file, or one benchmark. What passed is kept in `runs/gpu/pieces.json` with a
fingerprint of the source, and is run again only when the source changes. Needs the standard library alone.

    python -m benchmarks.gpu_pieces [--minutes 9] [--list]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("zoo", "tasks", "trainers", "configs", "benchmarks", "tests")
# Left for the interpreter to start and for a killed piece to end.
MARGIN = 10.0

Pieces = Mapping[str, Sequence[str]]
State = dict[str, dict[str, Any]]


def fingerprint(root: Path = ROOT) -> str:
    """A hash of all source that a piece may run: a GPU machine may have no git history to ask."""
    digest = hashlib.sha256()
    for package in SOURCES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in (".py", ".yaml"):
                digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def pieces(root: Path = ROOT) -> dict[str, list[str]]:
    """Every piece's command, tests first.

    Raises:
        RuntimeError: the benchmarks could not be listed.
    """
    python = sys.executable
    tests = [path for path in sorted((root / "tests").rglob("test_*.py")) if "mark.gpu" in path.read_text("utf-8")]
    commands = {
        f"test {path.relative_to(root)}": [python, "-m", "pytest", "-q", "-m", "gpu", str(path.relative_to(root))]
        for path in tests
    }
    listing = subprocess.run(
        [python, "-m", "benchmarks", "--gpu", "--list"], cwd=root, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        raise RuntimeError(f"`python -m benchmarks --gpu --list` failed:\n{listing.stderr}")
    for name in listing.stdout.split():
        commands[f"benchmark {name}"] = [python, "-m", "benchmarks", "--gpu", name]
    return commands


def _run(command: Sequence[str], seconds: float) -> int | None:
    """Exit status of a command, None if it was stopped at the end of its time."""
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started, which would hold the GPU
        process.wait()
        return None


def run_remaining(
    commands: Pieces,
    state: State,
    seconds: float,
    *,
    save: Callable[[State], None],
    run: Callable[[Sequence[str], float], int | None] = _run,
    clock: Callable[[], float] = time.monotonic,
) -> list[str]:
    """Run the pieces that have not passed, as long as there is time.

    A piece stopped for lack of time goes first in the next call; one that had a whole call to itself and
    did not end is recorded as failed. A failed piece runs again, after those never tried.

    Args:
        commands: command of each piece.
        state: what is known of each piece, changed in place: `passed`, `failed` or `stopped`, and its seconds.
        seconds: time for this call.
        save: called with the state after every piece.
        run: runs a command for at most so many seconds; None for one that was stopped.
        clock: seconds, from any origin.

    Returns:
        The pieces that have not passed, in the order in which the next call takes them.
    """
    order = {"stopped": 0, "new": 1, "failed": 2}

    def status(name: str) -> str:
        return state.get(name, {}).get("status", "new")

    def waiting() -> list[str]:
        return sorted((name for name in commands if status(name) != "passed"), key=lambda name: order[status(name)])

    start = clock()
    for position, name in enumerate(waiting()):
        left = seconds - (clock() - start)
        # Known to need longer than is left: the next call has all its time for it.
        if position and (left <= 0 or state.get(name, {}).get("seconds", 0.0) >= left):
            break
        print(f"== {name}", flush=True)
        began = clock()
        code = run(commands[name], left)
        took = clock() - began
        outcome = {0: "passed", None: "stopped" if position else "failed"}.get(code, "failed")
        state[name] = {"status": outcome, "seconds": round(took, 1)}
        save(state)
    return waiting()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is left; 0 when no piece has failed so far, whether or not some are left."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_pieces", description="GPU tests and benchmarks, in pieces"
    )
    parser.add_argument("--minutes", type=float, default=9.0, help="time for this call (default: 9)")
    parser.add_argument("--list", action="store_true", help="print the pieces and where they stand, run nothing")
    options = parser.parse_args(arguments)

    path = ROOT / "runs" / "gpu" / "pieces.json"
    source = fingerprint()
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    state: State = known.get("pieces", {}) if known.get("source") == source else {}

    def save(state: State) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"source": source, "pieces": state}, indent=1), "utf-8")
        temporary.replace(path)

    start = time.monotonic()
    commands = pieces()
    if not options.list:
        seconds = options.minutes * 60 - MARGIN - (time.monotonic() - start)
        run_remaining(commands, state, seconds, save=save)
    print()
    for name in commands:
        piece = state.get(name, {"status": "left"})
        print(f"{piece['status']:8}{piece.get('seconds', ''):>8}  {name}")
    left = sum(state.get(name, {}).get("status") != "passed" for name in commands)
    print("all passed" if not left else f"{left} of {len(commands)} left: run `make gpu` again")
    return int(any(state.get(name, {}).get("status") == "failed" for name in commands))


if __name__ == "__main__":
    raise SystemExit(main())
