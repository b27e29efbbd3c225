"""End-to-end memory network (Sukhbaatar et al., NeurIPS 2015, arXiv 1503.08895), in the form of the CLRS benchmark.

Node i asks, the edges that it sends are the sentences. With x_i, e_ij and g the features of nodes, edges and graph, l
the paper's position encoding of channel c (its section 4.1), and a memory of slots j:

    u_i = Σ_c l_c ⊙ x_ic B_c,   m_ij = Σ_c l_c ⊙ e_ijc A_c + T_j,   c_ij = Σ_c l_c ⊙ e_ijc C_c          (section 2.1)
    p_ij = softmax_j(u_i · m_ij),   o_i = Σ_j p_ij c_ij                                                 (eqs. 1, 2)
    u_i ← R (u_i + o_i) between hops;   h_i = W ReLU(H (u_i + o_i)) after the last                      (eqs. 4, 3)

and the graph's features ask the same of an empty memory; their answer is added to every node's. Follows `MemNetMasked`
of `clrs/_src/processors.py` (one hop, embeddings of 16, 128 slots of which those without an edge hold T_j alone, hidden
not read), or `MemNetFull` with `adjacency="full"`. T_j depends on the order of the nodes.

Different on purpose: a channel is a word, and its value how often it occurs, so that gradients reach the encoders;
dm-clrs truncates latents to integers and looks them up as words. Embeddings start from N(0, 0.1) as in the paper;
dm-clrs starts them from zeros, where a ReLU of 0 passes no gradient on and the hidden stays 0. Nodes beyond the slots
have no T_j, where dm-clrs refuses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.edges import Edges, FoldedEdges
from zoo.processor import Inputs, Latents, Processor, ProcessorConfig, State, Step, check_choice
from zoo.registry import register
from zoo.topology import Topology

START = 0.1
"""Standard deviation of the embeddings at the start (section 4.2 of the paper)."""

BIBTEX = """
@inproceedings{sukhbaatar2015end,
  title     = {End-To-End Memory Networks},
  author    = {Sukhbaatar, Sainbayar and Szlam, Arthur and Weston, Jason and Fergus, Rob},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {28},
  year      = {2015}
}
"""


@dataclass(frozen=True, kw_only=True)
class MemNetConfig(ProcessorConfig):
    """Options of `memnet`; sizes are those of the benchmark."""

    hops: int = option(1, "how often the memory is asked (the paper's own networks ask three times)")
    embedding_size: int = option(16, "width of questions and sentences")
    slots: int = option(128, "sentences with a learned bias of their own (T); unused ones are in the softmax too")
    adjacency: str = option("given", "edges that are sentences: given or full (complete graph)")
    use_ln: bool = option(False, "layer normalisation of the new hidden")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("adjacency", self.adjacency, ("given", "full"))
        for name in ("hops", "embedding_size", "slots"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


def position_encoding(size: int, channels: int) -> Float[Tensor, "embedding channels"]:
    """Weights of each channel in each embedding, around 1: a product of their distances from the middle."""
    rows = torch.arange(1, size + 1) - size / 2
    columns = torch.arange(1, channels + 1) - channels / 2
    return 1 + 4 * rows[:, None] * columns / (size * channels)


def embed(weight: Float[Tensor, "embedding channels"], edges: Edges) -> Float[Tensor, "*edges embedding"]:
    """A linear map of edge features, through the fold where there is one."""
    if isinstance(edges, FoldedEdges):
        return F.linear(edges.channels, weight @ edges.weight, weight @ edges.bias)
    return F.linear(edges, weight)


@register("memnet", config=MemNetConfig, paper="Sukhbaatar et al., 2015", year=2015, bibtex=BIBTEX)
class MemNet(Processor):
    """End-to-end memory network: every node asks the edges that it sends."""

    Config: ClassVar[type[ProcessorConfig]] = MemNetConfig
    config: MemNetConfig
    layouts = frozenset({"dense"})
    ordered = True
    encoding: Tensor

    def __init__(self, config: MemNetConfig) -> None:
        """Make the embeddings and the maps after them, none with a bias, as in the benchmark."""
        super().__init__(config)
        self.adjacency = config.adjacency
        size, hidden = config.embedding_size, self.hidden_size
        self.question = nn.Parameter(torch.randn(size, self.input_size) * START)  # B
        self.sentence = nn.Parameter(torch.randn(size, self.input_size) * START)  # A
        self.answer = nn.Parameter(torch.randn(size, self.input_size) * START)  # C
        self.place = nn.Parameter(torch.randn(config.slots, size) * START)  # T
        self.between = nn.Linear(size, size, bias=False) if config.hops > 1 else None  # R
        self.widen = nn.Linear(size, hidden, bias=False)  # H
        self.out = nn.Linear(hidden, hidden, bias=False)  # W
        self.norm = nn.LayerNorm(hidden) if config.use_ln else nn.Identity()
        encoding = position_encoding(size, self.input_size).to(self.question.dtype)
        self.register_buffer("encoding", encoding, persistent=False)

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """Every node's answer from its memory, plus the graph's from an empty one; see `Processor.forward`."""
        if self.adjacency == "full":
            topology = topology.complete()
        nodes, edges, graph = inputs.encoded
        new = self._answer(nodes, edges, topology)
        if graph is not None:
            # Of an empty memory every answer is 0, whatever the weighting.
            asked = F.linear(graph, self.question * self.encoding)
            for _ in range(self.config.hops - 1):
                assert self.between is not None
                asked = self.between(asked)
            new = new + topology.to_nodes(self._finish(asked))
        return Step(Latents(new), state)

    def _answer(self, nodes: Tensor, edges: Edges | None, topology: Topology) -> Float[Tensor, "batch nodes hidden"]:
        """The nodes' answers."""
        asked = F.linear(nodes, self.question * self.encoding)
        empty = self._places(nodes.shape[1])
        held = (torch.arange(len(empty), device=nodes.device) < self.config.slots).expand(len(nodes), -1)
        held = held | F.pad(topology.node_mask(), (0, len(empty) - nodes.shape[1]))
        if edges is not None:
            exists = topology.neighbours()[..., None]
            sentences = torch.where(exists, embed(self.sentence * self.encoding, edges), 0.0)
            answers = torch.where(exists, embed(self.answer * self.encoding, edges), 0.0)
        for hop in range(self.config.hops):
            scores = asked @ empty.mT
            if edges is not None:
                own = torch.einsum("bie,bije->bij", asked, sentences)
                scores = scores + F.pad(own, (0, len(empty) - nodes.shape[1]))
            weights = torch.where(held[:, None], scores, float("-inf")).softmax(2)  # eq. 1
            if edges is not None:
                asked = asked + torch.einsum("bij,bije->bie", weights[..., : nodes.shape[1]], answers)  # eq. 2
            if hop < self.config.hops - 1:
                assert self.between is not None
                asked = self.between(asked)  # eq. 4
        return self._finish(asked)

    def _places(self, nodes: int) -> Float[Tensor, "places embedding"]:
        """T, with zeros for nodes beyond the slots."""
        return F.pad(self.place, (0, 0, 0, max(0, nodes - self.config.slots)))

    def _finish(self, asked: Tensor) -> Tensor:
        """New hidden from the last hop's sum (eq. 3)."""
        return self.norm(self.out(self.widen(asked).relu()))
