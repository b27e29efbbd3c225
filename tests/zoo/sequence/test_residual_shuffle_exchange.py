"""Residual Shuffle-Exchange against its equations: rotations by bits, switches pair by pair."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import zoo
from tests.zoo.graphs import random_graphs, random_inputs
from zoo.processor import Inputs, Latents
from zoo.sequence.benes import rotate_left, rotate_right
from zoo.sequence.residual_shuffle_exchange import NORM_EPSILON, SwitchUnit
from zoo.tokens import tokens
from zoo.topology import DenseTopology

WIDTH = 3


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def rotated_left(position: int, bits: int) -> int:
    text = format(position, f"0{bits}b")
    return int(text[1:] + text[0], 2)


def rotated_right(position: int, bits: int) -> int:
    text = format(position, f"0{bits}b")
    return int(text[-1] + text[:-1], 2)


@pytest.mark.parametrize("bits", range(1, 7))
def test_rotations_shift_the_bits_of_positions(bits: int) -> None:
    length = 2**bits
    sequence = torch.arange(length).double()[None, :, None]
    left, right = (f(sequence).flatten().long().tolist() for f in (rotate_left, rotate_right))
    assert left == [rotated_left(k, bits) for k in range(length)]
    assert right == [rotated_right(k, bits) for k in range(length)]
    assert torch.equal(rotate_right(rotate_left(sequence)), sequence)


def switch(unit: SwitchUnit, sequence: list[Tensor]) -> list[Tensor]:
    """One switch of one sequence, pair by pair."""
    pairs = [torch.cat([sequence[k], sequence[k + 1]]) for k in range(0, len(sequence), 2)]
    middle = [unit.expand.weight @ pair for pair in pairs]
    mean = sum(middle) / len(middle)
    centred = [m - mean + unit.offset for m in middle]
    scale = torch.sqrt(sum(c**2 for c in centred) / len(centred) + NORM_EPSILON)
    result: list[Tensor] = []
    for pair, c in zip(pairs, centred, strict=True):
        g = c / scale
        g = g / (1 + torch.exp(-1.702 * g))
        candidate = unit.contract.weight @ g + unit.contract.bias
        residual = 1 / (1 + torch.exp(-2 * unit.residual))
        out = residual * pair + math.sqrt(1 - 0.9**2) * 0.25 * candidate
        result += [out[:WIDTH], out[WIDTH:]]
    return result


def network(processor, sequence: list[Tensor]) -> list[Tensor]:
    """The Beneš blocks and the last switch, on one padded sequence."""
    length = len(sequence)
    bits = (length - 1).bit_length()
    for block in processor.blocks:
        for _ in range(bits - 1):
            switched = switch(block.forward_switch, sequence)
            sequence = [switched[rotated_left(k, bits)] for k in range(length)]
        for _ in range(bits - 1):
            switched = switch(block.reverse_switch, sequence)
            sequence = [switched[rotated_right(k, bits)] for k in range(length)]
    return switch(processor.last_switch, sequence)


@pytest.mark.parametrize(("nodes", "blocks"), [(1, 1), (2, 2), (3, 1), (6, 2), (8, 2), (9, 1)])
def test_step_follows_the_equations(nodes: int, blocks: int) -> None:
    processor = zoo.create("residual_shuffle_exchange", hidden_size=WIDTH, blocks=blocks)
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter)
    sizes = [nodes, max(1, nodes // 2)]
    graphs = random_graphs(sizes)
    inputs = random_inputs(graphs.dense, WIDTH)
    x, edges, graph = inputs.encoded
    hidden = torch.randn_like(x)
    found = processor(inputs, Latents(hidden), graphs.dense, ()).hidden.nodes
    padded = max(2, 2 ** (nodes - 1).bit_length())
    for g, size in enumerate(sizes):
        sequence = []
        for i in range(size):
            around = [edges[g, j, i] for j in range(size) if graphs.dense.neighbours()[g, j, i]]
            sequence.append(x[g, i] + graph[g] + torch.stack(around).amax(0) + hidden[g, i])
        sequence += [torch.zeros(WIDTH)] * (padded - size)
        expected = network(processor, sequence)
        for i in range(size):
            torch.testing.assert_close(found[g, i], expected[i], rtol=1e-9, atol=1e-10)


def test_normalisation_runs_over_the_sequence() -> None:
    """The trap: statistics of a feature over the pairs, not of a pair over its features."""
    unit = SwitchUnit(WIDTH)
    middle = unit.normalise(torch.randn(2, 50, 4 * WIDTH) * 7 + 3)
    torch.testing.assert_close(middle.mean(1), torch.zeros(2, 4 * WIDTH), rtol=0, atol=1e-8)
    torch.testing.assert_close(middle.square().mean(1), torch.ones(2, 4 * WIDTH), rtol=0, atol=1e-5)
    assert middle.mean(2).abs().max() > 0.1


def test_switch_starts_as_a_scaled_residual() -> None:
    unit = SwitchUnit(16)
    torch.testing.assert_close(torch.sigmoid(unit.residual * 2), torch.full((32,), 0.9))
    assert ((unit.contract.bias >= 0) & (unit.contract.bias <= 0.01)).all() and unit.contract.bias.std() > 0
    sequence = torch.randn(4, 64, 16)
    ratio = unit(sequence).std() / sequence.std()
    assert 0.8 < ratio < 1.2


@pytest.mark.parametrize("nodes", [2, 3, 5, 8, 16])
def test_every_token_reaches_every_other(nodes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the wiring alone: the normalisation, which mixes a sequence by itself, is taken out."""
    monkeypatch.setattr(SwitchUnit, "normalise", lambda unit, x: x)
    processor = zoo.create("residual_shuffle_exchange", hidden_size=8, blocks=1)
    topology = DenseTopology(1, nodes)
    start = torch.randn(1, nodes, 8)
    (jacobian,) = torch.autograd.functional.jacobian(
        lambda x: (processor(Inputs(Latents(x)), Latents(torch.zeros_like(x)), topology, ()).hidden.nodes,), start
    )
    influence = jacobian.abs().sum((2, 5))[0, :, 0]
    assert (influence > 0).all()


