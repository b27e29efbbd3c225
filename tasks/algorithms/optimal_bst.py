"""Optimal binary search trees as in the CLRS benchmark (Veličković et al., ICML 2022; after Aho et al., 1974)."""

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
class OptimalBstConfig(OrderedConfig):
    """Options of `optimal_bst`."""


@register(
    "optimal_bst",
    config=OptimalBstConfig,
    **CLRS,
)
class OptimalBst(ArrayTask):
    """Optimal binary search tree: the root of every subtree of the tree whose expected search is cheapest.

    For n sorted keys there are n + 1 nodes, because a search may also end in a gap: node i is key i, looked for with
    probability p[i], and the gap before it, with probability q[i]; the last node is only the gap after all keys, and
    its p is 0. Entry (i, j) with i <= j is the tree over the keys i to j - 1 and the gaps around them: `e` its expected
    cost, `w` its probability, `root` (`root_h`) its root, `msk` whether it is known. All other entries are 0, as is
    `root` of trees without keys. Frame t knows the trees of up to t keys. Entries of the trees with keys:

        p   0.5 0.25 0     q   0 0 0.25
        entry             (0, 1)                   (1, 2)                   (0, 2)
        frame 0: e 0     w 0    root_h 0   e 0     w 0    root_h 0   e 0     w 0   root_h 0
        frame 1: e 0.5   w 0.5  root_h 0   e 0.75  w 0.5  root_h 1   e 0     w 0   root_h 0
        frame 2: e 0.5   w 0.5  root_h 0   e 0.75  w 0.5  root_h 1   e 1.75  w 1   root_h 0     output root as root_h

    Of equally good roots it is the lowest. Sampled probabilities are uniform draws over their sum (`uniform`), or draws
    from a few values over their sum, with many equal costs (`few_distinct`). Given ones need not add up to one: any
    frequencies will do (the benchmark's package finds no root where the cost is 1e9 or more).
    """

    ordered: ClassVar[bool] = True
    distributions: ClassVar[tuple[str, ...]] = ("uniform", "few_distinct")

    def __init__(self, config: OptimalBstConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "optimal_bst",
            Probe("p", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("q", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("root", Stage.OUTPUT, Location.EDGE, Type.POINTER),
            Probe("root_h", Stage.HINT, Location.EDGE, Type.POINTER),
            Probe("e", Stage.HINT, Location.EDGE, Type.SCALAR),
            Probe("w", Stage.HINT, Location.EDGE, Type.SCALAR),
            Probe("msk", Stage.HINT, Location.EDGE, Type.MASK),
        )

    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        keys = draw.sizes[:, None]
        count = 2 * draw.sizes + 1
        drawn = generators.keys(draw.seed, draw.index, count, int(count.max()))
        few = draw.kinds == self.distributions.index("few_distinct")
        inside = np.arange(drawn.shape[1]) < count[few, None]
        drawn[few] = np.where(inside, few_distinct(drawn[few]) + 0.25, 0.0)
        total = drawn.cumsum(1)[:, -1:]  # one after another: the sum of all at once would depend on the padding
        shares = (drawn / total).astype(np.float32).astype(np.float64)
        nodes = np.arange(int(keys.max()) + 1)
        p = np.where(nodes < keys, shares[:, : len(nodes)], 0.0)
        q = np.take_along_axis(shares, np.minimum(nodes + keys, shares.shape[1] - 1), axis=1)
        return {"p": p, "q": np.where(nodes <= keys, q, 0.0)}, draw.sizes + 1

    def _check(self, given: Inputs, values: Mapping[str, Array], sizes: Array) -> None:
        for name in ("p", "q"):
            lowest = values[name].min()
            if lowest < 0:
                raise given.fail(name, "probabilities, none below 0", str(lowest))
        last = values["p"][np.arange(len(sizes)), sizes - 1]
        if last.any():
            b = int((last != 0).argmax())
            raise given.fail("p", "0 at the last node of each sample, which has no key", f"{last[b]} in sample {b}")

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        roots, costs, shares, known, output = _grow_trees(values["p"], values["q"], sizes)
        return Trace(sizes.copy(), {"root_h": roots, "e": costs, "w": shares, "msk": known}, {"root": output})


@kernel
def _grow_trees(p, q, sizes):
    """Hints root_h, e, w and msk `[N, B, N, N]`, and the output `[B, N, N]`."""
    batch, nodes = p.shape
    roots = np.zeros((nodes, batch, nodes, nodes), np.int32)
    costs = np.zeros((nodes, batch, nodes, nodes), np.float32)
    shares = np.zeros((nodes, batch, nodes, nodes), np.float32)
    known = np.zeros((nodes, batch, nodes, nodes), np.bool_)
    output = np.zeros((batch, nodes, nodes), np.int32)
    for b in range(batch):
        n = sizes[b]
        cost = np.zeros((n, n))
        share = np.zeros((n, n))
        root = output[b]
        for span in range(n):
            for i in range(n - span):
                j = i + span
                if span == 0:
                    cost[i, i] = q[b, i]
                    share[i, i] = q[b, i]
                    continue
                share[i, j] = share[i, j - 1] + p[b, j - 1] + q[b, j]
                cost[i, j] = np.inf
                for r in range(i, j):
                    candidate = cost[i, r] + cost[r + 1, j] + share[i, j]
                    if candidate < cost[i, j]:
                        cost[i, j] = candidate
                        root[i, j] = r
            for i in range(n):
                for j in range(i, min(i + span + 1, n)):
                    roots[span, b, i, j] = root[i, j]
                    costs[span, b, i, j] = cost[i, j]
                    shares[span, b, i, j] = share[i, j]
                    known[span, b, i, j] = True
    return roots, costs, shares, known, output
