"""Packed batches: nothing is lost, little is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import tasks
from tasks import bits
from tasks.batch import Batch
from tasks.packing import Packed, pack, unified
from tasks.spec import Location, Probe, Spec, Stage, Type
from tests.tasks.samples import assert_same, sizes_of, values

BENCHMARK = [name for name in tasks.list_tasks() if tasks.describe(name).cls.__module__.startswith("tasks.algorithms")]


def same(ours: Batch, theirs: Batch) -> None:
    """Equal in everything, to the bit."""
    assert_same(values(ours), values(theirs))
    assert {name: value.shape for name, value in values(ours).items()} == {
        name: value.shape for name, value in values(theirs).items()
    }
    for name, value in values(ours).items():
        assert value.is_contiguous() and value.numpy().tobytes() == values(theirs)[name].numpy().tobytes(), name
    for field in ("lengths", "sizes", "index"):
        assert torch.equal(getattr(ours, field), getattr(theirs, field)), field
    assert ours.spec == theirs.spec and (ours.edge_index is None) == (theirs.edge_index is None)
    if ours.edge_index is not None and theirs.edge_index is not None:
        assert ours.edge_index.dtype == theirs.edge_index.dtype
        assert torch.equal(ours.edge_index, theirs.edge_index)


def published_bytes(batch: Batch) -> int:
    """What the benchmark's package keeps: 8 bytes a number, one-hot rows for masks of one and categories."""
    total = 0
    for group in (batch.inputs, batch.hints, batch.outputs):
        for name, value in group.items():
            probe = batch.spec[name]
            hot = {Type.CATEGORICAL: probe.classes, Type.MASK_ONE: int(batch.sizes.max())}
            total += 8 * value.numel() * hot.get(probe.type, 1)
    return total


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(bits.WIDTHS),
    st.lists(st.integers(0, 20), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_folded_numbers_unfold_and_take_no_more_bits_than_told(width: int, counts: list[int], random: Any) -> None:
    limit = 2 ** (width - (width > 8)) - 1
    numbers = torch.tensor([random.choice([0, limit, random.randint(0, limit)]) for _ in range(sum(counts))]).long()
    sections = torch.tensor(counts)
    kept = bits.fold(numbers, sections, width)
    assert kept.nbytes == sum(-(-count * width // 8) for count in counts)
    assert torch.equal(bits.unfold(kept, sections, width, len(numbers)).long(), numbers)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_small_numbers_lie_lowest_bits_first(width: int) -> None:
    numbers = np.arange(64) % 2**width
    kept = bits.fold(torch.from_numpy(numbers), torch.tensor([64]), width).numpy()
    single = (numbers[:, None] >> np.arange(width)) & 1
    np.testing.assert_array_equal(kept, np.packbits(single.ravel(), bitorder="little"))


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("name", tasks.list_tasks(ready=True))
def test_nothing_is_lost(name: str, layout: str) -> None:
    task = tasks.create(name)
    if layout not in task.layouts:
        pytest.skip(f"{name} has no {layout} layout")
    for sizes in ([task.min_size], sizes_of(name)):
        batch = task.sample(seed=2, batch_size=7, size=sizes, index=3, layout=layout, distribution=task.distributions)
        packed = pack(batch)
        same(packed.unpack(), batch)
        assert packed.batch_size == 7


@pytest.mark.parametrize("name", tasks.list_tasks(ready=True))
def test_samples_are_taken_without_unpacking(name: str) -> None:
    batch = tasks.create(name).sample(seed=3, batch_size=9, size=sizes_of(name))
    for order in ([4, 0, 4, 8], [1], list(range(9))):
        same(pack(batch).take(order).unpack(), batch.take(order))
        same(pack(batch).take(torch.tensor(order)).take([0]).unpack(), batch.take(order[:1]))


@pytest.mark.parametrize("name", tasks.list_tasks(ready=True))
def test_packed_batches_can_be_kept_alike(name: str) -> None:
    task = tasks.create(name)
    batches = [task.sample(seed=4, batch_size=count, size=sizes_of(name), index=count) for count in (1, 12)]
    batches += [task.sample(seed=5, batch_size=2, size=size) for size in sizes_of(name)]
    alike = unified([pack(batch) for batch in batches])
    assert all(packed.columns == alike[0].columns for packed in alike)
    for packed, batch in zip(alike, batches, strict=True):
        same(packed.unpack(), batch)


@pytest.mark.parametrize("name", BENCHMARK)
def test_a_batch_takes_at_most_a_third_of_the_benchmarks_memory(name: str) -> None:
    batch = tasks.create(name).sample(size=16, batch_size=32)
    assert 3 * pack(batch).nbytes <= published_bytes(batch)


@pytest.mark.slow
def test_large_batches_of_all_tasks_take_a_ninth_of_the_benchmarks_memory() -> None:
    ours, theirs = 0, 0
    for name in BENCHMARK:
        batch = tasks.create(name).sample(size=64, batch_size=32)
        kept, published = pack(batch).nbytes, published_bytes(batch)
        assert 3 * kept <= published, name
        ours, theirs = ours + kept, theirs + published
    assert 9 * ours <= theirs


def edge_batch(frames: int, change: float, dtype: torch.dtype, low: int) -> Batch:
    """Hints of every edge that change with a probability, in samples of their own lengths and sizes."""
    kind = Type.SCALAR if dtype is torch.float32 else Type.POINTER
    spec = Spec("made", (Probe("h", Stage.HINT, Location.EDGE, kind), Probe("y", Stage.OUTPUT, Location.GRAPH, kind)))
    lengths, sizes = torch.tensor([frames, frames - 2, 1]), torch.tensor([11, 16, 16])
    random = np.random.default_rng(0)
    changes = random.random((frames, 3, 16, 16)) < change
    changes[0] = True
    drawn = random.integers(low, 120, changes.shape)
    latest = np.maximum.accumulate(np.where(changes, np.arange(frames)[:, None, None, None], 0))
    value = torch.from_numpy(np.take_along_axis(drawn, latest, 0)).to(dtype)
    value = value / 7 if dtype is torch.float32 else value
    for b in range(3):
        value[int(lengths[b]) :, b] = 0
        value[:, b, int(sizes[b]) :] = 0
        value[:, b, :, int(sizes[b]) :] = 0
    return Batch(spec, {}, {"h": value}, {"y": value[0, :, 0, 0].clone()}, lengths, sizes, torch.arange(3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32])
@pytest.mark.parametrize("low", [0, -3])
@pytest.mark.parametrize(("change", "kept"), [(0.02, True), (1.0, False), (0.0, True)])
def test_only_changes_are_kept_where_that_is_less(dtype: torch.dtype, low: int, change: float, kept: bool) -> None:
    batch = edge_batch(12, change, dtype, low)
    packed = pack(batch)
    assert packed.columns["hint/h"].changes is kept
    same(packed.unpack(), batch)
    same(packed.take([2, 1]).unpack(), batch.take([2, 1]))
    assert packed.columns["hint/h"].width == (32 if dtype is torch.float32 else 8)
    frames = 12 * 11**2 + 10 * 16**2 + 16**2
    whole = frames * packed.columns["hint/h"].width / 8
    assert packed.nbytes < (0.35 * whole if kept else 1.05 * whole + 300)


def test_floats_keep_their_signs_of_zero_and_units_take_a_bit() -> None:
    spec = Spec("made", (Probe("a", Stage.INPUT, Location.NODE, Type.SCALAR),))
    ones = torch.ones(2, dtype=torch.long)

    def packed(value: Tensor) -> Packed:
        return pack(Batch(spec, {"a": value}, {}, {}, ones, torch.full((2,), 3), torch.arange(2)))

    for value in (torch.tensor([[0.0, -0.0, 1.0]] * 2), torch.tensor([[0.0, 1.0, 1.0]] * 2)):
        assert packed(value).unpack().inputs["a"].numpy().tobytes() == value.numpy().tobytes()
    assert packed(torch.tensor([[0.0, 1.0, 1.0]] * 2)).columns["input/a"].width == 1
    assert packed(torch.tensor([[0.0, -0.0, 1.0]] * 2)).columns["input/a"].width == 32


@pytest.mark.parametrize(("nodes", "width"), [(16, 4), (17, 8), (256, 8), (257, 16), (40_000, 32)])
def test_nodes_take_the_bits_that_their_number_asks_for(nodes: int, width: int) -> None:
    spec = Spec("made", (Probe("p", Stage.OUTPUT, Location.NODE, Type.POINTER),))
    value = torch.arange(nodes, dtype=torch.int32)[None]
    batch = Batch(spec, {}, {}, {"p": value}, torch.ones(1).long(), torch.tensor([nodes]), torch.arange(1))
    assert pack(batch).columns["output/p"].width == width
    same(pack(batch).unpack(), batch)


def test_what_cannot_be_packed_or_taken_is_an_error() -> None:
    task = tasks.create("bfs")
    batch = task.sample(size=[4, 9], batch_size=6)
    wrong = batch.inputs["A"].clone()
    wrong[int(batch.sizes.argmin()), -1, -1] = 1
    with pytest.raises(ValueError, match="A holds values past the end"):
        pack(replace(batch, inputs={**batch.inputs, "A": wrong}))
    with pytest.raises(ValueError, match="from 0 to 5, at least one"):
        pack(batch).take([6])
    with pytest.raises(ValueError, match="layout='dense'"):
        pack(task.sample(size=4, batch_size=2, layout="sparse")).take([0])


def test_moving_moves_one_buffer() -> None:
    batch = tasks.create("bellman_ford").sample(size=[9, 16], batch_size=32)
    packed = pack(batch)
    moved = packed.to("cpu", non_blocking=True)
    assert moved.buffer is packed.buffer and packed.nbytes < batch.nbytes / 3
    same(moved.unpack(), batch)


@pytest.mark.gpu
def test_a_gpu_unpacks_without_being_waited_for() -> None:
    for name in ("bellman_ford", "floyd_warshall", "bridges", "insertion_sort"):
        batch = tasks.create(name).sample(size=[9, 13], batch_size=6)
        packed = pack(batch).pin_memory().to("cuda", non_blocking=True)
        packed.unpack()  # the table of small numbers is made and moved once
        torch.cuda.set_sync_debug_mode("error")
        try:
            unpacked = packed.unpack()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        same(unpacked.to("cpu"), batch)
