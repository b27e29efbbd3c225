"""Neural Queue (Grefenstette et al., NIPS 2015, section 3.2): pushed at its top, popped and read at its bottom.

Equations, and what differs on purpose, are in `zoo.memory.structures`, which the three structures share.
"""

from __future__ import annotations

from dataclasses import dataclass

from zoo.memory.structures import BIBTEX, Ends, StructureCell, StructureConfig
from zoo.memory.sweep import Sweep
from zoo.registry import register

ENDS = Ends(read=("bottom",), write=("top",))


@dataclass(frozen=True, kw_only=True)
class NeuralQueueConfig(StructureConfig):
    """Options of the neural queue; sizes are those of the paper."""


@register("neural_queue", config=NeuralQueueConfig, paper="Grefenstette et al., 2015", year=2015, bibtex=BIBTEX)
class NeuralQueue(Sweep):
    """Neural queue swept over the nodes: a controller with a continuous queue."""

    Config = NeuralQueueConfig

    def __init__(self, config: NeuralQueueConfig) -> None:
        """Make the cell and its sweep."""
        super().__init__(config, StructureCell(config, ENDS))
