"""Neural Deque (Grefenstette et al., NIPS 2015, section 3.3): pushed, popped and read at both ends, the top first.

Equations, and what differs on purpose, are in `zoo.memory.structures`, which the three structures share.
"""

from __future__ import annotations

from dataclasses import dataclass

from zoo.memory.structures import BIBTEX, Ends, StructureCell, StructureConfig
from zoo.memory.sweep import Sweep
from zoo.registry import register

ENDS = Ends(read=("top", "bottom"), write=("top", "bottom"))


@dataclass(frozen=True, kw_only=True)
class NeuralDequeConfig(StructureConfig):
    """Options of the neural deque; sizes are those of the paper."""


@register("neural_deque", config=NeuralDequeConfig, paper="Grefenstette et al., 2015", year=2015, bibtex=BIBTEX)
class NeuralDeque(Sweep):
    """Neural deque swept over the nodes: a controller with a continuous double-ended queue."""

    Config = NeuralDequeConfig

    def __init__(self, config: NeuralDequeConfig) -> None:
        """Make the cell and its sweep."""
        super().__init__(config, StructureCell(config, ENDS))
