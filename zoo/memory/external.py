"""What the cells with an external memory share: options, controller, memory before the first token."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.memory.sweep import SweepConfig
from zoo.processor import check_choice

# As in Collier & Beel 2018, their fastest initial memory to learn from.
CONSTANT_MEMORY = 1e-6
# Of the other one that they draw, before tanh.
NORMAL_MEMORY = 0.5


@dataclass(frozen=True, kw_only=True)
class MemoryConfig(SweepConfig):
    """Options of a controller with an external memory."""

    controller: str = option("lstm", "'lstm' or 'feedforward' (tanh layers)")
    controller_size: int = option(100, "units of a layer of the controller")
    controller_layers: int = option(1, "layers of the controller")
    controller_init: str = option(
        "xavier", "'xavier', LSTM forget biases 1; 'wide', LSTM weights U(±5/√(in+out)), as in pytorch-ntm"
    )
    learn_controller: bool = option(True, "learn the LSTM's state before the first token; otherwise zero")
    slots: int = option(128, "locations of the memory (N)")
    word: int = option(20, "width of a location (W)")
    read_heads: int = option(1, "number of read heads")
    memory_init: str = option(
        "constant",
        "memory before the first token: 'zero', 'constant' (1e-6), 'learned' (through tanh), or drawn once and not "
        "trained: 'random' (U(±1/√(N+W)), as in pytorch-ntm) or 'normal' (tanh of N(0, 1/2), Collier & Beel 2018)",
    )
    clip: float | None = option(20.0, "bound on what the controller tells the heads, before activations; null for none")
    output: str = option(
        "project",
        "'project': hidden is a linear map of [controller, reads]; 'concat': hidden is [controller, reads] itself, "
        "hidden_size is ignored and the decoder is the paper's output layer",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("controller", self.controller, ("lstm", "feedforward"))
        check_choice("controller_init", self.controller_init, ("xavier", "wide"))
        check_choice("memory_init", self.memory_init, ("zero", "constant", "learned", "random", "normal"))
        check_choice("output", self.output, ("project", "concat"))
        for name in ("controller_size", "controller_layers", "slots", "word", "read_heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.clip is not None and self.clip <= 0:
            raise ValueError(f"clip must be positive, or null for no bound, not {self.clip}")


class ControllerState(NamedTuple):
    """State of the controller; no layers where it is feed-forward.

    Attributes:
        hidden: `[batch, layers, units]`.
        cell: `[batch, layers, units]`.
    """

    hidden: Float[Tensor, "batch layers units"]
    cell: Float[Tensor, "batch layers units"]


class Controller(nn.Module):
    """Layers of an LSTM, or of a feed-forward net, over the token and the reads.

    Without `skip` a layer sees the one below and the output is the topmost layer; with it every layer also sees
    the token and the reads, and the output is all layers side by side (DNC, Methods, "Controller network").
    """

    def __init__(self, config: MemoryConfig, input_size: int, *, skip: bool) -> None:
        """Make the layers for tokens and reads of `input_size` channels together."""
        super().__init__()
        self.recurrent = config.controller == "lstm"
        self.skip = skip
        self.size, self.input_size = config.controller_size, input_size
        self.num_layers = config.controller_layers
        self.output_size = self.size * (self.num_layers if skip else 1)
        self.layers = nn.ModuleList()
        for depth in range(self.num_layers):
            below = input_size if depth == 0 else self.size + (input_size if skip else 0)
            if self.recurrent:
                # One matrix for [below, own hidden]; its rows are the gates: output, input, forget, candidate.
                self.layers.append(nn.Linear(below + self.size, 4 * self.size))
            else:
                self.layers.append(nn.Linear(below, self.size))
        self.first_hidden = self.first_cell = None
        if self.recurrent and config.learn_controller:
            self.first_hidden = nn.Parameter(torch.randn(self.num_layers, self.size) * 0.05)
            self.first_cell = nn.Parameter(torch.randn(self.num_layers, self.size) * 0.05)
        self._reset(config.controller_init)

    def parameters_of_layers(self) -> list[Tensor]:
        """Weight and bias of each layer, in turn."""
        return [parameter for layer in self.layers for parameter in layer.parameters()]

    def _reset(self, init: str) -> None:
        """Draw the weights."""
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.zeros_(layer.bias)
            if not self.recurrent or init == "xavier":
                for gate in layer.weight.data.split(self.size):
                    nn.init.xavier_uniform_(gate)
            else:
                bound = 5 / math.sqrt(layer.in_features)
                nn.init.uniform_(layer.weight, -bound, bound)
            if self.recurrent and init == "xavier":
                nn.init.ones_(layer.bias.data[2 * self.size : 3 * self.size])

    def initial(self, batch_size: int, *, like: Tensor) -> ControllerState:
        """The state before the first token."""
        if self.first_hidden is not None and self.first_cell is not None:
            shape = (batch_size, -1, -1)
            return ControllerState(self.first_hidden.expand(shape), self.first_cell.expand(shape))
        zeros = like.new_zeros(batch_size, self.num_layers if self.recurrent else 0, self.size)
        return ControllerState(zeros, zeros)

    def forward(
        self, x: Float[Tensor, "batch input"], state: ControllerState
    ) -> tuple[Float[Tensor, "batch output"], ControllerState]:
        """One step."""
        below = x
        hidden: list[Tensor] = []
        cells: list[Tensor] = []
        for depth, layer in enumerate(self.layers):
            if self.skip and depth > 0:
                below = torch.cat([x, below], 1)
            if self.recurrent:
                gates = layer(torch.cat([below, state.hidden[:, depth]], 1))
                out, open_, forget = gates[:, : 3 * self.size].sigmoid().chunk(3, 1)
                cell = forget * state.cell[:, depth] + open_ * gates[:, 3 * self.size :].tanh()
                below = out * cell.tanh()
                cells.append(cell)
            else:
                below = layer(below).tanh()
            hidden.append(below)
        output = torch.cat(hidden, 1) if self.skip else below
        if not self.recurrent:
            return output, state
        return output, ControllerState(torch.stack(hidden, 1), torch.stack(cells, 1))


class InitialMemory(nn.Module):
    """The memory before the first token."""

    def __init__(self, kind: str, slots: int, word: int) -> None:
        """Make it; see `MemoryConfig.memory_init` for the kinds."""
        super().__init__()
        bound = 1 / math.sqrt(slots + word)
        drawn = torch.empty(slots, word).uniform_(-bound, bound)
        self.learned = kind == "learned"
        if self.learned:
            self.memory = nn.Parameter(drawn)
        elif kind == "random":
            self.register_buffer("memory", drawn)
        elif kind == "normal":
            self.register_buffer("memory", drawn.normal_(0.0, NORMAL_MEMORY).tanh())
        else:
            value = CONSTANT_MEMORY if kind == "constant" else 0.0
            self.register_buffer("memory", torch.full((slots, word), value), persistent=False)

    def forward(self, batch_size: int) -> Float[Tensor, "batch slots word"]:
        """One memory for each sample."""
        memory = self.memory.tanh() if self.learned else self.memory
        return memory.expand(batch_size, -1, -1)


def output_layer(config: MemoryConfig, width: int) -> tuple[nn.Module, int]:
    """The map from [controller, reads] to the output, and the output's width."""
    if config.output == "concat":
        return nn.Identity(), width
    return nn.Linear(width, config.hidden_size), config.hidden_size
