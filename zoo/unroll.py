"""The loop over steps: one pass of a Reasoner over one batch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool
from torch import Tensor

from tasks.batch import Batch
from tasks.spec import Location, Probe, Type
from zoo.binding import check
from zoo.codec import Codec, ReasonerConfig
from zoo.decoders import Read, candidates, feedback
from zoo.encoders import channels, encoded_at, reversible
from zoo.noise import gumbel, uniform
from zoo.outputs import Outputs
from zoo.prediction import Carry, Prediction
from zoo.processor import Inputs, Latents, Processor, State, Step
from zoo.recording import Record
from zoo.topology import DenseTopology, SparseTopology, Topology

# Streams of keyed noise; permutations take the ones from the second on, one for each step and decoder.
_FORCING, _GUMBEL = 1, 2


def topology_of(batch: Batch) -> Topology:
    """The graphs of a batch: self-loops and its edge masks, both ways."""
    if batch.edge_index is not None:
        return SparseTopology(batch.edge_index, batch.sizes)
    spec = batch.spec
    anchor = next(
        p for p in (*spec.inputs, *spec.outputs) if p.location is not Location.GRAPH and p.type is not Type.MASK_ONE
    )
    value = (batch.inputs if anchor.name in batch.inputs else batch.outputs)[anchor.name]
    num_nodes = value.shape[2 if anchor.streamed else 1]
    loops = torch.eye(num_nodes, dtype=torch.bool, device=value.device).expand(batch.batch_size, -1, -1)
    topology = DenseTopology(batch.batch_size, num_nodes, sizes=batch.sizes, adjacency=loops)
    for probe in spec.inputs:
        if probe.location is Location.EDGE and probe.type is Type.MASK and not probe.streamed:
            topology = topology.with_mask(batch.inputs[probe.name] > 0)
    return topology


class Unroll:
    """One pass over one batch: what the loop over steps shares."""

    def __init__(
        self,
        processor: Processor,
        codec: Codec,
        config: ReasonerConfig,
        batch: Batch,
        *,
        carry: Carry | None,
        noise: tuple[int, int],
        trace: bool,
    ) -> None:
        """Prepare what does not change from step to step; see `Reasoner.forward` for the arguments."""
        self.processor, self.task, self.config = processor, codec, config
        self.training = codec.training
        self.heads = {probe.name: head for head, probe in codec.heads.items()}
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
        limit = self.config.max_steps if self.training else self.config.eval_max_steps or self.config.max_steps
        self.num_steps = limit if steps == "halt" else int(self.own_steps.max())
        self.live = (torch.arange(self.num_steps)[:, None] < self.own_steps).to(self.device, non_blocking=True)
        self.forced = self._forced()

    def _static_channels(self) -> dict[str, Tensor]:
        """Channels of the inputs that stay the same at every step."""
        return {
            p.name: self._channels(p, self.batch.inputs[p.name])
            for p in self.task.encoder.probes
            if p.name in self.batch.inputs and not p.streamed
        }

    def _channels(self, probe: Probe, value: Tensor) -> Tensor:
        """A probe's compact value as channels."""
        task = self.task
        made = channels(probe, value, self.topology, both_ways=task.both_ways, edge_pointers=task.edge_pointers)
        if task.reverse_edges and reversible(probe):
            return torch.cat([made, self.topology.reverse(made)], -1)
        return made

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
        values, encoded = self._encode(0, fed)
        inputs = Inputs(encoded, self._asked(0), self._guide(None), self._candidates())
        records: list[Record] = []
        if self.carry:
            hidden, state = self.carry.hidden, self.carry.state
        else:
            hidden, state = self._initial(inputs, records)
        outputs = Outputs(self.topology, self.own_steps, halts=self.config.steps == "halt")
        hints: dict[str, list[Tensor]] = {}
        penalties: dict[str, Tensor] = {}
        trace: list[Step] = []
        alive = torch.ones(self.batch.batch_size, dtype=torch.bool, device=self.device)
        for t in range(self.num_steps):
            if t:
                values, encoded = self._encode(t, fed)
            inputs = Inputs(encoded, self._asked(t), self._guide(t), inputs.candidates)
            step = self._step(inputs, hidden, self._step_topology(fed), state, records)
            read = self._read(values, encoded, hidden, step.hidden)
            predicted = self._decode_hints(read, step)
            for name, value in predicted.items():
                hints.setdefault(name, []).append(value)
            live = alive if self.config.steps == "halt" else self.live[t]
            self._decode_outputs(t, read, step, live, outputs)
            for name, value in step.penalties.items():
                penalties[name] = penalties.get(name, 0.0) + torch.where(live, value, 0.0)
            fed = self._next_hints(t, predicted, step.decided, outputs)
            hidden, state = step.hidden, step.state
            if self.keep_trace:
                trace.append(step)
            if self.config.steps == "halt":
                if step.halt is None:
                    raise ValueError(
                        f"steps='halt' needs a processor that halts; {type(self.processor).__name__} never does"
                    )
                alive = alive & ~step.halt
                if not bool(alive.any()):
                    break
        stacked = {name: torch.stack(values) for name, values in hints.items()}
        carry = Carry(hidden, state, fed)
        about = self.topology, self.batch.spec
        return Prediction(outputs.result(), stacked, penalties, carry, tuple(trace), *about, tuple(records))

    def _initial(self, inputs: Inputs, records: list[Record]) -> tuple[Latents, State]:
        """The processor's start."""
        if not self.keep_trace:
            return self.processor.initial(inputs, self.topology)
        hidden, state, record = self.processor.record_initial(inputs, self.topology)
        records.append(record)
        return hidden, state

    def _step(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State, records: list[Record]) -> Step:
        """The processor's step."""
        if not self.keep_trace:
            return self.processor(inputs, hidden, topology, state)
        step, record = self.processor.record(inputs, hidden, topology, state)
        records.append(record)
        return step

    def _encode(self, t: int, fed: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Latents]:
        """This step's probes, as channels and encoded."""
        streamed = {
            p.name: self._channels(p, self.batch.inputs[p.name][min(t, self._frames(p) - 1)])
            for p in self.task.encoder.probes
            if p.streamed
        }
        values = self.static | streamed | dict(fed)
        return values, self.task.encoder(values, self.topology)

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
            if probe.name not in self.batch.hints:
                guide[name] = self._guide_output(t, probe)
                continue
            frames = self.batch.hints[probe.name]
            frame = frames[0 if t is None else min(t + 1, frames.shape[0] - 1)]
            scalar = probe.type is Type.SCALAR
            value = frame if scalar else frame.long()
            if t is not None:
                nothing = self._nothing(probe, value)
                always = name in self.processor.oracles
                if t + 1 >= frames.shape[0] or (self.forced is None and not always):
                    value = nothing
                elif self.forced is not None and not always:
                    now = self.topology.per_entry(self.forced[t + 1], probe.location)
                    value = torch.where(now, value, nothing)
            guide[name] = value
        return guide

    def _guide_output(self, t: int | None, probe: Probe) -> Tensor:
        """The value forced on a head that is bound to an output: a streamed one's at step t where forcing was drawn."""
        value = self.batch.outputs[probe.name]
        if not probe.streamed:
            return self._nothing(probe, value)
        steps = value.shape[0]
        value = value[min(t or 0, steps - 1)]
        nothing = self._nothing(probe, value)
        if t is None or t >= steps or self.forced is None:
            return nothing
        now = self.topology.per_entry(self.forced[t + 1], probe.location)
        return torch.where(now, value.to(nothing.dtype), nothing)

    def _nothing(self, probe: Probe, like: Tensor) -> Tensor:
        """Values that force nothing."""
        if probe.type is Type.SCALAR:
            return torch.full_like(like, torch.nan)
        return torch.full_like(like, -1, dtype=torch.long)

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
        return {p.name: self._channels(p, self.batch.hints[p.name][0]) for p in self.batch.spec.hints}

    def _next_hints(
        self,
        t: int,
        predicted: Mapping[str, Tensor],
        decided: Mapping[str, Tensor],
        outputs: Outputs,
    ) -> dict[str, Tensor]:
        """Channels of the hints fed in at step t + 1: decided by the processor, predicted, or true where forced."""
        if not self.task.encode_hints:
            return {}
        fed = {}
        for probe in self.batch.spec.hints:
            frames = self.batch.hints[probe.name]
            forced = self.forced[t + 1] if self.forced is not None and t + 1 < frames.shape[0] else None
            head = self.heads.get(probe.name, "")
            if head in decided:
                value = self._channels(probe, decided[head])
            elif probe.echoes:
                value = self._echo(probe, t, outputs.newest(probe.echoes))
            else:
                value = self._feedback(probe, predicted[probe.name], soft=self.config.feedback == "soft")
            if forced is not None:
                true = self._channels(probe, frames[t + 1])
                value = torch.where(self.topology.per_entry(forced, encoded_at(probe))[..., None], true, value)
            fed[probe.name] = value
        return fed

    def _echo(self, probe: Probe, t: int, logits: Tensor) -> Tensor:
        """The answer of step t as channels, decided whatever `feedback` says; zero where none was due."""
        said = self._feedback(probe, logits, soft=False)
        frames = self.batch.hints[probe.name]
        if probe.type is Type.SCALAR or t + 1 >= frames.shape[0]:
            return said
        due = frames[t + 1] >= 0
        return torch.where(due if probe.channels > 1 else due[..., None], said, 0.0)

    def _feedback(self, probe: Probe, logits: Tensor, *, soft: bool) -> Tensor:
        """A predicted hint as channels."""
        return feedback(
            probe,
            logits,
            self.topology,
            soft=soft,
            both_ways=self.task.both_ways,
            edge_pointers=self.task.edge_pointers,
        )

    def _read(self, values: Mapping[str, Tensor], encoded: Latents, previous: Latents, new: Latents) -> Read:
        """What decoders read at a step."""
        part = {"encoded": encoded.nodes, "previous": previous.nodes, "new": new.nodes}
        nodes = torch.cat([part[name] for name in self.config.decode_from], -1)
        edges = tuple(e for e in (encoded.edges, new.edges) if e is not None)
        graph = tuple(g for g in (encoded.graph, new.graph) if g is not None)
        return Read(nodes, edges, graph, self.topology, cubes=tuple(values[name] for name in self.task.cubes))

    def _decode_hints(self, read: Read, step: Step) -> dict[str, Tensor]:
        """Logits of this step's hints, from bound heads where there are any."""
        if not self.task.decode_hints:
            return {}
        predicted = {}
        for probe in self.batch.spec.hints:
            if probe.echoes:
                continue
            if probe.name in self.heads:
                predicted[probe.name] = self._head_logits(probe, step)
            else:
                predicted[probe.name] = self.task.decoders[probe.name](read)
        return predicted

    def _head_logits(self, probe: Probe, step: Step) -> Tensor:
        """A bound head's logits, a pointer's normalised over its candidates."""
        logits = step.heads[self.heads[probe.name]]
        return candidates(self.topology, probe.domain).log_softmax(logits, "receiver") if probe.is_pointer else logits

    def _decode_outputs(self, t: int, read: Read, step: Step, live: Bool[Tensor, " batch"], outputs: Outputs) -> None:
        """Add this step's outputs, for the samples that they are due of."""
        for k, probe in enumerate(self.batch.spec.outputs):
            if not outputs.due(probe, t):
                continue
            graphs = outputs.graphs(probe, t)
            if probe.name in self.heads:
                logits = self._head_logits(probe, step)
                logits = logits if graphs is None else logits[graphs]
            else:
                given = self._with_noise(read, probe, t, k)
                logits = self.task.decoders[probe.name](given if graphs is None else given.select(graphs))
            outputs.add(probe, t, logits, live)

    def _with_noise(self, read: Read, probe: Probe, t: int, k: int) -> Read:
        """The same, with Gumbel noise for a permutation in training."""
        if not self.training or probe.type is not Type.PERMUTATION_POINTER:
            return read
        n = self.topology.max_nodes
        index = self.batch.index.to(self.device, non_blocking=True)
        stream = _GUMBEL + t * len(self.batch.spec.outputs) + k
        return read._replace(noise=gumbel(*self.noise, stream, index, (n, n)))
