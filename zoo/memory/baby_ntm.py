"""Baby Neural Turing Machine (Suzgun, Gehrmann, Belinkov & Shieber 2019, arXiv 1911.03329).

Simple recurrent layers with a memory that moves under a head at its top; the layers are in `zoo.memory.topped`. With
rows a, b, …, z from the top down, the moves are the paper's five, mixed by a softmax:

    rotate-left      b … z a
    rotate-right     z a b …
    no-op            a b … z
    pop-right        0 a b …      (z is lost)
    pop-left         b … z 0      (a is lost)

after which n_t is added to the top row, whatever the mixture. The authors' softmax with temperature and their
Gumbel-softmax are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.memory.shifts import popped, pushed
from zoo.memory.sweep import Sweep
from zoo.memory.topped import BIBTEX, ToppedCell, ToppedConfig, mixture
from zoo.registry import register


@dataclass(frozen=True, kw_only=True)
class BabyNTMConfig(ToppedConfig):
    """Options of the Baby-NTM."""


class BabyNTMCell(ToppedCell):
    """The Baby-NTM as a cell; the output is the topmost layer."""

    actions = ("rotate-left", "rotate-right", "no-op", "pop-right", "pop-left")

    def move(self, memory: Tensor, actions: Tensor, top: Tensor) -> Tensor:
        """The memory after the five moves, with `top` added; see `ToppedCell.move`."""
        down = pushed(memory, torch.zeros_like(top), dim=1)
        moved = [memory.roll(-1, 1), memory.roll(1, 1), memory, down, popped(memory, empty=0.0, dim=1)]
        after = mixture(actions, moved)
        return torch.cat([after[:, :1] + top[:, None], after[:, 1:]], 1)


@register("baby_ntm", config=BabyNTMConfig, paper="Suzgun et al., 2019", year=2019, bibtex=BIBTEX)
class BabyNTM(Sweep):
    """Baby Neural Turing Machine swept over the nodes: recurrent layers that rotate and pop a memory."""

    Config = BabyNTMConfig

    def __init__(self, config: BabyNTMConfig) -> None:
        """Make the cell and its sweep."""
        super().__init__(config, BabyNTMCell(config))
