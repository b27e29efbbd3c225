"""IterGNN against its equations: iteration, homogeneity, and the confidence that stops it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import tasks
import zoo
from tests.objective import total_loss
from tests.zoo.graphs import random_graphs, random_inputs
from zoo.processor import Inputs, Latents

WIDTH = 4


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.01 * x)


def apply(layer: torch.nn.Linear, x: Tensor) -> Tensor:
    return layer.weight @ x + (0 if layer.bias is None else layer.bias)


@pytest.mark.parametrize("rest", [True, False], ids=["edges and graph", "nodes only"])
@pytest.mark.parametrize("options", [{}, {"homogeneous": False, "decay": 0.1}], ids=str)
@torch.no_grad()
def test_steps_follow_the_equations(options, rest: bool, float64) -> None:
    processor = zoo.create("iter_gnn", hidden_size=WIDTH, **options)
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter)
    graphs = random_graphs([4, 1, 3])
    inputs = random_inputs(graphs.dense, WIDTH, edges=rest, graph=rest)
    x, edges, graph = inputs.encoded
    hidden, state = processor.initial(inputs, graphs.dense)
    history = []
    for _ in range(3):
        step = processor(inputs, hidden, graphs.dense, state)
        hidden, state = step.hidden, step.state
        history.append(step)
    keep = 1 - processor.config.decay
    for g, size in enumerate(graphs.sizes.tolist()):
        features = [leaky(apply(processor.embed[2], leaky(apply(processor.embed[0], x[g, i])))) for i in range(size)]
        seen, confidences = [], []
        for step in history:
            new = []
            for i in range(size):
                values = []
                for j in range(size):
                    if graphs.dense.neighbours()[g, j, i]:
                        inner = apply(processor.from_sender, torch.cat([x[g, j], features[j]]))
                        if rest:
                            inner = inner + apply(processor.from_edge, edges[g, j, i])
                            inner = inner + apply(processor.from_graph, graph[g])
                        values.append(leaky(apply(processor.value, leaky(inner))))
                new.append(torch.stack([*values, features[i]][::-1]).amax(0) if values else features[i])
            features = new
            pooled = torch.stack(features).amax(0)
            confidences.append(1 / (1 + torch.exp(-apply(processor.confidence, pooled)[0])))
            seen.append(torch.stack(features))
            gathered, left = torch.zeros(size, WIDTH), torch.ones(())
            for at, confidence in zip(seen, confidences, strict=True):
                gathered, left = keep * gathered + left * confidence * at, keep * left * (1 - confidence)
            torch.testing.assert_close(step.hidden.nodes[g, :size], gathered, rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(step.state.features[g, :size], seen[-1], rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(step.state.left[g], left, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 7.0, 1e4])
@torch.no_grad()
def test_features_scale_as_the_inputs_do(scale: float, float64) -> None:
    """Without biases; with them they do not."""
    graphs = random_graphs([6, 3])
    inputs = random_inputs(graphs.dense, 8)
    larger = Inputs(Latents(*(scale * value for value in inputs.encoded)))
    for homogeneous in (True, False):
        processor = zoo.create("iter_gnn", hidden_size=8, homogeneous=homogeneous)
        results = []
        for given in (inputs, larger):
            hidden, state = processor.initial(given, graphs.dense)
            for _ in range(4):
                step = processor(given, hidden, graphs.dense, state)
                hidden, state = step.hidden, step.state
            results.append(state.features[graphs.dense.node_mask()])
        assert torch.allclose(results[1], scale * results[0], rtol=1e-9, atol=0) == homogeneous


@pytest.mark.parametrize(("logit", "steps"), [(50.0, 1), (0.0, 24), (-50.0, 100)])
@torch.no_grad()
def test_confidence_stops_it(logit: float, steps: int, float64) -> None:
    """At once where it is sure; never where it is not; halving what is left, after log2 of the tolerance."""
    processor = zoo.create("iter_gnn", hidden_size=4, homogeneous=False)
    processor.confidence.weight.zero_()
    processor.confidence.bias.fill_(logit)
    graphs = random_graphs([3, 2])
    inputs = random_inputs(graphs.dense, 4)
    hidden, state = processor.initial(inputs, graphs.dense)
    taken = 0
    while taken < 100:
        step = processor(inputs, hidden, graphs.dense, state)
        hidden, state, taken = step.hidden, step.state, taken + 1
        assert hidden.nodes.isfinite().all()
        if bool(step.halt.all()):
            break
    assert taken == steps


@torch.no_grad()
def test_without_confidence_the_hidden_is_the_last_features(float64) -> None:
    """Those that the iterative one weights, and nothing ever stops it."""
    graphs = random_graphs([5, 2])
    inputs = random_inputs(graphs.dense, WIDTH, edges=True, graph=False)
    iterative = zoo.create("iter_gnn", hidden_size=WIDTH)
    fixed = zoo.create("iter_gnn", hidden_size=WIDTH, iterative=False)
    fixed.load_state_dict({k: v for k, v in iterative.state_dict().items() if not k.startswith("confidence")})
    (hidden, state), (other, other_state) = (p.initial(inputs, graphs.dense) for p in (iterative, fixed))
    for _ in range(3):
        step, plain = iterative(inputs, hidden, graphs.dense, state), fixed(inputs, other, graphs.dense, other_state)
        hidden, state, other, other_state = step.hidden, step.state, plain.hidden, plain.state
        torch.testing.assert_close(plain.hidden.nodes, state.features)
        assert plain.halt is None and not torch.allclose(hidden.nodes, state.features)


@torch.no_grad()
def test_features_of_a_path_are_its_length_at_any_size(float64) -> None:
    """With weights set by hand, minus the distance from the source: as many steps as edges, and no change after."""
    processor = zoo.create("iter_gnn", hidden_size=1, input_size=2)
    processor.embed = torch.nn.Linear(2, 1, bias=False)
    processor.embed.weight.copy_(torch.tensor([[0.0, -1.0]]))  # the second channel is how far a node seems at first
    for layer in (processor.from_sender, processor.from_edge, processor.value):
        layer.weight.zero_()
    # Minus a distance is what LeakyReLU shrinks, so it passes as a difference: with a positive and a negative channel.
    processor.from_sender.weight[0, 2], processor.from_sender.weight[1, 2] = 1.0, -1.0
    processor.from_edge.weight[0, 0], processor.from_edge.weight[1, 0] = -1.0, 1.0
    processor.value.weight[0, 1], processor.value.weight[0, 0] = -100.0, 0.0  # and is shrunk once more after
    for n in (5, 60):
        near = torch.eye(n, dtype=torch.bool) | torch.eye(n, dtype=torch.bool).roll(1, 1).triu()
        topology = zoo.DenseTopology(1, n, adjacency=(near | near.T)[None])
        lengths = (near ^ torch.eye(n, dtype=torch.bool)).double()
        start = torch.full((1, n), 1e3).index_fill(1, torch.tensor([0]), 0.0)
        encoded = Latents(
            torch.stack([torch.zeros_like(start), start], -1), torch.stack([lengths + lengths.T, 0 * lengths], -1)[None]
        )
        inputs = Inputs(encoded)
        hidden, state = processor.initial(inputs, topology)
        for _ in range(n):
            step = processor(inputs, hidden, topology, state)
            hidden, state = step.hidden, step.state
        torch.testing.assert_close(state.features[0, :, 0], -torch.arange(n, dtype=torch.float64))


def test_it_learns_lengths_of_paths() -> None:
    """A few trees by heart, stopping by itself."""
    task = tasks.create("shortest_path_length")
    batch = task.sample(seed=0, batch_size=4, size=[4, 6], distribution="lobster")
    config = zoo.ReasonerConfig(steps="halt", max_steps=6)
    model = zoo.Reasoner(task.spec, zoo.create("iter_gnn", hidden_size=16), config=config)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2, eps=1e-5)
    first = total_loss(model, batch).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss = total_loss(model, batch)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1 * first
