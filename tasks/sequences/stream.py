"""Sequences read one token a step by a single node, and answered step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.spec import Spec
from tasks.task import tensors

Array = NDArray[Any]


def one_node(given: Inputs, sizes: Any, batch: int) -> Array:
    """The only sizes that a stream has, int64 `[batch]`; others raise `ValueError`."""
    found = given.sizes(sizes, batch, 1)
    if batch == 0 or (found != 1).any():
        raise ValueError(f"{given.spec.task}: sizes are 1, the one node that reads a token a step, got {sizes}")
    return found


def stream_batch(
    spec: Spec, inputs: Mapping[str, Array], outputs: Mapping[str, Array], *, counts: Array, index: Array
) -> Batch:
    """A batch of streams.

    Args:
        spec: whose probes are all streamed, on nodes, or hints that echo an output.
        inputs: by name, `[steps, batch]`.
        outputs: by name, `[steps, batch]`, -1 where no answer is due.
        counts: steps of each sample, int64 `[batch]`.
        index: numbers of the samples.

    Returns:
        Samples of one node each; what stands past the end of a sample is zero.
    """
    live = np.arange(int(counts.max()))[:, None] < counts

    def cut(values: Array) -> Array:
        values = values[: len(live)]
        return np.ascontiguousarray(np.where(live, values, np.zeros((), values.dtype)))[..., None]

    answers = {name: cut(values) for name, values in outputs.items()}
    nothing = np.full((1, len(counts), 1), -1)
    echoes = {
        hint.name: np.concatenate([nothing.astype(answers[hint.echoes].dtype), answers[hint.echoes]])
        for hint in spec.hints
    }
    return Batch(
        spec=spec,
        inputs=tensors({name: cut(values) for name, values in inputs.items()}),
        hints=tensors(echoes),
        outputs=tensors(answers),
        lengths=torch.from_numpy(counts + 1),
        sizes=torch.ones(len(counts), dtype=torch.long),
        index=torch.from_numpy(index),
    )
