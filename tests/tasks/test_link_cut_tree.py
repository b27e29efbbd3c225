"""The link/cut task against networkx's forests and splay trees on nested tuples."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks.batch import Batch
from tests.tasks.streamed import check_streamed_example, stream

TASK = tasks.create("link_cut_tree")
Splay = tuple["Splay | None", int, "Splay | None"]


def inorder(tree: Splay | None) -> list[int]:
    return [] if tree is None else [*inorder(tree[0]), tree[1], *inorder(tree[2])]


def mirror(tree: Splay | None) -> Splay | None:
    return None if tree is None else (mirror(tree[2]), tree[1], mirror(tree[0]))


def rotated(tree: Splay, x: int) -> Splay:
    """The tree with x exchanged with its parent."""
    left, node, right = tree
    if left is not None and left[1] == x:
        return (left[0], x, (left[2], node, right))
    if right is not None and right[1] == x:
        return ((left, node, right[0]), x, right[2])
    if x in inorder(left):
        return (rotated(left, x), node, right)
    return (left, node, rotated(right, x))


def route(tree: Splay, x: int) -> tuple[list[int], list[bool]]:
    """Nodes from the root down to x, and at each but x whether the way goes left."""
    left, node, right = tree
    if node == x:
        return [node], []
    to_left = x in inorder(left)
    nodes, sides = route(left if to_left else right, x)
    return [node, *nodes], [to_left, *sides]


class Paths:
    """Preferred paths, each a splay tree in the order of depth and the node that its top hangs on, or None.

    Everything is written for plainness: trees are values, paths are reversed at once. After every elementary change
    the pointers are compared with those before it.
    """

    def __init__(self, n: int) -> None:
        self.paths: list[tuple[Splay, int | None]] = [((None, x, None), None) for x in range(n)]
        self.touched: set[int] = set()
        self.seen = self.pointers()

    def pointers(self) -> dict[int, tuple[int, bool]]:
        """Where every node points, and whether within its splay tree (or at itself)."""
        found: dict[int, tuple[int, bool]] = {}

        def visit(tree: Splay | None, above: int) -> None:
            if tree is not None:
                found[tree[1]] = (above, True)
                visit(tree[0], tree[1])
                visit(tree[2], tree[1])

        for tree, above in self.paths:
            visit(tree, tree[1])
            if above is not None:
                found[tree[1]] = (above, False)
        return found

    def edges(self) -> set[frozenset[int]]:
        """Edges of the forest that is stood for."""
        found = set()
        for tree, above in self.paths:
            order = inorder(tree)
            order = order if above is None else [above, *order]
            found |= {frozenset(pair) for pair in itertools.pairwise(order)}
        return found

    def set(self, *new: tuple[Splay | None, int | None]) -> None:
        """Replace the paths that share nodes with these."""
        kept = [(tree, above) for tree, above in new if tree is not None]
        nodes = {x for tree, _ in kept for x in inorder(tree)}
        self.paths = [path for path in self.paths if not nodes & set(inorder(path[0]))] + kept
        now = self.pointers()
        self.touched |= {x for x in now if now[x] != self.seen[x]}
        self.seen = now

    def of(self, x: int) -> tuple[Splay, int | None]:
        return next(path for path in self.paths if x in inorder(path[0]))

    def splay(self, x: int) -> None:
        tree, above = self.of(x)
        while tree[1] != x:
            nodes, sides = route(tree, x)
            first = nodes[-2] if len(sides) > 1 and sides[-1] == sides[-2] else x
            for node in [first, x] if len(sides) > 1 else [x]:
                tree = rotated(tree, node)
                self.set((tree, above))

    def expose(self, x: int) -> None:
        self.splay(x)
        (left, _, right), above = self.of(x)
        self.set(((left, x, None), above), (right, x))
        while above is not None:
            w = above
            self.splay(w)
            (left, _, right), above = self.of(w)
            self.set(((left, w, self.of(x)[0]), above), (right, w))
            self.splay(x)

    def evert(self, x: int) -> None:
        self.expose(x)
        tree, above = self.of(x)
        self.set((mirror(tree), above))

    def toggle(self, u: int, v: int) -> bool:
        self.evert(u)
        self.expose(v)
        root = inorder(self.of(v)[0])[0]
        self.expose(root)
        if root == u:
            self.expose(v)
            (left, _, right), above = self.of(v)
            self.set(((None, v, right), above), (left, None))
            return True
        self.expose(u)
        self.expose(v)
        (left, _, right), above = self.of(u)
        assert left is None
        self.set(((self.of(v)[0], u, right), above))
        return False


def check(batch: Batch, b: int) -> None:
    """Every frame of a sample equals the plain structure's, which stands for networkx's forest."""
    n = int(batch.sizes[b])
    priority = batch.inputs["priority"][b].tolist()
    paths, graph = Paths(n), nx.empty_graph(n)
    assert batch.hints["parent_h"][0, b, :n].tolist() == list(range(n))
    assert not batch.hints["modified_h"][0, b].any()
    for t in range(int(batch.steps[b])):
        pair = batch.inputs["op"][t, b].nonzero().flatten().tolist()
        v, u = sorted(pair, key=lambda x: (priority[x], x))
        connected = nx.has_path(graph, u, v)
        if connected:
            graph.remove_edge(v, nx.shortest_path(graph, v, u)[1])
        else:
            graph.add_edge(u, v)
        paths.touched = set()
        assert paths.toggle(u, v) == connected
        assert paths.edges() == {frozenset(edge) for edge in graph.edges}
        assert batch.outputs["answer"][t, b].item() == connected
        parents = batch.hints["parent_h"][t + 1, b, :n].tolist()
        assert parents == [paths.pointers()[x][0] for x in range(n)]
        assert batch.hints["modified_h"][t + 1, b].nonzero().flatten().tolist() == sorted(paths.touched)
        pointed = nx.Graph(list(enumerate(parents)))
        assert {frozenset(c) for c in nx.connected_components(pointed)} == {
            frozenset(c) for c in nx.connected_components(graph)
        }


@st.composite
def instances(draw: st.DrawFn) -> tuple[list[float], list[list[int]]]:
    """Priorities with ties, and pairs with repetitions, so that paths are exposed again and again."""
    n = draw(st.integers(2, 7))
    priority = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=n, max_size=n))
    pair = st.lists(st.integers(0, n - 1), min_size=2, max_size=2, unique=True)
    return priority, draw(st.lists(pair, min_size=1, max_size=10))


@settings(max_examples=25, deadline=None)
@given(instance=instances())
def test_trace_equals_the_plain_structure(instance: tuple[list[float], list[list[int]]]) -> None:
    priority, pairs = instance
    op = stream(["op"], [("op", pair) for pair in pairs], len(priority))["element"]
    check(TASK.execute({"priority": [priority], "op": op}), 0)


def test_sampled_traces_equal_the_plain_structure() -> None:
    batch = tasks.create("link_cut_tree", operations="3n").sample(seed=1, size=[2, 5, 12], batch_size=4)
    for b in range(4):
        check(batch, b)
    answers = batch.outputs["answer"]
    assert answers.any()
    assert not answers.all()


def test_sizes_of_the_paper() -> None:
    for size, count in [(20, 30), (50, 75), (100, 150)]:
        assert TASK.sample(size=size, batch_size=1).lengths.tolist() == [count + 1]


def test_worked_example_of_the_docstring() -> None:
    batch = check_streamed_example(TASK, ["op"], {"priority": [0.1, 0.7, 0.4, 0.9]})
    check(batch, 0)


def test_worked_example_of_disjoint_set_too() -> None:
    check_streamed_example(tasks.create("disjoint_set"), ["op"], {"priority": [0.1, 0.7, 0.4, 0.9]})


def test_operations_that_name_other_than_two_nodes_are_refused() -> None:
    for row in ([1, 0, 0], [1, 1, 1], [0, 0, 0]):
        with pytest.raises(ValueError, match=r"link_cut_tree input 'op'.*two nodes an operation"):
            TASK.execute({"priority": [[0.1, 0.2, 0.3]], "op": torch.tensor(row)[None, None]})
