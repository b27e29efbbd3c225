"""How the cost of a step of each architecture is meant to grow, and on what it is measured.

A family says what is enlarged, and how time and memory of a step with its derivative should grow with it. Widths are
small, so that what grows fastest is most of the cost at sizes that a CPU takes in a second. The largest matrices
have no rows of a power of two: rows that lie whole pages apart share few lines of a cache, and cost several times more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

import zoo
from zoo.edges import FoldedEdges
from zoo.processor import Inputs, Latents
from zoo.topology import DenseTopology, SparseTopology, Topology

CHANNELS = 2
DEGREE = 8
"""Edges of a node in the sparse layout, in the mean and beside its loop."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """What grows, and how fast.

    Attributes:
        name: in words.
        layout: `"sequence"` (dense, without edges), `"dense"` or `"sparse"`; in the last, edges are counted.
        sizes: nodes, doubled at least three times.
        time: how the time grows with what is counted, up to a factor.
        memory: likewise the peak of memory.
        width: hidden width.
        batch: graphs in a batch.
        passes: whether a step is as many passes as nodes, each with operators to launch.
    """

    name: str
    layout: str
    sizes: tuple[int, ...]
    time: Callable[[float], float]
    memory: Callable[[float], float]
    width: int = 16
    batch: int = 1
    passes: bool = False


def linear(n: float) -> float:
    """n."""
    return n


def linearithmic(n: float) -> float:
    """n log n."""
    return n * math.log2(n)


def square(n: float) -> float:
    """n²."""
    return n**2


def square_linearithmic(n: float) -> float:
    """n² log n."""
    return n**2 * math.log2(n)


def cube(n: float) -> float:
    """n³."""
    return n**3


SWEEP = Family(name="sweep", layout="sequence", sizes=(32, 64, 128, 256), time=linear, memory=linear, batch=4)
# One operator for all steps: short ones would be mostly its launch. An LSTM's is the fastest.
RECURRENT = replace(SWEEP, sizes=(256, 512, 1024, 2048))
RECURRENT_FUSED = replace(SWEEP, sizes=(2048, 4096, 8192, 16384))
SET = Family(name="set", layout="sequence", sizes=(4096, 8192, 16384, 32768), time=linear, memory=linear)
# Wide, so that arithmetic is most of the cost: that of memory grows faster than the work where tensors outgrow caches.
SHUFFLE = Family(
    name="shuffle-exchange",
    layout="sequence",
    sizes=(1024, 2048, 4096, 8192),
    time=linearithmic,
    memory=linearithmic,
    width=64,
)
MATRIX_SHUFFLE = Family(
    name="shuffle-exchange of pairs",
    layout="dense",
    sizes=(32, 64, 128, 256),
    time=square_linearithmic,
    memory=square_linearithmic,
    width=48,
)
# Wide, so that a pass is more than the launch of its operators, and that torch takes one algorithm for convolutions of
# all sizes: below some twenty thousand elements it takes another.
ITERATED = Family(
    name="as many passes as tokens",
    layout="sequence",
    sizes=(64, 128, 256, 512),
    time=square,
    memory=square,
    width=96,
    passes=True,
)
ITERATED_LEAN = replace(ITERATED, sizes=(128, 256, 512, 1024), width=160)
ATTENTION = Family(
    name="attention to all tokens",
    layout="sequence",
    sizes=(512, 1024, 2048, 4096),
    time=square,
    memory=linear,
    width=64,
)
DENSE = Family(
    name="dense messages", layout="dense", sizes=(250, 500, 1000, 2000), time=square, memory=square, width=64
)
# Maxima of sums: two channels of an edge are all that is made for each, so that narrow ones cost by the edge.
DENSE_SUMS = replace(DENSE, sizes=(700, 1400, 2800, 5600), width=32)
# Kept is little more than a chunk takes up to some hundred nodes.
DENSE_LEAN = replace(DENSE, width=32)
# Large, narrow and of more channels of triplets than of pairs: a triplet takes a tenth of a nanosecond, so what grows
# with n² is not soon a small part of the cost.
TRIPLETS = Family(name="triplets", layout="dense", sizes=(350, 700, 1400, 2800), time=cube, memory=square, width=4)
# Narrow, so that senders are picked from a table that stays in the second-level cache at all sizes.
SPARSE = Family(
    name="sparse messages", layout="sparse", sizes=(2000, 4000, 8000, 16000), time=linear, memory=linear, width=8
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """An architecture or preset in one family."""

    name: str
    family: Family
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name and options."""
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.options.items())])


