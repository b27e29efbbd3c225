"""How far apart two networks are in whom their nodes hear: L1 distances between shares of senders.

A part of a network is a head of attention, whose shares are its weights, or a channel of reduced messages, whose shares
are one-hot at the winning sender (`Processor.heard`). A distance lies between 0 and 2, and is a mean over the receivers
and steps at which the reference chooses: where a part of it gives all senders of a node the same share, as a channel
that is not used does, or where there is but one sender, there is nothing to agree with.

Where several senders share the reference's highest place, another network may break the tie as it likes. The distance
is taken to three references, which differ in how the share of the tied senders is dealt out among them: `even` as it
is; `lowest`, all of it to the lowest-numbered; `nearest`, as the other network does.

Parts have no order. `matched` is the distance after each of the reference's parts is matched with a part of the other
network, no two with the same, such that the sum of distances is least (linear assignment).

Axis letters: S senders, R receivers, P parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from zoo.processor import Processor

REFERENCES = ("even", "lowest", "nearest")
SAME = 1e-6
"""Shares that differ by less are the same."""


class Heard(NamedTuple):
    """What a network hears in one step.

    Attributes:
        shares: of the parts that are kept, over senders in sum 1.
        parts: their numbers.
        chooses: where they do.
        total: number of all parts.
    """

    shares: Float[Tensor, "batch senders receivers parts"]
    parts: Int[Tensor, " parts"]
    chooses: Bool[Tensor, "batch receivers parts"]
    total: int


def heard(
    shares: Float[Tensor, "batch senders receivers parts"],
    exists: Bool[Tensor, "batch senders receivers"],
    *,
    choosing: bool = False,
) -> Heard:
    """What is kept of a step.

    Args:
        shares: of all parts.
        exists: which edges carry messages; others with a share do, too.
        choosing: whether only parts that choose anywhere are kept.
    """
    shares = shares.float()
    there = (exists | (shares > 0).any(-1))[..., None]
    highest = torch.where(there, shares, -torch.inf).amax(1)
    lowest = torch.where(there, shares, torch.inf).amin(1)
    chooses = highest - lowest > SAME
    if not choosing:
        return Heard(shares, torch.arange(shares.shape[-1], device=shares.device), chooses, shares.shape[-1])
    parts = chooses.flatten(0, 1).any(0).nonzero().squeeze(1)
    return Heard(shares[..., parts], parts, chooses[..., parts], shares.shape[-1])


@contextmanager
def listening(processor: Processor, receive: Callable[[Tensor, Tensor, Tensor], None]) -> Iterator[None]:
    """Have every step of a processor tell whom it hears, as long as the context lasts.

    Args:
        processor: dense steps only.
        receive: takes shares and existing edges as in `heard`, and which nodes there are, `[batch, nodes]`. It is
            never called where the processor does not tell.
    """

    def tell(module: Processor, args: tuple[Any, ...]) -> None:
        shares = module.heard(*args)
        if shares is not None:
            topology = args[2].complete() if module.adjacency == "full" else args[2]
            receive(shares, topology.neighbours(), topology.node_mask())

    handle = processor.register_forward_pre_hook(tell)
    try:
        yield
    finally:
        handle.remove()


def distances(
    shares: Float[Tensor, "batch senders receivers parts"], reference: Float[Tensor, "batch senders receivers"]
) -> Float[Tensor, "references batch receivers parts"]:
    """L1 distances of every part to one distribution, in the order of `REFERENCES`; 2 of what is not a number."""
    tied = reference >= reference.amax(1, keepdim=True) - SAME
    apart = (shares - reference[..., None]).abs()
    outside = torch.where(tied[..., None], 0.0, apart).sum(1)
    mass = torch.where(tied, reference, 0.0).sum(1)[..., None]
    inside = torch.where(tied[..., None], shares, 0.0).sum(1)
    lowest = tied.int().argmax(1)[:, None, :, None].expand(-1, -1, -1, shares.shape[-1])
    first = shares.gather(1, lowest).squeeze(1)
    found = [apart.sum(1), outside + (first - mass).abs() + inside - first, outside + (inside - mass).abs()]
    return torch.stack(found).nan_to_num(nan=2.0)


class Distances:
    """Sums of the distances of two networks over steps and batches."""

    def __init__(self) -> None:
        """Start from nothing."""
        self._costs: Tensor | None = None
        self._counts = self._mean = self._mean_count = torch.zeros(())

    def add(self, other: Heard, reference: Heard, live: Bool[Tensor, "batch nodes"]) -> None:
        """Add a step.

        Args:
            other: the network that is compared, with all its parts.
            reference: the network that it is compared with.
            live: nodes of graphs that have not ended.
        """
        if self._costs is None:
            self._costs = torch.zeros(3, other.total, reference.total, dtype=torch.float64)
            self._counts = torch.zeros(reference.total, dtype=torch.float64)
        for k, part in enumerate(reference.parts.tolist()):
            counted = live & reference.chooses[..., k]
            apart = distances(other.shares, reference.shares[..., k])
            self._costs[:, :, part] += torch.where(counted[..., None], apart, 0.0).sum((1, 2)).double().cpu()
            self._counts[part] += counted.sum().cpu()
        counted = live & reference.chooses.any(-1)
        apart = distances(_mean(other)[..., None], _mean(reference))[..., 0]
        self._mean = self._mean + torch.where(counted, apart, 0.0).sum((1, 2)).double().cpu()
        self._mean_count = self._mean_count + counted.sum().cpu()

    def result(self) -> dict[str, Any] | None:
        """The mean distances; None where the reference never chose.

        Returns:
            `mean`: between the means over parts that choose, by reference. `ordered`: of part k from part k, `even`;
            None where the numbers of parts differ. `matched`: after the best matching, by reference. `matching`: of
            the `even` one, pairs (reference's part, other's part). `unmatched`: parts of the reference that were left
            over, as the other has fewer. `choices`: how many receivers' choices were compared.
        """
        if self._costs is None or not float(self._counts.sum()):
            return None
        from scipy.optimize import linear_sum_assignment

        used = (self._counts > 0).nonzero().squeeze(1)
        costs = self._costs[:, :, used] / self._counts[used]
        matched, pairs = {}, []
        for name, cost in zip(REFERENCES, costs, strict=True):
            rows, columns = linear_sum_assignment(cost.numpy())
            matched[name] = float(cost[rows, columns].mean())
            if name == "even":
                pairs = [[int(used[column]), int(row)] for row, column in zip(rows, columns, strict=True)]
        ordered = None
        if costs.shape[1] == len(self._counts):
            ordered = float(costs[0][used, torch.arange(len(used))].mean())
        return {
            "mean": dict(zip(REFERENCES, (self._mean / self._mean_count).tolist(), strict=True)),
            "ordered": ordered,
            "matched": matched,
            "matching": sorted(pairs),
            "unmatched": len(used) - len(pairs),
            "choices": int(self._counts.sum()),
        }


def _mean(one: Heard) -> Float[Tensor, "batch senders receivers"]:
    """The mean shares over the parts that choose at a receiver; over all, where none does."""
    chooses = one.chooses | ~one.chooses.any(-1, keepdim=True)
    weights = chooses[:, None].to(one.shares.dtype)
    return (one.shares * weights).sum(-1) / weights.sum(-1).clamp_min(1.0)
