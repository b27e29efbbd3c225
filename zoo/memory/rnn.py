"""Simple recurrent network (Elman, Cognitive Science 1990), in layers: `h' = f(W x + b + U h + c)`.

Different on purpose: f is tanh, not the logistic function, so that the hidden is centred like that of the gated cells
which it is a control for; a learned start; gradients go through all tokens, where Elman's stop at the last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tasks.registry import option
from zoo.memory.layers import RecurrentCell, RecurrentConfig
from zoo.memory.sweep import Sweep
from zoo.processor import check_choice
from zoo.registry import register


@dataclass(frozen=True, kw_only=True)
class RNNConfig(RecurrentConfig):
    """Options of the simple recurrent network; its layers are hidden_size wide."""

    activation: str = option("tanh", "of the hidden: 'tanh' or 'relu'")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("activation", self.activation, ("tanh", "relu"))


class RNNCell(RecurrentCell):
    """A stack of layers without gates; the output is the topmost hidden."""

    rows = 1
    config: RNNConfig

    def kernel(self) -> Callable[..., Any]:
        """Torch's kernel of these layers."""
        return torch.rnn_tanh if self.config.activation == "tanh" else torch.rnn_relu

    def advance(self, below: Tensor, past: Tensor, hidden: Tensor) -> Tensor:
        """New hidden of a layer; see `RecurrentCell.advance`."""
        total = below + past
        return total.tanh() if self.config.activation == "tanh" else total.relu()


@register(
    "rnn",
    config=RNNConfig,
    paper="Elman, 1990",
    year=1990,
    bibtex="""
@article{elman1990finding,
  title={Finding Structure in Time},
  author={Elman, Jeffrey L.},
  journal={Cognitive Science},
  volume={14},
  number={2},
  pages={179--211},
  year={1990}
}
""",
)
class RNN(Sweep):
    """Layers without gates swept over the nodes: the plainest recurrent baseline."""

    Config = RNNConfig

    def __init__(self, config: RNNConfig) -> None:
        """Make the cell and its sweep."""
        super().__init__(config, RNNCell(config))
