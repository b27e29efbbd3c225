"""Advanced DNC (Franke, Niehues & Waibel, "Robust and Scalable Differentiable Neural Computer for Question Answering",
MRQA at ACL 2018, arXiv 1807.02658; facts of the code from JoergFranke/ADNC).

Four changes to the DNC: no temporal links, so that it reads by content only and its memory unit is linear in the
slots; layer normalisation of what the controller tells the memory, and inside the controller; dropout on the bypass
from the controller to the output, which makes it use the memory early in training; and a controller that reads both
ways: what an LSTM read backwards from the end says of a token goes to the memory unit beside the forward one's output.
`bidirectional=false` is their ADNC, the default their BiADNC.

On purpose different. Their LSTMs have no recurrence but through the cell and what the memory unit returns, which
holds the forward controller's output, dropout included; here both have the usual one. The bypass is masked once for a
sequence and not anew for every token, so that a step stays a function of its arguments, and by default not at all
(theirs: 0.1 to 0.2). Memory and weightings start at zero, where theirs start at 1/(N W) and at random. Biases of the
gates start as small random numbers: with all of them zero, an LSTM that begins with blanks stays at exact zeros, which
a layer norm cannot scale, and every such token multiplies the gradient by 10^5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.memory.cell import Cell
from zoo.memory.dnc import DNCCell, DNCConfig, DNCState
from zoo.memory.external import ControllerState, output_layer
from zoo.memory.sweep import Sweep
from zoo.recording import Record
from zoo.registry import register

# As theirs; a layer of equal activations has no variance.
LAYER_NORM_EPSILON = 1e-6
# Spread of the gates' biases before training: enough that a cell differs from unit to unit after one blank.
GATE_BIAS = 0.1


@dataclass(frozen=True, kw_only=True)
class ADNCConfig(DNCConfig):
    """Options of the ADNC; sizes are those of their code's default, on bAbI 192 slots of 64 and 172 units each way."""

    links: str = option("none", "temporal links: 'none' as published, 'dense' or 'sparse' as in the DNC")
    clip: float | None = option(None, "bound on what the controller tells the heads; none as published")
    bidirectional: bool = option(True, "whether an LSTM that reads from the end speaks to the memory unit too")
    bypass_dropout: float = option(0.0, "share of the controller's channels hidden from the output in training")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.bypass_dropout < 1:
            raise ValueError(f"bypass_dropout must be from 0 to below 1, not {self.bypass_dropout}")
        fixed = {"controller": "lstm", "controller_init": "xavier", "learn_controller": False}
        for name, value in fixed.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} must be {value!r} in the ADNC, not {getattr(self, name)!r}")


class ADNCState(NamedTuple):
    """What an ADNC carries from token to token."""

    access: DNCState
    """Memory and forward controller; the reads are what it read last."""
    kept: Float[Tensor, "batch controller"]
    """Factors of the bypass: 0, or what makes up for the zeros."""


class NormedLSTM(Cell):
    """Layers of an LSTM, each over the one below, with layer norms before the gates and before the output's tanh."""

    def __init__(self, input_size: int, units: int, layers: int) -> None:
        """Make the layers."""
        super().__init__()
        self.input_size, self.output_size = input_size, units
        self.recurrent = True
        widths = [input_size] + [units] * (layers - 1)
        # Rows are the gates: forget, input, output, candidate. Their bias is the norm's.
        self.layers = nn.ModuleList(nn.Linear(width + units, 4 * units, bias=False) for width in widths)
        self.gate_norms = nn.ModuleList(nn.LayerNorm(4 * units, eps=LAYER_NORM_EPSILON) for _ in widths)
        self.cell_norms = nn.ModuleList(nn.LayerNorm(units, eps=LAYER_NORM_EPSILON) for _ in widths)
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.xavier_uniform_(layer.weight)
        for norm in self.gate_norms:
            assert isinstance(norm, nn.LayerNorm)
            nn.init.normal_(norm.bias, std=GATE_BIAS)

    def initial(self, batch_size: int, *, like: Tensor) -> ControllerState:
        """Zeros."""
        zeros = like.new_zeros(batch_size, len(self.layers), self.output_size)
        return ControllerState(zeros, zeros)

    def forward(self, x: Float[Tensor, "batch input"], state: ControllerState) -> tuple[Tensor, ControllerState]:
        """One token; the topmost hidden, and the state after it."""
        hidden, cells = [], []
        layers = zip(self.layers, self.gate_norms, self.cell_norms, strict=True)
        for depth, (layer, gate_norm, cell_norm) in enumerate(layers):
            gates = gate_norm(layer(torch.cat([x, state.hidden[:, depth]], 1)))
            forget, open_, out = gates[:, : 3 * self.output_size].sigmoid().chunk(3, 1)
            cell = forget * state.cell[:, depth] + open_ * gates[:, 3 * self.output_size :].tanh()
            x = out * cell_norm(cell).tanh()
            hidden.append(x)
            cells.append(cell)
        return x, ControllerState(torch.stack(hidden, 1), torch.stack(cells, 1))


