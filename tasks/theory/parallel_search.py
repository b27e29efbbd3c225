"""Parallel search (Engelmayer et al., Parallel Algorithms Align with Neural Execution, LoG 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.algorithms.array_task import OrderedConfig
from tasks.algorithms.search_task import KEY, RETURN, TARGET, SearchTask
from tasks.algorithms.trace import Trace
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.theory.parallel_paper import PARALLEL

Array = NDArray[Any]

_FRAMES = 3


@dataclass(frozen=True)
class ParallelSearchConfig(OrderedConfig):
    """Options of `parallel_search`."""


@register("parallel_search", config=ParallelSearchConfig, **PARALLEL)
class ParallelSearch(SearchTask):
    """Parallel search: in ascending keys, the first node whose key is not below the target, or the last if all are.

    The parallel relative of `binary_search`, with its inputs and its output, in two steps whatever the number of keys.
    In the first, each node compares its own key with the target: `below_h` marks keys below it. In the second, the node
    that is not marked while its predecessor is knows that it is the answer, `return_h`, which was node 0 till then. If
    no node is marked it is the first, which has no predecessor; if all are it is the last. `pred_h`, the order of the
    nodes, does not change.

        key   0.1 0.3 0.5 0.8   target 0.4
        frame 0: pred_h 0 0 1 2   below_h 0 0 0 0   return_h 0
        frame 1: pred_h 0 0 1 2   below_h 1 1 0 0   return_h 0
        frame 2: pred_h 0 0 1 2   below_h 1 1 0 0   return_h 2     output return 2

    The paper gives the algorithm; the probes are this project's, so that scores compare with `binary_search` here.
    Keys and target are draws from U[0, 1) (`uniform`), which hardly ever has the target among the keys; or the target
    is one of the keys (`present`), or all are from four values (`few_distinct`).
    """

    def __init__(self, config: ParallelSearchConfig) -> None:
        super().__init__(config)
        self.spec = self._spec(
            "parallel_search",
            KEY,
            TARGET,
            RETURN,
            Probe("below_h", Stage.HINT, Location.NODE, Type.MASK),
            Probe("return_h", Stage.HINT, Location.NODE, Type.MASK_ONE),
        )

    def _trace(self, values: Mapping[str, Array], sizes: Array) -> Trace:
        inside = np.arange(values["key"].shape[1]) < sizes[:, None]
        below = inside & (values["key"] < values["target"][:, None])
        answer = np.minimum(below.sum(1), sizes - 1).astype(np.int32)
        marks = np.stack([np.zeros_like(below), below, below])
        found = np.stack([np.zeros_like(answer), np.zeros_like(answer), answer])
        return Trace(np.full(len(sizes), _FRAMES), {"below_h": marks, "return_h": found}, {"return": answer})
