"""Luby's maximal independent set as in SALSA-CLRS (Minder et al., LoG 2023; after Luby, 1986)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.graph_conditions import require_undirected
from tasks.algorithms.graph_layouts import Graphs, pairs, placement
from tasks.algorithms.graph_task import OnGraphs, PlainGraphConfig
from tasks.algorithms.salsa import SALSA
from tasks.algorithms.trace import Trace
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

_USUAL_ROUNDS = 8  # more are drawn where they do not suffice


class Rounds(NamedTuple):
    """What happened on graphs, whose nodes stand one graph's after another's.

    Attributes:
        number: of rounds of each graph, int64 `[batch]`; -1 where the numbers did not suffice.
        joined: the round, from 1 on, in which each node joined the set, int64 `[ΣN]`; past all rounds if it never did.
        died: the round in which it or a neighbour joined, int64 `[ΣN]`.
    """

    number: Array
    joined: Array
    died: Array


@dataclass(frozen=True)
class MaximalIndependentSetConfig(PlainGraphConfig):
    """Options of `maximal_independent_set`."""


@register("maximal_independent_set", config=MaximalIndependentSetConfig, **SALSA)
class MaximalIndependentSet(OnGraphs):
    """Luby's algorithm: nodes no two of which are neighbours, and such that no node could be added, by given numbers.

    In each round every node has a random number, which is given: in `randomness`, at both steps of the round. A living
    node whose number is below those of its living neighbours joins the set (of equal numbers the higher-numbered node's
    counts as lower, as in the authors' code); then it and its neighbours die, and their edges `Ain_h` with them. The
    second step only sets the phase back. Over the edges 0-1, 1-2 and 2-3; the numbers on a line are those of the step
    after its frame:

        frame 0: phase_h 0   alive_h 1 1 1 1   inmis_h 0 0 0 0   Ain_h 0-1 1-2 2-3   randomness .3 .2 .1 .4
        frame 1: phase_h 1   alive_h 1 0 0 0   inmis_h 0 0 1 0   Ain_h none          randomness .3 .2 .1 .4
        frame 2: phase_h 0   alive_h 1 0 0 0   inmis_h 0 0 1 0   Ain_h none          randomness .5 .5 .6 .7
        frame 3: phase_h 1   alive_h 0 0 0 0   inmis_h 1 0 1 0   Ain_h none          output inmis 1 0 1 0

    The trace ends when no node is alive: r rounds take 2r frames. Entries of A other than 0 are edges, each with its
    reverse; SALSA-CLRS, where the task is `fast_mis`, gives adj alone. Given numbers past the last round are dropped.
    """

    weighted = False
    source = False

    def __init__(self, config: MaximalIndependentSetConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "maximal_independent_set",
            Probe("randomness", Stage.INPUT, Location.NODE, Type.SCALAR, streamed=True),
            Probe("inmis", Stage.OUTPUT, Location.NODE, Type.MASK),
            Probe("Ain_h", Stage.HINT, Location.EDGE, Type.MASK),
            Probe("alive_h", Stage.HINT, Location.NODE, Type.MASK),
            Probe("phase_h", Stage.HINT, Location.GRAPH, Type.MASK),
            Probe("inmis_h", Stage.HINT, Location.NODE, Type.MASK),
        )

    def _check(self, given: Inputs, graphs: Graphs) -> None:
        require_undirected(given, graphs)

    def _sample(self, draw: Draw, layout: str) -> Batch:
        graphs, pos = self._draw(draw, layout)
        most = np.full(len(draw.sizes), _USUAL_ROUNDS)
        while True:
            counts = most * draw.sizes
            numbers = generators.flat_uniforms(draw.seed, draw.index, counts, generators.ROUNDS).astype(np.float32)
            first = np.cumsum(counts) - counts
            found = _luby(graphs, numbers, first, draw.sizes, most)
            if found.number.min() > 0:
                break
            most = 2 * most
        whole = self._traced(draw.largest)
        return self._recorded(graphs, pos, draw.index, layout, found, (numbers, first, draw.sizes), whole)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=("pos", "adj"), extra=("edge_index",))
        graphs, pos, layout = self._read(given, sizes)
        starts, width = placement(graphs, layout)
        batch = len(graphs.sizes)
        shape = ("steps", width) if layout == "sparse" else ("steps", batch, width // batch)
        rows = given.scalars("randomness", shape)
        if layout == "dense":
            given.empty_padding("randomness", rows.swapaxes(0, -1), (np.arange(shape[-1]) < graphs.sizes[:, None]).T)
        rows = rows.reshape(-1, width).astype(np.float32)
        stride = np.full(batch, 2 * width)
        found = _luby(graphs, rows.reshape(-1), starts, stride, np.full(batch, (len(rows) + 1) // 2))
        if found.number.min() < 0:
            b = int(found.number.argmin())
            raise given.fail("randomness", "numbers for every round", f"{len(rows)} steps, too few for sample {b}")
        index, whole = np.arange(batch), self._traced(int(graphs.sizes.max()))
        made = self._recorded(graphs, pos, index, layout, found, (rows.reshape(-1), starts, stride), whole)
        again = made.inputs["randomness"].numpy().reshape(-1, width)
        if len(again) > len(rows) or ((again != rows[: len(again)]) & (again != 0)).any():
            raise given.fail("randomness", "the numbers of a round at both of its steps", "others at the second")
        return made

    def _recorded(
        self,
        graphs: Graphs,
        pos: Array,
        index: Array,
        layout: str,
        found: Rounds,
        given: tuple[Array, Array, Array],
        whole: bool,
    ) -> Batch:
        """The batch; `given` are the numbers, where each graph's begin, and how far its rounds lie apart."""
        numbers, first, stride = given
        starts, width = placement(graphs, layout)
        graph = np.repeat(np.arange(len(graphs.sizes)), graphs.sizes)
        local = np.arange(len(graph)) - graphs.offsets[graph]
        place = starts[graph] + local
        lengths = 2 * found.number
        steps = np.arange(lengths.max() - 1)[:, None]
        randomness = np.zeros((len(steps), width), np.float32)
        alive = steps < lengths[graph] - 1
        where = first[graph] + np.minimum(steps // 2, found.number[graph] - 1) * stride[graph] + local
        randomness[:, place] = np.where(alive, numbers[where], np.float32(0))
        inmis = np.zeros(width, np.bool_)
        inmis[place] = found.joined <= found.number[graph]
        trace = Trace(
            lengths, _hints(graphs, found, place, width, int(lengths.max()) if whole else 1), {"inmis": inmis}
        )
        return self._gather(graphs, pos, index, layout, trace, {"randomness": randomness})


def _hints(graphs: Graphs, found: Rounds, place: Array, width: int, frames: int) -> dict[str, Array]:
    """The first hint frames."""
    graph, sender, receiver = pairs(graphs)
    frame = np.arange(frames)[:, None]
    done = (frame + 1) // 2
    running = frame < 2 * found.number
    running_nodes = np.repeat(running, graphs.sizes, axis=1)
    alive = np.zeros((frames, width), np.bool_)
    alive[:, place] = found.died > done
    inmis = np.zeros((frames, width), np.bool_)
    inmis[:, place] = (found.joined <= done) & running_nodes
    first_death = np.minimum(found.died[graphs.offsets[graph] + sender], found.died[graphs.offsets[graph] + receiver])
    return {
        "Ain_h": (graphs.values != 0) & (first_death > done),
        "alive_h": alive,
        "phase_h": (frame % 2 == 1) & running,
        "inmis_h": inmis,
    }


def _luby(graphs: Graphs, numbers: Array, first: Array, stride: Array, most: Array) -> Rounds:
    """Run on every graph; the number of node v in round r lies at first + r stride + v, in at most so many rounds."""
    shape = graphs.row_starts, graphs.neighbours, graphs.values, graphs.sizes, graphs.offsets
    return Rounds(*_rounds(*shape, numbers, first, stride, most))


@kernel
def _joins(u, first, row_starts, neighbours, values, alive, numbers, shift):
    """Whether a node's number beats those of its living neighbours."""
    for k in range(row_starts[first + u], row_starts[first + u + 1]):
        v = neighbours[k]
        if values[k] != 0 and v != u and alive[v]:
            mine, other = numbers[shift + u], numbers[shift + v]
            if mine > other or (mine == other and u < v):
                return False
    return True


@kernel
def _rounds(row_starts, neighbours, values, sizes, offsets, numbers, number_starts, stride, most):
    """See `Rounds`."""
    rounds = np.empty(len(sizes), np.int64)
    joined = np.full(len(row_starts) - 1, np.iinfo(np.int64).max)
    died = np.full(len(row_starts) - 1, np.iinfo(np.int64).max)
    for b in range(len(sizes)):
        first, left = offsets[b], sizes[b]
        living = np.arange(left)
        alive = np.ones(left, np.bool_)
        now = 0
        while left > 0 and now < most[b]:
            shift = number_starts[b] + now * stride[b]
            now += 1
            for i in range(left):
                u = living[i]
                if _joins(u, first, row_starts, neighbours, values, alive, numbers, shift):
                    joined[first + u] = now
            kept = 0
            for i in range(left):
                u = living[i]
                dies = joined[first + u] == now
                for k in range(row_starts[first + u], row_starts[first + u + 1]):
                    dies |= values[k] != 0 and joined[first + neighbours[k]] == now
                if dies:
                    died[first + u] = now
                    alive[u] = False
                else:
                    living[kept] = u
                    kept += 1
            left = kept
        rounds[b] = now if left == 0 else -1
    return rounds, joined, died
