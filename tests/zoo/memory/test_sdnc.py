"""The sparse DNC against a slow transcription, and what its links promise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from tests.zoo.memory.transcriptions import Array, Linear, controller, cosine, sigmoid, softmax, softplus
from zoo.memory import SDNCCell, SDNCConfig
from zoo.memory.links import SparseLink, update_link, update_precedence
from zoo.memory.sam import NORM_EPSILON
from zoo.memory.sdnc import Links, between, reach, update_links


def make(**options: Any) -> SDNCCell:
    sizes: dict[str, Any] = {"input_size": 4, "hidden_size": 6, "controller_size": 5, "slots": 9, "word": 3}
    sizes |= {"read_heads": 2, "entries": 3, "link_entries": 3}
    cell = SDNCCell(SDNCConfig(**sizes | options)).double()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return cell


def tokens(batch: int = 2, length: int = 8) -> Tensor:
    return torch.randn(batch, length, 4, dtype=torch.float64)


def linear(module: Any) -> Linear:
    return Linear(module.weight.detach().numpy(), module.bias.detach().numpy())


def top(weighting: Array, count: int) -> Array:
    """All but the largest entries set to zero."""
    kept = sorted(range(len(weighting)), key=lambda i: (-weighting[i], i))[:count]
    return np.array([weighting[i] if i in kept else 0.0 for i in range(len(weighting))])


def relink(state: dict[str, Array], head: int, w: Array, entries: int) -> tuple[Array, Array, Array]:
    """One head's N, P and precedence after it has written."""
    slots, p = len(w), state["precedence"][head]
    following, preceding = state["next"][head].copy(), state["previous"][head].copy()
    for i in range(slots):
        for j in range(slots):
            following[i, j] = (1 - w[i]) * following[i, j] + (w[i] * p[j] if i != j else 0)  # eq. 19
            preceding[i, j] = (1 - w[j]) * preceding[i, j] + (w[j] * p[i] if i != j else 0)  # eq. 20
    following = np.array([top(row, entries) for row in following])
    preceding = np.array([top(row, entries) for row in preceding])
    return following, preceding, top((1 - sum(w)) * p + w, entries)  # eq. 11


