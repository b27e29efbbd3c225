"""A batch of samples of one task, as plain tensors by probe name.

Axis letters: B batch, N nodes (padded), T steps, C channels, ΣN and ΣE all nodes and edges of the batch.

Dense layout: node probes `[B, N]`, edge probes `[B, N, N]` (sender, receiver), graph probes `[B]`, node
`mask_one` `[B]`. Sparse layout (`edge_index` is set): node probes `[ΣN]`, edge probes `[ΣE]`, the rest as
before; indices stay local to their graph. A probe with several channels has them last. Hints carry a
leading `[T + 1]`, streamed inputs and outputs a leading `[T]`; both are zero past a sample's own end. Of a trajectory
that was not recorded, hints have the given frame 0 alone, `[1]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from tasks.spec import Location, Probe, Spec, Stage, Type


@dataclass(frozen=True)
class Batch:
    """Samples of one task.

    Attributes:
        spec: the task's probes.
        inputs: value of every input probe, by name.
        hints: value of every hint probe, by name, `[T + 1, …]`; frame 0 is given, frame t + 1 is the target of step t
            (`[1, …]`, without targets, where the trajectory was not recorded).
        outputs: value of every output probe, by name.
        lengths: number of hint frames of each sample, as in CLRS; at least 1. Always on the CPU.
        sizes: number of nodes of each sample. Always on the CPU.
        index: the number of each sample in its stream: with the seed, all that its randomness depends on. On the CPU.
        edge_index: sender and receiver of each edge as positions in ΣN, or None in the dense layout. Sorted by
            (receiver, sender), closed under reversal, every self-loop present.
    """

    spec: Spec
    inputs: Mapping[str, Tensor]
    hints: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    lengths: Int[Tensor, " batch"]
    sizes: Int[Tensor, " batch"]
    index: Int[Tensor, " batch"]
    edge_index: Int[Tensor, "2 edges"] | None = None

    @property
    def batch_size(self) -> int:
        """Number of samples."""
        return self.lengths.shape[0]

    @property
    def steps(self) -> Int[Tensor, " batch"]:
        """Processor steps of each sample: one for every hint frame after the first, and at least one. On the CPU."""
        return (self.lengths - 1).clamp_min(1)

    @property
    def num_steps(self) -> int:
        """Processor steps of the longest sample."""
        return int(self.steps.max())

    @property
    def recorded(self) -> bool:
        """Whether hints have all their frames."""
        return all(frames.shape[0] == int(self.lengths.max()) for frames in self.hints.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        values = [*self.inputs.values(), *self.hints.values(), *self.outputs.values(), self.lengths, self.sizes]
        edges = [] if self.edge_index is None else [self.edge_index]
        return sum(each.nbytes for each in [*values, self.index, *edges])

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """The same batch with `function` applied to every probe's tensor and to `edge_index`."""
        return replace(
            self,
            inputs={name: function(value) for name, value in self.inputs.items()},
            hints={name: function(value) for name, value in self.hints.items()},
            outputs={name: function(value) for name, value in self.outputs.items()},
            edge_index=None if self.edge_index is None else function(self.edge_index),
        )

    def take(self, indices: Sequence[int] | Int[Tensor, " taken"]) -> Batch:
        """A batch of some of the samples, trimmed to the longest and the largest of them.

        Args:
            indices: positions of the samples in this batch, in the wanted order; one may come several times.

        Returns:
            The samples with their own numbers, in the dense layout.

        Raises:
            ValueError: the sparse layout, no samples, or a position that there is not.
        """
        if self.edge_index is not None:
            raise ValueError("samples are taken from batches in the dense layout only: make it with layout='dense'")
        chosen = torch.as_tensor(indices, dtype=torch.long).cpu()
        if not len(chosen) or int(chosen.min()) < 0 or int(chosen.max()) >= self.batch_size:
            raise ValueError(f"take positions from 0 to {self.batch_size - 1}, at least one, not {chosen.tolist()}")
        lengths, sizes = self.lengths[chosen], self.sizes[chosen]
        frames, nodes = int(lengths.max()), int(sizes.max())

        def cut(probe: Probe, value: Tensor) -> Tensor:
            timed = probe.stage is Stage.HINT or probe.streamed
            if timed:
                value = value[: frames if probe.stage is Stage.HINT else max(frames - 1, 1)]
            value = value.index_select(int(timed), chosen.to(value.device))
            for axis in range(node_axes(probe)):
                value = value.narrow(int(timed) + 1 + axis, 0, nodes)
            return value.contiguous()

        return replace(
            self,
            inputs={name: cut(self.spec[name], value) for name, value in self.inputs.items()},
            hints={name: cut(self.spec[name], value) for name, value in self.hints.items()},
            outputs={name: cut(self.spec[name], value) for name, value in self.outputs.items()},
            lengths=lengths,
            sizes=sizes,
            index=self.index[chosen],
        )

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
        """The same batch with its probes on `device`; lengths, sizes and index stay on the CPU, so no step waits."""
        return self.map(lambda value: value.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory, for copies that overlap with computation."""
        return self.map(Tensor.pin_memory)


def node_axes(probe: Probe) -> int:
    """How many axes of a dense value run over nodes."""
    axes = {Location.GRAPH: 0, Location.NODE: 1, Location.EDGE: 2}[probe.location]
    return axes - 1 if probe.type is Type.MASK_ONE and axes else axes
