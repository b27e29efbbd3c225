"""Matrix-chain multiplication as in the CLRS benchmark (Veličković et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.array_task import ArrayTask, OrderedConfig
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.keys import few_distinct
from tasks.algorithms.trace import Trace
from tasks.inputs import Inputs
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]


@dataclass(frozen=True)
class MatrixChainOrderConfig(OrderedConfig):
    """Options of `matrix_chain_order`."""


@register(
    "matrix_chain_order",
    config=MatrixChainOrderConfig,
    **CLRS,
)
class MatrixChainOrder(ArrayTask):
    """Matrix-chain order: where to split every product of consecutive matrices so that all of it costs the least.

    Node i stands for a matrix of p[i - 1] rows and p[i] columns; node 0 for none, it only holds the first number of
    rows. Entry (i, j) with 1 <= i <= j is the product of matrices i to j: `m` its least cost known, `s` (`s_h`) the
    node after whose matrix it is split, `msk` whether any way to multiply it is known. All other entries are 0, as is
    `s` where i = j. Each step looks at all splits of all products with the costs of the step before, so that costs of
    long products are found early and mended later. For matrices of 2 x 1, 1 x 3 and 3 x 2:

        p   2 1 3 2
        entry        (1, 2)        (2, 3)        (1, 3)
        frame 0: m 0   s_h 0   m 0   s_h 0   m  0   s_h 0     msk 0 0 0
        frame 1: m 6   s_h 1   m 6   s_h 2   m  0   s_h 0     msk 1 1 0
        frame 2: m 6   s_h 1   m 6   s_h 2   m 10   s_h 1     msk 1 1 1     output s as s_h

    The trace ends with the first frame that a further step would not change. Of equally good splits the one found first
    stays, and of those found at once the lowest. The benchmark's package compares costs alone when it looks for the
    end, so that it may stop early where some p is 0 and products cost nothing; this task goes on until all are known.
    Sampled p are from U[0, 1) (`uniform`) or multiples of a quarter, with many equal costs (`few_distinct`).
    """

    min_size: ClassVar[int] = 2
    ordered: ClassVar[bool] = True
    distributions: ClassVar[tuple[str, ...]] = ("uniform", "few_distinct")

    def __init__(self, config: MatrixChainOrderConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "matrix_chain_order",
            Probe("p", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("s", Stage.OUTPUT, Location.EDGE, Type.POINTER),
            Probe("m", Stage.HINT, Location.EDGE, Type.SCALAR),
            Probe("s_h", Stage.HINT, Location.EDGE, Type.POINTER),
            Probe("msk", Stage.HINT, Location.EDGE, Type.MASK),
        )

    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        nodes = int(draw.sizes.max())
        rows = generators.keys(draw.seed, draw.index, draw.sizes, nodes)
        few = draw.kinds == self.distributions.index("few_distinct")
        inside = np.arange(nodes) < draw.sizes[few, None]
        rows[few] = np.where(inside, few_distinct(rows[few]) + 0.25, 0.0)
        return {"p": rows}, draw.sizes

    def _check(self, given: Inputs, values: Mapping[str, Array], sizes: Array) -> None:
        lowest = values["p"].min()
        if lowest < 0:
            raise given.fail("p", "numbers of rows and columns, none below 0", str(lowest))

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        lengths, costs, splits, known, output = _parenthesise(values["p"], sizes)
        return Trace(lengths, {"m": costs, "s_h": splits, "msk": known}, {"s": output})


@kernel
def _parenthesise(rows, sizes):
    """Lengths `[B]`, hints m, s_h and msk `[T, B, N, N]`, and the output `[B, N, N]`."""
    batch, nodes = rows.shape
    most = max(nodes - 1, 1)  # products of L + 1 matrices are settled after L steps
    lengths = np.zeros(batch, np.int64)
    costs = np.zeros((most, batch, nodes, nodes), np.float32)
    splits = np.zeros((most, batch, nodes, nodes), np.int32)
    known = np.zeros((most, batch, nodes, nodes), np.bool_)
    output = np.zeros((batch, nodes, nodes), np.int32)
    for b in range(batch):
        n = sizes[b]
        p = rows[b]
        cost = np.zeros((n, n))
        done = np.zeros((n, n), np.bool_)
        split = output[b]
        for i in range(1, n):
            done[i, i] = True
        t = 0
        changed = True
        while changed:
            for i in range(1, n):
                for j in range(i, n):
                    costs[t, b, i, j] = cost[i, j]
                    splits[t, b, i, j] = split[i, j]
                    known[t, b, i, j] = done[i, j]
            t += 1
            changed = False
            before = cost.copy()
            done_before = done.copy()
            for i in range(1, n):
                for j in range(i + t, n):
                    for k in range(i, j):
                        if done_before[i, k] and done_before[k + 1, j]:
                            candidate = before[i, k] + before[k + 1, j] + p[i - 1] * p[k] * p[j]
                            if not done[i, j] or candidate < cost[i, j]:
                                cost[i, j] = candidate
                                split[i, j] = k
                                done[i, j] = True
                                changed = True
        lengths[b] = t
    frames = lengths.max()
    return lengths, costs[:frames], splits[:frames], known[:frames], output
