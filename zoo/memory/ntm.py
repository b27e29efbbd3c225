"""Neural Turing Machine (Graves, Wayne & Danihelka 2014, arXiv 1410.5401).

Equation numbers are the paper's. What it leaves open is settled so: all heads address the memory of the step
before, reads precede writes, erases precede adds; keys and adds go through tanh (or nothing), strengths through
softplus, sharpening is 1 + softplus. On purpose different: what the controller tells the heads is clipped to
±20 before these activations (Collier & Beel 2018), and the default initial memory is theirs, a small constant,
where the paper learns a bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.memory.addressing import content_weighting, read, sharpen, write
from zoo.memory.cell import Cell, has_kernels
from zoo.memory.external import Controller, ControllerState, InitialMemory, MemoryConfig, output_layer
from zoo.memory.ntm_scan import Layout, NTMScan
from zoo.memory.sweep import Sweep
from zoo.processor import check_choice
from zoo.recording import Kind, Record, Track
from zoo.registry import register

# Far below the squared length of a slot at the constant initial memory (2e-11), so that such slots keep their
# direction, yet the gradient at a slot of exact zeros is finite.
NORM_EPSILON = 1e-12
# The logarithm of an empty slot must be finite; far below any weight that matters.
SHARPEN_EPSILON = 1e-16


TRACKS = {
    "write_weightings": Track(Kind.WEIGHTING, ("tokens", "writes", "slots"), "where each head writes"),
    "read_weightings": Track(Kind.WEIGHTING, ("tokens", "reads", "slots"), "where each head reads"),
    "adds": Track(Kind.VECTOR, ("tokens", "writes", "word"), "what each head adds"),
    "reads": Track(Kind.VECTOR, ("tokens", "reads", "word"), "what each head reads"),
    "erases": Track(Kind.GATE, ("tokens", "writes", "word"), "what each head erases", drawn=False),
    "interpolation_gates": Track(Kind.GATE, ("tokens", "heads"), "addressed by content (1) or by location (0)"),
    "shifts": Track(Kind.CHOICE, ("tokens", "heads", "offsets"), "how far each weighting is rotated"),
    "strengths": Track(Kind.VECTOR, ("tokens", "heads"), "of the keys", drawn=False),
    "sharpness": Track(Kind.VECTOR, ("tokens", "heads"), "of the weightings", drawn=False),
    "memory": Track(Kind.VECTOR, ("tokens", "slots", "word"), "the memory after each token", drawn=False),
}


@dataclass(frozen=True, kw_only=True)
class NTMConfig(MemoryConfig):
    """Options of the NTM; sizes are those of the paper's copy task."""

    write_heads: int = option(1, "number of write heads")
    shifts: int = option(1, "largest rotation of a weighting, either way")
    key_activation: str = option("tanh", "of keys and adds: 'tanh' or 'none'")
    learn_reads: bool = option(True, "learn the reads before the first token; otherwise zero")
    learn_weightings: bool = option(True, "learn the weightings before the first token; otherwise zero")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("key_activation", self.key_activation, ("tanh", "none"))
        if self.write_heads < 1:
            raise ValueError(f"write_heads must be at least 1, not {self.write_heads}")
        if not 0 <= 2 * self.shifts < self.slots:
            raise ValueError(f"shifts must be from 0 to {(self.slots - 1) // 2} with {self.slots} slots")


class NTMState(NamedTuple):
    """What an NTM carries from token to token."""

    memory: Float[Tensor, "batch slots word"]
    read_weightings: Float[Tensor, "batch reads slots"]
    write_weightings: Float[Tensor, "batch writes slots"]
    reads: Float[Tensor, "batch reads word"]
    controller: ControllerState


class Interface(NamedTuple):
    """What the controller tells the heads; read heads come before write heads."""

    keys: Float[Tensor, "batch heads word"]
    add: Float[Tensor, "batch writes word"]
    strengths: Float[Tensor, "batch heads"]
    sharpness: Float[Tensor, "batch heads"]
    gates: Float[Tensor, "batch heads"]
    erase: Float[Tensor, "batch writes word"]
    shifts: Float[Tensor, "batch heads offsets"]


