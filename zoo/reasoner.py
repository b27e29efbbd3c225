"""Encode, process, decode: a processor unrolled over the steps of an algorithm.

Source: Veličković et al., ICML 2022 (CLRS), section 4; Ibarz et al., LoG 2022, sections 3.1 and 3.2. What the two papers
fix, `ReasonerConfig` leaves open. A processor that declares heads may predict some hints itself; a bound head stands in
for the decoder of its probe in loss, score and feedback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tasks.batch import Batch
from tasks.registry import near, option
from tasks.spec import Location, Probe, Spec, Type
from zoo.decoders import Read, Sizes, candidates, decide, feedback, make_decoder
from zoo.encoders import Encoder, RawEncoder, channels, encoded_at
from zoo.noise import gumbel, uniform
from zoo.processor import Inputs, Latents, Port, Processor, State, Step
from zoo.topology import DenseTopology, SparseTopology, Topology

PARTS = ("encoded", "previous", "new")

# Streams of keyed noise; permutations take the ones after, one for each step and decoder.
_FORCING, _GUMBEL = 1, 2


@dataclass(frozen=True, kw_only=True)
class ReasonerConfig:
    """How a processor is unrolled; the defaults are those of the generalist protocol (Ibarz et al., 2022)."""

    encode_hints: bool = option(True, "feed hints back in: the given first frame, then those predicted")
    decode_hints: bool = option(True, "predict hints")
    teacher_forcing: float = option(0.0, "probability, a sample and a step, of feeding the true hint in training")
    feedback: str = option("soft", "predicted hints are fed back as probabilities (soft) or decided (hard)")
    encoder: str = option("linear", "linear, or raw: input channels as they are, for sequences")
    decode_from: tuple[str, ...] = option(PARTS, "what decoders of nodes read, of encoded, previous and new")
    scalar_init: str = option("default", "default, or xavier_on_scalars: smaller encoders of scalar hints")
    reverse_pointers: bool = option(False, "encode a node's pointer on the edge from the pointed node too")
    steps: str | int = option("trajectory", "processor steps: as many as the algorithm, a number, or until halt")
    max_steps: int = option(64, "limit of steps until halt")
    sinkhorn_temperature: float = option(0.1, "temperature of permutation decoders")
    sinkhorn_steps: int = option(10, "normalisations of a permutation in training")
    sinkhorn_eval_steps: int = option(60, "normalisations of a permutation in evaluation")

    def __post_init__(self) -> None:
        for name, choices in (
            ("feedback", ("soft", "hard")),
            ("encoder", ("linear", "raw")),
            ("scalar_init", ("default", "xavier_on_scalars")),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"reasoner.{name} has no choice {getattr(self, name)!r}; {near(str(getattr(self, name)), choices)}")
        for part in self.decode_from:
            if part not in PARTS:
                raise ValueError(f"reasoner.decode_from has no part {part!r}; {near(part, PARTS)}")
        if not self.decode_from:
            raise ValueError(f"reasoner.decode_from needs at least one of {', '.join(PARTS)}")
        if not 0 <= self.teacher_forcing <= 1:
            raise ValueError(f"reasoner.teacher_forcing is a probability, not {self.teacher_forcing}")
        steps = int(self.steps) if str(self.steps).isdigit() else self.steps
        if steps not in ("trajectory", "halt") and not (isinstance(steps, int) and steps >= 1):
            raise ValueError(f"reasoner.steps is 'trajectory', 'halt' or a number from 1, not {self.steps!r}")
        object.__setattr__(self, "steps", steps)
        if self.encode_hints and not self.decode_hints:
            raise ValueError("reasoner.encode_hints needs predicted hints: set decode_hints too, or encode_hints=false")


class Carry(NamedTuple):
    """What one stretch of steps hands to the next, for truncated back-propagation.

    Attributes:
        hidden: latents after the last step.
        state: the processor's state after the last step.
        hints: predicted hints as channels, by probe name.
    """

    hidden: Latents
    state: State
    hints: Mapping[str, Tensor]


class Prediction(NamedTuple):
    """What a Reasoner returns.

    The form of logits, by probe. Scalar and mask: like the value (a mask's before the sigmoid). Categorical:
    `[*entries, classes]`. Node mask_one, and a graph's index of a node: log-probabilities `[*nodes]`. Node pointer:
    log-probabilities `[*edges]`, at (sender j, receiver i) that i points to j. Edge pointer: `[*edges, nodes]`.
    Streamed outputs and all hints lead with `[steps]`.

    Attributes:
        outputs: logits by probe name; a permutation's head is under `NAME:head`.
        hints: logits by probe name; frame t predicts the batch's hint frame t + 1.
        penalties: `[batch]` terms for the loss, summed over each sample's steps, by name.
        carry: to go on from.
        trace: every step's result, where asked for.
        topology: of the batch.
        spec: of the batch's task.
    """

    outputs: Mapping[str, Tensor]
    hints: Mapping[str, Tensor]
    penalties: Mapping[str, Float[Tensor, " batch"]]
    carry: Carry
    trace: tuple[Step, ...]
    topology: Topology
    spec: Spec

    @property
    def values(self) -> dict[str, Tensor]:
        """Decided outputs in the compact form of a `Batch`."""
        return {p.name: self._decided(p, self.outputs, p.streamed) for p in self.spec.outputs}

    @property
    def hint_values(self) -> dict[str, Tensor]:
        """Decided hints in the compact form of a `Batch`, `[steps, …]`."""
        return {p.name: self._decided(p, self.hints, True) for p in self.spec.hints if p.name in self.hints}

    def _decided(self, probe: Probe, logits: Mapping[str, Tensor], stepped: bool) -> Tensor:
        """One probe's decided value, step by step where it has steps."""
        if not stepped:
            return decide(probe, logits, self.topology)
        return torch.stack([decide(probe, {probe.name: frame}, self.topology) for frame in logits[probe.name]])


class _TaskModules(nn.Module):
    """Encoders and decoders of one task, and the probes that its processor predicts or asks for."""

    def __init__(
        self, spec: Spec, processor: Processor, config: ReasonerConfig, heads: dict[str, Probe], asks: dict[str, Probe]
    ) -> None:
        super().__init__()
        self.spec = spec
        self.heads, self.asks = heads, asks
        follows = not isinstance(config.steps, int)  # a number of steps has no frames to match
        self.encode_hints = config.encode_hints and config.encoder == "linear" and follows
        self.decode_hints = config.decode_hints and follows
        self.both_ways = config.reverse_pointers
        self.encoder: Encoder | RawEncoder
        if config.encoder == "raw":
            self.encoder = RawEncoder(spec, ordered=processor.ordered)
            if self.encoder.size != processor.input_size:
                raise ValueError(
                    f"encoder 'raw' gives {spec.task!r} {self.encoder.size} channels, the processor takes "
                    f"{processor.input_size}: create it with input_size={self.encoder.size}"
                )
        else:
            self.encoder = Encoder(
                spec,
                processor.input_size,
                hints=self.encode_hints,
                both_ways=config.reverse_pointers,
                scalar_init=config.scalar_init,
            )
        sizes = self._sizes(processor, config)
        decoded = spec.outputs + (spec.hints if self.decode_hints else ())
        bound = {probe.name for probe in heads.values()}
        self.decoders = nn.ModuleDict(
            {
                probe.name: make_decoder(
                    probe,
                    sizes,
                    temperature=config.sinkhorn_temperature,
                    steps=config.sinkhorn_steps,
                    eval_steps=config.sinkhorn_eval_steps,
                )
                for probe in decoded
                if probe.name not in bound
            }
        )

    def _sizes(self, processor: Processor, config: ReasonerConfig) -> Sizes:
        """Widths of what this task's decoders read."""
        size = {"encoded": processor.input_size, "previous": processor.hidden_size, "new": processor.hidden_size}
        raw = isinstance(self.encoder, RawEncoder)
        probes = self.spec.inputs + (self.spec.hints if self.encode_hints else ())
        graph = any(p.location is Location.GRAPH and not (p.is_pointer or p.type is Type.MASK_ONE) for p in probes)
        edges = any(p.location is Location.EDGE or (p.location is Location.NODE and p.is_pointer) for p in probes)
        new = (processor.hidden_size,)
        return Sizes(
            nodes=sum(size[part] for part in config.decode_from),
            edges=((processor.input_size,) if edges and not raw else ()) + (new if "edges" in processor.writes else ()),
            graph=((processor.input_size,) if graph and not raw else ()) + (new if "graph" in processor.writes else ()),
            hidden=processor.hidden_size,
        )


class Reasoner(nn.Module):
    """Encoders, a processor unrolled over steps, decoders: predictions for a batch of any of its tasks."""

    def __init__(
        self,
        spec: Spec | Sequence[Spec],
        processor: Processor,
        *,
        config: ReasonerConfig | None = None,
        bind: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Make encoders and decoders around a processor.

        Args:
            spec: of the task, or of several that share the processor.
            processor: any processor of the zoo.
            config: how it is unrolled.
            bind: for each task, which probe each of the processor's heads and asks stands for; by default the only
                probe of its location and type, and none if there are several.

        Raises:
            ValueError: the processor cannot do a task, or a binding names what is not there.
        """
        super().__init__()
        self.config = config or ReasonerConfig()
        self.processor = processor
        specs = [spec] if isinstance(spec, Spec) else list(spec)
        self.specs = {one.task: one for one in specs}
        modules = {}
        for one in specs:
            check(one, processor, layout=None)
            given = (bind or {}).get(one.task, {})
            heads = _bind(one, processor.heads, given, one.hints or one.outputs)
            asks = _bind(one, processor.asks, given, one.inputs)
            unknown = set(given) - set(processor.heads) - set(processor.asks)
            if unknown:
                ports = [*processor.heads, *processor.asks]
                raise ValueError(f"bind of task {one.task!r} names {min(unknown)!r}; {near(min(unknown), ports)}")
            modules[one.task] = _TaskModules(one, processor, self.config, heads, asks)
        self.tasks = nn.ModuleDict(modules)

    def forward(
        self, batch: Batch, carry: Carry | None = None, *, noise: tuple[int, int] = (0, 0), trace: bool = False
    ) -> Prediction:
        """Run the processor over a batch and decode what it finds.

        Args:
            batch: of one of the tasks, on the parameters' device.
            carry: of a preceding stretch of steps, to go on from.
            noise: (seed, step), which with each sample's index keys teacher forcing and Gumbel noise in training.
            trace: whether to keep every step's result.

        Returns:
            Logits of all outputs and hints, frozen for each sample at its own last step.
        """
        task = batch.spec.task
        if task not in self.specs:
            raise ValueError(f"no encoders for task {task!r}; {near(task, self.specs)}")
        return _Run(self, batch, carry, noise, trace).run()


def check(spec: Spec, processor: Processor, *, layout: str | None) -> None:
    """Refuse a pairing that declared capabilities rule out, with an error that names both sides.

    Args:
        spec: of the task.
        processor: to put under it.
        layout: of the batches to come, or None for any that the processor has.

    Raises:
        ValueError: what the processor cannot do with the task.
    """
    name = type(processor).__name__
    if layout is not None and layout not in processor.layouts:
        raise ValueError(f"{name} runs on {' and '.join(sorted(processor.layouts))} layouts; {spec.task} is {layout} here")
    anywhere = [p.name for p in spec if p.is_pointer and p.domain == "nodes" and p.location is not Location.GRAPH]
    if anywhere and (layout == "sparse" or "dense" not in processor.layouts):
        raise ValueError(
            f"{spec.task}'s {', '.join(anywhere)} may point to any node, which only a dense layout can hold; {name} "
            f"runs on {' and '.join(sorted(processor.layouts)) if layout is None else layout}"
        )


def _bind(spec: Spec, ports: Mapping[str, Port], given: Mapping[str, str], among: Sequence[Probe]) -> dict[str, Probe]:
    """The probe of each port: as given, or the only one that fits."""
    bound = {}
    for name, port in ports.items():
        fits = [p for p in among if p.location is port.location and p.type is port.type and not p.streamed]
        if name in given:
            probe = spec[given[name]]
            if probe.location is not port.location or probe.type is not port.type:
                raise ValueError(
                    f"bind of task {spec.task!r}: {name} is a {port.location} {port.type}, "
                    f"{probe.name} a {probe.location} {probe.type}"
                )
            bound[name] = probe
        elif len(fits) == 1:
            bound[name] = fits[0]
    return bound


def topology_of(batch: Batch) -> Topology:
    """The graphs of a batch: self-loops and its edge masks, both ways."""
    if batch.edge_index is not None:
        return SparseTopology(batch.edge_index, batch.sizes)
    spec = batch.spec
    anchor = next(p for p in (*spec.inputs, *spec.outputs) if p.location is Location.NODE and p.type is not Type.MASK_ONE)
    value = (batch.inputs if anchor.name in batch.inputs else batch.outputs)[anchor.name]
    num_nodes = value.shape[2 if anchor.streamed else 1]
    loops = torch.eye(num_nodes, dtype=torch.bool, device=value.device).expand(batch.batch_size, -1, -1)
    topology = DenseTopology(batch.batch_size, num_nodes, sizes=batch.sizes, adjacency=loops)
    for probe in spec.inputs:
        if probe.location is Location.EDGE and probe.type is Type.MASK and not probe.streamed:
            topology = topology.with_mask(batch.inputs[probe.name] > 0)
    return topology


class _Run:
    """One pass over one batch: what the loop over steps shares."""

    def __init__(
        self, reasoner: Reasoner, batch: Batch, carry: Carry | None, noise: tuple[int, int], trace: bool
    ) -> None:
        self.config, self.processor = reasoner.config, reasoner.processor
        self.task: _TaskModules = reasoner.tasks[batch.spec.task]  # type: ignore[assignment]
        self.training = reasoner.training
        self.batch, self.carry, self.noise, self.keep_trace = batch, carry, noise, trace
        self.topology = topology_of(batch)
        check(batch.spec, self.processor, layout=self.topology.layout)
        self.device = next(iter(batch.inputs.values())).device
        self.static = self._static_channels()
        self.pointed = self._static_edges()
        steps = self.config.steps
        self.own_steps = batch.steps
        if isinstance(steps, int):
            self.own_steps = torch.full_like(batch.steps, steps)
        self.num_steps = self.config.max_steps if steps == "halt" else int(self.own_steps.max())
        self.live = (torch.arange(self.num_steps)[:, None] < self.own_steps).to(self.device, non_blocking=True)
        self.ends = set((self.own_steps - 1).tolist())
        self.forced = self._forced()

    def _static_channels(self) -> dict[str, Tensor]:
        """Channels of the inputs that stay the same at every step."""
        return {
            p.name: channels(p, self.batch.inputs[p.name], self.topology, both_ways=self.task.both_ways)
            for p in self.task.encoder.probes
            if p.name in self.batch.inputs and not p.streamed
        }

    def _static_edges(self) -> Topology:
        """The batch's topology with the edges of its input pointers."""
        topology = self.topology
        if self.processor.adjacency in ("given", "predicted"):
            for p in self.batch.spec.inputs:
                if p.is_pointer and p.location is Location.NODE and not p.streamed:
                    topology = topology.with_edges(self.batch.inputs[p.name])
        return topology

    def _forced(self) -> Bool[Tensor, "frames batch"] | None:
        """Which samples are fed the true hint frame t at step t, for each t; None where none ever is."""
        if not self.training or self.config.teacher_forcing == 0:
            return None
        index = self.batch.index.to(self.device, non_blocking=True)
        draw = uniform(*self.noise, _FORCING, index, (self.num_steps + 1,))
        return (draw < self.config.teacher_forcing).T

    def run(self) -> Prediction:
        """The loop over steps."""
        fed = dict(self.carry.hints) if self.carry else self._first_hints()
        encoded = self._encode(0, fed)
        inputs = Inputs(encoded, self._asked(0), self._guide(None), self._candidates())
        if self.carry:
            hidden, state = self.carry.hidden, self.carry.state
        else:
            hidden, state = self.processor.initial(inputs, self.topology)
        outputs: dict[str, Tensor] = {}
        streams: dict[str, list[Tensor]] = {}
        hints: dict[str, list[Tensor]] = {}
        penalties: dict[str, Tensor] = {}
        trace = []
        alive = torch.ones(self.batch.batch_size, dtype=torch.bool, device=self.device)
        for t in range(self.num_steps):
            if t:
                encoded = self._encode(t, fed)
            inputs = Inputs(encoded, self._asked(t), self._guide(t), inputs.candidates)
            step = self.processor(inputs, hidden, self._step_topology(fed), state)
            read = self._read(encoded, hidden, step.hidden)
            predicted = self._decode_hints(read, step)
            for name, value in predicted.items():
                hints.setdefault(name, []).append(value)
            live = alive if self.config.steps == "halt" else self.live[t]
            self._decode_outputs(t, read, step, live, outputs, streams)
            for name, value in step.penalties.items():
                penalties[name] = penalties.get(name, 0.0) + torch.where(live, value, 0.0)
            fed = self._next_hints(t, predicted)
            hidden, state = step.hidden, step.state
            if self.keep_trace:
                trace.append(step)
            if self.config.steps == "halt":
                if step.halt is None:
                    raise ValueError(f"steps='halt' needs a processor that halts; {type(self.processor).__name__} never does")
                alive = alive & ~step.halt
                if not bool(alive.any()):
                    break
        outputs |= {name: torch.stack(values) for name, values in streams.items()}
        stacked = {name: torch.stack(values) for name, values in hints.items()}
        carry = Carry(hidden, state, fed)
        return Prediction(outputs, stacked, penalties, carry, tuple(trace), self.topology, self.batch.spec)

    def _encode(self, t: int, fed: Mapping[str, Tensor]) -> Latents:
        """This step's probes, encoded."""
        streamed = {
            p.name: channels(p, self.batch.inputs[p.name][min(t, self._frames(p) - 1)], self.topology)
            for p in self.task.encoder.probes
            if p.streamed
        }
        return self.task.encoder(self.static | streamed | dict(fed), self.topology)

    def _frames(self, probe: Probe) -> int:
        """Frames of a streamed input."""
        return self.batch.inputs[probe.name].shape[0]

    def _asked(self, t: int) -> dict[str, Tensor]:
        """Un-encoded values of the inputs that the processor asks for."""
        values = {}
        for name, probe in self.task.asks.items():
            value = self.batch.inputs[probe.name]
            values[name] = value[t] if probe.streamed else value
        return values

    def _candidates(self) -> dict[str, Topology]:
        """What each bound pointer head may point to."""
        return {
            name: candidates(self.topology, probe.domain) for name, probe in self.task.heads.items() if probe.is_pointer
        }

    def _guide(self, t: int | None) -> dict[str, Tensor]:
        """Values forced on bound heads at step t, or the given first frame before any."""
        guide = {}
        for name, probe in self.task.heads.items():
            frames = self.batch.hints.get(probe.name)
            if frames is None:
                continue
            frame = frames[0 if t is None else min(t + 1, frames.shape[0] - 1)]
            scalar = probe.type is Type.SCALAR
            value = frame if scalar else frame.long()
            if t is not None:
                nothing = torch.full_like(value, torch.nan if scalar else -1)
                if self.forced is None or t + 1 >= frames.shape[0]:
                    value = nothing
                else:
                    now = self.topology.per_entry(self.forced[t + 1], probe.location)
                    value = torch.where(now, value, nothing)
            guide[name] = value
        return guide

    def _step_topology(self, fed: Mapping[str, Tensor]) -> Topology:
        """The edges of a step: those of the inputs and of the hints fed in, both ways."""
        topology = self.pointed
        if self.processor.adjacency not in ("given", "predicted"):
            return topology
        for probe in self.batch.spec.hints:
            if probe.name not in fed:
                continue
            if probe.location is Location.EDGE and probe.type is Type.MASK:
                topology = topology.with_mask(fed[probe.name][..., 0] > 0.5)
            elif probe.is_pointer and probe.location is Location.NODE and probe.domain == "nodes":
                # Weights are on the edge from the pointing node; above one half there is at most one.
                weight = fed[probe.name][..., 0].detach()
                complete = self.topology.complete()
                target = complete.argmax(weight, "sender")
                sure = complete.aggregate(weight[..., None], "max", "sender").squeeze(-1) > 0.5
                topology = topology.with_edges(torch.where(sure, target, self.topology.local_index()))
        return topology

    def _first_hints(self) -> dict[str, Tensor]:
        """Channels of the given frame 0."""
        if not self.task.encode_hints:
            return {}
        return {
            p.name: channels(p, self.batch.hints[p.name][0], self.topology, both_ways=self.task.both_ways)
            for p in self.batch.spec.hints
        }

    def _next_hints(self, t: int, predicted: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Channels of the hints fed in at step t + 1: predicted, or true where forced."""
        if not self.task.encode_hints:
            return {}
        soft, both_ways = self.config.feedback == "soft", self.task.both_ways
        fed = {}
        for probe in self.batch.spec.hints:
            frames = self.batch.hints[probe.name]
            forced = self.forced[t + 1] if self.forced is not None and t + 1 < frames.shape[0] else None
            value = feedback(probe, predicted[probe.name], self.topology, soft=soft, both_ways=both_ways)
            if forced is not None:
                true = channels(probe, frames[t + 1], self.topology, both_ways=both_ways)
                value = torch.where(self.topology.per_entry(forced, encoded_at(probe))[..., None], true, value)
            fed[probe.name] = value
        return fed

    def _read(self, encoded: Latents, previous: Latents, new: Latents) -> Read:
        """What decoders read at a step."""
        part = {"encoded": encoded.nodes, "previous": previous.nodes, "new": new.nodes}
        nodes = torch.cat([part[name] for name in self.config.decode_from], -1)
        edges = tuple(e for e in (encoded.edges, new.edges) if e is not None)
        graph = tuple(g for g in (encoded.graph, new.graph) if g is not None)
        return Read(nodes, edges, graph, self.topology)

    def _decode_hints(self, read: Read, step: Step) -> dict[str, Tensor]:
        """Logits of this step's hints, from bound heads where there are any."""
        if not self.task.decode_hints:
            return {}
        predicted = {}
        bound = {probe.name: name for name, probe in self.task.heads.items()}
        for probe in self.batch.spec.hints:
            if probe.name in bound:
                logits = step.heads[bound[probe.name]]
                if probe.is_pointer:
                    logits = candidates(self.topology, probe.domain).log_softmax(logits, "receiver")
                predicted[probe.name] = logits
            else:
                predicted[probe.name] = self.task.decoders[probe.name](read)
        return predicted

    def _decode_outputs(
        self,
        t: int,
        read: Read,
        step: Step,
        live: Bool[Tensor, " batch"],
        outputs: dict[str, Tensor],
        streams: dict[str, list[Tensor]],
    ) -> None:
        """Add this step's outputs, for the samples that still run."""
        halts = self.config.steps == "halt"
        bound = {probe.name: name for name, probe in self.task.heads.items()}
        for k, probe in enumerate(self.batch.spec.outputs):
            if not (probe.streamed or halts or t in self.ends):
                continue
            if probe.name in bound:
                logits = step.heads[bound[probe.name]]
                if probe.is_pointer:
                    logits = candidates(self.topology, probe.domain).log_softmax(logits, "receiver")
            else:
                logits = self.task.decoders[probe.name](self._with_noise(read, probe, t, k))
            if probe.streamed:
                streams.setdefault(probe.name, []).append(logits)
                continue
            named = {probe.name: logits} if isinstance(logits, Tensor) else dict(
                zip((probe.name, probe.name + ":head"), logits, strict=True)
            )
            for name, value in named.items():
                if name in outputs:
                    location = Location.EDGE if name == probe.name and self._on_edges(probe) else self._location(probe)
                    keep = self.topology.per_entry(live, location)
                    value = torch.where(_behind(keep, value), value, outputs[name])
                outputs[name] = value

    def _on_edges(self, probe: Probe) -> bool:
        """Whether a probe's logits lie on edges."""
        return probe.location is Location.EDGE or (probe.location is Location.NODE and probe.is_pointer)

    def _location(self, probe: Probe) -> Location:
        """Where a probe's logits lie, if not on edges: an index is a distribution over nodes."""
        return Location.NODE if probe.type is Type.MASK_ONE or probe.is_pointer else probe.location

    def _with_noise(self, read: Read, probe: Probe, t: int, k: int) -> Read:
        """The same, with Gumbel noise for a permutation in training."""
        if not self.training or probe.type is not Type.PERMUTATION_POINTER:
            return read
        n = self.topology.max_nodes
        index = self.batch.index.to(self.device, non_blocking=True)
        stream = _GUMBEL + t * len(self.batch.spec.outputs) + k
        return read._replace(noise=gumbel(*self.noise, stream, index, (n, n)))


def _behind(mask: Tensor, like: Tensor) -> Tensor:
    """`mask` with axes of size one behind, to broadcast against `like`."""
    return mask.reshape(*mask.shape, *(1,) * (like.dim() - mask.dim()))
