"""Sparse DNC (Rae et al., NeurIPS 2016, arXiv 1610.09027, supplement D): sparse access memory with temporal links.

Equation numbers are the paper's. Heads read and write as in `zoo.memory.sam`, usage is SAM's too; there is no free
list. Beside content, a head follows links, by a softmax over backward, content and forward. The link matrix is kept
twice, as N (eq. 19) for the way forward and as P, near its transpose (eq. 20), for the way back, either with the K_L
largest entries of each row; the precedence (eq. 11) keeps its K_L largest entries. As published no gradient goes
through the links, though one goes through the weights that follow them.

What the paper leaves open is settled so: every access head has links over its own writes and follows those (the paper
describes one head); no slot follows itself, as in eq. 13; the mixture of the three modes keeps its K largest entries
like any other weighting. A step copies the memory and the links, so its time grows with the slots; what it keeps for
the way back is a mark a slot beside the few words and links that it read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from tasks.registry import option
from zoo.memory.cell import Cell
from zoo.memory.external import Controller, ControllerState, InitialMemory, output_layer
from zoo.memory.links import SparseLink, merge
from zoo.memory.sam import NORM_EPSILON, SAMConfig, never_accessed, update_accessed, write_weights
from zoo.memory.sam import TRACKS as SAM_TRACKS
from zoo.memory.sparse_access import least_recent, nearest, replace, spread, take, weigh
from zoo.memory.sweep import Sweep
from zoo.recording import Kind, Record, Track
from zoo.registry import register

MODES = ("backward", "content", "forward")
TRACKS: Mapping[str, Track] = {
    **SAM_TRACKS,
    "read_modes": Track(Kind.CHOICE, ("tokens", "reads", "modes"), "how each head finds its slots", MODES),
}


@dataclass(frozen=True, kw_only=True)
class SDNCConfig(SAMConfig):
    """Options of the SDNC: SAM's, and those of the links."""

    link_entries: int = option(8, "links that a slot keeps either way (K_L)")
    detach_links: bool = option(True, "stop the gradient at the links, as published")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.link_entries < 1:
            raise ValueError(f"link_entries must be at least 1, not {self.link_entries}")


class Links(NamedTuple):
    """In which order each head wrote."""

    next: SparseLink
    """N: of every slot, after which others it was written."""
    previous: SparseLink
    """P: of every slot, before which others it was written."""
    last: Int[Tensor, "batch heads links"]
    """The slots of the precedence."""
    precedence: Float[Tensor, "batch heads links"]
    """How far each of them was the last one written."""


class SDNCState(NamedTuple):
    """What an SDNC carries from token to token; see `zoo.memory.sam.SAMState`."""

    memory: Float[Tensor, "batch slots word"]
    accessed: Num[Tensor, "batch slots"]
    clock: Int[Tensor, " batch"]
    links: Links
    read_slots: Int[Tensor, "batch reads entries"]
    read_weights: Float[Tensor, "batch reads entries"]
    reads: Float[Tensor, "batch reads word"]
    controller: ControllerState


class Interface(NamedTuple):
    """What the controller tells the heads."""

    keys: Float[Tensor, "batch reads word"]
    add: Float[Tensor, "batch reads word"]
    strengths: Float[Tensor, "batch reads"]
    write_gates: Float[Tensor, "batch reads"]
    interpolation_gates: Float[Tensor, "batch reads"]
    modes: Float[Tensor, "batch reads 3"]


def largest(
    weightings: Float[Tensor, "batch heads slots"], count: int
) -> tuple[Int[Tensor, "batch heads entries"], Float[Tensor, "batch heads entries"]]:
    """Slots and values of the largest entries; of equals, the first."""
    # A copy, or the whole order would be kept for the way back.
    slots = torch.sort(weightings, dim=2, descending=True, stable=True).indices[:, :, :count].clone()
    return slots, weightings.gather(2, slots)


def add_links(
    link: SparseLink,
    rows: tuple[Int[Tensor, "batch heads rows"], Float[Tensor, "batch heads rows"]],
    columns: tuple[Int[Tensor, "batch heads columns"], Float[Tensor, "batch heads columns"]],
) -> SparseLink:
    """The matrix plus an outer product of sparse vectors without its diagonal; each row keeps its largest entries."""
    (at, left), (to, right) = rows, columns
    here = at[..., None].expand(*at.shape, link.values.shape[3])
    new = (left[..., :, None] * right[..., None, :]).masked_fill(at[..., :, None] == to[..., None, :], 0.0)
    old = SparseLink(link.columns.gather(2, here), link.values.gather(2, here))
    merged = merge(old, SparseLink(to[:, :, None].expand_as(new), new))
    return SparseLink(link.columns.scatter(2, here, merged.columns), link.values.scatter(2, here, merged.values))


