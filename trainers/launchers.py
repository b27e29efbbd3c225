"""Where the jobs of a sweep run: one after another in this process, or side by side on a Ray cluster.

`launch(jobs, launcher="sequential" | "ray", on_end=None) -> Launched(values, code)`. A job is a function with its
arguments that keeps its progress on disk and goes on from there when it is called again: launching the same jobs once
more after an interruption does what is left. Imports neither torch nor Ray.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from trainers.interruption import Stop
from trainers.loading import load, loaded
from trainers.usage import UsageError, unknown

SEQUENTIAL, RAY = "sequential", "ray"
LAUNCHERS = (SEQUENTIAL, RAY)
_POLL_SECONDS = 0.5  # how long a signal to this process may wait before the cluster hears of it


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work.

    Attributes:
        name: unique among those launched together.
        function: called with the arguments. For Ray it is a function of a module, found there by its name, and the
            arguments are plain data. It reports an expected failure by what it returns; what it raises ends the launch.
        arguments: of the function.
        gpu: whether it computes on a GPU where there is one; Ray then gives it one to itself.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    gpu: bool = False


OnEnd = Callable[[Job, Any], bool | None]


class Launched(NamedTuple):
    """What came of a launch.

    Attributes:
        values: what the jobs returned, by name; jobs that a stop kept from starting are absent.
        code: 0, or 130 and 143 where this process was told to stop by Ctrl-C and SIGTERM.
    """

    values: Mapping[str, Any]
    code: int


def launch(jobs: Sequence[Job], launcher: str = SEQUENTIAL, *, on_end: OnEnd | None = None) -> Launched:
    """Run jobs.

    With `"ray"` a job takes a CPU core, and a GPU if it wants one, of the cluster that RAY_ADDRESS names or that was
    started here with `ray start`, else of this machine. Its machines must share the present folder and have the same
    packages. A job whose machine is lost is started again, up to three times. Files given by `--load` are loaded there
    too.

    Args:
        jobs: what is to be done.
        launcher: `"sequential"` or `"ray"`.
        on_end: called in this process with a job and its value as each ends, in no certain order; where it returns
            False no further job is started, and running ones are told to stop as by Ctrl-C.

    Returns:
        The jobs' values. After Ctrl-C or SIGTERM under Ray the running jobs are told to stop in the same way and
        waited for, so that each saves its state; a sequential job gets the signal itself.

    Raises:
        UsageError: an unknown launcher, or Ray without being installed.
        ValueError: two jobs of one name, or, under Ray, a function that no module has.
        Exception: what a job raised first; under Ray once the others have ended.
    """
    names = [job.name for job in jobs]
    if len(set(names)) < len(names):
        raise ValueError(f"jobs must differ in name: {sorted({name for name in names if names.count(name) > 1})}")
    if launcher not in LAUNCHERS:
        raise unknown("launcher", launcher, LAUNCHERS)
    return (_ray if launcher == RAY else _sequential)(jobs, on_end or (lambda job, value: None))


def _sequential(jobs: Sequence[Job], on_end: OnEnd) -> Launched:
    """One after another, here."""
    values: dict[str, Any] = {}
    for job in jobs:
        values[job.name] = job.function(*job.arguments)
        if on_end(job, values[job.name]) is False:
            break
    return Launched(values, 0)


def _ray(jobs: Sequence[Job], on_end: OnEnd) -> Launched:
    """As many at once as the cluster carries."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("torchrun and hydra/launcher=ray do not go together", "start one process, without torchrun")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "hydra/launcher=ray needs Ray, which is not installed", "pip install 'algorithm-zoo[ray]'"
        ) from error
    from ray.exceptions import RayError, TaskCancelledError

    began_here = not ray.is_initialized()
    if began_here:
        try:
            ray.init(
                include_dashboard=False,
                logging_level=logging.WARNING,
                runtime_env={"worker_process_setup_hook": _heed_interrupts},
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UsageError.of(error, where="Ray", remedy="RAY_ADDRESS names a running cluster") from error
    values: dict[str, Any] = {}
    failures: list[BaseException] = []
    try:
        gpus = ray.cluster_resources().get("GPU", 0) > 0
        remote = ray.remote(_work)
        here, files = os.getcwd(), loaded()
        waiting = {
            remote.options(name=job.name, num_cpus=1, num_gpus=int(gpus and job.gpu)).remote(
                _address(job.function), job.arguments, here, files
            ): job
            for job in jobs
        }
        stopped = False
        with Stop() as stop:
            while waiting:
                ended, _ = ray.wait(list(waiting), num_returns=1, timeout=_POLL_SECONDS)
                ends = stop.wanted
                for reference in ended:
                    job = waiting.pop(reference)
                    try:
                        values[job.name] = ray.get(reference)
                    except TaskCancelledError:
                        continue
                    except RayError as error:
                        failures.append(error)
                        continue
                    ends |= on_end(job, values[job.name]) is False
                if ends and not stopped:
                    stopped = True
                    for reference in waiting:
                        ray.cancel(reference, force=False)
        for failure in failures:  # the failure's own text has the traceback from over there
            raise getattr(failure, "cause", None) or failure from failure
        return Launched(values, 0 if stop.signal is None else 128 + stop.signal)
    finally:
        if began_here:
            ray.shutdown()


def _address(function: Callable[..., Any]) -> tuple[str, str]:
    """Where a function is found by name."""
    module, name = function.__module__, function.__qualname__
    if module == "__main__" or "<" in name:
        raise ValueError(f"Ray cannot find {name} of {module} by name; a job's function must be one of a module's")
    return module, name


def _heed_interrupts() -> None:
    """Undo that SIGINT is ignored in all that a shell's script starts in the background; Ray stops jobs by it."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _work(address: tuple[str, str], arguments: tuple[Any, ...], folder: str, files: Sequence[str]) -> Any:
    """A job, on the machine that Ray chose; Ray interrupts the main thread to stop it, as Ctrl-C would."""
    if not os.path.isdir(folder):
        raise UsageError(
            f"this machine of the Ray cluster has no folder {folder!r}",
            "start from a folder that all machines share",
        )
    os.chdir(folder)
    for path in files:
        load(path)
    module, name = address
    return attrgetter(name)(importlib.import_module(module))(*arguments)
