"""How the families of `graph_families` grow from uniform draws.

The kernels are deterministic: they say when a tape of draws was too short, and get the same one again, longer.
"""

from __future__ import annotations

import math

import numpy as np

from tasks.kernel import kernel

WITHIN, BETWEEN = 0.7, 0.01
"""Probability of an edge of a community, and between two."""
KEPT, SHORTCUTS = 0.3, 0.025
"""Probability that an edge of a cave is kept, and edges between caves for each node."""
LEAF = 0.2
"""Probability of a lobster's leaf, and of a leaf on it."""
LOG_16 = math.log(16) / 16


@kernel
def _pair(i, j):
    """An edge as one integer."""
    return (np.int64(i) << 32) | np.int64(j)


@kernel
def _draw(tape, at):
    """The next draw; past the end of the tape any number, as the graph will be thrown away."""
    at[0] += 1
    return tape[at[0] - 1] if at[0] <= len(tape) else 0.5


@kernel
def _scale(p):
    """What turns the logarithm of a uniform number into a gap, 0 < p <= 1; certain things have none between them."""
    return 1.0 / math.log(1.0 - p) if p < 1.0 else 0.0


@kernel
def _gap(tape, at, scale):
    """How many things in a row do not happen that are equally likely each; a float, as it may be huge."""
    return math.log(1.0 - _draw(tape, at)) * scale


@kernel
def _within(tape, at, p, first, size, out, count):
    """Add each pair of `size` nodes with probability p, in time linear in those added (Batagelj and Brandes, 2005)."""
    if size < 2 or p <= 0.0:
        return count
    i, j = -1, 1
    scale = _scale(p)
    while at[0] <= len(tape):
        gap = _gap(tape, at, scale)
        if gap >= size * size:
            break
        i += 1 + int(gap)
        while i >= j and j < size:
            i -= j
            j += 1
        if j >= size or at[0] > len(tape):
            break
        out[count] = _pair(first + i, first + j)
        count += 1
    return count


