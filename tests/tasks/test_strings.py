"""String matching against the standard library's search and borders by brute force."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks import legacy
from tasks.batch import Batch
from tests.tasks.samples import assert_same, values

NAMES = ["naive_string_matcher", "kmp_matcher"]
NAIVE, KMP = (tasks.create(name) for name in NAMES)
HAYSTACKS = st.one_of(st.text("ab", min_size=1, max_size=12), st.text("abcd", min_size=1, max_size=12))
NEEDLES = st.one_of(st.text("ab", min_size=1, max_size=5), st.text("abcd", min_size=1, max_size=3))


def given_strings(*pairs: tuple[str, str]) -> dict[str, np.ndarray]:
    """Inputs of several samples with the same number of letters in all."""
    keys = [[ord(letter) - ord("a") for letter in haystack + needle] for haystack, needle in pairs]
    strings = [[0] * len(haystack) + [1] * len(needle) for haystack, needle in pairs]
    return {"key": np.array(keys), "string": np.array(strings)}


def texts(batch: Batch) -> list[tuple[str, str]]:
    """Haystack and needle of every sample."""
    pairs = []
    for key, string, n in zip(batch.inputs["key"], batch.inputs["string"], batch.sizes.tolist(), strict=True):
        letters = "".join(chr(ord("a") + letter) for letter in key[:n].tolist())
        first = n - int(string.sum())
        pairs.append((letters[:first], letters[first:]))
    return pairs


def found(haystack: str, needle: str) -> int:
    """The expected match: the needle's first node if there is none."""
    place = haystack.find(needle)
    return place if place >= 0 else len(haystack)


def border(string: str) -> int:
    """Length of the longest string, other than itself, that a string both begins and ends with."""
    return max(n for n in range(len(string)) if string[:n] == string[len(string) - n :])


