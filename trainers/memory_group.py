"""The group `memory`: cells that may stand beside a processor, and what is made of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainers import schema
from trainers.run_config import Config, MemoryChoice
from trainers.usage import UsageError, unknown

if TYPE_CHECKING:
    from tasks.registry import Entry
    from zoo.processor import Processor

NONE = "none"


def names() -> list[str]:
    """Registered cells, and presets of them."""
    import zoo
    from zoo.memory import Sweep

    known = [*zoo.list_processors(), *zoo.list_presets()]
    return [name for name in known if issubclass(zoo.describe(name).cls, Sweep)]


def entry(name: str) -> Entry:
    """What is registered under a cell's name."""
    import zoo

    if name not in names():
        raise unknown("memory", name, [NONE, *names()])
    return zoo.describe(name)


def check(node: Mapping[str, Any]) -> MemoryChoice:
    """The choice that a `memory` node stands for."""
    options = dict(node)
    name = options.pop("name", None)
    if name is None:
        if options:
            raise UsageError(f"memory.{min(options)} is of no cell", "choose one: memory=ntm memory.slots=16")
        return MemoryChoice()
    remedy = f"`zoo show processor {name}` explains its options"
    config: Any = schema.check(entry(name).config, options, path="memory", remedy=remedy)
    return MemoryChoice(name=name, options=config)


def followed(asked: Mapping[str, str], nodes: Mapping[str, Mapping[str, Any]], file: Mapping[str, Any]) -> str | None:
    """The width of a cell that nobody gave a width: the processor's; None where it has one, or there is no cell."""
    if nodes["memory"]["name"] is None or "memory.hidden_size" in asked or "hidden_size" in file:
        return None
    return asked.get("processor.hidden_size", str(nodes["processor"]["hidden_size"]))


def put_beside(processor: Processor, config: Config) -> Processor:
    """The processor, with the memory that the config asks for.

    Raises:
        ValueError: the cell's options have no meaning there.
    """
    import zoo

    if config.memory.name is None:
        return processor
    return zoo.with_memory(processor, entry(config.memory.name).cls(config.memory.options))
