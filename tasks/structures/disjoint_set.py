"""Incremental connectivity with a disjoint-set union (Veličković et al., Pointer Graph Networks, NeurIPS 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.kernel import kernel
from tasks.registry import register
from tasks.structures.connectivity_task import ConnectivityTask
from tasks.structures.papers import PGN_PAPER
from tasks.structures.streamed_task import StreamedConfig

Array = NDArray[Any]


@dataclass(frozen=True)
class DisjointSetConfig(StreamedConfig):
    """Options of `disjoint_set`."""


@register("disjoint_set", config=DisjointSetConfig, **PGN_PAPER)
class DisjointSet(ConnectivityTask):
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

    def __init__(self, config: DisjointSetConfig) -> None:
        super().__init__(config, "disjoint_set")

    def _trace(self, priority: Array, pairs: Array, counts: Array, sizes: Array) -> tuple[Array, Array, Array, Array]:
        op, parents, modified, answer = _unite(priority, pairs, counts, sizes)
        return op, parents, modified, answer


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