def test_token_shows_the_graph() -> None:
    graphs = random_graphs([5, 3])
    inputs = random_inputs(graphs.dense, WIDTH)
    found = tokens(inputs.encoded, graphs.dense)
    nodes, edges, graph = inputs.encoded
    for g, size in enumerate(graphs.sizes.tolist()):
        for i in range(size):
            around = torch.stack([edges[g, j, i] for j in range(size) if graphs.dense.neighbours()[g, j, i]])
            torch.testing.assert_close(found[g, i], nodes[g, i] + graph[g] + around.amax(0), rtol=0, atol=1e-12)
    assert tokens(Latents(nodes), graphs.dense) is nodes


def test_two_tokens_leave_the_blocks_unused() -> None:
    processor = zoo.create("residual_shuffle_exchange", hidden_size=WIDTH)
    topology = DenseTopology(1, 2)
    inputs = random_inputs(topology, WIDTH)
    processor(inputs, processor.zeros(inputs), topology, ()).hidden.nodes.sum().backward()
    used = {name.split(".")[0] for name, p in processor.named_parameters() if p.grad is not None}
    assert used == {"last_switch"}


def test_constant_features_keep_gradients_bounded() -> None:
    """All tokens equal, as zeros at the first step: nothing to divide by."""
    processor = zoo.create("residual_shuffle_exchange", hidden_size=8)
    topology = DenseTopology(1, 8)
    x = torch.zeros(1, 8, 8, requires_grad=True)
    out = processor(Inputs(Latents(x)), Latents(torch.zeros(1, 8, 8)), topology, ()).hidden.nodes
    out.sum().backward()
    assert out.isfinite().all() and x.grad.isfinite().all()
    assert max(p.grad.abs().max() for p in processor.parameters()) < 1e5


def test_no_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="blocks must be at least 1"):
        zoo.create("residual_shuffle_exchange", blocks=0)
