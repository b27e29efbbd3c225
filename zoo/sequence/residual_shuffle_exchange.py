"""Residual Shuffle-Exchange network (Draguns et al., AAAI 2021): a sequence mixed in O(n log n) by a Beneš network.

Nodes in order are the sequence. It is padded with zeros to 2^k tokens and goes through `blocks` Beneš blocks: k - 1
times (switch, rotate left), then k - 1 times (switch, rotate right), where rotate means a cyclic shift of the bits
of every position; a last switch follows. A switch is one unit applied to every pair of neighbours; its weights are
shared within each half of a block. Two tokens or fewer need the last switch only.

Follows the authors' code (github.com/LUMII-Syslab/RSE), which differs from the paper's text in the normalisation: it
runs over the pairs of a sequence, not over features, so that a sample's result depends on the length that its
batch is padded to, and a switch of one single pair ignores its inputs but for the residual. Their dropout is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.processor import Inputs, Latents, ProcessorConfig, State, Step
from zoo.recording import Kind, Record, Track
from zoo.registry import register
from zoo.sequence.benes import padded, rotate_left, rotate_right
from zoo.sequence.residual_switch import CANDIDATE_WEIGHT, RESIDUAL_WEIGHT, gelu
from zoo.sequence.whole import WholeSequence
from zoo.topology import Topology

BIBTEX = """
@inproceedings{draguns2021residual,
  title     = {Residual Shuffle-Exchange Networks for Fast Processing of Long Sequences},
  author    = {Draguns, Andis and Ozoli{\\c{n}}{\\v{s}}, Em{\\={\\i}}ls and {\\v{S}}ostaks, Agris and
               Apinis, Mat{\\={\\i}}ss and Freivalds, K{\\=a}rlis},
  booktitle = {AAAI Conference on Artificial Intelligence},
  year      = {2021}
}
"""

RESIDUAL_RATE = 2.0
"""S is stored divided by this, which speeds up its learning as much (authors' code)."""

NORM_EPSILON = 1e-6
"""The authors' 1e-10 multiplies gradients by 1e5 where a feature is constant over a sequence, as in a short one."""


@dataclass(frozen=True, kw_only=True)
class ResidualShuffleExchangeConfig(ProcessorConfig):
    """Options of `residual_shuffle_exchange`."""

    blocks: int = option(2, "Beneš blocks, each with its own weights")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.blocks < 1:
            raise ValueError(f"blocks must be at least 1, not {self.blocks}")


class SwitchUnit(nn.Module):
    """A learnt function of a pair of tokens, `o = σ(S) ⊙ i + h (W GELU(LayerNorm(Z i)) + B)`, applied to all pairs."""

    def __init__(self, hidden_size: int) -> None:
        """Make the layers; the middle one is four times as wide as a token."""
        super().__init__()
        pair, middle = 2 * hidden_size, 4 * hidden_size
        self.expand = nn.Linear(pair, middle, bias=False)
        self.offset = nn.Parameter(torch.zeros(middle))
        self.contract = nn.Linear(middle, pair)
        start = math.log(RESIDUAL_WEIGHT / (1 - RESIDUAL_WEIGHT)) / RESIDUAL_RATE
        self.residual = nn.Parameter(torch.full((pair,), start))
        nn.init.xavier_uniform_(self.expand.weight)
        nn.init.xavier_uniform_(self.contract.weight)
        # Above zero, so that an all-zero sequence does not stay one.
        nn.init.uniform_(self.contract.bias, 0.0, 0.01)

    def forward(self, sequence: Float[Tensor, "batch length hidden"]) -> Float[Tensor, "batch length hidden"]:
        """Switch every pair of neighbours; the length is even."""
        pairs = rearrange(sequence, "batch (pair two) hidden -> batch pair (two hidden)", two=2)
        middle = gelu(self.normalise(self.expand(pairs)))
        scale = torch.sigmoid(self.residual * RESIDUAL_RATE)
        switched = scale * pairs + CANDIDATE_WEIGHT * self.contract(middle)
        return rearrange(switched, "batch pair (two hidden) -> batch (pair two) hidden", two=2)

    def normalise(self, x: Float[Tensor, "batch pairs middle"]) -> Float[Tensor, "batch pairs middle"]:
        """Each feature over a sequence's pairs: centred, shifted by the offset, divided by its root mean square."""
        x = x - x.mean(1, keepdim=True) + self.offset
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + NORM_EPSILON)


class BenesBlock(nn.Module):
    """Switches and rotations after which any token can have met any other."""

    def __init__(self, hidden_size: int) -> None:
        """Make the two switch units."""
        super().__init__()
        self.forward_switch = SwitchUnit(hidden_size)
        self.reverse_switch = SwitchUnit(hidden_size)

    def forward(
        self, sequence: Float[Tensor, "batch length hidden"], seen: list[Tensor] | None = None
    ) -> Float[Tensor, "batch length hidden"]:
        """Through both halves; the length is 2^k. The sequence after every rotation is added to `seen`."""
        rounds = (sequence.shape[1] - 1).bit_length() - 1
        for _ in range(rounds):
            sequence = rotate_left(self.forward_switch(sequence))
            if seen is not None:
                seen.append(sequence)
        for _ in range(rounds):
            sequence = rotate_right(self.reverse_switch(sequence))
            if seen is not None:
                seen.append(sequence)
        return sequence


@register(
    "residual_shuffle_exchange",
    config=ResidualShuffleExchangeConfig,
    paper="Draguns et al., 2021",
    year=2021,
    bibtex=BIBTEX,
)
class ResidualShuffleExchange(WholeSequence):
    """Residual Shuffle-Exchange network over the nodes in order; what a token is, `WholeSequence` says."""

    Config: ClassVar[type[ProcessorConfig]] = ResidualShuffleExchangeConfig
    config: ResidualShuffleExchangeConfig
    batch_independent = False
    tracks: Mapping[str, Track] = {
        "layers": Track(
            Kind.VECTOR, ("layers", "positions"), "norm of the latents before the first switch and after every rotation"
        )
    }

    def __init__(self, config: ResidualShuffleExchangeConfig) -> None:
        """Make the layers."""
        super().__init__(config)
        self.blocks = nn.ModuleList(BenesBlock(self.hidden_size) for _ in range(config.blocks))
        self.last_switch = SwitchUnit(self.hidden_size)

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """The whole network, once; see `Processor.forward`."""
        return self._step(inputs, hidden, topology, state, None)

    def record(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> tuple[Step, Record]:
        """A step, with the norms of the latents between its layers."""
        seen: list[Tensor] = []
        step = self._step(inputs, hidden, topology, state, seen)
        return step, {"layers": torch.stack([sequence.norm(dim=-1) for sequence in seen], 1)}

    def _step(
        self, inputs: Inputs, hidden: Latents, topology: Topology, state: State, seen: list[Tensor] | None
    ) -> Step:
        """The whole network; the sequence before it and after every layer is added to `seen`."""
        sequence = padded(self.read(inputs, hidden, topology)[0])
        if seen is not None:
            seen.append(sequence)
        for block in self.blocks:
            sequence = block(sequence, seen)
        sequence = self.last_switch(sequence)
        if seen is not None:
            seen.append(sequence)
        sequence = sequence[:, : topology.max_nodes]
        return Step(Latents(topology.from_sequence(sequence)), state)
