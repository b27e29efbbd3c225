"""Dijkstra's shortest paths as in the CLRS benchmark (Veličković et al., ICML 2022; after Dijkstra, 1959)."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.algorithms.best_first import BestFirst
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.graph_conditions import require_non_negative
from tasks.algorithms.graph_task import GraphConfig, Graphs
from tasks.inputs import Inputs
from tasks.registry import register


@dataclass(frozen=True)
class DijkstraConfig(GraphConfig):
    """Options of `dijkstra`."""


@register(
    "dijkstra",
    config=DijkstraConfig,
    **CLRS,
)
class Dijkstra(BestFirst):
    """Dijkstra: shortest distances from the source, settled one node a step in the order of their distances.

    Each step takes the queued node u of least distance, marks it, and queues or improves its unmarked neighbours.
    Distances of nodes that were never queued are 0; the source and unreached nodes point to themselves. From node 0
    over the edges 0-1 of weight 0.9, 0-2 of 0.2 and 1-2 of 0.3:

        frame 0: u 0   in_queue 1 0 0   mark 0 0 0   d 0.0 0.0 0.0   pi_h 0 1 2
        frame 1: u 0   in_queue 0 1 1   mark 1 0 0   d 0.0 0.9 0.2   pi_h 0 0 0
        frame 2: u 2   in_queue 0 1 0   mark 1 0 1   d 0.0 0.5 0.2   pi_h 0 2 0
        frame 3: u 1   in_queue 0 0 0   mark 1 1 1   d 0.0 0.5 0.2   pi_h 0 2 0     output pi 0 2 0

    The trace ends when the queue is empty. Of equal distances the lowest-numbered node is taken first (dm-clrs leaves
    that to numpy's sort, which does the same up to 16 nodes). Entries of A other than 0 are edges, directed ones too;
    none may be negative. Sampled weights are sqrt(U_ij U_ji + 1e-3), symmetric.
    """

    task = "dijkstra"
    key = "d"
    adds_up = True

    def _check(self, given: Inputs, graphs: Graphs) -> None:
        require_non_negative(given, graphs)
