"""Shortest paths through a labelled graph (Graves et al., Nature 2016, Methods, "Graph tasks": shortest path)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from tasks.batch import Batch
from tasks.questions import drawing, lessons
from tasks.questions.answering import shortest
from tasks.questions.graph_question import PLANNING, GraphQuestion
from tasks.questions.graph_traversal import MAPS
from tasks.questions.maps import london_underground
from tasks.registry import near, option, register
from tasks.sequences.dnc_paper import DNC_PAPER

Array = NDArray[Any]


@dataclass(frozen=True)
class GraphShortestPathConfig:
    """Options of `graph_shortest_path`."""

    map: str = option("random", "what is asked about: random graphs, or london_underground, an abridged map")
    unique: bool = option(True, "only pairs that a single shortest path joins are asked for; else any pairs")

    def __post_init__(self) -> None:
        if self.map not in MAPS:
            raise ValueError(f"graph_shortest_path: unknown map {self.map!r}; {near(self.map, MAPS)}")


@register("graph_shortest_path", config=GraphShortestPathConfig, **DNC_PAPER)
class GraphShortestPath(GraphQuestion):
    """Shortest path: read a graph, then a start and a goal, plan for ten steps, and generate the edges between them.

    A sample's size is the number of its lesson, from 1 to 10; past the last it is the last. The paper's table of
    lessons is another; these grow in its manner. From (5,7,10), (10,2,120), (120,7,5) and asked for the way from 5 to
    120:

        step        0          1          2          3       4 to 13      14          15
        told     (5,7,10)  (10,2,120)  (120,7,5)  (5,_,120)     _          _           _
        phase       .          .          .          1       1 at 4        1           .
        answering   .          .          .          .          .          1           1
        previous    _          _          _          _          _          _       (5,7,10)
        answer      -          -          -          -          -      (5,7,10)   (10,2,120)   (- is -1: none is due)

    The answer is generated greedily: `previous` is the model's own triple of the step before, each digit decided, or
    the true one where teacher forcing says so (with probability 0.8 in the paper, whose targets then follow the path
    from where the model went wrong, which these do not). The paper picks the likeliest of the triples that exist; here
    any digits may be said.

    Graphs are those of `graph_traversal`; pairs have a random distance of the lesson's, or the next lower one that
    there is. Where several shortest paths exist the paper takes any: `unique` leaves such pairs out, so that the share
    of exact sequences is that of minimal paths; without it the target is the path of lowest labels, and `is_shortest`
    judges.
    """

    kind = drawing.SHORTEST_PATH
    planning = PLANNING
    lessons = lessons.SHORTEST_PATH

    def __init__(self, config: GraphShortestPathConfig) -> None:
        super().__init__(config)
        self.map = london_underground() if config.map == "london_underground" else None
        self.spec = self._make_spec("graph_shortest_path", echo=True)

    def is_shortest(self, batch: Batch, answers: Mapping[str, Tensor]) -> Bool[Tensor, " batch"]:
        """Whether each answer is some shortest path: edges that exist, one after another, no more than it takes.

        Args:
            batch: with the questions.
            answers: decided digits by probe name, `[steps, batch, 1]`, as in `Prediction.values`.
        """
        due = batch.inputs["answering"][..., 0].cpu()
        told = self.triples({name: value.cpu() for name, value in batch.inputs.items()})
        said = self.triples({name: value.cpu() for name, value in answers.items()}, of="answer_")
        found = []
        for b in range(batch.batch_size):
            query = int(batch.inputs["phase"][:, b, 0].cpu().int().argmax())
            facts = {tuple(fact) for fact in told[:query, b].tolist()}
            here, _, goal = told[query, b].tolist()
            path = [tuple(triple) for triple in said[: len(due), b][due[: len(said), b]].tolist()]
            joined = [here, *(to for *_, to in path)]
            whole = len(path) == int(due[:, b].sum()) and joined[-1] == goal
            found.append(whole and all(t in facts and t[0] == at for t, at in zip(path, joined, strict=False)))
        return torch.tensor(found)

    def _asked(self, starts: Array, goals: Array, walks: Array, steps: Array) -> tuple[Array, Array]:
        query = np.full((len(starts), 1, 3), -1, np.int16)
        query[:, 0, 0], query[:, 0, 2] = starts, goals
        return query, np.ones(len(starts), np.int64)

    def _answered(self, facts: Array, counts: Array, query: Array, asked: Array) -> tuple[Array, Array, Array]:
        starts, goals = query[:, 0, 0].astype(np.int64), query[:, 0, 2].astype(np.int64)
        asks = (asked == 1) & (starts >= 0) & (goals >= 0) & (query[:, 0, 1] < 0) & (starts != goals)
        answer, told = shortest(facts, counts, starts.clip(0), goals.clip(0))
        return answer, told, asks & (told > 0)
