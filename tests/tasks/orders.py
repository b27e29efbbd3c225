"""Orders of nodes as pointers and back, for the tests of tasks that sort."""

from __future__ import annotations

from collections.abc import Sequence


def predecessors(order: Sequence[int]) -> list[int]:
    """Pointers of a list of nodes, each to the one before it, the first to itself."""
    pointers = [0] * len(order)
    for before, node in zip([order[0], *order], order, strict=False):
        pointers[node] = before
    return pointers


def listed(pointers: Sequence[int]) -> list[int]:
    """The list of nodes whose pointers these are; anything but one chain of all nodes fails."""
    order = [node for node, before in enumerate(pointers) if node == before]
    assert len(order) == 1, f"one node points to itself: {pointers}"
    behind = {before: node for node, before in enumerate(pointers) if node != before}
    while order[-1] in behind:
        order.append(behind[order[-1]])
    assert sorted(order) == list(range(len(pointers))), f"one chain of all nodes: {pointers}"
    return order
