"""The run of partitions that quicksort and quickselect consist of (Hoare, 1961), with Lomuto's way of partitioning."""

from __future__ import annotations

import numpy as np

from tasks.kernel import kernel


@kernel
def partitions(keys, sizes, select):
    """Sort each sample, or find the node of rank n // 2 in it.

    Args:
        keys: float64 `[B, N]`.
        sizes: keys of each sample.
        select: go on only in the part that holds the wanted rank, until the pivot is it.

    Returns:
        Lengths `[B]`; predecessors in the list `[T, B, N]`; the nodes p, r, i, j and pivot `[5, T, B]`; i_rank and
        target `[2, T, B]`, which mean something only if one is selected.
    """
    batch, nodes = keys.shape
    lengths = np.empty(batch, np.int64)
    frames = 0
    # The first round only counts frames: there can be n (n + 1) / 2, while random keys take of the order of n log n.
    for _ in range(2):
        pointers = np.zeros((frames, batch, nodes), np.int32)
        marks = np.zeros((5, frames, batch), np.int32)
        ranks = np.zeros((2, frames, batch), np.float32)
        for b in range(batch):
            lengths[b] = _run(keys[b, : sizes[b]], select, pointers[:, b], marks[:, :, b], ranks[:, :, b])
            frames = max(frames, lengths[b])
    return lengths, pointers, marks, ranks


@kernel
def _run(keys, select, pointers, marks, ranks):
    """Run one sample and write its frames, if there is room for any; how many there are."""
    n = len(keys)
    order = np.arange(n)
    starts, ends = np.empty(n, np.int64), np.empty(n, np.int64)  # of the parts that wait, the next one last
    starts[0], ends[0] = 0, n - 1
    count = 1
    target = n // 2
    t = 0
    while count > 0:
        count -= 1
        p, r = starts[count], ends[count]
        middle = p  # keys before this place are at most the pivot's
        for j in range(p, r):
            if keys[order[j]] <= keys[order[r]]:
                order[middle], order[j] = order[j], order[middle]
                middle += 1
            if len(pointers) > 0:
                _write(order, p, r, middle, j, r, pointers[t], marks[:, t])
                ranks[0, t] = middle / n
                ranks[1, t] = target / n
            t += 1
        order[middle], order[r] = order[r], order[middle]
        if len(pointers) > 0:
            _write(order, p, r, middle, r, middle, pointers[t], marks[:, t])
            ranks[0, t] = (middle - p) / n
            ranks[1, t] = target / n
        t += 1
        rank = middle - p
        # The right part is put below the left one, which is therefore done first.
        if (rank < target) if select else (middle + 1 < r):
            starts[count], ends[count] = middle + 1, r
            count += 1
        if (rank > target) if select else (p < middle - 1):
            starts[count], ends[count] = p, middle - 1
            count += 1
        if rank < target:
            target -= rank + 1
    return t


@kernel
def _write(order, p, r, i, j, pivot, pointers, marks):
    """One frame of a list of nodes, all else being places in it."""
    pointers[order[0]] = order[0]
    for k in range(1, len(order)):
        pointers[order[k]] = order[k - 1]
    marks[0] = order[p]
    marks[1] = order[r]
    marks[2] = order[i]
    marks[3] = order[j]
    marks[4] = order[pivot]
