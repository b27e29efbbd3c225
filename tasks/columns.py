"""One probe's values between a batch's padded tensor and the parts of `tasks.packing`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from tasks import bits
from tasks.batch import node_axes
from tasks.spec import Probe, Stage

CHANGED, COUNTS = ".changed", ".counts"
"""What the parts of changes beside their values are called, behind the probe's name."""
# Fewer values than these are not worth the search for changes, nor the work of undoing them.
_CHANGES_FROM = 4096
# Of values that may be -1 where an entry is not scored.
_MARKED = (torch.int8, torch.int16)
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Column:
    """How one probe's values are kept.

    Attributes:
        dtype: of the batch's tensor, as in `"float32"`.
        width: bits a value.
        low: what is added to every kept integer.
        changes: whether only changes are kept.
        units: whether the kept bits stand for the floats 0 and 1.
        fill: what the padding holds.
    """

    dtype: str
    width: int
    low: int = 0
    changes: bool = False
    units: bool = False
    fill: int = 0

    @property
    def kind(self) -> torch.dtype:
        """The dtype itself."""
        found: torch.dtype = getattr(torch, self.dtype)
        return found


@dataclass(frozen=True)
class Grid:
    """Where a probe's values lie in its tensor, and in which order they are kept.

    Attributes:
        probe: None for the edges of a sparse batch.
        shape: of the batch's tensor.
        lengths: of the batch, on the CPU.
        sizes: of the batch, on the CPU.
        sparse: whether samples cannot be told apart; all values then count as one sample's.
    """

    probe: Probe | None
    shape: tuple[int, ...]
    lengths: Int[Tensor, " batch"]
    sizes: Int[Tensor, " batch"]
    sparse: bool

    @property
    def timed(self) -> bool:
        """Whether the first axis is time."""
        return self.probe is not None and (self.probe.stage is Stage.HINT or self.probe.streamed)

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """Shape with samples first, then frames."""
        frames, rest = (self.shape[0], self.shape[1:]) if self.timed else (1, self.shape)
        return (1, frames, prod(rest)) if self.sparse or self.probe is None else (rest[0], frames, *rest[1:])

    @cached_property
    def full(self) -> bool:
        """Whether no sample is padded."""
        frames, nodes = self.extent(self.lengths, self.sizes)
        return all(bool((n == self.rows[1 + k]).all()) for k, n in enumerate([frames, *[nodes] * self.axes]))

    @cached_property
    def counts(self) -> Int[Tensor, " samples"]:
        """Values of each sample without its padding; on the CPU."""
        return self.count(self.lengths, self.sizes)

    @cached_property
    def total(self) -> int:
        """Values without padding."""
        return int(self.counts.sum())

    @cached_property
    def axes(self) -> int:
        """Axes that run over nodes."""
        return 0 if self.sparse or self.probe is None else node_axes(self.probe)

    def extent(self, lengths: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Frames and nodes of each sample, on the device of lengths and sizes."""
        if self.sparse or self.probe is None:
            return torch.full_like(lengths[:1], self.rows[1]), torch.ones_like(sizes[:1])
        hint = self.probe.stage is Stage.HINT
        frames = lengths.clamp_max(self.rows[1]) if hint else (lengths - 1).clamp_min(1)  # not all may be recorded
        return frames if self.timed else torch.ones_like(lengths), sizes

    def count(self, lengths: Tensor, sizes: Tensor) -> Int[Tensor, " samples"]:
        """Values of each sample without its padding, on the device of lengths and sizes."""
        frames, nodes = self.extent(lengths, sizes)
        return (frames * nodes**self.axes).long() * prod(self.rows[2 + self.axes :])

    def inside(self, lengths: Tensor, sizes: Tensor) -> Bool[Tensor, "..."]:
        """Which values are no padding, samples first, on the device of lengths and sizes."""
        frames, nodes = self.extent(lengths, sizes)
        found = torch.ones((), dtype=torch.bool, device=lengths.device)
        for axis, limit in enumerate([frames, *[nodes] * self.axes], start=1):
            reached = torch.arange(self.rows[axis], device=limit.device) < limit[:, None]
            found = found & reached.reshape(-1, *(self.rows[k] if k == axis else 1 for k in range(1, len(self.rows))))
        return found.expand(self.rows)

    def best(self, value: Shaped[Tensor, "..."]) -> Column:
        """How a tensor on the CPU takes the least memory.

        Raises:
            ValueError: padding that holds anything but zeros, or the mark of entries that are not scored.
        """
        found = self._integers(value)
        flat, fill = self._flat(found), self._fill(found)
        dtype = str(value.dtype).removeprefix("torch.")
        if value.is_floating_point():
            one = int(_as_integers(torch.ones(1, dtype=value.dtype)))
            if bool(((flat == 0) | (flat == one)).all()):
                return Column(dtype, 1, units=True)
            whole = Column(dtype, 8 * value.dtype.itemsize)
        else:
            least, most = map(int, flat.aminmax()) if len(flat) else (0, 0)
            whole = Column(dtype, bits.width_of(most - min(least, 0)), min(least, 0), fill=fill)
        if whole.width < 8 or len(flat) < _CHANGES_FROM:
            return whole
        fewer = len(flat) + whole.width * int(self._changed(found).count_nonzero()) < whole.width * len(flat)
        return replace(whole, changes=True) if fewer else whole

    def write(self, value: Shaped[Tensor, "..."], column: Column, name: str) -> dict[str, Tensor]:
        """The parts of a tensor on the CPU, kept as `column` says."""
        found = self._integers(value)
        if not column.changes:
            flat = self._flat(found)
            flat = flat != 0 if column.units else _lowered(flat, column)
            return {name: bits.fold(flat, self.counts, column.width)}
        changed = self._changed(found)
        numbers = changed.flatten(1).sum(1)
        values = found.movedim(1, -1).masked_select(changed.movedim(1, -1))
        return {
            f"{name}{CHANGED}": bits.fold(self._flat(changed), self.counts, 1),
            f"{name}{COUNTS}": numbers.int(),
            name: bits.fold(_lowered(values, column), numbers, column.width),
        }

    def read(self, column: Column, name: str, parts: Mapping[str, Tensor]) -> Shaped[Tensor, "..."]:
        """The tensor again, on the device of its parts, which is not waited for."""
        lengths, sizes, width = parts["lengths"], parts["sizes"], 1 if column.changes else column.width
        flat = bits.unfold(
            parts[f"{name}{CHANGED}" if column.changes else name],
            self.count(lengths, sizes) if width < 8 else lengths,
            width,
            self.total,
        )
        inside = None if self.full else self.inside(lengths, sizes)
        if column.changes:
            found = self._filled(self._padded(flat, inside), _as_kept(parts[name], column), inside, column.fill)
        else:
            found = self._padded(_as_kept(flat, column), inside, column.fill)
        return found.transpose(0, 1).reshape(self.shape).contiguous()

    def _integers(self, value: Tensor) -> Tensor:
        """Values as integers of the same bits, samples first."""
        whole = _as_integers(value)
        if self.sparse or self.probe is None:
            return whole.reshape(self.rows)
        return whole.transpose(0, 1) if self.timed else whole[:, None]

    def _flat(self, found: Tensor) -> Tensor:
        """Values without padding, sample after sample."""
        if self.full:
            return found.reshape(-1)
        frames, nodes = (each.tolist() for each in self.extent(self.lengths, self.sizes))
        cut = [slice(None)] * len(self.rows)
        kept = []
        for sample in range(len(frames)):
            cut[1 : 2 + self.axes] = [slice(frames[sample]), *[slice(nodes[sample])] * self.axes]
            kept.append(found[sample][tuple(cut[1:])].reshape(-1))
        return torch.cat(kept)

    def _changed(self, found: Tensor) -> Tensor:
        """Where values differ from the frame before, from zero in the first one; not past a sample's end."""
        changed = found != 0
        changed[:, 1:] = found[:, 1:] != found[:, :-1]
        return changed if self.full else changed & self.inside(self.lengths, self.sizes)

    def _fill(self, found: Tensor) -> int:
        """What the padding holds, or would hold: on nodes where an answer may not be scored, the mark of that."""
        marked = self.probe is not None and self.probe.stage is Stage.OUTPUT and found.dtype in _MARKED
        usual = -1 if marked and self.axes == 1 and not self.timed else 0
        if self.full:
            return usual
        flat = self._flat(found)
        for fill in (usual, 0, -1):
            if (flat != fill).count_nonzero() == (found != fill).count_nonzero():
                return fill
        name = "edge_index" if self.probe is None else self.probe.name
        raise ValueError(f"{name} holds values past the end of a sample, and cannot be packed")

    def _padded(self, flat: Tensor, inside: Tensor | None, fill: int = 0) -> Tensor:
        """Values with their padding, samples first."""
        if inside is None:
            return flat.view(self.rows)
        return flat.new_full(self.rows, fill).masked_scatter_(inside, flat)

    def _filled(self, changed: Tensor, values: Tensor, inside: Tensor | None, fill: int) -> Tensor:
        """What changes amount to: each entry's latest value, zero before its first."""
        if not len(values):
            latest = values.new_zeros(self.rows)
        else:
            seen = changed.cumsum(1, dtype=torch.int32)
            none = seen == 0
            numbers = seen[:, -1].flatten()
            first = (numbers.cumsum(0, dtype=torch.int32) - numbers).view(seen[:, :1].shape)
            place = seen.add_(first).sub_(1).clamp_min_(0).flatten()
            latest = values.index_select(0, place).view(self.rows).masked_fill_(none, 0)
        return latest if inside is None else latest.masked_fill_(~inside, fill)


def dense_shape(probe: Probe, samples: int, frames: int, nodes: int) -> tuple[int, ...]:
    """Shape of a probe's tensor in a dense batch of so many samples, hint frames and nodes."""
    rest = (samples, *[nodes] * node_axes(probe), *([probe.channels] if probe.channels > 1 else []))
    if probe.stage is Stage.HINT:
        return (frames, *rest)
    return (max(frames - 1, 1), *rest) if probe.streamed else rest


def _as_integers(value: Tensor) -> Tensor:
    """The same bits in an integer dtype."""
    as_they_are = value.dtype is not torch.bool and not value.is_floating_point()
    return value if as_they_are else value.view(_INTEGERS[value.dtype.itemsize])


def _lowered(numbers: Tensor, column: Column) -> Tensor:
    """Integers from 0 on; what overflows here overflows back when it is read."""
    return numbers - column.low if column.low else numbers


def _as_kept(numbers: Tensor, column: Column) -> Tensor:
    """Kept numbers in the dtype of the batch."""
    if column.kind.is_floating_point and not column.units:
        return numbers.view(column.kind)
    if column.kind is torch.bool:
        return numbers.view(torch.bool)
    return numbers.to(column.kind) + column.low if column.low else numbers.to(column.kind)


def common(columns: Sequence[Column]) -> Column:
    """A way to keep what several columns of one probe keep."""
    first = columns[0]
    if all(column == first for column in columns):
        return first
    if len({(column.dtype, column.fill) for column in columns}) > 1:
        raise ValueError(f"batches with different dtypes or padding cannot be joined: {columns}")
    changes = any(column.changes for column in columns)
    if first.kind.is_floating_point:
        return Column(first.dtype, 8 * first.kind.itemsize, changes=changes)
    low = min(column.low for column in columns)
    width = bits.width_of(max(column.low + 2**column.width - 1 for column in columns) - low)
    return Column(first.dtype, max(width, 8) if changes else width, low, changes, fill=first.fill)
