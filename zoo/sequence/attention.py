"""Self-attention over a sequence, as transformers have it (Vaswani et al., NeurIPS 2017).

Axis letters: `keys` are the tokens that are attended to, `size` the width of one head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

LONGEST_WAVE = 10_000
"""Wavelengths of positions go from 2π up to this times 2π."""


def sines(positions: Int[Tensor, " length"], width: int) -> Float[Tensor, "length width"]:
    """Positions as waves: sine in channel 2i and cosine in channel 2i + 1 of position / 10000^(2i / width)."""
    dtype = torch.get_default_dtype()
    pair = torch.arange(0, width, 2, device=positions.device).to(dtype)
    angle = positions.to(dtype)[:, None] * torch.pow(LONGEST_WAVE, -pair / width)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)[:, :width]


class SelfAttention(nn.Module):
    """Multi-head attention of every token to all tokens that are no padding; without biases, as in the paper."""

    def __init__(self, hidden_size: int, heads: int) -> None:
        """Make the projections."""
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        self.key = nn.Linear(hidden_size, hidden_size, bias=False)
        self.value = nn.Linear(hidden_size, hidden_size, bias=False)
        self.out = nn.Linear(hidden_size, hidden_size, bias=False)
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(layer.weight)

    def forward(
        self, sequence: Float[Tensor, "batch length hidden"], mask: Bool[Tensor, "batch length"] | None
    ) -> Float[Tensor, "batch length hidden"]:
        """What each token hears.

        Args:
            sequence: all tokens.
            mask: which may be attended to; None for all.
        """
        query, key, value = (
            rearrange(layer(sequence), "batch length (heads size) -> batch heads length size", heads=self.heads)
            for layer in (self.query, self.key, self.value)
        )
        heard = F.scaled_dot_product_attention(
            query, key, value, attn_mask=None if mask is None else mask[:, None, None]
        )
        merged: Tensor = self.out(rearrange(heard, "batch heads length size -> batch length (heads size)"))
        return merged


class AttentionLayer(nn.Module):
    """Self-attention, then a network of two layers at every token, each with a residual and layer normalisation.

    Normalised after the residual, `LN(x + f(x))`, as in the paper; or before, `x + f(LN(x))`.
    """

    def __init__(self, hidden_size: int, *, heads: int, ff_size: int, norm_first: bool) -> None:
        """Make the layers."""
        super().__init__()
        self.norm_first = norm_first
        self.attention = SelfAttention(hidden_size, heads)
        self.attention_norm = nn.LayerNorm(hidden_size)
        self.transition = nn.Sequential(nn.Linear(hidden_size, ff_size), nn.ReLU(), nn.Linear(ff_size, hidden_size))
        self.transition_norm = nn.LayerNorm(hidden_size)

    def forward(
        self, sequence: Float[Tensor, "batch length hidden"], mask: Bool[Tensor, "batch length"] | None
    ) -> Float[Tensor, "batch length hidden"]:
        """The tokens after the layer; `mask` as in `SelfAttention`."""
        if self.norm_first:
            sequence = sequence + self.attention(self.attention_norm(sequence), mask)
            changed: Tensor = sequence + self.transition(self.transition_norm(sequence))
            return changed
        sequence = self.attention_norm(sequence + self.attention(sequence, mask))
        normed: Tensor = self.transition_norm(sequence + self.transition(sequence))
        return normed
