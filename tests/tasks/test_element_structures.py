"""Stack, queue, deque, priority queue and search tree against plain structures, recomputed after each operation."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks.batch import Batch
from tasks.structures.element_kernels import INSERT
from tests.tasks.samples import alone, sizes_of, values
from tests.tasks.streamed import check_streamed_example, stream

NAMES = ["stack", "queue", "deque", "priority_queue", "binary_search_tree"]
TASKS = {name: tasks.create(name) for name in NAMES}
ROWS = ["stack", "queue", "deque"]
FRONT = ["push", "pop", "top", "dequeue", "front", "push_front", "pop_front"]
KEYS = [0.5, 0.2, 0.9, 0.3]
Node = tuple["Node | None", int, "Node | None"]


def kinds_of(name: str) -> list[str]:
    return [kind.name for kind in TASKS[name].kinds]


def inserts(name: str) -> list[str]:
    return [kind.name for kind in TASKS[name].kinds if kind.role == INSERT]


class Row:
    """A row of elements: `collections.deque`."""

    def __init__(self, n: int, key: Sequence[float]) -> None:
        self.n, self.held = n, deque[int]()

    def do(self, kind: str, element: int) -> dict[str, Any]:
        front, touched, answer = kind in FRONT, set(), -1
        at = 0 if front else -1
        if kind in ("push", "push_front", "enqueue", "push_back"):
            if not front and self.held:
                touched.add(self.held[-1])
            (self.held.appendleft if front else self.held.append)(element)
            touched.add(element)
        elif self.held:
            answer = self.held[at]
            if kind in ("pop", "pop_front", "dequeue", "pop_back"):
                touched.add(self.held.popleft() if front else self.held.pop())
                if not front and self.held:
                    touched.add(self.held[-1])
        return {"answer": answer, "modified_h": touched}

    def frame(self) -> dict[str, list[int]]:
        order = list(self.held)
        pointers, places = list(range(self.n)), [0] * self.n
        for before, after in itertools.pairwise(order):
            pointers[before] = after
            places[after] = 1
        if order:
            places[order[-1]], places[order[0]] = 3, 2 if len(order) > 1 else 4
        return {"next_h": pointers, "place_h": places}


class Heap:
    """A binary heap in a list whose first slot is 1, sifted recursively as in the textbook, beside `heapq`."""

    def __init__(self, n: int, key: Sequence[float]) -> None:
        self.n, self.key = n, key
        self.slots: list[int] = [-1]
        self.check: list[tuple[float, int]] = []

    def rank(self, k: int) -> tuple[float, int]:
        return self.key[self.slots[k]], self.slots[k]

    def swap(self, i: int, j: int) -> None:
        self.slots[i], self.slots[j] = self.slots[j], self.slots[i]

    def up(self, k: int) -> None:
        if k > 1 and self.rank(k) < self.rank(k // 2):
            self.swap(k, k // 2)
            self.up(k // 2)

    def down(self, k: int) -> None:
        best = min([i for i in (k, 2 * k, 2 * k + 1) if i < len(self.slots)], key=self.rank, default=k)
        if best != k:
            self.swap(k, best)
            self.down(best)

    def do(self, kind: str, element: int) -> dict[str, Any]:
        before, answer, touched = list(self.slots), -1, set()
        if kind == "insert":
            self.slots.append(element)
            self.up(len(self.slots) - 1)
            heapq.heappush(self.check, (self.key[element], element))
        elif self.check:
            answer = self.check[0][1]
            assert answer == self.slots[1]
            if kind == "extract":
                heapq.heappop(self.check)
                last = self.slots.pop()
                if len(self.slots) > 1:
                    self.slots[1] = last
                    self.down(1)
                touched.add(answer)
        changed = {k for k, e in enumerate(self.slots) if k >= len(before) or before[k] != e}
        touched |= {e for k, e in enumerate(self.slots) if k in changed or k // 2 in changed}
        return {"answer": answer, "modified_h": touched}

    def frame(self) -> dict[str, list[int]]:
        pointers, places = list(range(self.n)), [0] * self.n
        for k, element in enumerate(self.slots[1:], 1):
            pointers[element] = self.slots[max(k // 2, 1)]
            places[element] = 1 if k == 1 else 2 + k % 2
        return {"parent_h": pointers, "place_h": places}


class Tree:
    """A search tree as nested tuples, and the set of what it holds."""

    def __init__(self, n: int, key: Sequence[float]) -> None:
        self.n, self.key = n, key
        self.root: Node | None = None
        self.held: set[int] = set()

    def less(self, i: int, j: int) -> bool:
        return (self.key[i], i) < (self.key[j], j)

    def last(self, tree: Node | None, element: int) -> int:
        if tree is None or tree[1] == element:
            return -1 if tree is None else element
        below = self.last(tree[0] if self.less(element, tree[1]) else tree[2], element)
        return tree[1] if below == -1 else below

    def put(self, tree: Node | None, element: int) -> Node:
        if tree is None:
            return (None, element, None)
        left, node, right = tree
        if self.less(element, node):
            return (self.put(left, element), node, right)
        return (left, node, self.put(right, element))

    def without(self, tree: Node | None, element: int) -> Node | None:
        assert tree is not None
        left, node, right = tree
        if node != element:
            if self.less(element, node):
                return (self.without(left, element), node, right)
            return (left, node, self.without(right, element))
        if left is None or right is None:
            return right if left is None else left
        heir = right
        while heir[0] is not None:
            heir = heir[0]
        return (left, heir[1], self.without(right, heir[1]))

    def do(self, kind: str, element: int) -> dict[str, Any]:
        before, found = self.frame()["parent_h"], element in self.held
        answer = self.last(self.root, element)
        assert (answer == element) == found
        done = {"insert": not found, "delete": found, "find": False}[kind]
        if done:
            self.root = self.put(self.root, element) if kind == "insert" else self.without(self.root, element)
            self.held ^= {element}
        touched = {i for i, parent in enumerate(self.frame()["parent_h"]) if parent != before[i]}
        return {"answer": answer, "found": found, "modified_h": touched | ({element} if done else set())}

    def frame(self) -> dict[str, list[int]]:
        frame = {name: list(range(self.n)) for name in ("parent_h", "left_h", "right_h")} | {"place_h": [0] * self.n}

        def visit(tree: Node | None, above: int, place: int) -> None:
            if tree is not None:
                frame["place_h"][tree[1]] = place
                frame["parent_h"][tree[1]] = tree[1] if above == -1 else above
                if above != -1:
                    frame["left_h" if place == 2 else "right_h"][above] = tree[1]
                visit(tree[0], tree[1], 2)
                visit(tree[2], tree[1], 3)

        visit(self.root, -1, 1)
        return frame


PLAIN: dict[str, type[Row] | type[Heap] | type[Tree]] = {name: Row for name in ROWS} | {
    "priority_queue": Heap,
    "binary_search_tree": Tree,
}


def check(name: str, batch: Batch, b: int) -> None:
    """Every frame and answer of a sample equals the plain structure's."""
    part, n = alone(batch, b), int(batch.sizes[b])
    key = part["key"].tolist() if "key" in part else [0.0] * n
    plain = PLAIN[name](n, key)
    for t in range(int(batch.steps[b])):
        frame = plain.frame()
        for hint in set(frame) & set(part):
            assert part[hint][t].tolist() == frame[hint], (hint, t)
        named = part["element"][t].nonzero().flatten().tolist()
        expected = plain.do(kinds_of(name)[int(part["operation"][t]) - 1], named[0] if named else -1)
        assert part["modified_h"][t + 1].nonzero().flatten().tolist() == sorted(expected.pop("modified_h"))
        for output, value in expected.items():
            assert part[output][t].item() == value, (output, t)
    frame = plain.frame()
    assert all(part[hint][-1].tolist() == frame[hint] for hint in set(frame) & set(part))
    assert not part["modified_h"][0].any()


