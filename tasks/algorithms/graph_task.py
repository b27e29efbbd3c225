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
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from tasks import generators, graph_families
from tasks.algorithms.graph_inputs import are_graphs, as_arrays
from tasks.algorithms.graph_layouts import (
    Graphs,
    close,
    edge_list,
    in_layout,
    matrices,
    offsets_of,
    pairs,
    placement,
    reversed_values,
    rows_from_dense,
)
from tasks.algorithms.trace import Trace
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.registry import near, option
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Draw, Task, tensors

__all__ = ["GraphConfig", "GraphTask", "Graphs", "OnGraphs", "PlainGraphConfig", "pairs", "reversed_values"]

Array = NDArray[Any]
POINTER_DOMAINS = ("edges", "nodes")
HINTS = ("auto", "full", "none")
LARGEST_TRACED = 1600
"""Nodes of a graph up to which the whole trajectory is recorded by default; SALSA-CLRS's largest."""


@dataclass(frozen=True)
class PlainGraphConfig:
    """Options of tasks on graphs none of whose pointers is to a neighbour."""

    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")
    hints: str = option(
        "auto",
        "frames of hints: all ('full'), the given first one ('none'), or all of graphs up to 1,600 nodes ('auto')",
    )


@dataclass(frozen=True)
class GraphConfig(PlainGraphConfig):
    """Options of tasks on graphs."""

    pointers: str = option(
        "edges", "what a predecessor may be: a neighbour ('edges') or any node ('nodes', as in CLRS)"
    )


