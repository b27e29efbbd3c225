"""Depth-first search as a record of events, one a hint frame; the part that five tasks of the CLRS benchmark share.

The search takes roots in a given order and neighbours in ascending order. Every frame of a trace is one event, which
changes the values of one node, at most two; frames are unrolled from that. Times are counted in ticks, one whenever a
node is entered or left, and shown as that many times 0.01, added up one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.graph_task import Graphs, pairs
from tasks.kernel import kernel
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]

START, ENTER, PUSH, LOOK, LEAVE = range(5)
"""A root is chosen; u is entered; from u on to v, not seen before; u sees v, seen before; u is left."""

COLOR = Probe("color", Stage.HINT, Location.NODE, Type.CATEGORICAL, classes=3)
TIMES = (Probe("d", Stage.HINT, Location.NODE, Type.SCALAR), Probe("f", Stage.HINT, Location.NODE, Type.SCALAR))
TIME = Probe("time", Stage.HINT, Location.GRAPH, Type.SCALAR)
"""Probes of `Search.stack_hints` and of `Search.time_hints`; the rest is in `stack_probes`."""

_TICK = 0.01


@dataclass(frozen=True)
class Search:
    """A depth-first search on every graph of a batch, events of one graph after those of another.

    Attributes:
        sizes: nodes of each graph, int64 `[B]`.
        starts: position of each graph's first node in a row of node values, `[B]`.
        width: of such a row.
        lengths: events of each graph, int64 `[B]`.
        phases: how many of them are of the first search where there are two, int64 `[B]`.
        log: of each event its kind, root s, node u and node v, int32 `[events, 4]`.
    """

    sizes: Array
    starts: Array
    width: int
    lengths: Array
    phases: Array
    log: Array

    @cached_property
    def kind(self) -> Array:
        """What each event is."""
        return self.log[:, 0]

    @cached_property
    def s(self) -> Array:
        """The root of each event."""
        return self.log[:, 1]

    @cached_property
    def u(self) -> Array:
        """The node that the search is at."""
        return self.log[:, 2]

    @cached_property
    def v(self) -> Array:
        """The node that it looks at."""
        return self.log[:, 3]

    @cached_property
    def first(self) -> Array:
        """Number of each graph's first event."""
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def graph(self) -> Array:
        """The graph of each event."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @cached_property
    def frame(self) -> Array:
        """The number of each event among those of its graph."""
        return np.arange(len(self.log)) - self.first[self.graph]

    @cached_property
    def ticks(self) -> Array:
        """The time of each event."""
        total = np.concatenate([np.zeros(1, np.int64), np.cumsum((self.kind == ENTER) | (self.kind == LEAVE))])
        return total[1:] - total[self.first][self.graph]

    @cached_property
    def parent(self) -> Array:
        """The node that each was first seen from, itself for a root; int32 `[width]`."""
        found = self.events(PUSH)
        parent = self.own()
        parent[self.place(self.v)[found]] = self.u[found]
        return parent

    def beginning(self) -> Search:
        """The first event of each graph alone."""
        ones = np.ones_like(self.lengths)
        return Search(self.sizes, self.starts, self.width, ones, ones, self.log[self.first])

    def events(self, *kinds: int) -> Array:
        """The numbers of the events of some kinds, ascending."""
        found = np.zeros(len(self.log), np.bool_)
        for kind in kinds:
            found |= self.kind == kind
        return np.flatnonzero(found)

    def place(self, nodes: Array) -> Array:
        """Positions in a row of node values of one node of each event."""
        return self.starts[self.graph] + nodes

    def own(self) -> Array:
        """Every node's own number, int32 `[width]`, zero in padding."""
        row = np.zeros(self.width, np.int32)
        local = np.arange(self.sizes.sum()) - np.repeat(np.cumsum(self.sizes) - self.sizes, self.sizes)
        row[np.repeat(self.starts, self.sizes) + local] = local
        return row

    def frames_of(self, value: Array) -> Array:
        """A value of each event as hint frames `[T, B]`, zero past a graph's own."""
        frames = np.zeros((self.lengths.max(), len(self.lengths)), value.dtype)
        frames[self.frame, self.graph] = value
        return frames

    def held(self, row: Array, events: Array, places: Array, values: Array) -> Array:
        """Node values `[T, width]` that begin as `row` and change, each at an event and from then on.

        Args:
            row: values before the first event `[width]`.
            events: ascending.
            places: positions in the row.
            values: new ones.
        """
        return hold(row, self.starts, self.sizes, self.lengths, events, places, values)

    def stack_hints(self) -> dict[str, Array]:
        """Colours (0 not seen, 1 seen, 2 left), the stack as pointers down from `s_last`, and the nodes s, u and v."""
        push, leave = self.events(PUSH), self.events(LEAVE)
        popped = leave[self.u[leave] != self.s[leave]]
        u, v = self.place(self.u), self.place(self.v)
        # A node is off the stack from the frame after the one that it is left in.
        events = np.concatenate([push, popped + 1])
        places = np.concatenate([v[push], u[popped]])
        values = np.concatenate([self.u[push], self.u[popped]])
        order = np.argsort(events, kind="stable")
        return {
            "color": self._colors(),
            "s_prev": self.held(self.own(), events[order], places[order], values[order]),
            "s": self.frames_of(self.s),
            "u": self.frames_of(self.u),
            "v": self.frames_of(self.v),
            "s_last": self.frames_of(np.where(self.kind == PUSH, self.v, self.u)),
        }

    def _colors(self) -> Array:
        """Colours as hint frames, int8 `[T, width]`; a second search begins with all of them 0 again."""
        changes = self.events(ENTER, PUSH, LEAVE)
        places = np.where(self.kind == PUSH, self.place(self.v), self.place(self.u))[changes]
        values = np.where(self.kind == LEAVE, 2, 1)[changes]
        again = np.flatnonzero(self.phases < self.lengths)
        wiped = np.repeat((self.first + self.phases)[again], self.sizes[again])
        nodes = np.concatenate([self.starts[b] + np.arange(self.sizes[b]) for b in again] or [wiped])
        events = np.concatenate([changes, wiped])
        order = np.argsort(events, kind="stable")
        places = np.concatenate([places, nodes])[order]
        values = np.concatenate([values, np.zeros(len(wiped), np.int64)])[order]
        return self.held(np.zeros(self.width, np.int8), events[order], places, values.astype(np.int8))

    def time_hints(self) -> dict[str, Array]:
        """When each node was entered, `d`, and left, `f`, and what the time is."""
        time = seconds(self.ticks)
        zero = np.zeros(self.width, np.float32)
        u = self.place(self.u)
        enter, leave = self.events(ENTER), self.events(LEAVE)
        return {
            "d": self.held(zero, enter, u[enter], time[enter]),
            "f": self.held(zero, leave, u[leave], time[leave]),
            "time": self.frames_of(time),
        }

    def parent_hint(self) -> Array:
        """The node that each was first seen from, as hint frames, int32 `[T, width]`."""
        found = self.events(PUSH)
        return self.held(self.own(), found, self.place(self.v)[found], self.u[found])


