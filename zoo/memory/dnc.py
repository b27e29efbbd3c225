"""Differentiable Neural Computer (Graves et al. 2016, Nature 538:471; equations of its Methods).

On purpose different, as in google-deepmind/dnc: usage is lifted to at least `USAGE_EPSILON` before its cumulative
product. `strengths="softplus"` and `detach_usage=True` follow that code where it departs from the paper, `clip`
bounds what the controller tells the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.memory.addressing import content_weighting, read, write
from zoo.memory.cell import Cell, has_kernels
from zoo.memory.dnc_scan import DNCScan, Layout
from zoo.memory.external import Controller, ControllerState, InitialMemory, MemoryConfig, output_layer
from zoo.memory.sweep import Sweep
from zoo.processor import check_choice
from zoo.recording import Kind, Record, Track
from zoo.registry import register

# The memory starts at exact zeros, and slots never written stay there: their similarity is then 0 and its
# gradient at most 1e3.
NORM_EPSILON = 1e-6
# The gradient of a cumulative product divides by its factors.
USAGE_EPSILON = 1e-6


MODES = ("backward", "content", "forward")


@dataclass(frozen=True, kw_only=True)
class DNCConfig(MemoryConfig):
    """Options of the DNC; default sizes train on a CPU, the paper's tasks use 128 to 256 slots of 50."""

    controller_size: int = option(128, "units of a layer of the controller")
    learn_controller: bool = option(False, "learn the LSTM's state before the first token; zero as published")
    slots: int = option(64, "locations of the memory (N)")
    word: int = option(32, "width of a location (W)")
    read_heads: int = option(4, "number of read heads (R)")
    memory_init: str = option(
        "zero",
        "memory before the first token: 'zero', 'constant' (1e-6), 'learned' (through tanh), or drawn once and not "
        "trained: 'random' (U(±1/√(N+W))) or 'normal' (tanh of N(0, 1/2))",
    )
    strengths: str = option("oneplus", "of keys: 'oneplus' (at least 1, as published) or 'softplus' (at least 0)")
    detach_usage: bool = option(False, "stop the gradient from usage to the write weighting")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("strengths", self.strengths, ("oneplus", "softplus"))


class DNCState(NamedTuple):
    """What a DNC carries from token to token."""

    memory: Float[Tensor, "batch slots word"]
    usage: Float[Tensor, "batch slots"]
    precedence: Float[Tensor, "batch slots"]
    link: Float[Tensor, "batch slots slots"]
    write_weighting: Float[Tensor, "batch slots"]
    read_weightings: Float[Tensor, "batch reads slots"]
    reads: Float[Tensor, "batch reads word"]
    controller: ControllerState


class Interface(NamedTuple):
    """The interface vector, parsed."""

    read_keys: Float[Tensor, "batch reads word"]
    write_key: Float[Tensor, "batch word"]
    write_vector: Float[Tensor, "batch word"]
    read_strengths: Float[Tensor, "batch reads"]
    write_strength: Float[Tensor, " batch"]
    free_gates: Float[Tensor, "batch reads"]
    allocation_gate: Float[Tensor, " batch"]
    write_gate: Float[Tensor, " batch"]
    erase: Float[Tensor, "batch word"]
    modes: Float[Tensor, "batch reads 3"]


def update_usage(
    usage: Float[Tensor, "batch slots"],
    write_weighting: Float[Tensor, "batch slots"],
    read_weightings: Float[Tensor, "batch reads slots"],
    free_gates: Float[Tensor, "batch reads"],
) -> Float[Tensor, "batch slots"]:
    """Usage after the writes of the step before and what the free gates release."""
    retention = (1 - free_gates[:, :, None] * read_weightings).prod(1)  # psi
    return (usage + write_weighting - usage * write_weighting) * retention


def allocation(usage: Float[Tensor, "batch slots"]) -> Float[Tensor, "batch slots"]:
    """Weighting over free slots, the least used first; equally used ones by index.

    No gradient goes through the order, as in the paper.
    """
    usage = USAGE_EPSILON + (1 - USAGE_EPSILON) * usage
    ordered, order = torch.sort(usage, dim=1, stable=True)  # phi
    used_before = torch.cat([torch.ones_like(ordered[:, :1]), ordered[:, :-1]], 1).cumprod(1)
    return torch.zeros_like(usage).scatter(1, order, (1 - ordered) * used_before)


