"""Operations that stream in, one a step: how many there are, how a user's are read, and how they become a batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.registry import option
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Task, tensors

Array = NDArray[Any]


@dataclass(frozen=True)
class StreamedConfig:
    """Options of every task of streamed operations."""

    operations: str = option("1.5n", "operations a sample: a number, or a multiple of the size such as '1.5n'")


class Operations(NamedTuple):
    """Operations as read from inputs.

    Attributes:
        kinds: class of each operation, int8 `[steps, batch]`; 0 past a sample's end.
        first: lowest-numbered node that it names, int64 `[steps, batch]`; -1 if there is none.
        last: highest-numbered node that it names, likewise.
        counts: operations of each sample, int64 `[batch]`.
        sizes: nodes of each sample, int64 `[batch]`.
        nodes: of a padded sample.
    """

    kinds: Array
    first: Array
    last: Array
    counts: Array
    sizes: Array
    nodes: int


def operation_probes(kinds: Sequence[str]) -> tuple[Probe, Probe]:
    """The streamed inputs of an operation: its class, 1 for the first of `kinds` and 0 for none, and whom it names."""
    return (
        Probe("operation", Stage.INPUT, Location.GRAPH, Type.CATEGORICAL, classes=len(kinds) + 1, streamed=True),
        Probe("element", Stage.INPUT, Location.NODE, Type.MASK, streamed=True),
    )


class StreamedTask(Task):
    """A task of one operation a step; subclasses say on what."""

    config: StreamedConfig

    def _make_spec(self, name: str, *probes: Probe) -> Spec:
        """The spec; refuses a number of operations that is none."""
        kind, count = _parsed(str(self.config.operations))
        if not kind or not (math.isfinite(count) and count > 0):
            raise ValueError(
                f"{name}: operations is a number like 30 or a multiple like '1.5n', got {self.config.operations!r}"
            )
        return Spec(name, probes)

    def _counts(self, sizes: Array) -> Array:
        """Operations of samples of some sizes, at least one, int64 `[batch]`."""
        kind, count = _parsed(str(self.config.operations))
        return np.maximum(sizes * count if kind == "multiple" else np.full(len(sizes), count), 1).astype(np.int64)

    def _gather(
        self,
        inputs: Mapping[str, Array],
        hints: Mapping[str, Array],
        outputs: Mapping[str, Array],
        *,
        counts: Array,
        sizes: Array,
        index: Array,
    ) -> Batch:
        """The batch: as many steps as operations."""
        return Batch(
            spec=self.spec,
            inputs=tensors(inputs),
            hints=tensors(hints),
            outputs=tensors(outputs),
            lengths=torch.from_numpy(counts + 1),
            sizes=torch.from_numpy(sizes),
            index=torch.from_numpy(index),
        )


def _parsed(text: str) -> tuple[str, float]:
    """Whether a number of operations is a multiple of the size or a number, and which; an empty word if neither."""
    try:
        return ("multiple", float(text[:-1])) if text.endswith("n") else ("number", float(int(text)))
    except ValueError:
        return "", 0.0


def read_operations(given: Inputs, names: Sequence[tuple[int, int]], sizes: Any) -> Operations:
    """The streamed inputs of `operation_probes`, checked.

    Args:
        given: the user's inputs.
        names: how many nodes, at least and at most, an operation of each kind names.
        sizes: nodes of each sample, as the user gives them, or None.

    Returns:
        The operations, up to the last of the longest sample.

    Raises:
        ValueError: operations past a sample's end or none at all, or a number of nodes that a kind does not name.
    """
    kinds = given.classes("operation", ("steps", "batch"), len(names) + 1)
    steps, batch = kinds.shape
    element = given.masks("element", (steps, batch, "nodes"))
    nodes = element.shape[2]
    sizes = given.sizes(sizes, batch, nodes)
    inside = np.arange(nodes) < sizes[:, None]
    given.empty_padding("element", element, np.broadcast_to(inside, element.shape))
    counts = (kinds > 0).sum(0)
    if not kinds.size or counts.min() == 0 or ((kinds > 0) != (np.arange(steps)[:, None] < counts)).any():
        raise given.fail(
            "operation", "an operation at every step of a sample, at least one, and class 0 past its end", "others"
        )
    low, high = np.array([(0, 0), *names]).T
    marked = element.sum(-1)
    wrong = (marked < low[kinds]) | (marked > high[kinds])
    if wrong.any():
        t, b = np.argwhere(wrong)[0]
        least, most = low[kinds[t, b]], high[kinds[t, b]]
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise given.fail(
            "element", f"{wanted} nodes for operation {kinds[t, b]}", f"{marked[t, b]} at step {t} of sample {b}"
        )
    steps = int(counts.max())
    first = np.where(marked > 0, element.argmax(-1), -1)
    last = np.where(marked > 0, nodes - 1 - element[..., ::-1].argmax(-1), -1)
    kinds, first, last = (np.ascontiguousarray(each[:steps]) for each in (kinds, first, last))
    return Operations(kinds, first, last, counts, sizes, nodes)
