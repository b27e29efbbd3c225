"""The benchmark's published sets, made again, and taking samples from a set."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch

import tasks
from tasks import legacy
from tasks.batch import Batch
from tasks.canonical import SPLITS, split_of
from tests.tasks.samples import alone, assert_same, sizes_of, values
from tests.tasks.test_golden import CASES, GOLDEN, compact, load, stage

# Of every value of every probe, as made by dm-clrs 2.0.3 itself from the splits' seeds.
FINGERPRINTS = json.loads((GOLDEN / "canonical.json").read_text("utf-8"))


def fingerprint(batch: Batch) -> str:
    """A short hash of names, dtypes, shapes and values."""
    arrays = {**batch.inputs, **batch.hints, **batch.outputs, "lengths": batch.lengths}
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name].numpy()
        digest.update(name.encode() + str((array.dtype.str, array.shape)).encode() + array.tobytes())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize("name", sorted(legacy.SAMPLERS))
@pytest.mark.parametrize("split", SPLITS)
def test_canonical_sets_are_the_published_ones(name: str, split: str) -> None:
    batch = tasks.create(name).canonical(split)
    assert fingerprint(batch) == FINGERPRINTS[f"{name}/{split}"]
    size = SPLITS[split].size
    nodes = {"segments_intersect": 4, "optimal_bst": size + 1}.get(name, size)
    assert (batch.batch_size, set(batch.sizes.tolist())) == (split_of(split, name).samples, {nodes})


@pytest.mark.parametrize(("name", "size"), CASES)
def test_legacy_sampler_draws_the_inputs_of_the_golden_files(name: str, size: int) -> None:
    golden = load(name, size)
    meta = json.loads(golden["meta"].tobytes())
    arguments = dict(meta["kwargs"])
    length = arguments.pop("length")
    drawn = legacy.draw(name, seed=meta["seed"], samples=len(golden["lengths"]), size=length, **arguments)
    for probe, value in drawn.items():
        np.testing.assert_array_equal(value, compact(stage(golden, "input/")[probe], value.ndim), err_msg=probe)


def test_canonical_positions_are_even_and_pointers_as_configured() -> None:
    even, other = (tasks.create("bfs", pointers=domain, random_pos=domain == "nodes") for domain in ("edges", "nodes"))
    assert_same(values(even.canonical("val")), values(other.canonical("val")))
    assert torch.equal(other.canonical("val").inputs["pos"][0], torch.arange(16) / 16)
    assert other.canonical("val").spec["pi"].domain == "nodes"


def test_errors_name_the_splits_and_what_a_task_lacks() -> None:
    with pytest.raises(ValueError, match="no canonical split 'tests'; did you mean test"):
        tasks.create("bfs").canonical("tests")
    with pytest.raises(ValueError, match=r"copy has no canonical sets: .* choices: .*bellman_ford"):
        tasks.create("copy").canonical("test")


@pytest.mark.parametrize("name", tasks.list_tasks(ready=True))
def test_taken_samples_are_those_of_the_batch_in_the_asked_order(name: str) -> None:
    batch = tasks.create(name).sample(seed=3, batch_size=9, size=sizes_of(name), index=5)
    order = [4, 0, 4, 8]
    taken = batch.take(torch.tensor(order))
    assert taken.index.tolist() == [5 + b for b in order]
    for k, b in enumerate(order):
        assert_same(alone(taken, k), alone(batch, b))
    assert_same(values(taken), values(batch.take(order)))


@pytest.mark.parametrize("name", tasks.list_tasks(ready=True))
def test_what_is_taken_is_no_longer_and_no_larger_than_it_must_be(name: str) -> None:
    task = tasks.create(name)
    batch = task.sample(seed=1, batch_size=24, size=sizes_of(name))
    for b in range(batch.batch_size):
        one = task.sample(seed=1, batch_size=1, size=sizes_of(name), index=b)
        assert_same(values(batch.take([b])), values(one))
        assert batch.take([b]).num_steps == one.num_steps


def test_taking_refuses_what_it_cannot_do() -> None:
    task = tasks.create("bfs")
    with pytest.raises(ValueError, match="layout='dense'"):
        task.sample(size=4, batch_size=2, layout="sparse").take([0])
    batch = task.sample(size=4, batch_size=2)
    for wrong in ([], [2], [-1]):
        with pytest.raises(ValueError, match="from 0 to 1, at least one"):
            batch.take(wrong)