def update_links(links: Links, writing: Float[Tensor, "batch heads slots"], written: int) -> Links:
    """The links after a write, of which at most `written` slots of each head are not zero."""
    entries = links.last.shape[2]
    rows, before = largest(writing, min(written, writing.shape[2])), (links.last, links.precedence)
    forward, backward = links.next, links.previous
    faded = forward._replace(values=forward.values * (1 - writing[..., None]))
    following = add_links(faded, rows, before)  # eq. 19
    at_columns = writing.gather(2, backward.columns.flatten(2)).unflatten(2, backward.columns.shape[2:])
    faded = backward._replace(values=backward.values * (1 - at_columns))
    preceding = add_links(faded, before, rows)  # eq. 20
    kept = (1 - writing.sum(2, keepdim=True)) * links.precedence
    precedence = writing.scatter_add(2, links.last, kept)  # eq. 11
    return Links(following, preceding, *largest(precedence, entries))


def reach(
    link: SparseLink, slots: Int[Tensor, "batch heads entries"], weights: Float[Tensor, "batch heads entries"]
) -> Float[Tensor, "batch heads slots"]:
    """Where links lead from some slots: the matrix times a sparse vector (eqs. 21, 22)."""
    columns = link.columns.flatten(2)
    weightings = spread(slots, weights, link.columns.shape[2])
    return (weightings.gather(2, columns).unflatten(2, link.columns.shape[2:]) * link.values).sum(3)


def between(
    link: SparseLink, rows: Int[Tensor, "batch heads rows"], columns: Int[Tensor, "batch heads columns"]
) -> Float[Tensor, "batch heads rows columns"]:
    """A few entries of the matrix."""
    here = rows[..., None].expand(*rows.shape, link.values.shape[3])
    same = link.columns.gather(2, here)[..., None] == columns[:, :, None, None, :]
    return torch.where(same, link.values.gather(2, here)[..., None], 0.0).sum(3)


