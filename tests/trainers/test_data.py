"""Batches of a step, and their sampling ahead."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest
import torch

import tasks
from tasks.batch import Batch
from trainers.data import Prefetch, Sampler, StepBatches, share, stream_seed
from trainers.losses import Supervised
from trainers.trainer_config import TrainerConfig


def equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(value, other.inputs[name]) for name, value in one.inputs.items()) and torch.equal(
        one.index, other.index
    )


def sampler(rank: int = 0, world: int = 1, seed: int = 0, **options: object) -> Sampler:
    config = TrainerConfig(**({"batch_size": 5, "accumulate": 2, "sizes": (6,)} | options))  # type: ignore[arg-type]
    both = [tasks.create("bfs"), tasks.create("copy")]
    return Sampler(both, config, Supervised(), seed=seed, rank=rank, world=world)


def test_streams_of_splits_and_seeds_never_meet() -> None:
    seeds = {stream_seed(seed, split) for seed in range(500) for split in ("train", "val", "test")}
    assert len(seeds) == 1500
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_parts_of_processes_are_contiguous_and_cover_everything() -> None:
    for world in (1, 2, 3, 7):
        parts = [share(10, rank, world) for rank in range(world)]
        assert parts[0][0] == 0 and parts[-1][1] == 10
        assert all(one[1] == other[0] for one, other in pairwise(parts))


def test_processes_share_out_the_samples_of_one() -> None:
    for step in (0, 3):
        whole, parts = sampler()(step), [sampler(rank, 2)(step) for rank in (0, 1)]
        for k in range(2):
            indices = [index for part in parts for index in part.batches[k].index.tolist()]
            assert indices == whole.batches[k].index.tolist()
        assert {name: sum(part.counts[name] for part in parts) for name in whole.counts} == whole.counts


def test_a_sample_is_used_once() -> None:
    made = sampler()
    indices = [index for step in range(6) for batch in made(step).batches for index in batch.index.tolist()]
    assert sorted(indices) == list(range(60))


def test_a_step_can_be_made_again() -> None:
    first, again, other = sampler()(4), sampler()(4), sampler(seed=1)(4)
    assert all(map(equal, first.batches, again.batches))
    assert not any(map(equal, first.batches, other.batches))


def test_tasks_take_turns_or_are_drawn() -> None:
    assert [sampler().task_of(step) for step in range(4)] == [0, 1, 0, 1]
    drawn = [sampler(task_mix="draw").task_of(step) for step in range(200)]
    assert 70 < sum(drawn) < 130 and drawn != [0, 1] * 100


def test_more_processes_than_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="batch_size=5 leaves one of 6 processes"):
        sampler(0, 6)


@pytest.mark.parametrize(("depth", "threads"), [(0, 1), (1, 1), (3, 2), (8, 4)])
def test_prefetched_items_come_in_order_whatever_the_threads(depth: int, threads: int) -> None:
    def make(number: int) -> int:
        time.sleep(0.002 * (number % 3 == 0))
        return number

    with Prefetch(make, 5, 30, depth=depth, threads=threads) as ahead:
        assert list(ahead) == list(range(5, 30))


def test_prefetching_changes_no_batch() -> None:
    with Prefetch(sampler(), 0, 4, depth=3, threads=2) as ahead:
        made: list[StepBatches] = list(ahead)
    for step, items in enumerate(made):
        assert all(map(equal, items.batches, sampler()(step).batches))
        assert items.counts == sampler()(step).counts


def test_prefetch_holds_no_more_than_its_depth() -> None:
    made: list[int] = []
    with Prefetch(lambda number: made.append(number) or number, 0, 100, depth=3) as ahead:
        for number in ahead:
            time.sleep(0.001)
            assert len(made) <= number + 3
            if number == 5:
                break


def test_an_error_of_the_sampler_is_raised_where_its_item_is_due() -> None:
    def make(number: int) -> int:
        if number == 2:
            raise ValueError("no such sample")
        return number

    seen = []
    with pytest.raises(ValueError, match="no such sample"), Prefetch(make, 0, 9, depth=4) as ahead:
        for number in ahead:
            seen.append(number)
    assert seen == [0, 1]


def test_leaving_early_ends_the_threads() -> None:
    with Prefetch(lambda number: number, 0, 1000, depth=4, threads=2) as ahead:
        next(iter(ahead))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sample")]
