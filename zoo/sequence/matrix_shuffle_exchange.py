"""Matrix Shuffle-Exchange network (Ozoliņš et al., 2020): a Beneš network over the pairs of nodes.

The matrix of encoded edges, senders by receivers, with the nodes (plus their graph) on its diagonal, is padded with
zeros to 2^k × 2^k and read in Z-order: 2 × 2 squares of 2 × 2 squares of …, so that a position is k digits in base 4,
each a bit of the row and a bit of the column. A block is k - 1 times (switch, rotate right), k - 1 times (switch,
rotate left), and a last switch, where rotate means a cyclic shift of the digits of every position. A switch is one
unit applied to every four neighbours i = [i₁, i₂, i₃, i₄],

    o = σ(S) ⊙ i + h (W GELU(RMSNorm(Z i)) + B)

with weights shared within each half of a block. The new edges are the matrix, the new nodes its diagonal: O(n² log n)
in all. On a sequence, which has no edges, everything off the diagonal starts at zero.

Follows the authors' code (github.com/LUMII-Syslab/Matrix-SE). There as here the normalisation divides each feature by
its root mean square over all fours of a matrix, so that a sample's result depends on the size that its batch is padded
to. Dropout is left out. How nodes come in and out is ours: the paper's inputs and outputs are matrices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.edges import materialise
from zoo.processor import Inputs, Latents, Processor, ProcessorConfig, State, Step
from zoo.registry import register
from zoo.sequence.benes import power_of_two, rotate_left, rotate_right
from zoo.sequence.residual_switch import CANDIDATE_WEIGHT, RESIDUAL_WEIGHT, gelu
from zoo.topology import Topology

BIBTEX = """
@article{ozolins2020matrix,
  title   = {Matrix Shuffle-Exchange Networks for Hard {2D} Tasks},
  author  = {Ozoli{\\c{n}}{\\v{s}}, Em{\\={\\i}}ls and Freivalds, K{\\=a}rlis and {\\v{S}}ostaks, Agris},
  journal = {arXiv preprint arXiv:2006.15892},
  year    = {2020}
}
"""

NORM_EPSILON = 1e-6
"""The authors'; a feature that is zero all over stays zero."""

FOUR = 4
"""Inputs of a switch: a square of two rows and two columns."""


@dataclass(frozen=True, kw_only=True)
class MatrixShuffleExchangeConfig(ProcessorConfig):
    """Options of `matrix_shuffle_exchange`."""

    blocks: int = option(2, "Beneš blocks, each with its own weights")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.blocks < 1:
            raise ValueError(f"blocks must be at least 1, not {self.blocks}")


def to_z_order(matrix: Float[Tensor, "batch side side hidden"]) -> Float[Tensor, "batch length hidden"]:
    """The entries of a matrix of 2^k rows in Z-order: by the bits of row and column, in turn."""
    batch, side, _, hidden = matrix.shape
    bits = side.bit_length() - 1
    order = [axis for bit in range(bits) for axis in (1 + bit, 1 + bits + bit)]
    return matrix.reshape(batch, *(2,) * (2 * bits), hidden).permute(0, *order, -1).reshape(batch, side * side, hidden)


def from_z_order(sequence: Float[Tensor, "batch length hidden"]) -> Float[Tensor, "batch side side hidden"]:
    """The inverse of `to_z_order`."""
    batch, length, hidden = sequence.shape
    bits = (length.bit_length() - 1) // 2
    order = [1 + 2 * bit for bit in range(bits)] + [2 + 2 * bit for bit in range(bits)]
    return (
        sequence.reshape(batch, *(2,) * (2 * bits), hidden)
        .permute(0, *order, -1)
        .reshape(batch, 1 << bits, 1 << bits, hidden)
    )


class QuaternarySwitchUnit(nn.Module):
    """A learnt function of four entries, applied to all fours of neighbours in Z-order."""

    def __init__(self, hidden_size: int) -> None:
        """Make the layers; the middle one is twice as wide as four entries."""
        super().__init__()
        width = FOUR * hidden_size
        self.expand = nn.Linear(width, 2 * width, bias=False)
        self.contract = nn.Linear(2 * width, width)
        self.residual = nn.Parameter(torch.full((width,), math.log(RESIDUAL_WEIGHT / (1 - RESIDUAL_WEIGHT))))
        nn.init.xavier_uniform_(self.expand.weight)
        nn.init.xavier_uniform_(self.contract.weight)
        nn.init.zeros_(self.contract.bias)

    def forward(self, sequence: Float[Tensor, "batch length hidden"]) -> Float[Tensor, "batch length hidden"]:
        """Switch all fours; the length is a power of four."""
        fours = rearrange(sequence, "batch (group four) hidden -> batch group (four hidden)", four=FOUR)
        middle = gelu(self.normalise(self.expand(fours)))
        switched = torch.sigmoid(self.residual) * fours + CANDIDATE_WEIGHT * self.contract(middle)
        return rearrange(switched, "batch group (four hidden) -> batch (group four) hidden", four=FOUR)

    def normalise(self, x: Float[Tensor, "batch groups middle"]) -> Float[Tensor, "batch groups middle"]:
        """Each feature over a matrix's fours, divided by its root mean square."""
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + NORM_EPSILON)


