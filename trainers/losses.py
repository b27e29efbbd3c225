"""Losses of predictions, as sums and counts, so that parts of a batch add up to the whole.

Every term is a sum over scored entries and the number of those entries. Counts depend on targets alone and are known
before the model runs, so that processes and micro-batches can agree on them first: a term's gradient is then that of
the sum over everything divided by the count over everything, however the samples were dealt out.

Source of the reductions: the CLRS benchmark (Veličković et al., ICML 2022, section 3): cross-entropy for masks, classes
and pointers, squared error for scalars.

Axis letters: T steps, B batch, C channels; `*entries` are nodes, edges or graphs of the layout.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from tasks.batch import Batch
from tasks.spec import Location, Probe, Stage, Type
from zoo.decoders import candidates, cyclic
from zoo.prediction import Prediction
from zoo.topology import Topology
from zoo.unroll import topology_of

PENALTY = "penalty:"
HEAD = ":head"


class Term(NamedTuple):
    """Targets of one probe with the entries that are scored.

    Attributes:
        probe: what is predicted.
        target: compact values; `[T, …]` for hints and streamed outputs.
        valid: which entries count, in the shape of `target` up to broadcasting.
        timed: whether there is a leading step axis.
    """

    probe: Probe
    target: Shaped[Tensor, "*target"]
    valid: Bool[Tensor, "*valid"]
    timed: bool


def entries_of(probe: Probe) -> Location:
    """Where a probe's values lie; a node mask_one is one index a graph."""
    return Location.GRAPH if probe.location is Location.NODE and probe.type is Type.MASK_ONE else probe.location


def entry_mask(probe: Probe, topology: Topology) -> Bool[Tensor, "*entries"]:
    """True at the values of a probe that belong to a graph, false in the padding."""
    nodes = topology.node_mask()
    if entries_of(probe) is Location.GRAPH:
        return nodes.new_ones(topology.batch_size)
    if probe.location is Location.NODE:
        return nodes
    return topology.senders(nodes) & topology.receivers(nodes)


def output_terms(batch: Batch, topology: Topology, frames: int | None = None) -> list[Term]:
    """What outputs are compared with; streamed ones up to each sample's last step.

    Args:
        batch: the samples.
        topology: of the batch.
        frames: steps that the model takes, where that is a fixed number.
    """
    terms = []
    for probe in batch.spec.outputs:
        target = batch.outputs[probe.name]
        alive = None
        if probe.streamed:
            target = target[:frames]
            alive = torch.arange(target.shape[0])[:, None] < batch.steps
        terms.append(_term(probe, target, alive, topology))
    return terms


def hint_terms(batch: Batch, topology: Topology) -> list[Term]:
    """What hints are compared with: frame t + 1 for step t, as far as each sample has one."""
    terms = []
    for probe in batch.spec.hints:
        if probe.echoes:  # scored as the output that it repeats
            continue
        target = batch.hints[probe.name][1:]
        alive = torch.arange(target.shape[0])[:, None] + 1 < batch.lengths
        terms.append(_term(probe, target, alive, topology))
    return terms


def _term(probe: Probe, target: Tensor, alive: Tensor | None, topology: Topology) -> Term:
    """A probe's target with the mask of its scored entries; `alive` `[T, B]` lies on the CPU."""
    valid = entry_mask(probe, topology)
    if alive is not None:
        by_graph = alive.T.to(target.device, non_blocking=True)
        valid = (valid[..., None] & topology.per_entry(by_graph, entries_of(probe))).movedim(-1, 0)
    if probe.channels > 1:
        valid = valid[..., None]
    if probe.type is not Type.SCALAR and target.dtype is not torch.bool:
        valid = valid & (target >= 0)
    return Term(probe, target, valid.expand_as(target), alive is not None)


def entry_losses(
    probe: Probe,
    logits: Float[Tensor, "*logits"],
    target: Shaped[Tensor, "*target"],
    topology: Topology,
    *,
    label_smoothing: float = 0.0,
) -> Float[Tensor, "*target"]:
    """The loss of every entry of a probe, without any step axis.

    Args:
        probe: what is predicted.
        logits: in the form that its decoder gives; log-probabilities for pointers and mask_one.
        target: compact values; entries below 0 give a number that means nothing.
        topology: of the batch.
        label_smoothing: share of a class's target that is spread evenly over the other classes.
    """
    if probe.type is Type.SCALAR:
        return (logits - target) ** 2
    if probe.type is Type.MASK:
        return F.binary_cross_entropy_with_logits(logits, (target > 0).to(logits.dtype), reduction="none")
    index = target.clamp_min(0).long()
    if probe.type is Type.CATEGORICAL:
        nats = -logits.log_softmax(-1)
        right = nats.gather(-1, index[..., None]).squeeze(-1)
        if not label_smoothing:
            return right
        others = (nats.sum(-1) - right) / (probe.classes - 1)
        return torch.lerp(right, others, label_smoothing)
    if probe.location is Location.EDGE:
        return -logits.gather(-1, index[..., None]).squeeze(-1)
    if probe.is_pointer and probe.location is Location.NODE:
        return -candidates(topology, probe.domain).at_pointer(logits, index)
    return -topology.gather(logits, index)


