"""MPNN against its equations, entry by entry."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import zoo
from tests.zoo.graphs import random_graphs, random_inputs
from zoo.edges import FoldedEdges, materialise
from zoo.graph.messages import GATE_BIAS
from zoo.processor import Inputs, Latents

WIDTH = 4


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def affine(layer: torch.nn.Linear, x: Tensor) -> Tensor:
    return layer.weight @ x + layer.bias


def layer_norm(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    centred = x - x.sum() / len(x)
    return centred / torch.sqrt((centred**2).sum() / len(x) + 1e-5) * scale + offset


def reference(processor, adjacency: Tensor, x: Tensor, edges: Tensor | None, graph: Tensor | None, h: Tensor) -> Tensor:
    """One graph; `adjacency[j, i]` is whether j sends to i."""
    part, update = processor.messages, processor.update
    result = []
    for i in range(len(x)):
        z_i = torch.cat([x[i], h[i]])
        incoming = []
        for j in range(len(x)):
            if not adjacency[j, i]:
                continue
            message = affine(part.from_sender, torch.cat([x[j], h[j]])) + affine(part.from_receiver, z_i)
            if edges is not None:
                message = message + affine(part.from_edge, edges[j, i])
            if graph is not None:
                message = message + affine(part.from_graph, graph)
            for layer in part.layers:
                message = affine(layer, message.clamp_min(0))
            incoming.append(message)
        stack = torch.stack(incoming)
        reduced = {"max": stack.amax(0), "min": stack.amin(0), "sum": stack.sum(0), "mean": stack.sum(0) / len(stack)}[
            part.reduce
        ]
        form = update.form
        new = reduced if form == "none" else affine(update.from_node, z_i) + affine(update.from_messages, reduced)
        if form == "relu":
            new = new.clamp_min(0)
        if processor.config.use_ln:
            new = layer_norm(new, update.norm.weight, update.norm.bias)
        if processor.config.gated:
            gate = update.gate
            inner = (affine(gate.from_node, z_i) + affine(gate.from_messages, reduced)).clamp_min(0)
            share = 1 / (1 + torch.exp(-affine(gate.out, inner)))
            new = share * new + (1 - share) * h[i]
        result.append(new)
    return torch.stack(result)


@pytest.mark.parametrize("rest", [True, False], ids=["edges and graph", "nodes only"])
@pytest.mark.parametrize("adjacency", ["full", "given"])
@pytest.mark.parametrize("aggregation", ["max", "min", "sum", "mean"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gated": True},
        {"use_ln": False, "message_layers": 0, "update": "linear"},
        {"message_layers": 3},
        {"use_ln": False, "message_layers": 1, "update": "none"},
    ],
    ids=str,
)
def test_step_follows_the_equations(options, aggregation: str, adjacency: str, rest: bool) -> None:
    processor = zoo.create("mpnn", hidden_size=WIDTH, adjacency=adjacency, aggregation=aggregation, **options)
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
            exists if adjacency == "given" else torch.ones_like(exists),
            inputs.encoded.nodes[g, :size],
            inputs.encoded.edges[g] if rest else None,
            inputs.encoded.graph[g] if rest else None,
            hidden[g, :size],
        )
        torch.testing.assert_close(found[g, :size], expected, rtol=0, atol=1e-10)


def test_folded_edges_are_those_they_stand_for() -> None:
    processor = zoo.create("mpnn", hidden_size=WIDTH)
    graphs = random_graphs([4, 3])
    inputs = random_inputs(graphs.dense, WIDTH)
    folded = FoldedEdges(torch.randn(2, 4, 4, 2), torch.randn(WIDTH, 2).requires_grad_(), torch.randn(WIDTH))
    results = []
    for edges in (folded, materialise(folded)):
        own = Inputs(inputs.encoded._replace(edges=edges))
        hidden = processor(own, processor.zeros(own), graphs.dense, ()).hidden.nodes
        wanted = [folded.weight, processor.messages.from_edge.weight, processor.messages.from_edge.bias]
        results.append([hidden, *torch.autograd.grad(hidden[..., 0].sum(), wanted)])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_gate_starts_nearly_closed() -> None:
    processor = zoo.create("mpnn", hidden_size=64, gated=True)
    assert (processor.update.gate.out.bias == GATE_BIAS).all()
    graphs = random_graphs([8])
    inputs = random_inputs(graphs.dense, 64)
    hidden = torch.randn_like(inputs.encoded.nodes)
    moved = processor(inputs, Latents(hidden), graphs.dense, ()).hidden.nodes - hidden
    assert moved.abs().mean() < 0.3 * hidden.abs().mean()


def test_gate_takes_what_autocast_narrows() -> None:
    torch.set_default_dtype(torch.float32)
    processor, graphs = zoo.create("gmpnn", hidden_size=8), random_graphs([4, 3])
    inputs = random_inputs(graphs.dense, 8)
    hidden = processor.zeros(inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for _ in range(3):
            hidden = processor(inputs, hidden, graphs.dense, ()).hidden
    assert hidden.nodes.dtype is torch.float32 and hidden.nodes.isfinite().all()


def test_complete_graph_is_dense_only() -> None:
    assert zoo.create("mpnn").layouts == {"dense"}
    assert zoo.create("mpnn", adjacency="given").layouts == {"dense", "sparse"}


def test_size_is_that_of_the_benchmark() -> None:
    """Linear maps of 256 (three) and 128 (five) to 128; layer normalisation comes on top."""
    count = sum(p.numel() for p in zoo.create("mpnn", use_ln=False).parameters())
    assert count == 3 * 257 * 128 + 5 * 129 * 128 == 181_248


def test_a_step_of_bellman_ford_is_linear_but_for_the_minimum() -> None:
    """With weights set by hand: distances and edges of any size, never seen by a nonlinearity."""
    processor = zoo.create("linear_mpnn", hidden_size=1)
    weights = {name: torch.zeros_like(value) for name, value in processor.state_dict().items()}
    weights["messages.from_sender.weight"] = torch.tensor([[0.0, 1.0]])  # of [x, h]: the distance so far
    weights["messages.from_edge.weight"] = weights["update.from_messages.weight"] = torch.ones(1, 1)
    processor.load_state_dict(weights)
    graphs = random_graphs([7, 4], density=0.5)
    exists = graphs.dense.neighbours()
    apart = ~torch.eye(7, dtype=torch.bool)
    lengths = torch.where(exists & apart, 1e3 * torch.rand(2, 7, 7), 0.0)
    far = 1e6
    distances = torch.full((2, 7, 1), far).index_fill(1, torch.tensor([0]), 0.0)
    expected = distances.squeeze(-1)
    inputs = Inputs(Latents(torch.zeros(2, 7, 1), lengths[..., None]))
    for _ in range(6):
        distances = processor(inputs, Latents(distances), graphs.dense, ()).hidden.nodes
        through = torch.where(exists, expected[:, :, None] + lengths, torch.inf).amin(1)
        expected = torch.where(graphs.dense.node_mask(), through, 0.0)
        torch.testing.assert_close(distances.squeeze(-1), expected)
    assert expected[0].amax() < far


@pytest.mark.parametrize("layers", [0, 2])
def test_minimum_is_the_maximum_of_what_is_negated(layers: int) -> None:
    """The fast path of the minimum against ordinary operators, values and gradients."""
    topology = random_graphs([5, 3]).dense
    senders, receivers, values = torch.randn(2, 5, 4), torch.randn(2, 5, 4), torch.randn(2, 5, 5, 3)
    stack = [t for _ in range(layers) for t in (torch.randn(4, 4), torch.randn(4))]
    given = [senders, receivers, values, torch.randn(4, 3), *stack]
    for each in given:
        each.requires_grad_()
    results = []
    for reduce in (topology.reduce_messages, super(type(topology), topology).reduce_messages):
        found = reduce(senders, receivers, (values, given[3]), stack, "min")
        results.append([found, *torch.autograd.grad((found * torch.arange(4.0)).sum(), given)])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("adjacency", "ful", "did you mean full"),
        ("aggregation", "median", "choices: max, mean, min, sum"),
        ("message_layers", -1, "at least 0"),
        ("update", "rel", "did you mean relu"),
    ],
)
def test_wrong_options_are_refused(option: str, value, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        zoo.create("mpnn", **{option: value})
