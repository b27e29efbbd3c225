"""Transformer and Universal Transformer against their equations: attention head by head, halting token by token."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.zoo.graphs import random_graphs, random_inputs
from tests.zoo.sequence.fitting import accuracy_after
from zoo.processor import Inputs, Latents
from zoo.sequence.attention import AttentionLayer, sines
from zoo.sequence.universal_transformer import Pondering, ponder
from zoo.topology import DenseTopology

WIDTH, HEADS = 4, 2


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def filled(name: str, **options) -> zoo.Processor:
    processor = zoo.create(name, hidden_size=WIDTH, heads=HEADS, ff_size=5, **options)
    for parameter in processor.parameters():
        nn.init.normal_(parameter)
    return processor


def wave(position: int) -> Tensor:
    """Sines of a position, channel by channel."""
    values = []
    for channel in range(WIDTH):
        angle = position / 10000 ** ((channel - channel % 2) / WIDTH)
        values.append(math.cos(angle) if channel % 2 else math.sin(angle))
    return torch.tensor(values)


def normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    centred = x - x.mean()
    return centred / torch.sqrt((centred**2).mean() + norm.eps) * norm.weight + norm.bias


def attended(layer: AttentionLayer, xs: list[Tensor]) -> list[Tensor]:
    """Multi-head attention of every token to all."""
    own = layer.attention
    size = WIDTH // HEADS
    result = []
    for x in xs:
        heads = []
        for h in range(HEADS):
            part = slice(h * size, (h + 1) * size)
            scores = [(own.query.weight[part] @ x) @ (own.key.weight[part] @ y) / math.sqrt(size) for y in xs]
            total = sum(torch.exp(s) for s in scores)
            heads.append(
                sum(torch.exp(s) / total * (own.value.weight[part] @ y) for s, y in zip(scores, xs, strict=True))
            )
        result.append(own.out.weight @ torch.cat(heads))
    return result


def transited(layer: AttentionLayer, x: Tensor) -> Tensor:
    first, _, second = layer.transition
    return second.weight @ torch.clamp(first.weight @ x + first.bias, min=0) + second.bias


def layered(layer: AttentionLayer, xs: list[Tensor], *, pre: bool) -> list[Tensor]:
    """One layer, its norms after the residuals or before."""
    if pre:
        heard = attended(layer, [normed(layer.attention_norm, x) for x in xs])
        xs = [x + y for x, y in zip(xs, heard, strict=True)]
        return [x + transited(layer, normed(layer.transition_norm, x)) for x in xs]
    xs = [normed(layer.attention_norm, x + y) for x, y in zip(xs, attended(layer, xs), strict=True)]
    return [normed(layer.transition_norm, x + transited(layer, x)) for x in xs]


def transformer(processor, xs: list[Tensor]) -> list[Tensor]:
    config = processor.config
    if config.positions == "sines":
        xs = [x + wave(i) for i, x in enumerate(xs)]
    for layer in processor.layers:
        xs = layered(layer, xs, pre=config.norm == "pre")
    return [normed(processor.final_norm, x) for x in xs] if config.norm == "pre" else xs


def universal_transformer(processor, xs: list[Tensor]) -> tuple[list[Tensor], float]:
    """Output, and mean of N + R; every token's own loop over revisions is unrolled in step with the others'."""
    config = processor.config
    outputs = [torch.zeros(WIDTH) for _ in xs]
    spent = [0.0] * len(xs)  # sum of p so far
    remainder: list[float | None] = [None] * len(xs)
    updates = [0] * len(xs)
    for t in range(1, config.max_steps + 1):
        xs = [x + wave(t) + (wave(i) if config.positions == "sines" else 0) for i, x in enumerate(xs)]
        halting = [processor.halting.weight[0] @ x + processor.halting.bias[0] for x in xs] if config.act else []
        xs = layered(processor.layer, xs, pre=False)
        for i, logit in enumerate(halting):
            if remainder[i] is not None:
                continue
            updates[i] += 1
            p = (1 / (1 + torch.exp(-logit))).item()
            if spent[i] + p > 0.99 or t == config.max_steps:
                remainder[i] = p = 1 - spent[i]
            spent[i] += p
            kept = (1 - p) if config.output == "interpolated" else 1.0
            outputs[i] = p * xs[i] + kept * outputs[i]
    if not config.act:
        return xs, 0.0
    return outputs, sum(n + r for n, r in zip(updates, remainder, strict=True)) / len(xs)


CASES = [
    ("transformer", {"layers": 2}),
    ("transformer", {"layers": 2, "norm": "pre", "positions": "none"}),
    ("universal_transformer", {"max_steps": 4, "ponder_weight": 1.0}),
    ("universal_transformer", {"max_steps": 4, "ponder_weight": 1.0, "output": "averaged", "positions": "none"}),
    ("universal_transformer", {"max_steps": 3, "act": False}),
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_step_follows_the_equations(name: str, options: dict, float64) -> None:
    processor = filled(name, **options)
    graphs = random_graphs([5, 1, 3])
    inputs = random_inputs(graphs.dense, WIDTH, edges=False)
    x, _, graph = inputs.encoded
    hidden = torch.randn_like(x)
    with torch.no_grad():
        step = processor(inputs, Latents(hidden), graphs.dense, ())
        for g, size in enumerate(graphs.sizes.tolist()):
            sequence = [x[g, i] + graph[g] + hidden[g, i] for i in range(size)]
            if name == "transformer":
                expected = transformer(processor, sequence)
            else:
                expected, cost = universal_transformer(processor, sequence)
                if processor.config.act:
                    torch.testing.assert_close(step.penalties["ponder"][g].item(), cost, rtol=1e-9, atol=1e-10)
            torch.testing.assert_close(step.hidden.nodes[g, :size], torch.stack(expected), rtol=1e-9, atol=1e-10)


def test_sines_of_a_distance_are_a_rotation(float64) -> None:
    """What lets attention see relative positions: from one position to the next is the same linear map everywhere."""
    waves = sines(torch.arange(50), 6)
    rotation = torch.linalg.lstsq(waves[:-1], waves[1:]).solution
    torch.testing.assert_close(waves[:-1] @ rotation, waves[1:], rtol=0, atol=1e-8)
    assert sines(torch.arange(3), 5).shape == (3, 5)


def test_without_positions_the_nodes_are_a_set() -> None:
    for name in ("transformer", "universal_transformer"):
        assert filled(name).ordered and not filled(name, positions="none").ordered


@pytest.mark.parametrize("last", [2, 5])
def test_weights_of_revisions_sum_to_one(last: int) -> None:
    """Whatever the probabilities: those before the last, and the remainder; nothing after it."""
    nothing = torch.zeros(4, 3)
    pondering = Pondering(nothing.bool(), nothing, nothing, nothing)
    probabilities = torch.rand(last, 4, 3) * 0.6
    weights = []
    for step in range(last):
        halted = pondering.halted
        pondering, weight = ponder(pondering, probabilities[step], last=step == last - 1)
        assert (weight[halted] == 0).all()
        weights.append(weight)
    torch.testing.assert_close(torch.stack(weights).sum(0), torch.ones(4, 3))
    assert pondering.halted.all() and (pondering.updates <= last).all()
    torch.testing.assert_close(pondering.remainder, 1 - pondering.probability)


@pytest.mark.parametrize(("bias", "updates"), [(1e4, 1), (-1e4, 4)])
def test_saturated_halting_makes_one_revision_or_all(bias: float, updates: int) -> None:
    processor = filled("universal_transformer", max_steps=4, ponder_weight=1.0)
    nn.init.zeros_(processor.halting.weight)
    nn.init.constant_(processor.halting.bias, bias)
    topology = DenseTopology(2, 3)
    inputs = random_inputs(topology, WIDTH, edges=False)
    step = processor(inputs, processor.zeros(inputs), topology, ())
    step.hidden.nodes.sum().backward()
    torch.testing.assert_close(step.penalties["ponder"], torch.full((2,), updates + 1.0))
    fixed = filled("universal_transformer", max_steps=updates, act=False)
    fixed.layer.load_state_dict(processor.layer.state_dict())
    torch.testing.assert_close(step.hidden.nodes, fixed(inputs, fixed.zeros(inputs), topology, ()).hidden.nodes)


def test_pondering_is_what_the_penalty_lowers() -> None:
    processor = zoo.create("universal_transformer", hidden_size=8, heads=2, ponder_weight=1.0)
    topology = DenseTopology(8, 4)
    inputs = random_inputs(topology, 8, edges=False)
    nn.init.constant_(processor.halting.bias, -1.0)
    optimizer = torch.optim.Adam(processor.halting.parameters(), lr=0.1)
    costs = []
    for _ in range(20):
        cost = processor(inputs, processor.zeros(inputs), topology, ()).penalties["ponder"].mean()
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        costs.append(cost.item())
    assert costs[-1] < costs[0] - 1


@pytest.mark.parametrize("name", ["transformer", "universal_transformer"])
def test_large_inputs_stay_finite(name: str) -> None:
    processor = zoo.create(name, hidden_size=8, heads=2)
    topology = DenseTopology(2, 6)
    x = (torch.randn(2, 6, 8) * 1e6).requires_grad_()
    out = processor(Inputs(Latents(x)), Latents(torch.zeros(2, 6, 8)), topology, ()).hidden.nodes
    out.square().sum().backward()
    assert out.isfinite().all() and x.grad.isfinite().all()


def test_parameters_are_counted_by_hand() -> None:
    """A layer of the base model: four square maps, the feed-forward network, two norms."""
    layer = 4 * 512**2 + 2 * 512 * 2048 + 2048 + 512 + 4 * 512
    processor = zoo.create("transformer", hidden_size=512)
    assert sum(parameter.numel() for parameter in processor.parameters()) == 6 * layer
    processor = zoo.create("universal_transformer", hidden_size=512)
    assert sum(parameter.numel() for parameter in processor.parameters()) == layer + 513


@pytest.mark.parametrize(("name", "options"), [("transformer", {"layers": 1}), ("universal_transformer", {})])
def test_it_learns_to_reverse(name: str, options: dict) -> None:
    torch.manual_seed(0)
    processor = zoo.create(name, hidden_size=32, heads=2, ff_size=32, **options)
    score = accuracy_after(processor, lambda s: s.flip(1), length=4, symbols=3, steps=120, lr=5e-3)
    assert score > 0.95


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="heads must divide hidden_size 6"):
        zoo.create("transformer", hidden_size=6)
    with pytest.raises(ValueError, match="layers must be at least 1"):
        zoo.create("transformer", layers=0)
    with pytest.raises(ValueError, match="max_steps must be at least 1"):
        zoo.create("universal_transformer", max_steps=0)
