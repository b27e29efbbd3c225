"""Eccentricity by flooding and echo as in SALSA-CLRS (Minder et al., LoG 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.graph_conditions import require_undirected
from tasks.algorithms.graph_layouts import reversal
from tasks.algorithms.graph_task import Graphs, GraphTask, PlainGraphConfig
from tasks.algorithms.salsa import SALSA
from tasks.algorithms.trace import Trace
from tasks.inputs import Inputs
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class EccentricityConfig(PlainGraphConfig):
    """Options of `eccentricity`."""


@register("eccentricity", config=EccentricityConfig, **SALSA)
class Eccentricity(GraphTask):
    """Eccentricity: the distance from the source to the farthest node that it reaches.

    The source floods the graph: a node that is reached is `visited_h` in the next frame and sends its distance,
    `floodstate_h`, and one more to all neighbours not visited, its children in `tree_h`. A node without such is a leaf
    and echoes its distance to its parents; a node that has the echoes of all children passes their largest, in
    `echostate_h`, on and is done, `leaf_h`. `msgphase_h` tells the nodes that an echo has reached. From node 0 over the
    edges 0-1, 1-2 and 0-3:

        frame 0: visited_h 0 0 0 0   msgphase_h 0 0 0 0   floodstate_h 0 0 0 0   echostate_h 0 0 0 0   leaf_h 0 0 0 0
                 tree_h none         eccentricity_h 0
        frame 1: visited_h 1 0 0 0   msgphase_h 0 0 0 0   floodstate_h 0 1 0 1   echostate_h 0 0 0 0   leaf_h 0 0 0 0
                 tree_h 0>1 0>3      eccentricity_h 0
        frame 2: visited_h 1 1 0 1   msgphase_h 1 0 0 1   floodstate_h 0 1 2 1   echostate_h 1 0 0 1   leaf_h 0 0 0 1
                 tree_h 0>1 1>2      eccentricity_h 1
        frame 3: visited_h 1 1 1 1   msgphase_h 1 1 1 1   floodstate_h 0 1 2 1   echostate_h 1 2 2 1   leaf_h 0 0 1 1
                 tree_h 0>1          eccentricity_h 1
        frame 4: visited_h 1 1 1 1   msgphase_h 1 1 1 1   floodstate_h 0 1 2 1   echostate_h 2 2 2 1   leaf_h 0 1 1 1
                 tree_h none         eccentricity_h 2
        frame 5: visited_h 1 1 1 1   msgphase_h 1 1 1 1   floodstate_h 0 1 2 1   echostate_h 2 2 2 1   leaf_h 0 1 1 1
                 tree_h none         eccentricity_h 2                        output eccentricity 2

    The trace ends when the source has all echoes. Hints are those of the authors' code, value for value, where it ends;
    it does not for a source without neighbours, which here takes one step. Entries of A other than 0 are edges, each
    with its reverse.
    """

    weighted = False

    def __init__(self, config: EccentricityConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "eccentricity",
            Probe("eccentricity", Stage.OUTPUT, Location.GRAPH, Type.SCALAR),
            Probe("visited_h", Stage.HINT, Location.NODE, Type.MASK),
            Probe("msgphase_h", Stage.HINT, Location.NODE, Type.MASK),
            Probe("floodstate_h", Stage.HINT, Location.NODE, Type.SCALAR),
            Probe("echostate_h", Stage.HINT, Location.NODE, Type.SCALAR),
            Probe("tree_h", Stage.HINT, Location.EDGE, Type.MASK),
            Probe("leaf_h", Stage.HINT, Location.NODE, Type.MASK),
            Probe("eccentricity_h", Stage.HINT, Location.GRAPH, Type.SCALAR),
        )

    def _check(self, given: Inputs, graphs: Graphs) -> None:
        require_undirected(given, graphs)

    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        lengths = self._answer(graphs, starts, width).lengths
        return _flooded(graphs, starts, width, int(lengths.max()))

    def _answer(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        return _flooded(graphs, starts, width, 1)


def _flooded(graphs: Graphs, starts: Array, width: int, frames: int) -> Trace:
    """The trace in so many frames."""
    batch, entries = len(graphs.sizes), len(graphs.neighbours)
    masks = np.zeros((3, frames, width), np.bool_)
    numbers = np.zeros((2, frames, width), np.float32)
    tree = np.zeros((frames, entries), np.bool_)
    found = np.zeros((frames, batch), np.float32)
    lengths, output = _flood(*graphs, reversal(graphs), starts, masks, numbers, tree, found)
    hints = {
        "visited_h": masks[0],
        "msgphase_h": masks[1],
        "floodstate_h": numbers[0],
        "echostate_h": numbers[1],
        "tree_h": tree,
        "leaf_h": masks[2],
        "eccentricity_h": found,
    }
    return Trace(lengths, hints, {"eccentricity": output})


@kernel
def _complete(u, rows, neighbours, reverse, tree):
    """Whether no child has yet to answer; what two nodes sent each other at once counts as answered."""
    for k in range(rows[u], rows[u + 1]):
        if tree[k] and not tree[reverse[k]]:
            return False
    return True


@kernel
def _send_flood(u, message, rows, neighbours, values, visited, messages, tree):
    """Send to every neighbour that is not visited; whether there is none."""
    alone = True
    for k in range(rows[u], rows[u + 1]):
        v = neighbours[k]
        if values[k] != 0 and not visited[v]:
            messages[v] = max(messages[v], message)
            tree[k] = True
            alone = False
    return alone


@kernel
def _send_echo(u, message, rows, neighbours, reverse, visited, echo, tree, phase):
    """Answer every visited node that has sent something here."""
    for k in range(rows[u], rows[u + 1]):
        v = neighbours[k]
        if tree[reverse[k]] and visited[v]:
            echo[v] = max(echo[v], message)
            tree[reverse[k]] = False
            phase[v] = True


@kernel
def _step(source, rows, neighbours, values, reverse, visited, phase, leaf, flood, echo, tree):
    """One round of messages; arrays are changed in place. Whether the source has all answers."""
    n = len(visited)
    seen, echoing, heard, waiting = visited.copy(), phase.copy(), echo.copy(), tree.copy()
    messages = np.zeros(n, np.int64)
    done = False
    for u in range(n):
        if not echoing[u]:
            if seen[u] or (u != source and flood[u] == 0):
                continue
            visited[u] = True
            if _send_flood(u, flood[u] + 1, rows, neighbours, values, seen, messages, tree):
                leaf[u] = True
                echo[u] = flood[u]
                phase[u] = True
                _send_echo(u, flood[u], rows, neighbours, reverse, seen, echo, tree, phase)
        elif not leaf[u] and _complete(u, rows, neighbours, reverse, waiting):
            if u == source:
                done = True
                break  # as in the authors' code: what later nodes would send in this round is not sent
            leaf[u] = True
            _send_echo(u, heard[u], rows, neighbours, reverse, seen, echo, tree, phase)
    for u in range(n):
        if messages[u] > 0 and not visited[u]:
            flood[u] = messages[u]
        elif messages[u] > 0 and _complete(u, rows, neighbours, reverse, tree):
            leaf[u] = True
            echo[u] = flood[u]
            phase[u] = True
            _send_echo(u, flood[u], rows, neighbours, reverse, visited, echo, tree, phase)
    return done or leaf[source]


@kernel
def _flood(sizes, offsets, row_starts, neighbours, values, source, reverse, starts, masks, numbers, trees, found):
    """Lengths `[B]` and eccentricities `[B]`; as many frames as there is room for are written."""
    lengths = np.empty(len(sizes), np.int64)
    output = np.empty(len(sizes), np.float32)
    for b in range(len(sizes)):
        n, begin = sizes[b], row_starts[offsets[b]]
        rows = row_starts[offsets[b] : offsets[b] + n + 1] - begin
        end = begin + rows[n]
        near, value, back = neighbours[begin:end], values[begin:end], reverse[begin:end] - begin
        visited, phase, leaf = np.zeros(n, np.bool_), np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        flood, echo = np.zeros(n, np.int64), np.zeros(n, np.int64)
        tree = np.zeros(rows[n], np.bool_)
        done = False
        t = 0
        while True:
            if t < len(found):
                first = starts[b]
                masks[0, t, first : first + n] = visited
                masks[1, t, first : first + n] = phase
                masks[2, t, first : first + n] = leaf
                numbers[0, t, first : first + n] = flood
                numbers[1, t, first : first + n] = echo
                trees[t, begin:end] = tree
                found[t, b] = echo[source[b]]
            t += 1
            if done:
                break
            done = _step(source[b], rows, near, value, back, visited, phase, leaf, flood, echo, tree)
        lengths[b] = t
        output[b] = echo[source[b]]
    return lengths, output