def stack_probes(domain: str) -> tuple[Probe, ...]:
    """The stack and the nodes s, u and v, of `Search.stack_hints`; `domain` is that of the pointers down the stack."""
    down = Probe("s_prev", Stage.HINT, Location.NODE, Type.POINTER, domain=domain)
    return (down, *(Probe(name, Stage.HINT, Location.NODE, Type.MASK_ONE) for name in ("s", "u", "v", "s_last")))


def depth_first(
    graphs: Graphs,
    starts: Array,
    width: int,
    *,
    enter_all: bool = True,
    look_back: bool = False,
    reverse: Array | None = None,
) -> Search:
    """Search every graph of a batch.

    Args:
        graphs: to search.
        starts: position of each graph's first node in a row of node values, `[batch]`.
        width: of such a row.
        enter_all: whether entering a node is an event of its own; otherwise it is of roots only.
        look_back: whether seeing a node that was seen before is an event, unless it is the parent. Neighbours are then
            seen from the first one on whenever the search comes back to a node.
        reverse: values of the reversed graphs. A second search then follows on these, roots in the opposite order of
            that in which nodes were left in the first, entering an event of roots only.
    """
    lengths, phases, log = _search(
        graphs.row_starts,
        graphs.neighbours,
        graphs.values,
        np.zeros(0) if reverse is None else reverse,
        graphs.sizes,
        graphs.offsets,
        enter_all,
        look_back,
    )
    return Search(graphs.sizes, starts, width, lengths, phases, log)


