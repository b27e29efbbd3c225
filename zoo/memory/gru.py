"""Gated recurrent units (Cho et al., EMNLP 2014, arXiv 1406.1078), in layers.

With σ the logistic function and ⊙ the product entry by entry:

    r = σ(W_r x + U_r h + b_r)                      eq. 5
    z = σ(W_z x + U_z h + b_z)                      eq. 6
    h̃ = tanh(W x + b + r ⊙ (U h + c))               eq. 8
    h' = z ⊙ h + (1 - z) ⊙ h̃                        eq. 7

Different on purpose: the reset gate r is applied to U h, as in the first version of the paper and in torch's kernels,
where the published version applies it to h before the map; biases, which the paper leaves out; a learned start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zoo.memory.layers import RecurrentCell, RecurrentConfig
from zoo.memory.sweep import Sweep
from zoo.registry import register


@dataclass(frozen=True, kw_only=True)
class GRUConfig(RecurrentConfig):
    """Options of the GRU; its layers are hidden_size wide."""


class GRUCell(RecurrentCell):
    """A stack of GRU layers; the output is the topmost hidden."""

    rows = 3  # in torch's order: reset, update, candidate

    def kernel(self) -> Callable[..., Any]:
        """Torch's kernel of these layers."""
        return torch.gru

    def advance(self, below: Tensor, past: Tensor, hidden: Tensor) -> Tensor:
        """New hidden of a layer; see `RecurrentCell.advance`."""
        reset, update, candidate = below.chunk(3, 1)
        past_reset, past_update, past_candidate = past.chunk(3, 1)
        reset, update = (reset + past_reset).sigmoid(), (update + past_update).sigmoid()  # eqs. 5, 6
        new = (candidate + reset * past_candidate).tanh()  # eq. 8
        return torch.lerp(new, hidden, update)  # eq. 7


@register(
    "gru",
    config=GRUConfig,
    paper="Cho et al., 2014",
    year=2014,
    bibtex="""
@inproceedings{cho2014learning,
  title={Learning Phrase Representations using {RNN} Encoder--Decoder for Statistical Machine Translation},
  author={Cho, Kyunghyun and van Merri{\\"e}nboer, Bart and Gulcehre, Caglar and Bahdanau, Dzmitry and
          Bougares, Fethi and Schwenk, Holger and Bengio, Yoshua},
  booktitle={Empirical Methods in Natural Language Processing},
  year={2014}
}
""",
)
class GRU(Sweep):
    """GRU layers swept over the nodes: a recurrent baseline without external memory."""

    Config = GRUConfig

    def __init__(self, config: GRUConfig) -> None:
        """Make the cell and its sweep."""
        super().__init__(config, GRUCell(config))
