"""Dyck languages and counting languages against strings, stacks and regular expressions of Python."""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import tasks
from tests.tasks.drawings import check_drawing, drawings

LETTERS = "abcd"
OPEN, CLOSE = "([{", ")]}"
BRACKETS = "()[]{}"


def followers(word: str, kinds: int) -> list[list[bool]]:
    """Which brackets may come next, found by erasing what is closed."""
    rows = []
    for t in range(1, len(word) + 1):
        prefix, before = word[:t], ""
        while prefix != before:
            before, prefix = prefix, re.sub(r"\(\)|\[\]|\{\}", "", prefix)
        last = CLOSE[OPEN.index(prefix[-1])] if prefix else ""
        rows.append([bracket in OPEN or bracket == last for bracket in BRACKETS[: 2 * kinds]])
    assert prefix == ""
    return rows


@pytest.mark.parametrize("kinds", [1, 2, 3])
def test_words_are_balanced_and_followers_are_those_of_an_erasing_reader(kinds: int) -> None:
    batch = tasks.create("dyck", kinds=kinds).sample(size=[1, 2, 20], batch_size=24)
    assert set(batch.sizes.tolist()) == {2, 4, 40}
    for b, nodes in enumerate(batch.sizes.tolist()):
        word = "".join(BRACKETS[c] for c in batch.inputs["brackets"][b, :nodes].tolist())
        assert batch.outputs["allowed"][b, :nodes].tolist() == followers(word, kinds)


def grown(rng: random.Random, p: float, q: float, most: int) -> str | None:
    """A word straight from the grammar, or None if it gets longer than `most`."""
    waiting, word = ["S"], ""
    while waiting:
        symbol = waiting.pop()
        if symbol != "S":
            word += symbol
            if len(word) > most:
                return None
            continue
        draw = rng.random()
        if draw < p:
            waiting += [")", "S", "("]
        elif draw < p + q:
            waiting += ["S", "S"]
        if len(waiting) > 100:
            return None
    return word


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.25), (0.3, 0.4), (0.4, 0.0)])
def test_words_of_a_length_are_as_frequent_as_the_grammar_has_them(p: float, q: float) -> None:
    rng = random.Random(0)
    words = Counter(word for word in (grown(rng, p, q, 8) for _ in range(40_000)) if word and len(word) == 6)
    batch = tasks.create("dyck", kinds=1, p=p, q=q).sample(size=3, batch_size=4000)
    ours = Counter("".join(BRACKETS[c] for c in row) for row in batch.inputs["brackets"].tolist())
    total = sum(words.values())
    assert total > 300 and ours.keys() == words.keys()
    assert len(words) == (5 if q else 1)
    for word, count in words.items():
        assert ours[word] / 4000 == pytest.approx(count / total, abs=5 * 0.5 * (1 / total + 1 / 4000) ** 0.5)


def test_kinds_are_drawn_uniformly() -> None:
    brackets = tasks.create("dyck", kinds=3).sample(size=10, batch_size=300).inputs["brackets"]
    counts = torch.bincount(brackets.flatten().long(), minlength=6)
    assert counts[::2].tolist() == counts[1::2].tolist()
    assert (counts[::2] - 1000).abs().max() < 5 * (3000 * 2 / 9) ** 0.5


