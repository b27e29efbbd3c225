"""One sample of a task, without any model: its probes as arrays without an axis of samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.batch import Batch
from tasks.spec import Location, Probe, Spec, Stage, Type
from trainers.inspection.sample import Array


@dataclass(frozen=True)
class OneSample:
    """A batch of one sample, in the dense layout and without padding; made by `alone`.

    Attributes:
        batch: the sample.
    """

    batch: Batch

    @property
    def spec(self) -> Spec:
        """The task's probes."""
        return self.batch.spec

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return int(self.batch.sizes[0])

    @property
    def frames(self) -> int:
        """Frames of hints; one more than the steps that lead from one to the next."""
        return int(self.batch.lengths[0])

    def values(self, probe: Probe) -> Array:
        """A probe's values in the compact form of a `Batch`: hints lead with frames, streamed ones with steps."""
        stages = {Stage.INPUT: self.batch.inputs, Stage.HINT: self.batch.hints, Stage.OUTPUT: self.batch.outputs}
        value = stages[probe.stage][probe.name]
        return value.select(int(probe.streamed or probe.stage is Stage.HINT), 0).numpy()

    @property
    def weights(self) -> Array | None:
        """The graph, `[sender, receiver]` with 0 where there is no edge; None where the task has no graph."""
        given = [p for p in self.spec.inputs if p.location is Location.EDGE and not p.streamed]
        for kind in (Type.SCALAR, Type.MASK):
            for probe in given:
                if probe.type is kind:
                    return self.values(probe).astype(np.float32)
        return None

    @property
    def graph_probes(self) -> set[str]:
        """Names of the inputs that `weights` tells all about."""
        weights = self.weights
        if weights is None:
            return set()
        linked = weights != 0
        found = set()
        for probe in self.spec.inputs:
            if probe.location is Location.EDGE and not probe.streamed:
                value = self.values(probe)
                same = np.array_equal(value, weights) or np.array_equal(value, linked)
                if same or np.array_equal(value, linked | np.eye(self.nodes, dtype=bool)):
                    found.add(probe.name)
        return found

    @property
    def lettered(self) -> bool:
        """Whether the classes of nodes are letters: strings side by side, told apart by a mask."""
        return any(p.name == "string" and p.type is Type.MASK for p in self.spec.inputs)


def alone(batch: Batch) -> OneSample:
    """The only sample of a batch.

    Raises:
        ValueError: the batch has several samples, or is in the sparse layout.
    """
    if batch.batch_size != 1 or batch.edge_index is not None:
        raise ValueError("one sample in the dense layout is wanted: sample with batch_size=1, layout='dense'")
    return OneSample(batch.to("cpu").take([0]))


def number(value: float, digits: int = 3) -> str:
    """A number in few characters: whole ones whole, others with so many significant digits."""
    if value == int(value):
        return str(int(value))
    return f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def token(probe: Probe, value: float | int, *, lettered: bool = False) -> str:
    """One entry of a probe as text; `-` where it is not scored."""
    if probe.type is Type.SCALAR:
        return number(float(value))
    if value < 0:
        return "-"
    if lettered and probe.type is Type.CATEGORICAL and probe.location is Location.NODE and probe.classes <= 26:
        return "abcdefghijklmnopqrstuvwxyz"[int(value)]
    return str(int(value))
