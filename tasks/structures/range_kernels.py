"""Point assignments and range minima on a segment tree, traced after each one."""

from __future__ import annotations

import numpy as np

from tasks.kernel import kernel

ASSIGN, ASK = 1, 2
"""Kinds of operations."""
PASSED, ENDED = 1, 2
"""How an operation visits a node: on the way down, or where the descent ends."""


@kernel
def _build(entries, parent, bounds, child):
    """Fill in the tree over some entries: entry i is node i, inner nodes follow from the root on in preorder."""
    inner = entries
    waiting = np.zeros((2 * entries, 4), np.int64)  # first entry, one past the last, node above, side
    waiting[0, 1], waiting[0, 2] = entries, -1
    depth = 1
    while depth > 0:
        depth -= 1
        low, high, above, side = waiting[depth, 0], waiting[depth, 1], waiting[depth, 2], waiting[depth, 3]
        node = low
        if high - low > 1:
            node = inner
            inner += 1
            middle = (low + high + 1) // 2
            for k in range(2):  # the left half is taken from the stack first
                waiting[depth, 0] = low if k else middle
                waiting[depth, 1] = middle if k else high
                waiting[depth, 2] = node
                waiting[depth, 3] = 1 - k
                depth += 1
        bounds[0, node], bounds[1, node] = low, high
        parent[node] = node
        if above >= 0:
            parent[node] = above
            child[side, above] = node


@kernel
def _pull(node, child, value, least):
    """Set an inner node to the smaller of its children's minima, the left one's if they are equal."""
    left, right = child[0, node], child[1, node]
    better = left if value[left] <= value[right] else right
    value[node] = value[better]
    least[node] = least[better]


@kernel
def _ask(root, low, high, bounds, child, value, least, visit):
    """The first entry of the minimum from entry `low` to `high`, both included."""
    answer = -1
    waiting = np.empty(len(least) + 1, np.int64)
    waiting[0] = root
    depth = 1
    while depth > 0:
        depth -= 1
        node = waiting[depth]
        if low <= bounds[0, node] and bounds[1, node] <= high + 1:
            visit[node] = ENDED
            if answer == -1 or value[node] < value[answer]:
                answer = least[node]
            continue
        visit[node] = PASSED
        for side in (1, 0):  # from left to right, so that the first of equal minima stays
            below = child[side, node]
            if bounds[0, below] <= high and low < bounds[1, below]:
                waiting[depth] = below
                depth += 1
    return answer


@kernel
def run(initial, kinds, first, last, values, versions, counts, entries):
    """Run assignments and questions.

    Args:
        initial: of each entry, float32 `[B, entries]`.
        kinds: of each operation, int8 `[T, B]`.
        first: entry assigned to, or first one asked about, int64 `[T, B]`.
        last: last one asked about, int64 `[T, B]`.
        values: that are assigned, float32 `[T, B]`.
        versions: after how many operations the array is asked about, int64 `[T, B]`.
        counts: operations of each sample, int64 `[B]`.
        entries: of each sample, int64 `[B]`.

    Returns:
        Parents int32 `[B, N]`; first entry and one past the last of each node, int64 `[2, B, N]`; minima float32, their
        entries int32 and visits int8, each `[T + 1, B, N]`; answers int32 `[T, B]`, -1 for assignments.
    """
    steps, batch = kinds.shape
    nodes = 2 * initial.shape[1] - 1
    parents = np.zeros((batch, nodes), np.int32)
    bounds = np.zeros((2, batch, nodes), np.int64)
    minima = np.zeros((steps + 1, batch, nodes), np.float32)
    least = np.zeros((steps + 1, batch, nodes), np.int32)
    visits = np.zeros((steps + 1, batch, nodes), np.int8)
    answers = np.zeros((steps, batch), np.int32)
    for b in range(batch):
        k = entries[b]
        parent, bound, child = parents[b], bounds[:, b], np.full((2, nodes), -1)
        _build(k, parent, bound, child)
        root = k if k > 1 else 0
        for i in range(k):
            minima[0, b, i] = initial[b, i]
            least[0, b, i] = i
        for node in range(2 * k - 2, k - 1, -1):  # children have higher numbers than inner parents, or are entries
            _pull(node, child, minima[0, b], least[0, b])
        for t in range(counts[b]):
            visit = visits[t + 1, b]
            minima[t + 1, b, :] = minima[t, b]
            least[t + 1, b, :] = least[t, b]
            if kinds[t, b] == ASK:
                s = versions[t, b]
                answers[t, b] = _ask(root, first[t, b], last[t, b], bound, child, minima[s, b], least[s, b], visit)
                continue
            answers[t, b] = -1
            node = first[t, b]
            minima[t + 1, b, node] = values[t, b]
            visit[node] = ENDED
            while node != root:
                node = parent[node]
                _pull(node, child, minima[t + 1, b], least[t + 1, b])
                visit[node] = PASSED
    return parents, bounds, minima, least, visits, answers
