"""The product of matrices in the max-plus algebra and its derivative, as machine code.

Kept of n³ sums is which of them won, one number a pair and channel, so that the derivative touches n² of them; where
several tie, it looks for them again. Imported only when a product needs it, for numba takes a second to load.
`zoo.max_plus.max_plus_product_plain` is the reference.
"""

from __future__ import annotations

import numpy as np

from zoo.kernel import kernel

TIED = np.int32(1 << 30)
"""Set in a winner that is the first of several."""
ROWS = 64
"""Nodes m at a time: their terms stay in a second-level cache while pairs go by."""


@kernel
def forward(left: np.ndarray, right: np.ndarray, best: np.ndarray, won: np.ndarray) -> None:
    """`best_ij = max_m (left_im + right_mj)`, NaN where a sum is NaN, and the first m that has it.

    Args:
        left: `[batch, channels, i, m]`, in any order: n² of n³ reads.
        right: `[batch, channels, m, j]`.
        best: `[batch, channels, i, j]`; written.
        won: likewise, int32; written. `TIED` is set where several m have the maximum.
    """
    for b in range(left.shape[0]):
        for c in range(left.shape[1]):
            for i in range(left.shape[2]):
                for j in range(right.shape[3]):
                    best[b, c, i, j] = left[b, c, i, 0] + right[b, c, 0, j]
                    won[b, c, i, j] = 0
            for start in range(1, left.shape[3], ROWS):
                stop = min(start + ROWS, left.shape[3])
                for i in range(left.shape[2]):
                    top, winner = best[b, c, i], won[b, c, i]
                    for m in range(start, stop):
                        term, row, this = left[b, c, i, m], right[b, c, m], np.int32(m)
                        for j in range(right.shape[3]):
                            value, before, which = term + row[j], top[j], winner[j]
                            greater = value > before or value != value
                            top[j] = value if greater else before
                            again = np.int32(which | TIED) if value == before else which
                            winner[j] = this if greater else again


@kernel
def backward(
    grad: np.ndarray, won: np.ndarray, left: np.ndarray, right: np.ndarray, to_left: np.ndarray, to_right: np.ndarray
) -> None:
    """Gradients of the terms; those that tie share alike.

    Args:
        grad: `[batch, channels, i, j]`, of the maxima.
        won: what `forward` wrote.
        left: `[batch, channels, i, m]`.
        right: `[batch, channels, m, j]`.
        to_left: added to.
        to_right: added to.
    """
    for b in range(left.shape[0]):
        for c in range(left.shape[1]):
            for i in range(left.shape[2]):
                for j in range(right.shape[3]):
                    share, winner = grad[b, c, i, j], won[b, c, i, j]
                    if not winner & TIED:
                        to_left[b, c, i, winner] += share
                        to_right[b, c, winner, j] += share
                        continue
                    first = winner ^ TIED
                    best = left[b, c, i, first] + right[b, c, first, j]
                    count = 0
                    for m in range(first, left.shape[3]):
                        count += left[b, c, i, m] + right[b, c, m, j] == best
                    share /= count
                    for m in range(first, left.shape[3]):
                        if left[b, c, i, m] + right[b, c, m, j] == best:
                            to_left[b, c, i, m] += share
                            to_right[b, c, m, j] += share