class OnGraphs(Task):
    """A task on a graph: how graphs are drawn, read and gathered. Subclasses give their spec by `_spec`.

    Attributes:
        weighted: whether sampled edges have random weights instead of 1.
        source: whether a node is given to start from.
        orientation: of sampled graphs: `generators.UNDIRECTED`, `DIRECTED` or `ACYCLIC`.
        density: of the random matrix behind a sampled `clrs` graph.
        communities: whether sampled `clrs` graphs fall into parts, see `generators.graphs`.
    """

    layouts: ClassVar[frozenset[str]] = frozenset({"dense", "sparse"})
    distributions: ClassVar[tuple[str, ...]] = generators.GRAPH_KINDS + graph_families.FAMILIES
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
        if config.hints not in HINTS:
            raise ValueError(f"unknown hints {config.hints!r}; {near(config.hints, HINTS)}")

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

    def _check(self, given: Inputs, graphs: Graphs) -> None:
        """Raise `given.fail(…)` for graphs that the algorithm is not defined for."""

    def _draw(self, draw: Draw, layout: str) -> tuple[Graphs, Array]:
        """Random graphs and positions."""
        kinds, made, spans = self._edges(draw)
        rows, neighbours, values, source = generators.graphs(
            draw.seed,
            draw.index,
            draw.sizes,
            kinds,
            made,
            spans,
            self.weighted,
            self.orientation,
            self.density,
            0.5 if self.density < 0.5 else 1.0,  # Ibarz et al. halve it for the tasks on thin graphs
            self.communities,
        )
        graphs = Graphs(draw.sizes, offsets_of(draw.sizes), rows, neighbours, values, source)
        starts, width = placement(graphs, layout)
        random_pos = self.config.random_pos
        return graphs, generators.positions(draw.seed, draw.index, draw.sizes, starts, width, random_pos)

    def _edges(self, draw: Draw) -> tuple[Array, Array, Array]:
        """Kinds of the graphs, as `generators.graphs` knows them, and the edges of those that it does not make."""
        families = draw.kinds - len(generators.GRAPH_KINDS)
        return draw.kinds, *graph_families.pairs(draw.seed, draw.index, draw.sizes, families)

    def _arrays(self, inputs: Mapping[str, Any], sizes: Any, layout: str | None) -> tuple[Mapping[str, Any], Any]:
        if are_graphs(inputs.get("A")):
            if sizes is not None:
                raise ValueError(f"{self.name}: graphs know their sizes; leave sizes out")
            return as_arrays(self.name, inputs, layout=layout or ("sparse" if "sparse" in self.layouts else "dense"))
        return super()._arrays(inputs, sizes, layout)

    def _read(self, given: Inputs, sizes: Any) -> tuple[Graphs, Array, str]:
        """Given graphs and positions, and the layout that they came in."""
        layout = "sparse" if "edge_index" in given else "dense"
        self._check_layout(layout)
        graphs = self._read_sparse(given, sizes) if layout == "sparse" else self._read_dense(given, sizes)
        self._check(given, graphs)
        starts, width = placement(graphs, layout)
        index = np.arange(len(graphs.sizes))
        if "pos" in given:
            shape = (width,) if layout == "sparse" else (len(index), width // len(index))
            return graphs, given.scalars("pos", shape).astype(np.float32).reshape(width), layout
        return graphs, generators.positions(np.uint64(0), index, graphs.sizes, starts, width, False), layout

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
        rows, neighbours, values = rows_from_dense(weights, sizes)
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
        rows, senders, receivers, values = close(np.ascontiguousarray(edges), weights, nodes)
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

    def _traced(self, largest: int) -> bool:
        """Whether the whole trajectory is recorded."""
        hints = self.config.hints
        return hints == "full" or (hints == "auto" and largest <= LARGEST_TRACED)

    def _gather(
        self,
        graphs: Graphs,
        pos: Array,
        index: Array,
        layout: str,
        trace: Trace,
        more: Mapping[str, Array] | None = None,
    ) -> Batch:
        """Everything in the wanted layout; `more` are inputs of the task's own."""
        batch, width = len(graphs.sizes), len(pos)
        edges = None
        if layout == "sparse":
            edges, weights, adjacency = edge_list(graphs.row_starts, graphs.neighbours, graphs.values, graphs.offsets)
        else:
            weights, adjacency = matrices(
                graphs.row_starts, graphs.neighbours, graphs.values, graphs.sizes, graphs.offsets, width // batch
            )
        inputs = {"pos": pos, "s": graphs.source.astype(np.int32), **(more or {})}

        def placed(stage: Stage, values: Mapping[str, Array]) -> dict[str, Array]:
            """Values in the layout of the batch."""
            found = {}
            for probe in self.spec.stage(stage):
                if probe.name not in values:
                    continue
                value = values[probe.name]
                time = int(stage is Stage.HINT or probe.streamed)
                if probe.location is Location.NODE and probe.type is not Type.MASK_ONE:
                    nodes = (batch, width // batch) if edges is None else (width,)
                    channels = (probe.channels,) if probe.channels > 1 else ()
                    value = value.reshape(*value.shape[:time], *nodes, *channels)
                elif probe.location is Location.EDGE and value.ndim == time + 1:
                    value = in_layout(graphs, value, width // batch if edges is None else None)
                found[probe.name] = value
            return found

        found = placed(Stage.INPUT, inputs) | {"A": weights, "adj": adjacency}
        return Batch(
            spec=self.spec,
            inputs=tensors({probe.name: found[probe.name] for probe in self.spec.inputs}),
            hints=tensors(placed(Stage.HINT, trace.hints)),
            outputs=tensors(placed(Stage.OUTPUT, trace.outputs)),
            lengths=torch.from_numpy(trace.lengths),
            sizes=torch.from_numpy(graphs.sizes),
            index=torch.from_numpy(index),
            edge_index=None if edges is None else torch.from_numpy(edges),
        )


class GraphTask(OnGraphs):
    """A task whose inputs are a graph and, maybe, a source; subclasses give `_trace` besides."""

    @abstractmethod
    def _trace(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        """Run the algorithm.

        Args:
            graphs: what it runs on.
            starts: position of each graph's first node in a row of node values, `[batch]`.
            width: of such a row.

        Returns:
            Node values as rows `[width]`, in hints `[frames, width]`; an index of a node or a graph's value `[batch]`;
            values of edges as those of the entries of `graphs`, `[ΣE]`, or, of a task without a sparse layout,
            `[batch, nodes, nodes]`.
        """

    def _answer(self, graphs: Graphs, starts: Array, width: int) -> Trace:
        """As `_trace`, but with the first frame of the hints alone; overridden where the others need not be made."""
        trace = self._trace(graphs, starts, width)
        return trace._replace(hints={name: frames[:1].copy() for name, frames in trace.hints.items()})

    def _sample(self, draw: Draw, layout: str) -> Batch:
        graphs, pos = self._draw(draw, layout)
        trace = self._run(graphs, layout, largest=draw.largest)
        return self._gather(graphs, pos, draw.index, layout, trace)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=("pos", "adj"), extra=("edge_index",))
        graphs, pos, layout = self._read(given, sizes)
        trace = self._run(graphs, layout, largest=int(graphs.sizes.max()))
        return self._gather(graphs, pos, np.arange(len(graphs.sizes)), layout, trace)

    def _run(self, graphs: Graphs, layout: str, *, largest: int) -> Trace:
        """The trace, in as many frames as are wanted of graphs of at most `largest` nodes."""
        return (self._trace if self._traced(largest) else self._answer)(graphs, *placement(graphs, layout))