@st.composite
def instances(draw: st.DrawFn, name: str) -> tuple[list[float], list[tuple[str, list[int]]]]:
    """Keys with ties, and operations that may be impossible; a row or heap is never given what it holds."""
    n = draw(st.integers(1, 6))
    key = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=n, max_size=n))
    plain, operations = PLAIN[name](n, key), list[tuple[str, list[int]]]()
    for _ in range(draw(st.integers(1, 16))):
        held = [i for i, place in enumerate(plain.frame()["place_h"]) if place]
        free = [i for i in range(n) if i not in held]
        tree = name == "binary_search_tree"
        kind = draw(st.sampled_from([k for k in kinds_of(name) if tree or free or k not in inserts(name)]))
        named = [draw(st.sampled_from(range(n) if tree else free))] if tree or kind in inserts(name) else []
        plain.do(kind, named[0] if named else -1)
        operations.append((kind, named))
    return key, operations


@pytest.mark.parametrize("name", NAMES)
def test_trace_equals_the_plain_structure(name: str) -> None:
    task = tasks.create(name, children=True) if name == "binary_search_tree" else TASKS[name]

    @settings(max_examples=30, deadline=None)
    @given(instance=instances(name))
    def run(instance: tuple[list[float], list[tuple[str, list[int]]]]) -> None:
        key, operations = instance
        inputs = stream(kinds_of(name), operations, len(key))
        inputs |= {"key": torch.tensor([key])} if "key" in [p.name for p in task.spec.inputs] else {}
        check(name, task.execute(inputs), 0)

    run()


@pytest.mark.parametrize("name", NAMES)
def test_sampled_traces_equal_the_plain_structure_and_ask_only_what_can_be_done(name: str) -> None:
    batch = TASKS[name].sample(seed=3, size=[1, 4, 20], batch_size=8)
    for b in range(8):
        check(name, batch, b)
    operation, answer = batch.inputs["operation"], batch.outputs["answer"]
    assert operation.unique().tolist() == list(range(len(kinds_of(name)) + 1))
    if name != "binary_search_tree":
        asks = ~torch.isin(operation, torch.tensor([1 + kinds_of(name).index(k) for k in inserts(name)]))
        assert ((answer >= 0) == asks)[operation > 0].all()
    else:
        found = batch.outputs["found"]
        assert not found[operation == 1].any()
        assert found[operation == 2].all()


