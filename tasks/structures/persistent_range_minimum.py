"""Range minima of past versions of an array (Strathmann et al., Persistent Message Passing, 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.inputs import Inputs
from tasks.registry import option, register
from tasks.spec import Location, Probe, Stage, Type
from tasks.structures.papers import PMP_PAPER
from tasks.structures.range_kernels import ASK
from tasks.structures.range_task import RangeConfig, RangeTask, only_at
from tasks.structures.streamed_task import Operations
from tasks.task import Draw

Array = NDArray[Any]

_TOLERANCE = 1e-3  # of a version's number; single precision is far finer for any number of operations in use


@dataclass(frozen=True)
class PersistentRangeMinimumConfig(RangeConfig):
    """Options of `persistent_range_minimum`."""

    past: float = option(1.0, "share of questions about a version drawn uniformly; the rest are about the present")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.past <= 1:
            raise ValueError(f"past is a share from 0 to 1, got {self.past}")


@register("persistent_range_minimum", config=PersistentRangeMinimumConfig, **PMP_PAPER)
class PersistentRangeMinimum(RangeTask):
    """Persistent range minimum: as `range_minimum`, but every question is about the array as it once was.

    Nodes, inputs, `least_h`, `minimum_h` and `answer` are those of `RangeTask`. Version s is the array after the first
    s operations. A question at step t names it by the share of the past, `version` = s / t (streamed): 0 is the
    initial array and 1 the present one, at step 0 the only one; a number of steps is then `round(version * t)`, and
    of the same scale however long a sample is. It is 0 for assignments.

    `relevant_h` marks the nodes that the operation visits, in the tree of the version that it is about: the path to an
    assigned entry; the nodes from the root down to those whose ranges make up the one asked about. `persist_h` marks
    the nodes of which an assignment makes a new state beside the old ones, the path from the entry to the root. They
    are the relevance and the persistency masks of the paper. Three entries 0.5, 0.2 and 0.9 are nodes 0 to 2; node 3 is
    the root and node 4 stands for entries 0 and 1, so that `parent` is 4 4 3 3 3:

        assign 1   value 0.7   version 0     answer -   least_h 0 1 2 0 0   relevant_h 0 1 0 1 1   persist_h 0 1 0 1 1
        ask 0,1    value 0     version 0     answer 1   least_h 0 1 2 0 0   relevant_h 0 0 0 1 1   persist_h 0 0 0 0 0
        ask 0,2    value 0     version 1     answer 0   least_h 0 1 2 0 0   relevant_h 0 0 0 1 0   persist_h 0 0 0 0 0
        assign 0   value 0.8   version 0     answer -   least_h 0 1 2 1 1   relevant_h 1 0 0 1 1   persist_h 1 0 0 1 1
        ask 0,2    value 0     version 0.5   answer 0   least_h 0 1 2 1 1   relevant_h 0 0 0 1 0   persist_h 0 0 0 0 0

    `least_h` and `minimum_h` show the newest version. Entries and values are uniform on [0, 1); entries, the two ends
    of a range and versions are drawn uniformly, and half of the operations ask. The paper's own sizes, numbers and
    values are not known here, so that these are our own.
    """

    config: PersistentRangeMinimumConfig

    def __init__(self, config: PersistentRangeMinimumConfig) -> None:
        super().__init__(
            config,
            "persistent_range_minimum",
            inputs=(Probe("version", Stage.INPUT, Location.GRAPH, Type.SCALAR, streamed=True),),
            hints=(
                Probe("relevant_h", Stage.HINT, Location.NODE, Type.MASK),
                Probe("persist_h", Stage.HINT, Location.NODE, Type.MASK),
            ),
        )

    def _drawn_versions(self, draw: Draw, counts: Array, steps: int) -> Array:
        which = generators.uniforms(draw.seed, draw.index, counts, steps, generators.QUERY).T
        coin = generators.uniforms(draw.seed, draw.index, counts, steps, generators.SPLIT).T
        now = np.arange(steps)[:, None]
        return np.ascontiguousarray(np.where(coin < self.config.past, (which * (now + 1)).astype(np.int64), now))

    def _given_versions(self, given: Inputs, asked: Operations) -> Array:
        share, asks = only_at(given, "version", asked, ASK), asked.kinds == ASK
        now = np.arange(len(share))[:, None]
        versions = np.rint(share * now).astype(np.int64)
        wrong = (np.abs(share * now - versions) > _TOLERANCE) | (share < 0) | (share > 1) | ((now == 0) & (share != 1))
        if (wrong & asks).any():
            t, b = np.argwhere(wrong & asks)[0]
            expected = f"a whole number of operations over {t}, at most 1" if t else "1 at step 0"
            raise given.fail("version", expected, f"{share[t, b]} at step {t} of sample {b}")
        return versions

    def _inputs(self, versions: Array, kinds: Array) -> dict[str, Array]:
        now = np.arange(len(kinds))[:, None]
        share = np.where(now > 0, versions / np.maximum(now, 1), 1.0)
        return {"version": np.where(kinds == ASK, share, 0.0).astype(np.float32)}

    def _hints(self, visits: Array, assigned: Array) -> dict[str, Array]:
        return {"relevant_h": visits > 0, "persist_h": (visits > 0) & assigned}
