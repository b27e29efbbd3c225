"""GAT and GATv2 against their equations, and what tells the two apart."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import zoo
from tests.zoo.graph.test_mpnn import affine, layer_norm
from tests.zoo.graphs import random_graphs, random_inputs
from zoo.processor import Inputs, Latents
from zoo.topology import DenseTopology

WIDTH = 6
each = pytest.mark.parametrize("name", ["gat", "gatv2"])


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.01 * x)


def reference(
    processor, name: str, adjacency: Tensor, x: Tensor, edges: Tensor | None, graph: Tensor | None, h: Tensor
):
    """One graph, an entry at a time; `adjacency[j, i]` is whether j sends to i."""
    heads, scores = processor.config.heads, processor.scores
    size = WIDTH // heads
    z = torch.cat([x, h], 1)
    new = torch.zeros(len(x), WIDTH)
    for i in range(len(x)):
        senders = [j for j in range(len(x)) if adjacency[j, i]]
        for k in range(heads):
            part = slice(k * size, (k + 1) * size)
            logits = []
            for j in senders:
                score = affine(scores.from_sender, z[j]) + affine(scores.from_receiver, z[i])
                if edges is not None:
                    score = score + affine(scores.from_edge, edges[j, i])
                if graph is not None:
                    score = score + affine(scores.from_graph, graph)
                logits.append(leaky(score)[k] if name == "gat" else processor.attention[k] @ leaky(score)[part])
            shares = [math.exp(float(logit) - max(map(float, logits))) for logit in logits]
            for j, share in zip(senders, shares, strict=True):
                new[i, part] += share / sum(shares) * affine(processor.values, z[j])[part]
        if processor.skip is not None:
            new[i] += affine(processor.skip, z[i])
        new[i] = new[i].clamp_min(0)
        if processor.config.use_ln:
            new[i] = layer_norm(new[i].clone(), processor.norm.weight, processor.norm.bias)
    return new


@each
@pytest.mark.parametrize("rest", [True, False], ids=["edges and graph", "nodes only"])
@pytest.mark.parametrize(
    "options", [{}, {"heads": 3, "adjacency": "full"}, {"residual": False, "use_ln": False}], ids=str
)
@torch.no_grad()
def test_step_follows_the_equations(name: str, options, rest: bool) -> None:
    processor = zoo.create(name, hidden_size=WIDTH, **options)
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter)
    graphs = random_graphs([4, 1, 3])
    inputs = random_inputs(graphs.dense, WIDTH, edges=rest, graph=rest)
    hidden = torch.randn_like(inputs.encoded.nodes)
    found = processor(inputs, Latents(hidden), graphs.dense, ()).hidden.nodes
    for g, size in enumerate(graphs.sizes.tolist()):
        exists = graphs.dense.neighbours()[g, :size, :size]
        expected = reference(
            processor,
            name,
            torch.ones_like(exists) if options.get("adjacency") == "full" else exists,
            inputs.encoded.nodes[g, :size],
            inputs.encoded.edges[g] if rest else None,
            inputs.encoded.graph[g] if rest else None,
            hidden[g, :size],
        )
        torch.testing.assert_close(found[g, :size], expected, rtol=0, atol=1e-10)


@torch.no_grad()
def test_only_gatv2_can_give_every_receiver_a_favourite_of_its_own() -> None:
    """Without edges, senders rank alike for all receivers of GAT, up to ties below zero; not for those of GATv2."""
    topology = DenseTopology(1, 6)
    inputs = random_inputs(topology, WIDTH, edges=False, graph=False)
    favourites = {}
    for name in ("gat", "gatv2"):
        processor = zoo.create(name, hidden_size=WIDTH, adjacency="full")
        for parameter in processor.parameters():
            torch.nn.init.normal_(parameter)
        _, record = processor.record(inputs, processor.zeros(inputs), topology, ())
        torch.testing.assert_close(record["senders"].sum(1), torch.ones(1, 6))
        favourites[name] = set(record["senders"][0].argmax(0).tolist())
    assert len(favourites["gat"]) == 1 < len(favourites["gatv2"])


@each
@pytest.mark.parametrize("scale", [0.0, 1e30])
def test_extreme_scores_leave_everything_finite(name: str, scale: float) -> None:
    """All senders alike, or one that takes all."""
    processor = zoo.create(name, hidden_size=WIDTH)
    graphs = random_graphs([5, 2])
    inputs = random_inputs(graphs.dense, WIDTH)
    given = Inputs(Latents(*(scale * value for value in inputs.encoded)))
    new = processor(given, processor.zeros(given), graphs.dense, ()).hidden.nodes
    new.sum().backward()
    assert new.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in processor.parameters())


@each
def test_heads_must_share_the_width(name: str) -> None:
    with pytest.raises(ValueError, match="heads must divide hidden_size 6; 4 does not"):
        zoo.create(name, hidden_size=6, heads=4)
