"""Insertion sort as in the CLRS benchmark (Veličković et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.clrs import CLRS
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.kernel import kernel
from tasks.registry import option, register
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Draw, Task, tensors

Array = NDArray[Any]


@dataclass(frozen=True)
class InsertionSortConfig:
    """Options of `insertion_sort`."""

    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")


@register(
    "insertion_sort",
    config=InsertionSortConfig,
    **CLRS,
)
class InsertionSort(Task):
    """Insertion sort: each node points to its predecessor in the order of the keys, the first to itself.

    Frame t shows the list once node t is inserted among the nodes before it; `j` is the node being inserted and `i`
    the node now behind it (node j itself where nothing moved). Equal keys keep their order.

        key   0.7 0.2 0.5
        frame 0: list 0 1 2   pred_h 0 0 1   i 0   j 0
        frame 1: list 1 0 2   pred_h 1 1 0   i 0   j 1
        frame 2: list 1 2 0   pred_h 2 1 1   i 0   j 2     output pred 2 1 1
    """

    def __init__(self, config: InsertionSortConfig) -> None:
        super().__init__(config)
        self.spec = Spec(
            "insertion_sort",
            (
                Probe("pos", Stage.INPUT, Location.NODE, Type.SCALAR, positional=True),
                Probe("key", Stage.INPUT, Location.NODE, Type.SCALAR),
                Probe("pred", Stage.OUTPUT, Location.NODE, Type.PERMUTATION_POINTER),
                Probe("pred_h", Stage.HINT, Location.NODE, Type.POINTER),
                Probe("i", Stage.HINT, Location.NODE, Type.MASK_ONE),
                Probe("j", Stage.HINT, Location.NODE, Type.MASK_ONE),
            ),
        )

    def _sample(self, draw: Draw, layout: str) -> Batch:
        nodes = int(draw.sizes.max())
        keys = generators.keys(draw.seed, draw.index, draw.sizes, nodes)
        starts = np.arange(len(draw.sizes)) * nodes
        random_pos = self.config.random_pos
        pos = generators.positions(draw.seed, draw.index, draw.sizes, starts, keys.size, random_pos)
        return self._batch(keys, pos.reshape(keys.shape), draw.sizes, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=("pos",))
        keys = given.scalars("key", ("batch", "nodes"))
        sizes = given.sizes(sizes, *keys.shape)
        self._check_sizes(sizes)
        inside = np.arange(keys.shape[1]) < sizes[:, None]
        given.empty_padding("key", keys, inside)
        if "pos" in given:
            pos = given.scalars("pos", keys.shape)
            given.empty_padding("pos", pos, inside)
        else:
            pos = np.where(inside, np.arange(keys.shape[1]) / sizes[:, None], 0)
        return self._batch(keys, pos.astype(np.float32), sizes, np.arange(len(keys)))

    def _batch(self, keys: Array, pos: Array, sizes: Array, index: Array) -> Batch:
        """Sort, and gather everything."""
        pointers, behind, inserted, output = _insertion_sort(keys, sizes)
        return Batch(
            spec=self.spec,
            inputs=tensors({"pos": pos, "key": keys.astype(np.float32)}),
            hints=tensors({"pred_h": pointers, "i": behind, "j": inserted}),
            outputs=tensors({"pred": output}),
            lengths=torch.from_numpy(sizes.copy()),
            sizes=torch.from_numpy(sizes),
            index=torch.from_numpy(index),
        )


@kernel
def _insertion_sort(keys, sizes):
    """Hints pred_h `[N, B, N]`, i and j `[N, B]`, and the output `[B, N]`."""
    batch, nodes = keys.shape
    pointers = np.zeros((nodes, batch, nodes), np.int32)
    behind = np.zeros((nodes, batch), np.int32)
    inserted = np.zeros((nodes, batch), np.int32)
    output = np.zeros((batch, nodes), np.int32)
    for b in range(batch):
        n = sizes[b]
        order = np.arange(n, dtype=np.int32)
        pointer = output[b]
        for v in range(n):
            pointer[v] = max(v - 1, 0)
            pointers[0, b, v] = pointer[v]
        for j in range(1, n):
            slot = j
            while slot > 0 and keys[b, order[slot - 1]] > keys[b, j]:
                order[slot] = order[slot - 1]
                slot -= 1
            order[slot] = j
            behind[j, b] = order[slot + 1] if slot < j else j
            inserted[j, b] = j
            if slot < j:
                if j + 1 < n:
                    pointer[j + 1] = order[j]
                pointer[order[slot + 1]] = j
            pointer[j] = order[slot - 1] if slot > 0 else j
            for v in range(n):
                pointers[j, b, v] = pointer[v]
    return pointers, behind, inserted, output
