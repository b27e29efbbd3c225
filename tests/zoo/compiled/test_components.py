"""Strongly connected components, compiled: right outputs, hints as late as documented, and one network's options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import tasks
from tasks.batch import Batch
from tests.zoo.compiled.exactness import run, wrong
from zoo.compiled import compile_algorithm, plan
from zoo.prediction import Prediction

PARALLEL, SEQUENTIAL = "divide_and_conquer_components", "strongly_connected_components"
NAMES = (PARALLEL, SEQUENTIAL)
RIGHT = {PARALLEL: {"scc_id"}, SEQUENTIAL: {"scc_id", "scc_id_h", "s_last", "A_t"}}
WIDTHS = ("hidden_size", "input_size")


def ran(name: str, **how: Any) -> tuple[Prediction, Batch]:
    """What the compiled network predicts for samples drawn as told."""
    task = tasks.create(name)
    batch = task.sample(**how)
    return run(compile_algorithm(name, task.spec), batch), batch


def matrix(nodes: int, *edges: tuple[int, int]) -> np.ndarray:
    """A directed graph."""
    made = np.zeros((1, nodes, nodes))
    for one, other in edges:
        made[0, one, other] = 1.0
    return made


def graphs() -> dict[str, np.ndarray]:
    """Those at the ends of what a graph may be."""
    ring = [(v, (v + 1) % 9) for v in range(9)]
    return {
        "one node": matrix(1),
        "one node and its loop": matrix(1, (0, 0)),
        "no edges": matrix(6),
        "loops alone": matrix(5, *((v, v) for v in range(5))),
        "ring": matrix(9, *ring),
        "ring the other way": matrix(9, *((b, a) for a, b in ring)),
        "complete": np.ones((1, 7, 7)),
        "all edges upwards": np.triu(np.ones((1, 8, 8)), 1),
        "all edges downwards": np.tril(np.ones((1, 8, 8)), -1),
        "path": matrix(9, *ring[:-1]),
        "two rings and a bridge": matrix(6, (5, 0), (0, 3), (3, 5), (4, 1), (1, 2), (2, 4), (3, 4)),
        "loops on the way": matrix(4, (1, 1), (1, 2), (2, 1), (3, 3), (0, 3)),
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_to_be_right_is_right_on_every_distribution(name: str) -> None:
    for distribution in tasks.create(name).distributions:
        found = wrong(*ran(name, seed=3, batch_size=3, size=[4, 8], distribution=[distribution]))
        assert not any(found[probe] for probe in RIGHT[name]), distribution


@pytest.mark.parametrize(
    "size", [[1, 2, 3, 5, 7], 16, *(pytest.param(size, marks=pytest.mark.slow) for size in (32, 64))]
)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_to_be_right_is_right_at_all_sizes(name: str, size: int | list[int]) -> None:
    found = wrong(*ran(name, seed=4, batch_size=5 if isinstance(size, list) else 1, size=size))
    assert not any(found[probe] for probe in RIGHT[name])


@pytest.mark.slow
@pytest.mark.parametrize("distribution", tasks.create(PARALLEL).distributions)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_to_be_right_is_right_on_large_graphs_of_every_distribution(name: str, distribution: str) -> None:
    for size in (32, 64):
        found = wrong(*ran(name, seed=6, batch_size=1, size=size, distribution=[distribution]))
        assert not any(found[probe] for probe in RIGHT[name]), size


@pytest.mark.parametrize("kind", graphs())
@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_to_be_right_is_right_at_the_ends(name: str, kind: str) -> None:
    task = tasks.create(name)
    batch = task.execute({"A": graphs()[kind]})
    found = wrong(run(compile_algorithm(name, task.spec), batch), batch)
    assert not any(found[probe] for probe in RIGHT[name])


def live(prediction: Prediction, batch: Batch) -> Tensor:
    """Frames of nodes that exist and whose graph has not ended, `[frames, batch, nodes]`."""
    frames = torch.arange(1, int(batch.lengths.max()))[:, None] < batch.lengths
    return frames[..., None] & prediction.topology.node_mask()


@pytest.mark.parametrize("distribution", ["clrs", "path", "erdos_renyi_threshold", "lobster"])
def test_hints_of_a_part_are_of_the_frame_before_where_it_was_just_divided_and_else_of_the_trace(
    distribution: str,
) -> None:
    prediction, batch = ran(PARALLEL, seed=5, batch_size=6, size=[5, 12], distribution=[distribution])
    hints = {name: batch.hints[name].long() for name in prediction.hint_values}
    # A node has another pivot, or is done, if and only if its part was divided.
    divided = (hints["pivot_h"].diff(dim=0) != 0) | (hints["done_h"].diff(dim=0) != 0)
    there = live(prediction, batch)
    assert 0 < int(divided[there].sum()) < int(there.sum())
    assert set(hints) == {probe.name for probe in batch.spec.hints}
    for name, true in hints.items():
        late = torch.where(divided, true[:-1], true[1:])
        assert torch.equal(prediction.hint_values[name].long()[there], late[there]), name


def test_colours_are_those_of_this_frame_or_of_the_one_before() -> None:
    prediction, batch = ran(SEQUENTIAL, seed=5, batch_size=6, size=[5, 12])
    there, true = live(prediction, batch), batch.hints["color"].long()
    color = prediction.hint_values["color"]
    assert bool(((color == true[:-1]) | (color == true[1:]))[there].all())
    assert wrong(prediction, batch)["color"] > 0


def test_both_are_networks_of_the_same_options_but_for_their_widths() -> None:
    one, other = (plan(name) for name in NAMES)
    assert one.processor == other.processor and one.bind == other.bind
    assert one.program.reasoner == other.program.reasoner
    assert one.program.precision == other.program.precision
    assert set(one.options) == set(other.options)
    assert {key for key in one.options if one.options[key] != other.options[key]} <= set(WIDTHS)


@pytest.mark.parametrize("name", NAMES)
def test_without_the_edges_that_run_the_other_way_components_are_wrong(name: str) -> None:
    task = tasks.create(name)
    batch = task.sample(seed=5, batch_size=4, size=12)
    model = compile_algorithm(name, task.spec)
    assert not wrong(run(model, batch), batch)["scc_id"]
    with torch.no_grad():
        model.tasks[name].encoder.linears["adj"].weight[:, 1] = 0.0  # type: ignore[index, union-attr]
    assert wrong(run(model, batch), batch)["scc_id"]
