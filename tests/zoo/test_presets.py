"""Presets: every name that `zoo list` prints makes a processor, with the options of its file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

import zoo
from tests.zoo.graphs import random_graphs, random_inputs
from trainers.config import compose
from trainers.config_groups import choices, file_values
from zoo.processor import config_options

PRESETS = zoo.list_presets()
FOLDER = Path(__file__).resolve().parent.parent.parent / "configs" / "processor"


def test_listed_names_are_architectures_and_presets() -> None:
    assert sorted({*zoo.list_processors(), *PRESETS}) == choices("processor")
    assert not set(PRESETS) & set(zoo.list_processors())


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_its_file(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text("utf-8")
    architecture, options = PRESETS[name]
    assert text.startswith("# ") and options
    assert architecture in zoo.list_processors() and zoo.describe(name) is zoo.describe(architecture)
    known = config_options(zoo.describe(name).config)
    for key, value in options.items():
        assert value != known[key][0], f"{key} is the default"
    # As a run reads the file, types included: YAML's 1e-3 without a point is a word to one reader, a number to another.
    read = file_values("processor", name)
    assert options == {key: value for key, value in read.items() if key != "name"}
    assert yaml.safe_load(text)["name"] == architecture


@pytest.mark.parametrize("name", PRESETS)
def test_preset_makes_a_processor_that_steps(name: str) -> None:
    processor = zoo.create(name, hidden_size=16)
    assert processor.config == dataclasses.replace(
        zoo.describe(name).config(), **(PRESETS[name].options | {"hidden_size": 16})
    )
    graphs = random_graphs([4, 2])
    dense = random_inputs(graphs.dense, processor.input_size)
    for layout in sorted(processor.layouts):
        topology = getattr(graphs, layout)
        inputs = dense if layout == "dense" else graphs.inputs(dense)
        hidden, state = processor.initial(inputs, topology)
        step = processor(inputs, hidden, topology, state)
        assert step.hidden.nodes.isfinite().all()


def test_options_go_over_those_of_the_preset() -> None:
    assert zoo.create("gmpnn").config.gated
    assert not zoo.create("gmpnn", gated=False).config.gated


def test_run_takes_a_preset_by_name() -> None:
    config = compose(["processor=pgn.velickovic2022", "processor.gated=true"])
    assert config.processor.name == "pgn"
    assert (config.processor.options.message_layers, config.processor.options.gated) == (2, True)


@pytest.mark.parametrize("name", ["gmpn", "pgn.velickovic2020", "../processor/gmpnn", ""])
def test_unknown_names_are_refused_with_presets_among_the_choices(name: str) -> None:
    with pytest.raises(ValueError, match=r"unknown processor .*choices: .*gmpnn"):
        zoo.create(name)
