"""Graphs of a batch, dense or sparse: the one place that knows how nodes and edges are laid out.

Axis letters: B batch, N nodes (padded), S senders, R receivers, ΣN and ΣE all nodes and edges of a batch.

Dense: nodes `[B, N, …]`, edges `[B, S, R, …]`. Sparse: nodes `[ΣN, …]`, edges `[ΣE, …]`, one disjoint union
sorted by (receiver, sender), closed under reversal, with every self-loop. Node indices that leave a topology
(pointers, argmax) are local to their graph in both. An empty neighbourhood aggregates to 0, ties of an argmax
go to the lowest (receiver, sender).
"""

from zoo.topology.base import Over, Reduce, Topology
from zoo.topology.dense import DenseTopology
from zoo.topology.sparse import SparseTopology

__all__ = ["DenseTopology", "Over", "Reduce", "SparseTopology", "Topology"]
