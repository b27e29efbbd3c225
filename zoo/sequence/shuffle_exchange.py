"""Neural Shuffle-Exchange network (Freivalds et al., NeurIPS 2019): gated switches wired as a Beneš network.

Nodes in order are the sequence, padded with zeros to 2^k tokens. A block is k - 1 times (switch, rotate left), then
k - 1 times (switch, rotate right), where rotate means a cyclic shift of the bits of every position; a last switch
follows the blocks. A switch is one unit applied to every pair s = [s₁, s₂] of neighbours, in the manner of a GRU:

    r₁ = σ(W₁ s + B₁),  r₂ = σ(W₂ s + B₂),  u = σ(W₃ s + B₃)
    c = [tanh(W₄ (r₁ ⊙ s) + B₄), tanh(W₅ (r₂ ⊙ s) + B₅)]
    out = u ⊙ swapHalf(s₁, s₂) + (1 - u) ⊙ c

swapHalf exchanges half of the units of the two tokens. Weights are shared within each half of a block. From the
second block on, gates and candidates read s plus what came to the same switch of the block before (to the first one,
for the last switch), times a learnt vector.

Follows the authors' code (github.com/LUMII-Syslab/shuffle-exchange): gates start half open (biases 0.5), that vector
starts at 0.5, and it is the first half of the units that is exchanged. Its dropout and its noise in training are left
out. A token is squashed by tanh as the authors' embedding is; padding is zero, not a symbol of its own. A sample's
result depends on the power of two that its batch is padded to, as theirs depends on the bin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.processor import Inputs, Latents, ProcessorConfig, State, Step
from zoo.registry import register
from zoo.sequence.benes import padded, rotate_left, rotate_right
from zoo.sequence.whole import WholeSequence
from zoo.topology import Topology

BIBTEX = """
@inproceedings{freivalds2019neural,
  title     = {Neural Shuffle-Exchange Networks -- Sequence Processing in {O}(n log n) Time},
  author    = {Freivalds, K{\\=a}rlis and Ozoli{\\c{n}}{\\v{s}}, Em{\\={\\i}}ls and {\\v{S}}ostaks, Agris},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2019}
}
"""

GATE_BIAS = 0.5
"""Start of the biases of reset and update gates."""

SKIP_SCALE = 0.5
"""Start of the scale of what came to the same switch of the block before."""


@dataclass(frozen=True, kw_only=True)
class ShuffleExchangeConfig(ProcessorConfig):
    """Options of `shuffle_exchange`."""

    blocks: int = option(1, "Beneš blocks, each with its own weights; the authors take 2 for multiplication and text")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.blocks < 1:
            raise ValueError(f"blocks must be at least 1, not {self.blocks}")


def swap_half(sequence: Float[Tensor, "batch length hidden"]) -> Float[Tensor, "batch length hidden"]:
    """The first half of each token's units exchanged with those of its neighbour; the length is even."""
    half = sequence.shape[-1] // 2
    pairs = rearrange(sequence, "batch (pair two) hidden -> batch pair two hidden", two=2)
    swapped = torch.cat([pairs[..., :half].flip(2), pairs[..., half:]], -1)
    return rearrange(swapped, "batch pair two hidden -> batch (pair two) hidden")