def rotate(
    weightings: Float[Tensor, "batch heads slots"], shifts: Float[Tensor, "batch heads offsets"]
) -> Float[Tensor, "batch heads slots"]:
    """Circular convolution with the shift weighting, whose middle entry means no shift (eq. 8)."""
    reach = shifts.shape[2] // 2
    offsets = range(-reach, reach + 1)
    return torch.stack([weightings.roll(offset, 2) * shifts[:, :, [i]] for i, offset in enumerate(offsets)]).sum(0)


def address(
    memory: Float[Tensor, "batch slots word"], previous: Float[Tensor, "batch heads slots"], interface: Interface
) -> Float[Tensor, "batch heads slots"]:
    """New weightings: by content, then by location (section 3.3, figure 2)."""
    content = content_weighting(memory, interface.keys, interface.strengths, epsilon=NORM_EPSILON)  # eq. 5
    gated = torch.lerp(previous, content, interface.gates[:, :, None])  # eq. 7
    shifted = rotate(gated, interface.shifts)  # eq. 8
    return sharpen(shifted, interface.sharpness, epsilon=SHARPEN_EPSILON)  # eq. 9


class NTMCell(Cell):
    """The NTM as a cell; `forward` is the paper's step."""

    def __init__(self, config: NTMConfig) -> None:
        """Make controller, heads and output layer."""
        super().__init__()
        self.config = config
        rotations = tuple(f"{by:+d}" if by else "0" for by in range(-config.shifts, config.shifts + 1))
        self.tracks = TRACKS | {"shifts": replace(TRACKS["shifts"], labels=rotations)}
        self.input_size = config.input_size or config.hidden_size
        heads, reads = config.read_heads + config.write_heads, config.read_heads
        self.initial_memory = InitialMemory(config.memory_init, config.slots, config.word)
        self.controller = Controller(config, self.input_size + reads * config.word, skip=False)
        words, offsets = config.word, 2 * config.shifts + 1
        # One matrix for all heads, its rows grouped by activation.
        adds = config.write_heads * words
        self.widths = (heads * words, adds, heads, heads, heads, adds, heads * offsets)
        self.interface = nn.Linear(self.controller.output_size, sum(self.widths))
        self.output, self.output_size = output_layer(config, self.controller.output_size + reads * words)
        self.first_reads = nn.Parameter(torch.randn(reads, words) * 0.01) if config.learn_reads else None
        self.first_weightings = None
        if config.learn_weightings:
            self.first_weightings = nn.Parameter(torch.randn(heads, config.slots) * 0.01)
        # As separate heads would be drawn.
        gain = 1.4 if config.controller_init == "wide" else 1.0
        fan_out = self.interface.out_features / heads
        bound = gain * (6 / (self.interface.in_features + fan_out)) ** 0.5
        nn.init.uniform_(self.interface.weight, -bound, bound)
        nn.init.normal_(self.interface.bias, std=0.01)

    def initial(self, batch_size: int, *, like: Tensor) -> NTMState:
        """Memory, weightings, reads and controller before the first token."""
        config = self.config
        heads = config.read_heads + config.write_heads
        if self.first_weightings is None:
            weightings = like.new_zeros(batch_size, heads, config.slots)
        else:
            weightings = self.first_weightings.softmax(1).expand(batch_size, -1, -1)
        if self.first_reads is None:
            reads = like.new_zeros(batch_size, config.read_heads, config.word)
        else:
            reads = self.first_reads.tanh().expand(batch_size, -1, -1)
        return NTMState(
            self.initial_memory(batch_size),
            weightings[:, : config.read_heads],
            weightings[:, config.read_heads :],
            reads,
            self.controller.initial(batch_size, like=like),
        )

    def forward(self, x: Float[Tensor, "batch input"], state: NTMState) -> tuple[Tensor, NTMState]:
        """One token: controller, addressing, reads, writes."""
        y, after, _ = self._step(x, state)
        return y, after

    def observe(self, x: Float[Tensor, "batch input"], state: NTMState) -> tuple[Tensor, NTMState, Record]:
        """One token, with all that its heads did."""
        y, after, said = self._step(x, state)
        record = {
            "write_weightings": after.write_weightings,
            "read_weightings": after.read_weightings,
            "adds": said.add,
            "reads": after.reads,
            "erases": said.erase,
            "interpolation_gates": said.gates,
            "shifts": said.shifts,
            "strengths": said.strengths,
            "sharpness": said.sharpness,
            "memory": after.memory,
        }
        return y, after, record

    def _step(self, x: Tensor, state: NTMState) -> tuple[Tensor, NTMState, Interface]:
        """The paper's step, and what the controller told the heads."""
        output, controller = self.controller(torch.cat([x, state.reads.flatten(1)], 1), state.controller)
        interface = self.tell(output)
        previous = torch.cat([state.read_weightings, state.write_weightings], 1)
        weightings = address(state.memory, previous, interface)
        reading, writing = weightings[:, : self.config.read_heads], weightings[:, self.config.read_heads :]
        reads = read(state.memory, reading)  # eq. 2
        memory = write(state.memory, writing, interface.erase, interface.add)  # eqs. 3, 4
        y = self.output(torch.cat([output, reads.flatten(1)], 1))
        return y, NTMState(memory, reading, writing, reads, controller), interface

    def scan(
        self,
        xs: Float[Tensor, "batch length input"],
        state: NTMState,
        mask: Bool[Tensor, "batch length"] | None = None,
    ) -> tuple[Float[Tensor, "batch length output"], NTMState]:
        """All tokens; on the CPU, outside the compiler, as machine code (see `zoo.memory.ntm_scan`)."""
        if not has_kernels(xs):
            return self.loop(xs, state, mask)
        config = self.config
        layout = Layout(
            reads=config.read_heads,
            writes=config.write_heads,
            slots=config.slots,
            word=config.word,
            offsets=2 * config.shifts + 1,
            recurrent=self.controller.recurrent,
            squash_keys=config.key_activation == "tanh",
            clip=config.clip,
            norm_epsilon=NORM_EPSILON,
            sharpen_epsilon=SHARPEN_EPSILON,
        )
        inputs = (
            *(xs, state.memory, torch.cat([state.read_weightings, state.write_weightings], 1), state.reads),
            *(*state.controller, self.interface.weight, self.interface.bias, *self.controller.parameters_of_layers()),
        )
        keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
        features, memory, weightings, reads, hidden, cells = NTMScan.apply(layout, keep, mask, *inputs)
        ys = self.output(features)
        if mask is not None:
            ys = torch.where(mask[:, :, None], ys, 0.0)
        reading, writing = weightings[:, : config.read_heads], weightings[:, config.read_heads :]
        return ys, NTMState(memory, reading, writing, reads, ControllerState(hidden, cells))

    def tell(self, output: Float[Tensor, "batch controller"]) -> Interface:
        """What the controller's output says to the heads."""
        raw = self.interface(output)
        if self.config.clip is not None:
            raw = raw.clamp(-self.config.clip, self.config.clip)
        keys, add, strengths, sharpness, gates, erase, shifts = raw.split(self.widths, 1)
        if self.config.key_activation == "tanh":
            keys, add = keys.tanh(), add.tanh()
        word, offsets = self.config.word, 2 * self.config.shifts + 1
        return Interface(
            keys.unflatten(1, (-1, word)),
            add.unflatten(1, (-1, word)),
            F.softplus(strengths),
            1 + F.softplus(sharpness),
            gates.sigmoid(),
            erase.sigmoid().unflatten(1, (-1, word)),
            shifts.unflatten(1, (-1, offsets)).softmax(2),
        )


@register(
    "ntm",
    config=NTMConfig,
    paper="Graves et al., 2014",
    year=2014,
    bibtex="""
@article{graves2014neural,
  title={Neural {T}uring Machines},
  author={Graves, Alex and Wayne, Greg and Danihelka, Ivo},
  journal={arXiv preprint arXiv:1410.5401},
  year={2014}
}
""",
)
class NTM(Sweep):
    """Neural Turing Machine swept over the nodes: a controller with a memory addressed by content and location."""

    Config = NTMConfig

    def __init__(self, config: NTMConfig) -> None:
        """Make the cell and its sweep."""
        super().__init__(config, NTMCell(config))
