"""Which slots are in use, and where a free one is: dynamic memory allocation (Graves et al. 2016, Methods).

Several write heads go by google-deepmind/dnc: a slot is used as soon as one of them wrote there, and each allocates
from the usage that the heads before it are about to leave.

Axes: batch, reads and writes (heads), slots (locations of the memory).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

# The gradient of a cumulative product divides by its factors.
USAGE_EPSILON = 1e-6


def retention(
    read_weightings: Float[Tensor, "batch reads slots"], free_gates: Float[Tensor, "batch reads"]
) -> Float[Tensor, "batch slots"]:
    """How much of each slot the free gates do not release (psi)."""
    return (1 - free_gates[:, :, None] * read_weightings).prod(1)


def update_usage(
    usage: Float[Tensor, "batch slots"],
    write_weightings: Float[Tensor, "batch writes slots"],
    retained: Float[Tensor, "batch slots"],
) -> Float[Tensor, "batch slots"]:
    """Usage after the writes of the step before and what the free gates release."""
    written = write_weightings[:, 0]
    if write_weightings.shape[1] > 1:
        written = 1 - (1 - write_weightings).prod(1)
    return (usage + written - usage * written) * retained


def allocation(usage: Float[Tensor, "batch slots"]) -> Float[Tensor, "batch slots"]:
    """Weighting over free slots, the least used first; equally used ones by index.

    No gradient goes through the order, as in the paper.
    """
    usage = USAGE_EPSILON + (1 - USAGE_EPSILON) * usage
    ordered, order = torch.sort(usage, dim=1, stable=True)  # phi
    used_before = torch.cat([torch.ones_like(ordered[:, :1]), ordered[:, :-1]], 1).cumprod(1)
    return torch.zeros_like(usage).scatter(1, order, (1 - ordered) * used_before)


def softmax_allocation(
    usage: Float[Tensor, "batch slots"], strength: Float[Tensor, " batch"]
) -> Float[Tensor, "batch slots"]:
    """Softmax over the slots of how free they are, times a strength: no order, so a gradient everywhere."""
    return torch.softmax(strength[:, None] * (1 - usage), 1)


def allocate(
    usage: Float[Tensor, "batch slots"],
    gates: Float[Tensor, "batch writes"],
    strengths: Float[Tensor, "batch writes"] | None = None,
) -> Float[Tensor, "batch writes slots"]:
    """A weighting over free slots for every write head in turn.

    Args:
        usage: before any of them writes.
        gates: how far each writes where it allocates (write gate times allocation gate).
        strengths: of `softmax_allocation`; None for `allocation`.
    """
    found: list[Tensor] = []
    for head in range(gates.shape[1]):
        if found:
            usage = usage + (1 - usage) * gates[:, head - 1, None] * found[-1]
        found.append(allocation(usage) if strengths is None else softmax_allocation(usage, strengths[:, head]))
    return torch.stack(found, 1)
