"""Neural GPU with diagonal gates and hard nonlinearities (Freivalds and Liepins, 2017).

The memory s is one vector of maps a token. The tokens, through a hard tanh, are its start; an iteration is

    r = hσ(U' * s + B'),  c = htanh(U * (r ⊙ s) + B),  g = hσ(U'' * s + B''),  s' = g ⊙ shift(s) + (1 - g) ⊙ c

with convolutions of width 3, htanh(x) = max(-1, min(1, x)) and hσ(x) = max(0, min(1, (x + 1) / 2)). The diagonal gate
g carries a third of the maps on from the left neighbour and a third from the right one, so that a value can travel
along the sequence unchanged. A sequence of n tokens takes n iterations, all within one step of the processor.

Hard functions have no gradient where they are saturated, so what enters them is held near their linear part by the
penalty `saturation`: the excess of |x| over 0.9, summed over tokens, maps and iterations (that of the tokens' own hard
tanh counts n times), over n², times `saturation_weight`. It comes with its weight, since that of the trainer is 1
where not named.

Follows the authors' code (github.com/LUMII-Syslab/DNGPU). Its bins pad all sequences to one length, which is then
the number of iterations; here a sequence takes as many as it has tokens and its padding costs nothing, so that batch
mates change nothing. Dropout, which the authors have at a rate of 0.1, and of 0.5 for addition, is an option. Their
noise of gradients is left out. They tune the penalty's weight, so that it stays as small a share of the loss as the
learning rate is: a fixed one keeps gates from opening all the way, and what passes many of them fades. In place of that
`saturation_decay` lets the weight fall geometrically over training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.processor import Inputs, Latents, ProcessorConfig, State, Step
from zoo.registry import register
from zoo.sequence.whole import WholeSequence, own_iterations
from zoo.topology import Topology

BIBTEX = """
@article{freivalds2017improving,
  title   = {Improving the Neural {GPU} Architecture for Algorithm Learning},
  author  = {Freivalds, K{\\=a}rlis and Liepins, Renars},
  journal = {arXiv preprint arXiv:1702.08727},
  year    = {2017}
}
"""

RESET_BIAS, GATE_BIAS = 0.5, 0.7
"""Start of the biases of the reset and of the diagonal gate."""

SATURATION_LIMIT = 0.9
"""What enters a hard function costs nothing up to here."""

KERNEL = 3
"""Width of a convolution."""


@dataclass(frozen=True, kw_only=True)
class DiagonalNeuralGPUConfig(ProcessorConfig):
    """Options of `diagonal_neural_gpu`."""

    diagonal: bool = option(True, "gates carry a third of the maps from either neighbour; without, none are shifted")
    saturation_weight: float = option(1e-3, "weight of the penalty on what saturates the hard functions")
    saturation_decay: float = option(1.0, "share of that weight that is left at the end of training")
    dropout: float = option(0.0, "share of the entries of tokens and candidates that is zeroed in training")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.saturation_decay <= 1:
            raise ValueError(f"saturation_decay must be above 0 and at most 1, not {self.saturation_decay}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be from 0 to below 1, not {self.dropout}")


def hard_tanh(x: Tensor) -> Tensor:
    """x, cut off at -1 and 1."""
    return x.clamp(-1, 1)


def hard_sigmoid(x: Tensor) -> Tensor:
    """(x + 1) / 2, cut off at 0 and 1."""
    return (x * 0.5 + 0.5).clamp(0, 1)


def excess(x: Tensor) -> Tensor:
    """How far what enters a hard function is beyond its linear part."""
    return F.relu(x.abs() - SATURATION_LIMIT)


def shift(memory: Float[Tensor, "batch maps length"]) -> Float[Tensor, "batch maps length"]:
    """The second-last third of the maps taken from the left neighbour, the last third from the right one.

    What falls outside is zero; with a number of maps that three does not divide, those left over stay.
    """
    third = memory.shape[1] // 3
    stays, right, left = memory.split([memory.shape[1] - 2 * third, third, third], 1)
    return torch.cat([stays, F.pad(right[..., :-1], (1, 0)), F.pad(left[..., 1:], (0, 1))], 1)


def convolution(maps: int, bias: float) -> nn.Conv1d:
    """A convolution that keeps the sequence's length, initialised as the authors'."""
    layer = nn.Conv1d(maps, maps, KERNEL, padding=KERNEL // 2)
    assert layer.bias is not None
    nn.init.xavier_uniform_(layer.weight)
    nn.init.constant_(layer.bias, bias)
    return layer


@register(
    "diagonal_neural_gpu",
    config=DiagonalNeuralGPUConfig,
    paper="Freivalds and Liepins, 2017",
    year=2017,
    bibtex=BIBTEX,
)
class DiagonalNeuralGPU(WholeSequence):
    """Diagonal Neural GPU over the nodes in order; what a token is, `WholeSequence` says."""

    Config: ClassVar[type[ProcessorConfig]] = DiagonalNeuralGPUConfig
    config: DiagonalNeuralGPUConfig

    def __init__(self, config: DiagonalNeuralGPUConfig) -> None:
        """Make the convolutions."""
        super().__init__(config)
        self.reset = convolution(self.hidden_size, RESET_BIAS)
        self.gate = convolution(self.hidden_size, GATE_BIAS)
        self.candidate = convolution(self.hidden_size, 0.0)
        self.saturation: Tensor
        self.register_buffer("saturation", torch.tensor(config.saturation_weight), persistent=False)

    def anneal(self, progress: float) -> None:
        """Set the weight of the penalty."""
        self.saturation.fill_(self.config.saturation_weight * self.config.saturation_decay**progress)

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """All iterations; see `Processor.forward`."""
        sequence, mask = self.read(inputs, hidden, topology)
        nodes, cost = self.iterate(sequence.transpose(1, 2), mask)
        penalties = {"saturation": self.saturation * cost}
        return Step(Latents(topology.from_sequence(nodes.transpose(1, 2))), state, penalties=penalties)

    def iterate(
        self, given: Float[Tensor, "batch maps length"], mask: Bool[Tensor, "batch length"] | None
    ) -> tuple[Float[Tensor, "batch maps length"], Float[Tensor, " batch"]]:
        """Run every sequence for as many iterations as it has tokens.

        Args:
            given: what the memory starts from, zero at padding.
            mask: what is no padding; None if nothing is.

        Returns:
            The memory at the end, and the cost of saturation without its weight.
        """
        length = given.shape[2]
        inside = given.new_ones(1, 1, 1, dtype=torch.bool) if mask is None else mask[:, None]
        count = given.new_full((given.shape[0],), length) if mask is None else mask.sum(1).to(given.dtype)
        memory = self.dropped(hard_tanh(given))
        cost = count * excess(given).sum((1, 2))
        # Both gates read the memory: one convolution of twice the maps, put together once a pass.
        gates = torch.cat([self.reset.weight, self.gate.weight]), torch.cat([self.reset.bias, self.gate.bias])  # type: ignore[list-item]
        for takes_part in own_iterations(mask, length):
            before_gates = F.conv1d(memory, *gates, padding=KERNEL // 2)
            reset, gate = hard_sigmoid(before_gates).chunk(2, 1)
            before_candidate = self.candidate(reset * memory)
            carried = shift(memory) if self.config.diagonal else memory
            candidate = self.dropped(hard_tanh(before_candidate))
            new = torch.where(inside, gate * carried + (1 - gate) * candidate, 0.0)
            beyond = torch.where(inside, excess(before_gates).sum(1, True) + excess(before_candidate).sum(1, True), 0.0)
            added = beyond.sum((1, 2))
            if takes_part is not None:
                new = torch.where(takes_part[:, None, None], new, memory)
                added = torch.where(takes_part, added, 0.0)
            memory, cost = new, cost + added
        return memory, cost / count.square()

    def dropped(self, x: Tensor) -> Tensor:
        """Dropout, in training."""
        return F.dropout(x, self.config.dropout, self.training)
