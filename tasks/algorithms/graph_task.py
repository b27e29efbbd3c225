"""Graphs, with a source node or without: the part that the algorithms on graphs share.

A batch of graphs is held as one block-diagonal matrix in compressed rows whose pattern is that of the sparse
layout: closed under reversal, every node its own neighbour. Kernels run on it in time linear in the edges
and write node arrays at given `starts` of rows of a given `width`: `b * N` and `B * N` for the dense layout,
the running sum of sizes and ΣN for the sparse one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tasks import generators
from tasks.algorithms.graph_inputs import are_graphs, as_arrays
from tasks.algorithms.trace import Trace
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.kernel import kernel
from tasks.registry import near, option
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Draw, Task, tensors

Array = NDArray[Any]
POINTER_DOMAINS = ("edges", "nodes")


@dataclass(frozen=True)
class PlainGraphConfig:
    """Options of tasks on graphs none of whose pointers is to a neighbour."""

    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")


@dataclass(frozen=True)
class GraphConfig(PlainGraphConfig):
    """Options of tasks on graphs."""

    pointers: str = option(
        "edges", "what a predecessor may be: a neighbour ('edges') or any node ('nodes', as in CLRS)"
    )


class Graphs(NamedTuple):
    """A block-diagonal matrix A[sender, receiver] in compressed rows, one row a sender, and the sources.

    The pattern holds every node itself, and with an edge its reverse: 0 stands where there is none.
    """

    sizes: Array  # int64 [B]
    offsets: Array  # int64 [B]: position of each graph's first node in ΣN
    row_starts: Array  # int64 [ΣN + 1]
    neighbours: Array  # int32 [ΣE], local, ascending in each row
    values: Array  # float64 [ΣE]; 0 where the pattern has an entry that is not an edge
    source: Array  # int64 [B]; of no meaning to a task without a source


def offsets_of(sizes: Array) -> Array:
    """Position of each graph's first node in ΣN."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)[:-1]])


def pairs(graphs: Graphs) -> tuple[Array, Array, Array]:
    """Graph, sender and receiver of every entry of the pattern, local numbers `[ΣE]`."""
    sender = np.repeat(np.arange(len(graphs.row_starts) - 1), np.diff(graphs.row_starts))
    graph = np.repeat(np.arange(len(graphs.sizes)), graphs.sizes)[sender]
    return graph, sender - graphs.offsets[graph], graphs.neighbours


def reversed_values(graphs: Graphs) -> Array:
    """Values of the same pattern with every edge turned round."""
    graph, _, receiver = pairs(graphs)
    # The pattern is symmetric: sorted by receiver, then by sender, its entries are those of the rows again.
    return graphs.values[np.argsort(graphs.offsets[graph] + receiver, kind="stable")]