GIVEN = {"adjacency": "given"}
SWEPT: dict[str, dict[str, Any]] = {
    name: {} for name in ("adnc", "adnc.unidirectional", "baby_ntm", "dnc", "dnc.csordas2019", "ntm")
}
SWEPT |= {name: {} for name in ("sam", "sdnc", "stack_rnn", "suzgun_stack_rnn")}
SWEPT |= {name: {"word": 16, "controller_size": 32} for name in ("neural_deque", "neural_queue", "neural_stack")}
MESSAGES: dict[str, tuple[Family, ...]] = {
    name: (DENSE, SPARSE) for name in ("gat", "gatv2", "gin", "iter_gnn", "mpnn.xu2021", "neural_executor.attention")
}
MESSAGES |= {name: (DENSE_SUMS, SPARSE) for name in ("linear_mpnn", "neural_executor", "path_gnn")}
MESSAGES |= {name: (DENSE,) for name in ("gat_full", "gatv2_full", "mpnn", "gmpnn", "memnet", "memnet_full")}
CASES = (
    *(Case(name=name, family=SWEEP, options=options) for name, options in SWEPT.items()),
    *(Case(name=name, family=RECURRENT) for name in ("gru", "rnn")),
    Case(name="lstm", family=RECURRENT_FUSED),
    Case(name="deep_sets", family=SET),
    *(Case(name=name, family=SHUFFLE) for name in ("shuffle_exchange", "residual_shuffle_exchange")),
    Case(name="matrix_shuffle_exchange", family=MATRIX_SHUFFLE),
    Case(name="neural_gpu", family=ITERATED),
    Case(name="diagonal_neural_gpu", family=ITERATED_LEAN),
    Case(name="transformer", family=ATTENTION, options={"layers": 1, "heads": 2}),
    Case(name="universal_transformer", family=ATTENTION, options={"max_steps": 2, "heads": 2}),
    *(Case(name=name, family=family) for name, families in MESSAGES.items() for family in families),
    Case(name="mpnn", family=SPARSE, options=GIVEN),
    Case(name="gmpnn", family=SPARSE, options=GIVEN),
    *(
        Case(name=name, family=family, options={"pointers": True})
        for name, dense in (("pgn", DENSE_LEAN), ("gpgn", DENSE), ("pointer_graph", DENSE_LEAN))
        for family in (dense, SPARSE)
    ),
    Case(name="pointer_graph.unrestricted", family=DENSE_LEAN, options={"pointers": True}),
    *(
        Case(name=name, family=family, options={"masks": True})
        for name in ("persistent_message_passing", "persistent_message_passing.overwrite")
        for family in (DENSE_SUMS, SPARSE)
    ),
    Case(name="triplet_gmpnn", family=TRIPLETS, options={"triplet_width": 16}),
)


class GraphStep:
    """A step of a processor from its initial state on random latents of one batch, and its derivative."""

    def __init__(self, case: Case, size: int, *, device: str = "cpu") -> None:
        """Make processor and inputs.

        Args:
            case: what is measured.
            size: nodes of a graph.
            device: where it runs.
        """
        family, where = case.family, torch.device(device)
        torch.manual_seed(0)
        self.device = where
        self.processor = zoo.create(case.name, **({"hidden_size": family.width} | case.options)).to(where)
        self.topology, edges = _graphs(family, size, where)
        shape = (family.batch, size) if family.layout != "sparse" else (family.batch * size,)
        width = self.processor.input_size
        # Everything that an encoder would make has a gradient.
        leaf: dict[str, Any] = {"device": where, "requires_grad": True}
        nodes = torch.randn(*shape, width, **leaf)
        graph = torch.randn(family.batch, width, **leaf)
        folded = (
            None
            if edges is None
            else FoldedEdges(edges, torch.randn(width, CHANNELS, **leaf), torch.randn(width, **leaf))
        )
        self.inputs = Inputs(Latents(nodes, folded, None if edges is None else graph))

    @property
    def counted(self) -> int:
        """What the family counts: nodes, or the edges of a sparse graph."""
        topology = self.topology
        return topology.num_edges if isinstance(topology, SparseTopology) else topology.max_nodes

    def __call__(self) -> None:
        """The step and its derivative; gradients add up in place."""
        hidden, state = self.processor.initial(self.inputs, self.topology)
        step = self.processor(self.inputs, hidden, self.topology, state)
        made = [part for part in step.hidden if isinstance(part, Tensor)]
        made += [value for value in (*step.heads.values(), *step.penalties.values()) if value.is_floating_point()]
        torch.stack([one.square().sum() for one in made]).sum().backward()
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def _graphs(family: Family, size: int, device: torch.device) -> tuple[Topology, Tensor | None]:
    """Graphs of one size and their edges' channels; none in a sequence."""
    if family.layout == "sequence":
        return DenseTopology(family.batch, size, device=device), None
    if family.layout == "dense":
        half = (torch.rand(family.batch, size, size) < 0.5).triu()
        adjacency = half | half.transpose(1, 2) | torch.eye(size, dtype=torch.bool)
        return (
            DenseTopology(family.batch, size, adjacency=adjacency.to(device)),
            torch.randn(family.batch, size, size, CHANNELS, device=device),
        )
    ends = torch.randint(size, (2, size * DEGREE // 2))
    topology = SparseTopology.from_edge_index(ends.to(device), size)
    return topology, torch.randn(topology.num_edges, CHANNELS, device=device)
