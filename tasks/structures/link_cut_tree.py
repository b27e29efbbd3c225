"""Connectivity of changing forests with link/cut trees (Veličković et al., Pointer Graph Networks, NeurIPS 2020)."""

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

LEFT, RIGHT = 0, 1
NIL = -1


@dataclass(frozen=True)
class LinkCutTreeConfig(StreamedConfig):
    """Options of `link_cut_tree`."""


@register("link_cut_tree", config=LinkCutTreeConfig, **PGN_PAPER)
class LinkCutTree(ConnectivityTask):
    """Link/cut trees: a stream of query-toggles, with the pointers of the auxiliary trees that answer them.

    Operation t names two nodes (`op`, streamed), u the one of higher `priority` (of equal ones, the higher-numbered)
    and v the other. The query-toggle makes u the root of its tree (evert). If the root of v is then another, u
    becomes a child of v (link) and the answer is 0. Otherwise they are connected, v is cut off from its parent, the
    next node on the path to u, and the answer is 1. The graph so stays a forest, and each operation joins or parts
    what it asks about. With priorities 0.1, 0.7, 0.4 and 0.9:

        op 0,1   answer 0   parent_h 1 1 2 3   modified_h 1 0 0 0
        op 1,2   answer 0   parent_h 1 1 1 3   modified_h 1 0 1 0
        op 0,2   answer 1   parent_h 0 2 2 3   modified_h 1 1 1 0
        op 0,1   answer 0   parent_h 1 1 1 3   modified_h 1 1 1 0

    `parent_h` is what the structure keeps, not the forest it stands for: every path of preferred children is a splay
    tree in the order of depth, whose nodes point to their parents in it, and its root to the parent of the path's
    top node in the forest. Only the root of a whole tree points to itself. So no pointer has more than one meaning at
    a time, and a node has one (the paper's appendix on link/cut trees). Operations expose their nodes: splay v to
    the root of its path, drop its deeper nodes, splay the node that the path hangs on, hang v below it as deeper
    nodes, and so on upwards, splaying v each time; a found root is exposed too. Reversed paths swap children lazily.

    `modified_h` in frame t + 1 marks the nodes whose pointer operation t assigns in rotations, in changes of
    preferred children, in links and in cuts; some end where they began. It is the complement of the paper's mask,
    which is 0 where pointers may change. Frame 0 is all zeros, its pointers the identity.

    Sampled pairs are uniform among distinct nodes, priorities uniform on [0, 1). The paper trains on 20 nodes and 30
    operations and tests on (50, 75) and (100, 150), which the default gives for sizes 20, 50 and 100.
    """

    def __init__(self, config: LinkCutTreeConfig) -> None:
        super().__init__(config, "link_cut_tree")

    def _trace(self, priority: Array, pairs: Array, counts: Array, sizes: Array) -> tuple[Array, Array, Array, Array]:
        op, parents, modified, answer = _toggle(priority, pairs, counts, sizes)
        return op, parents, modified, answer


@kernel
def _is_top(node, parent, child):
    """Whether a node is the root of its splay tree: its pointer leads to another path, or to itself."""
    above = parent[node]
    return child[LEFT, above] != node and child[RIGHT, above] != node


@kernel
def _release(node, child, reversed_):
    """Swap a node's children if its subtree is to be read in reverse, and leave the rest of it to them."""
    if reversed_[node]:
        left, right = child[LEFT, node], child[RIGHT, node]
        child[LEFT, node], child[RIGHT, node] = right, left
        for below in (left, right):
            if below != NIL:
                reversed_[below] = not reversed_[below]
        reversed_[node] = False


