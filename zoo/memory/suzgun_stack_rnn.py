"""Stack-RNN and Stack-LSTM of Suzgun, Gehrmann, Belinkov & Shieber (2019, arXiv 1911.03329).

One stack of vectors, pushed and popped by degrees: `M_t = a[push] (n_t, M_0, M_1, …) + a[pop] (M_1, M_2, …, 0)`. The
layers, and how they see the top, are in `zoo.memory.topped`.

It is not the Stack-RNN of Joulin & Mikolov (`stack_rnn`): entries are vectors and empty ones 0, not -1; the hidden is
that of tanh layers or an LSTM; the top is added to the hidden before the layers read it, so that it goes through the
recurrent weights; and all maps have biases. The authors' softmax with temperature and Gumbel-softmax are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tasks.registry import option
from zoo.memory.shifts import popped, pushed
from zoo.memory.sweep import Sweep
from zoo.memory.topped import BIBTEX, ToppedCell, ToppedConfig, mixture
from zoo.processor import check_choice
from zoo.registry import register


@dataclass(frozen=True, kw_only=True)
class SuzgunStackRNNConfig(ToppedConfig):
    """Options of the stack of vectors."""

    controller: str = option("rnn", "'rnn' (tanh) or 'lstm'")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("controller", self.controller, ("rnn", "lstm"))


class SuzgunStackRNNCell(ToppedCell):
    """The network as a cell; the output is the topmost layer."""

    actions = ("push", "pop")

    def __init__(self, config: SuzgunStackRNNConfig) -> None:
        """Make the layers and what they tell the stack."""
        super().__init__(config, lstm=config.controller == "lstm")

    def move(self, memory: Tensor, actions: Tensor, top: Tensor) -> Tensor:
        """The stack after push and pop; see `ToppedCell.move`."""
        return mixture(actions, [pushed(memory, top, dim=1), popped(memory, empty=0.0, dim=1)])


@register("suzgun_stack_rnn", config=SuzgunStackRNNConfig, paper="Suzgun et al., 2019", year=2019, bibtex=BIBTEX)
class SuzgunStackRNN(Sweep):
    """Stack-RNN of vectors swept over the nodes: recurrent layers that push and pop one stack by degrees."""

    Config = SuzgunStackRNNConfig

    def __init__(self, config: SuzgunStackRNNConfig) -> None:
        """Make the cell and its sweep."""
        super().__init__(config, SuzgunStackRNNCell(config))
