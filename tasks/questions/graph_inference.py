"""Relations that chains of edges imply (Graves et al., Nature 2016, Methods, "Graph tasks": inference)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.questions import drawing, lessons
from tasks.questions.answering import follow
from tasks.questions.graph_question import PLANNING, GraphQuestion
from tasks.questions.maps import family
from tasks.questions.relations import askable, chain_table
from tasks.registry import near, option, register
from tasks.sequences.dnc_paper import DNC_PAPER

Array = NDArray[Any]

MAPS = ("random", "family")


@dataclass(frozen=True)
class GraphInferenceConfig:
    """Options of `graph_inference`."""

    map: str = option("random", "what is asked about: random graphs, or family, an abridged family tree")

    def __post_init__(self) -> None:
        if self.map not in MAPS:
            raise ValueError(f"graph_inference: unknown map {self.map!r}; {near(self.map, MAPS)}")


@register("graph_inference", config=GraphInferenceConfig, **DNC_PAPER)
class GraphInference(GraphQuestion):
    """Inference: read a graph, then a start and a relation, plan for ten steps, and answer with who stands in it.

    A relation is the label of a fixed chain of edges (`relations.relations`), which a model learns by heart: labels 0
    to 9 are the edges' own, 10 to 409 a hundred chains of each length from 2 to 5. A sample's size is the number of its
    lesson, from 1 to 10; past the last it is the last; the paper's table of lessons is another. Edge 0 leads to a
    father, 1 to a mother, and R is the label of a father's father's mother:

        step        0         1         2         3      4 to 13      14
        told     (5,0,10)  (10,0,12)  (12,1,7)  (5,R,_)     _          _
        phase       .         .         .         1      1 at 4        1
        answering   .         .         .         .         .          1
        answer      -         -         -         -         -       (5,R,7)     (- is -1: none is due)

    Random graphs are those of `graph_traversal`, but labels of edges are below ten; the chain that is asked for is
    laid through them where none leads. With `map="family"` the family tree of `maps.py` is asked about, by the
    relations that have a name and the plain edges, with random numbers for the people in every sample.
    """

    kind = drawing.INFERENCE
    planning = PLANNING
    lessons = lessons.INFERENCE

    def __init__(self, config: GraphInferenceConfig) -> None:
        super().__init__(config)
        self.map = family() if config.map == "family" else None
        self.spec = self._make_spec("graph_inference", echo=False)

    def _chains(self) -> tuple[Array, Array]:
        return chain_table()

    def _askable(self) -> Array:
        return super()._askable() if self.map is None else askable(self.map)

    def _asked(self, starts: Array, goals: Array, walks: Array, steps: Array) -> tuple[Array, Array]:
        query = np.full((len(starts), 1, 3), -1, np.int16)
        query[:, 0, 0], query[:, 0, 1] = starts, goals
        return query, np.ones(len(starts), np.int64)

    def _answered(self, facts: Array, counts: Array, query: Array, asked: Array) -> tuple[Array, Array, Array]:
        chains, lengths = chain_table()
        starts, relations = query[:, 0, 0].astype(np.int64), query[:, 0, 1].astype(np.int64)
        asks = (asked == 1) & (starts >= 0) & (relations >= 0) & (relations < len(chains)) & (query[:, 0, 2] < 0)
        known = relations.clip(0, len(chains) - 1)
        trail, found = follow(facts, counts, starts, chains[known], lengths[known])
        answer = query.copy()
        answer[:, 0, 2] = np.take_along_axis(trail[:, :, 2], lengths[known][:, None] - 1, axis=1)[:, 0]
        return answer[:, :1], np.ones(len(starts), np.int64), found & asks
