"""Pointer Graph Network as published (Veličković et al., NeurIPS 2020): pointers are all the graph that there is.

One step, in the order of the paper's section 3 (`⊕` is the maximum over nodes, Π the symmetrised pointers):

    z_i = f(x_i, h_i)                                       latent of the operation's inputs and of the old hidden
    h'_i = U(z_i, max over j with Π_ij of M(z_j, z_i))      U and M: a linear map and ReLU
    μ_i = σ(ψ(z_i, h'_i))                                   mask network: may this pointer change?
    α_i = softmax over j of ⟨W_q h'_i, W_k h'_j⟩            pointer network: a transformer's attention
    Π̃'_i = argmax α_i where μ_i > 1/2, else Π̃_i            masking inertia: most pointers stay
    Π' = Π̃' or its transpose

At first every node points to itself. Answers are g(⊕ z, ⊕ h'), which is the Reasoner's decoder of a graph's mask, and
so are the losses: cross-entropies of answers, pointers and masks, with the true pointers and masks fed in training
(`reasoner.teacher_forcing: 1`). The pointers' and masks' heads learn from these targets only, as an argmax passes
no gradient; a head that nothing is bound to is not computed, unless the option `pointers` asks for both.

What differs from the paper: μ says that a pointer may change, the paper's that it stays. A node always hears
itself, not only while it points to itself, as every topology of this zoo has its self-loops. Edges that a task gives
count beside the pointers, with their features and those of the graph as further terms of M; the paper's tasks have
neither. With hints encoded, those that are pointers are edges too, so that the paper's setting is
`reasoner.encode_hints: false`. g reads the encoded x and the old h in place of their sum z.

The published ablations are presets: `pointer_graph.no_mask` (PGN-NM), `pointer_graph.oracle_pointers` (Oracle-Ptrs, the
true pointers given in evaluation too), `pointer_graph.asymmetric` (PGN-Asym) and `pointer_graph.unrestricted`, messages
between all pairs: where pointers are supervised the paper's SupGNN, elsewhere its GNN. PGN-Ptrs is a way to train,
pointers first.

`pgn` is the same in the frame of the CLRS benchmark: it reads x beside h in place of f's mixture, so that its messages,
update and mask network are wider, and has that benchmark's extra layers, normalisation and gate as options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tasks.registry import option
from zoo.edges import Edges
from zoo.encoders import linear
from zoo.graph.messages import SENDERS, Messages, Update
from zoo.graph.pointers import HEADS, TRACKS, PointerHead, first_pointers, link, move_pointers, pointer_record
from zoo.processor import Inputs, Latents, Port, Processor, ProcessorConfig, State, Step, check_choice
from zoo.recording import Record, Track
from zoo.registry import register
from zoo.topology import Topology

BIBTEX = """
@inproceedings{velickovic2020pointer,
  title     = {Pointer Graph Networks},
  author    = {Veli{\\v{c}}kovi{\\'c}, Petar and Buesing, Lars and Overlan, Matthew C. and Pascanu, Razvan and
               Vinyals, Oriol and Blundell, Charles},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2020}
}
"""


@dataclass(frozen=True, kw_only=True)
class PointerGraphConfig(ProcessorConfig):
    """Options of `pointer_graph`."""

    masking: bool = option(True, "learn which pointers may change; without, all may (PGN-NM)")
    symmetrise: bool = option(True, "pointers carry messages both ways; without, to the pointed node (PGN-Asym)")
    messages: str = option("pointers", "what carries messages: pointers, or all pairs (the paper's GNN; dense only)")
    oracle: bool = option(False, "messages go over the task's true pointers, in evaluation too (Oracle-Ptrs)")
    pointers: bool = option(False, "compute pointers and masks though no task binds them")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("messages", self.messages, ("pointers", "all"))


@register("pointer_graph", config=PointerGraphConfig, paper="Veličković et al., 2020", year=2020, bibtex=BIBTEX)
class PointerGraph(Processor):
    """Pointer Graph Network, as published."""

    Config: ClassVar[type[ProcessorConfig]] = PointerGraphConfig
    config: PointerGraphConfig
    adjacency = "predicted"
    memoryless = False
    heads: Mapping[str, Port] = HEADS
    tracks: Mapping[str, Track] = {"senders": SENDERS, **TRACKS}

    def __init__(self, config: PointerGraphConfig) -> None:
        """Make the layers; without masking there is no head `modify`."""
        super().__init__(config)
        size = self.hidden_size
        self.latent = linear(self.input_size + size, size)
        self.messages = Messages(size, self.input_size, size, layers=0, reduce="max")
        self.update = Update(size, size, use_ln=False, gated=False)
        self.pointer_head = PointerHead(size)
        self.modify_head = linear(2 * size, 1) if config.masking else None
        if not config.masking:
            self.heads = {"pointers": HEADS["pointers"]}
        if config.messages == "all":
            self.adjacency, self.layouts = "full", frozenset({"dense"})
        if config.oracle:
            self.oracles = frozenset({"pointers"})

    def initial(self, inputs: Inputs, topology: Topology) -> tuple[Latents, State]:
        """Zero hidden; pointers as given in frame 0, else each node at itself."""
        if not self._computes("pointers", inputs):
            return self.zeros(inputs), ()
        return self.zeros(inputs), first_pointers(inputs, topology)

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """One operation: messages over the pointers, then new pointers; see `Processor.forward`.

        Weights of heads, edges and graph are used where there are such.
        """
        read = self._read(inputs, hidden, topology, state)
        nodes = read[0]
        messages = self.messages(*read).relu()  # M's ReLU, which commutes with the maximum
        new = self.update(nodes, messages, hidden.nodes)
        modify = None
        if self.modify_head is not None and self._computes("modify", inputs):
            modify = self.modify_head(torch.cat([nodes, new], -1)).squeeze(-1)
        heads, decided, state = move_pointers(self.pointer_head, new, modify, inputs, topology, state)
        return Step(Latents(new), state, heads, decided=decided)

    def record(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> tuple[Step, Record]:
        """A step, who was heard in it, and what became of the pointers, as far as they are computed."""
        step = self(inputs, hidden, topology, state)
        heard = self.messages.shares(*self._read(inputs, hidden, topology, state))
        return step, {"senders": heard, **pointer_record(step, inputs)}

    def _read(
        self, inputs: Inputs, hidden: Latents, topology: Topology, state: State
    ) -> tuple[Tensor, Edges | None, Tensor | None, Topology]:
        """What messages are computed from: latents, features of edges and graphs, and the edges that carry them."""
        encoded = inputs.encoded
        latent = self.latent(torch.cat([encoded.nodes, hidden.nodes], -1))
        if self.config.messages == "all":
            return latent, encoded.edges, encoded.graph, topology.complete()
        edges, linked = link(encoded.edges, topology, state, both_ways=self.config.symmetrise)
        return latent, edges, encoded.graph, linked

    def _computes(self, head: str, inputs: Inputs) -> bool:
        """Whether a head is bound, or asked for."""
        return self.config.pointers or head in inputs.guide
