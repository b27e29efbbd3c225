"""Plain data against dataclasses: every key known, every value of its field's type. Imports no torch."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from trainers.usage import UsageError, unknown

Schema = TypeVar("Schema")
_SEQUENCES = (tuple, list, Sequence)
_MAPPINGS = (dict, Mapping)


def defaults(schema: type) -> dict[str, Any]:
    """A dataclass's defaults as plain data; a field without one is None."""
    return {f.name: plain(_default(f)) for f in dataclasses.fields(schema)}


def meanings(schema: type) -> dict[str, str]:
    """A dataclass's fields with their one-line meanings."""
    return {f.name: f.metadata.get("meaning", "") for f in dataclasses.fields(schema)}


def plain(value: Any) -> Any:
    """Dataclasses as dicts, tuples as lists, all the way down: what YAML and JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value


def check(schema: type[Schema], values: Any, *, path: str, remedy: str = "") -> Schema:
    """Make an instance of a dataclass from plain data.

    Args:
        schema: the dataclass.
        values: its fields by name.
        path: where the data stands in the config, for messages (`"trainer"`).
        remedy: where the options are explained, for a refusal that does not say what would be right.

    Returns:
        The instance.

    Raises:
        UsageError: an unknown key, a missing one, a value of another type, or one that the dataclass itself refuses.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{path}: expected options by name, got {values!r}", f"keys: {', '.join(_names(schema))}")
    hints = get_type_hints(schema)
    fields = {f.name: f for f in dataclasses.fields(schema) if f.init}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise unknown_key(schema, f"{path}.{key}")
    for name, field in fields.items():
        if name not in values and _required(field):
            raise UsageError(f"{path}.{name} is missing", f"it has no default: {field.metadata.get('meaning', name)}")
    arguments = {key: _value(values[key], hints[key], f"{path}.{key}", fields[key]) for key in values}
    try:
        return schema(**arguments)
    except UsageError:
        raise
    except ValueError as error:
        message = str(error)
        where = "" if message.startswith(f"{path}.") else path
        raise UsageError.of(error, where=where, remedy=remedy or f"options: {', '.join(fields)}") from error


def unknown_key(schema: type, path: str) -> UsageError:
    """The error about a key that a dataclass does not have; `path` ends in the key."""
    return unknown("key", path, _names(schema))


def known_path(schema: type, path: Sequence[str], prefix: str) -> bool:
    """Whether a dotted path leads to a field, checked level by level.

    Args:
        schema: the dataclass at the top.
        path: keys below it; what follows a mapping's own key is free.
        prefix: where the dataclass stands in the config, for the message.

    Returns:
        True.

    Raises:
        UsageError: a key that does not exist, with its near matches.
    """
    for depth, key in enumerate(path):
        at = ".".join(filter(None, [prefix, *path[: depth + 1]]))
        if key not in _names(schema):
            raise unknown_key(schema, at)
        hint = get_type_hints(schema)[key]
        nested = next((kind for kind in (hint, *get_args(hint)) if dataclasses.is_dataclass(kind)), None)
        if nested is None:
            mapping = any(get_origin(kind) in _MAPPINGS or kind in _MAPPINGS for kind in (hint, *get_args(hint)))
            if path[depth + 1 :] and not mapping:
                raise UsageError(f"unknown key '{'.'.join(filter(None, [prefix, *path]))}'", f"{at} has no keys below")
            return True
        schema = nested if isinstance(nested, type) else type(nested)
    return True


def _names(schema: type) -> list[str]:
    """Names of the fields."""
    return [f.name for f in dataclasses.fields(schema) if f.init]


def _default(field: dataclasses.Field[Any]) -> Any:
    """A field's default, None if it has none."""
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None


def _required(field: dataclasses.Field[Any]) -> bool:
    """Whether a field has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _value(value: Any, kind: Any, path: str, field: dataclasses.Field[Any]) -> Any:
    """A value as its field's type."""
    try:
        return _convert(value, kind, path)
    except _Mismatch as error:
        meaning = field.metadata.get("meaning", "")
        default = "" if _required(field) else f"default {plain(_default(field))!r}"
        remedy = "; ".join(filter(None, [meaning, default])) or f"give {_word(kind)}"
        raise UsageError(f"{path}: expected {_word(kind)}, got {error.value!r}", remedy) from None


class _Mismatch(Exception):
    """A value that is not of the type wanted."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _convert(value: Any, kind: Any, path: str) -> Any:
    """A value as `kind`, or `_Mismatch`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or isinstance(kind, TypeVar):
        return value
    if origin is Literal:
        if value in arguments:
            return value
        raise _Mismatch(value)
    if origin in (Union, types.UnionType):
        return _convert_union(value, arguments, path)
    if origin in _SEQUENCES or kind in _SEQUENCES:
        if not isinstance(value, list | tuple):
            raise _Mismatch(value)
        item = arguments[0] if arguments else Any
        converted = [_convert(each, item, path) for each in value]
        return converted if (origin or kind) is list else tuple(converted)
    if origin in _MAPPINGS or kind in _MAPPINGS:
        if not isinstance(value, Mapping):
            raise _Mismatch(value)
        item = arguments[1] if len(arguments) == 2 else Any
        return {str(key): _convert(each, item, f"{path}.{key}") for key, each in value.items()}
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else check(kind, value, path=path)  # type: ignore[arg-type]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, bool):
        raise _Mismatch(value)
    if kind is None or kind is types.NoneType:
        if value is None:
            return None
        raise _Mismatch(value)
    if isinstance(kind, type) and isinstance(value, kind):
        return value
    raise _Mismatch(value)


def _convert_union(value: Any, kinds: Sequence[Any], path: str) -> Any:
    """A value as the first of several types that fits, an exact one before a widened one."""
    exact = [kind for kind in kinds if type(value) is kind]
    for kind in (*exact, *kinds):
        try:
            return _convert(value, kind, path)
        except _Mismatch:
            continue
    raise _Mismatch(value)


def _word(kind: Any) -> str:
    """A type in words: `int`, `list of int`, `str or null`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(_word(each) for each in arguments)
    if origin in _SEQUENCES or kind in _SEQUENCES:
        return f"a list of {_word(arguments[0])}, as in [a,b]" if arguments else "a list, as in [a,b]"
    if origin in _MAPPINGS or kind in _MAPPINGS:
        return "a mapping, as in {a:1}"
    if kind in (None, types.NoneType):
        return "null"
    return getattr(kind, "__name__", str(kind))
