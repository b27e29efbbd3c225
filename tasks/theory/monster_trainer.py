"""The task of dynamic programming in Xu et al., What Can Neural Networks Reason About?, ICLR 2020, section 4.3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.inputs import Inputs
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw
from tasks.theory.reasoning_paper import REASONING
from tasks.theory.rejection import accepted
from tasks.theory.set_task import SetTask

Array = NDArray[Any]

_SIDE = 11  # places in each of the two directions
_LEAST_STOPS, _MOST_STOPS = 3, 7

LEVEL = Probe("level", Stage.INPUT, Location.NODE, Type.SCALAR)
PLACE = Probe("location", Stage.INPUT, Location.NODE, Type.SCALAR, channels=2)
TARGET = Probe("target", Stage.INPUT, Location.GRAPH, Type.SCALAR)


@dataclass(frozen=True)
class MonsterTrainerConfig:
    """Options of `monster_trainer`; there are none."""


@register("monster_trainer", config=MonsterTrainerConfig, **REASONING)
class MonsterTrainer(SetTask):
    """Dynamic programming: the least cost at which a monster trainer rises from level 0 to a target level.

    Nodes are the trainer, of level 0, and a monster for each level from 1 on, in no order. The trainer may fight any
    monster of a higher level than its own, which costs the difference of the levels times the distance between the two,
    the sum of the coordinates' differences; then it is where that monster was, and of its level. So the answer is the
    length of a shortest path. There are no hints; steps are as many as stops a path may have, 7, or fewer levels.

        level 2 0 1   location 0,0  4,0  2,0   target 2: cost 4 (by way of level 1; straight on it is 8)

    Sampled locations are all different, uniform over a map of 11 x 11, and the target is uniform; then samples are kept
    so that the least number of fights on a shortest path is 3, 4, 5, 6 or 7 equally often (as many as there are levels,
    if these are fewer). The paper has 11 nodes and 60,000 samples to train on, repeats the target on every node and
    classifies; here the target is the graph's, and so is the cost, a scalar. A size is at most 121.
    """

    min_size = 2

    def __init__(self, config: MonsterTrainerConfig) -> None:
        super().__init__(config)
        cost = Probe("cost", Stage.OUTPUT, Location.GRAPH, Type.SCALAR)
        self.spec = self._spec("monster_trainer", LEVEL, PLACE, TARGET, cost)

    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        batch, nodes = len(draw.sizes), int(draw.sizes.max())
        if nodes > _SIDE**2:
            raise ValueError(f"monster_trainer: size is at most {_SIDE**2}, the places on the map, got {nodes}")
        most = np.minimum(_MOST_STOPS, draw.sizes - 1)
        least = np.minimum(_LEAST_STOPS, most)
        wanted = least + generators.choices(draw.seed, draw.index, most - least + 1, generators.MEMBER)
        orders = generators.uniforms(draw.seed, draw.index, draw.sizes, nodes, generators.SECOND_DATA)
        values = {
            "level": np.zeros((batch, nodes)),
            "location": np.zeros((batch, nodes, 2)),
            "target": np.zeros(batch),
        }
        for n in np.unique(draw.sizes).tolist():
            some = np.flatnonzero(draw.sizes == n)
            stops_wanted = wanted[some]

            def accept(rows: Array, of: Array, n: int = n, stops_wanted: Array = stops_wanted) -> Array:
                target = _target(rows[:, n], n)
                _, stops = _cheapest(_places(rows, n), np.full(len(rows), n))
                right: Array = stops[np.arange(len(rows)), target] == stops_wanted[of]
                return right

            rows = accepted(draw.seed, draw.index[some], n + 1, accept)
            levels = np.argsort(orders[some, :n], axis=1)
            values["level"][some, :n] = levels
            values["location"][some, :n] = np.take_along_axis(_places(rows, n), levels[:, :, None], axis=1)
            values["target"][some] = _target(rows[:, n], n)
        return values, draw.sizes

    def _check(self, given: Inputs, values: Mapping[str, Array], sizes: Array) -> None:
        target, level = values["target"], values["level"]
        for b, n in enumerate(sizes.tolist()):
            if not np.array_equal(np.sort(level[b, :n]), np.arange(n)):
                raise given.fail(
                    "level", f"each level from 0 to {n - 1} once in sample {b}", str(level[b, :n].tolist())
                )
            if target[b] not in range(1, n):
                raise given.fail("target", f"a level from 1 to {n - 1} in sample {b}", f"{target[b]:g}")

    def _steps(self, sizes: Array) -> Array:
        return np.minimum(_MOST_STOPS, sizes - 1)

    def _answer(self, values: Mapping[str, Array], sizes: Array) -> dict[str, Array]:
        levels = np.where(np.arange(values["level"].shape[1]) < sizes[:, None], values["level"], np.inf)
        by_level = np.take_along_axis(values["location"], np.argsort(levels, axis=1)[:, :, None], axis=1)
        cost, _ = _cheapest(by_level, sizes)
        return {"cost": cost[np.arange(len(sizes)), values["target"].astype(np.int64)].astype(np.float32)}


def _target(uniforms: Array, n: int) -> Array:
    """A level from 1 to n - 1."""
    return 1 + np.floor(uniforms * (n - 1)).astype(np.int64)


@kernel
def _places(uniforms, n):
    """Places of n nodes, all different, from n draws a row: `[rows, n, 2]`."""
    count = _SIDE * _SIDE
    places = np.empty((len(uniforms), n, 2))
    for row in range(len(uniforms)):
        left = np.arange(count)
        for k in range(n):
            chosen = k + int(uniforms[row, k] * (count - k))
            left[k], left[chosen] = left[chosen], left[k]
            places[row, k, 0] = left[k] // _SIDE
            places[row, k, 1] = left[k] % _SIDE
    return places


@kernel
def _cheapest(places, sizes):
    """Least cost of each level and the fewest fights at that cost, `[rows, levels]`, from places by level."""
    rows, nodes = places.shape[:2]
    cost = np.zeros((rows, nodes))
    stops = np.zeros((rows, nodes), np.int64)
    for row in range(rows):
        for k in range(1, sizes[row]):
            cost[row, k] = np.inf
            for i in range(k):
                distance = abs(places[row, k, 0] - places[row, i, 0]) + abs(places[row, k, 1] - places[row, i, 1])
                offer = cost[row, i] + (k - i) * distance
                better = offer < cost[row, k]
                if better or (offer == cost[row, k] and stops[row, i] + 1 < stops[row, k]):
                    cost[row, k] = offer
                    stops[row, k] = stops[row, i] + 1
    return cost, stops
