"""Sparse access memory against a dense transcription of its paper, in value and gradient; what makes it sparse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from tests.zoo.memory.cells import SAM_SETTINGS, make, tokens, used_state
from zoo.chunks import HAS_NUMBA
from zoo.memory import sam_scan
from zoo.memory.addressing import content_weighting
from zoo.memory.external import ControllerState
from zoo.memory.sam import NORM_EPSILON, SAMState
from zoo.memory.sparse_access import least_recent, nearest, spread, take, weigh


def controlled(cell: Any, x: Tensor, hidden: list[Tensor], cells: list[Tensor]) -> Tensor:
    """The controller's output for one sample; its layers' states are replaced in the lists."""
    for depth, layer in enumerate(cell.controller.layers):
        if cell.config.controller == "feedforward":
            x = torch.tanh(layer.weight @ x + layer.bias)
            continue
        out, open_, forget, candidate = (layer.weight @ torch.cat([x, hidden[depth]]) + layer.bias).chunk(4)
        cells[depth] = forget.sigmoid() * cells[depth] + open_.sigmoid() * candidate.tanh()
        hidden[depth] = x = out.sigmoid() * cells[depth].tanh()
    return x


def cosine(u: Tensor, v: Tensor) -> Tensor:
    return (u @ v) / ((u @ u + NORM_EPSILON) * (v @ v + NORM_EPSILON)).sqrt()


def transcribed(cell: Any, xs: Tensor, state: SAMState) -> tuple[Tensor, dict[str, Tensor]]:
    """Equations 1 to 6 of Rae et al. (2016) with weightings of all slots, for one sample of `xs` and `state`."""
    heads, word, slots = cell.config.read_heads, cell.config.word, cell.config.slots
    memory, reads = state.memory[0], [*state.reads[0]]
    reading = spread(state.read_slots, state.read_weights, slots)[0]
    accessed, clock = state.accessed[0].tolist(), int(state.clock[0])
    hidden, cells, ys = [*state.controller.hidden[0]], [*state.controller.cell[0]], []
    for x in xs[0]:
        out = controlled(cell, torch.cat([x, *reads]), hidden, cells)
        told = cell.interface.weight @ out + cell.interface.bias
        if cell.config.clip is not None:
            told = told.clamp(-cell.config.clip, cell.config.clip)
        keys, adds, rest = told[: heads * word], told[heads * word : 2 * heads * word], told[2 * heads * word :]
        clock += 1
        by_age = sorted(range(slots), key=lambda i: (accessed[i], i))
        oldest = torch.eye(slots, dtype=xs.dtype)[by_age[:heads]]  # eq. 6
        write_gates, gates = rest[heads : 2 * heads].sigmoid(), rest[2 * heads :].sigmoid()
        writing = [write_gates[h] * (gates[h] * reading[h] + (1 - gates[h]) * oldest[h]) for h in range(heads)]  # eq. 5
        for h in range(heads):
            memory = memory * (1 - torch.outer(oldest[h], torch.ones(word, dtype=xs.dtype)))
        for h in range(heads):
            memory = memory + torch.outer(writing[h], adds[h * word : (h + 1) * word])  # eq. 3
        weightings = []
        for h in range(heads):
            similar = torch.stack([cosine(keys[h * word : (h + 1) * word], slot) for slot in memory])
            ranked = sorted((-value, slot) for slot, value in enumerate(similar.tolist()))
            best = [slot for _, slot in ranked[: cell.config.slots_read]]
            scores = (1 + torch.nn.functional.softplus(rest[h])) * similar
            outside = torch.ones(slots, dtype=torch.bool).index_fill(0, torch.tensor(best), False)
            weightings.append(scores.masked_fill(outside, -torch.inf).softmax(0))  # eq. 2
        reading = torch.stack(weightings)
        reads = [*(reading @ memory)]  # eq. 4
        accesses = torch.stack(writing).sum(0) + reading.sum(0)
        if cell.config.usage == "discounted":
            accessed = [cell.config.discount * accessed[i] + float(accesses[i].detach()) for i in range(slots)]
        else:
            accessed = [clock if accesses[i] > cell.config.threshold else accessed[i] for i in range(slots)]
        ys.append(cell.output(torch.cat([out, *reads])))
    after = {
        "memory": memory,
        "reading": reading,
        "reads": torch.stack(reads),
        "accessed": torch.tensor(accessed, dtype=state.accessed.dtype),
    }
    layers = {"hidden": torch.stack(hidden), "cell": torch.stack(cells)} if hidden else {}
    return torch.stack(ys), after | layers


def mixture(values: list[Tensor]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return sum((v * torch.randn(v.shape, generator=generator, dtype=v.dtype)).sum() for v in values)


@pytest.mark.parametrize("method", ["loop", "scan"])
@pytest.mark.parametrize("name", SAM_SETTINGS)
def test_values_and_gradients_are_those_of_the_dense_transcription(name: str, method: str) -> None:
    cell: Any = make(name)
    xs, state = tokens(1, 6), used_state(cell, 1)
    results, gradients = [], []
    for run in (lambda x, s: transcribed(cell, x, s), getattr(cell, method)):
        x = xs.clone().requires_grad_()
        memory, weights, reads = (
            value.clone().requires_grad_() for value in (state.memory, state.read_weights, state.reads)
        )
        ys, after = run(x, state._replace(memory=memory, read_weights=weights, reads=reads))
        if isinstance(after, SAMState):
            ys, reading = ys[0], spread(after.read_slots, after.read_weights, cell.config.slots)[0]
            found = {"memory": after.memory[0], "reading": reading, "reads": after.reads[0]}
            found["accessed"] = after.accessed[0]
            if cell.config.controller == "lstm":
                found |= {"hidden": after.controller.hidden[0], "cell": after.controller.cell[0]}
            after = found
        results.append([ys, *after.values()])
        parameters = [p for n, p in cell.named_parameters() if "first" not in n and "initial" not in n]
        loss = mixture([value for value in results[-1] if value.requires_grad])
        gradients.append(torch.autograd.grad(loss, [x, memory, weights, reads, *parameters]))
    for expected, value in zip(*results, strict=True):
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-10)
    for expected, value in zip(*gradients, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-10)


def test_a_head_that_reads_every_slot_addresses_by_content() -> None:
    memory, keys = torch.randn(2, 5, 3), torch.randn(2, 4, 3)
    strengths = torch.rand(2, 4) + 1
    slots = nearest(memory, keys, 5, epsilon=NORM_EPSILON)
    weights = weigh(take(memory, slots), keys, strengths, epsilon=NORM_EPSILON)
    expected = content_weighting(memory, keys, strengths, epsilon=NORM_EPSILON)
    torch.testing.assert_close(spread(slots, weights, 5), expected)
    assert (weights.diff(dim=2) <= 1e-6).all()


def test_the_first_of_equal_slots_is_taken() -> None:
    memory = torch.tensor([[[1.0, 0], [0, 0], [0, 0], [2, 0], [0, 0]]])
    keys = torch.tensor([[[-1.0, 0.0]]])
    assert nearest(memory, keys, 3, epsilon=NORM_EPSILON).tolist() == [[[1, 2, 4]]]
    assert least_recent(torch.tensor([[3, 1, 0, 1, 0]]), 4).tolist() == [[2, 4, 1, 3]]


@pytest.mark.skipif(not HAS_NUMBA, reason="the kernels need numba")
@pytest.mark.parametrize(("slots", "entries"), [(7, 3), (64, 4), (200, 8)])
def test_the_search_finds_what_a_sort_finds(slots: int, entries: int) -> None:
    from zoo.memory.sam_kernels import search

    scores, scale = torch.randint(-9, 9, (slots,)).double(), torch.rand(slots, dtype=torch.float64).round(decimals=1)
    found, best = torch.empty(entries, dtype=torch.long), torch.empty(entries, dtype=torch.float64)
    search(scores.numpy(), scale.numpy(), found.numpy(), best.numpy())
    expected = torch.sort(scores * scale, dim=0, descending=True, stable=True)
    assert torch.equal(found, expected.indices[:entries]) and torch.equal(best, expected.values[:entries])


def gated(write_gate: float, interpolation_gate: float) -> Any:
    """A cell of one head whose gates, before their sigmoids, are these."""
    cell: Any = make("sam", read_heads=1, clip=None)
    with torch.no_grad():
        cell.interface.weight[-2:] = 0
        cell.interface.bias[-2:] = torch.tensor([write_gate, interpolation_gate], dtype=torch.float64)
    return cell


@pytest.mark.parametrize("method", ["loop", "scan"])
def test_an_open_gate_writes_to_the_slot_accessed_longest_ago(method: str) -> None:
    cell = gated(50, -50)
    xs, state = tokens(1, 1), used_state(cell, 1)
    accessed = torch.tensor([[4, 2, 7, 1, 5, 3, 6]])
    with torch.no_grad():
        _, after = getattr(cell, method)(xs, state._replace(accessed=accessed, clock=torch.tensor([7])))
    changed = ((after.memory - state.memory).abs() > 1e-9).any(2)[0].nonzero().flatten().tolist()
    assert changed == [3] and int(after.accessed[0, 3]) == 8
    others = torch.tensor([slot for slot in range(7) if slot not in (3, *after.read_slots.flatten().tolist())])
    assert torch.equal(after.accessed[0, others], accessed[0, others])


@pytest.mark.parametrize("method", ["loop", "scan"])
def test_what_was_read_before_is_added_to(method: str) -> None:
    cell = gated(50, 50)
    xs, state = tokens(1, 1), used_state(cell, 1)
    state = state._replace(accessed=torch.tensor([[1, 1, 1, 1, 1, 1, 0]]))
    state = state._replace(read_slots=torch.tensor([[[4, 0, 2]]]))
    with torch.no_grad():
        _, after = getattr(cell, method)(xs, state)
        added = cell.observe(xs[:, 0], state)[2]["adds"][0, 0]
    expected = state.memory[0].clone()
    expected[[4, 0, 2]] += state.read_weights[0, 0, :, None] * added
    expected[6] = 0
    torch.testing.assert_close(after.memory[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["loop", "scan"])
def test_an_access_of_no_more_weight_than_the_threshold_does_not_count(method: str) -> None:
    cell: Any = make("sam", read_heads=1, threshold=2.0)
    xs, state = tokens(1, 3), used_state(cell, 1)
    accessed = torch.tensor([[4, 2, 7, 1, 5, 3, 6]])
    with torch.no_grad():
        _, after = getattr(cell, method)(xs, state._replace(accessed=accessed))
    assert torch.equal(after.accessed, accessed) and int(after.clock) == int(state.clock) + 3


@pytest.mark.parametrize("usage", ["last", "discounted"])
def test_reading_all_slots_is_reading_as_many_as_there_are(usage: str) -> None:
    cell: Any = make("sam", read_heads=2, entries=7, usage=usage, threshold=0.3)
    twin: Any = make("sam", read_heads=2, entries=None, usage=usage, threshold=0.3)
    twin.load_state_dict(cell.state_dict())
    xs = tokens(3, 9)
    (ys, after), (expected, last) = (one.loop(xs, one.initial(3, like=xs)) for one in (twin, cell))
    torch.testing.assert_close(ys, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(after.memory, last.memory, rtol=0, atol=1e-12)
    torch.testing.assert_close(after.accessed, last.accessed, rtol=0, atol=1e-12)


def test_the_least_used_slot_is_written_where_use_is_discounted() -> None:
    cell: Any = make("sam", read_heads=1, clip=None, entries=None, usage="discounted", discount=0.5)
    with torch.no_grad():
        cell.interface.weight[-2:] = 0
        cell.interface.bias[-2:] = torch.tensor([50, -50], dtype=torch.float64)
        xs, state = tokens(1, 1), used_state(cell, 1)
        used = torch.tensor([[4, 2, 7, 1.5, 1, 3, 6]], dtype=torch.float64)
        _, after = cell.scan(xs, state._replace(accessed=used))
    changed = ((after.memory - state.memory).abs() > 1e-9).any(2)[0].nonzero().flatten().tolist()
    assert changed == [4]
    expected = used / 2 + spread(after.read_slots, after.read_weights, 7).sum(1)
    expected[0, 4] += 1
    torch.testing.assert_close(after.accessed, expected, rtol=0, atol=1e-12)


def test_memory_is_restored_on_the_way_back_and_the_one_handed_out_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[Tensor] = []
    monkeypatch.setattr(sam_scan, "_private", lambda memory: copies.append(memory.clone()) or copies[-1])
    cell: Any = make("sam")
    xs, state = tokens(3, 6), used_state(cell)
    mask = torch.tensor([[1, 1, 0, 1, 1, 1], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]], dtype=torch.bool)
    ys, after = cell.scan(xs, state, mask)
    handed_out = after.memory.detach().clone()
    assert not torch.equal(handed_out, state.memory)
    for _ in range(2):
        ys.square().sum().backward(retain_graph=True)
        assert torch.equal(copies[-1], state.memory)
        assert torch.equal(after.memory, handed_out)


def kept_bytes(cell: Any, length: int) -> int:
    """What a scan keeps for the way back."""
    kept: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor.nbytes)
        return tensor

    xs = tokens(1, length)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        cell.scan(xs, cell.initial(1, like=xs))
    return sum(kept)


def test_what_a_token_costs_to_keep_does_not_grow_with_the_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    gradient_rows = sam_scan._gradient_rows

    def counted(*arguments: Any, **options: Any) -> Any:
        found = gradient_rows(*arguments, **options)
        rows.append(found[0].shape[1])
        return found

    monkeypatch.setattr(sam_scan, "_gradient_rows", counted)
    a_token = {}
    for slots in (64, 1024):
        cell = make("sam", slots=slots)
        a_token[slots] = kept_bytes(cell, 6) - kept_bytes(cell, 5)
        xs = tokens(1, 4)
        cell.scan(xs, cell.initial(1, like=xs))[0].square().sum().backward()
    assert a_token[64] == a_token[1024]
    assert rows[0] == rows[1] < 64


@pytest.mark.parametrize("method", ["loop", "scan"])
@pytest.mark.parametrize("scale", [0.0, 1e3])
def test_values_and_gradients_stay_finite_at_zero_memory_and_extreme_interfaces(method: str, scale: float) -> None:
    cell: Any = make("sam").float()
    with torch.no_grad():
        cell.interface.weight *= scale
        cell.interface.bias *= scale
    xs = tokens(length=12).float()
    ys, after = getattr(cell, method)(xs, cell.initial(3, like=xs))
    (ys.sum() + after.memory.square().sum()).backward()
    assert ys.isfinite().all() and after.memory.isfinite().all()
    for name, parameter in cell.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def test_scan_without_kernels_is_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    cell: Any = make("sam")
    xs, state = tokens(), used_state(cell)
    with_kernels = cell.scan(xs, state)
    monkeypatch.setattr("zoo.memory.cell.HAS_NUMBA", False)
    monkeypatch.setattr("zoo.memory.sam_scan.SAMScan.apply", None)
    ys, after = cell.scan(xs, state)
    torch.testing.assert_close(ys, with_kernels[0], rtol=0, atol=1e-10)
    assert isinstance(after.controller, ControllerState) and torch.equal(after.accessed, with_kernels[1].accessed)


def test_sam_learns_to_recall_what_it_was_shown() -> None:
    sizes = {"hidden_size": 12, "input_size": 3, "controller_size": 12, "slots": 64, "word": 6, "read_heads": 1}
    processor: Any = zoo.create("sam", tokens="inputs", controller="feedforward", entries=2, **sizes).double()
    decoder = torch.nn.Linear(12, 1).double()
    optimizer = torch.optim.Adam([*processor.parameters(), *decoder.parameters()], lr=2e-2)
    bits = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 2)
    xs = torch.zeros(4, 4, 3, dtype=torch.float64)
    xs[:, :2, 0] = 2 * bits - 1
    xs[:, :2, 1] = torch.tensor([-1.0, 1])
    xs[:, 2:, 2], xs[:, 2:, 1] = 1, torch.tensor([-1.0, 1])
    loss = torch.tensor(1.0)
    for _ in range(200):
        ys, _ = processor.cell.scan(xs, processor.cell.initial(4, like=xs))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(decoder(ys[:, 2:])[..., 0], bits)
        if loss < 0.05:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


@pytest.mark.parametrize("options", [{"entries": 9}, {"read_heads": 9}, {"threshold": -0.1}])
def test_a_wrong_option_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        zoo.create("sam", slots=8, **options)
