"""A tree grown from the source, always by the queued node of least key: what Dijkstra's and Prim's algorithms share."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.graph_task import GraphConfig, Graphs, GraphTask
from tasks.algorithms.reach import reached
from tasks.algorithms.trace import Trace
from tasks.kernel import kernel
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


class BestFirst(GraphTask):
    """A best-first search; subclasses say what the key of a node is.

    Attributes:
        task: registry name.
        key: name of the probe that holds the keys.
        adds_up: whether a key is the length of the path from the source, or that of its last edge alone.
    """

    weighted = True
    task: ClassVar[str]
    key: ClassVar[str]
    adds_up: ClassVar[bool]

    def __init__(self, config: GraphConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            self.task,
            Probe("pi", Stage.OUTPUT, Location.NODE, Type.POINTER, domain=config.pointers),
            Probe("pi_h", Stage.HINT, Location.NODE, Type.POINTER, domain=config.pointers),
            Probe(self.key, Stage.HINT, Location.NODE, Type.SCALAR),
            Probe("mark", Stage.HINT, Location.NODE, Type.MASK),
            Probe("in_queue", Stage.HINT, Location.NODE, Type.MASK),
            Probe("u", Stage.HINT, Location.NODE, Type.MASK_ONE),
        )

    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        lengths = 1 + reached(*graphs)
        pointers, keys, marks, queued, taken, output = _search(*graphs, lengths, starts, width, self.adds_up)
        hints = {"pi_h": pointers, self.key: keys, "mark": marks, "in_queue": queued, "u": taken}
        return Trace(lengths, hints, {"pi": output})


@kernel
def _take(first, row_starts, neighbours, values, adds_up, key, mark, queue, pointer):
    """Take the queued node of least key, the lowest-numbered of several, and queue or improve its neighbours."""
    # A frame has an entry for every node, so looking at all of them here is not what a step's time goes to.
    u = -1
    for v in range(len(key)):
        if queue[v] and (u < 0 or key[v] < key[u]):
            u = v
    mark[u] = True
    queue[u] = False
    for k in range(row_starts[first + u], row_starts[first + u + 1]):
        v = neighbours[k]
        if values[k] != 0 and not mark[v]:
            through_u = key[u] + values[k] if adds_up else values[k]
            if not queue[v] or through_u < key[v]:
                pointer[v] = u
                key[v] = through_u
                queue[v] = True
    return u


@kernel
def _search(sizes, offsets, row_starts, neighbours, values, source, lengths, starts, width, adds_up):
    """Hint frames `[T + 1, width]` (of the nodes taken `[T + 1, B]`) and output `[width]`; lengths count the frames."""
    frames, batch = lengths.max(), len(sizes)
    pointers = np.zeros((frames, width), np.int32)
    keys = np.zeros((frames, width), np.float32)
    marks = np.zeros((frames, width), np.bool_)
    queued = np.zeros((frames, width), np.bool_)
    taken = np.zeros((frames, batch), np.int32)
    output = np.zeros(width, np.int32)
    for b in range(batch):
        n, start = sizes[b], starts[b]
        key = np.zeros(n)
        mark = np.zeros(n, np.bool_)
        queue = np.zeros(n, np.bool_)
        pointer = np.arange(n, dtype=np.int32)
        u = source[b]
        queue[u] = True
        for t in range(lengths[b]):
            if t > 0:
                u = _take(offsets[b], row_starts, neighbours, values, adds_up, key, mark, queue, pointer)
            taken[t, b] = u
            for v in range(n):
                pointers[t, start + v] = pointer[v]
                keys[t, start + v] = key[v]
                marks[t, start + v] = mark[v]
                queued[t, start + v] = queue[v]
        for v in range(n):
            output[start + v] = pointer[v]
    return pointers, keys, marks, queued, taken, output