class GraphTask(Task):
    """A task on a graph; subclasses give their spec by `_spec`, and `_trace`.

    Attributes:
        weighted: whether sampled edges have random weights instead of 1.
        source: whether a node is given to start from.
        orientation: of sampled graphs: `generators.UNDIRECTED`, `DIRECTED` or `ACYCLIC`.
        density: of the random matrix behind a sampled `clrs` graph.
        communities: whether sampled `clrs` graphs fall into parts, see `generators.graphs`.
    """

    layouts: ClassVar[frozenset[str]] = frozenset({"dense", "sparse"})
    distributions: ClassVar[tuple[str, ...]] = generators.GRAPH_KINDS
    aliases: ClassVar[Mapping[str, str]] = {"ibarz2022": "dense_mix"}
    weighted: ClassVar[bool]
    source: ClassVar[bool] = True
    orientation: ClassVar[int] = generators.UNDIRECTED
    density: ClassVar[float] = 0.5
    communities: ClassVar[bool] = False

    def __init__(self, config: PlainGraphConfig) -> None:
        super().__init__(config)
        if isinstance(config, GraphConfig) and config.pointers not in POINTER_DOMAINS:
            raise ValueError(f"unknown pointers {config.pointers!r}; {near(config.pointers, POINTER_DOMAINS)}")

    def _spec(self, name: str, *probes: Probe) -> Spec:
        """The inputs that graph tasks share, then the task's own outputs and hints."""
        source = (Probe("s", Stage.INPUT, Location.NODE, Type.MASK_ONE),)
        return Spec(
            name,
            (
                Probe("pos", Stage.INPUT, Location.NODE, Type.SCALAR, positional=True),
                *(source if self.source else ()),
                Probe("A", Stage.INPUT, Location.EDGE, Type.SCALAR),
                Probe("adj", Stage.INPUT, Location.EDGE, Type.MASK),
                *probes,
            ),
        )

    @abstractmethod
    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        """Run the algorithm.

        Args:
            graphs: what it runs on.
            starts: position of each graph's first node in a row of node values, `[batch]`.
            width: of such a row.

        Returns:
            Node values as rows `[width]`, in hints `[frames, width]`; an index of a node or a graph's value `[batch]`;
            values of edges, which only a dense task has, `[batch, nodes, nodes]`.
        """

    def _check(self, given: Inputs, graphs: Graphs) -> None:
        """Raise `given.fail(…)` for graphs that the algorithm is not defined for."""

    def _sample(self, draw: Draw, layout: str) -> Batch:
        rows, neighbours, values, source = generators.graphs(
            draw.seed,
            draw.index,
            draw.sizes,
            draw.kinds,
            self.weighted,
            self.orientation,
            self.density,
            0.5 if self.density < 0.5 else 1.0,  # Ibarz et al. halve it for the tasks on thin graphs
            self.communities,
        )
        graphs = Graphs(draw.sizes, offsets_of(draw.sizes), rows, neighbours, values, source)
        starts, width = _placement(graphs, layout)
        random_pos = self.config.random_pos
        pos = generators.positions(draw.seed, draw.index, draw.sizes, starts, width, random_pos)
        return self._batch(graphs, pos, draw.index, layout)

    def _arrays(self, inputs: Mapping[str, Any], sizes: Any, layout: str | None) -> tuple[Mapping[str, Any], Any]:
        if are_graphs(inputs.get("A")):
            if sizes is not None:
                raise ValueError(f"{self.name}: graphs know their sizes; leave sizes out")
            return as_arrays(self.name, inputs, layout=layout or ("sparse" if "sparse" in self.layouts else "dense"))
        return super()._arrays(inputs, sizes, layout)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=("pos", "adj"), extra=("edge_index",))
        layout = "sparse" if "edge_index" in given else "dense"
        self._check_layout(layout)
        graphs = self._read_sparse(given, sizes) if layout == "sparse" else self._read_dense(given, sizes)
        self._check(given, graphs)
        starts, width = _placement(graphs, layout)
        index = np.arange(len(graphs.sizes))
        if "pos" in given:
            shape = (width,) if layout == "sparse" else (len(index), width // len(index))
            pos = given.scalars("pos", shape).astype(np.float32).reshape(width)
        else:
            pos = generators.positions(np.uint64(0), index, graphs.sizes, starts, width, False)
        return self._batch(graphs, pos, index, layout)

    def _read_dense(self, given: Inputs, sizes: Any) -> Graphs:
        """Graphs from A `[B, N, N]`."""
        weights = given.scalars("A", ("batch", "nodes", "nodes"))
        batch, nodes = weights.shape[:2]
        if weights.shape[2] != nodes:
            raise given.fail("A", "shape [batch, nodes, nodes]", f"shape {list(weights.shape)}")
        sizes = given.sizes(sizes, batch, nodes)
        self._check_sizes(sizes)
        inside = np.arange(nodes) < sizes[:, None]
        given.empty_padding("A", weights, inside[:, :, None] & inside[:, None, :])
        source = given.node("s", sizes, nodes) if self.source else np.zeros(batch, np.int64)
        if "pos" in given:
            given.empty_padding("pos", given.scalars("pos", (batch, nodes)), inside)
        if "adj" in given:
            expected = (weights + np.eye(nodes) * inside[:, None, :]) != 0
            if (given.masks("adj", (batch, nodes, nodes)) != expected).any():
                raise given.fail("adj", "A + I != 0 (or leave it out)", "something else")
        rows, neighbours, values = _rows_from_dense(weights, sizes)
        return Graphs(sizes, offsets_of(sizes), rows, neighbours, values, source)

    def _read_sparse(self, given: Inputs, sizes: Any) -> Graphs:
        """Graphs from `edge_index` `[2, ΣE]` and A `[ΣE]`."""
        edges = given.shaped("edge_index", (2, "edges"))
        if edges.dtype.kind not in "iu":
            raise given.fail("edge_index", "integer node indices", f"dtype {edges.dtype}")
        edges = edges.astype(np.int64)
        if sizes is None:
            known = given.array("pos").size if "pos" in given else int(edges.max(initial=-1)) + 1
            sizes = [known]
        sizes = np.asarray(sizes)
        sizes = given.sizes(sizes, sizes.size, int(sizes.max(initial=0)))
        self._check_sizes(sizes)
        nodes = int(sizes.sum())
        if edges.size and (edges.min() < 0 or edges.max() >= nodes):
            raise given.fail("edge_index", f"nodes from 0 to {nodes - 1}", f"{edges.min()} to {edges.max()}")
        owner = np.repeat(np.arange(len(sizes)), sizes)
        if (owner[edges[0]] != owner[edges[1]]).any():
            raise given.fail("edge_index", "edges within one graph", "an edge between two graphs of the union")
        weights = given.scalars("A", (edges.shape[1],))
        if "adj" in given:
            loops = edges[0] == edges[1]
            if (given.masks("adj", (edges.shape[1],)) != ((weights + loops) != 0)).any():
                raise given.fail("adj", "A != 0 or a self-loop (or leave it out)", "something else")
        source = self._read_sparse_source(given, sizes) if self.source else np.zeros(len(sizes), np.int64)
        offsets = offsets_of(sizes)
        rows, senders, receivers, values = _close(np.ascontiguousarray(edges), weights, nodes)
        if not len(rows):
            raise given.fail("edge_index", "every edge once", "the same edge twice")
        return Graphs(sizes, offsets, rows, (receivers - offsets[owner[senders]]).astype(np.int32), values, source)

    def _read_sparse_source(self, given: Inputs, sizes: Array) -> Array:
        """Sources from local indices `[batch]` (a plain number for one graph) or from a one-hot row over ΣN."""
        if given.array("s").dtype.kind in "iu":
            return given.node("s", sizes, int(sizes.max()))
        hot = np.flatnonzero(given.masks("s", (int(sizes.sum()),)))
        owner = np.repeat(np.arange(len(sizes)), sizes)
        if not np.array_equal(owner[hot], np.arange(len(sizes))):
            raise given.fail("s", "exactly one source in each graph", f"{len(hot)} in {len(sizes)} graphs")
        return hot - offsets_of(sizes)

    def _batch(self, graphs: Graphs, pos: Array, index: Array, layout: str) -> Batch:
        """Run the algorithm and gather everything in the wanted layout."""
        starts, width = _placement(graphs, layout)
        trace = self._trace(graphs, starts, width)
        batch = len(graphs.sizes)
        if layout == "sparse":
            edges, weights, adjacency = _edge_list(graphs.row_starts, graphs.neighbours, graphs.values, graphs.offsets)
            nodes: tuple[int, ...] = (width,)
        else:
            nodes = (batch, width // batch)
            weights, adjacency = _matrices(
                graphs.row_starts, graphs.neighbours, graphs.values, graphs.sizes, graphs.offsets, nodes[1]
            )
        inputs = {"pos": pos, "s": graphs.source.astype(np.int32), "A": weights, "adj": adjacency}

        def placed(stage: Stage, values: Mapping[str, Array]) -> dict[str, Array]:
            """Values in the layout of the batch."""
            on_nodes = {
                p.name: p.location is Location.NODE and p.type is not Type.MASK_ONE for p in self.spec.stage(stage)
            }
            time = (-1,) if stage is Stage.HINT else ()
            return {name: values[name].reshape(*time, *nodes) if on else values[name] for name, on in on_nodes.items()}

        return Batch(
            spec=self.spec,
            inputs=tensors(placed(Stage.INPUT, inputs)),
            hints=tensors(placed(Stage.HINT, trace.hints)),
            outputs=tensors(placed(Stage.OUTPUT, trace.outputs)),
            lengths=torch.from_numpy(trace.lengths),
            sizes=torch.from_numpy(graphs.sizes),
            index=torch.from_numpy(index),
            edge_index=torch.from_numpy(edges) if layout == "sparse" else None,
        )


def _placement(graphs: Graphs, layout: str) -> tuple[Array, int]:
    """Where each graph's nodes begin in a flat row of node values, and the row's width."""
    if layout == "sparse":
        return graphs.offsets, int(graphs.sizes.sum())
    nodes = int(graphs.sizes.max())
    return np.arange(len(graphs.sizes)) * nodes, len(graphs.sizes) * nodes


@kernel
def _counting_sort(order, keys, bound):
    """A permutation, stably sorted by the keys below `bound` of what it names."""
    free = np.zeros(bound + 1, np.int64)
    for k in keys:
        free[k + 1] += 1
    for k in range(bound):
        free[k + 1] += free[k]
    out = np.empty(len(order), np.int64)
    for e in order:
        out[free[keys[e]]] = e
        free[keys[e]] += 1
    return out


@kernel
def _close(edges, weights, nodes):
    """Row starts, senders, receivers, values of the closure of `[2, E]` under reversal and self-loops, in linear time.

    No rows at all where the same edge came twice.
    """
    given = edges.shape[1]
    senders = np.empty(2 * given + nodes, np.int64)
    receivers = np.empty(2 * given + nodes, np.int64)
    for e in range(given):
        senders[e] = receivers[given + e] = edges[0, e]
        receivers[e] = senders[given + e] = edges[1, e]
    for u in range(nodes):
        senders[2 * given + u] = receivers[2 * given + u] = u
    order = _counting_sort(_counting_sort(np.arange(len(senders)), receivers, nodes), senders, nodes)
    row_starts = np.zeros(nodes + 1, np.int64)
    kept = np.empty((2, len(order)), np.int64)
    values = np.zeros(len(order))
    filled = np.zeros(len(order), np.bool_)
    count = 0
    for e in order:
        u, v = senders[e], receivers[e]
        if count == 0 or kept[0, count - 1] != u or kept[1, count - 1] != v:
            kept[0, count] = u
            kept[1, count] = v
            row_starts[u + 1] += 1
            count += 1
        if e < given:
            if filled[count - 1]:
                return row_starts[:0], kept[0, :0], kept[1, :0], values[:0]
            filled[count - 1] = True
            values[count - 1] = weights[e]
    for u in range(nodes):
        row_starts[u + 1] += row_starts[u]
    return row_starts, kept[0, :count], kept[1, :count], values[:count]


@kernel
def _rows_from_dense(weights, sizes):
    """Compressed rows of A `[B, N, N]`, closed under reversal, with every self-loop."""
    row_starts = np.zeros(sizes.sum() + 1, np.int64)
    row = 0
    for b in range(len(sizes)):
        for u in range(sizes[b]):
            degree = 0
            for v in range(sizes[b]):
                if u == v or weights[b, u, v] != 0 or weights[b, v, u] != 0:
                    degree += 1
            row_starts[row + 1] = row_starts[row] + degree
            row += 1
    neighbours = np.empty(row_starts[row], np.int32)
    values = np.empty(row_starts[row])
    k = 0
    for b in range(len(sizes)):
        for u in range(sizes[b]):
            for v in range(sizes[b]):
                if u == v or weights[b, u, v] != 0 or weights[b, v, u] != 0:
                    neighbours[k] = v
                    values[k] = weights[b, u, v]
                    k += 1
    return row_starts, neighbours, values


@kernel
def _matrices(row_starts, neighbours, values, sizes, offsets, nodes):
    """A and adj = (A + I != 0), `[B, N, N]`, zero in the padding."""
    weights = np.zeros((len(sizes), nodes, nodes), np.float32)
    adjacency = np.zeros((len(sizes), nodes, nodes), np.bool_)
    for b in range(len(sizes)):
        for u in range(sizes[b]):
            for k in range(row_starts[offsets[b] + u], row_starts[offsets[b] + u + 1]):
                v = neighbours[k]
                weights[b, u, v] = values[k]
                adjacency[b, u, v] = values[k] + (1.0 if u == v else 0.0) != 0.0
    return weights, adjacency


@kernel
def _edge_list(row_starts, neighbours, values, offsets):
    """Edges sorted by (receiver, sender): positions in ΣN `[2, ΣE]`, A and adj `[ΣE]`.

    The pattern is symmetric, so row v also says where the edges into v begin.
    """
    nodes = len(row_starts) - 1
    edges = np.empty((2, len(neighbours)), np.int64)
    weights = np.empty(len(neighbours), np.float32)
    adjacency = np.empty(len(neighbours), np.bool_)
    free = row_starts[:nodes].copy()
    b = 0
    for u in range(nodes):
        while b + 1 < len(offsets) and u >= offsets[b + 1]:
            b += 1
        for k in range(row_starts[u], row_starts[u + 1]):
            v = offsets[b] + neighbours[k]
            slot = free[v]
            free[v] += 1
            edges[0, slot] = u
            edges[1, slot] = v
            weights[slot] = values[k]
            adjacency[slot] = values[k] + (1.0 if u == v else 0.0) != 0.0
    return edges, weights, adjacency
