"""A batch of graphs as one matrix in compressed rows, as padded matrices, and as a list of edges."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.kernel import kernel

Array = NDArray[Any]


class Graphs(NamedTuple):
    """A block-diagonal matrix A[sender, receiver] in compressed rows, one row a sender, and the sources.

    The pattern holds every node itself, and with an edge its reverse: 0 stands where there is none.
    """

    sizes: Array  # int64 [B]
    offsets: Array  # int64 [B]: position of each graph's first node in ΣN
    row_starts: Array  # int64 [ΣN + 1]
    neighbours: Array  # int32 [ΣE], local, ascending in each row
    values: Array  # float64 [ΣE]; 0 where the pattern has an entry that is not an edge
    source: Array  # int64 [B]; of no meaning to a task without a source


def offsets_of(sizes: Array) -> Array:
    """Position of each graph's first node in ΣN."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)[:-1]])


def pairs(graphs: Graphs) -> tuple[Array, Array, Array]:
    """Graph, sender and receiver of every entry of the pattern, local numbers `[ΣE]`."""
    sender = np.repeat(np.arange(len(graphs.row_starts) - 1), np.diff(graphs.row_starts))
    graph = np.repeat(np.arange(len(graphs.sizes)), graphs.sizes)[sender]
    return graph, sender - graphs.offsets[graph], graphs.neighbours


def reversal(graphs: Graphs) -> Array:
    """Position of each entry's reverse: also the order by (receiver, sender), as the pattern is symmetric."""
    return _reverse(graphs.row_starts, graphs.neighbours, graphs.offsets)


def reversed_values(graphs: Graphs) -> Array:
    """Values of the same pattern with every edge turned round."""
    return graphs.values[reversal(graphs)]


def in_layout(graphs: Graphs, entries: Array, nodes: int | None) -> Array:
    """Values of the pattern's entries `[…, ΣE]` as a batch holds them.

    Args:
        graphs: whose pattern it is.
        entries: in the order of the rows.
        nodes: of a padded sample, for `[…, B, nodes, nodes]` with zeros where there is no entry; None for the sparse
            layout, `[…, ΣE]` by (receiver, sender).
    """
    if nodes is None:
        return np.take(entries, reversal(graphs), axis=-1)
    matrices = np.zeros((*entries.shape[:-1], len(graphs.sizes), nodes, nodes), entries.dtype)
    matrices[..., *pairs(graphs)] = entries
    return matrices


def placement(graphs: Graphs, layout: str) -> tuple[Array, int]:
    """Where each graph's nodes begin in a flat row of node values, and the row's width."""
    if layout == "sparse":
        return graphs.offsets, int(graphs.sizes.sum())
    nodes = int(graphs.sizes.max())
    return np.arange(len(graphs.sizes)) * nodes, len(graphs.sizes) * nodes


@kernel
def _counting_sort(order, keys, bound):
    """A permutation, stably sorted by the keys below `bound` of what it names."""
    free = np.zeros(bound + 1, np.int64)
    for k in keys:
        free[k + 1] += 1
    for k in range(bound):
        free[k + 1] += free[k]
    out = np.empty(len(order), np.int64)
    for e in order:
        out[free[keys[e]]] = e
        free[keys[e]] += 1
    return out


@kernel
def close(edges, weights, nodes):
    """Row starts, senders, receivers, values of the closure of `[2, E]` under reversal and self-loops, in linear time.

    No rows at all where the same edge came twice.
    """
    given = edges.shape[1]
    senders = np.empty(2 * given + nodes, np.int64)
    receivers = np.empty(2 * given + nodes, np.int64)
    for e in range(given):
        senders[e] = receivers[given + e] = edges[0, e]
        receivers[e] = senders[given + e] = edges[1, e]
    for u in range(nodes):
        senders[2 * given + u] = receivers[2 * given + u] = u
    order = _counting_sort(_counting_sort(np.arange(len(senders)), receivers, nodes), senders, nodes)
    row_starts = np.zeros(nodes + 1, np.int64)
    kept = np.empty((2, len(order)), np.int64)
    values = np.zeros(len(order))
    filled = np.zeros(len(order), np.bool_)
    count = 0
    for e in order:
        u, v = senders[e], receivers[e]
        if count == 0 or kept[0, count - 1] != u or kept[1, count - 1] != v:
            kept[0, count] = u
            kept[1, count] = v
            row_starts[u + 1] += 1
            count += 1
        if e < given:
            if filled[count - 1]:
                return row_starts[:0], kept[0, :0], kept[1, :0], values[:0]
            filled[count - 1] = True
            values[count - 1] = weights[e]
    for u in range(nodes):
        row_starts[u + 1] += row_starts[u]
    return row_starts, kept[0, :count], kept[1, :count], values[:count]