def update_link(
    link: Float[Tensor, "batch slots slots"],
    precedence: Float[Tensor, "batch slots"],
    write_weighting: Float[Tensor, "batch slots"],
) -> Float[Tensor, "batch slots slots"]:
    """Link[i, j]: how far slot i was written right after slot j."""
    kept = (1 - write_weighting[:, :, None] - write_weighting[:, None, :]) * link
    updated = kept + write_weighting[:, :, None] * precedence[:, None, :]
    diagonal = torch.eye(link.shape[1], dtype=torch.bool, device=link.device)
    return updated.masked_fill(diagonal, 0.0)


def update_precedence(
    precedence: Float[Tensor, "batch slots"], write_weighting: Float[Tensor, "batch slots"]
) -> Float[Tensor, "batch slots"]:
    """How far each slot was the last one written."""
    return (1 - write_weighting.sum(1, keepdim=True)) * precedence + write_weighting


class DNCCell(Cell):
    """The DNC as a cell; `forward` is the paper's step. Memory and time grow with the square of the slots."""

    tracks: Mapping[str, Track] = {
        "write_weightings": Track(Kind.WEIGHTING, ("tokens", "writes", "slots"), "where it writes"),
        "read_weightings": Track(Kind.WEIGHTING, ("tokens", "reads", "slots"), "where each head reads"),
        "adds": Track(Kind.VECTOR, ("tokens", "writes", "word"), "what it writes"),
        "reads": Track(Kind.VECTOR, ("tokens", "reads", "word"), "what each head reads"),
        "erases": Track(Kind.GATE, ("tokens", "writes", "word"), "what it erases", drawn=False),
        "usage": Track(Kind.GATE, ("tokens", "slots"), "how far each slot is taken"),
        "write_gate": Track(Kind.GATE, ("tokens", "writes"), "whether it writes"),
        "allocation_gate": Track(Kind.GATE, ("tokens", "writes"), "to a free slot (1) or to one found by content (0)"),
        "free_gates": Track(Kind.GATE, ("tokens", "reads"), "whether what was just read is freed"),
        "read_modes": Track(Kind.CHOICE, ("tokens", "reads", "modes"), "how each head finds its slots", MODES),
        "precedence": Track(Kind.WEIGHTING, ("tokens", "slots"), "how far each slot was the last one written"),
        "link": Track(
            Kind.MATRIX, ("tokens", "slots", "slots"), "how far a slot (row) was written right after another"
        ),
        "read_strengths": Track(Kind.VECTOR, ("tokens", "reads"), "of the read keys", drawn=False),
        "write_strength": Track(Kind.VECTOR, ("tokens", "writes"), "of the write key", drawn=False),
        "memory": Track(Kind.VECTOR, ("tokens", "slots", "word"), "the memory after each token", drawn=False),
    }

    def __init__(self, config: DNCConfig) -> None:
        """Make controller, interface and output layer."""
        super().__init__()
        self.config = config
        self.input_size = config.input_size or config.hidden_size
        reads, word = config.read_heads, config.word
        self.initial_memory = InitialMemory(config.memory_init, config.slots, word)
        self.controller = Controller(config, self.input_size + reads * word, skip=True)
        # The paper's W R + 3 W + 5 R + 3 channels, grouped by activation.
        self.widths = (reads * word, word, word, reads + 1, reads, 1, 1, word, 3 * reads)
        self.interface = nn.Linear(self.controller.output_size, sum(self.widths))
        self.output, self.output_size = output_layer(config, self.controller.output_size + reads * word)
        nn.init.xavier_uniform_(self.interface.weight)
        nn.init.zeros_(self.interface.bias)

    def initial(self, batch_size: int, *, like: Tensor) -> DNCState:
        """An empty memory: nothing used, linked, written or read."""
        config = self.config
        slots = like.new_zeros(batch_size, config.slots)
        return DNCState(
            self.initial_memory(batch_size),
            slots,
            slots,
            like.new_zeros(batch_size, config.slots, config.slots),
            slots,
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
            "write_weightings": after.write_weighting.unsqueeze(1),
            "read_weightings": after.read_weightings,
            "adds": said.write_vector.unsqueeze(1),
            "reads": after.reads,
            "erases": said.erase.unsqueeze(1),
            "usage": after.usage,
            "write_gate": said.write_gate.unsqueeze(1),
            "allocation_gate": said.allocation_gate.unsqueeze(1),
            "free_gates": said.free_gates,
            "read_modes": said.modes,
            "precedence": after.precedence,
            "link": after.link,
            "read_strengths": said.read_strengths,
            "write_strength": said.write_strength.unsqueeze(1),
            "memory": after.memory,
        }
        return y, after, record

    def _step(self, x: Tensor, state: DNCState) -> tuple[Tensor, DNCState, Interface]:
        """The paper's step, and what the controller told the memory."""
        output, controller = self.controller(torch.cat([x, state.reads.flatten(1)], 1), state.controller)
        said = self.tell(output)
        written = state.write_weighting.detach() if self.config.detach_usage else state.write_weighting
        usage = update_usage(state.usage, written, state.read_weightings, said.free_gates)
        lookup = content_weighting(
            state.memory, said.write_key[:, None], said.write_strength[:, None], epsilon=NORM_EPSILON
        )[:, 0]
        chosen = torch.lerp(lookup, allocation(usage), said.allocation_gate[:, None])
        write_weighting = said.write_gate[:, None] * chosen
        memory = write(state.memory, write_weighting[:, None], said.erase[:, None], said.write_vector[:, None])
        link = update_link(state.link, state.precedence, write_weighting)
        precedence = update_precedence(state.precedence, write_weighting)
        forward = torch.bmm(state.read_weightings, link.mT)
        backward = torch.bmm(state.read_weightings, link)
        content = content_weighting(memory, said.read_keys, said.read_strengths, epsilon=NORM_EPSILON)
        modes = said.modes[:, :, None]
        weightings = modes[..., 0] * backward + modes[..., 1] * content + modes[..., 2] * forward
        reads = read(memory, weightings)
        y = self.output(torch.cat([output, reads.flatten(1)], 1))
        after = DNCState(memory, usage, precedence, link, write_weighting, weightings, reads, controller)
        return y, after, said

    def scan(
        self,
        xs: Float[Tensor, "batch length input"],
        state: DNCState,
        mask: Bool[Tensor, "batch length"] | None = None,
    ) -> tuple[Float[Tensor, "batch length output"], DNCState]:
        """All tokens; on the CPU, outside the compiler, as machine code (see `zoo.memory.dnc_scan`)."""
        if not has_kernels(xs):
            return self.loop(xs, state, mask)
        config = self.config
        layout = Layout(
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
        inputs = (
            *(xs, *state[:-1], *state.controller, self.interface.weight, self.interface.bias),
            *self.controller.parameters_of_layers(),
        )
        keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
        features, *tensors = DNCScan.apply(layout, keep, mask, *inputs)
        ys = self.output(features)
        if mask is not None:
            ys = torch.where(mask[:, :, None], ys, 0.0)
        memory, usage, precedence, link, write_weighting, read_weightings, reads, hidden, cells = tensors
        controller = ControllerState(hidden, cells)
        return ys, DNCState(memory, usage, precedence, link, write_weighting, read_weightings, reads, controller)

    def tell(self, output: Float[Tensor, "batch controller"]) -> Interface:
        """The interface vector of the controller's output, parsed."""
        raw = self.interface(output)
        if self.config.clip is not None:
            raw = raw.clamp(-self.config.clip, self.config.clip)
        parts = raw.split(self.widths, 1)
        read_keys, write_key, write_vector, strengths, free, allocation_gate, write_gate, erase, modes = parts
        strengths = F.softplus(strengths)
        if self.config.strengths == "oneplus":
            strengths = 1 + strengths
        reads = self.config.read_heads
        return Interface(
            read_keys.unflatten(1, (reads, -1)),
            write_key,
            write_vector,
            strengths[:, :reads],
            strengths[:, reads],
            free.sigmoid(),
            allocation_gate[:, 0].sigmoid(),
            write_gate[:, 0].sigmoid(),
            erase.sigmoid(),
            modes.unflatten(1, (reads, 3)).softmax(2),  # as in MODES
        )


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
