"""Graphs as their own libraries hold them, networkx and scipy, as the arrays that graph tasks read."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def are_graphs(value: Any) -> bool:
    """Whether an input is a graph of networkx, a sparse matrix of scipy, or several of them."""
    if isinstance(value, list | tuple):
        return bool(value) and all(_is_graph(one) or _is_matrix(one) for one in value)
    return _is_graph(value) or _is_matrix(value)


def as_arrays(task: str, inputs: Mapping[str, Any], *, layout: str) -> tuple[dict[str, Any], Array]:
    """Inputs whose A is a graph, or several, as arrays.

    Edges of networkx graphs weigh what their attribute `weight` says, 1 without it, and those of an undirected graph go
    both ways; nodes are numbered in the graph's own order, and `s` and `t` name one of them.

    Args:
        task: registry name, for messages.
        inputs: by probe name; A as `are_graphs` knows it.
        layout: `"dense"` or `"sparse"`.

    Returns:
        The inputs with arrays for A and s (and `edge_index` if sparse), and the sizes of the graphs.

    Raises:
        ValueError: a multigraph, a matrix that is not square, a source or target that is no node, as many as graphs
            missing.
    """
    graphs = list(inputs["A"]) if isinstance(inputs["A"], list | tuple) else [inputs["A"]]
    triples = [_edges(task, graph) for graph in graphs]
    sizes = np.array([n for n, *_ in triples])
    arrays = dict(inputs)
    for name in sorted({"s", "t"} & set(inputs)):
        given = inputs[name]
        one = len(graphs) == 1 and not isinstance(given, list | np.ndarray)
        ends = [given] if one else list(given)
        if len(ends) != len(graphs):
            raise ValueError(f"{task} input {name!r}: expected a node of each of {len(graphs)} graphs, got {len(ends)}")
        arrays[name] = np.array([_node(task, name, graph, s) for graph, s in zip(graphs, ends, strict=True)])
    if layout == "sparse":
        firsts = np.cumsum(sizes) - sizes
        both = [np.stack([u, v]) + first for (_, u, v, _), first in zip(triples, firsts, strict=True)]
        arrays["edge_index"] = np.concatenate(both, axis=1)
        arrays["A"] = np.concatenate([weights for *_, weights in triples])
        return arrays, sizes
    arrays["A"] = np.zeros((len(graphs), sizes.max(initial=0), sizes.max(initial=0)))
    for b, (_, u, v, weights) in enumerate(triples):
        arrays["A"][b, u, v] = weights
    return arrays, sizes


def _is_graph(value: Any) -> bool:
    networkx = sys.modules.get("networkx")  # who has a graph has imported it
    return networkx is not None and isinstance(value, networkx.Graph)


def _is_matrix(value: Any) -> bool:
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(value))


def _edges(task: str, graph: Any) -> tuple[int, Array, Array, Array]:
    """Number of nodes; senders, receivers and weights of all edges, each once."""
    if _is_matrix(graph):
        if graph.ndim != 2 or graph.shape[0] != graph.shape[1]:
            raise ValueError(f"{task} input 'A': expected a square matrix, got shape {list(graph.shape)}")
        matrix = graph.tocsr().copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        matrix = matrix.tocoo()
        return graph.shape[0], matrix.row.astype(np.int64), matrix.col.astype(np.int64), np.asarray(matrix.data)
    if graph.is_multigraph():
        raise ValueError(f"{task} input 'A': expected one edge between two nodes, got a {type(graph).__name__}")
    number = {node: k for k, node in enumerate(graph)}
    triples: list[Sequence[Any]] = []
    for u, v, weight in graph.edges(data="weight", default=1):
        triples.append((number[u], number[v], weight))
        if not graph.is_directed() and u != v:
            triples.append((number[v], number[u], weight))
    senders, receivers, weights = zip(*triples, strict=True) if triples else ((), (), ())
    return len(number), np.array(senders, np.int64), np.array(receivers, np.int64), np.array(weights)


def _node(task: str, name: str, graph: Any, node: Any) -> int:
    """A node's number: its place in a networkx graph, itself in a matrix."""
    if _is_matrix(graph):
        return int(node)
    nodes = list(graph)
    if node not in nodes:
        raise ValueError(f"{task} input {name!r}: expected a node of the graph, got {node!r}")
    return nodes.index(node)