@kernel
def rows_from_dense(weights, sizes):
    """Compressed rows of A `[B, N, N]`, closed under reversal, with every self-loop."""
    row_starts = np.zeros(sizes.sum() + 1, np.int64)
    row = 0
    for b in range(len(sizes)):
        for u in range(sizes[b]):
            degree = 0
            for v in range(sizes[b]):
                if u == v or weights[b, u, v] != 0 or weights[b, v, u] != 0:
                    degree += 1
            row_starts[row + 1] = row_starts[row] + degree
            row += 1
    neighbours = np.empty(row_starts[row], np.int32)
    values = np.empty(row_starts[row])
    k = 0
    for b in range(len(sizes)):
        for u in range(sizes[b]):
            for v in range(sizes[b]):
                if u == v or weights[b, u, v] != 0 or weights[b, v, u] != 0:
                    neighbours[k] = v
                    values[k] = weights[b, u, v]
                    k += 1
    return row_starts, neighbours, values


@kernel
def matrices(row_starts, neighbours, values, sizes, offsets, nodes):
    """A and adj = (A + I != 0), `[B, N, N]`, zero in the padding."""
    weights = np.zeros((len(sizes), nodes, nodes), np.float32)
    adjacency = np.zeros((len(sizes), nodes, nodes), np.bool_)
    for b in range(len(sizes)):
        for u in range(sizes[b]):
            for k in range(row_starts[offsets[b] + u], row_starts[offsets[b] + u + 1]):
                v = neighbours[k]
                weights[b, u, v] = values[k]
                adjacency[b, u, v] = values[k] + (1.0 if u == v else 0.0) != 0.0
    return weights, adjacency


@kernel
def edge_list(row_starts, neighbours, values, offsets):
    """Edges sorted by (receiver, sender): positions in ΣN `[2, ΣE]`, A and adj `[ΣE]`.

    The pattern is symmetric, so row v also says where the edges into v begin, and where they come from.
    """
    nodes = len(row_starts) - 1
    edges = np.empty((2, len(neighbours)), np.int64)
    weights = np.empty(len(neighbours), np.float32)
    adjacency = np.empty(len(neighbours), np.bool_)
    free = row_starts[:nodes].copy()
    b = 0
    for u in range(nodes):
        while b + 1 < len(offsets) and u >= offsets[b + 1]:
            b += 1
        for k in range(row_starts[u], row_starts[u + 1]):
            v = offsets[b] + neighbours[k]
            edges[0, k] = v
            edges[1, k] = u
            slot = free[v]
            free[v] += 1
            weights[slot] = values[k]
            adjacency[slot] = values[k] + (1.0 if u == v else 0.0) != 0.0
    return edges, weights, adjacency


@kernel
def _reverse(row_starts, neighbours, offsets):
    """Position of the entry (v, u) for each entry (u, v), `[ΣE]`."""
    out = np.empty(len(neighbours), np.int64)
    free = row_starts.copy()
    b = 0
    for u in range(len(row_starts) - 1):
        while b + 1 < len(offsets) and u >= offsets[b + 1]:
            b += 1
        for k in range(row_starts[u], row_starts[u + 1]):
            v = offsets[b] + neighbours[k]
            out[k] = free[v]
            free[v] += 1
    return out
