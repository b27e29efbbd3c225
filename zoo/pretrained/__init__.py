"""Weights that passed a published row: `load_pretrained("ntm.graves2014-copy")`.

A file is named after its row. `NAME.safetensors` holds the tensors and, as metadata, everything that the model is
built from and the scores that it had; `NAME.md` is its card.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tasks.registry import near
from tasks.spec import Spec
from zoo.codec import ReasonerConfig
from zoo.memory.graph_memory import with_memory
from zoo.reasoner import Reasoner
from zoo.registry import create

FOLDER = Path(__file__).parent
KEY = "run"
"""Under which a file's metadata hold its card as JSON."""


def list_pretrained() -> list[str]:
    """Names of the shipped weights, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def load_pretrained(name: str, *, device: torch.device | str = "cpu") -> Reasoner:
    """A trained model as it was scored.

    Args:
        name: of a baseline whose weights are shipped, see `list_pretrained`.
        device: where it goes.

    Returns:
        The model in evaluation mode; `model.processor` is the trained processor alone. A model in double precision runs
        where torch's default dtype is float64, too.

    Raises:
        ValueError: no weights of that name; the near matches are told.
    """
    from safetensors.torch import load_file

    card = about(name)
    specs = [Spec.from_dict(task["name"], task["probes"]) for task in card["tasks"]]
    processor = create(card["processor"]["name"], **_options(card["processor"]["options"]))
    if "memory" in card:
        processor = with_memory(processor, create(card["memory"]["name"], **_options(card["memory"]["options"])))
    model = Reasoner(specs, processor, config=ReasonerConfig(**_options(card["reasoner"])), bind=card["bind"])
    if card.get("precision") == "float64":
        model.double()
    model.load_state_dict(load_file(path_of(name)))
    return model.to(device).eval()


def about(name: str) -> dict[str, Any]:
    """What is known of shipped weights.

    Returns:
        `baseline`, `arm`, `seed`, `commit`, `processor` and `tasks` with their options, `reasoner`, `bind`, and
        `scores`, the cells of its evaluation.

    Raises:
        ValueError: no weights of that name.
    """
    from safetensors import safe_open

    with safe_open(path_of(name), framework="pt") as file:
        return dict(json.loads(file.metadata()[KEY]))


def path_of(name: str) -> Path:
    """The file of shipped weights.

    Raises:
        ValueError: there is none.
    """
    if name not in list_pretrained():
        raise ValueError(f"unknown pretrained weights {name!r}; {near(name, list_pretrained())}")
    return FOLDER / f"{name}.safetensors"


def _options(values: dict[str, Any]) -> dict[str, Any]:
    """Options read from JSON, whose lists stand for tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
