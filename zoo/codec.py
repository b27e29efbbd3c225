"""How a processor is unrolled, and the encoders and decoders of one task that go around it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from tasks.registry import near, option
from tasks.spec import Location, Probe, Spec, Type
from zoo.decoders import Sizes, make_decoder
from zoo.encoders import Encoder, RawEncoder, without_biases_
from zoo.processor import Processor
from zoo.schedule import OVER

PARTS = ("encoded", "previous", "new")


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
    reverse_edges: bool = option(False, "encode an edge's inputs on the edge that runs the other way too")
    edge_pointers: str = option("means", "an edge's pointer as two means over edges (CLRS), or in triplets of nodes")
    homogeneous: bool = option(False, "no biases and no positions: answers scale as inputs do if the processor's do")
    graph_pool: str = option("max", "reduction of the nodes that decoders of graphs read: max, min, sum or mean")
    steps: str | int = option("trajectory", "processor steps: as many as the algorithm, a number, or until halt")
    max_steps: int = option(64, "limit of steps until halt")
    eval_max_steps: int = option(0, "the same limit in evaluation; 0 is max_steps")
    schedule: str = option("synchronous", "a step updates all, random nodes (nodes) or one, or hears of random edges")
    schedule_probability: float = option(0.5, "that a node, or an edge, has its turn at a step")
    schedule_seed: int = option(0, "seed of the schedule, which is the same for every batch")
    sinkhorn_temperature: float = option(0.1, "temperature of permutation decoders")
    sinkhorn_steps: int = option(10, "normalisations of a permutation in training")
    sinkhorn_eval_steps: int = option(60, "normalisations of a permutation in evaluation")

    def __post_init__(self) -> None:
        for name, choices in (
            ("feedback", ("soft", "hard")),
            ("encoder", ("linear", "raw")),
            ("scalar_init", ("default", "xavier_on_scalars")),
            ("edge_pointers", ("means", "triplets")),
            ("graph_pool", ("max", "min", "sum", "mean")),
            ("schedule", ("synchronous", *OVER)),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"reasoner.{name} has no choice {getattr(self, name)!r}; {near(str(getattr(self, name)), choices)}"
                )
        for part in self.decode_from:
            if part not in PARTS:
                raise ValueError(f"reasoner.decode_from has no part {part!r}; {near(part, PARTS)}")
        if not self.decode_from:
            raise ValueError(f"reasoner.decode_from needs at least one of {', '.join(PARTS)}")
        if not 0 <= self.teacher_forcing <= 1:
            raise ValueError(f"reasoner.teacher_forcing is a probability, not {self.teacher_forcing}")
        if not 0 < self.schedule_probability <= 1:
            raise ValueError(f"reasoner.schedule_probability is above 0 and at most 1, not {self.schedule_probability}")
        steps = int(self.steps) if str(self.steps).isdigit() else self.steps
        if steps not in ("trajectory", "halt") and not (isinstance(steps, int) and steps >= 1):
            raise ValueError(f"reasoner.steps is 'trajectory', 'halt' or a number from 1, not {self.steps!r}")
        object.__setattr__(self, "steps", steps)
        if self.homogeneous and self.encoder == "raw":
            raise ValueError("reasoner.homogeneous is of linear encoders; encoder 'raw' has no biases")
        if self.encode_hints and not self.decode_hints:
            raise ValueError("reasoner.encode_hints needs predicted hints: set decode_hints too, or encode_hints=false")


class Codec(nn.Module):
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
        self.reverse_edges = config.reverse_edges
        self.edge_pointers = config.edge_pointers
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
                edge_pointers=config.edge_pointers,
                positions=not config.homogeneous,
                reverse_edges=config.reverse_edges,
            )
        sizes = self._sizes(processor, config)
        own = tuple(hint for hint in spec.hints if not hint.echoes)
        decoded = spec.outputs + (own if self.decode_hints else ())
        bound = {probe.name for probe in heads.values()}
        self.decoders = nn.ModuleDict(
            {
                probe.name: make_decoder(
                    probe,
                    sizes,
                    temperature=config.sinkhorn_temperature,
                    steps=config.sinkhorn_steps,
                    eval_steps=config.sinkhorn_eval_steps,
                    edge_pointers=config.edge_pointers,
                    graph_pool=config.graph_pool,  # type: ignore[arg-type]
                )
                for probe in decoded
                if probe.name not in bound
            }
        )
        if config.homogeneous:
            without_biases_(self)

    @property
    def cubes(self) -> list[str]:
        """Names of the encoded pointers of edges that decoders read too."""
        return self.encoder.cubes if isinstance(self.encoder, Encoder) else []

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
            cubes=len(self.cubes),
        )