class QuaternaryBenesBlock(nn.Module):
    """Switches and rotations after which any entry can have met any other."""

    def __init__(self, hidden_size: int) -> None:
        """Make the three switch units."""
        super().__init__()
        self.forward_switch = QuaternarySwitchUnit(hidden_size)
        self.reverse_switch = QuaternarySwitchUnit(hidden_size)
        self.last_switch = QuaternarySwitchUnit(hidden_size)

    def forward(self, sequence: Float[Tensor, "batch length hidden"]) -> Float[Tensor, "batch length hidden"]:
        """Through both halves and the last switch; the length is 4^k."""
        rounds = (sequence.shape[1].bit_length() - 1) // 2 - 1
        for _ in range(rounds):
            sequence = rotate_right(self.forward_switch(sequence), FOUR)
        for _ in range(rounds):
            sequence = rotate_left(self.reverse_switch(sequence), FOUR)
        last: Tensor = self.last_switch(sequence)
        return last


@register(
    "matrix_shuffle_exchange",
    config=MatrixShuffleExchangeConfig,
    paper="Ozoliņš et al., 2020",
    year=2020,
    bibtex=BIBTEX,
)
class MatrixShuffleExchange(Processor):
    """Matrix Shuffle-Exchange network over the pairs of nodes in order."""

    Config: ClassVar[type[ProcessorConfig]] = MatrixShuffleExchangeConfig
    config: MatrixShuffleExchangeConfig
    layouts = frozenset({"dense"})
    writes = frozenset({"nodes", "edges"})
    adjacency = "full"
    ordered = True
    batch_independent = False

    def __init__(self, config: MatrixShuffleExchangeConfig) -> None:
        """Make the layers; inputs pass through linear maps where their width is not that of the matrix."""
        super().__init__(config)
        same = self.input_size == self.hidden_size
        self.embed_nodes = nn.Identity() if same else nn.Linear(self.input_size, self.hidden_size)
        self.embed_edges = nn.Identity() if same else nn.Linear(self.input_size, self.hidden_size)
        self.blocks = nn.ModuleList(QuaternaryBenesBlock(self.hidden_size) for _ in range(config.blocks))

    def zeros(self, inputs: Inputs) -> Latents:
        """Zero hidden latents of nodes and of all pairs."""
        nodes = inputs.encoded.nodes
        batch, size = nodes.shape[:2]
        return Latents(
            nodes.new_zeros(batch, size, self.hidden_size), nodes.new_zeros(batch, size, size, self.hidden_size)
        )

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """All blocks, once; see `Processor.forward`."""
        matrix = self._matrix(inputs, hidden, topology)
        size = matrix.shape[1]
        more = power_of_two(size) - size
        sequence = to_z_order(F.pad(matrix, (0, 0, 0, more, 0, more)))
        for block in self.blocks:
            sequence = block(sequence)
        new = from_z_order(sequence)[:, :size, :size]
        return Step(Latents(new.diagonal(dim1=1, dim2=2).transpose(1, 2), new), state)

    def _matrix(self, inputs: Inputs, hidden: Latents, topology: Topology) -> Float[Tensor, "batch nodes nodes hidden"]:
        """Encoded edges and their hidden, with nodes, graph and the nodes' hidden on the diagonal; zero at padding.

        The diagonal of the edges' hidden is the nodes' hidden: added as well, it would double at every step.
        """
        nodes, edges, graph = inputs.encoded
        if graph is not None:
            nodes = nodes + topology.to_nodes(graph)
        nodes = self.embed_nodes(nodes) + hidden.nodes
        loops = torch.eye(nodes.shape[1], dtype=torch.bool, device=nodes.device)[..., None]
        matrix = torch.where(loops, nodes[:, None], 0.0)
        if edges is not None:
            matrix = matrix + self.embed_edges(materialise(edges))
        if hidden.edges is not None:
            matrix = matrix + torch.where(loops, 0.0, materialise(hidden.edges))
        if not topology.uniform:
            exists = topology.node_mask()
            matrix = torch.where((exists[:, :, None] & exists[:, None])[..., None], matrix, 0.0)
        return matrix
