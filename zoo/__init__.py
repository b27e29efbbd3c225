"""Processors behind one interface: neural algorithmic reasoning and memory-augmented networks."""

from zoo.codec import ReasonerConfig
from zoo.edges import FoldedEdges
from zoo.graph import deep_sets as deep_sets
from zoo.graph import mpnn as mpnn
from zoo.graph import pgn as pgn
from zoo.graph import pointer_graph as pointer_graph
from zoo.memory import dnc as dnc
from zoo.memory import gru as gru
from zoo.memory import lstm as lstm
from zoo.memory import ntm as ntm
from zoo.memory import rnn as rnn
from zoo.prediction import Prediction
from zoo.presets import Preset, list_presets
from zoo.pretrained import list_pretrained, load_pretrained
from zoo.processor import Inputs, Latents, Port, Processor, ProcessorConfig, Step
from zoo.reasoner import Reasoner
from zoo.recording import Kind, Record, Track
from zoo.registry import create, describe, list_processors, register
from zoo.sequence import residual_shuffle_exchange as residual_shuffle_exchange
from zoo.sequence import shuffle_exchange as shuffle_exchange
from zoo.topology import DenseTopology, SparseTopology, Topology

__all__ = [
    "DenseTopology",
    "FoldedEdges",
    "Inputs",
    "Kind",
    "Latents",
    "Port",
    "Prediction",
    "Preset",
    "Processor",
    "ProcessorConfig",
    "Reasoner",
    "ReasonerConfig",
    "Record",
    "SparseTopology",
    "Step",
    "Topology",
    "Track",
    "create",
    "describe",
    "list_presets",
    "list_pretrained",
    "list_processors",
    "load_pretrained",
    "register",
]
