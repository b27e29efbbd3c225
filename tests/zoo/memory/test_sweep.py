"""Cells as processors: what they read of a graph, in which order, and what they keep."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.memory import NTM, Sweep
from zoo.processor import Inputs, Latents, Processor

NAMES = ["ntm", "dnc", "lstm"]
SIZES: dict[str, dict[str, Any]] = {
    "ntm": {"controller_size": 7, "slots": 6, "word": 3},
    "dnc": {"controller_size": 7, "slots": 6, "word": 3, "read_heads": 2},
    "lstm": {},
}


def make(name: str, **options: Any) -> Processor:
    return zoo.create(name, **{"hidden_size": 8} | SIZES[name] | options).double()


def graphs(batch: int = 3, nodes: int = 5, width: int = 8) -> Latents:
    def draw(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, width, dtype=torch.float64)

    return Latents(draw(nodes), draw(nodes, nodes), draw())


def run(processor: Processor, latents: Latents, topology: zoo.Topology, steps: int = 2) -> list[Tensor]:
    """Hidden nodes after each step."""
    inputs = Inputs(latents)
    hidden, state = processor.initial(inputs, topology)
    nodes = []
    for _ in range(steps):
        step = processor(inputs, hidden, topology, state)
        hidden, state = step.hidden, step.state
        nodes.append(hidden.nodes)
    return nodes


@pytest.mark.parametrize("every", ["step", "start"])
@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_probe_and_every_step_changes_the_result(name: str, every: str) -> None:
    processor, latents, topology = make(name, every=every), graphs(), zoo.DenseTopology(3, 5)
    reference = run(processor, latents, topology)
    assert not torch.allclose(*reference)
    for kind in ("nodes", "edges", "graph"):
        changed = latents._replace(**{kind: torch.randn_like(getattr(latents, kind))})
        assert not torch.allclose(run(processor, changed, topology)[0], reference[0]), kind


@pytest.mark.parametrize("name", NAMES)
def test_a_node_sees_those_before_it_only_in_the_first_step(name: str) -> None:
    processor, topology = make(name), zoo.DenseTopology(3, 5)
    latents = Latents(graphs().nodes)
    changed = Latents(latents.nodes.clone())
    changed.nodes[:, 2] += 1
    before, after = run(processor, latents, topology), run(processor, changed, topology)
    torch.testing.assert_close(before[0][:, :2], after[0][:, :2], rtol=0, atol=0)
    assert not torch.allclose(before[0][:, 2:], after[0][:, 2:])
    assert not torch.allclose(before[1][:, :2], after[1][:, :2])


@pytest.mark.parametrize("name", NAMES)
def test_one_step_on_a_sequence_is_the_cells_scan(name: str) -> None:
    processor = make(name)
    assert isinstance(processor, Sweep)
    xs = graphs().nodes
    expected, _ = processor.cell.scan(xs, processor.cell.initial(3, like=xs))
    torch.testing.assert_close(run(processor, Latents(xs), zoo.DenseTopology(3, 5))[0], expected)


@pytest.mark.parametrize("every", ["step", "start"])
@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_nothing(name: str, every: str) -> None:
    processor, latents = make(name, every=every), graphs()
    sizes = torch.tensor([5, 2, 3])
    padded = run(processor, latents, zoo.DenseTopology(3, 5, sizes=sizes))
    for sample, size in enumerate(sizes.tolist()):
        alone = Latents(
            latents.nodes[sample : sample + 1, :size],
            latents.edges[sample : sample + 1, :size, :size],  # type: ignore[index]
            latents.graph[sample : sample + 1],  # type: ignore[index]
        )
        for with_padding, without in zip(padded, run(processor, alone, zoo.DenseTopology(1, size)), strict=True):
            torch.testing.assert_close(with_padding[sample, :size], without[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("every", ["step", "start"])
@pytest.mark.parametrize("name", NAMES)
def test_sparse_equals_dense(name: str, every: str) -> None:
    processor, latents = make(name, every=every), graphs(2, 4)
    adjacency = torch.rand(2, 4, 4) < 0.5
    adjacency = adjacency | adjacency.mT | torch.eye(4, dtype=torch.bool)
    dense = run(processor, latents, zoo.DenseTopology(2, 4, adjacency=adjacency))
    graph, receiver, sender = adjacency.mT.nonzero().unbind(1)
    sparse_topology = zoo.SparseTopology.from_edge_index(
        torch.stack([sender + 4 * graph, receiver + 4 * graph]), sizes=torch.tensor([4, 4])
    )
    sparse_latents = Latents(
        latents.nodes.flatten(0, 1),
        latents.edges[graph, sender, receiver],  # type: ignore[index]
        latents.graph,
    )
    for one, other in zip(dense, run(processor, sparse_latents, sparse_topology), strict=True):
        torch.testing.assert_close(one.flatten(0, 1), other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["ntm", "dnc"])
def test_concat_hidden_is_controller_and_reads_without_parameters_of_its_own(name: str) -> None:
    processor = make(name, input_size=4, output="concat", tokens="inputs")
    reads = SIZES[name].get("read_heads", 1)
    assert processor.hidden_size == 7 + 3 * reads
    assert {key.split(".")[0] for key, _ in processor.named_parameters()} == {"cell"}
    assert not [key for key, _ in processor.named_parameters() if "output" in key]
    nodes = run(processor, graphs(width=4)._replace(edges=None, graph=None), zoo.DenseTopology(3, 5), steps=1)[0]
    assert nodes.shape == (3, 5, processor.hidden_size)


def test_ntm_for_copy_has_the_parameters_of_the_papers_modules() -> None:
    processor = zoo.create("ntm", input_size=9, output="concat", tokens="inputs")
    lstm = 4 * 100 * (9 + 20 + 100 + 1)
    read_head, write_head = 20 + 3 + 3, 3 * 20 + 3 + 3
    heads = (read_head + write_head) * (100 + 1)
    learned_start = 2 * 100 + 20 + 2 * 128
    assert sum(p.numel() for p in processor.parameters()) == lstm + heads + learned_start


def test_tokens_inputs_leaves_hidden_out() -> None:
    topology, latents = zoo.DenseTopology(3, 5), graphs()
    for tokens, differs in (("full", True), ("inputs", False)):
        processor = make("lstm", tokens=tokens)
        inputs = Inputs(latents)
        hidden, state = processor.initial(inputs, topology)
        other = Latents(torch.randn_like(hidden.nodes))
        first = processor(inputs, hidden, topology, state).hidden.nodes
        second = processor(inputs, other, topology, state).hidden.nodes
        assert torch.allclose(first, second) != differs


@pytest.mark.parametrize("name", NAMES)
def test_autocast_leaves_the_cell_in_its_own_precision(name: str) -> None:
    processor, latents = make(name).float(), graphs()
    latents = Latents(*(part.float() for part in latents))  # type: ignore[union-attr]
    topology = zoo.DenseTopology(3, 5)
    expected = run(processor, latents, topology)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for one, other in zip(run(processor, latents, topology), expected, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ntm", {"tokens": "all"}, "tokens"),
        ("ntm", {"every": "stop"}, "did you mean step"),
        ("ntm", {"controller": "gru"}, "lstm"),
        ("ntm", {"shifts": 3, "slots": 6}, "shifts must be from 0 to 2"),
        ("ntm", {"write_heads": 0}, "write_heads"),
        ("dnc", {"clip": -1.0}, "clip must be positive"),
        ("dnc", {"strengths": "relu"}, "oneplus"),
        ("lstm", {"layers": 0}, "layers"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_right(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        zoo.create(name, **options)


@pytest.mark.parametrize("name", NAMES)
def test_each_cell_learns_to_recall_the_first_token(name: str) -> None:
    """`101 ... 0` -> the first bit, after two blanks: impossible without memory."""
    processor = make(name, hidden_size=16)
    decoder = torch.nn.Linear(16, 1).double()
    encoder = torch.nn.Linear(1, 16).double()
    optimizer = torch.optim.Adam([*processor.parameters(), *encoder.parameters(), *decoder.parameters()], lr=1e-2)
    bits = torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(4)
    xs = torch.zeros(8, 3, 1, dtype=torch.float64)
    xs[:, 0, 0] = 2 * bits - 1
    loss = torch.tensor(1.0)
    for _ in range(100):
        nodes = run(processor, Latents(encoder(xs)), zoo.DenseTopology(8, 3), steps=1)[0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(decoder(nodes[:, -1])[:, 0], bits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def test_ntm_is_a_processor_like_any_other() -> None:
    assert isinstance(zoo.create("ntm"), NTM)
    entry = zoo.describe("ntm")
    assert entry.year == 2014 and "Graves" in entry.bibtex