def sdnc_step(cell: SDNCCell, x: Array, state: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
    """One token through a sparse DNC, with dense weightings and links."""
    config = cell.config
    heads, word, slots = config.read_heads, config.word, config.slots
    layers = [linear(layer) for layer in cell.controller.layers]
    interface, output = linear(cell.interface), linear(cell.output)
    inputs = np.concatenate([x, *state["reads"]])
    out, hidden, cells = controller(layers, inputs, state["hidden"], state["cell"], recurrent=True, skip=False)
    told = iter(np.clip(interface(out), -config.clip, config.clip))  # type: ignore[operator]
    take = lambda *shape: np.array([next(told) for _ in range(math.prod(shape))]).reshape(shape)  # noqa: E731
    keys, adds, strengths = take(heads, word), take(heads, word), 1 + softplus(take(heads))
    alpha, gamma, modes = sigmoid(take(heads)), sigmoid(take(heads)), [softmax(row) for row in take(heads, 3)]

    order = sorted(range(slots), key=lambda i: (state["accessed"][i], i))
    memory, writing = state["memory"].copy(), np.zeros((heads, slots))
    for h in range(heads):
        unit = np.eye(slots)[order[h]]
        writing[h] = alpha[h] * (gamma[h] * state["read_weightings"][h] + (1 - gamma[h]) * unit)  # eq. 5
        memory[order[h]] = 0
    for h in range(heads):
        for i in range(slots):
            memory[i] += writing[h, i] * adds[h]  # eq. 3
    links = [relink(state, h, writing[h], config.link_entries) for h in range(heads)]
    following, preceding, precedence = (np.array(part) for part in zip(*links, strict=True))
    reading = np.zeros((heads, slots))
    for h in range(heads):
        scores = np.array([cosine(keys[h], slot, NORM_EPSILON) for slot in memory])
        near = sorted(range(slots), key=lambda i: -scores[i])[: config.entries]
        content = np.zeros(slots)
        content[near] = softmax([strengths[h] * scores[i] for i in near])
        before = state["read_weightings"][h]
        forward = [sum(following[h, i, j] * before[j] for j in range(slots)) for i in range(slots)]  # eq. 21
        backward = [sum(preceding[h, i, j] * before[j] for j in range(slots)) for i in range(slots)]  # eq. 22
        mixture = modes[h][0] * np.array(backward) + modes[h][1] * content + modes[h][2] * np.array(forward)
        reading[h] = top(mixture, config.entries)
    reads = np.array([sum(w[i] * memory[i] for i in range(slots)) for w in reading])
    clock = state["clock"] + 1
    touched = writing.sum(0) + reading.sum(0) > config.threshold
    accessed = np.where(touched, clock, state["accessed"])
    after = {"memory": memory, "accessed": accessed, "clock": clock, "next": following, "previous": preceding}
    after |= {"precedence": precedence, "read_weightings": reading, "reads": reads, "hidden": hidden, "cell": cells}
    return output(np.concatenate([out, *reads])), after


def dense(state: Any, index: int, slots: int) -> dict[str, Array]:
    """One sample's state, its sparse parts as vectors and matrices."""
    links: Links = state.links
    heads = range(links.last.shape[1])
    precedence, reading = np.zeros((len(heads), slots)), np.zeros((len(heads), slots))
    for h in heads:
        for slot, value in zip(links.last[index, h].tolist(), links.precedence[index, h].tolist(), strict=True):
            precedence[h, slot] += value
        for slot, value in zip(state.read_slots[index, h].tolist(), state.read_weights[index, h].tolist(), strict=True):
            reading[h, slot] += value
    same = {name: getattr(state, name)[index].numpy() for name in ("memory", "accessed", "clock", "reads")}
    matrices = {"next": links.next.dense()[index].numpy(), "previous": links.previous.dense()[index].numpy()}
    own = {"hidden": state.controller.hidden[index].numpy(), "cell": state.controller.cell[index].numpy()}
    return same | matrices | own | {"precedence": precedence, "read_weightings": reading}


@pytest.mark.parametrize("options", [{}, {"read_heads": 1, "entries": 5, "link_entries": 2}], ids=str)
def test_sdnc_follows_the_papers_equations(options: dict[str, Any]) -> None:
    cell, xs = make(**options), tokens()
    with torch.no_grad():
        start = cell.loop(tokens(2, 12), cell.initial(2, like=xs))[1]
        ys, after = cell.scan(xs, start)
    for index in range(2):
        slow = dense(start, index, 9)
        assert (slow["next"] > 0).sum() > 9, "there must be links to follow"
        for position in range(xs.shape[1]):
            y, slow = sdnc_step(cell, xs[index, position].numpy(), slow)
            np.testing.assert_allclose(ys[index, position].numpy(), y, rtol=0, atol=1e-10)
        fast = dense(after, index, 9)
        assert fast.keys() == slow.keys()
        for name in slow:
            np.testing.assert_allclose(fast[name], slow[name], rtol=0, atol=1e-10, err_msg=name)


def empty(slots: int, kept: int) -> Links:
    link = SparseLink(torch.zeros(1, 1, slots, kept, dtype=torch.long), torch.zeros(1, 1, slots, kept))
    return Links(link, link, torch.arange(kept).expand(1, 1, kept), torch.zeros(1, 1, kept))


def test_links_of_writes_to_ever_new_slots_are_the_dncs() -> None:
    links, full, precedence = empty(8, 2), torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8)
    for slot in torch.randperm(8).tolist():
        writing = torch.eye(8)[None, None, slot]
        links, full = update_links(links, writing, 3), update_link(full, precedence, writing)
        precedence = update_precedence(precedence, writing)
    torch.testing.assert_close(links.next.dense(), full)
    torch.testing.assert_close(links.previous.dense(), full.mT)
    assert full.sum() == 7


def test_following_links_is_a_product_with_their_matrix() -> None:
    columns = torch.stack([torch.randperm(8)[:3] for _ in range(16)]).reshape(1, 2, 8, 3)
    link = SparseLink(columns, torch.rand(1, 2, 8, 3))
    slots, weights = torch.stack([torch.randperm(8)[:4] for _ in range(2)])[None], torch.rand(1, 2, 4)
    vector = torch.zeros(1, 2, 8).scatter(2, slots, weights)
    torch.testing.assert_close(reach(link, slots, weights), (link.dense() @ vector[..., None])[..., 0])
    rows = torch.stack([torch.randperm(8)[:5] for _ in range(2)])[None]
    entries = link.dense().gather(2, rows[..., None].expand(1, 2, 5, 8)).gather(3, slots[:, :, None].expand(1, 2, 5, 4))
    torch.testing.assert_close(between(link, rows, slots), entries)


