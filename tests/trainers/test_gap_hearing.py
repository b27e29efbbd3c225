"""Distances of whom networks hear, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import tasks
import zoo
from trainers.gap.hearing import Distances, distances, heard, listening


def _one_hot(*senders: int, count: int = 3) -> Tensor:
    """Shares of parts that each hear one sender, for one receiver of one graph."""
    return torch.nn.functional.one_hot(torch.tensor(senders), count).float().T[None, :, None, :]


def test_ties_of_the_reference_may_be_broken_in_any_way() -> None:
    reference = torch.tensor([0.5, 0.5, 0.0])[None, :, None]
    even, lowest, nearest = distances(_one_hot(0, 1, 2), reference)[:, 0, 0]
    assert even.tolist() == [1, 1, 2] and lowest.tolist() == [0, 2, 2] and nearest.tolist() == [0, 0, 2]
    spread = torch.tensor([0.7, 0.2, 0.1])[None, :, None]
    even, lowest, nearest = distances(spread[..., None], reference)[:, 0, 0, 0]
    assert even.item() == pytest.approx(0.2 + 0.3 + 0.1)
    assert lowest.item() == pytest.approx(0.3 + 0.2 + 0.1) and nearest.item() == pytest.approx(0.1 + 0.1)


def test_what_is_not_a_number_hears_nothing_of_the_reference() -> None:
    everywhere = torch.ones(1, 3, 1, dtype=torch.bool)
    broken = heard(torch.full((1, 3, 1, 1), torch.nan), everywhere)
    apart = Distances()
    apart.add(broken, heard(_one_hot(0), everywhere), torch.ones(1, 1) > 0)
    result = apart.result()
    assert result is not None and result["ordered"] == 2.0
    assert {*result["matched"].values(), *result["mean"].values()} == {2.0}


def test_parts_are_matched_whatever_their_order() -> None:
    everywhere = torch.ones(1, 3, 1, dtype=torch.bool)
    apart = Distances()
    apart.add(heard(_one_hot(2, 1, 0), everywhere), heard(_one_hot(0, 2), everywhere), torch.ones(1, 1) > 0)
    result = apart.result()
    assert result is not None and result["matched"]["even"] == 0 and result["matching"] == [[0, 2], [1, 0]]
    assert result["ordered"] is None and result["unmatched"] == 0 and result["choices"] == 2
    assert result["mean"]["even"] == pytest.approx(2 / 3), "thirds against halves"
    swapped = Distances()
    swapped.add(heard(_one_hot(1, 0), everywhere), heard(_one_hot(0, 1), everywhere), torch.ones(1, 1) > 0)
    result = swapped.result()
    assert result is not None and result["ordered"] == 2 and result["matched"]["even"] == result["mean"]["even"] == 0


def test_what_the_reference_does_not_choose_is_not_counted() -> None:
    shares = torch.cat([_one_hot(0), torch.full((1, 3, 1, 1), 1 / 3)], -1)
    everywhere = torch.ones(1, 3, 1, dtype=torch.bool)
    kept = heard(shares, everywhere, choosing=True)
    assert kept.parts.tolist() == [0] and kept.total == 2
    tie_of_two = torch.tensor([0.5, 0.5, 0.0])[None, :, None, None]
    assert bool(heard(tie_of_two, everywhere).chooses.all()), "a tie among some is a choice"
    two_edges = torch.tensor([True, True, False])[None, :, None]
    assert not bool(heard(tie_of_two, two_edges).chooses.any()), "of two senders it is none"
    apart = Distances()
    apart.add(heard(shares, everywhere), kept, torch.zeros(1, 1, dtype=torch.bool))
    assert apart.result() is None and Distances().result() is None


@pytest.mark.parametrize(("name", "options"), [("mpnn", {}), ("pgn", {}), ("gatv2", {"heads": 2}), ("gat", {})])
def test_what_is_heard_by_parts_averages_to_what_is_recorded(name: str, options: dict[str, int]) -> None:
    task = tasks.create("bfs")
    model = zoo.Reasoner(task.spec, zoo.create(name, hidden_size=4, **options)).eval()
    batch = task.sample(batch_size=2, size=5, seed=1, layout="dense")
    told: list[Tensor] = []
    with torch.no_grad():
        with listening(model.processor, lambda shares, exists, nodes: told.append(shares)):
            model(batch)
        records = model(batch, trace=True).records[1:]
    assert len(told) == len(records)
    for shares, record in zip(told, records, strict=True):
        torch.testing.assert_close(shares.mean(-1), record["senders"])
        torch.testing.assert_close(shares.sum(1), torch.ones_like(shares.sum(1)))
    model(batch)
    assert len(told) == len(records), "nobody listens any more"
