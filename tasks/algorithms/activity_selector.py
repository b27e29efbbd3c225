"""Activity selection as in the CLRS benchmark (Veličković et al., ICML 2022; after Gavril, SIAM J. Comput. 1972)."""

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
class ActivitySelectorConfig(OrderedConfig):
    """Options of `activity_selector`."""


@register(
    "activity_selector",
    config=ActivitySelectorConfig,
    **CLRS,
)
class ActivitySelector(ArrayTask):
    """Activity selection: as many activities as can take place in one room, each from its start s to its finish f.

    Frame t + 1 looks at the activity that finishes in place t, `m`, and selects it if it does not start before the last
    selected one, `k`, finishes. `pred_h`, the order of the nodes, does not change.

        s   0.5 0.0 0.25     f   1.0 0.25 0.75
        frame 0: selected_h 0 0 0   m 0   k 0
        frame 1: selected_h 0 1 0   m 1   k 1
        frame 2: selected_h 0 1 1   m 2   k 2
        frame 3: selected_h 0 1 1   m 0   k 2     output selected 0 1 1

    Of activities that finish together the lowest node comes first (the benchmark's package leaves their order open).
    The selection is a largest one if every activity takes some time; one that takes none may keep out a longer one that
    comes after it and finishes with it. Sampled s and f are the lower and the higher of two draws from U[0, 1)
    (`uniform`), or of two multiples of a quarter (`few_distinct`).
    """

    ordered: ClassVar[bool] = True
    distributions: ClassVar[tuple[str, ...]] = ("uniform", "few_distinct")

    def __init__(self, config: ActivitySelectorConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "activity_selector",
            Probe("s", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("f", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("selected", Stage.OUTPUT, Location.NODE, Type.MASK),
            Probe("selected_h", Stage.HINT, Location.NODE, Type.MASK),
            Probe("m", Stage.HINT, Location.NODE, Type.MASK_ONE),
            Probe("k", Stage.HINT, Location.NODE, Type.MASK_ONE),
        )

    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        nodes = int(draw.sizes.max())
        few = draw.kinds == self.distributions.index("few_distinct")
        ends = [
            generators.keys(draw.seed, draw.index, draw.sizes, nodes, purpose)
            for purpose in (generators.DATA, generators.SECOND_DATA)
        ]
        for end in ends:
            end[few] = few_distinct(end[few])
        return {"s": np.minimum(*ends), "f": np.maximum(*ends)}, draw.sizes

    def _check(self, given: Inputs, values: Mapping[str, Array], sizes: Array) -> None:
        early = values["f"] < values["s"]
        if early.any():
            b, v = (int(axis[0]) for axis in np.nonzero(early))
            got = f"{values['f'][b, v]} after a start at {values['s'][b, v]} at node {v} of sample {b}"
            raise given.fail("f", "no finish before its start s", got)

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        starts, finishes = values["s"], values["f"]
        inside = np.arange(starts.shape[1]) < sizes[:, None]
        order = np.argsort(np.where(inside, finishes, np.inf), axis=1, kind="stable")
        chosen, seen, last, output = _select(order, starts, finishes, sizes)
        return Trace(sizes + 1, {"selected_h": chosen, "m": seen, "k": last}, {"selected": output})


@kernel
def _select(order, starts, finishes, sizes):
    """Hints selected_h `[N + 1, B, N]`, m and k `[N + 1, B]`, and the output `[B, N]`."""
    batch, nodes = starts.shape
    chosen = np.zeros((nodes + 1, batch, nodes), np.bool_)
    seen = np.zeros((nodes + 1, batch), np.int32)
    last = np.zeros((nodes + 1, batch), np.int32)
    output = np.zeros((batch, nodes), np.bool_)
    for b in range(batch):
        k = order[b, 0]
        output[b, k] = True
        for t in range(sizes[b]):
            m = order[b, t]
            if t > 0 and starts[b, m] >= finishes[b, k]:
                output[b, m] = True
                k = m
            for v in range(sizes[b]):
                chosen[t + 1, b, v] = output[b, v]
            seen[t + 1, b] = m
            last[t + 1, b] = k
    return chosen, seen, last, output