class SDNCCell(Cell):
    """The SDNC as a cell; `forward` is the paper's step, on copies of memory and links."""

    tracks = TRACKS

    def __init__(self, config: SDNCConfig) -> None:
        """Make controller, interface and output layer."""
        super().__init__()
        self.config = config
        self.input_size = config.input_size or config.hidden_size
        heads, word = config.read_heads, config.word
        self.initial_memory = InitialMemory(config.memory_init, config.slots, word)
        self.controller = Controller(config, self.input_size + heads * word, skip=False)
        # One matrix for all heads, its rows grouped by activation.
        self.widths = (heads * word, heads * word, heads, heads, heads, 3 * heads)
        self.interface = nn.Linear(self.controller.output_size, sum(self.widths))
        self.output, self.output_size = output_layer(config, self.controller.output_size + heads * word)
        nn.init.xavier_uniform_(self.interface.weight)
        nn.init.zeros_(self.interface.bias)

    def initial(self, batch_size: int, *, like: Tensor) -> SDNCState:
        """A memory that was never accessed; nothing read, nothing linked."""
        config, heads = self.config, (batch_size, self.config.read_heads)
        kept = min(config.link_entries, config.slots)
        links = (*heads, config.slots, kept)
        empty = SparseLink(torch.zeros(links, dtype=torch.long, device=like.device), like.new_zeros(links))
        # Distinct slots, for the rows of the links are written at them.
        last = torch.arange(kept, device=like.device).expand(*heads, kept)
        return SDNCState(
            self.initial_memory(batch_size),
            never_accessed(config, batch_size, like=like),
            torch.zeros(batch_size, dtype=torch.long, device=like.device),
            Links(empty, empty, last, like.new_zeros(*heads, kept)),
            torch.zeros(*heads, config.slots_read, dtype=torch.long, device=like.device),
            like.new_zeros(*heads, config.slots_read),
            like.new_zeros(*heads, config.word),
            self.controller.initial(batch_size, like=like),
        )

    def forward(self, x: Float[Tensor, "batch input"], state: SDNCState) -> tuple[Tensor, SDNCState]:
        """One token: controller, writes, links, reads."""
        y, after, _, _ = self._step(x, state)
        return y, after

    def observe(self, x: Float[Tensor, "batch input"], state: SDNCState) -> tuple[Tensor, SDNCState, Record]:
        """One token, with all that its heads did."""
        y, after, said, writing = self._step(x, state)
        record = {
            "write_weightings": writing,
            "read_weightings": spread(after.read_slots, after.read_weights, self.config.slots),
            "adds": said.add,
            "reads": after.reads,
            "write_gates": said.write_gates,
            "interpolation_gates": said.interpolation_gates,
            "strengths": said.strengths,
            "read_modes": said.modes,
            "memory": after.memory,
        }
        return y, after, record

    def _step(self, x: Tensor, state: SDNCState) -> tuple[Tensor, SDNCState, Interface, Tensor]:
        """The paper's step, what the controller told the heads, and where they wrote."""
        config = self.config
        output, controller = self.controller(torch.cat([x, state.reads.flatten(1)], 1), state.controller)
        said = self.tell(output)
        oldest = least_recent(state.accessed, config.read_heads)  # eq. 6
        at = torch.cat([state.read_slots, oldest[:, :, None]], 2)
        weights = write_weights(state.read_weights, said.write_gates, said.interpolation_gates)  # eq. 5
        memory = replace(state.memory, oldest, at, weights, said.add)  # eq. 3
        with torch.no_grad() if config.detach_links else contextlib.nullcontext():
            writing = spread(at, weights, config.slots)
            links = update_links(state.links, writing, at.shape[2])
        slots, weights = self._read(memory, links, said, state)
        reads = torch.einsum("bhk,bhkw->bhw", weights, take(memory, slots))  # eq. 4
        clock = state.clock + 1
        with torch.no_grad():
            accesses = writing.sum(1) + spread(slots, weights, config.slots).sum(1)
        accessed = update_accessed(config, state.accessed, accesses, clock)
        y = self.output(torch.cat([output, reads.flatten(1)], 1))
        after = SDNCState(memory, accessed, clock, links, slots, weights, reads, controller)
        return y, after, said, writing

    def _read(self, memory: Tensor, links: Links, said: Interface, state: SDNCState) -> tuple[Tensor, Tensor]:
        """The slots that each head reads, by content and along its links, and their weights."""
        config, before = self.config, (state.read_slots, state.read_weights)
        near = nearest(memory, said.keys, config.slots_read, epsilon=NORM_EPSILON)
        content = weigh(take(memory, near), said.keys, said.strengths, epsilon=NORM_EPSILON)  # eq. 2
        back, by_content, ahead = (mode[..., None] for mode in said.modes.unbind(2))
        with torch.no_grad():
            mixture = back * reach(links.previous, *before) + ahead * reach(links.next, *before)
            slots, _ = largest(mixture + by_content * spread(near, content, config.slots), config.slots_read)
        # Once more at these slots alone, so that no gradient needs more of the links.
        found = torch.where(slots[..., None] == near[:, :, None], content[:, :, None], 0.0).sum(3)
        forward = torch.einsum("bhke,bhe->bhk", between(links.next, slots, state.read_slots), state.read_weights)
        backward = torch.einsum("bhke,bhe->bhk", between(links.previous, slots, state.read_slots), state.read_weights)
        return slots, back * backward + by_content * found + ahead * forward

    def tell(self, output: Float[Tensor, "batch controller"]) -> Interface:
        """What the controller's output says to the heads."""
        raw = self.interface(output)
        if self.config.clip is not None:
            raw = raw.clamp(-self.config.clip, self.config.clip)
        keys, add, strengths, write_gates, interpolation_gates, modes = raw.split(self.widths, 1)
        heads = (self.config.read_heads, self.config.word)
        return Interface(
            keys.unflatten(1, heads),
            add.unflatten(1, heads),
            1 + F.softplus(strengths),
            write_gates.sigmoid(),
            interpolation_gates.sigmoid(),
            modes.unflatten(1, (heads[0], 3)).softmax(2),  # as in MODES
        )


@register(
    "sdnc",
    config=SDNCConfig,
    paper="Rae et al., 2016",
    year=2016,
    bibtex="""
@inproceedings{rae2016scaling,
  title={Scaling Memory-Augmented Neural Networks with Sparse Reads and Writes},
  author={Rae, Jack W. and Hunt, Jonathan J. and Harley, Tim and Danihelka, Ivo and Senior, Andrew and Wayne, Greg and
    Graves, Alex and Lillicrap, Timothy P.},
  booktitle={Advances in Neural Information Processing Systems},
  volume={29},
  year={2016}
}
""",
)
class SDNC(Sweep):
    """Sparse DNC swept over the nodes: sparse access memory whose heads also follow the order of their writes."""

    Config = SDNCConfig

    def __init__(self, config: SDNCConfig) -> None:
        """Make the cell and its sweep."""
        super().__init__(config, SDNCCell(config))
