"""Transformer encoder (Vaswani et al., NeurIPS 2017) over the nodes of a graph, as a control.

One step is a whole pass: tokens plus sines of their positions, then `layers` times

    a = LN(x + MultiHead(x)),  x' = LN(a + W₂ ReLU(W₁ a + b₁) + b₂)

with scaled dot-product attention among all tokens that are no padding (sections 3.1 to 3.3 and 3.5). With
`norm="pre"` the normalisation comes before each of the two networks, and once more at the end, as most of its
descendants have it. With `positions="none"` the nodes are a set, but for positions that the task encodes itself.

Left out: dropout, and the factor √width on embeddings, which are the encoders' here. The defaults are the paper's base
model but for the width, which is the zoo's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from tasks.registry import option
from zoo.processor import Inputs, Latents, ProcessorConfig, State, Step, check_choice
from zoo.registry import register
from zoo.sequence.attention import AttentionLayer, sines
from zoo.sequence.whole import WholeSequence
from zoo.topology import Topology

BIBTEX = """
@inproceedings{vaswani2017attention,
  title     = {Attention Is All You Need},
  author    = {Vaswani, Ashish and Shazeer, Noam and Parmar, Niki and Uszkoreit, Jakob and Jones, Llion and
               Gomez, Aidan N. and Kaiser, {\\L}ukasz and Polosukhin, Illia},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2017}
}
"""


@dataclass(frozen=True, kw_only=True)
class AttentionConfig(ProcessorConfig):
    """Options of processors whose nodes attend to each other."""

    heads: int = option(8, "heads of the attention; divides hidden_size")
    ff_size: int | None = option(None, "width of the layer in a token's own network; 4 times hidden_size if not given")
    positions: str = option("sines", "sines are added to tokens, or none: then only encoded positions tell the order")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("positions", self.positions, ("sines", "none"))
        if self.heads < 1 or self.hidden_size % self.heads:
            raise ValueError(f"heads must divide hidden_size {self.hidden_size}, which {self.heads} does not")
        if self.ff_size is not None and self.ff_size < 1:
            raise ValueError(f"ff_size must be at least 1, not {self.ff_size}")


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(AttentionConfig):
    """Options of `transformer`."""

    layers: int = option(6, "layers, each with its own weights")
    norm: str = option("post", "layer normalisation after each residual (post, as in the paper) or before (pre)")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("norm", self.norm, ("post", "pre"))
        if self.layers < 1:
            raise ValueError(f"layers must be at least 1, not {self.layers}")


@register("transformer", config=TransformerConfig, paper="Vaswani et al., 2017", year=2017, bibtex=BIBTEX)
class Transformer(WholeSequence):
    """Transformer encoder over the nodes; what a token is, `WholeSequence` says."""

    Config: ClassVar[type[ProcessorConfig]] = TransformerConfig
    config: TransformerConfig

    def __init__(self, config: TransformerConfig) -> None:
        """Make the layers; without sines the order of the nodes is not read."""
        super().__init__(config)
        self.ordered = config.positions == "sines"
        ff_size = config.ff_size or 4 * self.hidden_size
        pre = config.norm == "pre"
        self.layers = nn.ModuleList(
            AttentionLayer(self.hidden_size, heads=config.heads, ff_size=ff_size, norm_first=pre)
            for _ in range(config.layers)
        )
        self.final_norm = nn.LayerNorm(self.hidden_size) if pre else nn.Identity()

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """All layers, once; see `Processor.forward`."""
        sequence, mask = self.read(inputs, hidden, topology)
        if self.ordered:
            places = torch.arange(sequence.shape[1], device=sequence.device)
            sequence = sequence + sines(places, self.hidden_size).to(sequence.dtype)
        for layer in self.layers:
            sequence = layer(sequence, mask)
        return Step(Latents(topology.from_sequence(self.final_norm(sequence))), state)