@pytest.mark.parametrize("name", NAMES)
def test_shares_of_operations_follow_the_options(name: str) -> None:
    task = tasks.create(name, operations="200", inserts=0.5, queries=0.25)
    operation = task.sample(size=50, batch_size=40).inputs["operation"]
    roles = torch.tensor([-1] + [kind.role for kind in task.kinds])[operation.long()]
    shares = [(roles == role).double().mean().item() for role in range(3)]
    # What is drawn where the structure is empty or full moves the shares a little.
    assert shares == pytest.approx([0.375, 0.375, 0.25], abs=0.05)
    emptied = tasks.create(name, operations="40", inserts=0.0, queries=0.0).sample(size=5, batch_size=3)
    assert (emptied.hints["place_h"] > 0).sum(-1).amax() == 1
    filled = tasks.create(name, operations="40", inserts=1.0, queries=0.0).sample(size=5, batch_size=3)
    assert ((filled.hints["place_h"] > 0).sum(-1)[5:] >= 4).all()


@pytest.mark.parametrize("name", NAMES)
def test_elements_to_put_in_are_uniform_among_those_not_held(name: str) -> None:
    batch = tasks.create(name, operations="1").sample(size=4, batch_size=4000)
    counts = batch.inputs["element"][0].sum(0).double()
    assert (counts - 1000).abs().max() < 5 * (4000 * 3 / 16) ** 0.5


@pytest.mark.parametrize("name", NAMES)
def test_worked_example_of_the_docstring(name: str) -> None:
    task = TASKS[name]
    given = {"key": [*KEYS[:3], 0.7 if name == "binary_search_tree" else 0.3]} if name not in ROWS else {}
    batch = check_streamed_example(task, kinds_of(name), given)
    check(name, batch, 0)


def test_pointers_to_children_are_an_option_that_changes_nothing_else() -> None:
    choice: dict[str, Any] = {"size": sizes_of("binary_search_tree"), "batch_size": 6}
    plain = values(TASKS["binary_search_tree"].sample(**choice))
    more = values(tasks.create("binary_search_tree", children=True).sample(**choice))
    assert set(more) - set(plain) == {"hint/left_h", "hint/right_h"}
    assert all(torch.equal(plain[name], more[name]) for name in plain)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "binary_search_tree"])
def test_putting_in_what_is_held_is_refused(name: str) -> None:
    task, kind = TASKS[name], inserts(name)[0]
    inputs = stream(kinds_of(name), [(kind, [0]), (kind, [1]), (kind, [0])], 2)
    inputs |= {"key": torch.zeros(1, 2)} if name == "priority_queue" else {}
    with pytest.raises(ValueError, match=rf"{name} input 'element'.*not held.*got 0 at step 2 of sample 0"):
        task.execute(inputs)


def test_wrong_operations_are_refused_by_name() -> None:
    task = TASKS["stack"]
    for operations, message in [
        ([("push", [])], r"'element'.*1 nodes for operation 1, got 0 at step 0"),
        ([("push", [0, 1])], r"'element'.*got 2"),
        ([("push", [0]), ("pop", [0])], r"'element'.*0 nodes for operation 2, got 1 at step 1 of sample 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            task.execute(stream(kinds_of("stack"), operations, 3))
    inputs = stream(kinds_of("stack"), [("push", [0]), ("push", [1])], 3)
    with pytest.raises(ValueError, match=r"'operation'.*class 0 past its end"):
        task.execute({"operation": torch.tensor([[0], [1]]), "element": inputs["element"].flip(0) * 0})
    with pytest.raises(ValueError, match=r"'operation'.*0 to 3, got values from 1 to 4"):
        task.execute({**inputs, "operation": torch.tensor([[1], [4]])})
    with pytest.raises(ValueError, match=r"'element'.*zeros past the end"):
        task.execute(inputs, sizes=[1])
    with pytest.raises(ValueError, match=r"'operation'.*at least one"):
        task.execute({"operation": np.zeros((0, 1), np.int64), "element": np.zeros((0, 1, 3))})
    with pytest.raises(ValueError, match=r"'key'.*as of element"):
        TASKS["priority_queue"].execute({**stream(["insert"], [("insert", [0])], 3), "key": [[0.1, 0.2]]})


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_shares_outside_their_range_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match="inserts is a share from 0 to 1"):
        tasks.create("queue", inserts=share)
    with pytest.raises(ValueError, match="queries is a share from 0 to 1"):
        tasks.create("deque", queries=share)
    with pytest.raises(ValueError, match="stack: operations is a number"):
        tasks.create("stack", operations="0n")
