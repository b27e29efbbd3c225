"""What the memory-augmented networks of Suzgun et al. (2019, arXiv 1911.03329) share: layers that see a memory's top.

With a memory M whose first row is its top,

    h̃_{t-1} = h_{t-1} + W_m M_{t-1}[0] + b_m
    h_t = tanh(W_x x_t + b_x + W_h h̃_{t-1} + b_h)      (or a layer of an LSTM, whose cells go on as they are)
    a_t = softmax(W_a h_t + b_a)
    n_t = σ(W_n h_t + b_n)

and M_t is a mixture, weighted by a_t, of M_{t-1} moved in several ways, with n_t put in at the top: the networks differ
in these moves. All state is 0 before the first token. Sizes are those of the authors' code, but for the hidden width
(8 there, an option of every processor here). With more layers than one, all of them see the top, as in that code.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.memory.cell import Cell
from zoo.memory.layers import RecurrentState
from zoo.memory.lstm import LSTMCell, LSTMConfig, LSTMState
from zoo.memory.rnn import RNNCell, RNNConfig
from zoo.memory.sweep import SweepConfig
from zoo.recording import Kind, Record, Track

BIBTEX = """
@article{suzgun2019memory,
  title={Memory-Augmented Recurrent Neural Networks Can Learn Generalized {D}yck Languages},
  author={Suzgun, Mirac and Gehrmann, Sebastian and Belinkov, Yonatan and Shieber, Stuart M.},
  journal={arXiv preprint arXiv:1911.03329},
  year={2019}
}
"""


@dataclass(frozen=True, kw_only=True)
class ToppedConfig(SweepConfig):
    """Options of recurrent layers that see the top of a memory; the layers are hidden_size wide."""

    layers: int = option(1, "layers, each reading the one below")
    slots: int = option(104, "rows of the memory")
    word: int = option(5, "width of a row")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("layers", 1), ("slots", 2), ("word", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")


class ToppedState(NamedTuple):
    """What the network carries from token to token."""

    memory: Float[Tensor, "batch slots word"]
    controller: RecurrentState | LSTMState


class ToppedCell(Cell):
    """Recurrent layers over the token and the top of a memory, which they then move.

    Attributes:
        actions: names of the moves, in the order of their weights.
    """

    actions: ClassVar[tuple[str, ...]]

    def __init__(self, config: ToppedConfig, *, lstm: bool = False) -> None:
        """Make the layers and what they tell the memory."""
        super().__init__()
        self.config = config
        self.tracks: Mapping[str, Track] = {
            "actions": Track(Kind.CHOICE, ("tokens", "actions"), "how the memory is moved", self.actions),
            "pushed": Track(Kind.GATE, ("tokens", "word"), "what is put in at the top"),
            "tops": Track(Kind.VECTOR, ("tokens", "word"), "the top after each token"),
            "memory": Track(Kind.VECTOR, ("tokens", "slots", "word"), "the memory after each token", drawn=False),
        }
        self.input_size = config.input_size or config.hidden_size
        self.output_size = config.hidden_size
        layers: type[LSTMConfig] | type[RNNConfig] = LSTMConfig if lstm else RNNConfig
        sizes = layers(
            input_size=self.input_size, hidden_size=self.output_size, layers=config.layers, learn_initial=False
        )
        self.controller = LSTMCell(sizes) if isinstance(sizes, LSTMConfig) else RNNCell(sizes)
        self.from_memory = nn.Linear(config.word, self.output_size)
        self.to_actions = nn.Linear(self.output_size, len(self.actions))
        self.to_top = nn.Linear(self.output_size, config.word)

    @abc.abstractmethod
    def move(
        self,
        memory: Float[Tensor, "batch slots word"],
        actions: Float[Tensor, "batch actions"],
        top: Float[Tensor, "batch word"],
    ) -> Float[Tensor, "batch slots word"]:
        """The memory after a mixture of the moves, with `top` put in."""

    def initial(self, batch_size: int, *, like: Tensor) -> ToppedState:
        """Zeros."""
        return ToppedState(
            like.new_zeros(batch_size, self.config.slots, self.config.word),
            self.controller.initial(batch_size, like=like),
        )

    def forward(self, x: Float[Tensor, "batch input"], state: ToppedState) -> tuple[Tensor, ToppedState]:
        """One token: the layers, then the memory."""
        y, after, _ = self.observe(x, state)
        return y, after

    def observe(self, x: Float[Tensor, "batch input"], state: ToppedState) -> tuple[Tensor, ToppedState, Record]:
        """One token, with what was done to the memory."""
        read = self.from_memory(state.memory[:, 0])
        before = state.controller._replace(hidden=state.controller.hidden + read[:, None])
        y, controller = self.controller(x, before)
        actions, top = self.to_actions(y).softmax(1), self.to_top(y).sigmoid()
        memory = self.move(state.memory, actions, top)
        record = {"actions": actions, "pushed": top, "tops": memory[:, 0], "memory": memory}
        return y, ToppedState(memory, controller), record


def mixture(actions: Float[Tensor, "batch actions"], moved: list[Tensor]) -> Float[Tensor, "batch slots word"]:
    """The mean of the memories under the weights of their moves."""
    return torch.einsum("ba,absw->bsw", actions, torch.stack(moved))
