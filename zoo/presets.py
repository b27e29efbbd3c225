"""Published variants by name: a YAML file of `configs/processor` whose `name` is that of another architecture.

`zoo list` prints them beside the architectures. A preset is a name and options; what the options mean, the architecture
that it is of says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent.parent / "configs" / "processor"


class Preset(NamedTuple):
    """A name for an architecture with some of its options set.

    Attributes:
        architecture: its registered name.
        options: those of its config that differ from the defaults.
    """

    architecture: str
    options: dict[str, Any]


def preset(name: str) -> Preset | None:
    """The preset of a name, or None where there is none."""
    path = FOLDER / f"{name}.yaml"
    if path.parent != FOLDER or not path.is_file():
        return None
    import yaml  # here, so that `import zoo` does not load it

    options = yaml.safe_load(path.read_text("utf-8")) or {}
    architecture = options.pop("name", name)
    return None if architecture == name else Preset(architecture, options)


def list_presets() -> dict[str, Preset]:
    """All presets by name, sorted."""
    found = {path.stem: preset(path.stem) for path in sorted(FOLDER.glob("*.yaml"))}
    return {name: one for name, one in found.items() if one is not None}
