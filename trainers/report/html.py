"""HTML from Python: every text and attribute is escaped, so that no name of a run can become markup."""

from __future__ import annotations

import html
import json
from typing import Any

_VOID = frozenset({"img", "input", "meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """An element.

    Args:
        name: of the element.
        *children: `Markup` as it is, everything else as escaped text; None is left out.
        **attributes: `class_` is `class`, `data_sort` is `data-sort`; True stands bare, None and False are left out.
    """
    told = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{html.escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    opened = f"<{name}{told}>"
    return Markup(opened if name in _VOID else f"{opened}{join(*children)}</{name}>")


def join(*children: Any) -> Markup:
    """Children one after another, as `tag` takes them."""
    return Markup("".join(c if isinstance(c, Markup) else html.escape(str(c)) for c in children if c is not None))


def json_script(identity: str, data: Any) -> Markup:
    """Data for the page's scripts; no text in it can end the element, whatever it holds."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return tag("script", Markup(text), id=identity, type="application/json")