@kernel
def _between(tape, at, p, first, size, other_first, other_size, out, count):
    """Add each pair of nodes of two parts with probability p, as `_within`."""
    k = np.int64(-1)
    scale = _scale(p)
    while at[0] <= len(tape):
        gap = _gap(tape, at, scale)
        if gap >= size * other_size:
            break
        k += 1 + int(gap)
        if k >= size * other_size or at[0] > len(tape):
            break
        out[count] = _pair(first + k // other_size, other_first + k % other_size)
        count += 1
    return count


@kernel
def _connected(out, count, n):
    """Whether all nodes are in one part (union-find with path halving)."""
    root = np.arange(n)
    parts = n
    for e in range(count):
        u, v = out[e] >> 32, out[e] & 0xFFFFFFFF
        while root[u] != u:
            root[u] = root[root[u]]
            u = root[u]
        while root[v] != v:
            root[v] = root[root[v]]
            v = root[v]
        if u != v:
            root[max(u, v)] = min(u, v)
            parts -= 1
    return parts == 1


@kernel
def _erdos_renyi(tape, at, n, kind, out):
    """Pairs of probability c ln n / n, or as the kind says; how many there are."""
    if kind == 2:
        return _within(tape, at, min(math.log(n) / n, 1.0), 0, n, out, 0)
    if kind == 3:
        return _within(tape, at, min(math.log2(n) / n, 0.5), 0, n, out, 0)
    p = min((1.0 + 2.0 * _draw(tape, at)) * (math.log(n) / n if kind == 0 else LOG_16), 1.0)
    count = 0
    while at[0] <= len(tape):
        count = _within(tape, at, p, 0, n, out, 0)
        if _connected(out, count, n):
            break
    return count


@kernel
def _joined(ends, u, v):
    """Whether one of two nodes of a ring keeps an edge to the other."""
    for j in range(ends.shape[1]):
        if ends[u, j] == v or ends[v, j] == u:
            return True
    return False


@kernel
def _rewired_ring(tape, at, n, half, p, out):
    """Pairs of a ring in which each node keeps `half` edges forwards, each moved at random with probability p."""
    ends = np.empty((n, half), np.int64)
    for u in range(n):
        for j in range(half):
            ends[u, j] = (u + j + 1) % n
    degree = np.full(n, 2 * half)
    for j in range(half):
        for u in range(n):
            if _draw(tape, at) < p and degree[u] < n - 1:
                v = u
                while (v == u or _joined(ends, u, v)) and at[0] <= len(tape):
                    v = int(n * _draw(tape, at))
                degree[ends[u, j]] -= 1
                degree[v] += 1
                ends[u, j] = v
    count = 0
    for u in range(n):
        for j in range(half):
            out[count] = _pair(min(u, ends[u, j]), max(u, ends[u, j]))
            count += 1
    return count


@kernel
def _watts_strogatz(tape, at, n, out):
    """Pairs of a connected small world; how many there are."""
    half = min(2 + int(3 * _draw(tape, at)), (n - 1) // 2)
    p = 0.05 + 0.15 * _draw(tape, at)
    if n == 2:
        out[0] = _pair(0, 1)
        return 1
    count = 0
    while at[0] <= len(tape):
        count = _rewired_ring(tape, at, n, half, p, out)
        if _connected(out, count, n):
            break
    return count


@kernel
def _barabasi_albert(tape, at, n, out):
    """Pairs of a graph that grows; how many there are."""
    degree = min(4 + int(2 * _draw(tape, at)), n - 1)
    for k in range(degree):
        out[k] = _pair(0, k + 1)
    count = degree
    for u in range(degree + 1, n):
        added = 0
        while added < degree and at[0] <= len(tape):
            end = int(2 * count * _draw(tape, at))  # one of the ends of all edges so far: nodes by their degrees
            v = out[end >> 1] >> 32 if end & 1 else out[end >> 1] & 0xFFFFFFFF
            new = True
            for k in range(count, count + added):
                if out[k] >> 32 == v:
                    new = False
            if new:
                out[count + added] = _pair(v, u)
                added += 1
        count += added
    return count


@kernel
def _prufer_tree(tape, at, n, out):
    """Pairs of a uniform labelled tree; how many there are."""
    code = np.empty(max(n - 2, 0), np.int64)
    degree = np.ones(n, np.int64)
    for k in range(n - 2):
        code[k] = int(n * _draw(tape, at))
        degree[code[k]] += 1
    lowest = 0  # all leaves below have been used
    while n > 2 and degree[lowest] != 1:
        lowest += 1
    leaf = lowest
    for k in range(n - 2):
        u = code[k]
        out[k] = _pair(min(leaf, u), max(leaf, u))
        degree[u] -= 1
        if degree[u] == 1 and u < lowest:
            leaf = u
        else:
            lowest += 1
            while degree[lowest] != 1:
                lowest += 1
            leaf = lowest
    if n > 1:
        out[n - 2] = _pair(min(leaf, n - 1), max(leaf, n - 1)) if n > 2 else _pair(0, 1)
    return n - 1


@kernel
def _four_parts(tape, at, n, caves, out):
    """Pairs of four communities or caves; how many there are."""
    bounds = np.arange(5) * n // 4
    count = 0
    for part in range(4):
        first, size = bounds[part], bounds[part + 1] - bounds[part]
        count = _within(tape, at, KEPT if caves else WITHIN, first, size, out, count)
        for other in range(0 if caves else part):
            other_size = bounds[other + 1] - bounds[other]
            count = _between(tape, at, BETWEEN, bounds[other], other_size, first, size, out, count)
    inner = count
    wanted = math.ceil(SHORTCUTS * n) if caves and n > 1 else 0
    while count - inner < wanted and at[0] <= len(tape):
        u, v = int(n * _draw(tape, at)), int(n * _draw(tape, at))
        new = False
        for part in range(1, 4):
            if u < bounds[part] <= v:
                new = True
        for k in range(inner, count):
            if out[k] == _pair(u, v):
                new = False
        if new:
            out[count] = _pair(u, v)
            count += 1
    return count


@kernel
def _ladder(n, out):
    """Pairs of a ladder; how many there are."""
    count = 0
    for i in range(n):
        if i % 2 == 0 and i + 1 < n:
            out[count] = _pair(i, i + 1)
            count += 1
        if i + 2 < n:
            out[count] = _pair(i, i + 2)
            count += 1
    return count


@kernel
def _lobster(tape, at, n, out):
    """Pairs of a path with leaves, and leaves on those; how many there are."""
    path, leaves, further = 0, 0, 0
    while path + leaves + further < n:
        path += 1
        if path + leaves + further < n and _draw(tape, at) < LEAF:
            leaves += 1
            if path + leaves + further < n and _draw(tape, at) < LEAF:
                further += 1
    for i in range(1, n):
        if i < path:
            to = i - 1
        elif i < path + leaves:
            to = int(path * _draw(tape, at))
        else:
            to = path + int(leaves * _draw(tape, at))
        out[i - 1] = _pair(to, i)
    return n - 1


@kernel
def nearest(points, k):
    """Pairs of ascending points of which one is among the k nearest of the other."""
    n = len(points)
    low = np.zeros(n, np.int64)  # the first of the k + 1 points nearest to each, itself among them
    for i in range(n):
        window = max(low[i - 1] if i else 0, i - k)
        while window < i and window + k + 1 < n and points[window + k + 1] - points[i] < points[i] - points[window]:
            window += 1
        low[i] = window
    out = np.empty(n * k, np.int64)
    count = 0
    for i in range(n):
        for j in range(i + 1, min(i + k + 1, n)):
            if j <= low[i] + k or low[j] <= i:
                out[count] = _pair(i, j)
                count += 1
    return out[:count]


@kernel
def draws(kinds, sizes):
    """Draws that most graphs of each kind need, those that have to be grown again a few times included, `[B]`."""
    counts = np.empty(len(sizes), np.int64)
    for b in range(len(sizes)):
        n, kind = sizes[b], kinds[b]
        pairs = 0.5 * n * (n - 1)
        if kind == 0:
            wanted = min(3.0 * math.log(n) / n, 1.0) * pairs
        elif kind == 1:
            wanted = 3.0 * LOG_16 * pairs
        elif kind == 2:
            wanted = math.log(n) / n * pairs
        elif kind == 3:
            wanted = min(math.log2(n) / n, 0.5) * pairs
        elif kind < 6:
            wanted = 7.0 * n
        elif kind == 7:
            wanted = (WITHIN / 4 + BETWEEN) * pairs
        elif kind == 8:
            wanted = KEPT / 4 * pairs + 0.2 * n
        else:
            wanted = 3.0 * n
        counts[b] = int(wanted + 8.0 * math.sqrt(wanted)) + 96
    return counts


@kernel
def graphs(tapes, counts, sizes, kinds):
    """Pairs of all graphs, and of each where they begin and how many they are, -1 where its tape was too short."""
    room = counts + 5 * sizes
    out = np.empty(room.sum(), np.int64)
    spans = np.empty((len(sizes), 2), np.int64)
    at = np.zeros(1, np.int64)
    first, used = 0, 0
    for b in range(len(sizes)):
        n, kind = sizes[b], kinds[b]
        tape, own = tapes[first : first + counts[b]], out[used : used + room[b]]
        at[0] = 0
        if kind < 4:
            count = _erdos_renyi(tape, at, n, kind, own)
        elif kind == 4:
            count = _watts_strogatz(tape, at, n, own)
        elif kind == 5:
            count = _barabasi_albert(tape, at, n, own)
        elif kind == 6:
            count = _prufer_tree(tape, at, n, own)
        elif kind < 9:
            count = _four_parts(tape, at, n, kind == 8, own)
        elif kind == 9:
            count = _ladder(n, own)
        else:
            count = _lobster(tape, at, n, own)
        spans[b, 0] = used
        spans[b, 1] = count if at[0] <= len(tape) else -1
        first += counts[b]
        used += count if at[0] <= len(tape) else 0
    return out[:used], spans
