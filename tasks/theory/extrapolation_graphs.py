"""The families of graphs of Xu et al., How Neural Networks Extrapolate, ICLR 2021, section 4 and appendix D."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators, graph_families
from tasks.kernel import kernel
from tasks.theory.rejection import accepted

Array = NDArray[Any]

FAMILIES = ("general", "expander", "regular", "complete", "tree", "ladder", "cycle", "path")
"""Names, in the order of their codes; one test set is of the first, the others are what training on it is compared to.

- `general`: each edge with probability 0.1, 0.2, … or 0.9, drawn until connected;
- `expander`: the same with one high probability, which is the task's;
- `regular`: every node has four neighbours, uniform among all such graphs;
- `complete`, `cycle`, `path`: what they say; `tree`: uniform among all labelled ones;
- `ladder`: two paths joined by rungs. Sizes count all nodes, of which the authors' ladders have twice as many as
  they say.
"""
SMALLEST = 5
"""Nodes of the smallest graph with four neighbours a node."""
_DEGREE = 4
_SHARED = {"tree": "prufer_tree", "ladder": "ladder"}


def pairs(seed: np.uint64, index: Array, sizes: Array, kinds: Array, expander: float) -> tuple[Array, Array]:
    """Edges of random graphs.

    Args:
        seed: the stream of samples.
        index: number of each sample, int64 `[batch]`.
        sizes: number of nodes of each, int64 `[batch]`.
        kinds: position of each one's family in `FAMILIES`, int64 `[batch]`.
        expander: probability of an edge of an expander.

    Returns:
        Edges u < v as u 2^32 + v, each once, int64; and of each sample where its own begin and how many they are,
        int64 `[batch, 2]`.
    """
    spans = np.zeros((len(sizes), 2), np.int64)
    parts: list[Array] = []
    made = 0
    tenths = generators.choices(seed, index, np.full_like(sizes, 9), generators.MEMBER)
    for n, kind in np.unique(np.stack([sizes, kinds]), axis=1).T.tolist():
        some = np.flatnonzero((sizes == n) & (kinds == kind))
        family = FAMILIES[kind]
        if family in _SHARED:
            code = np.full(len(some), graph_families.FAMILIES.index(_SHARED[family]))
            edges, own = graph_families.pairs(seed, index[some], sizes[some], code)
        else:
            chances = (1 + tenths[some]) / 10 if family == "general" else np.full(len(some), expander)
            edges, own = _listed(_masks(seed, index[some], n, family, chances), n)
        spans[some] = own + np.array([made, 0])
        made += len(edges)
        parts.append(edges)
    return np.concatenate(parts), spans


def _listed(masks: Array, n: int) -> tuple[Array, Array]:
    """Edges and spans of graphs given as masks of the pairs u < v, `[batch, pairs]`."""
    u, v = np.triu_indices(n, 1)
    rows, places = np.nonzero(masks)
    counts = np.bincount(rows, minlength=len(masks))
    edges = (u.astype(np.int64) << 32 | v.astype(np.int64))[places]
    return edges, np.stack([np.cumsum(counts) - counts, counts], axis=1)


def _masks(seed: np.uint64, index: Array, n: int, family: str, chances: Array) -> Array:
    """Which pairs u < v are edges of each graph, bool `[batch, pairs]`."""
    u, v = np.triu_indices(n, 1)
    if family in ("general", "expander"):
        rows = accepted(seed, index, len(u), partial(_are_connected, chances, n), generators.FAMILY)
        return rows < chances[:, None]
    if family == "regular":
        rows = accepted(seed, index, _DEGREE * n, partial(_are_simple, n), generators.FAMILY)
        return _matched(rows, n)[0]
    fixed = {"complete": v > u, "path": v == u + 1, "cycle": (v == u + 1) | ((u == 0) & (v == n - 1))}[family]
    return np.broadcast_to(fixed, (len(index), len(u)))


def _are_connected(chances: Array, n: int, rows: Array, of: Array) -> Array:
    """Whether the draws below a sample's chance are the edges of a connected graph."""
    connected: Array = _connected(rows < chances[of, None], n)
    return connected


def _are_simple(n: int, rows: Array, of: Array) -> Array:
    """Whether the draws join stubs to a graph without loops and double edges."""
    simple: Array = _matched(rows, n)[1]
    return simple


@kernel
def _connected(masks, n):
    """Whether each graph is in one part, from its pairs u < v; bool `[rows]`."""
    out = np.empty(len(masks), np.bool_)
    waiting = np.empty(n, np.int64)
    for row in range(len(masks)):
        seen = np.zeros(n, np.bool_)
        seen[0] = True
        waiting[0] = 0
        head, tail = 0, 1
        while head < tail:
            u = waiting[head]
            head += 1
            for v in range(n):
                low, high = min(u, v), max(u, v)
                # The pairs of lower first nodes come before those of `low`.
                if not seen[v] and masks[row, low * (2 * n - low - 1) // 2 + high - low - 1]:
                    seen[v] = True
                    waiting[tail] = v
                    tail += 1
        out[row] = tail == n
    return out


@kernel
def _matched(rows, n):
    """Stubs matched at random, each node having as many: pairs u < v `[rows, pairs]`, and whether all are different."""
    stubs = rows.shape[1]
    each = stubs // n
    masks = np.zeros((len(rows), n * (n - 1) // 2), np.bool_)
    simple = np.ones(len(rows), np.bool_)
    order = np.empty(stubs, np.int64)
    for row in range(len(rows)):
        for k in range(stubs):
            order[k] = k // each
        for k in range(stubs):
            chosen = k + int(rows[row, k] * (stubs - k))
            order[k], order[chosen] = order[chosen], order[k]
            if k % 2:
                low, high = min(order[k - 1], order[k]), max(order[k - 1], order[k])
                place = low * (2 * n - low - 1) // 2 + high - low - 1
                if low == high or masks[row, place]:
                    simple[row] = False
                    break
                masks[row, place] = True
    return masks, simple
