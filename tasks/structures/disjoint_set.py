"""Incremental connectivity with a disjoint-set union (Veličković et al., Pointer Graph Networks, NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.kernel import kernel
from tasks.registry import option, register
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Draw, Task, tensors

Array = NDArray[Any]


@dataclass(frozen=True)
class DisjointSetConfig:
    """Options of `disjoint_set`."""

    operations: str = option("1.5n", "operations a sample: a number, or a multiple of the size such as '1.5n'")


@register(
    "disjoint_set",
    config=DisjointSetConfig,
    paper="Veličković et al., Pointer Graph Networks, NeurIPS 2020",
    year=2020,
    bibtex="""
@inproceedings{velickovic2020pointer,
  title={Pointer Graph Networks},
  author={Veli{\\v{c}}kovi{\\'c}, Petar and Buesing, Lars and Overlan, Matthew and Pascanu, Razvan and Vinyals, Oriol
          and Blundell, Charles},
  booktitle={Advances in Neural Information Processing Systems},
  year={2020}
}""",
)
class DisjointSet(Task):
    """Disjoint-set union: a stream of query-unions, with the parent pointers that answer them.

    Operation t names two nodes u and v (`op`, streamed). The answer is 1 if they were in different sets, which are
    then united, and 0 otherwise. Both finds compress their paths; of the two roots the one of lower `priority`
    then points to the other (of equal ones, the lower-numbered). `parent_h` is the forest after the operation,
    frame 0 the identity. With priorities 0.1, 0.7, 0.4 and 0.9:

        op 0,1   answer 1   parent_h 1 1 2 3   modified_h 1 1 0 0
        op 2,3   answer 1   parent_h 1 1 3 3   modified_h 0 0 1 1
        op 0,2   answer 1   parent_h 1 3 3 3   modified_h 1 1 1 1
        op 0,1   answer 0   parent_h 3 3 3 3   modified_h 1 1 0 1

    `modified_h` in frame t + 1 marks the nodes on the paths from u and v to their roots before operation t, roots
    included: those whose pointer the operation may change, even where it does not. It is the complement of the
    paper's mask, which is 0 on these paths and 1, "keep the old pointer", elsewhere. Frame 0 is all zeros.

    Sampled pairs are uniform among distinct nodes, priorities uniform on [0, 1). The paper trains on 20 nodes and 30
    operations and tests on (50, 75) and (100, 150), which the default gives for sizes 20, 50 and 100.
    """

    min_size = 2

    def __init__(self, config: DisjointSetConfig) -> None:
        super().__init__(config)
        self._operations(2)
        self.spec = Spec(
            "disjoint_set",
            (
                Probe("priority", Stage.INPUT, Location.NODE, Type.SCALAR),
                Probe("op", Stage.INPUT, Location.NODE, Type.MASK, streamed=True),
                Probe("parent_h", Stage.HINT, Location.NODE, Type.POINTER),
                Probe("modified_h", Stage.HINT, Location.NODE, Type.MASK),
                Probe("answer", Stage.OUTPUT, Location.GRAPH, Type.MASK, streamed=True),
            ),
        )

    def _operations(self, size: int) -> int:
        """Operations of a sample of some size."""
        text = str(self.config.operations)
        try:
            count = int(float(text[:-1]) * size) if text.endswith("n") else int(text)
        except (ValueError, OverflowError):
            count = 0
        if count < 1:
            raise ValueError(f"disjoint_set: operations is a number like 30 or a multiple like '1.5n', got {text!r}")
        return count

    def _sample(self, draw: Draw, layout: str) -> Batch:
        nodes = int(draw.sizes.max())
        priority = generators.keys(draw.seed, draw.index, draw.sizes, nodes)
        counts = np.array([self._operations(int(size)) for size in draw.sizes])
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
        op, parents, modified, answer = _unite(priority, pairs, counts, sizes)
        return Batch(
            spec=self.spec,
            inputs=tensors({"priority": priority.astype(np.float32), "op": op}),
            hints=tensors({"parent_h": parents, "modified_h": modified}),
            outputs=tensors({"answer": answer}),
            lengths=torch.from_numpy(counts + 1),
            sizes=torch.from_numpy(sizes),
            index=torch.from_numpy(index),
        )


@kernel
def _find(parent, node, modified):
    """The root of a node; marks the path, root included, and points all of it at the root."""
    root = node
    while parent[root] != root:
        modified[root] = True
        root = parent[root]
    modified[root] = True
    while parent[node] != root:
        above = parent[node]
        parent[node] = root
        node = above
    return root


@kernel
def _unite(priority, pairs, counts, sizes):
    """Inputs op `[T, B, N]`, hints `[T + 1, B, N]` and answers `[T, B]`."""
    batch, nodes = priority.shape
    steps = len(pairs)
    op = np.zeros((steps, batch, nodes), np.bool_)
    parents = np.zeros((steps + 1, batch, nodes), np.int32)
    modified = np.zeros((steps + 1, batch, nodes), np.bool_)
    answer = np.zeros((steps, batch), np.bool_)
    for b in range(batch):
        n = sizes[b]
        parent = np.arange(n, dtype=np.int32)
        for i in range(n):
            parents[0, b, i] = i
        for t in range(counts[b]):
            u, v = pairs[t, b, 0], pairs[t, b, 1]
            op[t, b, u] = True
            op[t, b, v] = True
            x = _find(parent, u, modified[t + 1, b])
            y = _find(parent, v, modified[t + 1, b])
            if x != y:
                answer[t, b] = True
                if priority[b, x] < priority[b, y] or (priority[b, x] == priority[b, y] and x < y):
                    parent[x] = y
                else:
                    parent[y] = x
            for i in range(n):
                parents[t + 1, b, i] = parent[i]
    return op, parents, modified, answer
