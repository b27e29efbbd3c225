"""Following labels through a graph (Graves et al., Nature 2016, Methods, "Graph tasks": traversal)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.questions import drawing, lessons
from tasks.questions.answering import follow
from tasks.questions.graph_question import GraphQuestion
from tasks.questions.maps import london_underground
from tasks.registry import near, option, register
from tasks.sequences.dnc_paper import DNC_PAPER

Array = NDArray[Any]

MAPS = ("random", "london_underground")


@dataclass(frozen=True)
class GraphTraversalConfig:
    """Options of `graph_traversal`."""

    map: str = option("random", "what is asked about: random graphs, or london_underground, an abridged map")

    def __post_init__(self) -> None:
        if self.map not in MAPS:
            raise ValueError(f"graph_traversal: unknown map {self.map!r}; {near(self.map, MAPS)}")


@register("graph_traversal", config=GraphTraversalConfig, **DNC_PAPER)
class GraphTraversal(GraphQuestion):
    """Traversal: read a graph, fact by fact, then a start and labels of edges, and answer with the edges on the way.

    A sample's size is the number of its lesson, from 1 to 14 in the paper's curriculum; past the last it is the last. A
    step's triple is (from, edge, to), `_` a blank, `phase` marks where a phase begins. Asked for edges 7 and then 2:

        step        0          1          2          3         4        5          6
        told     (5,7,10)  (10,2,120)  (120,7,5)  (5,7,_)  (_,2,_)      _          _
        phase       .          .          .          1         .        1          .
        answering   .          .          .          .         .        1          1
        answer      -          -          -          -         -    (5,7,10)  (10,2,120)     (- is -1: none is due)

    Random graphs: points in the unit square, each joined to a random number of its nearest neighbours; labels of nodes
    are different numbers below 1,000, those of the edges from one node too. The walk is random. With
    `map="london_underground"` it goes along lines, a label for each line and direction, of the map in `maps.py`, and
    stations and lines get random numbers in every sample; lessons then only say how long it is.
    """

    kind = drawing.TRAVERSAL
    planning = 0
    lessons = lessons.TRAVERSAL

    def __init__(self, config: GraphTraversalConfig) -> None:
        super().__init__(config)
        self.map = london_underground() if config.map == "london_underground" else None
        self.spec = self._make_spec("graph_traversal", echo=False)

    def _asked(self, starts: Array, goals: Array, walks: Array, steps: Array) -> tuple[Array, Array]:
        query = np.full((*walks.shape, 3), -1, np.int16)
        query[:, :, 1] = walks
        query[:, 0, 0] = starts
        return query, steps

    def _answered(self, facts: Array, counts: Array, query: Array, asked: Array) -> tuple[Array, Array, Array]:
        answer, found = follow(facts, counts, query[:, 0, 0].astype(np.int64), query[:, :, 1].astype(np.int64), asked)
        form = query.copy()
        form[:, 0, 0] = form[:, :, 1] = -1
        asks = (query[:, 0, 0] >= 0) & ((query[:, :, 1] >= 0).sum(1) == asked) & (form < 0).all((1, 2))
        return answer, asked, found & asks
