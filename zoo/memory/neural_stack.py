"""Neural Stack (Grefenstette et al., NIPS 2015, section 3.1): pushed, popped and read at its top.

Equations, and what differs on purpose, are in `zoo.memory.structures`, which the three structures share.
"""

from __future__ import annotations

from dataclasses import dataclass

from zoo.memory.structures import BIBTEX, Ends, StructureCell, StructureConfig
from zoo.memory.sweep import Sweep
from zoo.registry import register

ENDS = Ends(read=("top",), write=("top",))


@dataclass(frozen=True, kw_only=True)
class NeuralStackConfig(StructureConfig):
    """Options of the neural stack; sizes are those of the paper."""


@register("neural_stack", config=NeuralStackConfig, paper="Grefenstette et al., 2015", year=2015, bibtex=BIBTEX)
class NeuralStack(Sweep):
    """Neural stack swept over the nodes: a controller with a continuous stack."""

    Config = NeuralStackConfig

    def __init__(self, config: NeuralStackConfig) -> None:
        """Make the cell and its sweep."""
        super().__init__(config, StructureCell(config, ENDS))
