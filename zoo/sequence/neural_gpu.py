"""Neural GPU (Kaiser and Sutskever, ICLR 2016): a convolutional GRU, iterated as often as the sequence is long.

The state is a mental image s of `height` × length × maps. The tokens, squashed by tanh, are its first row; the other
rows start at zero. An iteration applies `units` convolutional gated recurrent units in turn, each

    u = σ'(U' * s + B'),  r = σ'(U'' * s + B''),  s' = u ⊙ s + (1 - u) ⊙ tanh(U * (r ⊙ s) + B)

with 3 × 3 convolutions and the gates' cut-off σ'(x) = max(0, min(1, cutoff σ(x) - (cutoff - 1) / 2)), which reach 0
and 1. A sequence of n tokens takes n iterations, all within one step of the processor; the first row is read off.

Parameter-sharing relaxation: iteration t uses the t-th of `relaxations` sets of parameters, in turn, and the penalty
`relaxation` pulls them together: the sum of squared distances of all sets from their mean, times `pull`. By default
there is one set, as the architecture has it; the authors train with six and let the pull grow, which
`trainer.penalty_weights` can do. The penalty comes with its weight, since that of the trainer is 1 where not named.

Follows the authors' code as published with Price et al., 2016 (github.com/openai/neural-gpu): padding is set to zero
after every unit, gates start half open (biases 1). There a shorter sequence of a padded batch runs one iteration more
than one that fills it; here it takes as many as it has tokens, so that batch mates change nothing. Dropout, the noise
of gradients and the curriculum are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.processor import Inputs, Latents, ProcessorConfig, State, Step
from zoo.registry import register
from zoo.sequence.whole import WholeSequence, own_iterations
from zoo.topology import Topology

BIBTEX = """
@inproceedings{kaiser2016neural,
  title     = {Neural {GPU}s Learn Algorithms},
  author    = {Kaiser, {\\L}ukasz and Sutskever, Ilya},
  booktitle = {International Conference on Learning Representations},
  year      = {2016}
}
"""

GATE_BIAS = 1.0
"""Start of the biases of reset and update gates."""

INITIAL_SCALE = 1.8
"""Kernels start uniform in ± this, times the root of three over the inputs of a unit (authors' code)."""

KERNEL = 3
"""Extent of a convolution along either axis."""


@dataclass(frozen=True, kw_only=True)
class NeuralGPUConfig(ProcessorConfig):
    """Options of `neural_gpu`."""

    height: int = option(4, "rows of the mental image; hidden_size is its number of maps, 24 in the paper")
    units: int = option(2, "convolutional GRUs an iteration")
    cutoff: float = option(1.2, "gates are this times a sigmoid, cut off at 0 and 1; 1 is a plain sigmoid")
    relaxations: int = option(1, "sets of parameters used in turn; the authors train six and pull them together")
    pull: float = option(0.0005, "weight of the penalty on the distance between the sets, at its start in the paper")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("height", "units", "relaxations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.cutoff < 1:
            raise ValueError(f"cutoff must be at least 1, not {self.cutoff}")


def cutoff_sigmoid(x: Tensor, cutoff: float) -> Tensor:
    """A sigmoid stretched by `cutoff` about one half, cut off at 0 and 1."""
    return (cutoff * torch.sigmoid(x) - (cutoff - 1) / 2).clamp(0, 1)


def convolution(maps: int, bias: float) -> nn.Conv2d:
    """A convolution that keeps the image's shape, initialised as the authors'."""
    layer = nn.Conv2d(maps, maps, KERNEL, padding=KERNEL // 2)
    assert layer.bias is not None
    bound = INITIAL_SCALE * math.sqrt(3 / (KERNEL * KERNEL * maps))
    nn.init.uniform_(layer.weight, -bound, bound)
    nn.init.constant_(layer.bias, bias)
    return layer


class ConvolutionalGRU(nn.Module):
    """One convolutional gated recurrent unit."""

    def __init__(self, maps: int, cutoff: float) -> None:
        """Make the three convolutions."""
        super().__init__()
        self.cutoff = cutoff
        self.reset = convolution(maps, GATE_BIAS)
        self.update = convolution(maps, GATE_BIAS)
        self.candidate = convolution(maps, 0.0)

    def forward(self, image: Float[Tensor, "batch maps height length"]) -> Float[Tensor, "batch maps height length"]:
        """The next image."""
        reset = cutoff_sigmoid(self.reset(image), self.cutoff)
        update = cutoff_sigmoid(self.update(image), self.cutoff)
        return update * image + (1 - update) * self.candidate(reset * image).tanh()


def spread(sets: Sequence[nn.Module]) -> Float[Tensor, ""]:
    """Squared distances of the parameters of all sets from their mean over the sets, summed."""
    total = torch.zeros((), device=next(sets[0].parameters()).device)
    for versions in zip(*(one.parameters() for one in sets), strict=True):
        stacked = torch.stack(versions)
        total = total + (stacked - stacked.mean(0)).square().sum()
    return total


@register("neural_gpu", config=NeuralGPUConfig, paper="Kaiser and Sutskever, 2016", year=2016, bibtex=BIBTEX)
class NeuralGPU(WholeSequence):
    """Neural GPU over the nodes in order; what a token is, `WholeSequence` says."""

    Config: ClassVar[type[ProcessorConfig]] = NeuralGPUConfig
    config: NeuralGPUConfig

    def __init__(self, config: NeuralGPUConfig) -> None:
        """Make the sets of units."""
        super().__init__(config)
        self.sets = nn.ModuleList(
            nn.Sequential(*(ConvolutionalGRU(self.hidden_size, config.cutoff) for _ in range(config.units)))
            for _ in range(config.relaxations)
        )

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """All iterations; see `Processor.forward`."""
        sequence, mask = self.read(inputs, hidden, topology)
        first_row = sequence.tanh().transpose(1, 2)[:, :, None]
        image = F.pad(first_row, (0, 0, 0, self.config.height - 1))
        inside = None if mask is None else mask[:, None, None]
        for iteration, takes_part in enumerate(own_iterations(mask, sequence.shape[1])):
            new = image
            for unit in self.sets[iteration % len(self.sets)].children():
                new = unit(new)
                if inside is not None:
                    new = torch.where(inside, new, 0.0)
            image = new if takes_part is None else torch.where(takes_part[:, None, None, None], new, image)
        nodes = topology.from_sequence(image[:, :, 0].transpose(1, 2))
        return Step(Latents(nodes), state, penalties=self._penalties(topology))

    def _penalties(self, topology: Topology) -> Mapping[str, Tensor]:
        """How far apart the sets are, the same for every sample; nothing where there is one set."""
        if len(self.sets) == 1:
            return {}
        return {"relaxation": (self.config.pull * spread(list(self.sets))).expand(topology.batch_size)}
