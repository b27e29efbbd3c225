"""The files of bAbI (Weston et al., 2015): stories with questions between their lines, as words."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ANSWER = "-"
"""The word that stands where a word of an answer is due."""
_WORDS = re.compile(r"[^\s.?,]+|[.?]")
_HELD_OUT = 10  # one in so many of the training file's stories are for validation


class Stories(NamedTuple):
    """Stories one after another.

    Attributes:
        words: numbers of words, int16 `[words]`.
        answers: the word that is due at each, int16 `[words]`, -1 where none is.
        stories: where each story begins, and the end of the last, `[stories + 1]`.
        questions: int64 `[questions, 3]`: begin of its story, its first place of an answer, and one past the last.
    """

    words: Array
    answers: Array
    stories: Array
    questions: Array


def files(folder: str) -> dict[int, dict[str, Path]]:
    """The files of each of the tasks in a folder, by task number and then `train` and `test`.

    Raises:
        ValueError: there is no such folder, or none of the files in it.
    """
    if not folder:
        raise ValueError("babi reads your own copy: give path, the folder where qa1_..._train.txt and its like lie")
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise ValueError(f"babi: there is no folder {root}: path is where qa1_..._train.txt and its like lie")
    found: dict[int, dict[str, Path]] = {}
    for path in sorted(root.glob("qa*_*.txt")):
        match = re.fullmatch(r"qa(\d+)_.*?(train|test)\.txt", path.name)
        if match:
            found.setdefault(int(match[1]), {})[match[2]] = path
    if not found:
        raise ValueError(f"babi: {root} holds no files like qa1_single-supporting-fact_train.txt; en-10k has them")
    return dict(sorted(found.items()))


@cache
def vocabulary(folder: str) -> tuple[str, ...]:
    """All words of a folder's files in lower case, behind the mark of answers; full stops and question marks too."""
    words: set[str] = set()
    for one in files(folder).values():
        for path in one.values():
            for line in _read(path).splitlines():
                said, *answer = line.split("\t")[:2]
                words.update(_WORDS.findall(" ".join((said.partition(" ")[2], *answer))))
    return ANSWER, *sorted(words - {ANSWER})


@cache
def stories(folder: str, task: int, split: str) -> Stories:
    """The stories of a task: `train`, `val` (the last tenth of the training file's) or `test`.

    Raises:
        ValueError: there is no such file, it is of another format, or it holds no stories of this split.
    """
    name = "test" if split == "test" else "train"
    known = files(folder)
    path = known.get(task, {}).get(name)
    if path is None:
        has = ", ".join(f"qa{number}" for number, one in known.items() if name in one) or "none"
        raise ValueError(
            f"babi: no qa{task}_..._{name}.txt in {folder}, whose {name} files are {has}; size is the task"
        )
    found = _parse(path, {word: number for number, word in enumerate(vocabulary(folder))})
    count = len(found.stories) - 1
    held_out = count - max(1, count // _HELD_OUT) if count > 1 else count
    first, last = {"train": (0, held_out), "val": (held_out, count), "test": (0, count)}[split]
    if first == last:
        raise ValueError(f"babi: {path} holds {count} stories, too few for a split {split!r}")
    begins = found.stories[first : last + 1]
    asked = found.questions[(found.questions[:, 0] >= begins[0]) & (found.questions[:, 0] < begins[-1])]
    return found._replace(stories=begins, questions=asked)


def _read(path: Path) -> str:
    """A file in lower case."""
    try:
        return path.read_text(encoding="utf-8").lower()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"babi: {path} cannot be read: {error}") from error


def _parse(path: Path, numbers: dict[str, int]) -> Stories:
    """Every story of a file."""
    words: list[int] = []
    answers: list[int] = []
    begins: list[int] = []
    questions: list[tuple[int, int, int]] = []
    for number, line in enumerate(_read(path).splitlines(), 1):
        match = re.fullmatch(r"(\d+) ([^\t]+)(?:\t([^\t]+)(?:\t.*)?)?", line.rstrip())
        if match is None or (not begins and match[1] != "1"):
            expected = "a number, a sentence, and behind a question, after tabs, its answer"
            raise ValueError(f"babi: {path}, line {number}: expected {expected}, got {line[:60]!r}")
        if match[1] == "1":
            begins.append(len(words))
        said = [numbers[word] for word in _WORDS.findall(match[2])]
        words += said
        answers += [-1] * len(said)
        if match[3] is not None:
            due = [numbers[word] for word in _WORDS.findall(match[3])]
            questions.append((begins[-1], len(words), len(words) + len(due)))
            words += [numbers[ANSWER]] * len(due)
            answers += due
    if not questions:
        raise ValueError(f"babi: {path} asks no questions")
    return Stories(
        np.array(words, np.int16),
        np.array(answers, np.int16),
        np.array([*begins, len(words)], np.int64),
        np.array(questions, np.int64),
    )
