"""Heapsort (Williams, 1964) as in the CLRS benchmark (Veličković et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.clrs import CLRS
from tasks.algorithms.keys import KeysTask, SortConfig
from tasks.algorithms.trace import Trace, final
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class HeapsortConfig(SortConfig):
    """Options of `heapsort`."""


@register(
    "heapsort",
    config=HeapsortConfig,
    **CLRS,
)
class Heapsort(KeysTask):
    """Heapsort: each node points to its predecessor in the order of the keys, the first to itself.

    A binary heap with the largest key at its root lies in the first places of the list; in `parent` its nodes point to
    the node above, the root and all nodes outside to themselves, and `heap_size` is its last node. While it is built
    (`phase` 0) every place from the last to the first is sifted down; then the root and the last node change
    places, the heap loses that last place (`phase` 1), and the new root is sifted down (`phase` 2), until one node is
    left. A frame of sifting is one comparison of the node at a place, now `j`, with its children, `largest` being the
    node in the place where the largest key of them was; the pair has been swapped already. `i` is the node in the
    place where sifting began (phase 0), at the root (phase 1), or in the place that the heap just lost (phase 2). In
    phase 1 `j` is the node just removed, and `largest` node 0, whatever its key. Frame 0 is the list as given, where
    `parent` is that of a heap, as yet unsifted. Equal keys may change their order.

        key   0.7 0.2 0.9
        frame 0: list 0 1 2   pred_h 0 0 1   parent 0 0 0   i 2   j 2   largest 2   heap_size 2   phase 0
        frame 1: list 0 1 2   pred_h 0 0 1   parent 0 0 0   i 2   j 2   largest 2   heap_size 2   phase 0   a leaf
        frame 2: list 0 1 2   pred_h 0 0 1   parent 0 0 0   i 1   j 1   largest 1   heap_size 2   phase 0   a leaf
        frame 3: list 2 1 0   pred_h 1 2 2   parent 2 2 2   i 2   j 2   largest 0   heap_size 0   phase 0   0.9 rises
        frame 4: list 2 1 0   pred_h 1 2 2   parent 2 2 2   i 2   j 0   largest 0   heap_size 0   phase 0   a leaf
        frame 5: list 0 1 2   pred_h 0 0 1   parent 0 0 2   i 0   j 2   largest 0   heap_size 1   phase 1   0.9 is out
        frame 6: list 0 1 2   pred_h 0 0 1   parent 0 0 2   i 2   j 0   largest 0   heap_size 1   phase 2
        frame 7: list 1 0 2   pred_h 1 1 0   parent 0 1 2   i 1   j 0   largest 0   heap_size 1   phase 1   0.7 is out
        frame 8: list 1 0 2   pred_h 1 1 0   parent 0 1 2   i 0   j 1   largest 1   heap_size 1   phase 2
        output pred 1 1 0
    """

    def __init__(self, config: HeapsortConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "heapsort",
            Probe("key", Stage.INPUT, Location.NODE, Type.SCALAR),
            config.output,
            Probe("pred_h", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("parent", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("i", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("j", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("largest", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("heap_size", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("phase", Stage.HINT, Location.GRAPH, Type.CATEGORICAL, classes=3),
        )

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        lengths, pointers, parents, marks, phases = _heapsort(values["key"], sizes)
        nodes = dict(zip(("i", "j", "largest", "heap_size"), marks, strict=True))
        hints = {"pred_h": pointers, "parent": parents, **nodes, "phase": phases}
        return Trace(lengths, hints, {"pred": final(pointers, lengths)})


@kernel
def _heapsort(keys, sizes):
    """Lengths, and hints pred_h and parent `[T, B, N]`; i, j, largest and heap_size `[4, T, B]`; phase `[T, B]`."""
    batch, nodes = keys.shape
    lengths = np.empty(batch, np.int64)
    frames = 0
    # The first round only counts frames: the worst case is far above what random keys take.
    for _ in range(2):
        pointers = np.zeros((frames, batch, nodes), np.int32)
        parents = np.zeros((frames, batch, nodes), np.int32)
        marks = np.zeros((4, frames, batch), np.int32)
        phases = np.zeros((frames, batch), np.int8)
        for b in range(batch):
            lengths[b] = _run(keys[b, : sizes[b]], pointers[:, b], parents[:, b], marks[:, :, b], phases[:, b])
            frames = max(frames, lengths[b])
    return lengths, pointers, parents, marks, phases


@kernel
def _run(keys, pointers, parents, marks, phases):
    """Sort one sample and write its frames, if there is room for any; how many there are."""
    n = len(keys)
    order = np.arange(n)
    last = n - 1
    if len(phases) > 0:
        _write(order, n, last, last, last, pointers[0], parents[0], marks[:, 0])
    t = 1
    for turn in range(2 * n - 1):
        building = turn < n
        size = n if building else 2 * n - 1 - turn
        place = n - 1 - turn if building else 0
        began = place if building else size
        if not building:
            order[0], order[size] = order[size], order[0]
            if len(phases) > 0:
                _write(order, size, 0, size, 0, pointers[t], parents[t], marks[:, t])
                marks[2, t] = 0  # node 0, not the node in place 0
                phases[t] = 1
            t += 1
        sifting = True
        while sifting:
            largest = place
            for child in range(2 * place + 1, min(2 * place + 3, size)):
                if keys[order[child]] > keys[order[largest]]:
                    largest = child
            order[place], order[largest] = order[largest], order[place]
            if len(phases) > 0:
                _write(order, size, began, place, largest, pointers[t], parents[t], marks[:, t])
                phases[t] = 0 if building else 2
            t += 1
            sifting = largest != place
            place = largest
    return t


@kernel
def _write(order, size, i, j, largest, pointers, parents, marks):
    """One frame of a list of nodes, the first `size` of which are a heap; `i`, `j` and `largest` are places in it."""
    pointers[order[0]] = order[0]
    parents[order[0]] = order[0]
    for k in range(1, len(order)):
        pointers[order[k]] = order[k - 1]
        parents[order[k]] = order[(k - 1) // 2] if k < size else order[k]
    marks[0] = order[i]
    marks[1] = order[j]
    marks[2] = order[largest]
    marks[3] = order[size - 1]
