"""Layers of recurrent units: their scan by torch's own kernels, and the cells whose only state is their hidden."""

from __future__ import annotations

import abc
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tasks.registry import option
from zoo.memory.cell import Cell, select
from zoo.memory.sweep import SweepConfig
from zoo.recording import Kind, Record, Track


def within_kernels(xs: Tensor, mask: Tensor | None) -> bool:
    """Whether torch's kernels reach a scan.

    They cannot be compiled in one graph, and packing masked sequences needs their lengths on the host.
    """
    return not torch.compiler.is_compiling() and xs.shape[1] > 0 and (mask is None or xs.device.type == "cpu")


def scan_layers(
    kernel: Callable[..., Any],
    xs: Float[Tensor, "batch length input"],
    state: Sequence[Float[Tensor, "batch layers units"]],
    weights: list[Tensor],
    mask: Bool[Tensor, "batch length"] | None,
    *,
    training: bool,
) -> tuple[Float[Tensor, "batch length units"], list[Float[Tensor, "batch layers units"]]]:
    """All tokens at once.

    Args:
        kernel: `torch.lstm`, `torch.gru`, `torch.rnn_tanh` or `torch.rnn_relu`.
        xs: tokens in order, at least one.
        state: hidden before the first token; of an LSTM hidden and cell.
        weights: of each layer in turn: the map of what is below, of its own past, and the bias of each.
        mask: see `Cell.scan`.
        training: whether gradients may be wanted (cuDNN keeps more then).

    Returns:
        Outputs of the topmost layer, and the state after the last token.
    """
    layers = len(weights) // 4
    before = [part.transpose(0, 1).contiguous() for part in state]
    with warnings.catch_warnings():
        # cuDNN would have all weights in one piece; copying them there is a small part of a scan.
        warnings.filterwarnings("ignore", message="RNN module weights")
        if mask is None:
            ys, *after = kernel(xs, _as_given(before), weights, True, layers, 0.0, training, False, True)
            return ys, [part.transpose(0, 1) for part in after]
    # Valid tokens first, in order; back again afterwards.
    order = torch.argsort(~mask, dim=1, stable=True)
    lengths = mask.sum(1)
    packed = pack_padded_sequence(
        xs.take_along_dim(order[:, :, None], 1), lengths.clamp_min(1), batch_first=True, enforce_sorted=False
    )
    assert packed.sorted_indices is not None and packed.unsorted_indices is not None
    before = [part.index_select(1, packed.sorted_indices) for part in before]
    outputs, *after = kernel(
        packed.data, packed.batch_sizes, _as_given(before), weights, True, layers, 0.0, training, False
    )
    ys, _ = pad_packed_sequence(packed._replace(data=outputs), batch_first=True, total_length=xs.shape[1])
    ys = torch.where(mask[:, :, None], ys.take_along_dim(order.argsort(1)[:, :, None], 1), 0.0)
    after = [part.index_select(1, packed.unsorted_indices).transpose(0, 1) for part in after]
    # Packing needs at least one token: what it did to samples without any is undone.
    return ys, [select(lengths > 0, new, old) for new, old in zip(after, state, strict=True)]


def _as_given(parts: list[Tensor]) -> Tensor | tuple[Tensor, ...]:
    """The state as the kernels take it: a pair for the LSTM, one tensor for the others."""
    return tuple(parts) if len(parts) > 1 else parts[0]


def layer_weights(below: nn.ModuleList, past: nn.ModuleList) -> list[Tensor]:
    """Every layer's weights and biases, as torch's kernels want them."""
    weights: list[Tensor] = []
    for low, back in zip(below, past, strict=True):
        assert isinstance(low, nn.Linear) and isinstance(back, nn.Linear)
        weights += [low.weight, back.weight, low.bias, back.bias]
    return weights


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(SweepConfig):
    """Options of layers of recurrent units, each hidden_size wide."""

    layers: int = option(1, "layers, each reading the one below")
    learn_initial: bool = option(True, "learn the state before the first token; otherwise zero")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 1:
            raise ValueError(f"layers must be at least 1, not {self.layers}")


class RecurrentState(NamedTuple):
    """What the layers carry from token to token."""

    hidden: Float[Tensor, "batch layers units"]


class RecurrentCell(Cell):
    """Layers whose only state is their hidden; the output is the topmost.

    Attributes:
        rows: rows of a layer's maps to one unit.
    """

    rows: ClassVar[int]
    tracks: Mapping[str, Track] = {
        "hidden": Track(Kind.VECTOR, ("tokens", "layers", "units"), "activations of every layer")
    }

    def __init__(self, config: RecurrentConfig) -> None:
        """Make the layers; weights U(±1/√units), as torch draws them, and biases 0."""
        super().__init__()
        self.config = config
        self.input_size = config.input_size or config.hidden_size
        self.output_size = config.hidden_size
        rows = self.rows * self.output_size
        widths = [self.input_size] + [self.output_size] * (config.layers - 1)
        self.below = nn.ModuleList(nn.Linear(width, rows) for width in widths)
        self.past = nn.ModuleList(nn.Linear(self.output_size, rows) for _ in widths)
        self.first_hidden = None
        if config.learn_initial:
            self.first_hidden = nn.Parameter(torch.randn(config.layers, self.output_size) * 0.05)
        bound = 1 / math.sqrt(self.output_size)
        for name, parameter in [*self.below.named_parameters(), *self.past.named_parameters()]:
            if "bias" in name:
                nn.init.zeros_(parameter)
            else:
                nn.init.uniform_(parameter, -bound, bound)

    @abc.abstractmethod
    def kernel(self) -> Callable[..., Any]:
        """Torch's kernel of these layers."""

    @abc.abstractmethod
    def advance(
        self,
        below: Float[Tensor, "batch rows"],
        past: Float[Tensor, "batch rows"],
        hidden: Float[Tensor, "batch units"],
    ) -> Float[Tensor, "batch units"]:
        """New hidden of a layer, from the maps of what is below and of its own past, and that past itself."""

    def initial(self, batch_size: int, *, like: Tensor) -> RecurrentState:
        """The state before the first token."""
        if self.first_hidden is None:
            return RecurrentState(like.new_zeros(batch_size, self.config.layers, self.output_size))
        return RecurrentState(self.first_hidden.expand(batch_size, -1, -1))

    def forward(self, x: Float[Tensor, "batch input"], state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """One token."""
        hidden = []
        for depth, (below, past) in enumerate(zip(self.below, self.past, strict=True)):
            own = state.hidden[:, depth]
            x = self.advance(below(x), past(own), own)
            hidden.append(x)
        return x, RecurrentState(torch.stack(hidden, 1))

    def observe(self, x: Float[Tensor, "batch input"], state: RecurrentState) -> tuple[Tensor, RecurrentState, Record]:
        """One token, with the state after it."""
        y, after = self(x, state)
        return y, after, {"hidden": after.hidden}

    def scan(
        self,
        xs: Float[Tensor, "batch length input"],
        state: RecurrentState,
        mask: Bool[Tensor, "batch length"] | None = None,
    ) -> tuple[Float[Tensor, "batch length output"], RecurrentState]:
        """All tokens at once by torch's own kernels; step by step where those do not reach."""
        if not within_kernels(xs, mask):
            return self.loop(xs, state, mask)
        weights = layer_weights(self.below, self.past)
        ys, after = scan_layers(self.kernel(), xs, state, weights, mask, training=self.training)
        return ys, RecurrentState(*after)
