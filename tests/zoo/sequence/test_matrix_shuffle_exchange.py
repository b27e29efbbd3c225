"""Matrix Shuffle-Exchange against its equations: Z-order by quadrants, switches four by four, wires by digits."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.zoo.graphs import one_graph, random_graphs, random_inputs
from zoo.processor import Inputs, Latents
from zoo.sequence.matrix_shuffle_exchange import QuaternarySwitchUnit, from_z_order, to_z_order
from zoo.topology import DenseTopology

WIDTH = 2


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def quadrants(row: int, column: int, side: int) -> list[tuple[int, int]]:
    """Entries of a square in Z-order."""
    if side == 1:
        return [(row, column)]
    half = side // 2
    corners = [(row, column), (row, column + half), (row + half, column), (row + half, column + half)]
    return [entry for corner in corners for entry in quadrants(*corner, half)]


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_z_order_goes_by_quadrants(bits: int) -> None:
    side = 2**bits
    matrix = torch.arange(side * side).reshape(1, side, side, 1).float()
    assert to_z_order(matrix).flatten().tolist() == [r * side + c for r, c in quadrants(0, 0, side)]
    assert torch.equal(from_z_order(to_z_order(matrix)), matrix)


def switch(unit: QuaternarySwitchUnit, sequence: list[Tensor]) -> list[Tensor]:
    """One switch of one matrix, four by four."""
    fours = [torch.cat(sequence[k : k + 4]) for k in range(0, len(sequence), 4)]
    middle = [unit.expand.weight @ four for four in fours]
    scale = torch.sqrt(sum(m**2 for m in middle) / len(middle) + 1e-6)
    result: list[Tensor] = []
    for four, m in zip(fours, middle, strict=True):
        g = m / scale
        g = g / (1 + torch.exp(-1.702 * g))
        candidate = unit.contract.weight @ g + unit.contract.bias
        out = four / (1 + torch.exp(-unit.residual)) + math.sqrt(1 - 0.9**2) / 4 * candidate
        result += list(out.split(WIDTH))
    return result


def network(processor, matrix: dict[tuple[int, int], Tensor], side: int) -> dict[tuple[int, int], Tensor]:
    """All blocks on one padded matrix."""
    entries = quadrants(0, 0, side)
    digits = side.bit_length() - 1
    names = [tuple(k // 4**d % 4 for d in reversed(range(digits))) for k in range(side * side)]
    sequence = [matrix[entry] for entry in entries]
    for block in processor.blocks:
        for _ in range(digits - 1):
            out = switch(block.forward_switch, sequence)
            sequence = [out[names.index((name[-1], *name[:-1]))] for name in names]
        for _ in range(digits - 1):
            out = switch(block.reverse_switch, sequence)
            sequence = [out[names.index((*name[1:], name[0]))] for name in names]
        sequence = switch(block.last_switch, sequence)
    return dict(zip(entries, sequence, strict=True))


@pytest.mark.parametrize(("nodes", "blocks"), [(1, 1), (2, 2), (3, 1), (6, 2)])
def test_step_follows_the_equations(nodes: int, blocks: int, float64) -> None:
    processor = zoo.create("matrix_shuffle_exchange", hidden_size=WIDTH, blocks=blocks)
    for parameter in processor.parameters():
        nn.init.normal_(parameter)
    sizes = [nodes, max(1, nodes // 2)]
    graphs = random_graphs(sizes)
    inputs = random_inputs(graphs.dense, WIDTH)
    x, edges, graph = inputs.encoded
    hidden = Latents(torch.randn_like(x), torch.randn_like(edges))
    with torch.no_grad():
        found = processor(inputs, hidden, graphs.dense, ()).hidden
        side = max(2, 2 ** (nodes - 1).bit_length())
        for g, size in enumerate(sizes):
            matrix = {entry: torch.zeros(WIDTH) for entry in quadrants(0, 0, side)}
            for i in range(size):
                for j in range(size):
                    matrix[i, j] = edges[g, i, j] + (hidden.edges[g, i, j] if i != j else 0)
                matrix[i, i] = matrix[i, i] + x[g, i] + graph[g] + hidden.nodes[g, i]
            expected = network(processor, matrix, side)
            for i in range(size):
                torch.testing.assert_close(found.nodes[g, i], expected[i, i], rtol=1e-9, atol=1e-10)
                for j in range(size):
                    torch.testing.assert_close(found.edges[g, i, j], expected[i, j], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("nodes", [2, 3, 4, 8])
def test_every_entry_reaches_every_other(nodes: int, monkeypatch: pytest.MonkeyPatch, float64) -> None:
    """By the wiring alone: the normalisation, which mixes a matrix by itself, is taken out."""
    monkeypatch.setattr(QuaternarySwitchUnit, "normalise", lambda unit, x: x)
    processor = zoo.create("matrix_shuffle_exchange", hidden_size=WIDTH, blocks=1)
    for parameter in processor.parameters():
        nn.init.uniform_(parameter, 0.1, 0.9)  # nothing cancels
    topology = DenseTopology(1, nodes)
    for place in ((0, 0), (0, nodes - 1), (nodes - 1, 0), (nodes - 1, nodes - 1)):
        edges = torch.rand(1, nodes, nodes, WIDTH).requires_grad_()
        given = Inputs(Latents(torch.rand(1, nodes, WIDTH), edges))
        step = processor(given, processor.zeros(given), topology, ())
        step.hidden.edges[0][place].sum().backward()
        assert (edges.grad.abs().sum(-1) > 1e-12).all()


def test_nodes_are_the_diagonal() -> None:
    processor = zoo.create("matrix_shuffle_exchange", hidden_size=WIDTH)
    topology = DenseTopology(2, 5)
    inputs = random_inputs(topology, WIDTH)
    hidden = processor(inputs, processor.zeros(inputs), topology, ()).hidden
    for i in range(5):
        assert torch.equal(hidden.nodes[:, i], hidden.edges[:, i, i])


def test_result_depends_on_the_padded_size(float64) -> None:
    """The declared exception is real."""
    processor = zoo.create("matrix_shuffle_exchange", hidden_size=WIDTH)
    assert not processor.batch_independent
    graphs = random_graphs([3, 8])
    inputs = random_inputs(graphs.dense, WIDTH)
    together = processor(inputs, processor.zeros(inputs), graphs.dense, ()).hidden.nodes[0, :3]
    topology, own = one_graph(graphs, inputs, 0, padded=False)
    alone = processor(own, processor.zeros(own), topology, ()).hidden.nodes[0]
    assert (together - alone).abs().max() > 1e-4


@pytest.mark.parametrize("scale", [0.0, 1e6])
def test_extremes_stay_finite(scale: float) -> None:
    processor = zoo.create("matrix_shuffle_exchange", hidden_size=4)
    topology = DenseTopology(1, 4)
    edges = (torch.randn(1, 4, 4, 4) * scale).requires_grad_()
    inputs = Inputs(Latents(torch.zeros(1, 4, 4), edges))
    out = processor(inputs, processor.zeros(inputs), topology, ()).hidden.edges
    out.square().sum().backward()
    assert out.isfinite().all() and edges.grad.isfinite().all()


def test_switch_starts_as_a_scaled_residual() -> None:
    unit = QuaternarySwitchUnit(8)
    torch.testing.assert_close(torch.sigmoid(unit.residual), torch.full((32,), 0.9))
    sequence = torch.randn(4, 64, 8)
    assert 0.8 < unit(sequence).std() / sequence.std() < 1.2


def test_parameters_are_counted_by_hand() -> None:
    """A switch of width m has 64 m² weights, 4 m biases and 4 m residual scales; a block has three."""
    count = sum(p.numel() for p in zoo.create("matrix_shuffle_exchange", hidden_size=96).parameters())
    assert count == 2 * 3 * (64 * 96**2 + 8 * 96)


def test_it_learns_to_transpose() -> None:
    torch.manual_seed(0)
    processor = zoo.create("matrix_shuffle_exchange", hidden_size=12, blocks=1)
    embed, decode = nn.Embedding(2, 12), nn.Linear(12, 2)
    modules = nn.ModuleList([processor, embed, decode])
    optimizer = torch.optim.Adam(modules.parameters(), lr=1e-2)

    def run(batch: int) -> tuple[Tensor, Tensor]:
        given = torch.randint(2, (batch, 4, 4))
        inputs = Inputs(Latents(torch.zeros(batch, 4, 12), embed(given)))
        step = processor(inputs, processor.zeros(inputs), DenseTopology(batch, 4), ())
        return decode(step.hidden.edges), given.transpose(1, 2)

    for _ in range(150):
        logits, target = run(16)
        loss = nn.functional.cross_entropy(logits.flatten(0, 2), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        logits, target = run(128)
    assert (logits.argmax(-1) == target).float().mean() > 0.95


def test_no_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="blocks must be at least 1"):
        zoo.create("matrix_shuffle_exchange", blocks=0)
