"""Small cells of every kind and setting, in float64, for the tests of this folder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from zoo.memory import (
    Cell,
    DNCCell,
    DNCConfig,
    GRUCell,
    GRUConfig,
    LSTMCell,
    LSTMConfig,
    NTMCell,
    NTMConfig,
    RNNCell,
    RNNConfig,
    SAMCell,
    SAMConfig,
)

NTM_SETTINGS: dict[str, dict[str, Any]] = {
    "ntm": {},
    "ntm-heads": {"read_heads": 2, "write_heads": 3},
    "ntm-feedforward": {"controller": "feedforward", "controller_layers": 2, "shifts": 0, "clip": None},
    "ntm-deep": {"controller_layers": 2, "shifts": 2, "key_activation": "none", "clip": 0.7, "read_heads": 3},
    "ntm-concat": {"output": "concat", "memory_init": "learned", "controller_init": "wide"},
}
DNC_SETTINGS: dict[str, dict[str, Any]] = {
    "dnc": {"read_heads": 2},
    "dnc-feedforward": {"read_heads": 1, "controller": "feedforward", "controller_layers": 2, "memory_init": "learned"},
    "dnc-google": {"read_heads": 2, "strengths": "softplus", "detach_usage": True, "clip": None, "output": "concat"},
    "dnc-deep": {"read_heads": 3, "controller_layers": 2, "clip": 0.7, "learn_controller": True},
}
DNC_OPTIONS: dict[str, dict[str, Any]] = {
    "dnc-heads": {"read_heads": 2, "write_heads": 3},
    "dnc-sparse": {"read_heads": 2, "links": "sparse", "link_entries": 6},
    "dnc-sparse-heads": {"read_heads": 3, "write_heads": 2, "links": "sparse", "link_entries": 7},
    "dnc-unlinked": {"read_heads": 2, "links": "none", "deallocate": True},
    "dnc-softmax": {"read_heads": 2, "write_heads": 2, "allocation": "softmax"},
    "dnc-csordas": {
        **{"read_heads": 2, "mask_keys": True, "deallocate": True, "sharpen_links": True, "detach_usage": True},
    },
    "dnc-all": {
        **{"read_heads": 2, "write_heads": 2, "mask_keys": True, "mask_floor": 0.3, "deallocate": True},
        **{"sharpen_links": True, "links": "sparse", "link_entries": 7, "allocation": "softmax", "clip": 2.0},
    },
}
DNC_SETTINGS |= DNC_OPTIONS
LSTM_SETTINGS: dict[str, dict[str, Any]] = {"lstm": {}, "lstm-deep": {"layers": 3, "learn_initial": False}}
GRU_SETTINGS: dict[str, dict[str, Any]] = {"gru": {}, "gru-deep": {"layers": 3, "learn_initial": False}}
RNN_SETTINGS: dict[str, dict[str, Any]] = {"rnn": {"layers": 2}, "rnn-relu": {"activation": "relu"}}
SAM_SETTINGS: dict[str, dict[str, Any]] = {
    "sam": {"read_heads": 2, "entries": 3},
    "sam-feedforward": {
        **{"read_heads": 1, "entries": 2, "controller": "feedforward", "controller_layers": 2},
        **{"memory_init": "learned", "clip": None, "output": "concat"},
    },
    "sam-all": {"read_heads": 4, "entries": 7, "clip": 0.7, "controller_layers": 2, "threshold": 0.2},
    "sam-dense": {"read_heads": 2, "entries": None, "usage": "discounted", "discount": 0.8},
}
SETTINGS = [*NTM_SETTINGS, *DNC_SETTINGS, *LSTM_SETTINGS, *GRU_SETTINGS, *RNN_SETTINGS, *SAM_SETTINGS]


def make(name: str, **options: Any) -> Cell:
    """A cell of 4 inputs and 6 outputs, float64, with parameters large enough that every mechanism acts."""
    cell: Cell
    sizes = {"input_size": 4, "hidden_size": 6}
    memory = {"controller_size": 5, "slots": 7, "word": 3}
    if name in NTM_SETTINGS:
        cell = NTMCell(NTMConfig(**sizes | memory | NTM_SETTINGS[name] | options))
    elif name in DNC_SETTINGS:
        cell = DNCCell(DNCConfig(**sizes | memory | DNC_SETTINGS[name] | options))
    elif name in SAM_SETTINGS:
        cell = SAMCell(SAMConfig(**sizes | memory | SAM_SETTINGS[name] | options))
    elif name in GRU_SETTINGS:
        cell = GRUCell(GRUConfig(**sizes | GRU_SETTINGS[name] | options))
    elif name in RNN_SETTINGS:
        cell = RNNCell(RNNConfig(**sizes | RNN_SETTINGS[name] | options))
    else:
        cell = LSTMCell(LSTMConfig(**sizes | LSTM_SETTINGS[name] | options))
    cell = cell.double()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return cell


def tokens(batch: int = 3, length: int = 5) -> Tensor:
    """Random tokens."""
    return torch.randn(batch, length, 4, dtype=torch.float64)


def used_state(cell: Cell, batch: int = 3) -> Any:
    """A state after a few tokens, cut off from the graph."""
    with torch.no_grad():
        xs = tokens(batch, 3)
        state = cell.loop(xs, cell.initial(batch, like=xs))[1]
    leaves, structure = tree_flatten(state)
    return tree_unflatten([leaf.clone() for leaf in leaves], structure)
