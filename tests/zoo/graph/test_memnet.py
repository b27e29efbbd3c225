"""MemNet against its equations sentence by sentence, its memory, and what it learns."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from tests.zoo.graphs import random_graphs, random_inputs
from zoo.edges import FoldedEdges, materialise
from zoo.graph.memnet import position_encoding
from zoo.processor import Inputs

WIDTH = 4


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make(**options: Any) -> Any:
    processor = zoo.create("memnet", **{"hidden_size": WIDTH, "embedding_size": 3, "slots": 4} | options)
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter, std=0.8)
    return processor


def words(embedding: Tensor, x: Tensor) -> Tensor:
    """A sentence of channels: position encoding and count of each word times its embedding, in sum."""
    size, channels = embedding.shape
    total = torch.zeros(size)
    for c in range(channels):
        for k in range(size):
            l = 1 + 4 * (k + 1 - size / 2) * (c + 1 - channels / 2) / (size * channels)  # noqa: E741
            total[k] += l * x[c] * embedding[k, c]
    return total


def slow(processor: Any, question: Tensor, sentences: list[Tensor | None]) -> Tensor:
    """One question to one memory; None is an empty slot."""
    u = words(processor.question, question)
    for hop in range(processor.config.hops):
        scores, outputs = [], []
        for j, sentence in enumerate(sentences):
            m = words(processor.sentence, sentence) if sentence is not None else torch.zeros(3)
            outputs.append(words(processor.answer, sentence) if sentence is not None else torch.zeros(3))
            if j < processor.config.slots:
                m = m + processor.place[j]
            scores.append(math.exp(sum(u[k] * m[k] for k in range(3))))
        o = sum(score / sum(scores) * output for score, output in zip(scores, outputs, strict=True))
        if hop + 1 < processor.config.hops:
            u = processor.between.weight @ (u + o)
    return processor.out.weight @ (processor.widen.weight @ (u + o)).clamp_min(0)


@pytest.mark.parametrize("rest", [True, False], ids=["with edges", "nodes only"])
@pytest.mark.parametrize("adjacency", ["given", "full"])
@pytest.mark.parametrize("hops", [1, 3])
def test_step_follows_the_equations(hops: int, adjacency: str, rest: bool) -> None:
    processor = make(hops=hops, adjacency=adjacency)
    graphs = random_graphs([6, 1, 3])
    inputs = random_inputs(graphs.dense, WIDTH, edges=rest, graph=rest)
    x, graph = inputs.encoded.nodes, inputs.encoded.graph
    edges: Any = inputs.encoded.edges
    with torch.no_grad():
        found = processor(inputs, processor.zeros(inputs), graphs.dense, ()).hidden.nodes
        for g, size in enumerate(graphs.sizes.tolist()):
            exists = graphs.dense.neighbours()[g] if adjacency == "given" else torch.ones(6, 6, dtype=torch.bool)
            for i in range(size):
                memory: list[Tensor | None] = [None] * max(4, size)
                for j in range(size):
                    if edges is not None and exists[i, j]:
                        memory[j] = edges[g, i, j]
                expected = slow(processor, x[g, i], memory)
                if graph is not None:
                    expected = expected + slow(processor, graph[g], [None] * 4)
                torch.testing.assert_close(found[g, i], expected, rtol=0, atol=1e-10)


def test_folded_edges_are_those_they_stand_for() -> None:
    processor = make(hops=2)
    graphs = random_graphs([4, 3])
    inputs = random_inputs(graphs.dense, WIDTH)
    folded = FoldedEdges(torch.randn(2, 4, 4, 2), torch.randn(WIDTH, 2).requires_grad_(), torch.randn(WIDTH))
    results = []
    for edges in (folded, materialise(folded)):
        own = Inputs(inputs.encoded._replace(edges=edges))
        hidden = processor(own, processor.zeros(own), graphs.dense, ()).hidden.nodes
        wanted = [folded.weight, processor.sentence, processor.answer]
        results.append([hidden, *torch.autograd.grad(hidden[..., 0].sum(), wanted)])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_hidden_is_not_read() -> None:
    processor = make()
    graphs = random_graphs([4])
    inputs = random_inputs(graphs.dense, WIDTH)
    zeros = processor.zeros(inputs)
    noise = zeros._replace(nodes=torch.randn_like(zeros.nodes))
    first, second = (processor(inputs, hidden, graphs.dense, ()).hidden.nodes for hidden in (zeros, noise))
    assert torch.equal(first, second)


def test_without_places_the_order_of_the_nodes_is_nothing() -> None:
    processor = make(slots=8)
    graphs = random_graphs([5])
    inputs = random_inputs(graphs.dense, WIDTH)
    order = torch.tensor([3, 0, 4, 1, 2])
    edges: Any = inputs.encoded.edges
    moved = Inputs(inputs.encoded._replace(nodes=inputs.encoded.nodes[:, order], edges=edges[:, order][:, :, order]))
    topology = zoo.DenseTopology(1, 5, adjacency=graphs.dense.neighbours()[:, order][:, :, order])
    for flat in (False, True):
        if flat:
            with torch.no_grad():
                processor.place.zero_()
        expected = processor(inputs, processor.zeros(inputs), graphs.dense, ()).hidden.nodes[:, order]
        found = processor(moved, processor.zeros(moved), topology, ()).hidden.nodes
        assert torch.allclose(found, expected, rtol=0, atol=1e-10) == flat


@pytest.mark.parametrize("size", [0.0, 1e4])
def test_large_features_and_none_keep_everything_finite(size: float) -> None:
    processor = make(hops=3).float()
    graphs = random_graphs([4, 2])
    inputs = random_inputs(graphs.dense, WIDTH)
    scaled = Inputs(type(inputs.encoded)(*(part.float() * size for part in inputs.encoded)))  # type: ignore[union-attr]
    hidden = processor(scaled, processor.zeros(scaled), graphs.dense, ()).hidden.nodes
    hidden.sum().backward()
    assert hidden.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in processor.parameters())


def test_position_encoding_is_one_in_the_middle() -> None:
    encoding = position_encoding(4, 6)
    assert (encoding[1] == 1).all() and (encoding[:, 2] == 1).all()
    assert encoding.amin() >= 0 and encoding.amax() <= 2


def test_size_is_that_of_the_benchmark_and_its_nil_words() -> None:
    """There a table has a word less than channels, and a row of zeros for it."""
    count = sum(p.numel() for p in zoo.create("memnet").parameters())
    assert count - 3 * 16 == 3 * 127 * 16 + 128 * 16 + 16 * 128 + 128 * 128


def test_it_learns_what_the_marked_edge_carries() -> None:
    """Each node's answer is a feature of the only edge that bears its mark."""
    torch.manual_seed(0)
    processor = zoo.create("memnet", hidden_size=8, input_size=3, slots=4)
    decoder = torch.nn.Linear(8, 1)
    which, carried = torch.randint(4, (64, 4)), torch.randn(64, 4, 4)
    edges = torch.stack([torch.nn.functional.one_hot(which, 4).double(), carried, torch.ones_like(carried)], -1)
    target = carried.gather(2, which[..., None])
    inputs = Inputs(zoo.processor.Latents(torch.ones(64, 4, 3), edges))
    optimizer = torch.optim.Adam([*processor.parameters(), *decoder.parameters()], lr=2e-2)
    topology = zoo.DenseTopology(64, 4)
    loss = torch.tensor(1.0)
    for _ in range(300):
        hidden = processor(inputs, processor.zeros(inputs), topology, ()).hidden.nodes
        loss = (decoder(hidden) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.02:
            break
    assert loss < 0.1


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="hops must be at least 1"):
        zoo.create("memnet", hops=0)
    with pytest.raises(ValueError, match="did you mean full"):
        zoo.create("memnet", adjacency="ful")
