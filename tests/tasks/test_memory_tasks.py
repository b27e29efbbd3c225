"""Priority sort, series copy, key-value recall and bigram flip against plain lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import tasks
from tests.tasks.drawings import check_drawing, drawings

WORDS = {"<s>": 129, "|||": 130, "</s>": 0}


@pytest.mark.parametrize(
    ("name", "number", "options"),
    [
        ("priority_sort", 0, {"bits": 3, "highest": 2}),
        ("series_copy", 0, {"bits": 2}),
        ("series_copy", 1, {"bits": 2, "form": "csordas"}),
        ("key_value_recall", 0, {"bits": 3}),
        ("bigram_flip", 0, {}),
    ],
)
def test_worked_examples_of_the_docstrings(name: str, number: int, options: dict[str, Any]) -> None:
    task = tasks.create(name, **options)
    check_drawing(task, drawings(task)[number], WORDS)


@pytest.mark.parametrize(("bits", "highest"), [(1, 3), (8, 16), (4, 2)])
def test_vectors_of_the_highest_priorities_are_asked_for_in_order(bits: int, highest: int) -> None:
    batch = tasks.create("priority_sort", bits=bits, highest=highest).sample(size=[1, 3, 4, 20], batch_size=12)
    seen = set()
    for b, nodes in enumerate(batch.sizes.tolist()):
        size = int(batch.inputs["delimiter"][b].nonzero())
        seen.add(size)
        words = batch.inputs["bits"][b].reshape(-1, bits).int().tolist()
        priority = batch.inputs["priority"][b].tolist()
        assert all(-1 <= p < 1 for p in priority[:size]) and not any(priority[size:])
        best = sorted(range(size), key=lambda i: -priority[i])[:highest]
        answer = batch.outputs["sorted"][b].reshape(-1, bits).tolist()
        assert answer[size + 1 : nodes] == [words[i] for i in best]
        assert all(row == [-1] * bits for row in answer[: size + 1] + answer[nodes:])
    assert seen == {1, 3, 4, 20}


@given(st.lists(st.sampled_from([-0.5, 0.0, 0.25]), min_size=1, max_size=9), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_of_equal_priorities_the_earlier_vector_comes_first(priority: list[float], highest: int) -> None:
    size, kept = len(priority), min(highest, len(priority))
    nodes = size + 1 + kept
    bits = torch.zeros(1, nodes, 4)
    bits[0, :size] = torch.tensor([[i >> c & 1 for c in range(4)] for i in range(size)]).float()
    row = torch.zeros(1, nodes)
    row[0, :size] = torch.tensor(priority)
    batch = tasks.create("priority_sort", bits=4, highest=highest).execute({"bits": bits, "priority": row})
    best = sorted(range(size), key=lambda i: (-priority[i], i))[:kept]
    assert batch.outputs["sorted"][0, size + 1 :].tolist() == bits[0, best].int().tolist()


def test_priorities_are_uniform() -> None:
    priority = tasks.create("priority_sort").sample(size=20, batch_size=500).inputs["priority"][:, :20]
    # Ten bins of 1,000 expected: five standard deviations.
    counts = torch.histc(priority, 10, -1, 1)
    assert (counts - 1000).abs().max() < 5 * (10_000 * 0.09) ** 0.5


def series(vectors: list[list[list[int]]], form: str) -> tuple[list[Any], list[int], list[Any], list[int]]:
    """Bits, delimiters, answers and ends of a series, by appending."""
    bits: list[Any] = []
    delimiter: list[int] = []
    copied: list[Any] = []
    end: list[int] = []
    blank = [0] * len(vectors[0][0])
    silent = blank if form == "csordas" else [-1] * len(blank)
    for sequence in vectors:
        rows = [(vector, 0, silent, 0) for vector in sequence] + [(blank, 1, silent, 0)]
        rows += [(blank, 0, vector, 0) for vector in sequence]
        rows += [(blank, 0, blank, 1)] if form == "csordas" else []
        for row in rows:
            for kept, value in zip((bits, delimiter, copied, end), row, strict=True):
                kept.append(value)
    return bits, delimiter, copied, end


@pytest.mark.parametrize("form", ["graves", "csordas"])
@pytest.mark.parametrize("bits", [1, 3])
def test_every_sequence_of_a_series_is_copied_before_the_next(form: str, bits: int) -> None:
    task = tasks.create("series_copy", form=form, bits=bits, min_vectors=1, max_vectors=4)
    batch = task.sample(size=[1, 2, 5], batch_size=15)
    counts = set()
    for b, nodes in enumerate(batch.sizes.tolist()):
        words = batch.inputs["bits"][b].reshape(-1, bits).int().tolist()
        vectors, first = [], 0
        for place in batch.inputs["delimiter"][b].nonzero().flatten().tolist():
            vectors.append(words[first:place])
            first = 2 * place + 1 - first + (form == "csordas")
        counts |= {(len(vectors), len(one)) for one in vectors}
        told, delimiter, copied, end = series(vectors, form)
        assert words[:nodes] == told
        assert batch.inputs["delimiter"][b, :nodes].int().tolist() == delimiter
        assert batch.outputs["copied"][b].reshape(-1, bits)[:nodes].tolist() == copied
        assert form == "graves" or batch.outputs["end"][b, :nodes].tolist() == end
    assert {size for size, _ in counts} == {1, 2, 5}
    assert {length for _, length in counts} == {1, 2, 3, 4}


@pytest.mark.parametrize(("bits", "silence"), [(1, True), (3, True), (6, False), (32, True)])
def test_every_key_is_answered_with_its_value(bits: int, silence: bool) -> None:
    sizes = [1, 2] if bits == 1 else [2, 5, 8]
    batch = tasks.create("key_value_recall", bits=bits, silence=silence).sample(size=sizes, batch_size=15)
    seen = set()
    for b, nodes in enumerate(batch.sizes.tolist()):
        size = nodes // 2 - 1
        seen.add(size)
        assert batch.inputs["marker"][b].nonzero().flatten().tolist() == [size, nodes - 1]
        key, value, recalled = (
            [tuple(row) for row in probe[b].reshape(-1, bits).int().tolist()]
            for probe in (batch.inputs["key"], batch.inputs["value"], batch.outputs["recalled"])
        )
        lexicon = dict(zip(key[:size], value[:size], strict=True))
        assert len(lexicon) == size
        assert set(key[size + 1 : nodes - 1]) == set(lexicon)
        silent = [(0 if silence else -1,) * bits]
        assert recalled[:nodes] == silent * (size + 1) + [lexicon[k] for k in key[size + 1 : nodes - 1]] + silent
        assert not any(map(any, [key[size], *key[nodes - 1 :], *value[size:]]))
    assert seen == set(sizes)


def test_keys_are_uniform_and_asked_for_in_random_order() -> None:
    batch = tasks.create("key_value_recall", bits=3).sample(size=4, batch_size=2000)
    number = (batch.inputs["key"].int() * torch.tensor([1, 2, 4])).sum(-1).numpy()
    # 250 expected of each key at each place, and 500 at each place of the query for the first key.
    for place in range(4):
        counts = np.bincount(number[:, place], minlength=8)
        assert np.abs(counts - 250).max() < 5 * (2000 / 8) ** 0.5
    asked = (number[:, 5:9] == number[:, :1]).argmax(1)
    assert np.abs(np.bincount(asked, minlength=4) - 500).max() < 5 * (2000 * 3 / 16) ** 0.5


@pytest.mark.parametrize("symbols", [2, 128])
def test_bigrams_are_flipped_and_the_end_is_marked(symbols: int) -> None:
    batch = tasks.create("bigram_flip", symbols=symbols).sample(size=[1, 2, 5], batch_size=12)
    seen = set()
    for b, nodes in enumerate(batch.sizes.tolist()):
        size = (nodes - 2) // 4
        seen.add(size)
        row = batch.inputs["symbols"][b].tolist()
        told = row[1 : 2 * size + 1]
        assert all(1 <= symbol <= symbols for symbol in told)
        assert row == [symbols + 1, *told, symbols + 2] + [0] * (len(row) - len(told) - 2)
        answer = [symbol for k in range(size) for symbol in (told[2 * k + 1], told[2 * k])]
        flipped = batch.outputs["flipped"][b].tolist()
        assert flipped == [-1] * (2 * size + 1) + answer + [0] + [-1] * (len(row) - nodes)
    assert seen == {1, 2, 5}
    assert batch.outputs["flipped"].dtype == (torch.int16 if symbols == 128 else torch.int8)


def test_symbols_are_drawn_uniformly() -> None:
    symbols = tasks.create("bigram_flip", symbols=5).sample(size=5, batch_size=1000).inputs["symbols"][:, 1:11]
    counts = torch.bincount(symbols.flatten().long(), minlength=6)
    assert counts[0] == 0 and (counts[1:] - 2000).abs().max() < 5 * (10_000 * 0.16) ** 0.5


def row(nodes: int, *marked: int) -> Tensor:
    values = torch.zeros(1, nodes)
    values[0, list(marked)] = 1
    return values


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("priority_sort", {"bits": torch.zeros(1, 4, 8), "priority": row(4)}, "a sample has 3, 5, 7.*got \\[4\\]"),
        ("priority_sort", {"bits": torch.ones(1, 3, 8), "priority": row(3)}, "'bits'.*zeros"),
        ("priority_sort", {"bits": torch.zeros(1, 3, 8), "priority": row(3, 1)}, "'priority'.*zeros"),
        (
            "priority_sort",
            {"bits": torch.zeros(1, 3, 8), "priority": row(3), "delimiter": row(3, 2)},
            "'delimiter'.*behind the vectors",
        ),
        ("series_copy", {"bits": torch.zeros(1, 3, 6), "delimiter": row(3)}, "'delimiter'.*nodes \\[\\] of 3"),
        ("series_copy", {"bits": torch.zeros(1, 3, 6), "delimiter": row(3, 0)}, "'delimiter'.*nodes \\[0\\] of 3"),
        ("series_copy", {"bits": torch.zeros(1, 4, 6), "delimiter": row(4, 1)}, "'delimiter'.*L \\+ 0 blanks"),
        ("series_copy", {"bits": torch.zeros(1, 6, 6), "delimiter": row(6, 1, 2)}, "'delimiter'"),
        ("series_copy", {"bits": torch.ones(1, 3, 6), "delimiter": row(3, 1)}, "'bits'.*delimiters and blanks"),
        ("series_copy", {"bits": torch.zeros(0, 3, 6), "delimiter": torch.zeros(0, 3)}, "no samples"),
        ("key_value_recall", {"key": torch.zeros(1, 5, 6), "value": torch.zeros(1, 5, 6)}, "4, 6, 8.*got \\[5\\]"),
        ("key_value_recall", {"key": torch.ones(1, 4, 6), "value": torch.zeros(1, 4, 6)}, "'key'.*markers"),
        ("key_value_recall", {"key": torch.zeros(1, 4, 6), "value": torch.ones(1, 4, 6)}, "'value'.*behind the pairs"),
        ("key_value_recall", {"key": torch.zeros(1, 6, 6), "value": torch.zeros(1, 6, 6)}, "'key'.*different keys"),
        (
            "key_value_recall",
            {"key": torch.zeros(1, 4, 6), "value": torch.zeros(1, 4, 6), "marker": row(4, 1)},
            "'marker'.*one at the end",
        ),
        ("bigram_flip", {"symbols": torch.zeros(1, 7, dtype=torch.int)}, "6, 10, 14.*got \\[7\\]"),
        ("bigram_flip", {"symbols": torch.tensor([[129, 1, 2, 130, 0, 1]])}, "'symbols'.*start 129, 2 symbols"),
        ("bigram_flip", {"symbols": torch.tensor([[129, 1, 0, 130, 0, 0]])}, "'symbols'.*sample 0"),
    ],
)
def test_wrong_inputs_are_refused_by_name(name: str, inputs: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.create(name).execute(inputs)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("priority_sort", {"bits": 0}, "bits must be at least 1"),
        ("priority_sort", {"highest": 0}, "highest must be at least 1"),
        ("series_copy", {"form": "graes"}, "did you mean graves"),
        ("series_copy", {"min_vectors": 6}, "at most max_vectors, got 6 and 5"),
        ("series_copy", {"bits": 0}, "bits must be at least 1"),
        ("key_value_recall", {"bits": 33}, "bits must be from 1 to 32"),
        ("bigram_flip", {"symbols": 0}, "symbols must be from 1 to 30000"),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.create(name, **options)


def test_more_keys_than_bits_can_tell_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="5 keys need more than 2 bits"):
        tasks.create("key_value_recall", bits=2).sample(size=5)
