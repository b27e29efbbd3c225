"""Insertion sort against the standard library's stable sort."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks

SORT = tasks.create("insertion_sort")
KEYS = st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=9)


def predecessors(order: list[int]) -> list[int]:
    """Pointers of a list of nodes, the first to itself."""
    pointers = [0] * len(order)
    for before, node in zip([order[0], *order], order, strict=False):
        pointers[node] = before
    return pointers


@settings(max_examples=80, deadline=None)
@given(keys=KEYS)
def test_frame_t_sorts_the_first_t_nodes_and_ties_keep_their_order(keys: list[float]) -> None:
    batch = SORT.execute({"key": [keys]})
    n = len(keys)
    assert batch.lengths.item() == n
    for t in range(n):
        order = sorted(range(t + 1), key=keys.__getitem__)
        assert batch.hints["pred_h"][t, 0].tolist() == predecessors(order + list(range(t + 1, n)))
        assert batch.hints["j"][t, 0].item() == t
        behind = order[order.index(t) + 1] if order.index(t) < t else t
        assert batch.hints["i"][t, 0].item() == behind
    assert batch.outputs["pred"][0].tolist() == predecessors(sorted(range(n), key=keys.__getitem__))


def test_sampled_keys_are_uniform() -> None:
    keys = SORT.sample(size=50, batch_size=200).inputs["key"]
    assert ((keys >= 0) & (keys <= 1)).all()
    counts = torch.histc(keys, bins=10, min=0, max=1)
    # 1,000 expected each: five standard deviations.
    assert (counts - 1000).abs().max() < 5 * 900**0.5


def test_sizes_mix_in_one_execution() -> None:
    batch = SORT.execute({"key": [[0.5, 0.2, 0.0], [0.3, 0.2, 0.1]]}, sizes=[2, 3])
    assert batch.lengths.tolist() == [2, 3]
    assert batch.outputs["pred"].tolist() == [[1, 1, 0], [1, 2, 2]]
    assert batch.inputs["pos"].tolist() == [[0.0, 0.5, 0.0], pytest.approx([0, 1 / 3, 2 / 3])]


def test_worked_example_of_the_docstring() -> None:
    batch = SORT.execute({"key": [[0.7, 0.2, 0.5]]})
    assert batch.hints["pred_h"][:, 0].tolist() == [[0, 0, 1], [1, 1, 0], [2, 1, 1]]
    assert batch.hints["i"][:, 0].tolist() == [0, 0, 0]
    assert batch.hints["j"][:, 0].tolist() == [0, 1, 2]
    assert batch.outputs["pred"].tolist() == [[2, 1, 1]]


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
        SORT.execute(inputs)
