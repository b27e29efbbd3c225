"""The memory before the first token: its values, who trains it, who keeps it."""

from __future__ import annotations

import pytest
import torch

from zoo.memory.external import InitialMemory

SLOTS, WORD = 40, 60
BOUND = (SLOTS + WORD) ** -0.5


def test_constant_and_zero_are_what_they_say() -> None:
    assert (InitialMemory("constant", SLOTS, WORD)(2) == 1e-6).all()
    assert not InitialMemory("zero", SLOTS, WORD)(2).any()


def test_random_memory_is_uniform_between_its_bounds() -> None:
    memory = InitialMemory("random", SLOTS, WORD)(1)
    assert memory.abs().max() <= BOUND
    assert memory.std().item() == pytest.approx(BOUND / 3**0.5, rel=0.05)


def test_normal_memory_is_tanh_of_a_normal_draw() -> None:
    memory = InitialMemory("normal", SLOTS, WORD)(1)
    before = memory.atanh()
    assert before.std().item() == pytest.approx(0.5, rel=0.05)
    # A normal draw has 0.27 % beyond three standard deviations; a uniform one of that spread has none.
    assert 0 < (before.abs() > 1.5).float().mean().item() < 0.01


def test_learned_memory_stays_within_1_and_is_the_only_one_trained() -> None:
    learned = InitialMemory("learned", SLOTS, WORD)
    learned(1).sum().backward()
    assert learned.memory.grad is not None and learned.memory.grad.all()
    learned.memory.data.mul_(1e3)
    assert learned(1).abs().max() <= 1
    for kind in ("zero", "constant", "random", "normal"):
        assert not list(InitialMemory(kind, SLOTS, WORD).parameters())


@pytest.mark.parametrize("kind", ["random", "normal"])
def test_a_drawn_memory_is_the_same_for_all_samples_and_saved_with_the_weights(kind: str) -> None:
    one, other = InitialMemory(kind, SLOTS, WORD), InitialMemory(kind, SLOTS, WORD)
    assert torch.equal(one(2)[0], one(2)[1])
    assert not torch.equal(one(1), other(1))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(1), other(1))