def gate_linear(inputs: int, outputs: int, bias: float) -> nn.Linear:
    """A linear map initialised as the authors', its biases at one value."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.constant_(layer.bias, bias)
    return layer


class SwitchUnit(nn.Module):
    """A gated function of a pair of tokens, applied to all pairs of neighbours."""

    def __init__(self, hidden_size: int, *, skips: bool) -> None:
        """Make the layers.

        Args:
            hidden_size: width of a token.
            skips: whether it reads what came to the same switch of the block before.
        """
        super().__init__()
        pair = 2 * hidden_size
        self.resets = nn.ModuleList(gate_linear(pair, pair, GATE_BIAS) for _ in range(2))
        self.candidates = nn.ModuleList(gate_linear(pair, hidden_size, 0.0) for _ in range(2))
        self.update = gate_linear(pair, pair, GATE_BIAS)
        self.skip_scale = nn.Parameter(torch.full((hidden_size,), SKIP_SCALE)) if skips else None

    def forward(
        self,
        sequence: Float[Tensor, "batch length hidden"],
        skipped: Float[Tensor, "batch length hidden"] | None = None,
    ) -> Float[Tensor, "batch length hidden"]:
        """Switch every pair of neighbours; the length is even.

        Args:
            sequence: what is switched.
            skipped: what came to the same switch of the block before, if it reads that.
        """
        read = sequence
        if self.skip_scale is not None and skipped is not None:
            read = read + self.skip_scale * skipped
        pairs = rearrange(read, "batch (pair two) hidden -> batch pair (two hidden)", two=2)
        candidates = [
            candidate(torch.sigmoid(reset(pairs)) * pairs).tanh()
            for reset, candidate in zip(self.resets, self.candidates, strict=True)
        ]
        new = torch.stack(candidates, 2)
        update = rearrange(self.update(pairs), "batch pair (two hidden) -> batch pair two hidden", two=2).sigmoid()
        kept = rearrange(swap_half(sequence), "batch (pair two) hidden -> batch pair two hidden", two=2)
        return rearrange(update * kept + (1 - update) * new, "batch pair two hidden -> batch (pair two) hidden")


class BenesBlock(nn.Module):
    """Switches and rotations after which any token can have met any other."""

    def __init__(self, hidden_size: int, *, skips: bool) -> None:
        """Make the two switch units; see `SwitchUnit`."""
        super().__init__()
        self.forward_switch = SwitchUnit(hidden_size, skips=skips)
        self.reverse_switch = SwitchUnit(hidden_size, skips=skips)

    def forward(
        self, sequence: Float[Tensor, "batch length hidden"], skipped: list[Tensor]
    ) -> tuple[Float[Tensor, "batch length hidden"], list[Tensor]]:
        """Through both halves; the length is 2^k.

        Args:
            sequence: what comes in.
            skipped: what came to each switch of the block before; empty for the first block.

        Returns:
            What goes out, and what came to each switch.
        """
        rounds = (sequence.shape[1] - 1).bit_length() - 1
        came = []
        for layer in range(2 * rounds):
            came.append(sequence)
            switch, rotate = (
                (self.forward_switch, rotate_left) if layer < rounds else (self.reverse_switch, rotate_right)
            )
            sequence = rotate(switch(sequence, skipped[layer] if skipped else None))
        return sequence, came


@register("shuffle_exchange", config=ShuffleExchangeConfig, paper="Freivalds et al., 2019", year=2019, bibtex=BIBTEX)
class ShuffleExchange(WholeSequence):
    """Neural Shuffle-Exchange network over the nodes in order; what a token is, `WholeSequence` says."""

    Config: ClassVar[type[ProcessorConfig]] = ShuffleExchangeConfig
    config: ShuffleExchangeConfig
    batch_independent = False

    def __init__(self, config: ShuffleExchangeConfig) -> None:
        """Make the layers."""
        super().__init__(config)
        self.blocks = nn.ModuleList(BenesBlock(self.hidden_size, skips=block > 0) for block in range(config.blocks))
        self.last_switch = SwitchUnit(self.hidden_size, skips=config.blocks > 1)

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """The whole network, once; see `Processor.forward`.

        Two tokens or fewer need the last switch only.
        """
        sequence = padded(self.read(inputs, hidden, topology)[0].tanh())
        came: list[Tensor] = []
        for block in self.blocks:
            sequence, came = block(sequence, came)
        sequence = self.last_switch(sequence, came[0] if came else None)
        return Step(Latents(topology.from_sequence(sequence[:, : topology.max_nodes])), state)
