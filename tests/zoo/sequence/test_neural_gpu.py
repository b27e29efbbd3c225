"""Neural GPU and its diagonal sister against their equations: convolutions entry by entry, iterations one by one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.zoo.graphs import random_graphs, random_inputs
from tests.zoo.sequence.fitting import accuracy_after
from zoo.processor import Inputs, Latents
from zoo.sequence.diagonal_neural_gpu import excess, shift
from zoo.sequence.neural_gpu import cutoff_sigmoid, spread
from zoo.topology import DenseTopology

WIDTH = 3


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def filled(name: str, **options) -> zoo.Processor:
    processor = zoo.create(name, hidden_size=WIDTH, **options)
    for parameter in processor.parameters():
        nn.init.normal_(parameter, std=0.7)
    return processor


def convolved(layer: nn.Conv2d, image: list[list[Tensor]]) -> list[list[Tensor]]:
    """A convolution of an image given by rows of vectors, zero outside."""
    height, length = len(image), len(image[0])
    rows = []
    for h in range(height):
        row = []
        for x in range(length):
            total = layer.bias.clone()
            for dh in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    if 0 <= h + dh < height and 0 <= x + dx < length:
                        total = total + layer.weight[:, :, dh + 1, dx + 1] @ image[h + dh][x + dx]
            row.append(total)
        rows.append(row)
    return rows


def gate(x: Tensor) -> Tensor:
    return torch.clamp(1.2 / (1 + torch.exp(-x)) - 0.1, 0, 1)


def neural_gpu(processor, sequence: list[Tensor], height: int) -> list[Tensor]:
    """The first row after as many iterations as there are tokens."""
    zeros = torch.zeros(WIDTH)
    image = [[torch.tanh(x) for x in sequence]] + [[zeros] * len(sequence) for _ in range(height - 1)]
    for t in range(len(sequence)):
        for unit in processor.sets[t % len(processor.sets)]:
            r, u = convolved(unit.reset, image), convolved(unit.update, image)
            reset = [[gate(a) * s for a, s in zip(*rows, strict=True)] for rows in zip(r, image, strict=True)]
            c = convolved(unit.candidate, reset)
            image = [
                [gate(g) * s + (1 - gate(g)) * torch.tanh(new) for g, s, new in zip(*rows, strict=True)]
                for rows in zip(u, image, c, strict=True)
            ]
    return image[0]


@pytest.mark.parametrize("relaxations", [1, 2])
def test_neural_gpu_follows_the_equations(relaxations: int, float64) -> None:
    processor = filled("neural_gpu", height=2, relaxations=relaxations)
    graphs = random_graphs([4, 1, 3])
    inputs = random_inputs(graphs.dense, WIDTH, edges=False)
    x, _, graph = inputs.encoded
    hidden = torch.randn_like(x)
    found = processor(inputs, Latents(hidden), graphs.dense, ()).hidden.nodes
    for g, size in enumerate(graphs.sizes.tolist()):
        expected = neural_gpu(processor, [x[g, i] + graph[g] + hidden[g, i] for i in range(size)], 2)
        torch.testing.assert_close(found[g, :size], torch.stack(expected), rtol=1e-9, atol=1e-10)


def test_cut_off_gates_reach_both_ends() -> None:
    x = torch.tensor([-3.0, 0.0, 3.0])
    assert cutoff_sigmoid(x, 1.2).tolist() == [0, 0.5, 1]
    torch.testing.assert_close(cutoff_sigmoid(x, 1.0), torch.sigmoid(x))


def test_relaxation_is_the_distance_of_the_sets() -> None:
    processor = filled("neural_gpu", relaxations=3, pull=0.5)
    topology = DenseTopology(2, 3)
    inputs = random_inputs(topology, WIDTH)
    vectors = torch.stack([nn.utils.parameters_to_vector(one.parameters()) for one in processor.sets])
    expected = 0.5 * ((vectors - vectors.mean(0)) ** 2).sum()
    found = processor(inputs, processor.zeros(inputs), topology, ()).penalties["relaxation"]
    torch.testing.assert_close(found, expected.expand(2))
    for one in processor.sets[1:]:
        one.load_state_dict(processor.sets[0].state_dict())
    assert spread(list(processor.sets)) < 1e-10
    assert not filled("neural_gpu")(inputs, processor.zeros(inputs), topology, ()).penalties


def test_equal_sets_are_one_set() -> None:
    one, three = filled("neural_gpu"), filled("neural_gpu", relaxations=3)
    for each in three.sets:
        each.load_state_dict(one.sets[0].state_dict())
    topology = DenseTopology(2, 5)
    inputs = random_inputs(topology, WIDTH)
    hidden = one.zeros(inputs)
    found = [processor(inputs, hidden, topology, ()).hidden.nodes for processor in (one, three)]
    torch.testing.assert_close(*found)


def convolved_line(layer: nn.Conv1d, line: list[Tensor]) -> list[Tensor]:
    zero = torch.zeros(WIDTH)
    wide = [zero, *line, zero]
    return [layer.bias + sum(layer.weight[:, :, k] @ wide[x + k] for k in range(3)) for x in range(len(line))]


def over(values: list[Tensor]) -> float:
    """What a list of pre-activations costs."""
    return sum(max(0.0, abs(entry) - 0.9) for value in values for entry in value.tolist())


def diagonal_neural_gpu(processor, sequence: list[Tensor]) -> tuple[list[Tensor], float]:
    """The memory at the end, and the cost of saturation; three maps: one stays, one goes right, one left."""
    length = len(sequence)
    cost = length * over(sequence)
    memory = [x.clamp(-1, 1) for x in sequence]
    zero = torch.zeros(WIDTH)
    for _ in range(length):
        r, g = convolved_line(processor.reset, memory), convolved_line(processor.gate, memory)
        reset = [(0.5 * a + 0.5).clamp(0, 1) * s for a, s in zip(r, memory, strict=True)]
        c = convolved_line(processor.candidate, reset)
        cost += over(r) + over(g) + over(c)
        wide = [zero, *memory, zero]
        new = []
        for x in range(length):
            carried = torch.stack([wide[x + 1][0], wide[x][1], wide[x + 2][2]])
            share = (0.5 * g[x] + 0.5).clamp(0, 1)
            new.append(share * carried + (1 - share) * c[x].clamp(-1, 1))
        memory = new
    return memory, cost / length**2


def test_diagonal_neural_gpu_follows_the_equations(float64) -> None:
    processor = filled("diagonal_neural_gpu", saturation_weight=1.0)
    graphs = random_graphs([5, 1, 3])
    inputs = random_inputs(graphs.dense, WIDTH, edges=False)
    x, _, graph = inputs.encoded
    hidden = torch.randn_like(x)
    step = processor(inputs, Latents(hidden), graphs.dense, ())
    for g, size in enumerate(graphs.sizes.tolist()):
        sequence = [x[g, i] + graph[g] + hidden[g, i] for i in range(size)]
        expected, cost = diagonal_neural_gpu(processor, sequence)
        torch.testing.assert_close(step.hidden.nodes[g, :size], torch.stack(expected), rtol=1e-9, atol=1e-10)
        torch.testing.assert_close(step.penalties["saturation"][g].item(), cost, rtol=1e-9, atol=1e-10)


def test_shift_moves_a_third_each_way() -> None:
    memory = torch.arange(1.0, 5.0).expand(1, 7, 4)
    moved = shift(memory)[0].tolist()
    assert moved == [[1, 2, 3, 4]] * 3 + [[0, 1, 2, 3]] * 2 + [[2, 3, 4, 0]] * 2


def test_open_diagonal_gates_carry_values_along() -> None:
    """With g = 1 a value travels one token an iteration: out of a sequence of n tokens after n."""
    processor = filled("diagonal_neural_gpu")
    nn.init.constant_(processor.gate.bias, 1e4)
    topology = DenseTopology(1, 4)
    x = torch.rand(1, 4, WIDTH)
    nodes = processor(Inputs(Latents(x)), Latents(torch.zeros_like(x)), topology, ()).hidden.nodes
    torch.testing.assert_close(nodes[..., 0], x[..., 0])
    assert (nodes[..., 1:] == 0).all()
    still = filled("diagonal_neural_gpu", diagonal=False)
    nn.init.constant_(still.gate.bias, 1e4)
    torch.testing.assert_close(still(Inputs(Latents(x)), Latents(torch.zeros_like(x)), topology, ()).hidden.nodes, x)


def test_saturation_costs_nothing_in_the_linear_part() -> None:
    assert excess(torch.tensor([-0.9, 0.0, 0.9])).tolist() == [0, 0, 0]
    torch.testing.assert_close(excess(torch.tensor([-1.4, 1.0])), torch.tensor([0.5, 0.1]))


def test_dropout_zeroes_tokens_and_candidates_in_training_only() -> None:
    """A single token takes one iteration; with dead convolutions the gate is half open, the candidate constant."""
    share, count = 0.25, 4096
    processor = filled("diagonal_neural_gpu", diagonal=False, dropout=share)
    for layer in (processor.reset, processor.gate, processor.candidate):
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, 0.0 if layer is not processor.candidate else 0.6)
    x, topology = torch.full((count, 1, WIDTH), 0.2), DenseTopology(count, 1)

    def out() -> Tensor:
        return processor(Inputs(Latents(x)), Latents(torch.zeros_like(x)), topology, ()).hidden.nodes

    found = out()
    token, candidate = 0.5 * 0.2 / (1 - share), 0.5 * 0.6 / (1 - share)
    for value, chance in (
        (0.0, share**2),
        (token, (1 - share) * share),
        (candidate, share * (1 - share)),
        (token + candidate, (1 - share) ** 2),
    ):
        assert torch.isclose(found, torch.tensor(value)).float().mean().item() == pytest.approx(chance, abs=0.02)
    processor.eval()
    torch.testing.assert_close(out(), torch.full_like(x, 0.4))


def test_the_weight_of_saturation_falls_geometrically_over_training() -> None:
    processor = filled("diagonal_neural_gpu", saturation_weight=0.1, saturation_decay=0.01)
    x, topology = torch.randn(2, 5, WIDTH) * 3, DenseTopology(2, 5)

    def penalty(progress: float | None) -> Tensor:
        if progress is not None:
            processor.anneal(progress)
        return processor(Inputs(Latents(x)), Latents(torch.zeros_like(x)), topology, ()).penalties["saturation"]

    start = penalty(None)
    assert (start > 0).all()
    for progress, share in ((0.0, 1.0), (0.5, 0.1), (1.0, 0.01)):
        torch.testing.assert_close(penalty(progress), share * start)


@pytest.mark.parametrize("name", ["neural_gpu", "diagonal_neural_gpu"])
def test_large_inputs_stay_finite_and_bounded(name: str) -> None:
    processor = filled(name)
    topology = DenseTopology(2, 6)
    x = (torch.randn(2, 6, WIDTH) * 1e6).requires_grad_()
    step = processor(Inputs(Latents(x)), Latents(torch.zeros(2, 6, WIDTH)), topology, ())
    (step.hidden.nodes.sum() + sum(value.sum() for value in step.penalties.values())).backward()
    assert step.hidden.nodes.abs().max() <= 1 and x.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in processor.parameters())


def test_parameters_are_counted_by_hand() -> None:
    count = sum(p.numel() for p in zoo.create("neural_gpu", hidden_size=24).parameters())
    assert count == 2 * 3 * (9 * 24**2 + 24)
    count = sum(p.numel() for p in zoo.create("diagonal_neural_gpu", hidden_size=96).parameters())
    assert count == 3 * (3 * 96**2 + 96)


@pytest.mark.parametrize(("name", "width", "lr"), [("neural_gpu", 8, 1e-2), ("diagonal_neural_gpu", 18, 1e-2)])
def test_it_learns_running_parity(name: str, width: int, lr: float) -> None:
    torch.manual_seed(0)
    processor = zoo.create(name, hidden_size=width)
    assert accuracy_after(processor, lambda s: s.cumsum(1) % 2, length=3, symbols=2, steps=100, lr=lr) > 0.95


def test_impossible_sizes_are_refused() -> None:
    for name in ("height", "units", "relaxations"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1"):
            zoo.create("neural_gpu", **{name: 0})
    with pytest.raises(ValueError, match="saturation_decay must be above 0"):
        zoo.create("diagonal_neural_gpu", saturation_decay=0.0)
    with pytest.raises(ValueError, match="dropout must be from 0 to below 1"):
        zoo.create("diagonal_neural_gpu", dropout=1.0)
    with pytest.raises(ValueError, match="cutoff must be at least 1"):
        zoo.create("neural_gpu", cutoff=0.5)
