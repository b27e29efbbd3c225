"""The processors' registry: `register` on the class, `create` by name, `list_processors` by pattern."""

from __future__ import annotations

from typing import Any

from tasks.registry import Entry, Registry
from zoo.processor import Processor

registry: Registry = Registry("processor", "zoo.processors")
register = registry.register


def create(name: str, **options: Any) -> Processor:
    """Make a processor by its registry name.

    Args:
        name: a registered name, see `list_processors`.
        **options: fields of the processor's config dataclass; the rest keep their defaults.

    Returns:
        The processor, a plain `nn.Module`.

    Raises:
        ValueError: unknown name or option, with the near matches.
    """
    processor: Processor = registry.create(name, **options)
    return processor


def list_processors(pattern: str = "*") -> list[str]:
    """Registered names matching a shell-style pattern, sorted."""
    return registry.names(pattern)


def describe(name: str) -> Entry:
    """What is registered under `name`: class, config dataclass, paper, BibTeX."""
    return registry.entry(name)
