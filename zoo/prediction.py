"""What a Reasoner returns, and what it hands on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from tasks.spec import Probe, Spec
from zoo.decoders import decide
from zoo.processor import Latents, State, Step
from zoo.recording import Record
from zoo.topology import Topology


class Carry(NamedTuple):
    """What one stretch of steps hands to the next, for truncated back-propagation.

    Attributes:
        hidden: latents after the last step.
        state: the processor's state after the last step.
        hints: predicted hints as channels, by probe name.
    """

    hidden: Latents
    state: State
    hints: Mapping[str, Tensor]


class Prediction(NamedTuple):
    """What a Reasoner returns.

    The form of logits, by probe. Scalar and mask: like the value (a mask's before the sigmoid). Categorical:
    `[*entries, classes]`. Node mask_one, and a graph's index of a node: log-probabilities `[*nodes]`. Node pointer:
    log-probabilities `[*edges]`, at (sender j, receiver i) that i points to j. Edge pointer: `[*edges, nodes]`.
    Streamed outputs and all hints lead with `[steps]`.

    Attributes:
        outputs: logits by probe name; a permutation's head is under `NAME:head`.
        hints: logits by probe name; frame t predicts the batch's hint frame t + 1.
        penalties: `[batch]` terms for the loss, summed over each sample's steps, by name.
        carry: to go on from.
        trace: every step's result, where asked for.
        topology: of the batch.
        spec: of the batch's task.
        records: what the processor recorded of its start (unless carried on) and then of every step, where asked for.
    """

    outputs: Mapping[str, Tensor]
    hints: Mapping[str, Tensor]
    penalties: Mapping[str, Float[Tensor, " batch"]]
    carry: Carry
    trace: tuple[Step, ...]
    topology: Topology
    spec: Spec
    records: tuple[Record, ...] = ()

    @property
    def values(self) -> dict[str, Tensor]:
        """Decided outputs in the compact form of a `Batch`."""
        return {p.name: self._decided(p, self.outputs, p.streamed) for p in self.spec.outputs}

    @property
    def hint_values(self) -> dict[str, Tensor]:
        """Decided hints in the compact form of a `Batch`, `[steps, …]`."""
        return {p.name: self._decided(p, self.hints, True) for p in self.spec.hints if p.name in self.hints}

    def _decided(self, probe: Probe, logits: Mapping[str, Tensor], stepped: bool) -> Tensor:
        """One probe's decided value, step by step where it has steps."""
        if not stepped:
            return decide(probe, logits, self.topology)
        return torch.stack([decide(probe, {probe.name: frame}, self.topology) for frame in logits[probe.name]])
