"""Questions about the stories of bAbI (Weston et al., 2015), read as Graves et al. (Nature 2016) do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs, class_dtype
from tasks.questions.babi_files import Stories, files, stories, vocabulary
from tasks.registry import near, option, register
from tasks.sequences.sequence_task import POSITIONAL, SequenceTask, inside
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw, Task

Array = NDArray[Any]

SPLITS = ("train", "val", "test")
SCORED = ("all", "one")
MOST_WORDS = 32_767
"""Classes are kept in two signed bytes at most."""


@dataclass(frozen=True)
class BabiConfig:
    """Options of `babi`."""

    path: str = option("", "folder of your own copy with files like qa1_..._train.txt, such as tasks_1-20_v1-2/en-10k")
    split: str = option("train", "train, val or test: what samples are drawn from; scoring takes its own split")
    questions: str = option("all", "all of a story are scored, or one, the last of what is read; scoring takes one")
    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")

    def __post_init__(self) -> None:
        for name, choices in (("split", SPLITS), ("questions", SCORED)):
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(f"babi: {name} has no choice {value!r}; {near(value, choices)}")


@register(
    "babi",
    config=BabiConfig,
    paper="Weston et al., 2015",
    year=2015,
    bibtex="""
@article{weston2015towards,
  title={Towards {AI}-Complete Question Answering: A Set of Prerequisite Toy Tasks},
  author={Weston, Jason and Bordes, Antoine and Chopra, Sumit and Rush, Alexander M. and van Merri{\\"e}nboer, Bart and
    Joulin, Armand and Mikolov, Tomas},
  journal={arXiv preprint arXiv:1502.05698},
  year={2015}
}""",
)
class Babi(SequenceTask):
    """bAbI: read a story word by word, and answer the questions in it.

    A sample is a story of the task whose number is its size, 1 to 20, so that `trainer.sizes=[1,…,20]` is joint
    training and a table of scores has a column a task. Words are in lower case; full stop and question mark are words;
    after a question `-` stands for every word of its answer, and the answer is due there. The story goes on afterwards
    and never tells the answer. From the lines `1 Mary went home.` and `2 Where is Mary?`, tab, `home`:

        node      0     1     2    3    4      5   6     7    8
        words    mary  went  home  .  where   is  mary   ?    -
        answer    -     -     -    -    -     -    -     -   home     (- below is -1: no answer is due)

    Words are numbered as the folder's `vocabulary`, 0 for `-`; en-10k has 159 of them. Training takes the stories of
    qaX_..._train.txt but the last tenth, drawn with replacement, with all of their questions. Scoring takes its own
    split, whatever `split` says: `val` is that last tenth, `test` the stories of qaX_..._test.txt; and one question a
    sample, the story up to it with earlier ones in it, so that the share of exact samples is that of questions with
    every word of the answer right, as in the papers. There sample i + 1 is the question after sample i's: as many
    samples as a task has questions are each of them once.

    Only the folder knows the answers: `execute` looks up what it is given among the samples of this split.
    """

    needs = "path"
    config: BabiConfig

    def __init__(self, config: BabiConfig) -> None:
        super().__init__(config)
        self.words = vocabulary(config.path)
        if len(self.words) > MOST_WORDS:
            raise ValueError(f"babi: at most {MOST_WORDS} words can be told apart, {config.path} has {len(self.words)}")
        self.numbers = tuple(files(config.path))
        classes = len(self.words)
        self.spec = self._with_positions(
            "babi",
            Probe("words", Stage.INPUT, Location.NODE, Type.CATEGORICAL, classes=classes),
            Probe("answer", Stage.OUTPUT, Location.NODE, Type.CATEGORICAL, classes=classes),
        )

    def for_scoring(self, split: str = "test") -> Task:
        return Babi(replace(self.config, split=split, questions="one", random_pos=False))

    def read(self, text: str) -> list[int]:
        """Numbers of words, given with blanks between them; others than the vocabulary's raise `ValueError`."""
        unknown = sorted(set(text.lower().split()) - set(self.words))
        if unknown:
            raise ValueError(f"babi: {self.config.path} has no word {unknown[0]!r}; {near(unknown[0], self.words)}")
        return [self.words.index(word) for word in text.lower().split()]

    def _stories(self, number: int) -> Stories:
        """The stories of a task in this split."""
        return stories(self.config.path, number, self.config.split)

    def _spans(self, found: Stories) -> Array:
        """Begin, end and first scored place of every sample there is, int64 `[samples, 3]`."""
        if self.config.questions == "all":
            begins = found.stories[:-1]
            return np.stack([begins, found.stories[1:], begins], -1)
        return found.questions[:, [0, 2, 1]]

    def _sample(self, draw: Draw, layout: str) -> Batch:
        parts = {number: self._stories(number) for number in np.unique(draw.sizes).tolist()}
        spans = {number: self._spans(part) for number, part in parts.items()}
        counts = np.array([len(spans[number]) for number in draw.sizes.tolist()])
        drawn = self.config.split == "train"
        numbers = draw.index if drawn else np.zeros_like(draw.index)
        chosen = generators.choices(draw.seed, numbers, counts, generators.MEMBER)
        chosen = chosen if drawn else (chosen + draw.index) % counts
        span = np.zeros((len(chosen), 3), np.int64)
        for number, known in spans.items():
            of = draw.sizes == number
            span[of] = known[chosen[of]]
        lengths = span[:, 1] - span[:, 0]
        place = np.arange(lengths.max())
        words = np.zeros((len(chosen), len(place)), class_dtype(len(self.words)))
        answers = np.full_like(words, -1)
        for number, part in parts.items():
            rows = np.flatnonzero(draw.sizes == number)
            at = np.minimum(span[rows, :1] + place, len(part.words) - 1)
            told = place < lengths[rows, None]
            words[rows] = np.where(told, part.words[at], 0)
            answers[rows] = np.where(told & (at >= span[rows, 2:]), part.answers[at], -1)
        return self._whole(words, answers, lengths, self._draw_positions(draw, lengths), draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=POSITIONAL)
        words = given.classes("words", ("batch", "nodes"), len(self.words))
        batch, nodes = words.shape
        lengths = given.sizes(sizes, batch, nodes)
        self._check_sizes(lengths)
        given.empty_padding("words", words, inside(lengths, nodes))
        answers = np.full_like(words, -1)
        wanted = {words[b, : lengths[b]].tobytes(): b for b in range(batch)}
        told = self._look_up(set(wanted), words.dtype)
        for b in range(batch):
            key = words[b, : lengths[b]].tobytes()
            if key not in told:
                text = " ".join(self.words[number] for number in words[b, : lengths[b]][:12])
                raise given.fail("words", f"a story of {self.config.path}, split {self.config.split}", f"{text!r} …")
            answers[b, : lengths[b]] = told[key]
        return self._whole(words, answers, lengths, self._given_positions(given, lengths, nodes), np.arange(batch))

    def _look_up(self, wanted: set[bytes], dtype: Any) -> dict[bytes, Array]:
        """Answers to what is asked for among the samples of this split, by their words."""
        found: dict[bytes, Array] = {}
        for number in self.numbers:
            try:
                part = self._stories(number)
            except ValueError:  # a folder may lack a task's file of this split
                continue
            told = part.words.astype(dtype)
            for begin, end, first in self._spans(part).tolist():
                key = told[begin:end].tobytes()
                if key in wanted and key not in found:
                    due = part.answers[begin:end].copy()
                    due[: first - begin] = -1
                    found[key] = due
        return found

    def _whole(self, words: Array, answers: Array, lengths: Array, pos: Array, index: Array) -> Batch:
        """Gather everything."""
        return self._gather({"words": words}, {"answer": answers}, lengths=lengths, pos=pos, index=index)
