"""Prim's minimum spanning tree as in the CLRS benchmark (Veličković et al., ICML 2022; after Prim, 1957)."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.algorithms.best_first import BestFirst
from tasks.algorithms.clrs import CLRS
from tasks.algorithms.graph_conditions import require_undirected
from tasks.algorithms.graph_task import GraphConfig, Graphs
from tasks.inputs import Inputs
from tasks.registry import register


@dataclass(frozen=True)
class MstPrimConfig(GraphConfig):
    """Options of `mst_prim`."""


@register(
    "mst_prim",
    config=MstPrimConfig,
    **CLRS,
)
class MstPrim(BestFirst):
    """Prim: a minimum spanning tree of what the source reaches, grown from it by one node a step.

    Each step takes the queued node u whose edge to the tree, its key, is the lightest, marks it as part of the tree,
    and queues its neighbours outside or improves their keys. Keys of nodes that were never queued are 0; a node points
    to its parent in the tree, the source and unreached nodes to themselves. From node 0 over the edges 0-1 of weight
    0.9, 0-2 of 0.5 and 1-2 of 0.6:

        frame 0: u 0   in_queue 1 0 0   mark 0 0 0   key 0.0 0.0 0.0   pi_h 0 1 2
        frame 1: u 0   in_queue 0 1 1   mark 1 0 0   key 0.0 0.9 0.5   pi_h 0 0 0
        frame 2: u 2   in_queue 0 1 0   mark 1 0 1   key 0.0 0.6 0.5   pi_h 0 2 0
        frame 3: u 1   in_queue 0 0 0   mark 1 1 1   key 0.0 0.6 0.5   pi_h 0 2 0     output pi 0 2 0

    The trace ends when the queue is empty. Of equal keys the lowest-numbered node is taken first (dm-clrs leaves that
    to numpy's sort, which does the same up to 16 nodes). Entries of A other than 0 are edges, negative ones too; A is
    symmetric. Sampled weights are sqrt(U_ij U_ji + 1e-3).
    """

    task = "mst_prim"
    key = "key"
    adds_up = False

    def _check(self, given: Inputs, graphs: Graphs) -> None:
        require_undirected(given, graphs)
