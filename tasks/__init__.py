"""What is to be learned: tasks, each a spec, a sampler and an algorithm that records its trace.

Names resolve on first use, so that `import tasks.spec` loads neither torch nor numba.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tasks.registry import Entry, Registry, option, register, registry
from tasks.spec import Location, Probe, Spec, Stage, Type

if TYPE_CHECKING:
    from tasks.batch import Batch
    from tasks.task import Task

__all__ = [
    "Batch",
    "Entry",
    "Location",
    "Probe",
    "Registry",
    "Spec",
    "Stage",
    "Task",
    "Type",
    "create",
    "describe",
    "list_tasks",
    "option",
    "register",
]

_LAZY = {"Batch": "tasks.batch", "Task": "tasks.task"}
_GROUPS = ("tasks.algorithms", "tasks.questions", "tasks.sequences", "tasks.structures", "tasks.theory")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'tasks' has no attribute {name!r}")


def create(name: str, **options: Any) -> Task:
    """Make a task by its registry name.

    Args:
        name: a registered name, see `list_tasks`.
        **options: fields of the task's config dataclass; the rest keep their defaults.

    Returns:
        The task.

    Raises:
        ValueError: unknown name or option, with the near matches.
    """
    _load()
    task: Task = registry.create(name, **options)
    return task


def list_tasks(pattern: str = "*", *, ready: bool = False) -> list[str]:
    """Registered names matching a shell-style pattern, sorted; if `ready`, only those that need no option."""
    _load()
    names = registry.names(pattern)
    return [name for name in names if not registry.entry(name).needs] if ready else names


def describe(name: str) -> Entry:
    """What is registered under `name`: class, config dataclass, paper, BibTeX."""
    _load()
    return registry.entry(name)


def _load() -> None:
    """Import the modules that register this package's own tasks."""
    for group in _GROUPS:
        import_module(group)
