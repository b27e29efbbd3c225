"""Arrays that are assigned to entry by entry and asked for the minimum of a range, by a segment tree."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.registry import option
from tasks.spec import Location, Probe, Stage, Type
from tasks.structures.range_kernels import ASK, ASSIGN, run
from tasks.structures.streamed_task import (
    Operations,
    StreamedConfig,
    StreamedTask,
    operation_probes,
    read_operations,
)
from tasks.task import Draw

Array = NDArray[Any]

TREE = ("parent", "low", "high")
"""Names of the inputs that only show the tree, and may be left out of a user's."""
_MINIMA = (
    Probe("least_h", Stage.HINT, Location.NODE, Type.POINTER),
    Probe("minimum_h", Stage.HINT, Location.NODE, Type.SCALAR),
)
_TOLERANCE = 1e-5  # of an entry's number over the number of entries, in single precision


@dataclass(frozen=True)
class RangeConfig(StreamedConfig):
    """Options of the tasks on range minima."""

    queries: float = option(0.5, "share of operations that ask for a minimum; the rest assign")
    minima: bool = option(True, "trace the minima of all nodes, as the hints least_h and minimum_h")
    random_pos: bool = option(False, "the array is cut at sorted draws from U[0, 1], not evenly; in training only")

    def __post_init__(self) -> None:
        if not 0 <= self.queries <= 1:
            raise ValueError(f"queries is a share from 0 to 1, got {self.queries}")


def only_at(given: Inputs, name: str, asked: Operations, kind: int) -> Array:
    """A streamed scalar that one kind of operation has, float64 `[steps, batch]`; refuses others than 0 elsewhere."""
    steps, batch = asked.kinds.shape
    array = given.scalars(name, (len(given.array("operation")), batch))
    if array[:steps][asked.kinds != kind].any() or array[steps:].any():
        raise given.fail(name, f"zeros but for operations of class {kind}", "other values there")
    return array[:steps]


def even_cuts(entries: Array) -> Array:
    """Bounds of entries of equal width, `[batch, entries + 1]`."""
    return np.arange(int(entries.max()) + 1) / entries[:, None]


