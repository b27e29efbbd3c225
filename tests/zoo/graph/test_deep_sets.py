"""Deep Sets against its equations, and against message passing over self-loops."""

from __future__ import annotations

import pytest
import torch

import zoo
from tests.zoo.graph.test_mpnn import affine, layer_norm
from tests.zoo.graphs import random_graphs, random_inputs
from zoo.edges import FoldedEdges, materialise
from zoo.processor import Inputs, Latents
from zoo.topology import DenseTopology

WIDTH = 4


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("pool", ["none", "max", "mean", "sum"])
def test_step_follows_the_equations(pool: str) -> None:
    processor = zoo.create("deep_sets", hidden_size=WIDTH, pool=pool)
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter)
    graphs = random_graphs([4, 1, 3])
    inputs = random_inputs(graphs.dense, WIDTH)
    x, edges, graph = inputs.encoded
    hidden = torch.randn_like(x)
    found = processor(inputs, Latents(hidden), graphs.dense, ()).hidden.nodes
    for g, size in enumerate(graphs.sizes.tolist()):
        z = [torch.cat([x[g, i], hidden[g, i]]) for i in range(size)]
        columns = torch.stack(z)
        for i in range(size):
            message = affine(processor.from_node, z[i])
            message = message + affine(processor.from_edge, edges[g, i, i]) + affine(processor.from_graph, graph[g])
            if pool != "none":
                pooled = {"max": columns.amax(0), "mean": columns.sum(0) / size, "sum": columns.sum(0)}[pool]
                message = message + affine(processor.from_pool, pooled)
            for layer in processor.layers:
                message = affine(layer, message.clamp_min(0))
            update = processor.update
            new = (affine(update.from_node, z[i]) + affine(update.from_messages, message)).clamp_min(0)
            expected = layer_norm(new, update.norm.weight, update.norm.bias)
            torch.testing.assert_close(found[g, i], expected, rtol=0, atol=1e-10)


def test_without_pool_it_is_message_passing_over_self_loops() -> None:
    deep, mpnn = (
        zoo.create("deep_sets", hidden_size=WIDTH, pool="none"),
        zoo.create("mpnn", hidden_size=WIDTH, adjacency="given"),
    )
    weights = mpnn.state_dict()
    with torch.no_grad():
        own = {
            "from_node.weight": weights["messages.from_sender.weight"] + weights["messages.from_receiver.weight"],
            "from_node.bias": weights["messages.from_sender.bias"] + weights["messages.from_receiver.bias"],
        }
    deep.load_state_dict(own | {k.removeprefix("messages."): v for k, v in weights.items() if "er." not in k})
    loops = DenseTopology(2, 5, adjacency=torch.eye(5, dtype=torch.bool).expand(2, -1, -1))
    inputs = random_inputs(loops, WIDTH)
    hidden = Latents(torch.randn_like(inputs.encoded.nodes))
    found, expected = (p(inputs, hidden, loops, ()).hidden.nodes for p in (deep, mpnn))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("pool", ["none", "max"])
def test_what_a_node_hears_of_the_others(pool: str) -> None:
    """Nothing without the pool; with it, of all of its own graph, neighbours or not."""
    processor = zoo.create("deep_sets", hidden_size=16, pool=pool)
    graphs = random_graphs([5, 5], density=0.0)
    inputs = random_inputs(graphs.dense, 16)
    nodes = inputs.encoded.nodes.clone()
    nodes[0, 3] += 10
    changed = Inputs(inputs.encoded._replace(nodes=nodes))
    before, after = (processor(i, processor.zeros(i), graphs.dense, ()).hidden.nodes for i in (inputs, changed))
    heard = (before != after).any(-1)
    assert heard[0].tolist() == ([True] * 5 if pool == "max" else [False, False, False, True, False])
    assert not heard[1].any()


def test_only_self_loops_are_read_of_folded_edges() -> None:
    processor = zoo.create("deep_sets", hidden_size=WIDTH)
    graphs = random_graphs([4, 3])
    inputs = random_inputs(graphs.dense, WIDTH)
    folded = FoldedEdges(torch.randn(2, 4, 4, 2), torch.randn(WIDTH, 2), torch.randn(WIDTH))
    noise = torch.randn(2, 4, 4, 2) * ~torch.eye(4, dtype=torch.bool)[..., None]
    results = []
    for edges in (folded, materialise(folded), folded._replace(channels=folded.channels + noise)):
        own = Inputs(inputs.encoded._replace(edges=edges))
        results.append(processor(own, processor.zeros(own), graphs.dense, ()).hidden.nodes)
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=0, atol=1e-10)


def test_wrong_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean mean"):
        zoo.create("deep_sets", pool="maen")
