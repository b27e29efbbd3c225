"""Differentiable Neural Computer (Graves et al. 2016, Nature 538:471; equations of its Methods).

On purpose different, as in google-deepmind/dnc: usage is lifted to at least `USAGE_EPSILON` before its cumulative
product. `strengths="softplus"` and `detach_usage=True` follow that code where it departs from the paper, and so do
several write heads (see `zoo.memory.usage` and `zoo.memory.links`); `clip` bounds what the controller tells the memory.

Options of later work: `allocation="softmax"` weighs slots by how free they are, without a sort (Ben-Ari & Bekker,
"Differentiable memory allocation mechanism for neural computing", 2017; they first tried a constant strength, here
the controller tells it, as it does those of keys). `mask_keys`, `deallocate` and `sharpen_links` are the three
changes of Csordás & Schmidhuber ("Improving differentiable neural computers through memory masking, de-allocation,
and link distribution sharpness control", ICLR 2019, arXiv 1904.10278), with their code's constants; the preset
`dnc.csordas2019` has all three. Their cosine divides by a product of norms plus 1e-6, this one adds 1e-6 to squared
norms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.memory.addressing import content_weighting, read, sharpen, write
from zoo.memory.cell import Cell, has_kernels
from zoo.memory.dnc_scan import DNCScan, Layout
from zoo.memory.external import Controller, ControllerState, InitialMemory, MemoryConfig, output_layer
from zoo.memory.links import Link, SparseLink, follow, update_link, update_precedence, update_sparse_link
from zoo.memory.sweep import Sweep
from zoo.memory.usage import USAGE_EPSILON, allocate, retention, update_usage
from zoo.processor import check_choice
from zoo.recording import Kind, Record, Track
from zoo.registry import register

# The memory starts at exact zeros, and slots never written stay there: their similarity is then 0 and its
# gradient at most 1e3.
NORM_EPSILON = 1e-6
# As in RobertCsordas/dnc: where no link leads anywhere, all slots are followed alike.
SHARPEN_EPSILON = 1e-6


@dataclass(frozen=True, kw_only=True)
class DNCConfig(MemoryConfig):
    """Options of the DNC; default sizes train on a CPU, the paper's tasks use 128 to 256 slots of 50."""

    controller_size: int = option(128, "units of a layer of the controller")
    learn_controller: bool = option(False, "learn the LSTM's state before the first token; zero as published")
    slots: int = option(64, "locations of the memory (N)")
    word: int = option(32, "width of a location (W)")
    read_heads: int = option(4, "number of read heads (R)")
    write_heads: int = option(1, "number of write heads; one as published, several as in google-deepmind/dnc")
    memory_init: str = option(
        "zero",
        "memory before the first token: 'zero', 'constant' (1e-6), 'learned' (through tanh), or drawn once and not "
        "trained: 'random' (U(±1/√(N+W))) or 'normal' (tanh of N(0, 1/2))",
    )
    strengths: str = option("oneplus", "of keys: 'oneplus' (at least 1, as published) or 'softplus' (at least 0)")
    detach_usage: bool = option(False, "stop the gradient from usage to the write weighting")
    allocation: str = option("sort", "'sort' (the free list, as published) or 'softmax' (of how free each slot is)")
    links: str = option(
        "dense", "temporal links: 'dense', 'sparse' (`link_entries` of each slot, Methods) or 'none' (reads by content)"
    )
    link_entries: int = option(8, "links that a slot keeps where they are sparse (K)")
    mask_keys: bool = option(False, "compare keys and slots under masks that the controller tells")
    mask_floor: float = option(0.1, "least value of a mask; at 0 masks can hide everything, which slows learning")
    deallocate: bool = option(False, "erase what the free gates release, not only its usage")
    sharpen_links: bool = option(False, "sharpen where links lead by powers that the controller tells")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("strengths", self.strengths, ("oneplus", "softplus"))
        check_choice("allocation", self.allocation, ("sort", "softmax"))
        check_choice("links", self.links, ("dense", "sparse", "none"))
        for name in ("write_heads", "link_entries"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.mask_floor < 1:
            raise ValueError(f"mask_floor must be from 0 to below 1, not {self.mask_floor}")
        if self.sharpen_links and self.links == "none":
            raise ValueError("sharpen_links needs links; links must not be 'none'")

    @property
    def as_published(self) -> bool:
        """Whether it is the machine of the paper, for which there are kernels."""
        extended = self.mask_keys or self.deallocate or self.sharpen_links
        return self.write_heads == 1 and self.allocation == "sort" and self.links == "dense" and not extended


class DNCState(NamedTuple):
    """What a DNC carries from token to token."""

    memory: Float[Tensor, "batch slots word"]
    usage: Float[Tensor, "batch slots"]
    precedence: Float[Tensor, "batch writes slots"]
    link: Link
    write_weightings: Float[Tensor, "batch writes slots"]
    read_weightings: Float[Tensor, "batch reads slots"]
    reads: Float[Tensor, "batch reads word"]
    controller: ControllerState


class Interface(NamedTuple):
    """The interface vector, parsed."""

    read_keys: Float[Tensor, "batch reads word"]
    write_keys: Float[Tensor, "batch writes word"]
    write_vectors: Float[Tensor, "batch writes word"]
    read_strengths: Float[Tensor, "batch reads"]
    write_strengths: Float[Tensor, "batch writes"]
    free_gates: Float[Tensor, "batch reads"]
    allocation_gates: Float[Tensor, "batch writes"]
    write_gates: Float[Tensor, "batch writes"]
    erase: Float[Tensor, "batch writes word"]
    modes: Float[Tensor, "batch reads modes"]
    """Backward along each write head's links, by content, forward; empty without links."""
    read_masks: Float[Tensor, "batch reads word"] | None
    write_masks: Float[Tensor, "batch writes word"] | None
    sharpness: Float[Tensor, "batch reads directions"] | None
    """Backward along each write head's links, then forward."""
    allocation_strengths: Float[Tensor, "batch writes"] | None


def modes(writes: int) -> tuple[str, ...]:
    """Names of a read head's modes."""
    if writes == 1:
        return ("backward", "content", "forward")
    heads = range(1, writes + 1)
    return (*(f"backward {head}" for head in heads), "content", *(f"forward {head}" for head in heads))


TRACKS: Mapping[str, Track] = {
    "write_weightings": Track(Kind.WEIGHTING, ("tokens", "writes", "slots"), "where each head writes"),
    "read_weightings": Track(Kind.WEIGHTING, ("tokens", "reads", "slots"), "where each head reads"),
    "adds": Track(Kind.VECTOR, ("tokens", "writes", "word"), "what each head writes"),
    "reads": Track(Kind.VECTOR, ("tokens", "reads", "word"), "what each head reads"),
    "erases": Track(Kind.GATE, ("tokens", "writes", "word"), "what each head erases", drawn=False),
    "usage": Track(Kind.GATE, ("tokens", "slots"), "how far each slot is taken"),
    "write_gate": Track(Kind.GATE, ("tokens", "writes"), "whether it writes"),
    "allocation_gate": Track(Kind.GATE, ("tokens", "writes"), "to a free slot (1) or to one found by content (0)"),
    "free_gates": Track(Kind.GATE, ("tokens", "reads"), "whether what was just read is freed"),
    "read_strengths": Track(Kind.VECTOR, ("tokens", "reads"), "of the read keys", drawn=False),
    "write_strength": Track(Kind.VECTOR, ("tokens", "writes"), "of the write keys", drawn=False),
    "memory": Track(Kind.VECTOR, ("tokens", "slots", "word"), "the memory after each token", drawn=False),
}


def link_tracks(writes: int) -> dict[str, Track]:
    """Tracks of the temporal links, of every write head its own."""
    how = "how each head finds its slots"
    tracks = {"read_modes": Track(Kind.CHOICE, ("tokens", "reads", "modes"), how, modes(writes))}
    for suffix in suffixes(writes):
        tracks["precedence" + suffix] = Track(
            Kind.WEIGHTING, ("tokens", "slots"), "how far each slot was the last one written"
        )
        tracks["link" + suffix] = Track(
            Kind.MATRIX, ("tokens", "slots", "slots"), "how far a slot (row) was written right after another"
        )
    return tracks


def suffixes(writes: int) -> list[str]:
    """Of the names of tracks, where every write head has its own."""
    return [""] if writes == 1 else [f"_{head}" for head in range(1, writes + 1)]


class DNCCell(Cell):
    """The DNC as a cell; `forward` is the paper's step. Dense links grow with the square of the slots."""

    def __init__(
        self, config: DNCConfig, *, controller: nn.Module | None = None, normalise: float | None = None
    ) -> None:
        """Make controller, interface and output layer.

        Args:
            config: options.
            controller: in place of the published one; there are no kernels for it.
            normalise: epsilon of a layer norm of the interface; None for none.
        """
        super().__init__()
        self.config = config
        self.input_size = config.input_size or config.hidden_size
        reads, writes, word = config.read_heads, config.write_heads, config.word
        linked = config.links != "none"
        self.tracks = {**TRACKS, **(link_tracks(writes) if linked else {})}
        self.initial_memory = InitialMemory(config.memory_init, config.slots, word)
        self.controller = cast(Any, controller or Controller(config, self.input_size + reads * word, skip=True))
        # The paper's W R + 3 W + 5 R + 3 channels, grouped by activation, and those of the options.
        self.widths = (
            *(reads * word, writes * word, writes * word, reads + writes, reads, writes, writes, writes * word),
            reads * (1 + 2 * writes) if linked else 0,
            (reads + writes) * word if config.mask_keys else 0,
            reads * 2 * writes if config.sharpen_links else 0,
            writes if config.allocation == "softmax" else 0,
        )
        self.interface = nn.Linear(self.controller.output_size, sum(self.widths))
        self.output, self.output_size = output_layer(config, self.controller.output_size + reads * word)
        nn.init.xavier_uniform_(self.interface.weight)
        nn.init.zeros_(self.interface.bias)
        self.norm = None if normalise is None else nn.LayerNorm(sum(self.widths), eps=normalise)

    def initial(self, batch_size: int, *, like: Tensor) -> DNCState:
        """An empty memory: nothing used, linked, written or read."""
        config = self.config
        written = like.new_zeros(batch_size, config.write_heads, config.slots)
        link: Link = ()
        if config.links == "dense":
            link = like.new_zeros(*written.shape, config.slots)
        elif config.links == "sparse":
            entries = (*written.shape, min(config.link_entries, config.slots))
            link = SparseLink(torch.zeros(entries, dtype=torch.long, device=like.device), like.new_zeros(entries))
        return DNCState(
            self.initial_memory(batch_size),
            like.new_zeros(batch_size, config.slots),
            written,
            link,
            written,
            like.new_zeros(batch_size, config.read_heads, config.slots),
            like.new_zeros(batch_size, config.read_heads, config.word),
            self.controller.initial(batch_size, like=like),
        )

    def forward(self, x: Float[Tensor, "batch input"], state: DNCState) -> tuple[Tensor, DNCState]:
        """One token: controller, write, links, reads."""
        y, after, _ = self._step(x, state)
        return y, after

    def observe(self, x: Float[Tensor, "batch input"], state: DNCState) -> tuple[Tensor, DNCState, Record]:
        """One token, with all that happened to the memory."""
        y, after, said = self._step(x, state)
        record = {
            "write_weightings": after.write_weightings,
            "read_weightings": after.read_weightings,
            "adds": said.write_vectors,
            "reads": after.reads,
            "erases": said.erase,
            "usage": after.usage,
            "write_gate": said.write_gates,
            "allocation_gate": said.allocation_gates,
            "free_gates": said.free_gates,
            "read_strengths": said.read_strengths,
            "write_strength": said.write_strengths,
            "memory": after.memory,
        }
        if self.config.links != "none":
            link = after.link.dense() if isinstance(after.link, SparseLink) else after.link
            assert isinstance(link, Tensor)
            record["read_modes"] = said.modes
            for head, suffix in enumerate(suffixes(self.config.write_heads)):
                record["precedence" + suffix], record["link" + suffix] = after.precedence[:, head], link[:, head]
        return y, after, record

    def _step(self, x: Tensor, state: DNCState) -> tuple[Tensor, DNCState, Interface]:
        """The paper's step, and what the controller told the memory."""
        output, controller = self.controller(torch.cat([x, state.reads.flatten(1)], 1), state.controller)
        said = self.tell(output)
        written = state.write_weightings.detach() if self.config.detach_usage else state.write_weightings
        retained = retention(state.read_weightings, said.free_gates)
        usage = update_usage(state.usage, written, retained)
        lookup = content_weighting(
            state.memory, said.write_keys, said.write_strengths, said.write_masks, epsilon=NORM_EPSILON
        )
        free = allocate(usage, said.allocation_gates * said.write_gates, said.allocation_strengths)
        chosen = torch.lerp(lookup, free, said.allocation_gates[:, :, None])
        write_weightings = said.write_gates[:, :, None] * chosen
        memory = state.memory * retained[:, :, None] if self.config.deallocate else state.memory
        memory = write(memory, write_weightings, said.erase, said.write_vectors)
        link, precedence = state.link, state.precedence
        if isinstance(link, SparseLink):
            link = update_sparse_link(link, precedence, write_weightings)
        elif isinstance(link, Tensor):
            link = update_link(link, precedence, write_weightings)
        precedence = update_precedence(precedence, write_weightings)
        weightings = self._weigh(memory, link, state.read_weightings, said)
        reads = read(memory, weightings)
        y = self.output(torch.cat([output, reads.flatten(1)], 1))
        after = DNCState(memory, usage, precedence, link, write_weightings, weightings, reads, controller)
        return y, after, said

    def _weigh(self, memory: Tensor, link: Link, previous: Tensor, said: Interface) -> Tensor:
        """Read weightings: by content, and from those of the step before along the links."""
        content = content_weighting(memory, said.read_keys, said.read_strengths, said.read_masks, epsilon=NORM_EPSILON)
        if isinstance(link, tuple) and not link:
            return content
        forward, backward = follow(link, previous)
        if said.sharpness is not None:
            both = sharpen(torch.cat([backward, forward], 2), said.sharpness, epsilon=SHARPEN_EPSILON)
            backward, forward = both.chunk(2, 2)
        found = torch.cat([backward, content[:, :, None], forward], 2)
        return (said.modes[..., None] * found).sum(2)

    def scan(
        self,
        xs: Float[Tensor, "batch length input"],
        state: DNCState,
        mask: Bool[Tensor, "batch length"] | None = None,
    ) -> tuple[Float[Tensor, "batch length output"], DNCState]:
        """All tokens; as published, on the CPU and outside the compiler, as machine code (`zoo.memory.dnc_scan`)."""
        plain = self.config.as_published and self.norm is None and isinstance(self.controller, Controller)
        if not (plain and has_kernels(xs)):
            return self.loop(xs, state, mask)
        assert isinstance(state.link, Tensor)
        one_head = (state.precedence[:, 0], state.link[:, 0], state.write_weightings[:, 0])
        inputs = (
            *(xs, state.memory, state.usage, *one_head, state.read_weightings, state.reads, *state.controller),
            *(self.interface.weight, self.interface.bias, *self.controller.parameters_of_layers()),
        )
        keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
        features, *tensors = DNCScan.apply(self._layout(), keep, mask, *inputs)
        ys = self.output(features)
        if mask is not None:
            ys = torch.where(mask[:, :, None], ys, 0.0)
        memory, usage, *one_head, read_weightings, reads, hidden, cells = tensors
        precedence, link, write_weightings = (tensor.unsqueeze(1) for tensor in one_head)
        controller = ControllerState(hidden, cells)
        return ys, DNCState(memory, usage, precedence, link, write_weightings, read_weightings, reads, controller)

    def _layout(self) -> Layout:
        """What the fast scan must know."""
        config = self.config
        return Layout(
            reads=config.read_heads,
            slots=config.slots,
            word=config.word,
            recurrent=self.controller.recurrent,
            least_strength=1.0 if config.strengths == "oneplus" else 0.0,
            clip=config.clip,
            detach_usage=config.detach_usage,
            norm_epsilon=NORM_EPSILON,
            usage_epsilon=USAGE_EPSILON,
        )

    def tell(self, output: Float[Tensor, "batch controller"]) -> Interface:
        """The interface vector of the controller's output, parsed."""
        config = self.config
        raw = self.interface(output)
        if self.norm is not None:
            raw = self.norm(raw)
        if config.clip is not None:
            raw = raw.clamp(-config.clip, config.clip)
        keys, write_keys, write_vectors, strengths, free, allocating, writing, erase, *rest = raw.split(self.widths, 1)
        chances, masks, sharpness, allocation = rest
        reads, writes = config.read_heads, config.write_heads
        strengths = self._strengths(strengths)
        read_masks = write_masks = None
        if config.mask_keys:
            masks = config.mask_floor + (1 - config.mask_floor) * masks.sigmoid()
            read_masks, write_masks = masks.unflatten(1, (reads + writes, -1)).split((reads, writes), 1)
        return Interface(
            keys.unflatten(1, (reads, -1)),
            write_keys.unflatten(1, (writes, -1)),
            write_vectors.unflatten(1, (writes, -1)),
            strengths[:, :reads],
            strengths[:, reads:],
            free.sigmoid(),
            allocating.sigmoid(),
            writing.sigmoid(),
            erase.sigmoid().unflatten(1, (writes, -1)),
            chances.unflatten(1, (reads, chances.shape[1] // reads)).softmax(2),  # as in `modes`
            read_masks,
            write_masks,
            1 + F.softplus(sharpness.unflatten(1, (reads, -1))) if config.sharpen_links else None,
            self._strengths(allocation) if config.allocation == "softmax" else None,
        )

    def _strengths(self, raw: Tensor) -> Tensor:
        """Strengths of keys, at least 0 or 1."""
        return F.softplus(raw) + (1.0 if self.config.strengths == "oneplus" else 0.0)


@register(
    "dnc",
    config=DNCConfig,
    paper="Graves et al., 2016",
    year=2016,
    bibtex="""
@article{graves2016hybrid,
  title={Hybrid computing using a neural network with dynamic external memory},
  author={Graves, Alex and Wayne, Greg and Reynolds, Malcolm and Harley, Tim and Danihelka, Ivo and
    Grabska-Barwi{\\'n}ska, Agnieszka and Colmenarejo, Sergio G{\\'o}mez and Grefenstette, Edward and
    Ramalho, Tiago and Agapiou, John and others},
  journal={Nature},
  volume={538},
  number={7626},
  pages={471--476},
  year={2016}
}
""",
)
class DNC(Sweep):
    """Differentiable Neural Computer swept over the nodes: a memory with usage, allocation and temporal links."""

    Config = DNCConfig

    def __init__(self, config: DNCConfig) -> None:
        """Make the cell and its sweep."""
        super().__init__(config, DNCCell(config))
