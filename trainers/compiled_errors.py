"""How often compiled algorithms are wrong, and from which number of nodes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

import tasks
from tasks.batch import Batch
from tasks.spec import Location, Probe, Type
from trainers.evaluation import default_dtype
from zoo.compiled import Program, compile_algorithm, list_algorithms, plan, processors
from zoo.compiled.bellman_ford_attention import bellman_ford_attention
from zoo.compiled.bfs import bfs_attention
from zoo.prediction import Prediction
from zoo.topology import Topology

FLOAT32 = 1e-6
"""Relative rounding of the scalars that a batch holds, within which a predicted scalar is right."""
SIZES = (4, 8, 16, 32, 64, 128, 256)
SPARSE = 1024
"""A further number of nodes, in the sparse layout."""
SMALL = 1
"""Nodes that attention's slopes are for in a second measurement, which shows from where on they are too flat."""
GROWING: Mapping[tuple[str, str], Callable[[int], Program]] = {
    ("bfs", "gatv2"): bfs_attention,
    ("bellman_ford", "gatv2"): bellman_ford_attention,
}
"""Programs whose slopes grow with the number of nodes that they are for."""
LARGEST: Mapping[str, int] = {
    "dfs": 128,
    "floyd_warshall": 32,
    "bubble_sort": 64,
    "odd_even_transposition_sort": 128,
    "strongly_connected_components": 64,
}
"""Nodes of algorithms whose traces or triplets take too much time or memory beyond."""
SPARSE_PAIRS = {(name, processor) for name in ("bfs", "bellman_ford") for processor in ("mpnn", "pgn")}
SEED = 7
MOST_GRAPHS = 16


class Count(NamedTuple):
    """Entries of a probe.

    Attributes:
        wrong: those that are not the trace's.
        of: all.
    """

    wrong: int
    of: int


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is compiled, and how it is run.

    Attributes:
        algorithm: its name.
        processor: registry name.
        made_for: nodes that its slopes are for; None for those of `zoo compile`.
        precision: `float32` or `float64`.
        layout: `dense` or `sparse`.
        nodes: of each graph.
    """

    algorithm: str
    processor: str
    made_for: int | None = None
    precision: str
    layout: str = "dense"
    nodes: int


def cases() -> Iterator[Case]:
    """All that the page shows."""
    for algorithm in list_algorithms():
        for processor in processors(algorithm):
            for precision in ("float64", "float32"):
                yield from _over_sizes(algorithm, processor, precision)
            if (algorithm, processor) in GROWING:
                yield from _over_sizes(algorithm, processor, "float64", made_for=SMALL)


def _over_sizes(algorithm: str, processor: str, precision: str, made_for: int | None = None) -> Iterator[Case]:
    """One line of the figure."""
    case = Case(algorithm=algorithm, processor=processor, made_for=made_for, precision=precision, nodes=0)
    yield from (replace(case, nodes=nodes) for nodes in SIZES if nodes <= LARGEST.get(algorithm, nodes))
    if (algorithm, processor) in SPARSE_PAIRS:
        yield replace(case, layout="sparse", nodes=SPARSE)


def measure(case: Case) -> dict[str, Count]:
    """Wrong entries of each probe that is predicted, on samples of the task's first distribution."""
    program: str | Program = case.algorithm
    if case.made_for is not None:
        program = GROWING[case.algorithm, case.processor](case.made_for)
    task = tasks.create(case.algorithm, **plan(program, case.processor).program.task)
    graphs = max(1, min(MOST_GRAPHS, 256 // case.nodes))
    batch = task.sample(seed=SEED, batch_size=graphs, size=case.nodes, layout=case.layout)
    model = compile_algorithm(program, task.spec, case.processor).to(getattr(torch, case.precision))
    with default_dtype(case.precision), torch.inference_mode():
        return compared(model(batch), batch)


def compared(prediction: Prediction, batch: Batch) -> dict[str, Count]:
    """Entries of each predicted probe, all frames of a hint together, that are not the trace's."""
    found = {}
    for name, value in prediction.values.items():
        found[name] = _count(batch.spec[name], value, batch.outputs[name], prediction.topology)
    for name, frames in prediction.hint_values.items():
        probe, total = batch.spec[name], Count(0, 0)
        for t in range(int(batch.lengths.max()) - 1):
            one = _count(probe, frames[t], batch.hints[name][t + 1], prediction.topology, batch.lengths > t + 1)
            total = Count(total.wrong + one.wrong, total.of + one.of)
        found[name] = total
    return found


def _count(probe: Probe, value: Tensor, true: Tensor, topology: Topology, live: Tensor | None = None) -> Count:
    """Entries that differ, of graphs that are live and of nodes that exist; what is not a number differs."""
    if probe.type is Type.SCALAR:
        differ = ~((value - true).abs() <= FLOAT32 * (1 + true.abs()))
    else:
        differ = value.long() != true.long()
    live = torch.ones(topology.batch_size, dtype=torch.bool) if live is None else live
    location = Location.GRAPH if probe.type is Type.MASK_ONE else probe.location
    where = topology.per_entry(live, location)
    if location is Location.NODE:
        where = where & topology.node_mask()
    elif location is Location.EDGE:
        mask = topology.node_mask()
        where = where & topology.senders(mask) & topology.receivers(mask)
    where = where.expand_as(differ)
    return Count(int((differ & where).sum()), int(where.sum()))


def share(counts: Mapping[str, Count], probes: Sequence[str]) -> float:
    """Wrong entries of some probes, of all of theirs."""
    return sum(counts[name].wrong for name in probes) / max(1, sum(counts[name].of for name in probes))
