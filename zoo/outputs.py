"""Outputs gathered over the steps of a batch: each sample's at its own last step."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from tasks.spec import Location, Probe, Type
from zoo.topology import Topology
from zoo.topology.base import trailing


class Outputs:
    """Logits of outputs as they come.

    Samples of a dense batch that end at different steps are decoded each at its last one, and put together in the end:
    no step's outputs are decoded for samples that still run, or have ended. Where that is not known beforehand, or
    graphs do not come apart, all are decoded whenever one ends, and those that had ended keep what they had.
    """

    def __init__(self, topology: Topology, own_steps: Int[Tensor, " batch"], *, halts: bool) -> None:
        """Nothing yet.

        Args:
            topology: of the batch.
            own_steps: steps of each sample, on the CPU.
            halts: whether the processor says when it is done, so that any step may be a sample's last.
        """
        self.topology, self.halts = topology, halts
        self._whole: dict[str, Tensor] = {}
        self._parts: dict[str, list[Tensor]] = {}
        self._streams: dict[str, list[Tensor]] = {}
        last = own_steps - 1
        self._last: dict[int, Tensor | None] = dict.fromkeys(sorted(set(last.tolist())))
        if not halts and topology.layout == "dense" and len(self._last) > 1:
            for t in self._last:
                self._last[t] = (last == t).nonzero().squeeze(1).to(topology.node_mask().device, non_blocking=True)

    def due(self, probe: Probe, t: int) -> bool:
        """Whether a probe is to be decoded at a step."""
        return probe.streamed or self.halts or t in self._last

    def graphs(self, probe: Probe, t: int) -> Int[Tensor, " graphs"] | None:
        """Numbers of the samples that it is to be decoded for; None for all."""
        return None if probe.streamed else self._last.get(t)

    def add(self, probe: Probe, t: int, logits: Tensor | tuple[Tensor, Tensor], live: Bool[Tensor, " batch"]) -> None:
        """Take what was decoded of `graphs(probe, t)`.

        Args:
            probe: the output.
            t: the step.
            logits: its logits; of a permutation also the head's.
            live: samples that still ran in this step.
        """
        if probe.streamed:
            assert isinstance(logits, Tensor)
            self._streams.setdefault(probe.name, []).append(logits)
            return
        values = (logits,) if isinstance(logits, Tensor) else logits
        for name, value in zip((probe.name, f"{probe.name}:head"), values, strict=False):
            if self.graphs(probe, t) is not None:
                self._parts.setdefault(name, []).append(value)
            elif name in self._whole:
                location = Location.EDGE if name == probe.name and _on_edges(probe) else _location(probe)
                keep = trailing(self.topology.per_entry(live, location), value)
                self._whole[name] = torch.where(keep, value, self._whole[name])
            else:
                self._whole[name] = value

    def newest(self, name: str) -> Tensor:
        """A streamed output's logits at the last step."""
        return self._streams[name][-1]

    def result(self) -> dict[str, Tensor]:
        """Logits by probe name; a permutation's head is under `NAME:head`."""
        numbers = [graphs for graphs in self._last.values() if graphs is not None]
        order = torch.cat(numbers).argsort() if self._parts else None
        parts = {name: torch.cat(values)[order] for name, values in self._parts.items()}
        return self._whole | parts | {name: torch.stack(values) for name, values in self._streams.items()}


def _on_edges(probe: Probe) -> bool:
    """Whether a probe's logits lie on edges."""
    return probe.location is Location.EDGE or (probe.location is Location.NODE and probe.is_pointer)


def _location(probe: Probe) -> Location:
    """Where a probe's logits lie, if not on edges: an index is a distribution over nodes."""
    return Location.NODE if probe.type is Type.MASK_ONE or probe.is_pointer else probe.location
