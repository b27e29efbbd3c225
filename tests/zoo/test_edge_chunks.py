"""Messages and scores of a sparse batch in chunks are those of ordinary operators."""

from __future__ import annotations

import pytest
import torch

from zoo.topology import SparseTopology, Topology, edge_chunks

HIDDEN, CHANNELS = 5, 2


@pytest.fixture
def topology() -> SparseTopology:
    """Two graphs and a lone node; some slots hold no edge, and one node has none at all."""
    edge_index = torch.tensor([[0, 1, 1, 3, 5, 6], [1, 2, 3, 0, 6, 7]])
    topology = SparseTopology.from_edge_index(edge_index, [4, 1, 4]).with_edges(
        torch.tensor([1, 1, 2, 3, 0, 0, 1, 1, 2])
    )
    return topology._masked(topology.neighbours() & (topology.edge_index[1] != 2))


@pytest.fixture
def inputs(topology: SparseTopology) -> tuple:
    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, dtype=torch.float64)

    nodes = topology.num_nodes
    edges = (draw(topology.num_edges, CHANNELS), draw(HIDDEN, CHANNELS))
    return draw(nodes, HIDDEN), draw(nodes, HIDDEN), edges, [draw(HIDDEN, HIDDEN), draw(HIDDEN)] * 2, draw(HIDDEN)


@pytest.mark.parametrize("chunk", [1, 3 * HIDDEN, 7 * HIDDEN + 1, 10**6])
@pytest.mark.parametrize("layers", [0, 2, 4])
@pytest.mark.parametrize("with_edges", [True, False])
@pytest.mark.parametrize("reduce", ["max", "min", "sum", "mean"])
def test_messages_in_chunks(
    topology: SparseTopology, inputs: tuple, reduce, with_edges, layers, chunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_chunks, "CHUNK", chunk)
    senders, receivers, edges, stack, _ = inputs
    given = (senders, receivers, edges if with_edges else None, stack[:layers], reduce)
    before = [value.clone() for value in (senders, receivers, *edges)]
    expected = Topology.reduce_messages(topology, *given)
    torch.testing.assert_close(topology.reduce_messages(*given), expected, rtol=1e-12, atol=1e-12)
    assert not expected[2].any()
    assert all(torch.equal(old, new) for old, new in zip(before, (senders, receivers, *edges), strict=True))


@pytest.mark.parametrize("chunk", [1, 3 * HIDDEN, 10**6])
@pytest.mark.parametrize("with_edges", [True, False])
def test_scores_in_chunks(
    topology: SparseTopology, inputs: tuple, with_edges, chunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_chunks, "CHUNK", chunk)
    senders, receivers, edges, _, out = inputs
    given = (senders, receivers, edges if with_edges else None, out)
    expected = Topology.score_pairs(topology, *given)
    torch.testing.assert_close(topology.score_pairs(*given), expected, rtol=1e-12, atol=1e-12)


def test_gradients_take_the_plain_way(topology: SparseTopology, inputs: tuple) -> None:
    senders, receivers, edges, stack, out = inputs
    assert edge_chunks.in_chunks(senders, receivers)
    senders.requires_grad_()
    assert not edge_chunks.in_chunks(receivers, senders)
    sums = topology.reduce_messages(senders, receivers, edges, stack, "max").sum()
    sums = sums + topology.score_pairs(senders, receivers, edges, out).sum()
    (gradient,) = torch.autograd.grad(sums, [senders])
    assert gradient.any()
    with torch.no_grad():
        assert edge_chunks.in_chunks(receivers, senders)
