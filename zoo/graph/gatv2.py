"""GATv2: graph attention in which a receiver's ranking of its senders is its own (Brody et al., ICLR 2022).

For each head k, the logit of receiver i's attention to sender j is `a^k · LeakyReLU(W₁^k z_j + W₂^k z_i + W_e^k e_ji +
W_g^k g)` (paper, eq. 7): the nonlinearity comes before the last linear map, not after it as in GAT. In the form of
the CLRS benchmark; the rest is in `zoo.graph.attention`. The slope of LeakyReLU is dm-clrs's, 0.01; the paper has 0.2.
dm-clrs adds a bias to each head's logits, which moves all of a softmax alike and is left out.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from zoo.edges import Edges
from zoo.encoders import truncated_normal_
from zoo.graph.attention import AttentionConfig, AttentionProcessor
from zoo.graph.messages import PairSums
from zoo.registry import register
from zoo.topology import Topology

BIBTEX = """
@inproceedings{brody2022how,
  title     = {How Attentive are Graph Attention Networks?},
  author    = {Brody, Shaked and Alon, Uri and Yahav, Eran},
  booktitle = {International Conference on Learning Representations},
  year      = {2022}
}
"""


@register("gatv2", config=AttentionConfig, paper="Brody et al., 2022", year=2022, bibtex=BIBTEX)
class GATv2(AttentionProcessor):
    """Graph attention network with dynamic attention."""

    def __init__(self, config: AttentionConfig) -> None:
        """Make the layers."""
        super().__init__(config)
        self.scores = PairSums(self.input_size + self.hidden_size, self.input_size, self.hidden_size)
        width = self.hidden_size // config.heads
        self.attention = nn.Parameter(torch.empty(config.heads, width))
        truncated_normal_(self.attention, width**-0.5)

    def logits(
        self,
        nodes: Float[Tensor, "*nodes width"],
        edges: Edges | None,
        graph: Float[Tensor, "batch input"] | None,
        topology: Topology,
    ) -> Float[Tensor, "*edges heads"]:
        """A vector a head, bent at zero, then one number of it (eq. 7)."""
        bent = F.leaky_relu(self.scores(nodes, edges, graph, topology))
        return torch.einsum("...hw,hw->...h", bent.unflatten(-1, self.attention.shape), self.attention)
