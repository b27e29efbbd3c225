"""Shortest paths from a source in time linear in what changes, and pairs of nodes to ask for the path between."""

from __future__ import annotations

import numpy as np

from tasks.kernel import kernel

HOPS = 3
"""Edges that the paths between the pairs of `near_pairs` have at most."""


@kernel
def _relax(first, n, row_starts, neighbours, values, source, rounds):
    """Distances `[n]` over paths of at most `rounds` edges, inf where there is none, and the rounds that change any."""
    distance = np.full(n, np.inf)
    distance[source] = 0.0
    changed = np.empty(n, np.int64)
    changed[0] = source
    count, used = 1, 0
    marked = np.zeros(n, np.bool_)
    while used < rounds:
        before = distance[changed[:count]]
        following = np.empty(n, np.int64)
        found = 0
        for c in range(count):
            u = first + changed[c]
            for k in range(row_starts[u], row_starts[u + 1]):
                v = neighbours[k]
                if values[k] != 0 and before[c] + values[k] < distance[v]:
                    distance[v] = before[c] + values[k]
                    if not marked[v]:
                        marked[v] = True
                        following[found] = v
                        found += 1
        if found == 0:
            break
        used += 1
        for c in range(found):
            marked[following[c]] = False
        changed, count = following, found
    return distance, used


@kernel
def route_lengths(sizes, offsets, row_starts, neighbours, values, source, target, rounds):
    """Length of the shortest path of at most `rounds` edges, inf where there is none, and rounds used; both `[B]`."""
    lengths = np.empty(len(sizes))
    used = np.empty(len(sizes), np.int64)
    for b in range(len(sizes)):
        distance, used[b] = _relax(offsets[b], sizes[b], row_starts, neighbours, values, source[b], rounds)
        lengths[b] = distance[target[b]]
    return lengths, used


@kernel
def reached_targets(sizes, offsets, row_starts, neighbours, values, source, uniforms):
    """Of each graph, one of the other nodes that its source reaches, or the source where there are none; `[B]`."""
    target = np.empty(len(sizes), np.int64)
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
        target[b] = found[1 + int(uniforms[b] * (tail - 1))] if tail > 1 else source[b]
    return target


@kernel
def near_pairs(sizes, offsets, row_starts, neighbours, values, uniforms):
    """Source and target of each graph, `[2, B]`: the first pair that will do of those that rows of draws name; else -1.

    Of a pair's two draws the first is for any node, the source, and the second for a node at most `HOPS` edges from it.
    The pair will do if they differ and no path between them with more edges is shorter than all with `HOPS` or fewer.
    """
    ends = np.full((2, len(sizes)), -1)
    for b in range(len(sizes)):
        n, first = sizes[b], offsets[b]
        # As every edge counts the same here, these are distances in edges.
        edges = np.where(values[row_starts[first] : row_starts[first + n]] != 0, 1.0, 0.0)
        shifted = row_starts[first : first + n + 1] - row_starts[first]
        for pair in range(uniforms.shape[1] // 2):
            source = int(uniforms[b, 2 * pair] * n)
            hops, _ = _relax(0, n, shifted, neighbours[row_starts[first] : row_starts[first + n]], edges, source, HOPS)
            near = np.flatnonzero(np.isfinite(hops))
            target = near[int(uniforms[b, 2 * pair + 1] * len(near))]
            if target == source:
                continue
            short, _ = _relax(first, n, row_starts, neighbours, values, source, HOPS)
            whole, _ = _relax(first, n, row_starts, neighbours, values, source, n)
            if short[target] == whole[target]:
                ends[0, b] = source
                ends[1, b] = target
                break
    return ends
