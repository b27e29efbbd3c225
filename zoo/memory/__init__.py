"""Cells, swept over the nodes as processors: networks with a memory of their own."""

from zoo.memory.cell import Cell
from zoo.memory.dnc import DNC, DNCCell, DNCConfig
from zoo.memory.lstm import LSTM, LSTMCell, LSTMConfig
from zoo.memory.ntm import NTM, NTMCell, NTMConfig
from zoo.memory.sweep import Sweep, SweepConfig

__all__ = [
    "DNC",
    "LSTM",
    "NTM",
    "Cell",
    "DNCCell",
    "DNCConfig",
    "LSTMCell",
    "LSTMConfig",
    "NTMCell",
    "NTMConfig",
    "Sweep",
    "SweepConfig",
]
