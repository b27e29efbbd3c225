"""Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gates of Gers et al. 2000), in layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.memory.cell import Cell
from zoo.memory.layers import layer_weights, scan_layers, within_kernels
from zoo.memory.sweep import Sweep, SweepConfig
from zoo.recording import Kind, Record, Track
from zoo.registry import register


@dataclass(frozen=True, kw_only=True)
class LSTMConfig(SweepConfig):
    """Options of the LSTM; its layers are hidden_size wide."""

    layers: int = option(1, "layers, each reading the one below")
    learn_initial: bool = option(True, "learn the state before the first token; otherwise zero")
    forget_bias: float = option(1.0, "initial bias of the forget gates, so that memory lasts from the start")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 1:
            raise ValueError(f"layers must be at least 1, not {self.layers}")


class LSTMState(NamedTuple):
    """What the layers carry from token to token."""

    hidden: Float[Tensor, "batch layers units"]
    cell: Float[Tensor, "batch layers units"]


class LSTMCell(Cell):
    """A stack of LSTM layers; the output is the topmost hidden."""

    tracks: Mapping[str, Track] = {
        "hidden": Track(Kind.VECTOR, ("tokens", "layers", "units"), "activations of every layer"),
        "cell": Track(Kind.VECTOR, ("tokens", "layers", "units"), "cells of every layer", drawn=False),
    }

    def __init__(self, config: LSTMConfig) -> None:
        """Make the layers."""
        super().__init__()
        self.config = config
        self.input_size = config.input_size or config.hidden_size
        self.output_size = config.hidden_size
        rows = 4 * self.output_size
        widths = [self.input_size] + [self.output_size] * (config.layers - 1)
        # Rows in torch's order of gates: input, forget, candidate, output.
        self.below = nn.ModuleList(nn.Linear(width, rows) for width in widths)
        self.past = nn.ModuleList(nn.Linear(self.output_size, rows) for _ in widths)
        shape = (config.layers, self.output_size)
        self.first_hidden = nn.Parameter(torch.randn(shape) * 0.05) if config.learn_initial else None
        self.first_cell = nn.Parameter(torch.randn(shape) * 0.05) if config.learn_initial else None
        bound = 1 / math.sqrt(self.output_size)
        for name, parameter in [*self.below.named_parameters(), *self.past.named_parameters()]:
            if "bias" in name:
                nn.init.zeros_(parameter)
            else:
                nn.init.uniform_(parameter, -bound, bound)
        for bias in (parameter for name, parameter in self.below.named_parameters() if "bias" in name):
            nn.init.constant_(bias.data[self.output_size : 2 * self.output_size], config.forget_bias)

    def initial(self, batch_size: int, *, like: Tensor) -> LSTMState:
        """The state before the first token."""
        if self.first_hidden is None or self.first_cell is None:
            zeros = like.new_zeros(batch_size, self.config.layers, self.output_size)
            return LSTMState(zeros, zeros)
        return LSTMState(self.first_hidden.expand(batch_size, -1, -1), self.first_cell.expand(batch_size, -1, -1))

    def forward(self, x: Float[Tensor, "batch input"], state: LSTMState) -> tuple[Tensor, LSTMState]:
        """One token."""
        hidden, cells = [], []
        for depth, (below, past) in enumerate(zip(self.below, self.past, strict=True)):
            gates = below(x) + past(state.hidden[:, depth])
            open_, forget, candidate, out = gates.chunk(4, 1)
            cell = forget.sigmoid() * state.cell[:, depth] + open_.sigmoid() * candidate.tanh()
            x = out.sigmoid() * cell.tanh()
            hidden.append(x)
            cells.append(cell)
        return x, LSTMState(torch.stack(hidden, 1), torch.stack(cells, 1))

    def observe(self, x: Float[Tensor, "batch input"], state: LSTMState) -> tuple[Tensor, LSTMState, Record]:
        """One token, with the state after it."""
        y, after = self(x, state)
        return y, after, {"hidden": after.hidden, "cell": after.cell}

    def scan(
        self,
        xs: Float[Tensor, "batch length input"],
        state: LSTMState,
        mask: Bool[Tensor, "batch length"] | None = None,
    ) -> tuple[Float[Tensor, "batch length output"], LSTMState]:
        """All tokens at once by torch's own kernels; step by step where those do not reach."""
        if not within_kernels(xs, mask):
            return self.loop(xs, state, mask)
        weights = layer_weights(self.below, self.past)
        ys, after = scan_layers(torch.lstm, xs, state, weights, mask, training=self.training)
        return ys, LSTMState(*after)


@register(
    "lstm",
    config=LSTMConfig,
    paper="Hochreiter & Schmidhuber, 1997",
    year=1997,
    bibtex="""
@article{hochreiter1997long,
  title={Long Short-Term Memory},
  author={Hochreiter, Sepp and Schmidhuber, J{\\"u}rgen},
  journal={Neural Computation},
  volume={9},
  number={8},
  pages={1735--1780},
  year={1997}
}
""",
)
class LSTM(Sweep):
    """LSTM layers swept over the nodes: the recurrent baseline without external memory."""

    Config = LSTMConfig

    def __init__(self, config: LSTMConfig) -> None:
        """Make the cell and its sweep."""
        super().__init__(config, LSTMCell(config))
