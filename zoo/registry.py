"""The processors' registry: `register` on the class, `create` by name or preset, `list_processors` by pattern."""

from __future__ import annotations

from typing import Any

from tasks.registry import Entry, Registry, near
from zoo.presets import list_presets, preset
from zoo.processor import Processor

registry: Registry = Registry("processor", "zoo.processors")
register = registry.register


def create(name: str, **options: Any) -> Processor:
    """Make a processor by its registry name, or by that of a preset.

    Args:
        name: any that `zoo list` prints: a registered one, see `list_processors`, or a preset, see `list_presets`.
        **options: fields of the processor's config dataclass; the rest are as the preset has them, or the defaults.

    Returns:
        The processor, a plain `nn.Module`.

    Raises:
        ValueError: unknown name or option, with the near matches.
    """
    architecture, chosen = _resolve(name)
    processor: Processor = registry.create(architecture, **(chosen | options))
    return processor


def list_processors(pattern: str = "*") -> list[str]:
    """Registered names matching a shell-style pattern, sorted; without presets."""
    return registry.names(pattern)


def describe(name: str) -> Entry:
    """What is registered under `name`: class, config dataclass, paper, BibTeX; of a preset, its architecture's."""
    return registry.entry(_resolve(name)[0])


def _resolve(name: str) -> tuple[str, dict[str, Any]]:
    """The registered name behind a name, and the options that come with it."""
    names = registry.names()
    if name in names:
        return name, {}
    known = preset(name)
    if known is None:
        raise ValueError(f"unknown processor {name!r}; {near(name, {*names, *list_presets()})}")
    return known
