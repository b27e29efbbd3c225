"""Sets of tasks with a name: the files of `configs/task/` that list `tasks`. Imports no torch."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import yaml

import configs

_MOST_JOINED = 4  # names of tasks in a run folder's name


@functools.cache
def task_sets() -> dict[str, tuple[str, ...]]:
    """Names of the tasks of each set."""
    sets = {}
    for path in sorted((Path(configs.__file__).parent / "task").glob("*.yaml")):
        content = yaml.safe_load(path.read_text("utf-8")) or {}
        if "tasks" in content:
            sets[path.stem] = tuple(content["tasks"])
    return sets


def members(choice: str) -> list[str]:
    """The tasks that a choice stands for: those of a set, or itself."""
    return list(task_sets().get(choice, [choice]))


def joint_name(tasks: Sequence[str]) -> str:
    """Several tasks in one word: their set's name, their names, or of many the first and how many more."""
    for name, members_ in task_sets().items():
        if set(members_) == set(tasks):
            return name
    return "+".join(tasks) if len(tasks) <= _MOST_JOINED else f"{tasks[0]}+{len(tasks) - 1}_more"