@given(st.text(alphabet="()[]", min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_only_balanced_words_are_accepted(word: str) -> None:
    task, classes = tasks.create("dyck"), [[BRACKETS.index(bracket) for bracket in word]]
    rest, before = word, ""
    while rest != before:
        before, rest = rest, rest.replace("()", "").replace("[]", "")
    if rest:
        with pytest.raises(ValueError, match=r"'brackets'.*balanced.*sample 0"):
            task.execute({"brackets": classes})
    else:
        assert task.execute({"brackets": classes}).outputs["allowed"][0].tolist() == followers(word, 2)


PATTERNS = {
    "anbn": (r"(a+)(b+)", lambda a, b: len(a) == len(b), "b"),
    "anbncn": (r"(a+)(b+)(c+)", lambda a, b, c: len(a) == len(b) == len(c), "b"),
    "anbncndn": (r"(a+)(b+)(c+)(d+)", lambda a, b, c, d: len(a) == len(b) == len(c) == len(d), "b"),
    "anb2n": (r"(a+)(b+)", lambda a, b: 2 * len(a) == len(b), "b"),
    "anbmcnm": (r"(a+)(b+)(c+)", lambda a, b, c: len(a) + len(b) == len(c), "c"),
}


def text(classes: Tensor) -> str:
    return "".join(LETTERS[c] if c >= 0 else "-" for c in classes.tolist())


@pytest.mark.parametrize("language", PATTERNS)
@pytest.mark.parametrize("sequences", [1, 3])
def test_words_are_of_the_language_and_their_letters_follow(language: str, sequences: int) -> None:
    task = tasks.create("counting_language", language=language, sequences=sequences, mixed=sequences > 1)
    pattern, counts_fit, telling = PATTERNS[language]
    batch, scored = (one.sample(size=[2, 3, 7], batch_size=18) for one in (task, task.for_scoring()))
    for b, nodes in enumerate(batch.sizes.tolist()):
        row = text(batch.inputs["letters"][b, :nodes])
        words = re.findall(r"a+[^a]+", row)
        assert "".join(words) == row and len(words) == sequences
        for word in words:
            match = re.fullmatch(pattern, word)
            assert match and counts_fit(*match.groups())
        assert text(batch.outputs["next"][b, :nodes]) == row[1:] + "a"
        known = "".join(nxt if letter >= telling else "-" for letter, nxt in zip(row, row[1:] + "a", strict=True))
        assert text(scored.outputs["next"][b, :nodes]) == known
        assert (batch.outputs["next"][b, nodes:] == -1).all()


def test_sizes_say_how_often_letters_come() -> None:
    for language, letters in {"anbn": 2, "anbncn": 3, "anbncndn": 4, "anb2n": 3, "anbmcnm": 2}.items():
        batch = tasks.create("counting_language", language=language).sample(size=9, batch_size=2)
        assert batch.sizes.tolist() == [9 * letters] * 2


def test_what_shares_a_sum_and_mixed_sizes_are_uniform() -> None:
    batch = tasks.create("counting_language", language="anbmcnm").sample(size=5, batch_size=2000)
    counts = torch.bincount((batch.inputs["letters"] == 1).sum(1), minlength=5)
    assert counts[0] == 0 and (counts[1:] - 500).abs().max() < 5 * (2000 * 3 / 16) ** 0.5
    batch = tasks.create("counting_language", mixed=True).sample(size=5, batch_size=2000)
    counts = torch.bincount(batch.sizes // 2, minlength=6)
    assert not counts[:2].any() and (counts[2:] - 500).abs().max() < 5 * (2000 * 3 / 16) ** 0.5


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("dyck", {}, {}),
        ("counting_language", {}, {"a": 0, "b": 1}),
        ("counting_language", {"all_letters": False}, {"a": 0, "b": 1}),
    ],
)
def test_worked_examples_of_the_docstrings(name: str, options: dict[str, Any], words: dict[str, int]) -> None:
    task = tasks.create(name, **options)
    rows = drawings(task)[0]
    if name == "counting_language":
        rows.pop(-1 if task.config.all_letters else -2)
    check_drawing(task, rows, words)


@pytest.mark.parametrize(
    ("options", "letters"),
    [
        ({}, [0, 0, 1]),
        ({}, [1, 1]),
        ({}, [0, 1, 0]),
        ({"language": "anb2n"}, [0, 0, 1, 1]),
        ({"language": "anbncn"}, [0, 2, 1]),
        ({"language": "anbmcnm"}, [0, 0, 2, 2]),
    ],
)
def test_other_languages_are_refused(options: dict[str, Any], letters: list[int]) -> None:
    with pytest.raises(ValueError, match=f"'letters'.*words of {options.get('language', 'anbn')}.*sample 0"):
        tasks.create("counting_language", **options).execute({"letters": [letters]})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dyck", {"kinds": 0}, "kinds must be from 1 to 63"),
        ("dyck", {"p": 0.0}, "p must be above 0"),
        ("dyck", {"p": 0.7, "q": 0.3}, "p \\+ q below 1, got p=0.7 and q=0.3"),
        ("counting_language", {"language": "anb"}, "did you mean anbn"),
        ("counting_language", {"sequences": 0}, "sequences must be at least 1"),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.create(name, **options)
