"""Dynamic connectivity by a forest of pointers, as in the Pointer Graph Networks paper (section 3)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.spec import Location, Probe, Stage, Type
from tasks.structures.streamed_task import StreamedConfig, StreamedTask
from tasks.task import Draw

Array = NDArray[Any]


class ConnectivityTask(StreamedTask):
    """A task whose operations name pairs of nodes and are answered yes or no; subclasses keep the pointers."""

    min_size = 2

    def __init__(self, config: StreamedConfig, name: str) -> None:
        super().__init__(config)
        self.spec = self._make_spec(
            name,
            Probe("priority", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("op", Stage.INPUT, Location.NODE, Type.MASK, streamed=True),
            Probe("parent_h", Stage.HINT, Location.NODE, Type.POINTER),
            Probe("modified_h", Stage.HINT, Location.NODE, Type.MASK),
            Probe("answer", Stage.OUTPUT, Location.GRAPH, Type.MASK, streamed=True),
        )

    @abstractmethod
    def _trace(self, priority: Array, pairs: Array, counts: Array, sizes: Array) -> tuple[Array, Array, Array, Array]:
        """Run the operations.

        Args:
            priority: of each node, float64 `[batch, nodes]`.
            pairs: the nodes that each operation names, int64 `[steps, batch, 2]`; -1 past a sample's end.
            counts: operations of each sample, int64 `[batch]`.
            sizes: nodes of each sample, int64 `[batch]`.

        Returns:
            `op` bool `[steps, batch, nodes]`, `parent_h` int32 and `modified_h` bool `[steps + 1, batch, nodes]`,
            `answer` bool `[steps, batch]`.
        """

    def _sample(self, draw: Draw, layout: str) -> Batch:
        nodes = int(draw.sizes.max())
        priority = generators.keys(draw.seed, draw.index, draw.sizes, nodes)
        counts = self._counts(draw.sizes)
        pairs = generators.distinct_pairs(draw.seed, draw.index, draw.sizes, counts, int(counts.max()))
        return self._batch(priority, pairs, counts, draw.sizes, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=())
        priority = given.scalars("priority", ("batch", "nodes"))
        batch, nodes = priority.shape
        sizes = given.sizes(sizes, batch, nodes)
        self._check_sizes(sizes)
        inside = np.arange(nodes) < sizes[:, None]
        given.empty_padding("priority", priority, inside)
        op = given.masks("op", ("steps", batch, nodes))
        given.empty_padding("op", op, np.broadcast_to(inside, op.shape))
        marked = op.sum(-1)
        counts = (marked > 0).sum(0)
        expected = np.where(np.arange(len(op))[:, None] < counts, 2, 0)
        if (marked != expected).any() or len(op) == 0 or counts.min() == 0:
            raise given.fail(
                "op", "two nodes an operation, then none past the end, and at least one operation a sample", "others"
            )
        pairs = np.full((len(op), batch, 2), -1)
        pairs[marked == 2] = np.argwhere(op)[:, 2].reshape(-1, 2)
        return self._batch(priority, pairs[: counts.max()], counts, sizes, np.arange(batch))

    def _batch(self, priority: Array, pairs: Array, counts: Array, sizes: Array, index: Array) -> Batch:
        """Run the operations, and gather everything."""
        op, parents, modified, answer = self._trace(priority, pairs, counts, sizes)
        return self._gather(
            {"priority": priority.astype(np.float32), "op": op},
            {"parent_h": parents, "modified_h": modified},
            {"answer": answer},
            counts=counts,
            sizes=sizes,
            index=index,
        )
