"""A cell beside a processor: what goes in and out, and that it remembers for the graph."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from tests.zoo.graphs import random_graphs, random_inputs
from zoo.memory import Sweep
from zoo.memory.graph_memory import GraphMemory
from zoo.processor import Inputs, Latents
from zoo.tokens import tokens
from zoo.topology import DenseTopology

SMALL = {"slots": 4, "word": 3, "controller_size": 5}
CELLS = [name for name in zoo.list_processors() if issubclass(zoo.describe(name).cls, Sweep)]


def cell_of(name: str, **options: Any) -> Any:
    """A small cell."""
    known = zoo.describe(name).config.__dataclass_fields__
    sizes = {key: value for key, value in SMALL.items() if key in known}
    return zoo.create(name, hidden_size=5, **(sizes | options))


def test_a_step_is_the_cells_on_the_pooled_nodes_then_the_processors_with_its_answer() -> None:
    processor = zoo.create("mpnn", hidden_size=6, adjacency="given")
    both = zoo.with_memory(processor, cell_of("lstm", input_size=7))
    graphs = random_graphs([4, 2])
    inputs = random_inputs(graphs.dense, 6)
    hidden, state = both.initial(inputs, graphs.dense)
    hidden = Latents(torch.randn_like(hidden.nodes))
    step = both(inputs, hidden, graphs.dense, state)
    read = both.token(torch.cat([tokens(inputs.encoded, graphs.dense), hidden.nodes], -1))
    pooled = torch.stack([read[0].amax(0), read[1, :2].amax(0)])
    y, memory = both.cell(pooled, both.cell.initial(2, like=pooled))
    nodes = inputs.encoded.nodes + (y @ both.answer.weight.T)[:, None]
    expected = processor(Inputs(inputs.encoded._replace(nodes=nodes)), hidden, graphs.dense, ())
    torch.testing.assert_close(step.hidden.nodes, expected.hidden.nodes)
    torch.testing.assert_close(step.state.memory, memory)


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_goes_beside_a_processor(name: str) -> None:
    both = zoo.with_memory(zoo.create("deep_sets", hidden_size=6), cell_of(name))
    graphs = random_graphs([4, 2])
    dense = random_inputs(graphs.dense, 6)
    found = []
    for inputs, topology in ((dense, graphs.dense), (graphs.inputs(dense), graphs.sparse)):
        hidden, state = both.initial(inputs, topology)
        for _ in range(3):
            step, record = both.record(inputs, hidden, topology, state)
            assert set(record) <= set(both.tracks) and any(track.startswith("memory_") for track in record)
            again = both(inputs, hidden, topology, state)
            torch.testing.assert_close(again.hidden.nodes, step.hidden.nodes)
            hidden, state = step.hidden, step.state
        found.append(hidden.nodes)
    torch.testing.assert_close(graphs.nodes(found[0]), found[1])


def test_it_claims_what_the_processor_claims() -> None:
    processor = zoo.create("pgn", hidden_size=6, pointers=True)
    both = zoo.with_memory(processor, cell_of("ntm"))
    assert isinstance(both, GraphMemory) and not both.memoryless
    for name in ("layouts", "writes", "adjacency", "ordered", "heads", "asks", "compiles", "batch_independent"):
        assert getattr(both, name) == getattr(processor, name), name
    assert zoo.with_memory(zoo.create("lstm"), cell_of("lstm")).ordered


@pytest.mark.parametrize("cell", ["lstm", "ntm"])
def test_memory_alone_carries_a_bit_over_steps(cell: str) -> None:
    """The hidden latents are set to zero after every step, so nothing but the memory can tell what was seen."""
    torch.manual_seed(0)
    both = zoo.with_memory(zoo.create("deep_sets", hidden_size=16, input_size=4), cell_of(cell))
    decoder = torch.nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*both.parameters(), *decoder.parameters()], lr=1e-2)
    topology = DenseTopology(4, 3)
    bits = torch.tensor([0.0, 1, 0, 1])
    shown, blank = torch.zeros(4, 3, 4), torch.zeros(4, 3, 4)
    shown[:, 1, 0] = 2 * bits - 1
    loss: Tensor = torch.tensor(1.0)
    for _ in range(100):
        hidden, state = both.initial(Inputs(Latents(shown)), topology)
        for nodes in (shown, blank, blank):
            step = both(Inputs(Latents(nodes)), Latents(torch.zeros_like(hidden.nodes)), topology, state)
            state = step.state
        told = decoder(step.hidden.nodes)[..., 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(told, bits[:, None].expand_as(told))
        if loss < 0.05:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_memory_keeps_its_precision_under_autocast() -> None:
    both = zoo.with_memory(zoo.create("mpnn", hidden_size=6), cell_of("ntm"))
    graphs = random_graphs([4, 2])
    inputs = random_inputs(graphs.dense, 6)
    with torch.autocast("cpu", torch.bfloat16):
        hidden, state = both.initial(inputs, graphs.dense)
        for _ in range(3):
            step = both(inputs, hidden, graphs.dense, state)
            hidden, state = step.hidden, step.state
    assert hidden.nodes.isfinite().all() and state.memory.memory.dtype is torch.float32


def test_what_is_no_cell_or_reads_nodes_itself_is_refused() -> None:
    processor = zoo.create("mpnn", hidden_size=6)
    with pytest.raises(ValueError, match="MPNN is none"):
        zoo.with_memory(processor, processor)
    with pytest.raises(ValueError, match="every has no meaning"):
        zoo.with_memory(processor, cell_of("lstm", every="start"))