def equal_letters(left: Sequence[str], right: Sequence[str]) -> int:
    """How many letters two strings have in common at their beginnings."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))


@settings(max_examples=60, deadline=None)
@given(haystack=HAYSTACKS, needle=NEEDLES, name=st.sampled_from(NAMES))
def test_match_is_where_the_needle_first_occurs(haystack: str, needle: str, name: str) -> None:
    batch = tasks.create(name).execute(given_strings((haystack, needle)))
    assert batch.outputs["match"].tolist() == [found(haystack, needle)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("distribution", ["uniform", "random_needle", "two_letters"])
def test_sampled_needles_occur_and_are_found(name: str, distribution: str) -> None:
    batch = tasks.create(name).sample(size=[2, 3, 4, 11, 20], batch_size=60, distribution=distribution)
    pairs = texts(batch)
    assert all(needle in haystack for haystack, needle in pairs)
    assert batch.outputs["match"].tolist() == [haystack.index(needle) for haystack, needle in pairs]


@settings(max_examples=40, deadline=None)
@given(haystack=HAYSTACKS, needle=NEEDLES)
def test_naive_frames_are_the_comparisons_up_to_the_first_difference(haystack: str, needle: str) -> None:
    batch = NAIVE.execute(given_strings((haystack, needle)))
    first = len(haystack)
    expected = []
    for s in range(first - len(needle) + 1):
        equal = equal_letters(haystack[s:], needle)
        expected += [(s, s + j, first + j) for j in range(min(equal + 1, len(needle)))]
        if equal == len(needle):
            break
    if len(needle) > first:
        expected = [(0, 0, first)]
    frames = list(zip(*(batch.hints[name][:, 0].tolist() for name in ("s", "i", "j")), strict=True))
    assert frames == expected
    assert batch.lengths.item() == len(expected)


@settings(max_examples=40, deadline=None)
@given(haystack=HAYSTACKS, needle=st.text("ab", min_size=1, max_size=7))
def test_kmp_finds_every_border_of_the_needle(haystack: str, needle: str) -> None:
    hints = {name: value[:, 0] for name, value in KMP.execute(given_strings((haystack, needle))).hints.items()}
    first = len(haystack)
    borders = [border(needle[: q + 1]) for q in range(len(needle))]
    for t in range(len(hints["pi"])):
        # A letter points to itself until the last frame that looks for its border.
        late = t + 1 < len(hints["q"]) and not hints["phase"][t + 1] and hints["q"][t + 1] == hints["q"][t]
        done = len(needle) if hints["phase"][t] else 1 if t == 0 else int(hints["q"][t]) - first + (0 if late else 1)
        known = [max(length - 1, 0) for length in borders[:done]] + list(range(done, len(needle)))
        assert hints["pi"][t].tolist() == [*range(first), *(first + q for q in known)]
        reset = [length == 0 for length in borders[:done]] + [False] * (len(needle) - done)
        assert hints["is_reset"][t].tolist() == [False] * first + reset


@settings(max_examples=40, deadline=None)
@given(haystack=HAYSTACKS, needle=NEEDLES)
def test_kmp_reads_each_letter_once_and_remembers_the_longest_match(haystack: str, needle: str) -> None:
    batch = KMP.execute(given_strings((haystack, needle)))
    hints = {name: value[:, 0].tolist() for name, value in batch.hints.items()}
    first, match = len(haystack), batch.outputs["match"].item()
    read: dict[int, int] = {}  # the frame in which each letter is read
    for t in range(hints["phase"].index(True), batch.lengths.item()):
        read.setdefault(hints["i"][t], t)
    assert list(read) == list(range(first if match == first else match + len(needle)))
    for i, t in read.items():
        matched = max(n for n in range(min(i, len(needle)) + 1) if haystack[:i].endswith(needle[:n]))
        assert hints["q_reset"][t] == (matched == 0)
        assert hints["q"][t] == first + max(matched - 1, 0)
        assert hints["s"][t] == max(0, i + 1 - len(needle))
    assert batch.lengths.item() <= 2 * (first + len(needle)), "linear in the letters"
    assert len(set(hints["k"][read[0] :])) == 1


def test_worked_examples_of_the_docstrings() -> None:
    batch = NAIVE.execute(given_strings(("aaba", "ab")))
    assert batch.hints["pred_h"].tolist() == [[[0, 0, 1, 2, 4, 4]]] * 4
    assert {name: batch.hints[name][:, 0].tolist() for name in ("s", "i", "j")} == {
        "s": [0, 0, 1, 1],
        "i": [0, 1, 1, 2],
        "j": [4, 5, 4, 5],
    }
    assert batch.outputs["match"].tolist() == [1]

    batch = KMP.execute(given_strings(("aaab", "aab")))
    hints = {name: value[:, 0] for name, value in batch.hints.items()}
    needle = [[4, 5, 6], [4, 4, 6], [4, 4, 6], *[[4, 4, 4]] * 6]
    assert hints["pi"].tolist() == [[0, 1, 2, 3, *pointers] for pointers in needle]
    reset = [[1, 0, 0]] * 3 + [[1, 0, 1]] * 6
    assert hints["is_reset"].int().tolist() == [[0, 0, 0, 0, *bits] for bits in reset]
    assert hints["phase"].int().tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert hints["k"].tolist() == [4] * 9
    assert hints["k_reset"].int().tolist() == [1, 0, 1, 1, 1, 1, 1, 1, 1]
    assert hints["q"].tolist() == [5, 5, 6, 6, 4, 4, 5, 4, 5]
    assert hints["q_reset"].int().tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 0]
    assert hints["i"].tolist() == [0, 0, 0, 0, 0, 1, 2, 2, 3]
    assert hints["s"].tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert batch.outputs["match"].tolist() == [1]


@pytest.mark.parametrize("name", NAMES)
def test_needles_longer_than_the_haystack_do_not_match(name: str) -> None:
    batch = tasks.create(name).execute(given_strings(("a", "aaa"), ("ab", "ab")))
    assert batch.outputs["match"].tolist() == [1, 0]
    if name == "naive_string_matcher":
        assert batch.lengths.tolist() == [1, 2]
        assert [batch.hints[mark][0, 0].item() for mark in ("s", "i", "j")] == [0, 0, 1]


@pytest.mark.parametrize("name", NAMES)
def test_positions_and_predecessors_begin_anew_at_the_needle(name: str) -> None:
    choice = {"size": [2, 9, 20], "batch_size": 24, "distribution": ["uniform", "random_needle"]}
    plain = tasks.create(name).sample(**choice)
    random = tasks.create(name, random_pos=True).sample(**choice)
    pairs = texts(plain)
    assert len({len(needle) for _, needle in pairs}) > 3
    for b, (haystack, needle) in enumerate(pairs):
        rows = [(0, len(haystack)), (len(haystack), len(haystack) + len(needle))]
        for first, end in rows:
            n = end - first
            torch.testing.assert_close(plain.inputs["pos"][b, first:end], torch.arange(n) / n)
            drawn = random.inputs["pos"][b, first:end]
            assert torch.equal(drawn, drawn.sort().values)
            assert ((drawn > 0) & (drawn <= 1)).all()
            order = [first, *range(first, end - 1)]
            assert plain.hints["pred_h"][0, b, first:end].tolist() == order
        assert not random.inputs["pos"][b, rows[1][1] :].any()
    long = max(range(24), key=lambda b: min(map(len, pairs[b])))
    first, n = len(pairs[long][0]), len(pairs[long][1])
    assert not torch.equal(random.inputs["pos"][long, :n], random.inputs["pos"][long, first : first + n])
    rest = [{k: v for k, v in values(batch).items() if k != "input/pos"} for batch in (plain, random)]
    assert_same(*rest)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_letters_can_be_an_input(name: str) -> None:
    task = tasks.create(name, pred_as_input=True)
    assert [probe.name for probe in task.spec.inputs] == ["pos", "string", "key", "pred"]
    given = given_strings(("abca", "ab"))
    batch = task.execute(given)
    assert batch.inputs["pred"].tolist() == [[0, 0, 1, 2, 4, 4]]
    plain = tasks.create(name).execute(given)
    assert_same(dict(batch.hints), {key: value for key, value in plain.hints.items() if key != "pred_h"})
    with pytest.raises(ValueError, match=r"'pred'.*each node's predecessor in its row"):
        task.execute({**given, "pred": [[0, 0, 1, 2, 3, 4]]})


def test_needles_are_as_long_as_each_distribution_says() -> None:
    for size, length in {2: 1, 4: 1, 9: 1, 10: 2, 64: 12}.items():
        for distribution in ("uniform", "two_letters"):
            sampled = NAIVE.sample(size=size, batch_size=8, distribution=distribution)
            assert sampled.inputs["string"].sum(1).tolist() == [length] * 8
    for size, longest in {2: 1, 3: 1, 6: 2, 15: 7, 16: 7, 20: 8, 40: 8}.items():
        lengths = NAIVE.sample(size=size, batch_size=800, distribution="random_needle").inputs["string"].sum(1)
        counts = torch.bincount(lengths, minlength=longest + 1)
        assert counts[0] == 0
        assert len(counts) == longest + 1
        # Five standard deviations.
        assert (counts[1:] - 800 / longest).abs().max() <= 5 * (800 / longest) ** 0.5


def test_letters_are_uniform_and_needles_are_put_anywhere_but_at_the_end() -> None:
    batch = NAIVE.sample(size=30, batch_size=4000)
    # 6,000 of 24,000 expected for each letter of the needles: five standard deviations.
    assert (torch.bincount(batch.inputs["key"][:, 24:].flatten().int()) - 6000).abs().max() < 5 * 4500**0.5
    # Six letters seldom occur by chance, so nearly all matches are where the needle was put: 18 places.
    counts = torch.bincount(batch.outputs["match"], minlength=18)
    assert len(counts) == 18
    assert (counts - 4000 / 18).abs().max() < 5 * (4000 / 18) ** 0.5
    two = NAIVE.sample(size=30, batch_size=100, distribution="two_letters").inputs["key"]
    assert torch.bincount(two.flatten().int()).tolist() == pytest.approx([1500, 1500], abs=5 * 750**0.5)


@pytest.mark.parametrize("name", NAMES)
def test_legacy_sampler_draws_the_length_of_the_needle_if_asked(name: str) -> None:
    fixed = legacy.draw(name, seed=3, samples=50, size=20)
    assert fixed["string"].sum(1).tolist() == [4] * 50
    assert legacy.draw(name, seed=3, samples=1, size=4)["string"].tolist() == [[False, False, False, True]]
    random = tasks.create(name).execute(legacy.draw(name, seed=3, samples=200, size=20, length_needle=-8))
    assert sorted(set(random.inputs["string"].sum(1).tolist())) == list(range(1, 9))
    assert all(needle in haystack for haystack, needle in texts(random))
    assert int(legacy.draw(name, seed=3, samples=50, size=20, chars=2)["key"].max()) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"string": [[0, 1, 0]]}, r"'string'.*zeros for the haystack, then ones.*got \[0, 1, 0\] in sample 0"),
        ({"string": [[0, 0, 0]]}, r"'string'.*at least one of each, got \[0, 0, 0\]"),
        ({"string": [[1, 1, 1]]}, r"'string'.*at least one of each, got \[1, 1, 1\]"),
        ({"string": [[0, 0, 2]]}, "'string'.*zeros and ones"),
        ({"key": [[0, 4, 1]]}, "'key'.*from 0 to 3"),
        ({"key": [[0, 1]]}, r"'key'.*shape \[1, 3\]"),
        ({"string": [[0]], "key": [[0]]}, "at least 2 nodes"),
    ],
)
def test_wrong_inputs_are_refused_by_name(name: str, change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.create(name).execute({"string": [[0, 0, 1]], "key": [[0, 1, 1]], **change})


@pytest.mark.parametrize("name", NAMES)
def test_strings_may_be_a_quarter_longer_than_the_size_says(name: str) -> None:
    batch = tasks.create(name, longer=True).sample(size=[4, 7, 16], batch_size=24, distribution="ibarz2022")
    assert set(batch.sizes.tolist()) == {5, 8, 20}
    assert {len(needle) for _, needle in texts(batch)} <= set(range(1, 9))
    plain = tasks.create(name).sample(size=20, batch_size=4)
    assert_same(values(plain), values(tasks.create(name, longer=True).sample(size=16, batch_size=4)))
