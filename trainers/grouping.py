"""Batches whose samples take unlike numbers of steps, computed in groups that take like ones.

A batch runs until its longest sample ends, and what the others compute after their own end is never read. In groups,
each of which stops with its own longest sample, gradients are the same up to rounding: losses are sums over samples,
divided by counts over the whole batch, and noise is keyed by sample.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tasks.batch import Batch
from zoo.reasoner import Reasoner

# What a step costs beside the work on its samples, in pairs of nodes times hidden units: on a CPU core it took about
# 3 ms of small operations forward and backward, beside 1.4 ms for a sample of 16 nodes and 128 hidden units.
_STEP = 70_000.0


def hidden_of(model: nn.Module) -> int | None:
    """Hidden units of a model whose batches may be computed in groups, None of others.

    Its samples must not see each other, must run for their own numbers of steps, and a step's time must be that of its
    messages: processors that read nodes one after another take as long for few samples as for many.
    """
    if not isinstance(model, Reasoner) or model.config.steps != "trajectory":
        return None
    processor = model.processor
    return processor.hidden_size if processor.batch_independent and not processor.ordered else None


def grouped(batch: Batch, hidden: int) -> list[Batch]:
    """A batch as one or several, samples of like length together.

    Args:
        batch: any; in the sparse layout it stays whole.
        hidden: units of the processor, which with the batch's nodes say how dear a sample's step is.

    Returns:
        The cheapest division by the estimate that a step takes as long as its samples' work and a constant. Samples
        keep their order within a group; the longest group comes first.
    """
    steps = batch.steps
    if batch.edge_index is not None or bool((steps == steps[0]).all()):
        return [batch]
    nodes = int(batch.sizes.max())
    bounds = divide(steps, _STEP / (nodes**2 * hidden))
    if len(bounds) == 1:
        return [batch]
    taken, groups = 0, []
    for bound in bounds:
        members = ((steps > taken) & (steps <= bound)).nonzero().flatten()
        groups.append(batch.take(members))
        taken = bound
    return groups[::-1]


def divide(steps: Tensor, overhead: float) -> list[int]:
    """The most steps of each group, rising, that make the whole cheapest.

    Args:
        steps: of each sample.
        overhead: cost of a group's step beside its samples, in samples.

    Returns:
        The last bound is the longest sample's.
    """
    lengths, counts = torch.unique(steps, return_counts=True)
    bounds, members = lengths.tolist(), [0, *counts.cumsum(0).tolist()]
    best, choice = [0.0], [0]
    for end in range(1, len(bounds) + 1):
        costs = [best[start] + bounds[end - 1] * (members[end] - members[start] + overhead) for start in range(end)]
        choice.append(min(range(end), key=costs.__getitem__))
        best.append(costs[choice[-1]])
    found, end = [], len(bounds)
    while end:
        found.append(bounds[end - 1])
        end = choice[end]
    return found[::-1]
