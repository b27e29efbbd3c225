"""Names for things: the registry shared by tasks and processors, and the tasks' own.

A name is registered once, by a decorator beside the class and its config; asking for an unknown name, or
passing an unknown config field, raises with the near matches.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, field, fields
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

Class = TypeVar("Class", bound=type)


def option(default: Any, meaning: str) -> Any:
    """A config dataclass's field with its one-line meaning, which `zoo show` prints."""
    if isinstance(default, list | dict | set):
        return field(default_factory=lambda: type(default)(default), metadata={"meaning": meaning})
    return field(default=default, metadata={"meaning": meaning})


def required(meaning: str) -> Any:
    """A config dataclass's field that has no default, with its one-line meaning."""
    return field(metadata={"meaning": meaning})


def near(name: str, choices: Iterable[str]) -> str:
    """What to add to an error about a wrong name: the near matches, then all choices."""
    choices = sorted(choices)
    close = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"{hint}choices: {', '.join(choices)}"


@dataclass(frozen=True)
class Entry:
    """What is known of a registered name.

    Attributes:
        name: the registry name.
        cls: the class, made with one argument, its config.
        config: the frozen config dataclass.
        paper: short citation, for tags and listings.
        year: of the paper.
        bibtex: the paper's BibTeX entry.
    """

    name: str
    cls: type
    config: type
    paper: str
    year: int
    bibtex: str

    @property
    def summary(self) -> str:
        """First line of the class's docstring."""
        return (self.cls.__doc__ or "").strip().split("\n")[0]

    @property
    def needs(self) -> str:
        """An option without which it cannot be made, or none."""
        return str(getattr(self.cls, "needs", ""))


class Registry(Generic[Class]):
    """A table from names to classes and their configs."""

    def __init__(self, kind: str, group: str) -> None:
        """Make an empty registry.

        Args:
            kind: what is registered, for error messages (`"processor"`).
            group: entry-point group through which other distributions add to it.
        """
        self.kind = kind
        self.group = group
        self._entries: dict[str, Entry] = {}
        self._plugins_loaded = False

    def register(
        self, name: str, *, config: type, paper: str = "", year: int = 0, bibtex: str = ""
    ) -> Callable[[Class], Class]:
        """Register the decorated class under `name`; a name already taken raises `ValueError`."""

        def add(cls: Class) -> Class:
            if name in self._entries:
                taken = self._entries[name].cls
                raise ValueError(f"{self.kind} {name!r} is already registered, by {taken.__module__}.{taken.__name__}")
            self._entries[name] = Entry(name, cls, config, paper, year, bibtex.strip())
            return cls

        return add

    def names(self, pattern: str = "*") -> list[str]:
        """Registered names that match a shell-style pattern, sorted."""
        self._load_plugins()
        return sorted(name for name in self._entries if fnmatch.fnmatch(name, pattern))

    def entry(self, name: str) -> Entry:
        """The entry of a name; an unknown one raises `ValueError` with the near matches."""
        self._load_plugins()
        if name not in self._entries:
            raise ValueError(f"unknown {self.kind} {name!r}; {near(name, self._entries)}")
        return self._entries[name]

    def create(self, name: str, **options: Any) -> Any:
        """Make the class registered under `name`, its config filled from `options`; unknown ones raise `ValueError`."""
        entry = self.entry(name)
        known = {f.name: f for f in fields(entry.config)}
        for key in options:
            if key not in known:
                raise ValueError(f"{self.kind} {name!r} has no option {key!r}; {near(key, known)}")
        missing = [
            key
            for key, f in known.items()
            if f.default is MISSING and f.default_factory is MISSING and key not in options
        ]
        if missing:
            raise ValueError(f"{self.kind} {name!r} needs {', '.join(missing)}")
        return entry.cls(entry.config(**options))

    def _load_plugins(self) -> None:
        """Import what other distributions offer, once."""
        if not self._plugins_loaded:
            self._plugins_loaded = True
            for plugin in entry_points(group=self.group):
                plugin.load()


registry: Registry = Registry("task", "zoo.tasks")
register = registry.register
