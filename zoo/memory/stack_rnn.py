"""Stack-augmented recurrent network (Joulin & Mikolov, NIPS 2015, arXiv 1503.01007).

With σ the logistic function, several stacks of scalars, the top at index 0, each with matrices A and D of its own:

    h_t = σ(U x_t + R h_{t-1} + P s_{t-1}[0 … k-1])
    a_t = softmax(A h_t)                                        over push, pop and, as an option, no-op
    s_t[0] = a_t[push] σ(D h_t) + a_t[pop] s_{t-1}[1] + a_t[no-op] s_{t-1}[0]
    s_t[i] = a_t[push] s_{t-1}[i-1] + a_t[pop] s_{t-1}[i+1] + a_t[no-op] s_{t-1}[i]

An empty entry is -1. As in the authors' code a stack has room for 200, what is pushed out at the bottom is lost, no map
has a bias, and weights start with a standard deviation of 0.1 (theirs are sums of three uniform draws). `rounding`
takes the likeliest action alone in evaluation, as in the paper's results with rounding. On the paper's counting
languages R is 0 (`recurrent=False`, preset `stack_rnn.joulin2015`); the default keeps the general equation. Different
on purpose: gradients are neither cut after 50 tokens nor clipped within a step; that belongs to training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.memory.cell import Cell
from zoo.memory.shifts import popped, pushed
from zoo.memory.sweep import Sweep, SweepConfig
from zoo.recording import Kind, Record, Track
from zoo.registry import register

EMPTY = -1.0
"""An empty entry; what is pushed lies in (0, 1)."""

START = 0.1
"""Standard deviation of the weights at the start."""

TRACKS = {
    "actions": Track(Kind.CHOICE, ("tokens", "stacks", "actions"), "what is done to each stack"),
    "pushed": Track(Kind.GATE, ("tokens", "stacks"), "what a push puts on each stack"),
    "stacks": Track(Kind.VECTOR, ("tokens", "stacks", "slots"), "the stacks after each token", drawn=False),
}


@dataclass(frozen=True, kw_only=True)
class StackRNNConfig(SweepConfig):
    """Options of the stack-augmented network; its hidden layer is hidden_size wide."""

    stacks: int = option(10, "stacks side by side")
    slots: int = option(200, "room in a stack; what is pushed beyond is lost at the bottom")
    read_depth: int = option(2, "entries from the top that the hidden layer reads (k)")
    no_op: bool = option(False, "a third action, which leaves a stack as it is")
    recurrent: bool = option(True, "the hidden layer reads itself (R), not the stacks alone")
    rounding: bool = option(False, "in evaluation, the likeliest action alone")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stacks < 1:
            raise ValueError(f"stacks must be at least 1, not {self.stacks}")
        if not 1 <= self.read_depth <= self.slots:
            raise ValueError(f"read_depth must be from 1 to {self.slots}, the slots, not {self.read_depth}")


class StackRNNState(NamedTuple):
    """What the network carries from token to token."""

    hidden: Float[Tensor, "batch units"]
    stacks: Float[Tensor, "batch stacks slots"]


def act(
    stacks: Float[Tensor, "batch stacks slots"],
    actions: Float[Tensor, "batch stacks actions"],
    top: Float[Tensor, "batch stacks"],
) -> Float[Tensor, "batch stacks slots"]:
    """The stacks after a mixture of push, pop and (where there is a third action) nothing."""
    moved = actions[:, :, [0]] * pushed(stacks, top, dim=2) + actions[:, :, [1]] * popped(stacks, empty=EMPTY, dim=2)
    return moved if actions.shape[2] == 2 else moved + actions[:, :, [2]] * stacks


class StackRNNCell(Cell):
    """The network as a cell; the output is its hidden layer."""

    def __init__(self, config: StackRNNConfig) -> None:
        """Make the maps."""
        super().__init__()
        self.config = config
        self.labels = ("push", "pop", "no-op") if config.no_op else ("push", "pop")
        self.tracks: Mapping[str, Track] = TRACKS | {"actions": replace(TRACKS["actions"], labels=self.labels)}
        self.input_size = config.input_size or config.hidden_size
        self.output_size = config.hidden_size
        self.from_input = nn.Linear(self.input_size, self.output_size, bias=False)
        self.from_hidden = nn.Linear(self.output_size, self.output_size, bias=False) if config.recurrent else None
        self.from_stacks = nn.Linear(config.stacks * config.read_depth, self.output_size, bias=False)
        self.to_actions = nn.Linear(self.output_size, config.stacks * len(self.labels), bias=False)
        self.to_top = nn.Linear(self.output_size, config.stacks, bias=False)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=START)

    def initial(self, batch_size: int, *, like: Tensor) -> StackRNNState:
        """No activity, empty stacks."""
        config = self.config
        return StackRNNState(
            like.new_zeros(batch_size, self.output_size),
            like.new_full((batch_size, config.stacks, config.slots), EMPTY),
        )

    def forward(self, x: Float[Tensor, "batch input"], state: StackRNNState) -> tuple[Tensor, StackRNNState]:
        """One token: the hidden layer, then the stacks."""
        y, after, _ = self._step(x, state)
        return y, after

    def observe(self, x: Float[Tensor, "batch input"], state: StackRNNState) -> tuple[Tensor, StackRNNState, Record]:
        """One token, with what was done to the stacks."""
        return self._step(x, state)

    def _step(self, x: Tensor, state: StackRNNState) -> tuple[Tensor, StackRNNState, Record]:
        """The paper's step, and what was done to the stacks."""
        seen = self.from_input(x) + self.from_stacks(state.stacks[:, :, : self.config.read_depth].flatten(1))
        if self.from_hidden is not None:
            seen = seen + self.from_hidden(state.hidden)
        hidden = seen.sigmoid()
        actions = self.to_actions(hidden).unflatten(1, (self.config.stacks, len(self.labels))).softmax(2)
        if self.config.rounding and not self.training:
            actions = F.one_hot(actions.argmax(2), len(self.labels)).to(actions.dtype)
        top = self.to_top(hidden).sigmoid()
        stacks = act(state.stacks, actions, top)
        return hidden, StackRNNState(hidden, stacks), {"actions": actions, "pushed": top, "stacks": stacks}


@register(
    "stack_rnn",
    config=StackRNNConfig,
    paper="Joulin & Mikolov, 2015",
    year=2015,
    bibtex="""
@inproceedings{joulin2015inferring,
  title={Inferring Algorithmic Patterns with Stack-Augmented Recurrent Nets},
  author={Joulin, Armand and Mikolov, Tomas},
  booktitle={Advances in Neural Information Processing Systems},
  volume={28},
  year={2015}
}
""",
)
class StackRNN(Sweep):
    """Stack-augmented recurrent network swept over the nodes: scalar stacks, pushed and popped by degrees."""

    Config = StackRNNConfig

    def __init__(self, config: StackRNNConfig) -> None:
        """Make the cell and its sweep."""
        super().__init__(config, StackRNNCell(config))