class RangeTask(StreamedTask):
    """A task on a segment tree; subclasses say what it is asked about and how its visits are shown.

    A sample of size K has an array of K entries on nodes 0 to K - 1, and K - 1 inner nodes from the root, node K, on in
    preorder; of an odd number of entries, the left child has the larger half. Inputs: `initial`, the array; `parent`,
    the tree, whose root points to itself; `low` and `high`, where a node's range begins and ends: its first entry and
    one past its last, over K, or with `random_pos` at a random place in between, so that order is all they tell.
    Operation t is 1 assign, which marks its entry in `element` and gives a `value`, or 2 ask, which marks the first and
    last entry of the range (one if they are the same). All are streamed.

    Hints in frame t + 1 show the tree after operation t, in frame 0 as it is given: `least_h` points from each node to
    the entry that holds the minimum of its range (of equal ones the first), `minimum_h` is that minimum; without the
    option `minima` there are neither. `answer` is the entry of the minimum that is asked for, -1 for assignments.
    """

    config: RangeConfig

    def __init__(self, config: RangeConfig, name: str, *, inputs: tuple[Probe, ...], hints: tuple[Probe, ...]) -> None:
        super().__init__(config)
        self.spec = self._make_spec(
            name,
            Probe("initial", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("parent", Stage.INPUT, Location.NODE, Type.POINTER),
            Probe("low", Stage.INPUT, Location.NODE, Type.SCALAR),
            Probe("high", Stage.INPUT, Location.NODE, Type.SCALAR),
            *operation_probes(["assign", "ask"]),
            Probe("value", Stage.INPUT, Location.GRAPH, Type.SCALAR, streamed=True),
            *inputs,
            *(_MINIMA if config.minima else ()),
            *hints,
            Probe("answer", Stage.OUTPUT, Location.NODE, Type.MASK_ONE, streamed=True),
        )

    @abstractmethod
    def _drawn_versions(self, draw: Draw, counts: Array, steps: int) -> Array:
        """After how many operations every one of them asks about the array, int64 `[steps, batch]`."""

    @abstractmethod
    def _given_versions(self, given: Inputs, asked: Operations) -> Array:
        """The same of a user's inputs."""

    @abstractmethod
    def _inputs(self, versions: Array, kinds: Array) -> dict[str, Array]:
        """The inputs that a subclass adds."""

    @abstractmethod
    def _hints(self, visits: Array, assigned: Array) -> dict[str, Array]:
        """The hints that a subclass adds.

        Args:
            visits: 0, or `PASSED` or `ENDED` where an operation visits a node, int8 `[steps + 1, batch, nodes]`.
            assigned: whether each frame shows an assignment, bool `[steps + 1, batch, 1]`.
        """

    def _sample(self, draw: Draw, layout: str) -> Batch:
        counts = self._counts(draw.sizes)
        steps, seed, index = int(counts.max()), draw.seed, draw.index
        initial = generators.keys(seed, index, draw.sizes, int(draw.sizes.max()))
        values = generators.keys(seed, index, counts, steps, generators.SECOND_DATA).T
        coin = generators.uniforms(seed, index, counts, steps, generators.OPERATION).T
        asks = coin < self.config.queries
        ends = generators.uniforms(seed, index, 2 * counts, 2 * steps, generators.MEMBER).reshape(-1, steps, 2)
        ends = (ends * draw.sizes[:, None, None]).astype(np.int64).transpose(1, 0, 2)
        kinds = np.where(np.arange(steps)[:, None] < counts, np.where(asks, ASK, ASSIGN), 0).astype(np.int8)
        asked = Operations(
            kinds=kinds,
            first=np.where(asks, ends.min(-1), ends[..., 0]),
            last=np.where(asks, ends.max(-1), ends[..., 0]),
            counts=counts,
            sizes=2 * draw.sizes - 1,
            nodes=2 * initial.shape[1] - 1,
        )
        versions = self._drawn_versions(draw, counts, steps)
        cuts = self._cuts(draw) if self.config.random_pos else even_cuts(draw.sizes)
        return self._batch(initial, asked, np.where(kinds == ASSIGN, values, 0), versions, index, cuts)

    def _cuts(self, draw: Draw) -> Array:
        """Random bounds of the entries, `[batch, entries + 1]`: 0, sorted draws, and 1 where the last entry ends."""
        batch, most = len(draw.sizes), int(draw.sizes.max())
        starts = np.arange(batch) * most
        drawn = generators.positions(draw.seed, draw.index, draw.sizes - 1, starts, batch * most, True)
        cuts = np.zeros((batch, most + 1))
        cuts[:, 1:] = drawn.reshape(batch, most)
        cuts[np.arange(batch), draw.sizes] = 1
        return cuts

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=TREE)
        initial = given.scalars("initial", ("batch", "nodes"))
        asked = read_operations(given, [(1, 1), (1, 2)], sizes)
        batch, nodes = len(asked.sizes), asked.nodes
        if initial.shape != (batch, nodes):
            raise given.fail("initial", f"shape {[batch, nodes]} as of element", f"shape {list(initial.shape)}")
        if not batch or asked.sizes.min() < 1 or (asked.sizes % 2 == 0).any() or nodes % 2 == 0:
            got = f"{sorted(set(asked.sizes.tolist()))} of {nodes}"
            raise ValueError(f"{self.name}: a sample has 1, 3, 5, … nodes, one less than twice its entries, got {got}")
        entries = (asked.sizes + 1) // 2
        given.empty_padding("initial", initial, np.arange(nodes) < entries[:, None])
        if (asked.last >= entries).any():
            t, b = np.argwhere(asked.last >= entries)[0]
            expected = f"entries from 0 to {entries[b] - 1}"
            raise given.fail("element", expected, f"node {asked.last[t, b]} at step {t} of sample {b}")
        values = only_at(given, "value", asked, ASSIGN)
        versions = self._given_versions(given, asked)
        most = int(entries.max())
        cuts = self._given_cuts(given, entries) if self.config.random_pos else even_cuts(entries)
        made = self._batch(initial[:, :most], asked, values, versions, np.arange(batch), cuts)
        self._check_tree(given, made)
        return made

    def _given_cuts(self, given: Inputs, entries: Array) -> Array:
        """A user's bounds of the entries, `[batch, entries + 1]`; even ones where they are left out."""
        if "low" not in given or "high" not in given:
            return even_cuts(entries)
        low, high = (given.scalars(name, ("batch", "nodes")) for name in ("low", "high"))
        batch, most = len(entries), int(entries.max())
        cuts = np.concatenate([low[:, :most], np.zeros((batch, 1))], 1)
        cuts[np.arange(batch), entries] = high[np.arange(batch), entries - 1]
        if ((np.diff(cuts) <= 0) & (np.arange(most) < entries[:, None])).any():
            raise given.fail("low", "entries that begin one after another", "other values")
        return cuts

    def _check_tree(self, given: Inputs, made: Batch) -> None:
        """Refuse a user's tree that is another."""
        batch, nodes = made.inputs["parent"].shape
        for name in TREE:
            if name not in given:
                continue
            own = made.inputs[name].numpy()
            if name == "parent":
                theirs = given.pointers(name, made.sizes.numpy(), given.array("element").shape[2])[:, :nodes]
            else:
                theirs = given.scalars(name, (batch, "nodes"))[:, :nodes]
            if theirs.shape != own.shape or not np.allclose(theirs, own, rtol=0, atol=_TOLERANCE):
                raise given.fail(name, "the segment tree over the entries (or leave it out)", "other values")

    def _batch(
        self, initial: Array, asked: Operations, values: Array, versions: Array, index: Array, cuts: Array
    ) -> Batch:
        """Run the operations, and gather everything."""
        kinds, first, last = (np.ascontiguousarray(each) for each in (asked.kinds, asked.first, asked.last))
        counts = asked.counts
        entries = (asked.sizes + 1) // 2
        initial, values = np.ascontiguousarray(initial, np.float32), np.ascontiguousarray(values, np.float32)
        traced = run(initial, kinds, first, last, values, versions, counts, entries)
        parents, bounds, minima, least, visits, answers = traced
        node = np.arange(parents.shape[1])
        element = ((node == first[..., None]) | (node == last[..., None])) & (kinds > 0)[..., None]
        low, high = (np.take_along_axis(cuts, bound, 1).astype(np.float32) for bound in bounds)
        padded = np.zeros(parents.shape, np.float32)
        padded[:, : initial.shape[1]] = initial
        assigned = np.concatenate([np.zeros((1, len(counts)), np.bool_), kinds == ASSIGN])[..., None]
        return self._gather(
            {
                "initial": padded,
                "parent": parents,
                "low": low,
                "high": high,
                "operation": kinds,
                "element": element,
                "value": values,
                **self._inputs(versions, kinds),
            },
            self._hints(visits, assigned) | ({"least_h": least, "minimum_h": minima} if self.config.minima else {}),
            {"answer": answers},
            counts=counts,
            sizes=asked.sizes,
            index=index,
        )
