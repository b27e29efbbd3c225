"""A user's mistake, told in two lines: what is wrong, and what would be right. Imports nothing heavy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_CODE = 2
"""What the command exits with after a user's mistake, as argparse does."""


class UsageError(ValueError):
    """A mistake in a name, a key, a value or a folder.

    Attributes:
        problem: what is wrong; it names the culprit.
        remedy: near matches and choices, or the fix.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = _one_line(problem), _one_line(remedy)
        super().__init__(f"{self.problem}; {self.remedy}")

    def __reduce__(self) -> tuple[type[UsageError], tuple[str, str]]:
        return type(self), (self.problem, self.remedy)  # pickled by a job on another machine

    @property
    def lines(self) -> str:
        """The two lines for the terminal."""
        return f"zoo: {self.problem}\n     {self.remedy}"

    @classmethod
    def of(cls, error: Exception, *, where: str = "", remedy: str = "`zoo --help` lists the commands") -> UsageError:
        """An error raised further down, in the same form.

        Args:
            error: its message may have the fix on a second line, or end in near matches and choices.
            where: put before the message.
            remedy: the second line where the message has none.
        """
        if isinstance(error, cls):
            return error
        problem, broken, fix = str(error).strip().partition("\n")
        if broken:
            return cls(f"{where}: {problem}" if where else problem, fix)
        message = _one_line(problem) or type(error).__name__
        for mark in ("; did you mean", "; choices:"):
            head, found, tail = message.partition(mark)
            if found:
                message, remedy = head, mark.removeprefix("; ") + tail
                break
        return cls(f"{where}: {message}" if where else message, remedy)


def unknown(
    kind: str, name: str, choices: Iterable[str], *, among: str = "choices", near: Iterable[str] | None = None
) -> UsageError:
    """The error about a name that does not exist, with its near matches and all choices.

    Args:
        kind: what it should name.
        name: as given; of a dotted key, only the last part is compared, unless the choices are dotted too.
        choices: what there is.
        among: what the choices are called.
        near: where near matches are looked for, if not among the choices.
    """
    choices = sorted(choices)
    candidates = choices if near is None else list(near)
    whole = any("." in candidate for candidate in candidates)
    prefix, _, last = ("", "", name) if whole else name.rpartition(".")
    close = difflib.get_close_matches(last, candidates, n=3, cutoff=0.6)
    close = close or [candidate for candidate in candidates if last in candidate][:3]
    dotted = [f"{prefix}.{match}" if prefix else match for match in close]
    hint = f"did you mean {' or '.join(dotted)}? " if close else ""
    return UsageError(f"unknown {kind} {name!r}", f"{hint}{among}: {', '.join(choices) or 'none'}")


def _one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())
