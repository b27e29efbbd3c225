"""Neural Shuffle-Exchange against its equations: switches pair by pair, wires by the bits of positions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import zoo
from tests.zoo.graphs import one_graph, random_graphs, random_inputs
from tests.zoo.sequence.fitting import accuracy_after
from zoo.processor import Inputs, Latents
from zoo.sequence.shuffle_exchange import SwitchUnit, swap_half
from zoo.topology import DenseTopology

WIDTH = 3


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def unit(switch: SwitchUnit, pair: list[Tensor], came: list[Tensor] | None) -> list[Tensor]:
    """One switch of two tokens."""
    s = torch.cat(pair if came is None else [p + switch.skip_scale * c for p, c in zip(pair, came, strict=True)])
    outputs = []
    for mine in range(2):
        r = sigmoid(switch.resets[mine].weight @ s + switch.resets[mine].bias)
        c = torch.tanh(switch.candidates[mine].weight @ (r * s) + switch.candidates[mine].bias)
        u = sigmoid(switch.update.weight @ s + switch.update.bias)[mine * WIDTH : (mine + 1) * WIDTH]
        swapped = pair[mine].clone()
        swapped[: WIDTH // 2] = pair[1 - mine][: WIDTH // 2]
        outputs.append(u * swapped + (1 - u) * c)
    return outputs


def network(processor, sequence: list[Tensor]) -> list[Tensor]:
    """All blocks and the last switch on one padded sequence; wires are looked up in lists of bits."""
    bits = (len(sequence) - 1).bit_length()
    names = [tuple((k >> b) & 1 for b in reversed(range(bits))) for k in range(len(sequence))]
    before: list[list[Tensor]] = []

    def switched(switch: SwitchUnit, sequence: list[Tensor], came: list[Tensor] | None) -> list[Tensor]:
        result = []
        for k in range(0, len(sequence), 2):
            result += unit(switch, sequence[k : k + 2], None if came is None else came[k : k + 2])
        return result

    for block in processor.blocks:
        now = []
        for layer in range(2 * (bits - 1)):
            now.append(sequence)
            first = layer < bits - 1
            switch = block.forward_switch if first else block.reverse_switch
            out = switched(switch, sequence, before[layer] if before else None)
            shift = 1 if first else -1
            sequence = [out[names.index(name[shift:] + name[:shift])] for name in names]
        before = now
    last = before[0] if before and len(processor.blocks) > 1 else None
    return switched(processor.last_switch, sequence, last)


@pytest.mark.parametrize(("nodes", "blocks"), [(1, 1), (2, 2), (3, 1), (6, 2), (8, 3), (9, 1)])
def test_step_follows_the_equations(nodes: int, blocks: int, float64) -> None:
    processor = zoo.create("shuffle_exchange", hidden_size=WIDTH, blocks=blocks)
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter)
    sizes = [nodes, max(1, nodes // 2)]
    graphs = random_graphs(sizes)
    inputs = random_inputs(graphs.dense, WIDTH, edges=False)
    x, _, graph = inputs.encoded
    hidden = torch.randn_like(x)
    found = processor(inputs, Latents(hidden), graphs.dense, ()).hidden.nodes
    padded = max(2, 2 ** (nodes - 1).bit_length())
    for g, size in enumerate(sizes):
        sequence = [torch.tanh(x[g, i] + graph[g] + hidden[g, i]) for i in range(size)]
        expected = network(processor, sequence + [torch.zeros(WIDTH)] * (padded - size))
        for i in range(size):
            torch.testing.assert_close(found[g, i], expected[i], rtol=1e-9, atol=1e-10)


def test_half_of_the_units_change_places() -> None:
    sequence = torch.randn(2, 6, 4)
    swapped = swap_half(sequence)
    assert torch.equal(swapped[:, 0::2, :2], sequence[:, 1::2, :2])
    assert torch.equal(swapped[:, 1::2, :2], sequence[:, 0::2, :2])
    assert torch.equal(swapped[..., 2:], sequence[..., 2:])
    assert torch.equal(swap_half(swapped), sequence)


def test_open_gates_only_permute() -> None:
    """With u = 1 nothing is computed: the numbers of a sequence come out as they went in, at other places."""
    processor = zoo.create("shuffle_exchange", hidden_size=4, blocks=2)
    for switch in [m for m in processor.modules() if isinstance(m, SwitchUnit)]:
        torch.nn.init.constant_(switch.update.bias, 1e4)
    topology = DenseTopology(1, 8)
    inputs = random_inputs(topology, 4, edges=False, graph=False)
    found = processor(inputs, processor.zeros(inputs), topology, ()).hidden.nodes
    given = inputs.encoded.nodes.tanh()
    assert torch.equal(found.flatten().sort().values, given.flatten().sort().values)
    assert not torch.equal(found, given)


@pytest.mark.parametrize("bias", [-1e4, 1e4])
def test_saturated_gates_stay_finite(bias: float) -> None:
    processor = zoo.create("shuffle_exchange", hidden_size=4, blocks=2)
    for switch in [m for m in processor.modules() if isinstance(m, SwitchUnit)]:
        for gate in (*switch.resets, switch.update):
            torch.nn.init.constant_(gate.bias, bias)
    topology = DenseTopology(2, 5)
    x = torch.full((2, 5, 4), 1e4, requires_grad=True)
    out = processor(Inputs(Latents(x)), Latents(torch.zeros(2, 5, 4)), topology, ()).hidden.nodes
    out.sum().backward()
    assert out.isfinite().all() and out.abs().max() <= 1 and x.grad.isfinite().all()


@pytest.mark.parametrize("nodes", [2, 3, 5, 8, 16])
def test_every_token_reaches_every_other(nodes: int, float64) -> None:
    processor = zoo.create("shuffle_exchange", hidden_size=4)
    topology = DenseTopology(1, nodes)
    (jacobian,) = torch.autograd.functional.jacobian(
        lambda x: (processor(Inputs(Latents(x)), Latents(torch.zeros_like(x)), topology, ()).hidden.nodes,),
        torch.randn(1, nodes, 4),
    )
    assert (jacobian.abs().sum((2, 5))[0, :, 0] > 0).all()


def test_result_depends_on_the_padded_length(float64) -> None:
    """The declared exception is real, and no wider: within one power of two nothing depends on the batch."""
    processor = zoo.create("shuffle_exchange", hidden_size=WIDTH)
    assert not processor.batch_independent
    graphs = random_graphs([3, 8])
    inputs = random_inputs(graphs.dense, WIDTH)
    together = processor(inputs, processor.zeros(inputs), graphs.dense, ()).hidden.nodes[0, :3]
    topology, own = one_graph(graphs, inputs, 0, padded=False)
    alone = processor(own, processor.zeros(own), topology, ()).hidden.nodes[0]
    assert (together - alone).abs().max() > 1e-4


def test_parameters_are_counted_by_hand() -> None:
    """A unit of width m has 16 m² weights and 8 m biases; three units a block less the shared last one."""
    processor = zoo.create("shuffle_exchange", hidden_size=192)
    count = sum(parameter.numel() for parameter in processor.parameters())
    assert count == 3 * (16 * 192**2 + 8 * 192)


def test_it_learns_to_reverse() -> None:
    torch.manual_seed(0)
    processor = zoo.create("shuffle_exchange", hidden_size=24)
    score = accuracy_after(processor, lambda s: s.flip(1), length=4, symbols=3, steps=120, lr=1e-2)
    assert score > 0.95


def test_no_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="blocks must be at least 1"):
        zoo.create("shuffle_exchange", blocks=0)
