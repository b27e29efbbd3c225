"""Checkpoints: complete or absent, and refused with the reason where they do not fit."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from trainers import checkpoint
from trainers.checkpoint import BEST, META, STATE, WEIGHTS, Checkpoint, CheckpointError

IDENTITY = {"seed": 0, "processor": {"name": "mpnn", "hidden_size": 8}, "specs": {"bfs": [{"name": "pi"}]}}


def make(step: int = 3, *, size: int = 4, identity: dict[str, Any] | None = None, best: bool = True) -> Checkpoint:
    model = nn.Linear(size, size)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, size)).sum().backward()
    optimizer.step()
    weights = dict(model.state_dict())
    state = {"optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), "run_id": None, "score": 0.5}
    return Checkpoint(step, weights, dict(weights) if best else None, state, identity or IDENTITY)


def assert_same(one: Checkpoint, other: Checkpoint) -> None:
    assert one.step == other.step and one.identity == other.identity
    assert all(torch.equal(value, other.weights[name]) for name, value in one.weights.items())
    moments = [saved.state["optimizer"]["state"][0]["exp_avg"] for saved in (one, other)]
    assert torch.equal(*moments) and torch.equal(one.state["rng"], other.state["rng"])


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    for saved in (make(), make(5, best=False)):
        path = checkpoint.save(tmp_path, saved)
        loaded = checkpoint.load(path, identity=IDENTITY)
        assert_same(saved, loaded)
        assert (loaded.best is None) == (saved.best is None)


def test_the_newest_counts_and_older_ones_go(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path) is None
    for step in (2, 10, 100):
        checkpoint.save(tmp_path, make(step), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000010", "step-00000100"]
    newest = checkpoint.newest(tmp_path)
    assert newest is not None and newest.name == "step-00000100"


def test_what_an_interrupted_writer_left_is_ignored_and_removed(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, make(1))
    for name in (".step-00000002.tmp", ".step-00000000.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / WEIGHTS).write_bytes(b"half")
    newest = checkpoint.newest(tmp_path)
    assert newest is not None and newest.name == "step-00000001"
    checkpoint.save(tmp_path, make(2))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]


@pytest.mark.parametrize("name", [WEIGHTS, BEST, STATE, META])
@pytest.mark.parametrize("at", [0, 1, -1])
def test_the_previous_one_stays_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, at: int
) -> None:
    before = make(1)
    checkpoint.save(tmp_path, before)
    write = checkpoint.write

    def full(path: Path, data: bytes) -> None:
        if path.name != name:
            return write(path, data)
        path.write_bytes(data[:at])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint, "write", full)
    with pytest.raises(CheckpointError, match=r"No space left on device\nthe checkpoint step-00000001 is kept"):
        checkpoint.save(tmp_path, make(2))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert_same(before, checkpoint.load(tmp_path / "step-00000001"))
    monkeypatch.undo()
    checkpoint.save(tmp_path, make(2))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """Writes past the limit fail, as the kernel has it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_the_previous_one_stays_when_the_kernel_refuses_to_write(tmp_path: Path) -> None:
    before = make(1)
    checkpoint.save(tmp_path, before)
    big = make(2, size=200)
    with file_size_limit(50_000), pytest.raises(CheckpointError, match="File too large"):
        checkpoint.save(tmp_path, big)
    assert_same(before, checkpoint.load(tmp_path / "step-00000001"))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


def test_a_file_of_weights_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / BEST
    checkpoint.save_weights(path, {"w": torch.ones(3)}, {"step": 1})
    with file_size_limit(1000), pytest.raises(OSError, match="File too large"):
        checkpoint.save_weights(path, {"w": torch.ones(3000)}, {"step": 2})
    tensors, metadata = checkpoint.read_weights(path)
    assert tensors["w"].tolist() == [1, 1, 1] and metadata == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == [BEST]


@pytest.mark.parametrize("name", [WEIGHTS, BEST, STATE, META])
@pytest.mark.parametrize("damage", ["truncated", "changed", "empty", "missing"])
def test_damaged_files_are_named(tmp_path: Path, name: str, damage: str) -> None:
    path = checkpoint.save(tmp_path, make()) / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        middle = len(data) // 2
        changed = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
        path.write_bytes({"truncated": data[: middle + 1], "changed": changed, "empty": b""}[damage])
    with pytest.raises(CheckpointError) as error:
        checkpoint.load(tmp_path / "step-00000003")
    first, second = str(error.value).split("\n")
    assert str(path) in first and "trainer.resume=false" in second


def test_a_checkpoint_of_another_run_says_what_differs(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, make())
    other = {"seed": 1, "processor": {"name": "mpnn", "hidden_size": 16}, "specs": {"bfs": [{"name": "d"}]}}
    with pytest.raises(CheckpointError) as error:
        checkpoint.load(path, identity=other)
    first, second = str(error.value).split("\n")
    assert str(path) in first
    assert "seed is 0 there, 1 here" in first and "processor.hidden_size is 8 there, 16 here" in first
    assert "another run folder" in second


def test_an_option_that_came_later_has_had_its_default(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, make())
    now = {**IDENTITY, "processor": {**IDENTITY["processor"], "gated": False}, "reasoner": {"steps": 3}}
    defaults = {"processor": {"hidden_size": 64, "gated": False}, "reasoner": {"steps": 3}}
    checkpoint.load(path, identity=now, defaults=defaults)
    with pytest.raises(CheckpointError, match=r"processor\.gated is null there"):
        checkpoint.load(path, identity=now)
    with pytest.raises(CheckpointError, match=r"processor\.gated is false there, true here"):
        checkpoint.load(path, identity={**now, "processor": {**now["processor"], "gated": True}}, defaults=defaults)


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, make())
    meta = json.loads((path / META).read_text()) | {"format": 99}
    (path / META).write_text(json.dumps(meta))
    with pytest.raises(CheckpointError, match="format 99, this version reads 1"):
        checkpoint.load(path)


def test_state_loads_without_unpickling_objects(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, make())
    assert torch.load(path / STATE, weights_only=True)["score"] == 0.5


def test_weights_that_do_not_fit_are_refused_and_parts_can_be_taken(tmp_path: Path) -> None:
    path = tmp_path / BEST
    whole = nn.ModuleDict({"processor": nn.Linear(2, 3), "decoder": nn.Linear(3, 1)})
    checkpoint.save_weights(path, whole.state_dict(), {})
    tensors, _ = checkpoint.read_weights(path)
    part = nn.Linear(2, 3)
    checkpoint.load_weights(part, tensors, path=path, prefix="processor.")
    assert torch.equal(part.weight, whole["processor"].weight)
    with pytest.raises(CheckpointError, match=r"weight is \[3, 2\] there, \[4, 2\] here.*\nbuild the model"):
        checkpoint.load_weights(nn.Linear(2, 4), tensors, path=path, prefix="processor.")
    with pytest.raises(CheckpointError, match=r"it lacks weight; it lacks bias; .* has no place"):
        checkpoint.load_weights(part, tensors, path=path)


def test_tied_weights_are_kept(tmp_path: Path) -> None:
    shared = torch.randn(3)
    path = checkpoint.save(tmp_path, Checkpoint(1, {"a": shared, "b": shared.view(3)}, None, {}, IDENTITY))
    loaded = checkpoint.load(path).weights
    assert torch.equal(loaded["a"], shared) and torch.equal(loaded["b"], shared)
