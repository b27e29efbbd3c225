"""The data model of a task: probes, each a (stage, location, type), gathered in a spec.

The vocabulary is that of the CLRS benchmark (Veličković et al., ICML 2022, section 3.2), with three
additions that its thirty algorithms did not need: a probe may be several channels wide, may be streamed
(one value a step instead of one a trajectory), and a pointer states what it may point to.

This module imports nothing but the standard library, so that `import zoo` stays light.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """When a probe is known: given before the first step, traced along the way, or asked for at the end."""

    INPUT = "input"
    HINT = "hint"
    OUTPUT = "output"


class Location(StrEnum):
    """What a probe belongs to."""

    NODE = "node"
    EDGE = "edge"
    GRAPH = "graph"


class Type(StrEnum):
    """What a probe's values are. The compact form that a `Batch` holds stands behind each."""

    SCALAR = "scalar"  # float32
    MASK = "mask"  # bool; int8 with -1 where an entry is not scored
    MASK_ONE = "mask_one"  # int32 local node index, one a graph (or one a row, for edges)
    CATEGORICAL = "categorical"  # int8 class, int16 if there are more than 128; -1 where an entry is not scored
    POINTER = "pointer"  # int32 local node index, one a node (or an edge)
    PERMUTATION_POINTER = "permutation_pointer"  # as POINTER: a chain in which only the head points to itself


@dataclass(frozen=True)
class Probe:
    """One named quantity of a task.

    Attributes:
        name: unique within the spec.
        stage: input, hint or output.
        location: node, edge or graph.
        type: see `Type`.
        classes: number of classes of a categorical probe, otherwise 0.
        channels: width of a scalar or mask probe; its values have a last axis of this width if above 1.
        domain: what a pointer may point to: `"nodes"` (any node of the graph) or `"edges"` (a sender of
            one of its own incoming edges, itself included).
        streamed: an input or output with one value per step, `[steps, batch, …]`.
        positional: an input that only names the order of the nodes; what reads nodes in order may skip it.
        echoes: of a hint, the streamed output that it repeats: frame t + 1 is the answer of step t. A model has no
            prediction of its own for it. It reads what it has answered itself, decided (greedy generation), or the
            truth where teacher forcing says so, and nothing after a step at which no answer was due (-1).
    """

    name: str
    stage: Stage
    location: Location
    type: Type
    classes: int = 0
    channels: int = 1
    domain: str = "nodes"
    streamed: bool = False
    positional: bool = False
    echoes: str = ""

    def __post_init__(self) -> None:
        if (self.type is Type.CATEGORICAL) != (self.classes > 1):
            raise ValueError(f"probe {self.name!r}: classes (2 or more) go with a categorical probe and no other")
        if self.channels != 1 and self.type not in (Type.SCALAR, Type.MASK):
            raise ValueError(f"probe {self.name!r}: only scalar and mask probes can have several channels")
        if self.domain not in ("nodes", "edges"):
            raise ValueError(f"probe {self.name!r}: domain is 'nodes' or 'edges', not {self.domain!r}")
        if self.streamed and self.stage is Stage.HINT:
            raise ValueError(f"probe {self.name!r}: hints always have one value a step; streamed is for the others")
        if self.echoes and self.stage is not Stage.HINT:
            raise ValueError(f"probe {self.name!r}: only a hint can echo an output")

    @property
    def is_pointer(self) -> bool:
        """Whether values are node indices, one an entry."""
        return self.type in (Type.POINTER, Type.PERMUTATION_POINTER)


@dataclass(frozen=True)
class Spec:
    """The probes of a task, in the order in which encoders and decoders are made.

    Attributes:
        task: registry name of the task.
        probes: all probes; names are unique.
        prefix: whether answers are sequences whose scores also tell how much is right before the first mistake.
    """

    task: str
    probes: tuple[Probe, ...]
    prefix: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        names = [probe.name for probe in self.probes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"spec of {self.task!r}: probe names must be unique, twice: {', '.join(twice)}")
        for probe in self.probes:
            if probe.echoes and not any(_repeats(probe, output) for output in self.outputs):
                raise ValueError(
                    f"spec of {self.task!r}: {probe.name} echoes {probe.echoes!r}, no streamed output of its form"
                )

    def __iter__(self) -> Iterator[Probe]:
        return iter(self.probes)

    def __getitem__(self, name: str) -> Probe:
        for probe in self.probes:
            if probe.name == name:
                return probe
        raise KeyError(f"{self.task} has no probe {name!r}; it has {', '.join(p.name for p in self.probes)}")

    def stage(self, stage: Stage | str) -> tuple[Probe, ...]:
        """The probes of one stage, in order."""
        return tuple(probe for probe in self.probes if probe.stage == stage)

    @property
    def inputs(self) -> tuple[Probe, ...]:
        """Input probes, in order."""
        return self.stage(Stage.INPUT)

    @property
    def hints(self) -> tuple[Probe, ...]:
        """Hint probes, in order."""
        return self.stage(Stage.HINT)

    @property
    def outputs(self) -> tuple[Probe, ...]:
        """Output probes, in order."""
        return self.stage(Stage.OUTPUT)

    @property
    def has_edges(self) -> bool:
        """Whether any input or hint lives on edges: an edge probe or a node pointer."""
        return any(
            probe.location is Location.EDGE or (probe.location is Location.NODE and probe.is_pointer)
            for probe in self.inputs + self.hints
        )

    def as_dict(self) -> list[dict[str, object]]:
        """Plain data, for checkpoints and for comparing one spec with another."""
        return [
            {
                "name": p.name,
                "stage": str(p.stage),
                "location": str(p.location),
                "type": str(p.type),
                "classes": p.classes,
                "channels": p.channels,
                "domain": p.domain,
                "streamed": p.streamed,
                "positional": p.positional,
                **({"echoes": p.echoes} if p.echoes else {}),
            }
            for p in self.probes
        ]

    @classmethod
    def from_dict(cls, task: str, probes: Iterable[Mapping[str, Any]]) -> Spec:
        """The spec that `as_dict` describes."""
        kinds: dict[str, Any] = {"stage": Stage, "location": Location, "type": Type}
        made = [{key: kinds[key](value) if key in kinds else value for key, value in p.items()} for p in probes]
        return cls(task, tuple(Probe(**values) for values in made))


def _repeats(hint: Probe, output: Probe) -> bool:
    """Whether a hint can echo an output."""
    form = (hint.echoes, hint.location, hint.type, hint.classes, hint.channels)
    return output.streamed and form == (output.name, output.location, output.type, output.classes, output.channels)
