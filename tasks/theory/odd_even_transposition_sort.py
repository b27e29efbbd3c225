"""Odd-even transposition sort (Engelmayer et al., Parallel Algorithms Align with Neural Execution, LoG 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.keys import KeysTask, SortConfig
from tasks.algorithms.trace import Trace, final
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.theory.parallel_paper import PARALLEL

Array = NDArray[Any]


@dataclass(frozen=True)
class OddEvenTranspositionSortConfig(SortConfig):
    """Options of `odd_even_transposition_sort`."""


@register("odd_even_transposition_sort", config=OddEvenTranspositionSortConfig, **PARALLEL)
class OddEvenTranspositionSort(KeysTask):
    """Odd-even transposition sort: each node points to its predecessor in the order of the keys, the first to itself.

    The parallel relative of `bubble_sort` (Habermann, 1972), with its inputs and its output. A step compares the places
    0 and 1, 2 and 3, … of the list all at once, the next one the places 1 and 2, 3 and 4, … and so on; pairs that are
    out of order are swapped. A list of n keys takes n steps, whatever the keys. `partner_h` points to the node that a
    node was compared with in the step, to itself if with none; `pred_h` is the list after it. Equal keys keep their
    order.

        key   0.7 0.5 0.2
        frame 0: list 0 1 2   pred_h 0 0 1   partner_h 0 1 2
        frame 1: list 1 0 2   pred_h 1 1 0   partner_h 1 0 2     0.5 before 0.7
        frame 2: list 1 2 0   pred_h 2 1 1   partner_h 2 1 0     0.2 before 0.7
        frame 3: list 2 1 0   pred_h 1 2 2   partner_h 0 2 1     0.2 before 0.5     output pred 1 2 2

    The paper gives the algorithm; the probes are this project's, so that scores compare with `bubble_sort` here.
    """

    def __init__(self, config: OddEvenTranspositionSortConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "odd_even_transposition_sort",
            Probe("key", Stage.INPUT, Location.NODE, Type.SCALAR),
            config.output,
            Probe("pred_h", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("partner_h", Stage.HINT, Location.NODE, Type.POINTER),
        )

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        lengths = 1 + sizes
        pointers, partners = _transpose(values["key"], sizes)
        return Trace(lengths, {"pred_h": pointers, "partner_h": partners}, {"pred": final(pointers, lengths)})


@kernel
def _transpose(keys, sizes):
    """Hints pred_h and partner_h, both `[N + 1, B, N]`."""
    batch, nodes = keys.shape
    pointers = np.zeros((nodes + 1, batch, nodes), np.int32)
    partners = np.zeros((nodes + 1, batch, nodes), np.int32)
    for b in range(batch):
        n = sizes[b]
        order = np.arange(n)
        for t in range(n + 1):
            for v in range(n):
                partners[t, b, v] = v
            if t > 0:
                for k in range((t - 1) % 2, n - 1, 2):
                    u, v = order[k], order[k + 1]
                    partners[t, b, u] = v
                    partners[t, b, v] = u
                    if keys[b, u] > keys[b, v]:
                        order[k], order[k + 1] = v, u
            pointers[t, b, order[0]] = order[0]
            for k in range(1, n):
                pointers[t, b, order[k]] = order[k - 1]
    return pointers, partners
