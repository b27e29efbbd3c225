"""Questions about a labelled graph that is told fact by fact (Graves et al., Nature 2016, Methods, "Graph tasks")."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.questions import drawing, lessons
from tasks.questions.maps import Map
from tasks.sequences.stream import one_node, stream_batch
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Draw, Task

Array = NDArray[Any]

PARTS = ("from", "edge", "to")
DIGITS = ("hundreds", "tens", "ones")
PLACES = tuple(f"{part}_{digit}" for part in PARTS for digit in DIGITS)
"""The nine digits of a triple of labels."""
PLANNING = 10


class Questions(NamedTuple):
    """A graph and a question about it for each sample.

    Attributes:
        facts: int16 `[batch, facts, 3]`: from, edge and to, in the order in which they are told; -1 past the last.
        counts: of facts, `[batch]`.
        query: int16 `[batch, longest, 3]`, -1 where a label is asked for and past the last.
        asked: length of each query, `[batch]`.
        answer: int16 `[batch, longest, 3]`, -1 past the last.
        told: length of each answer, `[batch]`.
    """

    facts: Array
    counts: Array
    query: Array
    asked: Array
    answer: Array
    told: Array


class GraphQuestion(Task):
    """A question about a labelled graph, read one triple a step by a single node.

    Phases: the description (a fact a step), the query, for some kinds `PLANNING` steps without input, and the answer, a
    triple a step. `phase` marks the first step of every phase after the description, `answering` all steps of the
    answer: with nine digits of ten channels each, the paper's 92. Labels are numbers from 0 to 999 in three digits; -1
    in all three is a blank, whose channels are zero.

    Attributes:
        kind: of question, of those of `drawing`.
        planning: steps between query and answer.
        lessons: the curriculum; a sample's size is the number of its lesson.
        map: what is asked about instead of random graphs, or None.
    """

    kind: ClassVar[int]
    planning: ClassVar[int]
    lessons: ClassVar[tuple[tuple[int, ...], ...]]
    map: Map | None = None

    def _make_spec(self, name: str, *, echo: bool) -> Spec:
        """Digits and phases in, digits out; with `echo` the previous answer is read."""
        node = Location.NODE

        def digits(stage: Stage, before: str) -> list[Probe]:
            return [Probe(before + place, stage, node, Type.CATEGORICAL, classes=10, streamed=True) for place in PLACES]

        previous = [
            Probe(f"previous_{place}", Stage.HINT, node, Type.CATEGORICAL, classes=10, echoes=f"answer_{place}")
            for place in PLACES
        ]
        return Spec(
            name,
            (
                *digits(Stage.INPUT, ""),
                Probe("phase", Stage.INPUT, node, Type.MASK, streamed=True),
                Probe("answering", Stage.INPUT, node, Type.MASK, streamed=True),
                *(previous if echo else []),
                *digits(Stage.OUTPUT, "answer_"),
            ),
            prefix=True,
        )

    @abstractmethod
    def _asked(self, starts: Array, goals: Array, walks: Array, steps: Array) -> tuple[Array, Array]:
        """Queries, int16 `[batch, longest, 3]`, and their lengths, for what `drawing.draw` drew."""

    @abstractmethod
    def _answered(self, facts: Array, counts: Array, query: Array, asked: Array) -> tuple[Array, Array, Array]:
        """Answers, int16 `[batch, longest, 3]`, their lengths, and which samples have one."""

    def _chains(self) -> tuple[Array, Array]:
        """Chains of the relations and their lengths; one of nothing where there are none."""
        return np.zeros((1, 1), np.int64), np.zeros(1, np.int64)

    def _askable(self) -> Array:
        """What the map has an answer to; see `drawing.draw`."""
        return np.zeros((1, 3), np.int64)

    def _sample(self, draw: Draw, layout: str) -> Batch:
        lesson = lessons.table(self.lessons, draw.sizes)
        edges = np.zeros((0, 3), np.int64) if self.map is None else self.map.edges
        nodes, labels = (0, 0) if self.map is None else (len(self.map.nodes), len(self.map.labels))
        most = np.maximum(lesson.max(0), [0, nodes, 0, 0, 0, 0])
        # Coordinates, degree, label, start and name of every node, labels and order of the edges, steps of the path.
        width = 8 + labels + 6 * int(most[1]) + 2 * max(len(edges), int(most[1] * most[3])) + int(most[5])
        tape = generators.uniforms(draw.seed, draw.index, np.full(len(lesson), width), width)
        unique = bool(getattr(self.config, "unique", False))
        facts, counts, *question = drawing.draw(
            tape, lesson, self.kind, unique, edges, nodes, labels, *self._chains(), self._askable()
        )
        return self._batch(facts, counts, *self._asked(*question), draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=())
        digits = np.stack([_digits(given, place) for place in PLACES], -1)
        steps, batch = digits.shape[:2]
        phase = given.masks("phase", (steps, batch, 1))[:, :, 0]
        answering = given.masks("answering", (steps, batch, 1))[:, :, 0]
        one_node(given, sizes, batch)
        labels = self._labels(given, digits)
        begins = [np.flatnonzero(phase[:, b]) for b in range(batch)]
        phases = 3 if self.planning else 2
        for b, found in enumerate(begins):
            if len(found) != phases or not answering[found[-1], b] or found[0] == 0:
                raise given.fail(
                    "phase", f"{phases} phases after the description, the last one answering", f"{found} in sample {b}"
                )
        counts = np.array([found[0] for found in begins])
        asked = np.array([found[1] - found[0] for found in begins])
        facts, query = np.full((batch, counts.max(), 3), -1, np.int16), np.full((batch, asked.max(), 3), -1, np.int16)
        for b in range(batch):
            facts[b, : counts[b]] = labels[: counts[b], b]
            query[b, : asked[b]] = labels[counts[b] : counts[b] + asked[b], b]
            if (facts[b, : counts[b]] < 0).any():
                raise given.fail(PLACES[0], "facts without blanks in the description", f"a blank in sample {b}")
        made = self._batch(facts, counts, query, asked, np.arange(batch))
        self._compare(given, made, {**dict(zip(PLACES, np.moveaxis(digits, -1, 0), strict=True)),
                                    "phase": phase, "answering": answering})  # fmt: skip
        return made

    def _labels(self, given: Inputs, digits: Array) -> Array:
        """Digits `[…, 9]` as labels `[…, 3]`, -1 for a blank."""
        three = digits.reshape(*digits.shape[:-1], 3, 3)
        blank = three < 0
        if (blank.any(-1) != blank.all(-1)).any():
            raise given.fail(PLACES[0], "all three digits of a label or none", "some of them")
        found: Array = np.where(blank[..., 0], -1, three @ np.array([100, 10, 1]))
        return found

    def _compare(self, given: Inputs, made: Batch, inputs: Mapping[str, Array]) -> None:
        """Refuse inputs that are not laid out as this task does, blank past their ends."""
        for name, value in inputs.items():
            expected = made.inputs[name][..., 0].numpy()
            after = value[len(expected) :]
            if len(value) < len(expected) or (value[: len(expected)] != expected).any() or (after > 0).any():
                raise given.fail(
                    name, f"{self.name}'s layout: facts, query, {self.planning} steps of planning, answer", "another"
                )

    def _batch(self, facts: Array, counts: Array, query: Array, asked: Array, index: Array) -> Batch:
        """Answer, and gather everything."""
        answer, told, found = self._answered(facts, counts, query, asked)
        if not found.all():
            raise ValueError(f"{self.name}: the question of sample {int(found.argmin())} has no answer in its facts")
        return self._gather(Questions(facts, counts, query, asked, answer, told), index)

    def _gather(self, given: Questions, index: Array) -> Batch:
        """Lay everything out in time."""
        starts = given.counts + given.asked + self.planning
        counts = starts + given.told
        steps, batch = int(counts.max()), len(counts)
        triples = np.full((steps, batch, 3), -1, np.int16)
        answers = triples.copy()
        _place(triples, given.facts, given.counts, np.zeros(batch, np.int64))
        _place(triples, given.query, given.asked, given.counts)
        _place(answers, given.answer, given.told, starts)
        step = np.arange(steps)[:, None]
        answering = (step >= starts) & (step < counts)
        begins = (step == given.counts) | (step == starts)
        if self.planning:
            begins = begins | (step == given.counts + given.asked)
        told, said = _split(triples), _split(answers)
        return stream_batch(
            self.spec,
            {**told, "phase": begins, "answering": answering},
            {f"answer_{place}": value for place, value in said.items()},
            counts=counts,
            index=index,
        )

    def triples(self, digits: Mapping[str, Tensor], *, of: str = "") -> Tensor:
        """Digits put together: labels of triples, -1 where there is none.

        Args:
            digits: values by probe name, `[steps, batch, 1]` each, as in a batch or a prediction.
            of: what the probes' names begin with: `""` for what is told, `"answer_"` for answers.

        Returns:
            int64 `[steps, batch, 3]`: from, edge and to.
        """
        nine = torch.stack([digits[of + place][..., 0].long() for place in PLACES], -1)
        three = nine.unflatten(-1, (3, 3))
        return torch.where((three < 0).any(-1), -1, (three * torch.tensor([100, 10, 1])).sum(-1))


def _place(onto: Array, rows: Array, counts: Array, starts: Array) -> None:
    """Write the first `counts[b]` rows of each sample from step `starts[b]` on."""
    b, k = np.nonzero(np.arange(rows.shape[1]) < counts[:, None])
    onto[starts[b] + k, b] = rows[b, k]


def _split(triples: Array) -> dict[str, Array]:
    """Labels as digits by their place, int8, -1 in a blank."""
    digits = (triples[..., None] // np.array([100, 10, 1], np.int16)) % 10
    digits = np.where(triples[..., None] < 0, -1, digits).astype(np.int8)
    return dict(zip(PLACES, np.moveaxis(digits.reshape(*triples.shape[:2], 9), -1, 0), strict=True))


def _digits(given: Inputs, name: str) -> Array:
    """A digit, int8 `[steps, batch]` with -1 for none, from digits or from one-hot rows of which some are empty."""
    if given.array(name).ndim == 4:
        hot = given.masks(name, ("steps", "batch", 1, 10))[:, :, 0]
        if (hot.sum(-1) > 1).any():
            raise given.fail(name, "one-hot or empty rows", "rows with several ones")
        return np.where(hot.any(-1), hot.argmax(-1), -1).astype(np.int8)
    found = given.shaped(name, ("steps", "batch", 1))[:, :, 0]
    if not np.isin(found, np.arange(-1, 10)).all():
        raise given.fail(name, "digits, or -1 for none", f"values from {found.min()} to {found.max()}")
    return found.astype(np.int8)
