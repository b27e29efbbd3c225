"""How a memory is accessed at a few slots a head: pure functions over slots' indices (Rae et al. 2016, section 3).

Axes: batch, heads, slots (N, locations of the memory), entries (the few slots of a head), word.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor


def nearest(
    memory: Float[Tensor, "batch slots word"], keys: Float[Tensor, "batch heads word"], count: int, *, epsilon: float
) -> Int[Tensor, "batch heads entries"]:
    """The slots most similar to each key by cosine, best first; of equals, the first.

    Args:
        memory: the memory.
        keys: one key a head.
        count: slots to find (K).
        epsilon: added to squared lengths, as in `addressing.cosine_similarity`; a key's length changes no order.
    """
    with torch.no_grad():
        scores = torch.bmm(keys, memory.mT) * torch.rsqrt(memory.square().sum(2) + epsilon)[:, None]
        # A copy, or the whole order would be kept for the way back.
        return torch.sort(scores, dim=2, descending=True, stable=True).indices[:, :, :count].clone()


def take(
    memory: Float[Tensor, "batch slots word"], slots: Int[Tensor, "batch heads entries"]
) -> Float[Tensor, "batch heads entries word"]:
    """The words at some slots."""
    # Indexed, not gathered: the derivative of `gather` would keep the memory.
    return memory[torch.arange(len(memory), device=memory.device)[:, None, None], slots]


def weigh(
    words: Float[Tensor, "batch heads entries word"],
    keys: Float[Tensor, "batch heads word"],
    strengths: Float[Tensor, "batch heads"],
    *,
    epsilon: float,
) -> Float[Tensor, "batch heads entries"]:
    """Softmax, over a head's entries alone, of their cosine with its key times its strength."""
    word_scale = torch.rsqrt(words.square().sum(3) + epsilon)
    key_scale = torch.rsqrt(keys.square().sum(2) + epsilon)
    similarity = torch.einsum("bhkw,bhw->bhk", words, keys) * word_scale * key_scale[:, :, None]
    return torch.softmax(strengths[:, :, None] * similarity, 2)


def least_recent(accessed: Num[Tensor, "batch slots"], count: int) -> Int[Tensor, "batch heads"]:
    """The slots accessed longest ago, or least used, one for each of `count` heads; of equals, the first."""
    return torch.sort(accessed, dim=1, stable=True).indices[:, :count].clone()


def replace(
    memory: Float[Tensor, "batch slots word"],
    cleared: Int[Tensor, "batch heads"],
    slots: Int[Tensor, "batch heads entries"],
    weights: Float[Tensor, "batch heads entries"],
    words: Float[Tensor, "batch heads word"],
) -> Float[Tensor, "batch slots word"]:
    """The memory after some slots were set to zero, then every head has added its word at its slots."""
    zeroed = torch.zeros_like(memory[:, :, 0], dtype=torch.bool).scatter(1, cleared, True)
    added = (weights[..., None] * words[:, :, None]).flatten(1, 2)
    index = slots.flatten(1)[:, :, None].expand_as(added)
    return torch.where(zeroed[:, :, None], 0.0, memory).scatter_add(1, index, added)


def replace_all(
    memory: Float[Tensor, "batch slots word"],
    cleared: Int[Tensor, "batch heads"],
    weightings: Float[Tensor, "batch heads slots"],
    words: Float[Tensor, "batch heads word"],
) -> Float[Tensor, "batch slots word"]:
    """What `replace` does, where heads write to all slots."""
    zeroed = torch.zeros_like(memory[:, :, 0], dtype=torch.bool).scatter(1, cleared, True)
    return torch.where(zeroed[:, :, None], 0.0, memory) + torch.einsum("bhn,bhw->bnw", weightings, words)


def spread(
    slots: Int[Tensor, "batch heads entries"], weights: Float[Tensor, "batch heads entries"], total: int
) -> Float[Tensor, "batch heads slots"]:
    """Sparse weights as weightings of all slots."""
    return weights.new_zeros(*weights.shape[:2], total).scatter_add(2, slots, weights)