@kernel
def _rotate(node, parent, child, modified):
    """Exchange a node with its parent in the splay tree."""
    above = parent[node]
    side = LEFT if child[LEFT, above] == node else RIGHT
    top, over = _is_top(above, parent, child), parent[above]
    between = child[1 - side, node]
    child[side, above] = between
    if between != NIL:
        parent[between] = above
        modified[between] = True
    if not top:
        child[LEFT if child[LEFT, over] == above else RIGHT, over] = node
    parent[node] = node if over == above else over
    child[1 - side, node] = above
    parent[above] = node
    modified[node] = True
    modified[above] = True


@kernel
def _splay(node, parent, child, reversed_, modified):
    """Rotate a node to the root of its splay tree (Sleator and Tarjan, 1985)."""
    while not _is_top(node, parent, child):
        above = parent[node]
        double = not _is_top(above, parent, child)
        if double:
            _release(parent[above], child, reversed_)
        _release(above, child, reversed_)
        _release(node, child, reversed_)
        if double:
            same = (child[LEFT, above] == node) == (child[LEFT, parent[above]] == above)
            _rotate(above if same else node, parent, child, modified)
        _rotate(node, parent, child, modified)
    _release(node, child, reversed_)


@kernel
def _expose(node, parent, child, reversed_, modified):
    """Make the path from a node to its root preferred, ending at the node, and the node the root of everything."""
    _splay(node, parent, child, reversed_, modified)
    deeper = child[RIGHT, node]
    if deeper != NIL:
        child[RIGHT, node] = NIL
        modified[deeper] = True
    while parent[node] != node:
        above = parent[node]
        _splay(above, parent, child, reversed_, modified)
        deeper = child[RIGHT, above]
        if deeper != NIL:
            modified[deeper] = True
        child[RIGHT, above] = node
        modified[node] = True
        _splay(node, parent, child, reversed_, modified)


@kernel
def _find_root(node, parent, child, reversed_, modified):
    """The root of a node's tree in the forest, exposed."""
    _expose(node, parent, child, reversed_, modified)
    while child[LEFT, node] != NIL:
        node = child[LEFT, node]
        _release(node, child, reversed_)
    _expose(node, parent, child, reversed_, modified)
    return node


@kernel
def _query_toggle(u, v, parent, child, reversed_, modified):
    """Whether two nodes are connected; they then no longer are, or now are."""
    _expose(u, parent, child, reversed_, modified)
    reversed_[u] = not reversed_[u]
    connected = _find_root(v, parent, child, reversed_, modified) == u
    if connected:
        _expose(v, parent, child, reversed_, modified)
        shallower = child[LEFT, v]
        child[LEFT, v] = NIL
        parent[shallower] = shallower
        modified[shallower] = True
    else:
        _expose(u, parent, child, reversed_, modified)
        _expose(v, parent, child, reversed_, modified)
        child[LEFT, u] = v
        parent[v] = u
        modified[v] = True
    return connected


@kernel
def _toggle(priority, pairs, counts, sizes):
    """Inputs op `[T, B, N]`, hints `[T + 1, B, N]` and answers `[T, B]`."""
    batch, nodes = priority.shape
    steps = len(pairs)
    op = np.zeros((steps, batch, nodes), np.bool_)
    parents = np.zeros((steps + 1, batch, nodes), np.int32)
    modified = np.zeros((steps + 1, batch, nodes), np.bool_)
    answer = np.zeros((steps, batch), np.bool_)
    for b in range(batch):
        n = sizes[b]
        parent = np.arange(n)
        child = np.full((2, n), NIL)
        reversed_ = np.zeros(n, np.bool_)
        for i in range(n):
            parents[0, b, i] = i
        for t in range(counts[b]):
            u, v = pairs[t, b, 0], pairs[t, b, 1]
            op[t, b, u] = True
            op[t, b, v] = True
            if priority[b, u] < priority[b, v] or (priority[b, u] == priority[b, v] and u < v):
                u, v = v, u
            answer[t, b] = _query_toggle(u, v, parent, child, reversed_, modified[t + 1, b])
            for i in range(n):
                parents[t + 1, b, i] = parent[i]
    return op, parents, modified, answer
