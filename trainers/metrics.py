"""Scores of decided predictions, as plain sums that add up over batches and processes.

Source: the CLRS benchmark's evaluation (Veličković et al., ICML 2022, section 3): F1 of masks, pooled over the whole
split; accuracy of mask_one, classes and pointers; mean squared error of scalars. Masks and classes have their
cross-entropy besides, in bits a graph, the cost of Graves et al. (Neural Turing Machines, 2014, section 4), and masks
the number of wrong bits a graph, that of their re-implementations: the two are not to be compared. Scalars have their
mean relative error besides (as a percentage the score of Xu et al., ICLR 2021, appendix C) and the share that is right
once rounded to a whole number (both in Tang et al., NeurIPS 2020, section 5). Where answers are
sequences there is also the share of each that is right before its first mistake, the fine-grained accuracy of
Grefenstette et al. (NeurIPS 2015, section 4.2), of which `exact` is the coarse one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from tasks.batch import Batch
from tasks.spec import Location, Probe, Spec, Type
from trainers.losses import Term, entries_of, output_terms, term_sum
from zoo.prediction import Prediction
from zoo.topology import Topology

# What is summed of each probe: entries, right ones (of scalars once rounded), squared errors, true and false positives,
# false negatives, relative errors and how many entries are not zero, and the cross-entropy in nats.
FIELDS = ("entries", "right", "squared_error", "true_positives", "false_positives", "false_negatives",
          "relative_error", "not_zero", "nats")  # fmt: skip

_HAVE_BITS = (Type.MASK, Type.CATEGORICAL)


class Tally:
    """Sums over the outputs of any number of batches of one task.

    Attributes:
        spec: of the task.
        sums: float64 `[9]` by output name, in the order of `FIELDS`.
        graphs: float64 `[3]`: how many graphs, how many of them exactly right, and the sum of their right prefixes.
    """

    def __init__(self, spec: Spec) -> None:
        """Start from nothing."""
        self.spec = spec
        self.sums: dict[str, Float[Tensor, " fields"]] = {p.name: _zeros(len(FIELDS)) for p in spec.outputs}
        self.graphs = _zeros(3)

    def add(self, batch: Batch, prediction: Prediction) -> None:
        """Add the outputs of a batch. Nothing waits for a GPU here; reading the result does."""
        topology, values = prediction.topology, prediction.values
        wrong = torch.zeros(batch.batch_size, dtype=torch.bool, device=topology.node_mask().device)
        prefix = _Prefix()
        for term in output_terms(batch, topology):
            nats = _nats(term, prediction.outputs[term.probe.name], topology)
            term, value = _aligned(term, values[term.probe.name])
            sums = torch.cat([_sums(term, value), nats[None]])
            self.sums[term.probe.name] = self.sums[term.probe.name].to(sums.device) + sums
            if term.probe.type is not Type.SCALAR:
                wrong = wrong | _wrong_graphs(term, value, topology)
                if self.spec.prefix:
                    prefix.add(term, value, topology)
        shares = prefix.shares() if self.spec.prefix else torch.zeros_like(wrong)
        counts = torch.stack([torch.ones_like(wrong).sum(), (~wrong).sum(), shares.sum()]).double()
        self.graphs = self.graphs.to(counts.device) + counts

    def flat(self) -> Float[Tensor, " sums"]:
        """All sums in one vector on the CPU, to be added to that of another process."""
        return torch.cat([*self.sums.values(), self.graphs]).cpu()

    def load_flat(self, flat: Float[Tensor, " sums"]) -> None:
        """Replace all sums by those of a vector made by `flat`."""
        *parts, self.graphs = flat.split([len(FIELDS)] * len(self.sums) + [3])
        self.sums = dict(zip(self.sums, parts, strict=True))

    def result(self) -> dict[str, Any]:
        """Scores.

        Returns:
            `score`: mean over outputs, see `probe_score`; scalars only count where there is nothing else, and then
            with their sign turned, so that higher is better. `exact`: share of graphs in which every output but
            scalars is right. `prefix`: mean over graphs of the right part of an answer before its first mistake, as a
            share of the whole answer, where the spec asks for it, else NaN. `graphs`: how many. `probes`: by name,
            `score`, `accuracy`, for masks `wrong_per_graph`, the mean number of wrong bits, and for masks and classes
            `bits_per_graph`, the mean cross-entropy in bits; for scalars, without accuracy, `relative_error`, the mean
            of |error| / |truth| where the truth is not 0, and `rounds_right`.
        """
        graphs, exact, prefix = self.graphs.tolist()
        probes = {}
        for probe in self.spec.outputs:
            sums = dict(zip(FIELDS, self.sums[probe.name].tolist(), strict=True))
            entry = {"score": probe_score(probe, sums)}
            if probe.type is not Type.SCALAR:
                entry["accuracy"] = _ratio(sums["right"], sums["entries"])
            else:
                entry["relative_error"] = _ratio(sums["relative_error"], sums["not_zero"])
                entry["rounds_right"] = _ratio(sums["right"], sums["entries"])
            if probe.type is Type.MASK:
                entry["wrong_per_graph"] = _ratio(sums["entries"] - sums["right"], graphs)
            if probe.type in _HAVE_BITS:
                entry["bits_per_graph"] = _ratio(sums["nats"] / math.log(2), graphs)
            probes[probe.name] = entry
        discrete = [probes[p.name]["score"] for p in self.spec.outputs if p.type is not Type.SCALAR]
        scores = discrete or [-entry["score"] for entry in probes.values()]
        return {
            "score": sum(scores) / len(scores),
            "exact": _ratio(exact, graphs) if discrete else float("nan"),
            "prefix": _ratio(prefix, graphs) if self.spec.prefix else float("nan"),
            "graphs": int(graphs),
            "probes": probes,
        }


def probe_score(probe: Probe, sums: Mapping[str, float]) -> float:
    """A probe's score from its sums: F1 of a mask, mean squared error of a scalar, accuracy of the rest.

    Precision and recall are 1 where they are undefined, as in CLRS.
    """
    if probe.type is Type.SCALAR:
        return _ratio(sums["squared_error"], sums["entries"])
    if probe.type is not Type.MASK:
        return _ratio(sums["right"], sums["entries"])
    found = sums["true_positives"]
    precision = _ratio(found, found + sums["false_positives"], undefined=1.0)
    recall = _ratio(found, found + sums["false_negatives"], undefined=1.0)
    return _ratio(2 * precision * recall, precision + recall, undefined=0.0)


def _ratio(part: float, whole: float, undefined: float = float("nan")) -> float:
    return part / whole if whole else undefined


def _zeros(size: int) -> Tensor:
    return torch.zeros(size, dtype=torch.float64)


def _aligned(term: Term, value: Tensor) -> tuple[Term, Tensor]:
    """A streamed output on as many steps as its target has; steps that the model did not take are wrong."""
    steps = term.target.shape[0]
    if not term.timed or value.shape[0] == steps:
        return term, value
    missing = max(steps - value.shape[0], 0)
    padding = (~(term.target[steps - missing :] > 0)).to(value.dtype)
    return term, torch.cat([value[:steps], padding])


def _sums(term: Term, value: Shaped[Tensor, "*target"]) -> Float[Tensor, " fields"]:
    """Sums of one output, in the order of `FIELDS` up to the cross-entropy."""
    valid, zero = term.valid, torch.zeros((), dtype=torch.float64, device=value.device)
    if term.probe.type is Type.SCALAR:
        said, true = value.double(), term.target.double()
        error = torch.where(valid, said - true, 0.0)
        counted = valid & (true != 0)
        relative = torch.where(counted, error.abs() / torch.where(counted, true, 1.0).abs(), 0.0)
        right = valid & (said.round() == true.round())
        found = [valid.sum(), right.sum(), error.square().sum(), zero, zero, zero, relative.sum(), counted.sum()]
        return torch.stack([each.double() for each in found])
    if term.probe.type is not Type.MASK:
        right = (valid & (value == term.target)).sum().double()
        return torch.stack([valid.sum().double(), right, *[zero] * 6])
    said, true = value > 0, term.target > 0
    cases = [valid, valid & (said == true), zero, said & true & valid, said & ~true & valid, ~said & true & valid]
    return torch.stack([*(case.sum().double() for case in cases), zero, zero])


def _nats(term: Term, logits: Tensor, topology: Topology) -> Float[Tensor, ""]:
    """Cross-entropy of a mask or of classes, summed over the scored entries; 0 of other types."""
    if term.probe.type not in _HAVE_BITS:
        return torch.zeros((), dtype=torch.float64, device=logits.device)
    return term_sum(term, logits.double(), topology)


def _wrong_graphs(term: Term, value: Tensor, topology: Topology) -> Tensor:
    """True for graphs with a wrong entry in this output."""
    equal = (value > 0) == (term.target > 0) if term.probe.type is Type.MASK else value == term.target
    wrong = term.valid & ~equal
    if term.timed:
        wrong = wrong.any(0)
    if term.probe.channels > 1:
        wrong = wrong.any(-1)
    location = entries_of(term.probe)
    amount = wrong.to(torch.get_default_dtype())[..., None]
    if location is Location.EDGE:
        amount = topology.complete().aggregate(amount, "max") if _square(wrong) else topology.aggregate(amount, "max")
    if location is not Location.GRAPH:
        amount = topology.pool(amount, "max")
    return amount.squeeze(-1) > 0


class _Prefix:
    """How far the answers of a batch are right: over the steps of streamed outputs, over the nodes of others.

    At every place all outputs count together; places at which nothing is due are skipped.
    """

    def __init__(self) -> None:
        self.due: Tensor | None = None
        self.wrong: Tensor | None = None

    def add(self, term: Term, value: Shaped[Tensor, "*target"], topology: Topology) -> None:
        """Take an output in."""
        equal = (value > 0) == (term.target > 0) if term.probe.type is Type.MASK else value == term.target
        due, wrong = (_places(term, entries, topology) for entries in (term.valid, term.valid & ~equal))
        self.due = due if self.due is None else self.due | due
        self.wrong = wrong if self.wrong is None else self.wrong | wrong

    def shares(self) -> Float[Tensor, " batch"]:
        """Length of each answer's right prefix over the answer's length; 1 where no answer is due."""
        assert self.due is not None and self.wrong is not None
        right = (self.due & (self.wrong.cumsum(0) == 0)).sum(0).double()
        length = self.due.sum(0)
        return torch.where(length > 0, right / length.clamp_min(1), 1.0)


def _places(term: Term, entries: Bool[Tensor, "*target"], topology: Topology) -> Bool[Tensor, "places batch"]:
    """Whether any entry of a place is true."""
    if term.probe.channels > 1:
        entries = entries.any(-1)
    location = entries_of(term.probe)
    if location is Location.GRAPH and term.timed:
        return entries
    if location is not Location.NODE:
        raise ValueError(f"output {term.probe.name!r} has no order, in which a prefix could be right")
    if not term.timed:
        return topology.as_sequence(entries)[0].movedim(0, 1)
    return (topology.pool(entries.movedim(0, -1).double(), "max") > 0).T


def _square(edges: Tensor) -> bool:
    """Whether edge values stand for every pair of nodes, joined or not."""
    return edges.dim() > 1
