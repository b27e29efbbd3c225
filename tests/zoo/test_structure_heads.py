"""The pointer and mask heads of a pointer graph network find their hints in every streamed data structure."""

from __future__ import annotations

import pytest

import tasks
import zoo


@pytest.mark.parametrize(
    ("name", "pointer"),
    [
        ("disjoint_set", "parent_h"),
        ("link_cut_tree", "parent_h"),
        ("stack", "next_h"),
        ("queue", "next_h"),
        ("deque", "next_h"),
        ("priority_queue", "parent_h"),
        ("binary_search_tree", "parent_h"),
        ("range_minimum", "least_h"),
    ],
)
def test_pointers_and_masks_are_bound_by_themselves(name: str, pointer: str) -> None:
    model = zoo.Reasoner(tasks.create(name).spec, zoo.create("pgn", hidden_size=4))
    heads = model.tasks[name].heads
    assert {head: probe.name for head, probe in heads.items()} == {"pointers": pointer, "modify": "modified_h"}


def test_either_mask_of_the_persistent_task_can_be_bound() -> None:
    task = tasks.create("persistent_range_minimum")
    for mask in ("relevant_h", "persist_h"):
        bind = {task.name: {"modify": mask}}
        model = zoo.Reasoner(task.spec, zoo.create("pgn", hidden_size=4), bind=bind)
        assert model.tasks[task.name].heads["modify"].name == mask
