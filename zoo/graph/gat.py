"""Graph attention network (Veličković et al., ICLR 2018), in the form of the CLRS benchmark.

For each head, the logit of receiver i's attention to sender j is `LeakyReLU(a₁ z_j + a₂ z_i + a_e e_ji + a_g g)`
(paper, eqs. 1 to 3, whose `a · [W z_i, W z_j]` is a sum of two such terms, without features of edges and graphs); the
rest is in `zoo.graph.attention`. The slope of LeakyReLU is dm-clrs's, 0.01; the paper has 0.2.

A receiver ranks its senders alike whatever its own features are, but for those of edges and for LeakyReLU's bend:
that is what `gatv2` mends.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from zoo.edges import Edges
from zoo.graph.attention import AttentionConfig, AttentionProcessor
from zoo.graph.messages import PairSums
from zoo.registry import register
from zoo.topology import Topology

BIBTEX = """
@inproceedings{velickovic2018graph,
  title     = {Graph Attention Networks},
  author    = {Veli{\\v{c}}kovi{\\'c}, Petar and Cucurull, Guillem and Casanova, Arantxa and Romero, Adriana and
               Li{\\`o}, Pietro and Bengio, Yoshua},
  booktitle = {International Conference on Learning Representations},
  year      = {2018}
}
"""


@register("gat", config=AttentionConfig, paper="Veličković et al., 2018", year=2018, bibtex=BIBTEX)
class GAT(AttentionProcessor):
    """Graph attention network."""

    def __init__(self, config: AttentionConfig) -> None:
        """Make the layers."""
        super().__init__(config)
        self.scores = PairSums(self.input_size + self.hidden_size, self.input_size, config.heads)

    def logits(
        self,
        nodes: Float[Tensor, "*nodes width"],
        edges: Edges | None,
        graph: Float[Tensor, "batch input"] | None,
        topology: Topology,
    ) -> Float[Tensor, "*edges heads"]:
        """One number a head: a linear function, bent at zero."""
        return F.leaky_relu(self.scores(nodes, edges, graph, topology))
