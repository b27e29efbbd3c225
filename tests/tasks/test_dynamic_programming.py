"""Maximum subarrays, matrix chains, common subsequences and search trees, each against all candidates one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tests.tasks.samples import assert_same, values

KADANE, CHAIN = tasks.create("find_maximum_subarray_kadane"), tasks.create("matrix_chain_order")
LCS, BST = tasks.create("lcs_length"), tasks.create("optimal_bst")
KEYS = st.lists(st.integers(-4, 4).map(lambda k: k / 4), min_size=1, max_size=9)
STRINGS = st.lists(st.integers(0, 2), min_size=1, max_size=6)
FREQUENCIES = st.integers(0, 4).map(lambda k: k / 8)


@settings(max_examples=60, deadline=None)
@given(keys=KEYS)
def test_frame_t_has_the_largest_sums_of_the_first_t_nodes(keys: list[float]) -> None:
    batch = KADANE.execute({"key": [keys]})
    assert batch.lengths.tolist() == [len(keys)]
    hints = {name: value[:, 0].tolist() for name, value in batch.hints.items()}
    for t in range(len(keys)):
        sums = {(i, j): sum(keys[i : j + 1]) for j in range(t + 1) for i in range(j + 1)}
        here = {i: total for (i, j), total in sums.items() if j == t}
        assert (hints["j"][t], hints["sum"][t]) == (t, max(here.values()))
        assert hints["i"][t] == min(i for i, total in here.items() if total == max(here.values()))
        best = max(sums.values())
        end, start = min((j, i) for (i, j), total in sums.items() if total == best)
        assert (hints["best_low"][t], hints["best_high"][t], hints["best_sum"][t]) == (start, end, best)
    assert (batch.outputs["start"].item(), batch.outputs["end"].item()) == (start, end)


@settings(max_examples=40, deadline=None)
@given(keys=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=12))
def test_no_run_of_nodes_has_a_larger_sum_than_the_output(keys: list[float]) -> None:
    batch = KADANE.execute({"key": [keys]})
    start, end = batch.outputs["start"].item(), batch.outputs["end"].item()
    ends = np.cumsum([0.0, *keys])
    runs = ends[None, :] - ends[:, None]
    assert start <= end
    assert ends[end + 1] - ends[start] == pytest.approx(runs[np.triu_indices(len(keys) + 1, 1)].max(), abs=1e-9)


def products(rows: Sequence[float], i: int, j: int) -> Iterator[tuple[float, int, int]]:
    """Cost, depth and topmost split of every way to multiply the matrices i to j."""
    if i == j:
        yield 0.0, 0, 0
    for k in range(i, j):
        for left, left_depth, _ in products(rows, i, k):
            for right, right_depth, _ in products(rows, k + 1, j):
                cost = left + right + rows[i - 1] * rows[k] * rows[j]
                yield cost, 1 + max(left_depth, right_depth), k


def cost_of(splits: list[list[int]], rows: Sequence[float], i: int, j: int) -> float:
    """What multiplying the matrices i to j costs if they are split as told."""
    if i == j:
        return 0.0
    k = splits[i][j]
    assert i <= k < j
    return cost_of(splits, rows, i, k) + cost_of(splits, rows, k + 1, j) + rows[i - 1] * rows[k] * rows[j]


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.integers(0, 4), min_size=2, max_size=6))
def test_frame_t_has_the_cheapest_products_of_depth_t_at_most(rows: list[int]) -> None:
    n = len(rows)
    batch = CHAIN.execute({"p": [rows]})
    frames = []
    for t in range(n + 1):
        costs, known = np.zeros((n, n)), np.zeros((n, n), bool)
        for i in range(1, n):
            for j in range(i, n):
                some = [cost for cost, depth, _ in products(rows, i, j) if depth <= t]
                costs[i, j], known[i, j] = min(some, default=0.0), bool(some)
        frames.append((costs, known))
    length = next(t for t in range(n) if all(map(np.array_equal, frames[t], frames[t + 1]))) + 1
    assert batch.lengths.tolist() == [length]
    for t in range(length):
        np.testing.assert_array_equal(batch.hints["m"][t, 0].numpy(), frames[t][0])
        np.testing.assert_array_equal(batch.hints["msk"][t, 0].numpy(), frames[t][1])
    splits = batch.outputs["s"][0].tolist()
    for i in range(1, n):
        for j in range(i, n):
            assert cost_of(splits, rows, i, j) == frames[-1][0][i, j]
    assert torch.equal(batch.hints["s_h"][-1], batch.outputs["s"])
    assert not batch.outputs["s"][0].tril().any()


def test_a_chain_that_costs_nothing_is_split_throughout() -> None:
    batch = CHAIN.execute({"p": [[0, 1, 0, 1, 0]]})
    assert batch.hints["msk"][-1, 0].sum() == 10
    assert (batch.outputs["s"][0][1:, 1:].triu(1) > 0).sum() == 6


def common(x: Sequence[int], y: Sequence[int]) -> int:
    """Length of the longest of all subsequences of one string that are also some of the other."""
    shared = (
        length
        for length in range(min(len(x), len(y)), 0, -1)
        if set(combinations(x, length)) & set(combinations(y, length))
    )
    return next(shared, 0)


def two_strings(x: Sequence[int], y: Sequence[int]) -> dict[str, object]:
    return {"string": [[0] * len(x) + [1] * len(y)], "key": [[*x, *y]]}


@settings(max_examples=40, deadline=None)
@given(x=STRINGS, y=STRINGS)
def test_common_subsequences_of_all_prefixes(x: list[int], y: list[int]) -> None:
    n, m = len(x), len(y)
    batch = LCS.execute(two_strings(x, y))
    longest = np.array([[common(x[: i + 1], y[: j + 1]) for j in range(m)] for i in range(n)])
    ways = np.full((n, m), -1)
    for i in range(n):
        for j in range(m):
            if x[i] == y[j]:
                ways[i, j] = 0
            elif i == 0:
                ways[i, j] = 2 if longest[i, j] else 1
            else:
                ways[i, j] = 1 if j == 0 or longest[i - 1, j] >= longest[i, j - 1] else 2
    entries = np.full((n + m, n + m), -1)
    entries[:n, n:] = ways
    np.testing.assert_array_equal(batch.outputs["b"][0].numpy(), entries)
    last = batch.lengths.item() - 1
    rows, columns = np.indices((n, m))
    for t in range(last + 1):
        lengths = batch.hints["c"][t, 0].numpy()
        assert lengths.sum() == lengths[:n, n:].sum(), "nothing but pairs of a letter of each"
        settled = (rows + columns <= t + 1) | (rows == 0) | (columns == 0)
        np.testing.assert_array_equal(lengths[:n, n:][settled], longest[settled])
        way = batch.hints["b_h"][t, 0].numpy()
        np.testing.assert_array_equal(way < 0, entries < 0)
        assert (np.array_equal(lengths[:n, n:], longest)) == (t == last), "the trace ends when all is settled"


@settings(max_examples=40, deadline=None)
@given(x=STRINGS, y=STRINGS)
def test_following_the_output_back_spells_a_longest_common_subsequence(x: list[int], y: list[int]) -> None:
    ways = LCS.execute(two_strings(x, y)).outputs["b"][0].tolist()
    i, j, pairs = len(x) - 1, len(y) - 1, []
    while i >= 0 and j >= 0:
        way = ways[i][len(x) + j]
        if way == 0:
            assert x[i] == y[j]
            pairs.append((i, j))
        i, j = i - (way < 2), j - (way != 1)
    assert len(pairs) == common(x, y)


def trees(i: int, j: int) -> Iterator[tuple[int, dict[int, int], dict[int, int]]]:
    """Root, and depths of the keys and of the gaps, of every search tree over the keys i to j - 1."""
    if i == j:
        yield 0, {}, {i: 1}
    for root in range(i, j):
        for _, left_keys, left_gaps in trees(i, root):
            for _, right_keys, right_gaps in trees(root + 1, j):
                keys, gaps = (
                    {v: d + 1 for v, d in (a | b).items()}
                    for a, b in [(left_keys, right_keys), (left_gaps, right_gaps)]
                )
                yield root, keys | {root: 1}, gaps


@settings(max_examples=40, deadline=None)
@given(weights=st.lists(st.tuples(FREQUENCIES, FREQUENCIES), max_size=4), end=FREQUENCIES)
def test_every_subtree_is_the_cheapest_of_all_trees(weights: list[tuple[float, float]], end: float) -> None:
    n = len(weights) + 1
    p, q = [*(pair[0] for pair in weights), 0.0], [*(pair[1] for pair in weights), end]
    batch = BST.execute({"p": [p], "q": [q]})
    costs, shares, roots = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n), int)
    for i in range(n):
        for j in range(i, n):
            priced = [
                (sum(p[v] * d for v, d in keys.items()) + sum(q[v] * d for v, d in gaps.items()), root)
                for root, keys, gaps in trees(i, j)
            ]
            costs[i, j], roots[i, j] = min(priced)
            shares[i, j] = sum(p[i:j]) + sum(q[i : j + 1])
    rows, columns = np.indices((n, n))
    assert batch.lengths.tolist() == [n]
    for t in range(n):
        known = (rows <= columns) & (columns <= rows + t)
        np.testing.assert_array_equal(batch.hints["msk"][t, 0].numpy(), known)
        for name, want in {"e": costs, "w": shares, "root_h": roots}.items():
            np.testing.assert_array_equal(batch.hints[name][t, 0].numpy(), np.where(known, want, 0), err_msg=name)
    np.testing.assert_array_equal(batch.outputs["root"][0].numpy(), roots)


def test_frequencies_may_be_large() -> None:
    batch = BST.execute({"p": [[1e12, 3e12, 0]], "q": [[0, 0, 0]]})
    assert batch.outputs["root"][0, 0, 2].item() == 1
    assert batch.hints["e"][-1, 0, 0, 2].item() == pytest.approx(5e12)


def test_worked_examples_of_arrays_and_chains() -> None:
    batch = KADANE.execute({"key": [[0.5, -0.75, 1.0, 0.25]]})
    hints = {name: value[:, 0].tolist() for name, value in batch.hints.items()}
    assert hints["best_low"] == [0, 0, 2, 2]
    assert hints["best_high"] == [0, 0, 2, 3]
    assert hints["best_sum"] == [0.5, 0.5, 1.0, 1.25]
    assert hints["i"] == [0, 0, 2, 2]
    assert hints["j"] == [0, 1, 2, 3]
    assert hints["sum"] == [0.5, -0.25, 1.0, 1.25]
    assert (batch.outputs["start"].item(), batch.outputs["end"].item()) == (2, 3)
    batch = CHAIN.execute({"p": [[2, 1, 3, 2]]})
    above = ([1, 2, 1], [2, 3, 3])
    assert batch.hints["m"][:, 0][:, *above].tolist() == [[0, 0, 0], [6, 6, 0], [6, 6, 10]]
    assert batch.hints["s_h"][:, 0][:, *above].tolist() == [[0, 0, 0], [1, 2, 0], [1, 2, 1]]
    assert batch.hints["msk"][:, 0][:, *above].int().tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert torch.equal(batch.outputs["s"], batch.hints["s_h"][-1])


def test_worked_examples_of_strings_and_trees() -> None:
    batch = LCS.execute(two_strings([0, 1], [0, 2, 1]))
    assert batch.inputs["string"].int().tolist() == [[0, 0, 1, 1, 1]]
    assert batch.hints["pred_h"][:, 0].tolist() == [[0, 0, 2, 2, 3]] * 2
    assert batch.hints["c"][:, 0, :2, 2:].tolist() == [[[1, 1, 1], [1, 0, 0]], [[1, 1, 1], [1, 1, 2]]]
    assert batch.hints["b_h"][:, 0, :2, 2:].tolist() == [[[0, 2, 2], [1, 0, 0]], [[0, 2, 2], [1, 1, 0]]]
    assert batch.outputs["b"][0, :2, 2:].tolist() == [[0, 2, 2], [1, 1, 0]]
    batch = BST.execute({"p": [[0.5, 0.25, 0]], "q": [[0, 0, 0.25]]})
    trees_with_keys = ([0, 1, 0], [1, 2, 2])
    assert batch.hints["e"][:, 0][:, *trees_with_keys].tolist() == [[0, 0, 0], [0.5, 0.75, 0], [0.5, 0.75, 1.75]]
    assert batch.hints["w"][:, 0][:, *trees_with_keys].tolist() == [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 1.0]]
    assert batch.hints["root_h"][:, 0][:, *trees_with_keys].tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert torch.equal(batch.outputs["root"], batch.hints["root_h"][-1])


def test_positions_of_two_strings_begin_anew() -> None:
    choice = {"size": [2, 5, 9], "batch_size": 24, "distribution": LCS.distributions}
    plain, random = LCS.sample(**choice), tasks.create("lcs_length", random_pos=True).sample(**choice)
    for b, n in enumerate(plain.sizes.tolist()):
        second = int(plain.inputs["string"][b].sum())
        even = torch.cat([torch.arange(count) / count for count in (n - second, second)])
        torch.testing.assert_close(plain.inputs["pos"][b, :n], even)
        drawn = random.inputs["pos"][b, :n].split([n - second, second])
        for row, other in zip(drawn, drawn[::-1], strict=True):
            assert torch.equal(row, row.sort().values)
            assert ((row > 0) & (row < 1)).all()
            assert not torch.isin(row, other).any(), "each string has draws of its own"
        before = torch.arange(n) - 1
        before[[0, n - second]] = torch.tensor([0, n - second])
        assert plain.hints["pred_h"][0, b, :n].tolist() == before.tolist()
    parts = [{name: value for name, value in values(batch).items() if name != "input/pos"} for batch in (plain, random)]
    assert_same(*parts)


def test_sampled_strings_are_uniform_and_share_the_size() -> None:
    batch = LCS.sample(size=[7, 8], batch_size=2000)
    assert torch.equal(batch.inputs["string"].sum(1), batch.sizes // 2)
    letters = batch.inputs["key"][:, :7].flatten().long()
    # 14,000 letters: five standard deviations.
    assert (torch.bincount(letters, minlength=4) - 3500).abs().max() < 5 * (14_000 * 3 / 16) ** 0.5
    two = LCS.sample(size=8, batch_size=64, distribution="two_letters").inputs["key"]
    assert set(two.flatten().tolist()) == {0, 1}
    split = LCS.sample(size=8, batch_size=2800, distribution="random_split").inputs["string"].sum(1)
    counts = torch.bincount(split, minlength=8)
    assert counts[0] == 0
    assert (counts[1:] - 400).abs().max() < 5 * (2800 * 6 / 49) ** 0.5


def test_sampled_numbers_are_uniform() -> None:
    signed = KADANE.sample(size=50, batch_size=200).inputs["key"]
    rows = CHAIN.sample(size=50, batch_size=200).inputs["p"]
    for drawn, low in ((signed, -1), (rows, 0)):
        assert ((drawn >= low) & (drawn <= 1)).all()
        # 1,000 expected in each of ten: five standard deviations.
        assert (torch.histc(drawn, bins=10, min=low, max=1) - 1000).abs().max() < 5 * 900**0.5
    few = {"size": 50, "batch_size": 20, "distribution": "few_distinct"}
    assert set(KADANE.sample(**few).inputs["key"].flatten().tolist()) == {-1, -0.5, 0, 0.5}
    assert set(CHAIN.sample(**few).inputs["p"].flatten().tolist()) == {0.25, 0.5, 0.75, 1}


@pytest.mark.parametrize("distribution", BST.distributions)
def test_sampled_probabilities_are_shares_of_equally_distributed_draws(distribution: str) -> None:
    batch = BST.sample(size=7, batch_size=1000, distribution=distribution)
    assert set(batch.sizes.tolist()) == {8}, "one node more than keys"
    p, q = batch.inputs["p"].double(), batch.inputs["q"].double()
    assert not p[:, 7].any()
    torch.testing.assert_close(p.sum(1) + q.sum(1), torch.ones(1000).double(), atol=1e-6, rtol=0)
    for shares in (*p[:, :7].T, *q.T):
        # Shares of fifteen uniform draws vary by less than 1 / 15 / sqrt(3) each.
        assert shares.mean().item() == pytest.approx(1 / 15, abs=5 / 15 / 3**0.5 / 1000**0.5)
    largest = torch.cat([p[:, :7], q], 1).amax(1)
    ties = [(torch.cat([p[b, :7], q[b]]) == largest[b]).sum().item() for b in range(1000)]
    assert (np.mean(ties) > 2) == (distribution == "few_distinct")


@pytest.mark.parametrize(
    ("task", "inputs", "message"),
    [
        (CHAIN, {"p": [[1.0, -2.0]]}, "'p'.*none below 0, got -2"),
        (CHAIN, {"p": [[1.0]]}, "at least 2 nodes"),
        (KADANE, {"key": [[]]}, "at least 1 nodes"),
        (LCS, {"string": [[0, 1, 0]], "key": [[0, 1, 2]]}, "'string'.*zeros and then ones.*got 010 in sample 0"),
        (
            LCS,
            {"string": [[0, 1], [0, 0]], "key": [[0, 1], [0, 1]]},
            "'string'.*at least one of each, got 00 in sample 1",
        ),
        (LCS, {"string": [[1, 1]], "key": [[0, 1]]}, "'string'.*got 11"),
        (LCS, {"string": [[0, 1]], "key": [[0, 4]]}, "'key'.*whole numbers from 0 to 3"),
        (LCS, {"string": [[0, 2]], "key": [[0, 1]]}, "'string'.*zeros and ones"),
        (BST, {"p": [[0.5, 0.0]], "q": [[0.5, -0.5]]}, "'q'.*probabilities, none below 0, got -0.5"),
        (BST, {"p": [[-0.5, 0.0]], "q": [[0.5, 0.5]]}, "'p'.*probabilities, none below 0, got -0.5"),
        (BST, {"p": [[0.5, 0.25]], "q": [[0.5, 0.5]]}, "'p'.*0 at the last node.*got 0.25 in sample 0"),
    ],
)
def test_wrong_inputs_are_refused_by_name(task: tasks.Task, inputs: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task.execute(inputs)


def test_search_trees_of_two_sizes_end_where_their_keys_do() -> None:
    batch = BST.execute({"p": [[0.5, 0, 0], [0.25, 0.25, 0]], "q": [[0.25, 0.25, 0], [0.25, 0.25, 0]]}, sizes=[2, 3])
    assert batch.lengths.tolist() == [2, 3]
    with pytest.raises(ValueError, match=r"'p'.*last node.*in sample 0"):
        BST.execute({"p": [[0.25, 0.25, 0]], "q": [[0.25, 0.25, 0]]}, sizes=[2])
