"""Cells, swept over the nodes as processors: networks with a memory of their own."""

from zoo.memory.adnc import ADNC, ADNCCell, ADNCConfig
from zoo.memory.baby_ntm import BabyNTM, BabyNTMCell, BabyNTMConfig
from zoo.memory.cell import Cell
from zoo.memory.dnc import DNC, DNCCell, DNCConfig
from zoo.memory.gru import GRU, GRUCell, GRUConfig
from zoo.memory.lstm import LSTM, LSTMCell, LSTMConfig
from zoo.memory.neural_deque import NeuralDeque, NeuralDequeConfig
from zoo.memory.neural_queue import NeuralQueue, NeuralQueueConfig
from zoo.memory.neural_stack import NeuralStack, NeuralStackConfig
from zoo.memory.ntm import NTM, NTMCell, NTMConfig
from zoo.memory.rnn import RNN, RNNCell, RNNConfig
from zoo.memory.sam import SAM, SAMCell, SAMConfig
from zoo.memory.sdnc import SDNC, SDNCCell, SDNCConfig
from zoo.memory.stack_rnn import StackRNN, StackRNNCell, StackRNNConfig
from zoo.memory.structures import StructureCell, StructureConfig
from zoo.memory.suzgun_stack_rnn import SuzgunStackRNN, SuzgunStackRNNCell, SuzgunStackRNNConfig
from zoo.memory.sweep import Sweep, SweepConfig

__all__ = [
    "ADNC",
    "DNC",
    "GRU",
    "LSTM",
    "NTM",
    "RNN",
    "SAM",
    "SDNC",
    "ADNCCell",
    "ADNCConfig",
    "BabyNTM",
    "BabyNTMCell",
    "BabyNTMConfig",
    "Cell",
    "DNCCell",
    "DNCConfig",
    "GRUCell",
    "GRUConfig",
    "LSTMCell",
    "LSTMConfig",
    "NTMCell",
    "NTMConfig",
    "NeuralDeque",
    "NeuralDequeConfig",
    "NeuralQueue",
    "NeuralQueueConfig",
    "NeuralStack",
    "NeuralStackConfig",
    "RNNCell",
    "RNNConfig",
    "SAMCell",
    "SAMConfig",
    "SDNCCell",
    "SDNCConfig",
    "StackRNN",
    "StackRNNCell",
    "StackRNNConfig",
    "StructureCell",
    "StructureConfig",
    "SuzgunStackRNN",
    "SuzgunStackRNNCell",
    "SuzgunStackRNNConfig",
    "Sweep",
    "SweepConfig",
]
