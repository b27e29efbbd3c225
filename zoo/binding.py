"""Which processor goes with which task: declared capabilities, and the probes that heads stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.spec import Location, Probe, Spec
from zoo.processor import Port, Processor

UNBOUND = "none"
"""In place of a probe's name: the port stands for nothing, and the Reasoner's own decoder predicts what there is."""


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
        raise ValueError(
            f"{name} runs on {' and '.join(sorted(processor.layouts))} layouts; {spec.task} is {layout} here"
        )
    anywhere = [p.name for p in spec if p.is_pointer and p.domain == "nodes" and p.location is not Location.GRAPH]
    if anywhere and (layout == "sparse" or "dense" not in processor.layouts):
        raise ValueError(
            f"{spec.task}'s {', '.join(anywhere)} may point to any node, which only a dense layout can hold; {name} "
            f"runs on {' and '.join(sorted(processor.layouts)) if layout is None else layout}"
        )


def bind(spec: Spec, ports: Mapping[str, Port], given: Mapping[str, str], among: Sequence[Probe]) -> dict[str, Probe]:
    """The probe of each port: as given, or the one that the port names, or the only one that fits.

    Args:
        spec: of the task.
        ports: a processor's heads or asks.
        given: probe names by port name, or `UNBOUND`; may name ports of other kinds.
        among: probes to choose from.

    Raises:
        ValueError: a given probe is of another location or type than its port.
    """
    bound = {}
    for name, port in ports.items():
        if given.get(name) == UNBOUND:
            continue
        fits = [p for p in among if p.location is port.location and p.type is port.type]
        fits = [p for p in fits if (p.name == port.probe if port.probe else not p.streamed and p.channels == 1)]
        if name in given:
            probe = spec[given[name]]
            if probe.location is not port.location or probe.type is not port.type:
                raise ValueError(
                    f"bind of task {spec.task!r}: {name} is a {port.location} {port.type}, "
                    f"{probe.name} a {probe.location} {probe.type}"
                )
            bound[name] = probe
        elif len(fits) == 1 and port.by_default:
            bound[name] = fits[0]
    return bound
