"""Sparse access memory (Rae et al., NeurIPS 2016, arXiv 1610.09027): an NTM that touches a few slots a step.

Equation numbers are the paper's. A head reads the K slots most similar to its key (eq. 4), found exactly; weights are
a softmax over those K, the only one whose gradient does not grow with the memory. It writes where it read at the step
before, adding, and to the slot that was accessed longest ago, which is set to zero first (eqs. 3, 5, 6). Usage is the
paper's second: a slot was accessed when its read and write weights sum to more than δ. Writes precede reads.

What the paper leaves open is settled so: it has 4 access heads and describes one; here every head writes by its own
gates what it alone says, the h-th head to the h-th of the slots accessed longest ago, all are cleared before any is
written, and weights are summed over heads before they are held against δ. The f of eq. 2 is a softmax of cosines times
a strength, 1 + softplus, which the controller tells (the paper's parameters have none). As in the zoo's other memories,
what the controller tells is clipped to ±20 first. On purpose different: the search is exact, one product of keys and
memory a step, in place of approximate nearest neighbours; where eq. 6 asks for the least of "steps since access", the
most is taken. A new memory is zero, so that unused slots are alike, and of equals the first is taken.

The preset `sam.dense` is the paper's dense access memory (DAM): a head reads all slots, and usage is its first, the
sum of all read and write weights so far, those of t tokens ago times λ^t; the least used slot takes the place of the
oldest. The paper leaves λ open. No gradient goes through usage.

`SAMCell.forward` copies the memory at every token; the scan on the CPU edits one private copy, keeps the few words that
an edit overwrote, and puts them back on the way backward (section 3.4, `zoo.memory.sam_scan`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from tasks.registry import option
from zoo.memory.addressing import content_weighting, read
from zoo.memory.cell import Cell, has_kernels
from zoo.memory.external import Controller, ControllerState, InitialMemory, MemoryConfig, output_layer
from zoo.memory.sam_scan import Layout, SAMScan
from zoo.memory.sparse_access import least_recent, nearest, replace, replace_all, spread, take, weigh
from zoo.memory.sweep import Sweep
from zoo.processor import check_choice
from zoo.recording import Kind, Record, Track
from zoo.registry import register

# Slots never written stay at exact zeros: their similarity is then 0 and its gradient at most 1e3.
NORM_EPSILON = 1e-6

TRACKS: Mapping[str, Track] = {
    "write_weightings": Track(Kind.WEIGHTING, ("tokens", "writes", "slots"), "where each head writes"),
    "read_weightings": Track(Kind.WEIGHTING, ("tokens", "reads", "slots"), "where each head reads"),
    "adds": Track(Kind.VECTOR, ("tokens", "writes", "word"), "what each head writes"),
    "reads": Track(Kind.VECTOR, ("tokens", "reads", "word"), "what each head reads"),
    "write_gates": Track(Kind.GATE, ("tokens", "writes"), "how much each head writes"),
    "interpolation_gates": Track(Kind.GATE, ("tokens", "writes"), "where it read before (1) or to the oldest slot (0)"),
    "strengths": Track(Kind.VECTOR, ("tokens", "reads"), "of the keys", drawn=False),
    "memory": Track(Kind.VECTOR, ("tokens", "slots", "word"), "the memory after each token", drawn=False),
}


@dataclass(frozen=True, kw_only=True)
class SAMConfig(MemoryConfig):
    """Options of SAM; heads, entries, word and controller are the paper's, slots those of the zoo's NTM."""

    word: int = option(32, "width of a location (W)")
    read_heads: int = option(4, "number of access heads; each reads, and writes")
    entries: int | None = option(4, "slots that a head reads (K); the paper has 4 or 8; null for all")
    usage: str = option("last", "slots to write to: by 'last' access, or by the 'discounted' sum of weights")
    threshold: float = option(0.005, "weight above which a slot counts as accessed (δ)")
    discount: float = option(0.99, "of the sum of weights, a token (λ)")
    memory_init: str = option(
        "zero",
        "memory before the first token: 'zero', 'constant' (1e-6), 'learned' (through tanh), or drawn once and not "
        "trained: 'random' (U(±1/√(N+W))) or 'normal' (tanh of N(0, 1/2))",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("usage", self.usage, ("last", "discounted"))
        for name, value in (("entries", self.slots_read), ("read_heads", self.read_heads)):
            if not 1 <= value <= self.slots:
                raise ValueError(f"{name} must be from 1 to the number of slots, {self.slots}")
        if self.threshold < 0:
            raise ValueError(f"threshold must not be negative, not {self.threshold}")
        if not 0 <= self.discount <= 1:
            raise ValueError(f"discount must be from 0 to 1, not {self.discount}")

    @property
    def slots_read(self) -> int:
        """Slots that a head reads."""
        return self.slots if self.entries is None else self.entries


class SAMState(NamedTuple):
    """What a SAM carries from token to token.

    Attributes:
        memory: the memory.
        accessed: the token at which each slot was last accessed, 0 if never; or how much it was used, discounted.
        clock: tokens so far.
        read_slots: the slots that each head read last.
        read_weights: their weights.
        reads: what it read.
        controller: of the controller.
    """

    memory: Float[Tensor, "batch slots word"]
    accessed: Num[Tensor, "batch slots"]
    clock: Int[Tensor, " batch"]
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


class Written(NamedTuple):
    """Where the heads wrote: the slots read before, then the one accessed longest ago."""

    slots: Int[Tensor, "batch writes entries"]
    weights: Float[Tensor, "batch writes entries"]


def write_weights(
    read_weights: Float[Tensor, "batch reads entries"],
    write_gates: Float[Tensor, "batch reads"],
    interpolation_gates: Float[Tensor, "batch reads"],
) -> Float[Tensor, "batch reads written"]:
    """Of the slots read at the step before, then of the one accessed longest ago (eq. 5)."""
    again = interpolation_gates[:, :, None] * read_weights
    return write_gates[:, :, None] * torch.cat([again, 1 - interpolation_gates[:, :, None]], 2)


def never_accessed(config: SAMConfig, batch_size: int, *, like: Tensor) -> Num[Tensor, "batch slots"]:
    """Usage before the first token."""
    kind = torch.long if config.usage == "last" else like.dtype
    return torch.zeros(batch_size, config.slots, dtype=kind, device=like.device)


def update_accessed(
    config: SAMConfig,
    accessed: Num[Tensor, "batch slots"],
    accesses: Float[Tensor, "batch slots"],
    clock: Int[Tensor, " batch"],
) -> Num[Tensor, "batch slots"]:
    """Usage after a token, of which the slots had read and write weights of `accesses` in all."""
    if config.usage == "discounted":
        return config.discount * accessed + accesses.detach()
    return torch.where(accesses > config.threshold, clock[:, None], accessed)


class SAMCell(Cell):
    """SAM as a cell; `forward` is the paper's step, on a copy of the whole memory."""

    tracks = TRACKS

    def __init__(self, config: SAMConfig) -> None:
        """Make controller, interface and output layer."""
        super().__init__()
        self.config = config
        self.input_size = config.input_size or config.hidden_size
        heads, word = config.read_heads, config.word
        self.initial_memory = InitialMemory(config.memory_init, config.slots, word)
        self.controller = Controller(config, self.input_size + heads * word, skip=False)
        # One matrix for all heads, its rows grouped by activation.
        self.widths = (heads * word, heads * word, heads, heads, heads)
        self.interface = nn.Linear(self.controller.output_size, sum(self.widths))
        self.output, self.output_size = output_layer(config, self.controller.output_size + heads * word)
        nn.init.xavier_uniform_(self.interface.weight)
        nn.init.zeros_(self.interface.bias)

    def initial(self, batch_size: int, *, like: Tensor) -> SAMState:
        """A memory that was never accessed; nothing read."""
        config = self.config
        entries = (batch_size, config.read_heads, config.slots_read)
        return SAMState(
            self.initial_memory(batch_size),
            never_accessed(config, batch_size, like=like),
            torch.zeros(batch_size, dtype=torch.long, device=like.device),
            torch.zeros(entries, dtype=torch.long, device=like.device),
            like.new_zeros(entries),
            like.new_zeros(batch_size, config.read_heads, config.word),
            self.controller.initial(batch_size, like=like),
        )

    def forward(self, x: Float[Tensor, "batch input"], state: SAMState) -> tuple[Tensor, SAMState]:
        """One token: controller, writes, reads."""
        y, after, _, _ = self._step(x, state)
        return y, after

    def observe(self, x: Float[Tensor, "batch input"], state: SAMState) -> tuple[Tensor, SAMState, Record]:
        """One token, with all that its heads did."""
        y, after, said, written = self._step(x, state)
        record = {
            "write_weightings": spread(*written, self.config.slots),
            "read_weightings": spread(after.read_slots, after.read_weights, self.config.slots),
            "adds": said.add,
            "reads": after.reads,
            "write_gates": said.write_gates,
            "interpolation_gates": said.interpolation_gates,
            "strengths": said.strengths,
            "memory": after.memory,
        }
        return y, after, record

    def _step(self, x: Tensor, state: SAMState) -> tuple[Tensor, SAMState, Interface, Written]:
        """The paper's step, what the controller told the heads, and where they wrote."""
        output, controller = self.controller(torch.cat([x, state.reads.flatten(1)], 1), state.controller)
        said = self.tell(output)
        oldest = least_recent(state.accessed, self.config.read_heads)  # eq. 6
        written = Written(
            torch.cat([state.read_slots, oldest[:, :, None]], 2),
            write_weights(state.read_weights, said.write_gates, said.interpolation_gates),  # eq. 5
        )
        writing = spread(*written, self.config.slots)
        if self.config.entries is None:
            memory = replace_all(state.memory, oldest, writing, said.add)  # eq. 3
        else:
            memory = replace(state.memory, oldest, *written, said.add)  # eq. 3
        slots, weights, reads = self._read(memory, said)
        clock = state.clock + 1
        accesses = writing.sum(1) + spread(slots, weights, self.config.slots).sum(1)
        accessed = update_accessed(self.config, state.accessed, accesses, clock)
        y = self.output(torch.cat([output, reads.flatten(1)], 1))
        return y, SAMState(memory, accessed, clock, slots, weights, reads, controller), said, written

    def _read(self, memory: Tensor, said: Interface) -> tuple[Tensor, Tensor, Tensor]:
        """The slots that each head reads, their weights, and what it reads."""
        if self.config.entries is None:
            weights = content_weighting(memory, said.keys, said.strengths, epsilon=NORM_EPSILON)  # eq. 2
            slots = torch.arange(self.config.slots, device=memory.device).expand(weights.shape)
            return slots, weights, read(memory, weights)  # eq. 4
        slots = nearest(memory, said.keys, self.config.entries, epsilon=NORM_EPSILON)
        words = take(memory, slots)
        weights = weigh(words, said.keys, said.strengths, epsilon=NORM_EPSILON)  # eq. 2
        return slots, weights, torch.einsum("bhk,bhkw->bhw", weights, words)  # eq. 4

    def scan(
        self,
        xs: Float[Tensor, "batch length input"],
        state: SAMState,
        mask: Bool[Tensor, "batch length"] | None = None,
    ) -> tuple[Float[Tensor, "batch length output"], SAMState]:
        """All tokens; on the CPU, outside the compiler, as machine code on one copy of the memory."""
        if self.config.usage != "last" or not has_kernels(xs):
            return self.loop(xs, state, mask)
        config = self.config
        layout = Layout(
            heads=config.read_heads,
            entries=config.slots_read,
            word=config.word,
            recurrent=self.controller.recurrent,
            threshold=config.threshold,
            clip=config.clip,
            norm_epsilon=NORM_EPSILON,
        )
        usage = state.accessed, state.clock, state.read_slots
        inputs = (
            *(xs, state.memory, state.read_weights, state.reads, *state.controller),
            *(self.interface.weight, self.interface.bias, *self.controller.parameters_of_layers()),
        )
        keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
        features, memory, accessed, clock, slots, weights, reads, hidden, cells = SAMScan.apply(
            layout, keep, mask, *usage, *inputs
        )
        ys = self.output(features)
        if mask is not None:
            ys = torch.where(mask[:, :, None], ys, 0.0)
        return ys, SAMState(memory, accessed, clock, slots, weights, reads, ControllerState(hidden, cells))

    def tell(self, output: Float[Tensor, "batch controller"]) -> Interface:
        """What the controller's output says to the heads."""
        raw = self.interface(output)
        if self.config.clip is not None:
            raw = raw.clamp(-self.config.clip, self.config.clip)
        keys, add, strengths, write_gates, interpolation_gates = raw.split(self.widths, 1)
        heads = (self.config.read_heads, self.config.word)
        return Interface(
            keys.unflatten(1, heads),
            add.unflatten(1, heads),
            1 + F.softplus(strengths),
            write_gates.sigmoid(),
            interpolation_gates.sigmoid(),
        )


@register(
    "sam",
    config=SAMConfig,
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
class SAM(Sweep):
    """Sparse access memory swept over the nodes: a head reads a few slots, and writes there or to the oldest."""

    Config = SAMConfig

    def __init__(self, config: SAMConfig) -> None:
        """Make the cell and its sweep."""
        super().__init__(config, SAMCell(config))
