"""The derivative of a last layer that goes into a maximum, as machine code.

Of all senders' messages to a receiver, each channel of the maximum has one; the gradient of the rest is zero. As
products of matrices, the derivative of the last layer multiplies these zeros; here only what won is touched.
Imported only when a derivative needs it, for numba takes a second to load. `zoo.message_max.message_max_plain` is
the reference.
"""

from __future__ import annotations

import numpy as np

from zoo.kernel import kernel


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
