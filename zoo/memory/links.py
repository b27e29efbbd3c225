"""In which order slots were written: temporal links, dense or sparse (Graves et al. 2016, Methods).

Every write head has links of its own, as in google-deepmind/dnc. Sparse links are the paper's approximation ("Sparse
link matrix"): of the write weighting and of the precedence only the K largest entries count, scaled up to the sum of
all, and links below 1/K are dropped. A row sums to at most 1, so at most K of its entries stay: memory grows with
slots x K and not with the square of the slots. The paper divides the entries by their sum; as a weighting sums to less
than one where the write gate is not fully open, that would turn a step without a write into one with a link.

Axes: batch, writes and reads (heads), slots, links (those that a slot keeps, K).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Weightings of a closed write gate sum to almost nothing; dividing by that must stay finite.
SUM_EPSILON = 1e-12


class SparseLink(NamedTuple):
    """Rows of a link matrix by their largest entries; an entry of value 0 is none."""

    columns: Int[Tensor, "batch writes slots links"]
    values: Float[Tensor, "batch writes slots links"]

    def dense(self) -> Float[Tensor, "batch writes slots slots"]:
        """The matrix itself."""
        slots = self.values.shape[2]
        return self.values.new_zeros(*self.values.shape[:3], slots).scatter_add(3, self.columns, self.values)


Link = Tensor | SparseLink | tuple[()]
"""Dense links `[batch, writes, slots, slots]`, sparse ones, or none."""


def update_precedence(
    precedence: Float[Tensor, "*heads slots"], write_weightings: Float[Tensor, "*heads slots"]
) -> Float[Tensor, "*heads slots"]:
    """How far each slot was the last one written."""
    return (1 - write_weightings.sum(-1, keepdim=True)) * precedence + write_weightings


def update_link(
    link: Float[Tensor, "*heads slots slots"],
    precedence: Float[Tensor, "*heads slots"],
    write_weightings: Float[Tensor, "*heads slots"],
) -> Float[Tensor, "*heads slots slots"]:
    """Link[i, j]: how far slot i was written right after slot j."""
    kept = (1 - write_weightings[..., :, None] - write_weightings[..., None, :]) * link
    updated = kept + write_weightings[..., :, None] * precedence[..., None, :]
    diagonal = torch.eye(link.shape[-1], dtype=torch.bool, device=link.device)
    return updated.masked_fill(diagonal, 0.0)


def keep_largest(
    weightings: Float[Tensor, "*heads slots"], count: int
) -> tuple[Float[Tensor, "*heads links"], Int[Tensor, "*heads links"]]:
    """The largest entries, scaled up so that they sum to what all did, and where they are."""
    values, slots = weightings.topk(count, dim=-1)
    scale = weightings.sum(-1, keepdim=True) / (values.sum(-1, keepdim=True) + SUM_EPSILON)
    return values * scale, slots


def update_sparse_link(
    link: SparseLink,
    precedence: Float[Tensor, "batch writes slots"],
    write_weightings: Float[Tensor, "batch writes slots"],
) -> SparseLink:
    """`update_link` for sparse links; only the rows of the K slots most written get new entries."""
    columns, values = link
    count = columns.shape[3]
    written, rows = keep_largest(write_weightings, count)
    before, sources = keep_largest(precedence, count)
    writing = torch.zeros_like(write_weightings).scatter(2, rows, written)
    at_columns = writing.gather(2, columns.flatten(2)).unflatten(2, columns.shape[2:])
    values = values * (1 - writing[..., None] - at_columns)
    new = written[..., :, None] * before[..., None, :]
    new = new.masked_fill(rows[..., :, None] == sources[..., None, :], 0.0)  # no slot follows itself
    here = rows[..., None].expand(*rows.shape, count)
    merged = merge(
        SparseLink(columns.gather(2, here), values.gather(2, here)),
        SparseLink(sources[:, :, None].expand_as(here), new),
    )
    columns, values = columns.scatter(2, here, merged.columns), values.scatter(2, here, merged.values)
    return SparseLink(columns, torch.where(values < 1 / count, 0.0, values))


def merge(rows: SparseLink, new: SparseLink) -> SparseLink:
    """The sum of two row-sparse matrices, its largest entries as many a row as `rows` has."""
    same = (rows.columns[..., :, None] == new.columns[..., None, :]) & (rows.values > 0)[..., :, None]
    old = rows.values + torch.where(same, new.values[..., None, :], 0.0).sum(-1)
    values = torch.cat([old, torch.where(same.any(-2), 0.0, new.values)], -1)
    largest, places = values.topk(rows.values.shape[-1], dim=-1)
    return SparseLink(torch.cat([rows.columns, new.columns], -1).gather(-1, places), largest)


def follow(
    link: Tensor | SparseLink, read_weightings: Float[Tensor, "batch reads slots"]
) -> tuple[Float[Tensor, "batch reads writes slots"], Float[Tensor, "batch reads writes slots"]]:
    """Where the links lead from what was read, forward and backward in the order of writes."""
    if not isinstance(link, SparseLink):
        forward = torch.matmul(read_weightings[:, None], link.mT)
        backward = torch.matmul(read_weightings[:, None], link)
        return forward.transpose(1, 2), backward.transpose(1, 2)
    columns, values = link.columns[:, None], link.values[:, None]
    batch, reads, slots = read_weightings.shape
    shape = (batch, reads, *link.columns.shape[1:])
    read = read_weightings[:, :, None].expand(*shape[:3], slots)
    columns = columns.expand(shape).flatten(3)
    forward = (read.gather(3, columns).unflatten(3, shape[3:]) * values).sum(4)
    back = (read[..., None] * values).flatten(3)
    return forward, read.new_zeros(*shape[:4]).scatter_add(3, columns, back)
