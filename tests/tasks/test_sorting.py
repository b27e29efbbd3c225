"""Sorts and quickselect against the standard library's sort, and their traces against what the algorithms promise."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks.batch import Batch
from tasks.spec import Type
from tests.tasks.orders import listed, predecessors
from tests.tasks.samples import assert_same, values
from tests.tasks.worked import check_worked_example

INSERTION, BUBBLE, HEAP, QUICK = (
    tasks.create(name) for name in ("insertion_sort", "bubble_sort", "heapsort", "quicksort")
)
SELECT = tasks.create("quickselect")
SORTS = {task.name: task for task in (INSERTION, BUBBLE, HEAP, QUICK)}
KEYS = st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=9)
DISTINCT = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=12, unique=True)


def stable(keys: Sequence[float]) -> list[int]:
    """The nodes in the order of their keys, equal ones in the order given."""
    return sorted(range(len(keys)), key=keys.__getitem__)


def places(batch: Batch, t: int, *hints: str) -> tuple[list[int], list[int]]:
    """The list of nodes in frame t, and the places in it of the nodes that some hints name."""
    order = listed(batch.hints["pred_h"][t, 0].tolist())
    return order, [order.index(int(batch.hints[name][t, 0])) for name in hints]


@pytest.mark.parametrize("name", SORTS)
@settings(max_examples=40, deadline=None)
@given(keys=KEYS | DISTINCT)
def test_sorts_end_with_the_keys_in_order(name: str, keys: list[float]) -> None:
    batch = SORTS[name].execute({"key": [keys]})
    output = batch.outputs["pred"][0].tolist()
    assert [keys[node] for node in listed(output)] == sorted(keys)
    assert batch.hints["pred_h"][-1, 0].tolist() == output
    if len(set(keys)) == len(keys) or name in ("insertion_sort", "bubble_sort"):
        assert output == predecessors(stable(keys))


@pytest.mark.parametrize(("name", "keys"), [("heapsort", [0.0, 0.0]), ("quicksort", [0.5, 0.5, 0.25])])
def test_heapsort_and_quicksort_can_change_the_order_of_equal_keys(name: str, keys: list[float]) -> None:
    assert listed(SORTS[name].execute({"key": [keys]}).outputs["pred"][0].tolist()) != stable(keys)


@pytest.mark.parametrize("name", SORTS)
@pytest.mark.parametrize("keys", [[0.3], [0.5] * 6, [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]])
def test_sorts_take_one_key_equal_keys_and_keys_in_order(name: str, keys: list[float]) -> None:
    batch = SORTS[name].execute({"key": [keys]})
    assert [keys[node] for node in listed(batch.outputs["pred"][0].tolist())] == sorted(keys)
    assert batch.lengths.item() >= 1


@settings(max_examples=40, deadline=None)
@given(keys=KEYS)
def test_insertion_sort_sorts_the_first_t_nodes_by_frame_t(keys: list[float]) -> None:
    batch = INSERTION.execute({"key": [keys]})
    n = len(keys)
    assert batch.lengths.item() == n
    for t in range(n):
        order = stable(keys[: t + 1])
        assert batch.hints["pred_h"][t, 0].tolist() == predecessors(order + list(range(t + 1, n)))
        assert batch.hints["j"][t, 0].item() == t
        behind = order[order.index(t) + 1] if order.index(t) < t else t
        assert batch.hints["i"][t, 0].item() == behind


@settings(max_examples=40, deadline=None)
@given(keys=KEYS)
def test_bubble_sort_settles_one_place_a_pass_by_swaps_of_neighbours(keys: list[float]) -> None:
    batch = BUBBLE.execute({"key": [keys]})
    n = len(keys)
    assert batch.lengths.item() == 1 + n * (n - 1) // 2
    before, marks = places(batch, 0, "i", "j")
    assert (before, marks) == (list(range(n)), [0, 0])
    t = 0
    for i in range(n - 1):
        for j in range(n - 1, i, -1):
            t += 1
            order, marks = places(batch, t, "i", "j")
            assert marks == [i, j]
            assert order == before[: j - 1] + sorted(before[j - 1 : j + 1], key=keys.__getitem__) + before[j + 1 :]
            before = order
        assert before[: i + 1] == stable(keys)[: i + 1]


@settings(max_examples=40, deadline=None)
@given(keys=KEYS | DISTINCT)
def test_heapsort_keeps_a_heap_before_the_largest_keys(keys: list[float]) -> None:
    batch = HEAP.execute({"key": [keys]})
    n, frames = len(keys), batch.lengths.item()
    phases = batch.hints["phase"][:, 0].tolist()
    built = phases.index(1) if 1 in phases else frames
    assert set(phases[:built]) == {0}
    assert phases[built:].count(1) == n - 1
    assert 0 not in phases[built:]
    began = [n]
    for t in range(frames):
        order, (i, j, largest, last) = places(batch, t, "i", "j", "largest", "heap_size")
        size = last + 1
        above = [order[(k - 1) // 2] if 0 < k < size else order[k] for k in range(n)]
        assert batch.hints["parent"][t, 0].tolist() == [above[order.index(node)] for node in range(n)]
        in_order = [keys[node] for node in order]
        assert in_order[size:] == sorted(keys)[size:]
        children = [child for child in (2 * j + 1, 2 * j + 2) if child < size]
        if phases[t] == 1:
            assert (order[largest], i, j) == (0, 0, size)
            assert size == n - phases[: t + 1].count(1)
        elif t > 0:
            assert largest in (j, *children)
            assert all(in_order[j] >= in_order[child] for child in children)
            if largest != j:  # of equal keys the upper one stays up, and the left child goes before the right
                assert all(in_order[j] > in_order[child] for child in children if child <= largest)
            began.append(i)
        if t >= built - 1 and (t + 1 == frames or phases[t + 1] == 1):
            assert all(in_order[(k - 1) // 2] >= in_order[k] for k in range(1, size))
    building = began[1:built]
    assert sorted(set(building), reverse=True) == list(range(n - 1, -1, -1))
    assert building == sorted(building, reverse=True)
    assert sorted(set(began[built:])) == list(range(1, n))


def check_partition(batch: Batch, keys: list[float], first: int, p: int, r: int) -> int:
    """The frames, from `first` on, of parting places p to r; where the pivot ends."""
    middle = p
    for t in range(first, first + r - p + 1):
        order, (at_p, at_r, i, j) = places(batch, t, "p", "r", "i", "j")
        values = [keys[node] for node in order]
        assert (at_p, at_r, j) == (p, r, p + t - first)
        pivot = values[i] if j == r else values[r]
        assert all(value <= pivot for value in values[p:i])
        assert all(value > pivot for value in values[i + (j == r) : j + 1])
        middle = i
    return middle


@settings(max_examples=40, deadline=None)
@given(keys=KEYS | DISTINCT)
def test_quicksort_parts_the_list_the_left_part_and_the_right_part(keys: list[float]) -> None:
    batch = QUICK.execute({"key": [keys]})
    t = 0

    def sort(p: int, r: int) -> None:
        nonlocal t
        middle = check_partition(batch, keys, t, p, r)
        t += r - p + 1
        if p < middle - 1:
            sort(p, middle - 1)
        if middle + 1 < r:
            sort(middle + 1, r)

    sort(0, len(keys) - 1)
    assert t == batch.lengths.item()


@settings(max_examples=40, deadline=None)
@given(keys=KEYS | DISTINCT)
def test_quickselect_parts_only_where_the_median_is(keys: list[float]) -> None:
    batch = SELECT.execute({"key": [keys]})
    n = len(keys)
    assert keys[batch.outputs["median"].item()] == sorted(keys)[n // 2]
    p, r, t, middle = 0, n - 1, 0, -1
    while middle != n // 2:
        middle = check_partition(batch, keys, t, p, r)
        pivot = listed(batch.hints["pred_h"][t + r - p, 0].tolist())[middle]
        for _ in range(p, r + 1):
            _, (i, j) = places(batch, t, "i", "j")
            assert batch.hints["pivot"][t, 0].item() == pivot
            assert batch.hints["target"][t, 0].item() == pytest.approx((n // 2 - p) / n)
            assert batch.hints["i_rank"][t, 0].item() == pytest.approx((i - p if j == r else i) / n)
            t += 1
        p, r = (p, middle - 1) if middle > n // 2 else (middle + 1, r)
    assert t == batch.lengths.item()
    assert pivot == batch.outputs["median"].item()


def test_sampled_keys_are_uniform() -> None:
    keys = INSERTION.sample(size=50, batch_size=200).inputs["key"]
    assert ((keys >= 0) & (keys <= 1)).all()
    counts = torch.histc(keys, bins=10, min=0, max=1)
    # 1,000 expected each: five standard deviations.
    assert (counts - 1000).abs().max() < 5 * 900**0.5


@pytest.mark.parametrize("name", [*SORTS, "quickselect", "minimum"])
def test_other_distributions_rearrange_or_round_the_uniform_keys(name: str) -> None:
    task = tasks.create(name)
    plain, few, up, down = (
        task.sample(seed=4, size=[3, 7, 12], batch_size=9, distribution=kind) for kind in task.distributions
    )
    for b, n in enumerate(plain.sizes.tolist()):
        drawn = plain.inputs["key"][b, :n]
        assert torch.equal(few.inputs["key"][b, :n], (drawn * 4).floor() / 4)
        assert torch.equal(up.inputs["key"][b, :n], drawn.sort().values)
        assert torch.equal(down.inputs["key"][b, :n], drawn.sort(descending=True).values)
    mixed = task.sample(seed=4, size=[3, 7, 12], batch_size=9, distribution=task.distributions).inputs["key"]
    same = torch.stack([(mixed == one.inputs["key"]).all(1) for one in (plain, few, up, down)])
    assert same.any(0).all()
    assert same.any(1).sum() > 1


def test_sizes_mix_in_one_execution() -> None:
    batch = INSERTION.execute({"key": [[0.5, 0.2, 0.0], [0.3, 0.2, 0.1]]}, sizes=[2, 3])
    assert batch.lengths.tolist() == [2, 3]
    assert batch.outputs["pred"].tolist() == [[1, 1, 0], [1, 2, 2]]
    assert batch.inputs["pos"].tolist() == [[0.0, 0.5, 0.0], pytest.approx([0, 1 / 3, 2 / 3])]


@pytest.mark.parametrize("name", [*SORTS, "quickselect"])
def test_worked_example_of_the_docstring(name: str) -> None:
    check_worked_example(tasks.create(name))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"key": [[0.1, 0.2]], "pos": [[0.0, 0.5, 1.0]]}, "'pos'.*shape"),
        ({"key": [0.1, 0.2]}, r"'key'.*\[batch, nodes\]"),
        ({"key": [[], []]}, "at least 1 nodes"),
    ],
)
def test_wrong_inputs_are_refused_by_name(inputs: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        INSERTION.execute(inputs)


@pytest.mark.parametrize("name", SORTS)
def test_the_order_is_one_permutation_or_as_many_pointers(name: str) -> None:
    one, many = tasks.create(name), tasks.create(name, permutation=False)
    assert (one.spec["pred"].type, many.spec["pred"].type) == (Type.PERMUTATION_POINTER, Type.POINTER)
    assert one.spec.hints == many.spec.hints
    given = {"seed": 2, "size": 6, "batch_size": 3}
    assert_same(values(one.sample(**given)), values(many.sample(**given)))
