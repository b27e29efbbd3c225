"""Quicksort (Hoare, 1962) as in the CLRS benchmark (Veličković et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from tasks.algorithms.clrs import CLRS
from tasks.algorithms.keys import KeysTask, SortConfig
from tasks.algorithms.partition import partitions
from tasks.algorithms.trace import Trace, final
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type

Array = NDArray[Any]


@dataclass(frozen=True)
class QuicksortConfig(SortConfig):
    """Options of `quicksort`."""


@register(
    "quicksort",
    config=QuicksortConfig,
    **CLRS,
)
class Quicksort(KeysTask):
    """Quicksort: each node points to its predecessor in the order of the keys, the first to itself.

    The list between places p and r is parted by the key of its last node, the pivot: keys up to the pivot's are swapped
    to the front one after another, a frame each, and a last frame swaps the pivot behind them; then the part before it
    and the part after it are sorted in the same way. `p` and `r` are the nodes in those places, `i` the one in the
    place behind the front, `j` the one in the place just looked at, all after the swap. There is no frame before the
    first comparison. Equal keys may change their order. For one key, where the benchmark has no frames, there is one.

        key   0.7 0.2 0.5
        frame 0: list 0 1 2   pred_h 0 0 1   p 0   r 2   i 0   j 0     0.7 > 0.5, the pivot's
        frame 1: list 1 0 2   pred_h 1 1 0   p 1   r 2   i 0   j 0     0.2 to the front
        frame 2: list 1 2 0   pred_h 2 1 1   p 1   r 0   i 2   j 0     the pivot behind it     output pred 2 1 1
    """

    def __init__(self, config: QuicksortConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "quicksort",
            Probe("key", Stage.INPUT, Location.NODE, Type.SCALAR),
            config.output,
            Probe("pred_h", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("p", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("r", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("i", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("j", Stage.HINT, Location.NODE, Type.MASK_ONE),
        )

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        lengths, pointers, (p, r, i, j, _), _ = partitions(values["key"], sizes, False)
        hints = {"pred_h": pointers, "p": p, "r": r, "i": i, "j": j}
        return Trace(lengths, hints, {"pred": final(pointers, lengths)})
