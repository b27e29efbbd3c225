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
        return self._searched(graphs, starts, width, whole=True)

    def _answer(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        return self._searched(graphs, starts, width, whole=False)

    def _searched(self, graphs: Graphs, starts: Array, width: int, *, whole: bool) -> Trace:
        """The trace, whole or its first frame."""
        lengths = 1 + reached(*graphs)
        frames = lengths.max() if whole else 1
        pointers, keys, marks, queued, taken, output = _search(*graphs, lengths, frames, starts, width, self.adds_up)
        hints = {"pi_h": pointers, self.key: keys, "mark": marks, "in_queue": queued, "u": taken}
        return Trace(lengths, hints, {"pi": output})


@kernel
def _before(heap_keys, heap_nodes, i, j):
    """Whether entry i of the heap is taken before entry j: by key, then by node."""
    if heap_keys[i] != heap_keys[j]:
        return heap_keys[i] < heap_keys[j]
    return heap_nodes[i] < heap_nodes[j]


@kernel
def _swap(heap_keys, heap_nodes, i, j):
    """Swap two entries."""
    heap_keys[i], heap_keys[j] = heap_keys[j], heap_keys[i]
    heap_nodes[i], heap_nodes[j] = heap_nodes[j], heap_nodes[i]


@kernel
def _push(heap_keys, heap_nodes, count, key, node):
    """Put an entry behind the `count` ones of the heap and let it rise."""
    heap_keys[count] = key
    heap_nodes[count] = node
    i = count
    while i > 0 and _before(heap_keys, heap_nodes, i, (i - 1) >> 1):
        _swap(heap_keys, heap_nodes, i, (i - 1) >> 1)
        i = (i - 1) >> 1


@kernel
def _pop(heap_keys, heap_nodes, count):
    """Move the first of `count` entries to the last place, out of the heap."""
    last = count - 1
    _swap(heap_keys, heap_nodes, 0, last)
    i = 0
    while 2 * i + 1 < last:
        child = 2 * i + 1
        if child + 1 < last and _before(heap_keys, heap_nodes, child + 1, child):
            child += 1
        if not _before(heap_keys, heap_nodes, child, i):
            break
        _swap(heap_keys, heap_nodes, child, i)
        i = child


@kernel
def _take(first, row_starts, neighbours, values, adds_up, key, mark, queue, pointer, heap_keys, heap_nodes, count):
    """Take the queued node of least key, the lowest-numbered of several, and queue or improve its neighbours.

    An improved node has several entries in the heap, of which the first counts.

    Returns:
        The node, and the number of entries in the heap.
    """
    u = heap_nodes[0]
    while True:
        u = heap_nodes[0]
        _pop(heap_keys, heap_nodes, count)
        count -= 1
        if queue[u]:
            break
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
                _push(heap_keys, heap_nodes, count, through_u, v)
                count += 1
    return u, count


@kernel
def _copy(values, out):
    """Write values into a view, several at a time."""
    for v in range(len(values)):
        out[v] = values[v]


@kernel
def _search(sizes, offsets, row_starts, neighbours, values, source, lengths, frames, starts, width, adds_up):
    """First hint frames `[frames, width]` (of the nodes taken `[frames, B]`) and output `[width]`."""
    batch = len(sizes)
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
        room = row_starts[offsets[b] + n] - row_starts[offsets[b]] + 1  # an entry for each edge, and the source
        heap_keys = np.zeros(room)
        heap_nodes = np.zeros(room, np.int64)
        u, count = source[b], 1
        heap_nodes[0] = u
        queue[u] = True
        for t in range(lengths[b]):
            if t > 0:
                u, count = _take(
                    offsets[b],
                    row_starts,
                    neighbours,
                    values,
                    adds_up,
                    key,
                    mark,
                    queue,
                    pointer,
                    heap_keys,
                    heap_nodes,
                    count,
                )
            if t < frames:
                taken[t, b] = u
                _copy(pointer, pointers[t, start : start + n])
                _copy(key, keys[t, start : start + n])
                _copy(mark, marks[t, start : start + n])
                _copy(queue, queued[t, start : start + n])
        for v in range(n):
            output[start + v] = pointer[v]
    return pointers, keys, marks, queued, taken, output
