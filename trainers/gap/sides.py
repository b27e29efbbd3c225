"""The two networks of a gap."""

from __future__ import annotations

from tasks.task import Task
from trainers.inspection.model import can_inspect
from trainers.networks import COMPILED, Loaded, compiled_names, load_network
from trainers.usage import UsageError


def load_pair(learned: str, compiled: str, *, runs_dir: str = "runs") -> tuple[Loaded, Loaded, Task]:
    """The two networks, and the task that they are compared on.

    Args:
        learned: a network's name, see `trainers.networks.load_network`.
        compiled: likewise. What is compiled for it is as wide as the learned network, so that parameters compare.
        runs_dir: folder that holds the runs.

    Raises:
        UsageError: there is no such network, or the two have no task in common, or other processors or probes.
    """
    one = load_network(learned, runs_dir=runs_dir)
    other = load_network(compiled, runs_dir=runs_dir, like=one)
    shared = [name for name in one.tasks if name in other.tasks]
    if not shared:
        said = " and ".join(f"{side.name} is of task {', '.join(side.tasks)}" for side in (one, other))
        raise UsageError(f"{said}: nothing to compare", "give two networks of one task")
    if one.processor != other.processor:
        said = " and ".join(f"{side.name} has processor {side.processor}" for side in (one, other))
        made = f"{one.processor}{COMPILED}{shared[0]}"
        fix = f"compare with {made}" if made in compiled_names() else "give two networks of one processor"
        raise UsageError(f"{said}: whom nodes hear cannot be compared", fix)
    task = one.tasks[shared[0]]
    if task.spec != other.tasks[task.name].spec:
        raise UsageError(
            f"{one.name} and {other.name} are of task {task.name} with other probes", "train with the other's task.…"
        )
    if not all(can_inspect(side.model, task) for side in (one, other)):
        raise UsageError(f"{one.processor} on {task.name} has no dense layout", "the gap is measured on dense graphs")
    return one, other, task