def term_sum(
    term: Term, logits: Float[Tensor, "*logits"], topology: Topology, *, label_smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Sum of a term's losses, see `entry_losses`, over its scored entries.

    Steps that were not predicted, because the model stopped before the trajectory's end, add nothing.
    """
    logits = _precise(logits)
    if not term.timed:
        losses = entry_losses(term.probe, logits, term.target, topology, label_smoothing=label_smoothing)
        return torch.where(term.valid, losses, 0.0).sum()
    steps = min(logits.shape[0], term.target.shape[0])
    target, valid = term.target[:steps], term.valid[:steps]
    if steps == 0:
        return logits.new_zeros(())
    if term.probe.type in (Type.SCALAR, Type.MASK, Type.CATEGORICAL) or term.probe.location is Location.EDGE:
        losses = entry_losses(term.probe, logits[:steps], target, topology, label_smoothing=label_smoothing)
    else:
        rows = zip(logits[:steps].unbind(0), target.unbind(0), strict=True)
        losses = torch.stack([entry_losses(term.probe, row, value, topology) for row, value in rows])
    return torch.where(valid, losses, 0.0).sum()


def _precise(logits: Tensor) -> Tensor:
    """Logits in single precision at least: losses of half-precision ones are taken there."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


class Objective(nn.Module, abc.ABC):
    """What is minimised: the base class, to be given to the trainer; its parameters are trained too.

    The trainer minimises the sum over terms of weight × (sum over all samples of a step) / (count over them).
    """

    @abc.abstractmethod
    def counts(self, batch: Batch) -> dict[str, int]:
        """Number of scored entries of each term, from the targets alone, in a fixed order for each task.

        Terms whose names begin with `penalty:` share the count under `"penalty:"`.
        """

    @abc.abstractmethod
    def forward(self, batch: Batch, prediction: Prediction) -> dict[str, Float[Tensor, ""]]:
        """Sum of each term over its scored entries; differentiable."""

    @abc.abstractmethod
    def weight(self, batch: Batch, term: str) -> float:
        """Weight of a term in the total."""


class Supervised(Objective):
    """Outputs, hints and penalties: every probe's own mean loss (or its cost a sample), hints weighted.

    Terms are named after their probes; `NAME:head` is the head of a permutation, `penalty:NAME` a penalty.
    """

    def __init__(
        self,
        *,
        hint_weight: float = 1.0,
        penalty_weights: Mapping[str, float] | None = None,
        frames: int | None = None,
        per: str = "entry",
        label_smoothing: float = 0.0,
    ) -> None:
        """Choose weights.

        Args:
            hint_weight: of every hint's mean loss; 0 leaves hints unscored.
            penalty_weights: of the processor's penalties by name, 1 where not named.
            frames: steps that the model takes, if that is a fixed number; hints are then not predicted.
            per: what a term's sum is divided by: the number of its scored entries ("entry", as in CLRS), or that of
                samples ("sample", the cost of a sequence in Graves et al., 2014).
            label_smoothing: share of a class's target that is spread evenly over the other classes.
        """
        super().__init__()
        self.hint_weight = hint_weight
        self.penalty_weights = dict(penalty_weights or {})
        self.frames = frames
        self.per_sample = per == "sample"
        self.label_smoothing = label_smoothing

    def _terms(self, batch: Batch, topology: Topology) -> list[Term]:
        hints = hint_terms(batch, topology) if self.hint_weight and self.frames is None else []
        return output_terms(batch, topology, self.frames) + hints

    def counts(self, batch: Batch) -> dict[str, int]:
        topology = topology_of(batch)
        counts = {}
        for term in self._terms(batch, topology):
            counts[term.probe.name] = batch.batch_size if self.per_sample else int(term.valid.sum())
            if term.probe.type is Type.PERMUTATION_POINTER:
                counts[term.probe.name + HEAD] = batch.batch_size
        return counts | {PENALTY: batch.batch_size}

    def forward(self, batch: Batch, prediction: Prediction) -> dict[str, Float[Tensor, ""]]:
        topology = prediction.topology
        outputs, hints = prediction.outputs, prediction.hints
        sums = {}
        for term in self._terms(batch, topology):
            name = term.probe.name
            logits = (outputs if term.probe.stage is Stage.OUTPUT else hints).get(name)
            if logits is None:  # hints that the model does not decode
                continue
            if term.probe.type is Type.PERMUTATION_POINTER:
                closed, head = cyclic(term.target, topology)
                sums[name + HEAD] = -topology.gather(_precise(outputs[name + HEAD]), head).sum()
                term = term._replace(target=closed)
            sums[name] = term_sum(term, logits, topology, label_smoothing=self.label_smoothing)
        for name, value in prediction.penalties.items():
            sums[PENALTY + name] = value.sum()
        return sums

    def weight(self, batch: Batch, term: str) -> float:
        if term.startswith(PENALTY):
            return self.penalty_weights.get(term.removeprefix(PENALTY), 1.0)
        return self.hint_weight if batch.spec[term.removesuffix(HEAD)].stage is Stage.HINT else 1.0
