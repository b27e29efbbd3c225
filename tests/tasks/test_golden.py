"""Specs and traces equal those of dm-clrs 2.0.3, value for value."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import tasks
from tests.tasks.samples import assert_same, values

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = [
    (name, size) for name in tasks.list_tasks() for size in (4, 8, 16) if (GOLDEN / f"{name}_n{size}.npz").exists()
]


def load(name: str, size: int) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{name}_n{size}.npz") as archive:
        return dict(archive)


def stage(golden: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): value for key, value in golden.items() if key.startswith(prefix)}


def compact(value: np.ndarray, dims: int) -> np.ndarray:
    """A one-hot array as indices, if it has an axis too many; -1 where a row has one, as what is not scored does."""
    return np.where((value < 0).any(-1), -1, value.argmax(-1)) if value.ndim > dims else value


@pytest.mark.parametrize(("name", "size"), CASES)
def test_trace_equals_clrs(name: str, size: int) -> None:
    golden = load(name, size)
    batch = tasks.create(name).execute(stage(golden, "input/"))
    assert batch.lengths.tolist() == golden["lengths"].tolist()
    for probe, want in stage(golden, "input/").items():
        got = batch.inputs[probe].numpy()
        np.testing.assert_allclose(got, compact(want, got.ndim), atol=1e-5, err_msg=probe)
    for probe, want in stage(golden, "output/").items():
        got = batch.outputs[probe].numpy()
        np.testing.assert_array_equal(got, compact(want, got.ndim), err_msg=probe)
    hints = stage(golden, "hint/")
    assert hints.keys() == batch.hints.keys()
    for probe, want in hints.items():
        got = batch.hints[probe].numpy()
        want = compact(want, got.ndim)
        for b, length in enumerate(golden["lengths"]):
            np.testing.assert_allclose(got[:length, b], want[:length, b], atol=1e-5, err_msg=probe)
            assert not got[length:, b].any(), f"{probe} past the end"


@pytest.mark.parametrize(("name", "size"), CASES)
def test_spec_equals_clrs(name: str, size: int) -> None:
    theirs = json.loads(load(name, size)["meta"].tobytes())["spec"]
    spec = tasks.create(name).spec
    ours = {
        p.name: [p.stage, p.location, "should_be_permutation" if p.type == "permutation_pointer" else p.type]
        for p in spec
    }
    assert ours == theirs
    assert [p.name for p in spec if p.positional] == ["pos"]


@pytest.mark.parametrize(("name", "size"), CASES)
def test_clrs_and_compact_layouts_give_the_same_trace(name: str, size: int) -> None:
    task = tasks.create(name)
    batch = task.execute(stage(load(name, size), "input/"))
    exact = {key: torch.from_numpy(value) for key, value in stage(load(name, size), "input/").items()}
    scalar = {probe.name for probe in task.spec.inputs if probe.type == "scalar"}  # float32 could change the trace
    again = task.execute({key: exact[key] if key in scalar else batch.inputs[key] for key in batch.inputs})
    assert_same(values(batch), values(again))


@pytest.mark.parametrize(("name", "size"), CASES)
def test_derivable_inputs_may_be_left_out(name: str, size: int) -> None:
    task = tasks.create(name)
    inputs = stage(load(name, size), "input/")
    needed = {key: value for key, value in inputs.items() if key not in ("pos", "adj")}
    assert_same(values(task.execute(inputs)), values(task.execute(needed)))
