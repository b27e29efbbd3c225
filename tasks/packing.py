"""Batches in little memory: the form in which they wait, lie in sets and in files, and move to a device.

Nothing is lost: `pack(batch).unpack()` has the batch's dtypes, shapes and bits. Left out is what follows from the
rest. That is the padding: samples lie one after another, each with its own frames and nodes. Of the values, in the
order of frames, nodes and channels, every probe keeps the smaller of

- all of them, as integers of 1, 2, 4, 8, 16 or 32 bits, as few as their range asks for: a mask takes 1, a mask with
  entries that are not scored 2, a node of at most 256 nodes 8. Floats take 32, but 1 where all are 0 or 1;
- their changes: a bit an entry that tells whether it differs from the frame before (in the first frame: from 0), and
  the values that do, entry by entry. Tables that an algorithm fills cell by cell, predecessors that settle, and the
  weights of thin graphs are kept so.

Integers of fewer than 8 bits lie lowest bits first, and every sample begins with a whole byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from tasks import bits
from tasks.batch import Batch
from tasks.columns import CHANGED, COUNTS, Column, Grid, common, dense_shape
from tasks.spec import Probe, Spec, Stage

EDGES = "edge_index"
# Bytes: of a part's place in the buffer, whatever its dtype.
_ALIGNMENT = 16


@dataclass(frozen=True)
class Packed:
    """A batch in little memory, all values in one buffer, which moves in one copy.

    Attributes:
        spec: the task's probes.
        columns: how each probe is kept, by `"stage/name"`; in the sparse layout also `"edge_index"`.
        shapes: of the batch's tensors, by the same names.
        places: dtype and number of elements of each part of the buffer, in their order.
        buffer: the parts, in bytes.
        lengths: as in `Batch`; on the CPU.
        sizes: as in `Batch`; on the CPU.
        index: as in `Batch`; on the CPU.
    """

    spec: Spec
    columns: Mapping[str, Column]
    shapes: Mapping[str, tuple[int, ...]]
    places: Mapping[str, tuple[str, int]]
    buffer: UInt8[Tensor, " bytes"]
    lengths: Int[Tensor, " batch"]
    sizes: Int[Tensor, " batch"]
    index: Int[Tensor, " batch"]

    @property
    def batch_size(self) -> int:
        """Number of samples."""
        return self.lengths.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of everything that is kept."""
        return sum(each.nbytes for each in (self.buffer, self.lengths, self.sizes, self.index))

    @property
    def unpacked_nbytes(self) -> int:
        """Bytes that the batch would take."""
        values = sum(prod(self.shapes[name]) * column.kind.itemsize for name, column in self.columns.items())
        return values + sum(each.nbytes for each in (self.lengths, self.sizes, self.index))

    @property
    def parts(self) -> dict[str, Tensor]:
        """The buffer's parts: `"lengths"`, `"sizes"`, and of each column `"stage/name"`, of changes (`….changed`: their
        bits; `….counts`: how many values each sample has) before the values themselves.
        """
        found, first = {}, 0
        for name, (dtype, count) in self.places.items():
            kind = getattr(torch, dtype)
            found[name] = self.buffer[first : first + count * kind.itemsize].view(kind)
            first += _room(count * kind.itemsize)
        return found

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Packed:
        """The same on `device`; lengths, sizes and index stay on the CPU."""
        return replace(self, buffer=self.buffer.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Packed:
        """The same in page-locked memory, for copies that overlap with computation."""
        return replace(self, buffer=self.buffer.pin_memory())

    def unpack(self) -> Batch:
        """The batch, on the buffer's device, which is not waited for."""
        parts = self.parts
        values = {name: self.grid(name).read(column, name, parts) for name, column in self.columns.items()}
        return Batch(
            spec=self.spec,
            inputs={probe.name: values[_name(probe)] for probe in self.spec.inputs if _name(probe) in values},
            hints={probe.name: values[_name(probe)] for probe in self.spec.hints if _name(probe) in values},
            outputs={probe.name: values[_name(probe)] for probe in self.spec.outputs if _name(probe) in values},
            lengths=self.lengths,
            sizes=self.sizes,
            index=self.index,
            edge_index=values.get(EDGES),
        )

    def grid(self, name: str) -> Grid:
        """Where a column's values lie."""
        return _grid(self.spec, name, self.shapes, self.lengths, self.sizes)

    def take(self, indices: Sequence[int] | Int[Tensor, " taken"]) -> Packed:
        """Some of the samples, as `Batch.take` takes them, without unpacking any.

        Raises:
            ValueError: the sparse layout, no samples, or a position that there is not.
        """
        if EDGES in self.columns:
            raise ValueError("samples are taken from batches in the dense layout only: make it with layout='dense'")
        chosen = torch.as_tensor(indices, dtype=torch.long)
        if not len(chosen) or int(chosen.min()) < 0 or int(chosen.max()) >= self.batch_size:
            raise ValueError(f"take positions from 0 to {self.batch_size - 1}, at least one, not {chosen.tolist()}")
        parts, taken = self.parts, dict[str, Tensor]()
        for name, counts in self.sections():
            firsts, counts = (counts.cumsum(0) - counts)[chosen], counts[chosen]
            taken[name] = parts[name].index_select(0, bits.ranges(firsts, counts, int(counts.sum())))
        hints = {self.shapes[_name(probe)][0] for probe in self.spec.hints if _name(probe) in self.shapes}
        about = self.lengths[chosen], self.sizes[chosen], self.index[chosen]
        return assemble(self.spec, self.columns, taken, *about, frames=max(hints, default=1))

    def sections(self) -> Iterator[tuple[str, Int[Tensor, " samples"]]]:
        """Every part's name, and how many of its elements each sample has."""
        parts, ones = self.parts, torch.ones_like(self.lengths)
        yield from (("lengths", ones), ("sizes", ones))
        for name, column in self.columns.items():
            counts = self.grid(name).counts
            if column.changes:
                yield f"{name}{CHANGED}", bits.stored(counts, 1)
                yield f"{name}{COUNTS}", ones
                counts = parts[f"{name}{COUNTS}"].long()
            yield name, bits.stored(counts, column.width)


def pack(batch: Batch, columns: Mapping[str, Column] | None = None) -> Packed:
    """A batch on the CPU in little memory.

    Args:
        batch: in either layout.
        columns: how each probe is to be kept; by default as it takes the least memory.

    Raises:
        ValueError: padding that is not as `Batch` says.
    """
    groups = {Stage.INPUT: batch.inputs, Stage.HINT: batch.hints, Stage.OUTPUT: batch.outputs}
    values = {
        _name(probe): groups[probe.stage][probe.name] for probe in batch.spec if probe.name in groups[probe.stage]
    }
    if batch.edge_index is not None:
        values[EDGES] = batch.edge_index
    shapes = {name: tuple(value.shape) for name, value in values.items()}
    parts = {"lengths": batch.lengths.int(), "sizes": batch.sizes.int()}
    kept = dict[str, Column]()
    for name, value in values.items():
        grid = _grid(batch.spec, name, shapes, batch.lengths, batch.sizes)
        kept[name] = grid.best(value) if columns is None else columns[name]
        parts |= grid.write(value, kept[name], name)
    return _in_one(batch.spec, kept, shapes, parts, batch.lengths, batch.sizes, batch.index)


def assemble(
    spec: Spec,
    columns: Mapping[str, Column],
    parts: Mapping[str, Tensor],
    lengths: Int[Tensor, " batch"],
    sizes: Int[Tensor, " batch"],
    index: Int[Tensor, " batch"],
    *,
    frames: int | None = None,
) -> Packed:
    """Samples of the dense layout from their parts; padded, once unpacked, to the longest and the largest of them.

    Hints have at most so many `frames`, where they were not all recorded.
    """
    probes = {_name(probe): probe for probe in spec}
    longest, nodes = int(lengths.max()), int(sizes.max())
    shapes = {}
    for name in columns:
        probe = probes[name]
        recorded = min(longest, frames or longest) if probe.stage is Stage.HINT else longest
        shapes[name] = dense_shape(probe, len(lengths), recorded, nodes)
    return _in_one(spec, columns, shapes, parts, lengths, sizes, index)


def unified(chunks: Sequence[Packed]) -> list[Packed]:
    """Packed batches of one task, every probe kept in the same way in all of them: their parts can be joined."""
    columns = {name: common([chunk.columns[name] for chunk in chunks]) for name in chunks[0].columns}
    return [chunk if chunk.columns == columns else pack(chunk.unpack(), columns) for chunk in chunks]


def _name(probe: Probe) -> str:
    """What a probe's column is called."""
    return f"{probe.stage}/{probe.name}"


def _grid(spec: Spec, name: str, shapes: Mapping[str, tuple[int, ...]], lengths: Tensor, sizes: Tensor) -> Grid:
    """Where a column's values lie."""
    probe = None if name == EDGES else spec[name.partition("/")[2]]
    return Grid(probe, shapes[name], lengths, sizes, EDGES in shapes)


def _in_one(
    spec: Spec,
    columns: Mapping[str, Column],
    shapes: Mapping[str, tuple[int, ...]],
    parts: Mapping[str, Tensor],
    lengths: Tensor,
    sizes: Tensor,
    index: Tensor,
) -> Packed:
    """Parts put into one buffer."""
    places = {name: (str(part.dtype).removeprefix("torch."), len(part)) for name, part in parts.items()}
    buffer = torch.zeros(sum(_room(part.nbytes) for part in parts.values()), dtype=torch.uint8)
    whole = Packed(spec, columns, shapes, places, buffer, lengths, sizes, index)
    for place, part in zip(whole.parts.values(), parts.values(), strict=True):
        place.copy_(part)
    return whole


def _room(size: int) -> int:
    """Bytes that a part of so many takes in the buffer."""
    return size + -size % _ALIGNMENT
