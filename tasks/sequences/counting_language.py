"""Languages that ask for counting, aⁿbⁿ and its relatives (Joulin and Mikolov, NeurIPS 2015, section 5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.registry import near, option, register
from tasks.sequences.sequence_task import POSITIONAL, SequenceTask, inside
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw, Task

Array = NDArray[Any]

LANGUAGES = {"anbn": (1, 1), "anbncn": (1, 1, 1), "anbncndn": (1, 1, 1, 1), "anb2n": (1, 2), "anbmcnm": (1, 1, 2)}
"""How often each letter comes, in units of n; in `anbmcnm`, aⁿbᵐcⁿ⁺ᵐ, the first two share what they have together."""
SUM = "anbmcnm"


@dataclass(frozen=True)
class CountingLanguageConfig:
    """Options of `counting_language`."""

    language: str = option("anbn", "anbn, anbncn, anbncndn, anb2n, or anbmcnm, whose last letter comes n + m times")
    sequences: int = option(1, "sequences that a sample has, one after another")
    mixed: bool = option(False, "each sequence draws its own size, from 2 to the sample's; if not, all have that")
    all_letters: bool = option(True, "in training, letters are asked for too that cannot be known; never in scoring")
    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise ValueError(f"counting_language: unknown language {self.language!r}; {near(self.language, LANGUAGES)}")
        if self.sequences < 1:
            raise ValueError(f"counting_language: sequences must be at least 1, got {self.sequences}")


@register(
    "counting_language",
    config=CountingLanguageConfig,
    paper="Joulin and Mikolov, NeurIPS 2015",
    year=2015,
    bibtex="""
@inproceedings{joulin2015inferring,
  title={Inferring Algorithmic Patterns with Stack-Augmented Recurrent Nets},
  author={Joulin, Armand and Mikolov, Tomas},
  booktitle={Advances in Neural Information Processing Systems},
  year={2015}
}""",
)
class CountingLanguage(SequenceTask):
    """Counting languages: predict the next letter of words such as aⁿbⁿ, of which one letter's number tells another's.

    A sample of size n has a word with that n on as many nodes as letters. Behind the last letter the next word is due
    to begin, with an a. Of size 3, aⁿbⁿ, letters being the classes from 0:

        node      0  1  2  3  4  5
        letters   a  a  a  b  b  b
        next      a  a  b  b  b  a      (trained on)
        next      -  -  -  b  b  a      (scored: what can be known. - is -1: no answer is due)

    What can be known is, as in the authors' code, all that follows the first b, in aⁿbᵐcⁿ⁺ᵐ the first c; `all_letters`
    asks for the rest besides, which the paper trains on. A word counts if all that can be known is right, the next
    word's first letter included: `exact`. In aⁿbᵐcⁿ⁺ᵐ the size is n + m, and m is uniform from 1 to n + m - 1.

    The paper's model reads one endless row of words; here each sample begins afresh, with one word, or `sequences` of
    them. Sizes are 2 to 19 in training, at first 2, then one more each epoch; 2 to 59 in testing.
    """

    min_size = 2
    config: CountingLanguageConfig

    def __init__(self, config: CountingLanguageConfig) -> None:
        super().__init__(config)
        self.units = np.array(LANGUAGES[config.language])
        letters = len(self.units)
        self.spec = self._with_positions(
            "counting_language",
            Probe("letters", Stage.INPUT, Location.NODE, Type.CATEGORICAL, classes=letters),
            Probe("next", Stage.OUTPUT, Location.NODE, Type.CATEGORICAL, classes=letters),
        )

    def for_scoring(self, split: str = "test") -> Task:
        """The same task on evenly spaced positions that asks only for what can be known."""
        return type(self)(replace(self.config, random_pos=False, all_letters=False))

    def _sample(self, draw: Draw, layout: str) -> Batch:
        count = self.config.sequences
        size = np.repeat(draw.sizes[:, None], count, axis=1)
        chance = [
            generators.uniforms(draw.seed, draw.index, np.full(len(size), count), count, purpose)
            for purpose in (generators.DATA, generators.SPLIT)
        ]
        if self.config.mixed:
            size = self.min_size + (chance[0] * (size - self.min_size + 1)).astype(np.int64)
        runs = size[:, :, None] * self.units
        if self.config.language == SUM:
            second = 1 + (chance[1] * (size - 1)).astype(np.int64)
            runs = np.stack([size - second, second, size], -1)
        lengths = runs.sum((1, 2))
        pos = self._draw_positions(draw, lengths)
        letters = np.zeros(pos.shape, np.int8)
        row = np.tile(np.arange(len(self.units)), runs.shape[0] * count)
        letters[inside(lengths, pos.shape[1])] = np.repeat(row, runs.ravel())
        return self._batch(letters, lengths, pos, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=POSITIONAL)
        letters = given.classes("letters", ("batch", "nodes"), len(self.units))
        batch, nodes = letters.shape
        lengths = given.sizes(sizes, batch, nodes)
        self._check_sizes(lengths)
        given.empty_padding("letters", letters, inside(lengths, nodes))
        for b, n in enumerate(lengths):
            words = np.split(letters[b, :n], np.flatnonzero(np.diff(letters[b, :n]) < 0) + 1)
            if not all(self._spoken(np.bincount(word, minlength=len(self.units))) for word in words):
                raise given.fail(
                    "letters", f"words of {self.config.language}", f"{letters[b, :n].tolist()} in sample {b}"
                )
        return self._batch(letters, lengths, self._given_positions(given, lengths, nodes), np.arange(batch))

    def _spoken(self, runs: Array) -> bool:
        """Whether a word with so many of each letter, in alphabetical order, is one of the language."""
        if runs.min() == 0:
            return False
        if self.config.language == SUM:
            return bool(runs[0] + runs[1] == runs[2])
        return bool((runs == runs[0] * self.units).all())

    def _batch(self, letters: Array, lengths: Array, pos: Array, index: Array) -> Batch:
        """Shift, and gather everything."""
        nodes = letters.shape[1]
        following = np.zeros_like(letters)
        following[:, :-1] = letters[:, 1:]
        due = inside(lengths, nodes)
        if not self.config.all_letters:
            due &= letters >= (2 if self.config.language == SUM else 1)
        following[~due] = -1
        return self._gather({"letters": letters}, {"next": following}, lengths=lengths, pos=pos, index=index)