class TwoWayController(nn.Module):
    """The forward LSTM over token and reads; its output, with what the backward one said of the token beside it."""

    recurrent = True

    def __init__(self, config: ADNCConfig, tokens: int, future: int) -> None:
        """Make the forward LSTM for tokens of `tokens` channels, `future` more of which come from the backward one."""
        super().__init__()
        self.parts = (tokens, future, config.read_heads * config.word)
        self.forwards = NormedLSTM(tokens + self.parts[2], config.controller_size, config.controller_layers)
        self.output_size = config.controller_size + future

    def initial(self, batch_size: int, *, like: Tensor) -> ControllerState:
        """The forward LSTM's."""
        return self.forwards.initial(batch_size, like=like)

    def forward(self, x: Float[Tensor, "batch input"], state: ControllerState) -> tuple[Tensor, ControllerState]:
        """One step over [token, what the backward LSTM said of it, reads]."""
        token, future, reads = x.split(self.parts, 1)
        output, state = self.forwards(torch.cat([token, reads], 1), state)
        return torch.cat([output, future], 1), state


class ADNCCell(Cell):
    """The ADNC as a cell.

    Where it reads both ways, a token's result depends on all tokens of its sequence; a token given alone, to
    `forward`, is the last of its sequence.
    """

    def __init__(self, config: ADNCConfig) -> None:
        """Make the controllers, the memory unit and the output layer."""
        super().__init__()
        self.config = config
        self.input_size = config.input_size or config.hidden_size
        self.backwards = None
        if config.bidirectional:
            self.backwards = NormedLSTM(self.input_size, config.controller_size, config.controller_layers)
        future = config.controller_size if config.bidirectional else 0
        controller = TwoWayController(config, self.input_size, future)
        access = replace(config, input_size=self.input_size + future, output="concat")
        self.access = DNCCell(access, controller=controller, normalise=LAYER_NORM_EPSILON)
        self.tracks = self.access.tracks
        self.bypass = controller.output_size
        self.output, self.output_size = output_layer(config, self.access.output_size)

    def initial(self, batch_size: int, *, like: Tensor) -> ADNCState:
        """An empty memory; in training, the channels of the bypass that this sequence does without are drawn."""
        kept = F.dropout(like.new_ones(batch_size, self.bypass), self.config.bypass_dropout, self.training)
        return ADNCState(self.access.initial(batch_size, like=like), kept)

    def forward(self, x: Float[Tensor, "batch input"], state: ADNCState) -> tuple[Tensor, ADNCState]:
        """One token, the last of its sequence."""
        features, access = self.access(self.with_future(x.unsqueeze(1), None)[:, 0], state.access)
        return self.read_out(features, state.kept), ADNCState(access, state.kept)

    def observe(self, x: Float[Tensor, "batch input"], state: ADNCState) -> tuple[Tensor, ADNCState, Record]:
        """One token, the last of its sequence, with all that happened to the memory."""
        future = self.with_future(x.unsqueeze(1), None)[:, 0]
        features, access, record = self.access.observe(future, state.access)
        return self.read_out(features, state.kept), ADNCState(access, state.kept), record

    def loop(
        self, xs: Tensor, state: ADNCState, mask: Tensor | None = None, *, step: Any = None
    ) -> tuple[Tensor, ADNCState]:
        """All tokens, last to first and then first to last; a `step` is given the memory unit's tokens."""
        features, access = self.access.loop(self.with_future(xs, mask), state.access, mask, step=step)
        return self._outputs(features, state.kept, mask), ADNCState(access, state.kept)

    def record(
        self, xs: Tensor, state: ADNCState, mask: Bool[Tensor, "batch length"] | None = None
    ) -> tuple[Float[Tensor, "batch length output"], ADNCState, Record]:
        """The scan, and what was recorded of it."""
        features, access, record = self.access.record(self.with_future(xs, mask), state.access, mask)
        return self._outputs(features, state.kept, mask), ADNCState(access, state.kept), record

    def with_future(
        self, xs: Float[Tensor, "batch length input"], mask: Bool[Tensor, "batch length"] | None
    ) -> Float[Tensor, "batch length both"]:
        """Tokens, with what the backward LSTM says of each beside it."""
        if self.backwards is None:
            return xs
        turned = None if mask is None else mask.flip(1)
        said, _ = self.backwards.loop(xs.flip(1), self.backwards.initial(len(xs), like=xs), turned)
        return torch.cat([xs, said.flip(1)], 2)

    def read_out(self, features: Tensor, kept: Tensor) -> Tensor:
        """The output layer, over controller and reads, the former through the bypass."""
        told, reads = features.tensor_split([self.bypass], -1)
        return self.output(torch.cat([told * kept, reads], -1))

    def _outputs(self, features: Tensor, kept: Tensor, mask: Tensor | None) -> Tensor:
        """Outputs of all tokens, zero where masked."""
        ys = self.read_out(features, kept[:, None])
        return ys if mask is None else torch.where(mask[:, :, None], ys, 0.0)


@register(
    "adnc",
    config=ADNCConfig,
    paper="Franke et al., 2018",
    year=2018,
    bibtex="""
@inproceedings{franke2018robust,
  title={Robust and Scalable Differentiable Neural Computer for Question Answering},
  author={Franke, J{\\"o}rg and Niehues, Jan and Waibel, Alex},
  booktitle={Proceedings of the Workshop on Machine Reading for Question Answering},
  pages={47--59},
  year={2018}
}
""",
)
class ADNC(Sweep):
    """Advanced DNC swept over the nodes: reads by content, layer norms, a controller that reads both ways."""

    Config = ADNCConfig

    def __init__(self, config: ADNCConfig) -> None:
        """Make the cell and its sweep."""
        super().__init__(config, ADNCCell(config))