def test_weights_and_links_sum_to_at_most_one_and_are_few() -> None:
    cell = make()
    xs = tokens(2, 30)
    with torch.no_grad():
        _, state = cell.scan(xs, cell.initial(2, like=xs))
    for weights in (state.read_weights, state.links.precedence, state.links.next.dense()):
        assert (weights >= 0).all() and (weights.sum(-1) <= 1 + 1e-9).all()
    for link in (state.links.next, state.links.previous):
        matrix = link.dense()
        assert ((matrix > 0).sum(-1) <= 3).all() and not matrix.diagonal(dim1=2, dim2=3).any()


def test_gradient_is_that_of_the_values_where_links_have_one() -> None:
    cell, published = make(detach_links=False, entries=6), make(entries=6)
    published.load_state_dict(cell.state_dict())
    xs = tokens(1, 4).requires_grad_()
    with torch.no_grad():
        leaves, structure = tree_flatten(cell.loop(tokens(1, 10), cell.initial(1, like=xs))[1])

    def outputs(xs: Tensor, cell: SDNCCell = cell) -> Tensor:
        return cell.scan(xs, tree_unflatten(leaves, structure))[0]

    assert torch.autograd.gradcheck(outputs, (xs,), fast_mode=True)
    whole, part = (torch.autograd.grad(outputs(xs, one).square().sum(), xs)[0] for one in (cell, published))
    assert not torch.allclose(whole, part, rtol=1e-3)


def test_gradient_reaches_every_parameter_and_none_the_links() -> None:
    cell, xs = make(memory_init="learned"), tokens()
    ys, state = cell.scan(xs, cell.initial(2, like=xs))
    assert not state.links.next.values.requires_grad and state.read_weights.requires_grad
    ys.square().sum().backward()
    for name, parameter in cell.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_what_a_step_keeps_for_the_way_back_is_a_mark_a_slot() -> None:
    def kept(slots: int) -> int:
        cell = SDNCCell(SDNCConfig(hidden_size=4, controller_size=4, word=8, slots=slots, entries=2, read_heads=2))
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        xs = torch.randn(1, 6, 4)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            ys, _ = cell.loop(xs, cell.initial(1, like=xs))
        assert ys.requires_grad
        return sum(sizes.values())

    assert (kept(2000) - kept(1000)) / 6000 <= 2


@pytest.mark.parametrize("scale", [0.0, 1e3])
def test_values_and_gradients_stay_finite_at_the_extremes(scale: float) -> None:
    cell, xs = make().float(), tokens(length=15).float() * scale
    with torch.no_grad():
        for parameter in cell.interface.parameters():
            parameter.mul_(scale)
    ys, after = cell.scan(xs, cell.initial(2, like=xs))
    (ys.sum() + after.memory.square().sum()).backward()
    assert ys.isfinite().all()
    for name, parameter in cell.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def test_masked_tokens_change_nothing() -> None:
    cell, xs = make(), tokens(2, 6)
    mask = torch.tensor([[1, 0, 1, 1, 0, 0], [0, 0, 1, 0, 1, 1]], dtype=torch.bool)
    with torch.no_grad():
        ys, after = cell.scan(xs, cell.initial(2, like=xs), mask)
        for sample in range(2):
            short, last = cell.scan(xs[sample : sample + 1, mask[sample]], cell.initial(1, like=xs))
            torch.testing.assert_close(ys[sample, mask[sample]], short[0], rtol=0, atol=1e-12)
            this = tree_map(lambda leaf, i=sample: leaf[i : i + 1], after)
            for found, leaf in zip(tree_leaves(this), tree_leaves(last), strict=True):
                torch.testing.assert_close(found, leaf, rtol=0, atol=1e-12)
    assert not ys[~mask].any()


def test_it_learns_to_recall_the_first_of_three_tokens() -> None:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"slots": 8, "word": 4, "read_heads": 1, "entries": 3, "link_entries": 2}
    cell = SDNCCell(SDNCConfig(input_size=4, hidden_size=2, controller="feedforward", controller_size=12, **sizes))
    optimiser = torch.optim.Adam(cell.parameters(), 5e-2)
    losses = []
    for _ in range(50):
        bits = torch.randint(2, (8, 2)).float()
        xs = torch.zeros(8, 3, 4)
        xs[:, 0, :2], xs[:, 0, 2], xs[:, 2, 3] = 2 * bits - 1, 1, 1
        ys, _ = cell.scan(xs, cell.initial(8, like=xs))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(ys[:, 2], bits)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) / 10 < 0.3, losses[::10]
