"""Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gates of Gers et al. 2000), in layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tasks.registry import option
from zoo.memory.cell import Cell, select
from zoo.memory.sweep import Sweep, SweepConfig
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

    def __init__(self, config: LSTMConfig) -> None:
        """Make the layers."""
        super().__init__()
        self.config = config
        self.input_size = config.input_size or config.hidden_size
        self.output_size = config.hidden_size
        self.layers = nn.LSTM(self.input_size, self.output_size, config.layers, batch_first=True)
        shape = (config.layers, self.output_size)
        self.first_hidden = nn.Parameter(torch.randn(shape) * 0.05) if config.learn_initial else None
        self.first_cell = nn.Parameter(torch.randn(shape) * 0.05) if config.learn_initial else None
        for name, parameter in self.layers.named_parameters():
            if "bias" in name:
                # Two biases are added, and torch orders the gates input, forget, candidate, output.
                nn.init.zeros_(parameter)
                if "bias_ih" in name:
                    nn.init.constant_(parameter.data[self.output_size : 2 * self.output_size], config.forget_bias)

    def initial(self, batch_size: int, *, like: Tensor) -> LSTMState:
        """The state before the first token."""
        if self.first_hidden is None or self.first_cell is None:
            zeros = like.new_zeros(batch_size, self.config.layers, self.output_size)
            return LSTMState(zeros, zeros)
        return LSTMState(self.first_hidden.expand(batch_size, -1, -1), self.first_cell.expand(batch_size, -1, -1))

    def forward(self, x: Float[Tensor, "batch input"], state: LSTMState) -> tuple[Tensor, LSTMState]:
        """One token."""
        hidden, cells = [], []
        for depth, (w_x, w_h, b_x, b_h) in enumerate(self.layers.all_weights):
            gates = F.linear(x, w_x, b_x) + F.linear(state.hidden[:, depth], w_h, b_h)
            open_, forget, candidate, out = gates.chunk(4, 1)
            cell = forget.sigmoid() * state.cell[:, depth] + open_.sigmoid() * candidate.tanh()
            x = out.sigmoid() * cell.tanh()
            hidden.append(x)
            cells.append(cell)
        return x, LSTMState(torch.stack(hidden, 1), torch.stack(cells, 1))

    def scan(
        self,
        xs: Float[Tensor, "batch length input"],
        state: LSTMState,
        mask: Bool[Tensor, "batch length"] | None = None,
    ) -> tuple[Float[Tensor, "batch length output"], LSTMState]:
        """All tokens at once by torch's own kernels."""
        if xs.shape[1] == 0:
            return self.loop(xs, state, mask)
        before = (state.hidden.transpose(0, 1).contiguous(), state.cell.transpose(0, 1).contiguous())
        if mask is None:
            ys, (hidden, cell) = self.layers(xs, before)
            return ys, LSTMState(hidden.transpose(0, 1), cell.transpose(0, 1))
        if torch.compiler.is_compiling() or xs.device.type != "cpu":
            # Packing needs the lengths on the host.
            return self.loop(xs, state, mask)
        # Valid tokens first, in order; back again afterwards.
        order = torch.argsort(~mask, dim=1, stable=True)
        lengths = mask.sum(1)
        packed = pack_padded_sequence(
            xs.take_along_dim(order[:, :, None], 1), lengths.clamp_min(1), batch_first=True, enforce_sorted=False
        )
        outputs, (hidden, cell) = self.layers(packed, before)
        ys, _ = pad_packed_sequence(outputs, batch_first=True, total_length=xs.shape[1])
        ys = torch.where(mask[:, :, None], ys.take_along_dim(order.argsort(1)[:, :, None], 1), 0.0)
        any_valid = lengths > 0
        return ys, LSTMState(
            select(any_valid, hidden.transpose(0, 1), state.hidden), select(any_valid, cell.transpose(0, 1), state.cell)
        )


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
