"""GIN against its equation, and the multisets that sums tell apart."""

from __future__ import annotations

import pytest
import torch

import zoo
from tests.zoo.graph.test_mpnn import affine, layer_norm
from tests.zoo.graphs import random_graphs, random_inputs
from zoo.processor import Inputs, Latents
from zoo.topology import DenseTopology

WIDTH = 4


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("rest", [True, False], ids=["edges and graph", "nodes only"])
@pytest.mark.parametrize("options", [{}, {"aggregation": "max", "learn_epsilon": False, "use_ln": False}], ids=str)
@torch.no_grad()
def test_step_follows_the_equation(options, rest: bool) -> None:
    processor = zoo.create("gin", hidden_size=WIDTH, **options)
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter)
    graphs = random_graphs([5, 3])
    inputs = random_inputs(graphs.dense, WIDTH, edges=rest, graph=rest)
    x, edges, graph = inputs.encoded
    hidden = torch.randn_like(x)
    found = processor(inputs, Latents(hidden), graphs.dense, ()).hidden.nodes
    for g, size in enumerate(graphs.sizes.tolist()):
        u = [affine(processor.from_node, torch.cat([x[g, i], hidden[g, i]])).clamp_min(0) for i in range(size)]
        for i in range(size):
            heard = []
            for j in range(size):
                if j != i and graphs.dense.neighbours()[g, j, i]:
                    heard.append((u[j] + affine(processor.from_edge, edges[g, j, i])).clamp_min(0) if rest else u[j])
            stack = torch.stack(heard) if heard else torch.zeros(1, WIDTH)
            total = stack.sum(0) if processor.config.aggregation == "sum" else stack.amax(0)
            epsilon = processor.epsilon if processor.epsilon is not None else 0.0
            total = total + (1 + epsilon) * u[i]
            if rest:
                total = total + affine(processor.from_graph, graph[g])
            new = affine(processor.mlp[2], affine(processor.mlp[0], total).clamp_min(0)).clamp_min(0)
            if processor.config.use_ln:
                new = layer_norm(new, processor.norm.weight, processor.norm.bias)
            torch.testing.assert_close(found[g, i], new, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("aggregation", "tells"), [("sum", True), ("mean", False), ("max", False)])
def test_only_sums_count_neighbours_that_are_alike(aggregation: str, tells: bool) -> None:
    """A node with two equal neighbours, and one with three."""
    processor = zoo.create("gin", hidden_size=16, aggregation=aggregation, use_ln=False)
    adjacency = torch.eye(4, dtype=torch.bool).repeat(2, 1, 1)
    adjacency[0, 1:3, 0] = adjacency[1, 1:4, 0] = True
    topology = DenseTopology(2, 4, adjacency=adjacency)
    inputs = Inputs(Latents(torch.randn(1, 1, 16).expand(2, 4, 16)))
    centres = processor(inputs, processor.zeros(inputs), topology, ()).hidden.nodes[:, 0]
    assert torch.allclose(*centres, rtol=0, atol=1e-12) != tells
