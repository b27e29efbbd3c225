"""Persistent Message Passing (Strathmann et al., 2021): a node's new state stands beside its old ones.

Every node has states, each tagged with the operation that made it; state k of a node was made by operation k, state 0
is there from the start. An operation names a snapshot s, and reads h_i, the newest state of node i made no later than
operation s, beside n_i, its newest of all. In the order of the paper, one step is

    q    = max_j x_j                                    the query, as all nodes are told of it
    z_i  = [x_i, q, n_i, h_i]                           query data and persistence data of a node
    r    = GNN_r(z)            ρ_i = σ(w_r · [z_i, r_i])  relevance network, over all nodes: is i relevant, ρ_i > 1/2?
    o    = GNN_o(z)            on the relevant nodes only, 0 elsewhere: operation network
    π_i  = σ(w_p · [z_i, o_i])                          persistency network: does relevant i get o_i as a new state?
    y_i  = ReLU(R₁ [z_i, o_i] + R₂ max_j o_j)           what node i makes of the answer; j relevant

The two GNNs are `rounds` rounds, with shared weights, of `o' = ReLU(U₁ [z, o] + U₂ max_j ReLU(M₁ [z, o]_j + M₂ [z, o]_i
+ M_e e_ji + M_g g))` from o = 0. y is the hidden that decoders read; a step does not read the hidden that it is handed,
for what it remembers are the states. Masks are hard, and learn from their own targets only, the heads `relevance` and
`persistency`; a head that nothing is bound to is not computed (unless the option `masks` asks for both): then
all nodes are relevant, all relevant ones persist. Without a snapshot, which the processor asks for as a share of the
operations so far, an operation reads the newest states.

`overwrite` makes the twin that the paper compares with: the same networks, but a state that persists takes the place
of the old one, so that every snapshot is the newest.

What differs, and why. Only the abstract, a summary and the claims of the patent (US 12,417,373) could be consulted, not
the paper's equations: widths, rounds, the form of the networks and the readout are ours, the first three after the same
authors' pointer graph network. The authors' relevance network looks at all states of all times, and knows of a
relation between those; here the one state of every node that a snapshot holds is found by its tag, and the network
decides which nodes matter, in time that does not grow with the number of states. New states are wired to the states of
the node's neighbours, as in the paper's segment tree, by being read together: edges are those of the step between
nodes. n_i is there because assignments are about the present, which a snapshot of theirs need not say.

The state grows by a slot a step, alive at the nodes that persisted, so that shapes depend on the number of steps alone.
Time and memory of a trajectory of T steps: n T slots kept, n T² read by the derivative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tasks.registry import option
from tasks.spec import Location, Type
from zoo.edges import Edges
from zoo.encoders import linear
from zoo.graph.messages import Messages, Update
from zoo.graph.pointers import forced_or
from zoo.processor import Inputs, Latents, Port, Processor, ProcessorConfig, State, Step, check_choice
from zoo.recording import Kind, Record, Track
from zoo.registry import register
from zoo.topology import Topology

BIBTEX = """
@article{strathmann2021persistent,
  title   = {Persistent Message Passing},
  author  = {Strathmann, Heiko and Barekatain, Mohammadamin and Blundell, Charles and Veli{\\v{c}}kovi{\\'c}, Petar},
  journal = {arXiv preprint arXiv:2103.01043},
  year    = {2021}
}
"""


@dataclass(frozen=True, kw_only=True)
class PersistentMessagePassingConfig(ProcessorConfig):
    """Options of `persistent_message_passing`."""

    overwrite: bool = option(False, "new states take the place of the old ones: the paper's comparison")
    rounds: int = option(1, "rounds of messages of each network in a step")
    adjacency: str = option("given", "edges that carry messages: given, or full (complete graph, dense only)")
    use_ln: bool = option(False, "layer normalisation of states, and of the hidden")
    masks: bool = option(False, "compute relevance and persistency though no task binds them")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("adjacency", self.adjacency, ("given", "full"))
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, not {self.rounds}")


class PersistentState(NamedTuple):
    """State of persistent message passing.

    Attributes:
        states: every node's states by the operation that made them; one slot that is always alive if overwritten.
        alive: which of them there are; the first slot always.
    """

    states: Float[Tensor, "*nodes slots hidden"]
    alive: Bool[Tensor, "*nodes slots"]


class Read(NamedTuple):
    """What an operation reads.

    Attributes:
        newest: every node's newest state.
        features: z, every node's query and persistence data.
        relevant: whether a node is relevant.
        heads: logits of relevance, if they are computed.
    """

    newest: Float[Tensor, "*nodes hidden"]
    features: Float[Tensor, "*nodes width"]
    relevant: Bool[Tensor, "*nodes"]
    heads: dict[str, Tensor]


def newest_alive(alive: Bool[Tensor, "*nodes slots"], until: Int[Tensor, "*nodes"] | None) -> Int[Tensor, "*nodes"]:
    """The last slot that is alive, of those up to and including `until`; slot 0 is."""
    slots = torch.arange(alive.shape[-1], device=alive.device)
    there = alive if until is None else alive & (slots <= until[..., None])
    return torch.where(there, slots, 0).amax(-1)


def state_at(
    states: Float[Tensor, "*nodes slots hidden"], slot: Int[Tensor, "*nodes"]
) -> Float[Tensor, "*nodes hidden"]:
    """The state in one slot of every node."""
    return states.take_along_dim(slot[..., None, None], -2).squeeze(-2)


def snapshot_index(share: Float[Tensor, " batch"], operations: int) -> Int[Tensor, " batch"]:
    """Number of operations that a snapshot has seen, from its share of those so far."""
    return (share * operations).round().long().clamp(0, operations)


def pool_among(
    nodes: Float[Tensor, "*nodes hidden"], chosen: Bool[Tensor, "*nodes"], topology: Topology
) -> Float[Tensor, "batch hidden"]:
    """The maximum over each graph's chosen nodes; 0 where there are none."""
    best = topology.pool(torch.where(chosen[..., None], nodes, -torch.inf), "max")
    return torch.where(best > -torch.inf, best, 0.0)


class Rounds(nn.Module):
    """Some rounds of messages with shared weights, from latents of zero."""

    def __init__(self, node_size: int, input_size: int, hidden_size: int, *, rounds: int, use_ln: bool) -> None:
        """Make the layers.

        Args:
            node_size: width of the nodes' features.
            input_size: width of the features of edges and graphs.
            hidden_size: width of the latents.
            rounds: how many.
            use_ln: layer normalisation of the latents.
        """
        super().__init__()
        self.rounds, self.hidden_size = rounds, hidden_size
        self.messages = Messages(node_size + hidden_size, input_size, hidden_size, layers=0, reduce="max")
        self.update = Update(node_size + hidden_size, hidden_size, use_ln=use_ln, gated=False)

    def forward(
        self,
        features: Float[Tensor, "*nodes width"],
        edges: Edges | None,
        graph: Float[Tensor, "batch input"] | None,
        topology: Topology,
    ) -> Float[Tensor, "*nodes hidden"]:
        """Latents after the last round."""
        latents = features.new_zeros(*features.shape[:-1], self.hidden_size)
        for _ in range(self.rounds):
            nodes = torch.cat([features, latents], -1)
            latents = self.update(nodes, self.messages(nodes, edges, graph, topology).relu(), latents)
        return latents


@register(
    "persistent_message_passing",
    config=PersistentMessagePassingConfig,
    paper="Strathmann et al., 2021",
    year=2021,
    bibtex=BIBTEX,
)
class PersistentMessagePassing(Processor):
    """Persistent message passing."""

    Config: ClassVar[type[ProcessorConfig]] = PersistentMessagePassingConfig
    config: PersistentMessagePassingConfig
    memoryless = False
    asks: Mapping[str, Port] = {"snapshot": Port(Location.GRAPH, Type.SCALAR, probe="version")}
    heads: Mapping[str, Port] = {
        "relevance": Port(Location.NODE, Type.MASK, probe="relevant_h"),
        "persistency": Port(Location.NODE, Type.MASK, probe="persist_h"),
    }
    tracks: Mapping[str, Track] = {
        "relevance": Track(Kind.MASK, ("nodes",), "whether the node is relevant to the operation"),
        "persistency": Track(Kind.MASK, ("nodes",), "whether the operation made a new state of the node"),
    }

    def __init__(self, config: PersistentMessagePassingConfig) -> None:
        """Make the three networks and the readout."""
        super().__init__(config)
        self.adjacency = config.adjacency
        if config.adjacency == "full":
            self.layouts = frozenset({"dense"})
        self.grows = not config.overwrite
        size = self.hidden_size
        width = 2 * self.input_size + 2 * size
        self.relevance = Rounds(width, self.input_size, size, rounds=config.rounds, use_ln=config.use_ln)
        self.relevance_head = linear(width + size, 1)
        self.operation = Rounds(width, self.input_size, size, rounds=config.rounds, use_ln=config.use_ln)
        self.persistency_head = linear(width + size, 1)
        self.readout = Update(width + size, size, use_ln=config.use_ln, gated=False)

    def initial(self, inputs: Inputs, topology: Topology) -> tuple[Latents, State]:
        """Zero hidden, and one state of zeros for every node: what a task gives is encoded at every step."""
        hidden = self.zeros(inputs)
        nodes = hidden.nodes
        alive = torch.ones(*nodes.shape[:-1], 1, dtype=torch.bool, device=nodes.device)
        return hidden, PersistentState(nodes[..., None, :], alive)

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """One operation; see `Processor.forward`. Weights of heads, edges and graph are used where there are such."""
        return self._step(inputs, topology, state)[0]

    def record(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> tuple[Step, Record]:
        """A step, which nodes were relevant to it, and which got a new state."""
        step, relevant, persists = self._step(inputs, topology, state)
        return step, {"relevance": relevant, "persistency": persists}

    def _step(
        self, inputs: Inputs, topology: Topology, state: PersistentState
    ) -> tuple[Step, Bool[Tensor, "*nodes"], Bool[Tensor, "*nodes"]]:
        """A step, and its masks."""
        encoded = inputs.encoded
        linked = topology.complete() if self.adjacency == "full" else topology
        newest, features, relevant, heads = self._read(inputs, linked, state)
        result = self.operation(features, encoded.edges, encoded.graph, linked.among(relevant))
        result = torch.where(relevant[..., None], result, 0.0)
        both = torch.cat([features, result], -1)
        persists = relevant
        if self._computes("persistency", inputs):
            heads["persistency"] = self.persistency_head(both).squeeze(-1)
            persists = relevant & forced_or(inputs.guide.get("persistency"), heads["persistency"] > 0)
        answer = topology.to_nodes(pool_among(result, relevant, topology)).expand_as(result)
        hidden = Latents(self.readout(both, answer, newest))
        return Step(hidden, self._persist(state, newest, result, persists), heads), relevant, persists

    def _read(self, inputs: Inputs, topology: Topology, state: PersistentState) -> Read:
        """States of the snapshot, features of the query and of these, and which nodes are relevant."""
        x = inputs.encoded.nodes
        newest = shown = state_at(state.states, newest_alive(state.alive, None))
        if "snapshot" in inputs.raw and not self.config.overwrite:
            seen = snapshot_index(inputs.raw["snapshot"], state.alive.shape[-1] - 1)
            until = topology.to_nodes(seen).expand(state.alive.shape[:-1])
            shown = state_at(state.states, newest_alive(state.alive, until))
        query = topology.to_nodes(topology.pool(x, "max")).expand_as(x)
        features = torch.cat([x, query, newest, shown], -1)
        relevant = topology.node_mask()
        heads = {}
        if self._computes("relevance", inputs):
            latents = self.relevance(features, inputs.encoded.edges, inputs.encoded.graph, topology)
            heads["relevance"] = self.relevance_head(torch.cat([features, latents], -1)).squeeze(-1)
            relevant = relevant & forced_or(inputs.guide.get("relevance"), heads["relevance"] > 0)
        return Read(newest, features, relevant, heads)

    def _persist(
        self,
        state: PersistentState,
        newest: Float[Tensor, "*nodes hidden"],
        result: Float[Tensor, "*nodes hidden"],
        persists: Bool[Tensor, "*nodes"],
    ) -> PersistentState:
        """The states with the new ones."""
        if self.config.overwrite:
            return state._replace(states=torch.where(persists[..., None], result, newest)[..., None, :])
        states = torch.cat([state.states, result[..., None, :]], -2)
        return PersistentState(states, torch.cat([state.alive, persists[..., None]], -1))

    def _computes(self, head: str, inputs: Inputs) -> bool:
        """Whether a head is bound, or asked for."""
        return self.config.masks or head in inputs.guide
