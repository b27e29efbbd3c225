"""What residual switch units share (Draguns et al., 2021; Ozoliņš et al., 2020): variance-keeping weights, and GELU."""

from __future__ import annotations

import math

import torch
from torch import Tensor

RESIDUAL_WEIGHT = 0.9
"""Start of the residual's scale σ(S) (Draguns et al., section "Residual Switch Unit")."""

CANDIDATE_WEIGHT = math.sqrt(1 - RESIDUAL_WEIGHT**2) * 0.25
"""The constant h: keeps the variance of a switch's output near that of its input."""


def gelu(x: Tensor) -> Tensor:
    """The authors' approximation of GELU."""
    return x * torch.sigmoid(1.702 * x)
