"""What a multirun's words mean beside values: `sweep=NAME` is a grid from a file, `hydra/launcher=NAME` says where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from trainers.config_groups import choices, file_values
from trainers.launchers import LAUNCHERS, SEQUENTIAL
from trainers.usage import UsageError, unknown

_LAUNCHER, _SWEEP = "hydra/launcher", "sweep"


class Multirun(NamedTuple):
    """What several runs were asked for with.

    Attributes:
        overrides: `key=value` words, some with several values.
        launcher: where they run.
    """

    overrides: list[str]
    launcher: str


def read(overrides: Sequence[str]) -> Multirun:
    """Take out the launcher, and put a named sweep's words in the place of its name.

    Args:
        overrides: `key=value` words; `hydra/launcher=NAME` and `sweep=NAME` (or `+sweep=NAME`) among them. What else
            is given replaces the sweep's values of the same key.

    Returns:
        The words that are left, and the launcher, `sequential` if none is named.

    Raises:
        UsageError: an unknown name, or a name given twice.
    """
    named = {_LAUNCHER: [SEQUENTIAL], _SWEEP: [""]}
    rest = []
    for word in overrides:
        key, found, value = word.partition("=")
        if found and key.lstrip("+") in named:
            named[key.lstrip("+")].append(value)
        else:
            rest.append(word)
    for key, values in named.items():
        if len(values) > 2:
            raise UsageError(f"{key} is given twice: {', '.join(values[1:])}", "give it once")
    launcher, sweep = named[_LAUNCHER][-1], named[_SWEEP][-1]
    if launcher not in LAUNCHERS:
        raise unknown("launcher", launcher, LAUNCHERS)
    if len(named[_SWEEP]) > 1:
        given = {word.partition("=")[0].lstrip("+") for word in rest}
        rest = [f"{key}={text}" for key, text in grid(sweep).items() if key not in given] + rest
    return Multirun(rest, launcher)


def single(overrides: Sequence[str]) -> list[str]:
    """The words of one run.

    Raises:
        UsageError: among them are words for several runs.
    """
    for word in overrides:
        if word.partition("=")[0].lstrip("+") in (_LAUNCHER, _SWEEP):
            raise UsageError(f"{word!r} is for several runs", f"run them all with: zoo train -m {word}")
    return list(overrides)


def grid(name: str) -> dict[str, str]:
    """The grid that a file of `configs/sweep/` describes.

    Args:
        name: of the file.

    Returns:
        Values by key, as they stand on a command line: `mpnn,pgn`, `range(0,3)`.

    Raises:
        UsageError: no such file, or one that is no sweep.
    """
    if name not in choices(_SWEEP):
        raise unknown(_SWEEP, name, choices(_SWEEP))
    try:
        params = file_values(_SWEEP, name)["hydra"]["sweeper"]["params"]
        texts = {str(key): value if isinstance(value, str) else str(value) for key, value in params.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"configs/sweep/{name}.yaml describes no sweep", "values by key stand under hydra.sweeper.params"
        ) from error
    return texts
