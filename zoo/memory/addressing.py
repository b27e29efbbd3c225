"""How a memory is addressed, read and written: pure functions that several architectures share.

Axes: batch, heads, slots (N, locations of the memory), word (W, the width of one).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def cosine_similarity(
    memory: Float[Tensor, "batch slots word"], keys: Float[Tensor, "batch heads word"], *, epsilon: float
) -> Float[Tensor, "batch heads slots"]:
    """Cosine of the angle between each key and each slot.

    Args:
        memory: the memory.
        keys: one key a head.
        epsilon: added to squared lengths, so that value and gradient are finite where a key or a slot is
            zero: the similarity is then 0, and its gradient at most 1/√epsilon.
    """
    slot_scale = torch.rsqrt(memory.square().sum(2) + epsilon)
    key_scale = torch.rsqrt(keys.square().sum(2) + epsilon)
    return torch.bmm(keys, memory.mT) * key_scale[:, :, None] * slot_scale[:, None, :]


def masked_similarity(
    memory: Float[Tensor, "batch slots word"],
    keys: Float[Tensor, "batch heads word"],
    masks: Float[Tensor, "batch heads word"],
    *,
    epsilon: float,
) -> Float[Tensor, "batch heads slots"]:
    """`cosine_similarity` of keys and slots both times a mask, one a head (Csordás & Schmidhuber 2019)."""
    squares = masks.square()
    slot_scale = torch.rsqrt(torch.bmm(squares, memory.square().mT) + epsilon)
    key_scale = torch.rsqrt((keys * masks).square().sum(2) + epsilon)
    return torch.bmm(keys * squares, memory.mT) * key_scale[:, :, None] * slot_scale


def content_weighting(
    memory: Float[Tensor, "batch slots word"],
    keys: Float[Tensor, "batch heads word"],
    strengths: Float[Tensor, "batch heads"],
    masks: Float[Tensor, "batch heads word"] | None = None,
    *,
    epsilon: float,
) -> Float[Tensor, "batch heads slots"]:
    """Softmax over the slots of the similarity times the strength (NTM eq. 5, DNC C(M, k, beta))."""
    if masks is None:
        similarity = cosine_similarity(memory, keys, epsilon=epsilon)
    else:
        similarity = masked_similarity(memory, keys, masks, epsilon=epsilon)
    return torch.softmax(strengths[:, :, None] * similarity, 2)


def sharpen(
    weightings: Float[Tensor, "*heads slots"], sharpness: Float[Tensor, "*heads"], *, epsilon: float
) -> Float[Tensor, "*heads slots"]:
    """Powers of the weights, normalised (NTM eq. 9); as a softmax of logarithms no power under- or overflows.

    Args:
        weightings: at least 0.
        sharpness: the powers.
        epsilon: added to the weights, so that the logarithm of an empty slot is finite.
    """
    return torch.softmax(sharpness[..., None] * (weightings + epsilon).log(), -1)


def read(
    memory: Float[Tensor, "batch slots word"], weightings: Float[Tensor, "batch heads slots"]
) -> Float[Tensor, "batch heads word"]:
    """Mean of the slots under each weighting (NTM eq. 2)."""
    return torch.bmm(weightings, memory)


def write(
    memory: Float[Tensor, "batch slots word"],
    weightings: Float[Tensor, "batch heads slots"],
    erase: Float[Tensor, "batch heads word"],
    add: Float[Tensor, "batch heads word"],
) -> Float[Tensor, "batch slots word"]:
    """The memory after every head has erased, then every head has added (NTM eqs. 3 and 4)."""
    kept = memory
    for head in range(weightings.shape[1]):
        kept = kept * (1 - weightings[:, head, :, None] * erase[:, head, None, :])
    return torch.baddbmm(kept, weightings.mT, add)
