"""What each group of a config offers: the YAML files of `configs/GROUP/`, and what is registered besides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import configs
from tasks.registry import Entry
from trainers import memory_group
from trainers.run_config import LoggerConfig
from trainers.trainer_config import TrainerConfig
from trainers.usage import unknown

FOLDER = Path(configs.__file__).parent


def choices(group: str) -> list[str]:
    """Names that a group offers: its YAML files, and what is registered."""
    files = {path.stem for path in (FOLDER / group).glob("*.yaml")}
    return sorted(files | set(registered(group)))


def registry_name(group: str, choice: str) -> str:
    """The registry name behind a choice: a YAML file may be a variant of what it names."""
    return str(file_values(group, choice).get("name", choice))


def file_values(group: str, choice: str) -> dict[str, Any]:
    """What a choice's YAML file holds; nothing if it has none."""
    path = FOLDER / group / f"{choice}.yaml"
    return read_yaml(path) if path.exists() else {}


def registered(group: str) -> list[str]:
    """Registered names of a group; none where it has no registry."""
    if group == "processor":
        import zoo

        return zoo.list_processors()
    if group == "memory":
        return memory_group.names()
    if group == "task":
        import tasks

        return tasks.list_tasks()
    return []


def entry_of(group: str, name: str) -> Entry:
    """What is registered under a name.

    Raises:
        UsageError: nothing is.
    """
    if group == "memory":
        return memory_group.entry(name)
    names = registered(group)
    if name not in names:
        raise unknown(group, str(name), names)
    if group == "processor":
        import zoo

        return zoo.describe(name)
    import tasks

    return tasks.describe(name)


def schema_of(group: str) -> type:
    """The dataclass of a group that has but one."""
    if group == "reasoner":
        from zoo.codec import ReasonerConfig

        return ReasonerConfig
    return TrainerConfig if group == "trainer" else LoggerConfig


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file of options by name; floats such as 1e-3 are read as floats."""
    values = _plain(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected options by name, got {values!r}")
    return {str(key): value for key, value in values.items()}


def read_list(path: Path) -> list[Any]:
    """A YAML file that is a list; floats such as 1e-3 are read as floats."""
    values = _plain(path)
    if not isinstance(values, list):
        raise ValueError(f"{path}: expected a list, got {values!r}")
    return values


def _plain(path: Path) -> Any:
    """A YAML file as plain data."""
    from omegaconf import OmegaConf

    return OmegaConf.to_container(OmegaConf.load(path))