def seconds(ticks: Array) -> Array:
    """Counts as the benchmark shows them, float32: 0.01 added up that many times."""
    return np.concatenate([np.zeros(1), np.cumsum(np.full(ticks.max(initial=0), _TICK))]).astype(np.float32)[ticks]


def adjacency(graphs: Graphs) -> Array:
    """A + I != 0 of each graph, bool `[B, N, N]`, zero in the padding."""
    nodes = int(graphs.sizes.max())
    b, u, v = pairs(graphs)
    matrices = np.zeros((len(graphs.sizes), nodes, nodes), np.bool_)
    matrices[b, u, v] = graphs.values + (u == v) != 0
    return matrices


@kernel
def hold(row, starts, spans, lengths, events, places, values):
    """Frames `[T, len(row)]`: `row` with all changes up to each event, zero past a graph's own.

    Graph b has `spans[b]` entries from `starts[b]`; change c puts `values[c]` at `places[c]` at event `events[c]`,
    counted over all graphs.
    """
    frames = np.zeros((lengths.max(), len(row)), row.dtype)
    event, change = 0, 0
    for b in range(len(lengths)):
        first, last = starts[b], starts[b] + spans[b]
        state = row[first:last].copy()
        for t in range(lengths[b]):
            while change < len(events) and events[change] == event:
                state[places[change] - first] = values[change]
                change += 1
            frame = frames[t, first:last]  # entries of views are copied several at a time
            for k in range(len(state)):
                frame[k] = state[k]
            event += 1
    return frames


@kernel
def _record(log, count, kind, s, u, v):
    """The log with one more event, in a longer array if it is full."""
    if count == len(log):
        longer = np.empty((2 * count, 4), np.int32)
        for e in range(count):
            for k in range(4):
                longer[e, k] = log[e, k]
        log = longer
    log[count, 0] = kind
    log[count, 1] = s
    log[count, 2] = u
    log[count, 3] = v
    return log


@kernel
def _visit(rows, neighbours, values, order, enter_all, look_back, log, count):
    """Search one graph, roots in the given order: the log, and the number of events in it."""
    n = len(order)
    color = np.zeros(n, np.int8)
    parent = np.arange(n)
    at = rows[:n].copy()
    for s in order:
        if color[s] != 0:
            continue
        kind, u, v = START, s, s
        while True:
            log = _record(log, count, kind, s, u, v)
            count += 1
            if kind == PUSH:
                u = v
            if kind == START or (kind == PUSH and enter_all):
                kind = ENTER
                color[u] = 1
                continue
            if kind == LEAVE:
                if u == s:
                    break
                u = parent[u]
                if look_back:
                    at[u] = rows[u]
            kind, v = LEAVE, n - 1
            while kind == LEAVE and at[u] < rows[u + 1]:
                near = neighbours[at[u]]
                if values[at[u]] != 0:
                    if color[near] == 0:
                        kind, v = PUSH, near
                    elif look_back and near != parent[u]:
                        kind, v = LOOK, near
                at[u] += 1
            if kind == PUSH:
                color[v] = 1
                parent[v] = u
            elif kind == LEAVE:
                color[u] = 2
    return log, count


@kernel
def _search(row_starts, neighbours, values, reverse, sizes, offsets, enter_all, look_back):
    """Events of each graph, and of its first search `[B]`; and the log `[events, 4]`."""
    lengths = np.empty(len(sizes), np.int64)
    phases = np.empty(len(sizes), np.int64)
    log = np.empty((4 * len(row_starts), 4), np.int32)
    count = np.int64(0)  # numba would compile `_visit` once more for a literal
    for b in range(len(sizes)):
        n = sizes[b]
        began = count
        rows = row_starts[offsets[b] : offsets[b] + n + 1]
        order = np.arange(n)
        edges, entering, looking = values, enter_all, look_back
        for phase in range(1 + (len(reverse) > 0)):
            if phase == 1:
                free = n
                for e in range(began, count):
                    if log[e, 0] == LEAVE:
                        free -= 1
                        order[free] = log[e, 2]
                edges, entering, looking = reverse, False, False
            log, count = _visit(rows, neighbours, edges, order, entering, looking, log, count)
            if phase == 0:
                phases[b] = count - began
        lengths[b] = count - began
    return lengths, phases, log[:count]
