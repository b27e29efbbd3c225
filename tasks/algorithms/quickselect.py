"""Quickselect (Hoare, 1961) as in the CLRS benchmark (Veličković et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from tasks.algorithms.array_task import ArrayConfig
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.keys import KeysTask
from tasks.algorithms.partition import partitions
from tasks.algorithms.trace import Trace, final
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class QuickselectConfig(ArrayConfig):
    """Options of `quickselect`."""


@register(
    "quickselect",
    config=QuickselectConfig,
    **CLRS,
)
class Quickselect(KeysTask):
    """Quickselect: the node whose key has rank n // 2, counted from 0; the upper one of two medians.

    The list between places p and r is parted by the key of its last node, the `pivot`, as in quicksort, and then only
    the part that holds the wanted rank, until that is the pivot's. `p` and `r` are the nodes in those places, `i` the
    one in the place behind the keys up to the pivot's, `j` the one in the place just looked at, all after the swap.
    `target` is the wanted rank within p to r, over n; `i_rank` is the place of `i`, over n, counted from the start of
    the list while keys are compared and from p in the last frame of each partition, as the benchmark has it. Among
    equal keys any may be the answer.

        key   0.7 0.9 0.2
        frame 0: list 0 1 2   pred_h 0 0 1   p 0   r 2   i 0   j 0   i_rank 0.000   target 0.333   pivot 2
        frame 1: list 0 1 2   pred_h 0 0 1   p 0   r 2   i 0   j 1   i_rank 0.000   target 0.333   pivot 2
        frame 2: list 2 1 0   pred_h 1 2 2   p 2   r 0   i 2   j 0   i_rank 0.000   target 0.333   pivot 2
        frame 3: list 2 1 0   pred_h 1 2 2   p 1   r 0   i 1   j 1   i_rank 0.333   target 0.000   pivot 0
        frame 4: list 2 0 1   pred_h 2 0 2   p 0   r 1   i 0   j 1   i_rank 0.000   target 0.000   pivot 0
        output median 0
    """

    def __init__(self, config: QuickselectConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "quickselect",
            Probe("key", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("median", Stage.OUTPUT, Location.NODE, Type.MASK_ONE),
            Probe("pred_h", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("p", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("r", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("i", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("j", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("i_rank", Stage.HINT, Location.GRAPH, Type.SCALAR),
            Probe("target", Stage.HINT, Location.GRAPH, Type.SCALAR),
            Probe("pivot", Stage.HINT, Location.NODE, Type.MASK_ONE),
        )

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        lengths, pointers, (p, r, i, j, pivot), (rank, target) = partitions(values["key"], sizes, True)
        hints = {"pred_h": pointers, "p": p, "r": r, "i": i, "j": j, "i_rank": rank, "target": target, "pivot": pivot}
        return Trace(lengths, hints, {"median": final(pivot, lengths)})
