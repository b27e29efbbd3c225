"""Sequences laid out as graphs, one node a vector or a symbol, read in order and answered in one step.

The classical setting of memory networks: a cell sweeps over the nodes, and the answer is due while it reads
the blank nodes at the end. Answers are -1 on every node where none is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Draw, Task, tensors

Array = NDArray[Any]

CODE_WAVES = 4
CODE_BASE = 100.0
"""Ratio of the slowest wave's length to the fastest's, about the length of the longest training sequences."""
POSITIONAL = ("pos", "code")
"""Names of the inputs that only name the order of the nodes."""


def position_code(nodes: int) -> Array:
    """Sines and cosines of each position, float32 `[nodes, 2 * CODE_WAVES]` (Vaswani et al., 2017, section 3.5).

    One number in [0, 1) cannot tell neighbours apart in a long sequence, so a processor that does not read nodes in
    order would be blind to it.
    """
    phase = np.arange(nodes)[:, None] * CODE_BASE ** -(np.arange(CODE_WAVES) / CODE_WAVES)
    return np.concatenate([np.sin(phase), np.cos(phase)], -1).astype(np.float32)


def inside(lengths: Array, nodes: int) -> Array:
    """Which nodes belong to each sample, bool `[batch, nodes]`."""
    return np.arange(nodes) < lengths[:, None]


class SequenceTask(Task):
    """A task whose nodes stand in a row; the config has `random_pos`."""

    def _with_positions(self, name: str, *probes: Probe) -> Spec:
        """Positions and their code, then the task's own probes."""
        return Spec(
            name,
            (
                Probe("pos", Stage.INPUT, Location.NODE, Type.SCALAR, positional=True),
                Probe("code", Stage.INPUT, Location.NODE, Type.SCALAR, channels=2 * CODE_WAVES, positional=True),
                *probes,
            ),
        )

    def _draw_positions(self, draw: Draw, lengths: Array) -> Array:
        """A position for every node, float32 `[batch, nodes]`."""
        nodes = int(lengths.max())
        starts = np.arange(len(lengths)) * nodes
        random_pos = self.config.random_pos
        pos = generators.positions(draw.seed, draw.index, lengths, starts, len(lengths) * nodes, random_pos)
        return pos.reshape(-1, nodes)

    def _given_positions(self, given: Inputs, lengths: Array, nodes: int) -> Array:
        """Positions as given, evenly spaced ones if left out, float32 `[batch, nodes]`."""
        valid = inside(lengths, nodes)
        code = np.where(valid[:, :, None], position_code(nodes), 0)
        if "code" in given and not np.allclose(given.scalars("code", code.shape), code, atol=1e-5):
            raise given.fail("code", "the sines and cosines of positions (or leave it out)", "other values")
        if "pos" in given:
            pos = given.scalars("pos", valid.shape)
            given.empty_padding("pos", pos, valid)
        else:
            pos = np.where(valid, np.arange(nodes) / lengths[:, None], 0)
        return pos.astype(np.float32)

    def _gather(
        self,
        inputs: Mapping[str, Array],
        outputs: Mapping[str, Array],
        *,
        lengths: Array,
        pos: Array,
        index: Array,
    ) -> Batch:
        """A batch of one step; values of one channel lose their last axis."""
        nodes = pos.shape[1]
        code = np.where(inside(lengths, nodes)[:, :, None], position_code(nodes), 0)
        return Batch(
            spec=self.spec,
            inputs=tensors({"pos": pos, "code": code, **_narrow(inputs)}),
            hints={},
            outputs=tensors(_narrow(outputs)),
            lengths=torch.full((len(lengths),), 2),
            sizes=torch.from_numpy(lengths),
            index=torch.from_numpy(index),
        )


def _narrow(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Drop the last of three axes where it has one channel only, as `Batch` wants it."""
    return {
        name: array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array for name, array in arrays.items()
    }
