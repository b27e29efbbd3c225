"""What the DNC's options promise: several write heads, sparse links, soft allocation, masks, deallocation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.zoo.memory.cells import DNC_OPTIONS, make, tokens
from tests.zoo.memory.dnc_transcription import Options, relink
from zoo.memory import DNCCell, DNCConfig
from zoo.memory.addressing import content_weighting, cosine_similarity, masked_similarity, sharpen
from zoo.memory.dnc import NORM_EPSILON, SHARPEN_EPSILON
from zoo.memory.links import SparseLink, follow, update_link, update_precedence, update_sparse_link
from zoo.memory.usage import allocate, softmax_allocation, update_usage

SLOTS, ENTRIES = 7, 3


def empty_links(batch: int = 2, writes: int = 2) -> tuple[SparseLink, Tensor, Tensor]:
    """No links yet, sparse and dense, and no precedence."""
    written = torch.zeros(batch, writes, SLOTS, dtype=torch.float64)
    sparse = SparseLink(
        torch.zeros(batch, writes, SLOTS, ENTRIES, dtype=torch.long), written.new_zeros(batch, writes, SLOTS, ENTRIES)
    )
    return sparse, written.new_zeros(batch, writes, SLOTS, SLOTS), written


def test_sparse_links_equal_dense_ones_where_writes_are_hard() -> None:
    sparse, dense, precedence = empty_links()
    for _ in range(12):
        writing = torch.nn.functional.one_hot(torch.randint(SLOTS, (2, 2)), SLOTS).double()
        writing[0, 1] *= float(torch.rand(()) > 0.3)  # some steps write nothing
        sparse, dense = update_sparse_link(sparse, precedence, writing), update_link(dense, precedence, writing)
        precedence = update_precedence(precedence, writing)
        torch.testing.assert_close(sparse.dense(), dense, rtol=0, atol=1e-9)
    assert dense.sum() > 3


def test_sparse_links_follow_the_papers_approximation() -> None:
    sparse, full, precedence = empty_links()
    options, most = Options(links="sparse", entries=ENTRIES), 0
    for _ in range(30):
        writing = (4 * torch.randn(2, 2, SLOTS, dtype=torch.float64)).softmax(-1) * torch.rand(2, 2, 1).double().sqrt()
        sparse = update_sparse_link(sparse, precedence, writing)
        for index in torch.cartesian_prod(torch.arange(2), torch.arange(2)).tolist():
            at = tuple(index)
            link, before, now = full[at].numpy(), precedence[at].tolist(), writing[at].tolist()
            full[at] = torch.from_numpy(relink(link, before, now, options))
        precedence = update_precedence(precedence, writing)
        torch.testing.assert_close(sparse.dense(), full, rtol=0, atol=1e-9)
        most = max(most, int((full > 0).sum(-1).amax()))
    assert most >= 2, "some slot must have had several links"


def test_sparse_and_dense_links_lead_to_the_same_slots() -> None:
    columns = torch.stack([torch.randperm(SLOTS)[:ENTRIES] for _ in range(2 * 2 * SLOTS)])
    link = SparseLink(columns.reshape(2, 2, SLOTS, ENTRIES), torch.rand(2, 2, SLOTS, ENTRIES))
    reading = torch.rand(2, 3, SLOTS)
    for found, expected in zip(follow(link, reading), follow(link.dense(), reading), strict=True):
        assert expected.shape == (2, 3, 2, SLOTS)
        torch.testing.assert_close(found, expected)


def test_sparse_links_grow_with_the_slots_and_not_with_their_square() -> None:
    cell = DNCCell(DNCConfig(hidden_size=4, controller_size=4, slots=50, word=2, links="sparse", link_entries=3))
    state = cell.initial(1, like=torch.zeros(1))
    assert [tuple(part.shape) for part in state.link] == [(1, 1, 50, 3)] * 2


def test_write_heads_allocate_different_slots() -> None:
    found = allocate(torch.zeros(1, 5), torch.ones(1, 3))
    assert (found.amax(2) > 1 - 1e-5).all()
    assert len(set(found[0].argmax(1).tolist())) == 3
    closed = allocate(torch.zeros(1, 5), torch.zeros(1, 3))
    torch.testing.assert_close(closed[0], torch.eye(5)[[0, 0, 0]], rtol=0, atol=1e-5)


def test_a_slot_is_used_once_any_head_wrote_there() -> None:
    writing = torch.tensor([[[1.0, 0.0, 0.5], [0.0, 0.0, 0.5]]])
    usage = update_usage(torch.zeros(1, 3), writing, torch.ones(1, 3))
    torch.testing.assert_close(usage, torch.tensor([[1.0, 0.0, 0.75]]))


def test_soft_allocation_prefers_free_slots_and_has_a_gradient_at_all() -> None:
    usage = torch.tensor([[0.9, 0.1, 0.4]], requires_grad=True)
    free = softmax_allocation(usage, torch.tensor([3.0]))
    assert free[0, 1] > free[0, 2] > free[0, 0]
    torch.testing.assert_close(free.sum(), torch.tensor(1.0))
    free[0, 1].backward()
    assert usage.grad is not None and (usage.grad != 0).all()


def test_what_a_mask_hides_does_not_matter() -> None:
    memory, keys = torch.randn(2, 5, 4, dtype=torch.float64), torch.randn(2, 1, 4, dtype=torch.float64)
    mask = torch.tensor([1.0, 1.0, 0.0, 1.0], dtype=torch.float64).expand(2, 1, 4)
    other = memory.clone()
    other[..., 2] = 9.0
    one, two = (masked_similarity(m, keys, mask, epsilon=NORM_EPSILON) for m in (memory, other))
    torch.testing.assert_close(one, two)
    plain = cosine_similarity(memory * mask, keys * mask, epsilon=NORM_EPSILON)
    torch.testing.assert_close(one, plain)
    strengths = torch.ones(2, 1, dtype=torch.float64)
    unmasked = content_weighting(memory, keys, strengths, torch.ones_like(mask), epsilon=NORM_EPSILON)
    torch.testing.assert_close(unmasked, content_weighting(memory, keys, strengths, epsilon=NORM_EPSILON))


@pytest.mark.parametrize("deallocate", [False, True])
def test_deallocation_erases_what_is_freed(deallocate: bool) -> None:
    cell = make("dnc", read_heads=1, deallocate=deallocate)
    assert isinstance(cell, DNCCell)
    with torch.no_grad():
        cell.interface.weight.zero_()
        cell.interface.bias.zero_()
        parts = cell.interface.bias.split(cell.widths)
        parts[4].fill_(20)  # free what was read
        parts[6].fill_(-20)  # write nothing
        state = cell.initial(1, like=tokens())
        state = state._replace(
            memory=torch.ones_like(state.memory), read_weightings=torch.eye(7, dtype=torch.float64)[None, [2]]
        )
        _, after = cell(tokens(1, 1)[:, 0], state)
    assert after.memory[0, 2].amax() < 1e-6 if deallocate else (after.memory[0, 2] > 0.99).all()
    assert (after.memory[0, [0, 1, 3, 4, 5, 6]] > 0.99).all()


def test_sharpened_links_lead_to_the_likelier_slot() -> None:
    ahead = torch.tensor([[0.0, 0.3, 0.2, 0.0]])
    torch.testing.assert_close(sharpen(ahead, torch.ones(1), epsilon=SHARPEN_EPSILON), ahead * 2, rtol=0, atol=1e-4)
    assert sharpen(ahead, torch.full((1,), 20.0), epsilon=SHARPEN_EPSILON)[0, 1] > 0.99


def test_the_interface_has_the_published_channels() -> None:
    reads, word = 5, 50
    plain, unlinked = (
        DNCCell(DNCConfig(hidden_size=4, controller_size=4, slots=9, word=word, read_heads=reads, links=links))
        for links in ("dense", "none")
    )
    assert sum(plain.widths) == word * reads + 3 * word + 5 * reads + 3  # Graves et al. 2016, Methods
    assert sum(unlinked.widths) == (3 + reads) * word + 2 * reads + 3  # JoergFranke/ADNC, content-based memory unit


@pytest.mark.parametrize("name", ["dnc", *DNC_OPTIONS])
def test_every_track_is_recorded_with_its_axes(name: str) -> None:
    cell = make(name)
    assert isinstance(cell, DNCCell)
    xs = tokens(2, 3)
    ys, _, record = cell.record(xs, cell.initial(2, like=xs))
    torch.testing.assert_close(ys, cell.scan(xs, cell.initial(2, like=xs))[0])
    assert record.keys() == cell.tracks.keys()
    linked = cell.config.links != "none"
    assert len([track for track in record if track.startswith("link")]) == linked * cell.config.write_heads
    for track, values in record.items():
        assert values.dim() == 1 + len(cell.tracks[track].axes), track
        assert not cell.tracks[track].labels or values.shape[-1] == len(cell.tracks[track].labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"links": "none", "sharpen_links": True}, "sharpen_links needs links"),
        ({"links": "some"}, "links must not be 'some'"),
        ({"allocation": "heap"}, "allocation must not be 'heap'"),
        ({"write_heads": 0}, "write_heads must be at least 1"),
        ({"mask_floor": 1.0}, "mask_floor"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DNCConfig(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["dnc-sparse-heads", "dnc-softmax", "dnc-csordas"])
def test_it_learns_to_recall_the_first_of_three_tokens(name: str) -> None:
    torch.manual_seed(0)
    cell = make(name, hidden_size=2, controller="feedforward", controller_size=12).float()
    for parameter in cell.parameters():
        parameter.data.mul_(0.4)
    optimiser = torch.optim.Adam(cell.parameters(), 3e-2)
    losses = []
    for _ in range(80):
        bits = torch.randint(2, (8, 2)).float()
        xs = torch.zeros(8, 3, 4)
        xs[:, 0, :2], xs[:, 0, 2], xs[:, 2, 3] = 2 * bits - 1, 1, 1
        ys, _ = cell.scan(xs, cell.initial(8, like=xs))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(ys[:, 2], bits)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) / 10 < 0.3, losses[::20]
