"""How much of a graph its source reaches, which tells how long many a trace will be."""

from __future__ import annotations

import numpy as np

from tasks.kernel import kernel


@kernel
def reached(sizes, offsets, row_starts, neighbours, values, source):
    """Number of nodes that the source of each graph reaches, itself among them, int64 `[batch]`; see `Graphs`."""
    counts = np.empty(len(sizes), np.int64)
    for b in range(len(sizes)):
        first = offsets[b]
        seen = np.zeros(sizes[b], np.bool_)
        found = np.empty(sizes[b], np.int64)
        seen[source[b]] = True
        found[0] = source[b]
        head, tail = 0, 1
        while head < tail:
            u = first + found[head]
            head += 1
            for k in range(row_starts[u], row_starts[u + 1]):
                v = neighbours[k]
                if values[k] != 0 and not seen[v]:
                    seen[v] = True
                    found[tail] = v
                    tail += 1
        counts[b] = tail
    return counts
