"""The maximum of sums and its derivative, and the derivative of a last layer that goes into a maximum, as machine code.

Of all senders' messages to a receiver, each channel of the maximum has one; the gradient of the rest is zero. As
products of matrices, the derivative of the last layer multiplies these zeros; here only what won is touched. Of sums
without layers only who won is kept, one number a receiver and channel; where several tie, they are looked for again.
Imported only when a maximum needs it, for numba takes a second to load. `zoo.message_max.message_max_plain` is the
reference.
"""

from __future__ import annotations

import numpy as np

from zoo.kernel import kernel

TIED = np.int32(1 << 30)
"""Set in a winner that is the first of several."""
MAXIMA = 4096
"""At a time, of some receivers: they stay in the first-level cache while senders go by."""
LEAST = 8
"""Receivers at a time: the channels of edges to so many share a cache's line."""


@kernel
def last_layer_backward(
    won: np.ndarray,
    share: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    to_x: np.ndarray,
    to_weight: np.ndarray,
    to_bias: np.ndarray,
) -> None:
    """Gradients of `W x + b` under a maximum over senders, `x` itself being what a ReLU let through.

    Args:
        won: `[batch, senders, receivers, hidden]`; which messages are their channel's maximum.
        share: `[batch, receivers, hidden]`; gradient of the maximum, divided among those that tie.
        x: `[batch, senders, receivers, hidden]`; the layer's input.
        weight: `[hidden, hidden]`, of the layer.
        to_x: gradient of what went into the ReLU; written.
        to_weight: gradient of the weight; added to.
        to_bias: gradient of the bias; added to.
    """
    hidden = weight.shape[0]
    for b in range(won.shape[0]):
        for s in range(won.shape[1]):
            for r in range(won.shape[2]):
                row, back = x[b, s, r], to_x[b, s, r]
                for k in range(hidden):
                    back[k] = 0
                for c in range(hidden):
                    if won[b, s, r, c]:
                        gradient = share[b, r, c]
                        to_bias[c] += gradient
                        out, update = weight[c], to_weight[c]
                        for k in range(hidden):
                            back[k] += gradient * out[k]
                            update[k] += gradient * row[k]
                for k in range(hidden):
                    if row[k] <= 0:
                        back[k] = 0


@kernel
def sums_forward(
    senders: np.ndarray, edges: np.ndarray, rows: np.ndarray, mask: np.ndarray, best: np.ndarray, won: np.ndarray
) -> None:
    """`best_r = max_s (senders_s + edges_sr rows)` over the edges that exist, and the first s that has it.

    Args:
        senders: `[batch, nodes, hidden]`.
        edges: `[batch, nodes, nodes, channels]`.
        rows: `[channels, hidden]`.
        mask: `[batch, nodes, nodes]`, edges that exist; of no elements for all.
        best: `[batch, nodes, hidden]`, -inf everywhere; written.
        won: likewise, int32, -1 everywhere; written. `TIED` is set where several s have the maximum.
    """
    nodes, hidden = senders.shape[1], senders.shape[2]
    value = np.empty(hidden, senders.dtype)
    some = max(LEAST, MAXIMA // hidden)
    for b in range(senders.shape[0]):
        for start in range(0, nodes, some):
            stop = min(start + some, nodes)
            for s in range(nodes):
                this = np.int32(s)
                for r in range(start, stop):
                    if mask.size and not mask[b, s, r]:
                        continue
                    value[:] = senders[b, s]
                    for k in range(rows.shape[0]):
                        channel, row = edges[b, s, r, k], rows[k]
                        for h in range(hidden):
                            value[h] += channel * row[h]
                    top, winner = best[b, r], won[b, r]
                    for h in range(hidden):
                        new, before, which = value[h], top[h], winner[h]
                        greater = new > before or new != new
                        again = np.int32(which | TIED) if new == before else which
                        top[h] = new if greater else before
                        winner[h] = this if greater else again


@kernel
def sums_backward(
    grad: np.ndarray,
    won: np.ndarray,
    senders: np.ndarray,
    edges: np.ndarray,
    rows: np.ndarray,
    mask: np.ndarray,
    to_senders: np.ndarray,
    to_edges: np.ndarray,
    to_rows: np.ndarray,
) -> None:
    """Gradients of the terms of `sums_forward`; those that tie share alike.

    Args:
        grad: `[batch, nodes, hidden]`, of the maxima.
        won: what `sums_forward` wrote.
        senders: as there.
        edges: as there.
        rows: as there.
        mask: as there.
        to_senders: added to.
        to_edges: added to.
        to_rows: added to.
    """
    nodes, channels = senders.shape[1], rows.shape[0]
    for b in range(senders.shape[0]):
        for r in range(nodes):
            for h in range(senders.shape[2]):
                winner, share = won[b, r, h], grad[b, r, h]
                if winner < 0:
                    continue
                first = winner & ~TIED
                last, best = first + 1, senders[b, first, h]
                for k in range(channels):
                    best += edges[b, first, r, k] * rows[k, h]
                if winner != first:
                    count, last = 0, nodes
                    for s in range(first, nodes):
                        value = senders[b, s, h]
                        for k in range(channels):
                            value += edges[b, s, r, k] * rows[k, h]
                        count += value == best and (mask.size == 0 or mask[b, s, r])
                    share /= count
                for s in range(first, last):
                    value = senders[b, s, h]
                    for k in range(channels):
                        value += edges[b, s, r, k] * rows[k, h]
                    if s == first or (value == best and (mask.size == 0 or mask[b, s, r])):
                        to_senders[b, s, h] += share
                        for k in range(channels):
                            to_edges[b, s, r, k] += share * rows[k, h]
                            to_rows[k, h] += share * edges[b, s, r, k]
