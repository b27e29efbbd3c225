"""Hydra's override grammar: what a command line's `key=value` words mean, and the runs that a sweep stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from trainers.usage import UsageError


class Asked(NamedTuple):
    """One `key=value`.

    Attributes:
        key: dotted path, or a group.
        value: parsed.
        text: the value as Hydra's grammar writes it.
    """

    key: str
    value: Any
    text: str


def parse(overrides: Sequence[str]) -> list[Asked]:
    """The overrides of a single run.

    Args:
        overrides: `key=value` words.

    Returns:
        Their keys and values, in order.

    Raises:
        UsageError: what is no override, or stands for several runs.
    """
    asked = []
    for text, override in zip(overrides, _parsed(overrides), strict=True):
        if override.is_delete() or override.package is not None:
            raise UsageError(f"cannot use {text!r}", "write key=value, as in trainer.max_steps=200 or processor=ntm")
        if override.is_sweep_override():
            raise UsageError(f"{text!r} stands for several runs", f"run them all with: zoo train -m {text}")
        key, value = override.key_or_group, override.value()
        asked.append(Asked(key, _unquoted(value), override.get_value_element_as_str()))
    return asked


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """The single runs of a sweep, as Hydra's basic sweeper orders them.

    Args:
        overrides: `key=value` words, some with several values: `seed=0,1,2`, `seed=range(0,3)`.

    Returns:
        The overrides of each run; the last key varies fastest.

    Raises:
        UsageError: what is no override.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.errors import HydraException

    try:
        return [list(each) for each in BasicSweeper.split_arguments(_parsed(overrides), None)[0]]
    except HydraException as error:
        raise UsageError.of(error, remedy="sweep over lists of values: seed=0,1,2 or seed=range(0,3)") from error


def _parsed(overrides: Sequence[str]) -> list[Any]:
    """The overrides as Hydra's parser reads them."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser, parsed = OverridesParser.create(), []
    for text in overrides:
        try:
            parsed += parser.parse_overrides([text])
        except HydraException as error:
            raise UsageError(
                f"cannot read {text!r}", "write key=value, as in trainer.max_steps=200 or processor=ntm"
            ) from error
    return parsed


def _unquoted(value: Any) -> Any:
    """A parsed value with quoted strings as plain ones."""
    if isinstance(value, list):
        return [_unquoted(each) for each in value]
    return getattr(value, "text", value)
