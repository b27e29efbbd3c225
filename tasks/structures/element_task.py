"""Structures that hold elements: each node is one, and operations put it in, take it out or ask for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.registry import option
from tasks.spec import Location, Probe, Stage, Type
from tasks.structures.element_kernels import INSERT, run
from tasks.structures.streamed_task import StreamedConfig, StreamedTask, operation_probes, read_operations
from tasks.task import Draw

Array = NDArray[Any]


@dataclass(frozen=True)
class ElementConfig(StreamedConfig):
    """Options of the tasks on structures that hold elements."""

    inserts: float = option(0.7, "share of insertions among the operations that change something, where there is room")
    queries: float = option(0.2, "share of operations that only ask, where there is something to ask for")

    def __post_init__(self) -> None:
        for name in ("inserts", "queries"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, got {share}")


class Kind(NamedTuple):
    """A kind of operation.

    Attributes:
        name: as in the task's docstring.
        role: `INSERT`, `REMOVE` or `QUERY`.
        back: whether it is about the back of a row.
    """

    name: str
    role: int
    back: bool = False


class ElementTask(StreamedTask):
    """A task on a structure that holds elements; subclasses name it and its operations.

    Operation t is a class (`operation`, streamed; 1 for the first of `kinds`, 0 past the end) and the node that it
    names, if any (`element`, streamed). Operations that cannot be done, a removal or query where nothing is held,
    change nothing; their answer is -1, not scored, and they are never sampled.

    Attributes:
        structure: `ROW`, `HEAP` or `TREE`.
        kinds: kinds of operations, in the order of their classes.
        names_all: whether all kinds name an element, or only insertions.
        pointer: name of the hint that shows the structure.
        places: number of classes of `place_h`.
        keyed: whether elements have keys.
    """

    structure: ClassVar[int]
    kinds: ClassVar[tuple[Kind, ...]]
    names_all: ClassVar[bool] = False
    pointer: ClassVar[str]
    places: ClassVar[int]
    keyed: ClassVar[bool] = False
    config: ElementConfig

    def _probes(self) -> list[Probe]:
        """Probes in the order of the spec: keys, operations, pointers, places, masks and answers."""
        return [
            *([Probe("key", Stage.INPUT, Location.NODE, Type.SCALAR)] if self.keyed else []),
            *operation_probes([kind.name for kind in self.kinds]),
            Probe(self.pointer, Stage.HINT, Location.NODE, Type.POINTER),
            Probe("place_h", Stage.HINT, Location.NODE, Type.CATEGORICAL, classes=self.places),
            Probe("modified_h", Stage.HINT, Location.NODE, Type.MASK),
            Probe("answer", Stage.OUTPUT, Location.NODE, Type.MASK_ONE, streamed=True),
        ]

    def _sample(self, draw: Draw, layout: str) -> Batch:
        counts = self._counts(draw.sizes)
        steps, nodes, batch = int(counts.max()), int(draw.sizes.max()), len(counts)
        purposes = (generators.OPERATION, generators.QUERY, generators.MEMBER)
        draws = [generators.uniforms(draw.seed, draw.index, counts, steps, purpose) for purpose in purposes]
        key = np.zeros((batch, nodes))
        if self.keyed:
            key = generators.keys(draw.seed, draw.index, draw.sizes, nodes)
        kinds, elements = np.zeros((steps, batch), np.int8), np.full((steps, batch), -1)
        return self._batch(key, kinds, elements, np.stack(draws), counts, draw.sizes, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=())
        key = given.scalars("key", ("batch", "nodes")) if self.keyed else None
        each = [int(self.names_all or kind.role == INSERT) for kind in self.kinds]
        asked = read_operations(given, [(count, count) for count in each], sizes)
        self._check_sizes(asked.sizes)
        shape = (len(asked.sizes), asked.nodes)
        if key is None:
            key = np.zeros(shape)
        elif key.shape != shape:
            raise given.fail("key", f"shape {list(shape)} as of element", f"shape {list(key.shape)}")
        else:
            given.empty_padding("key", key, np.arange(shape[1]) < asked.sizes[:, None])
        drawn = np.zeros((3, len(asked.sizes), 0))
        index = np.arange(len(asked.sizes))
        return self._batch(key, asked.kinds, asked.first, drawn, asked.counts, asked.sizes, index)

    def _batch(
        self, key: Array, kinds: Array, elements: Array, draws: Array, counts: Array, sizes: Array, index: Array
    ) -> Batch:
        """Run the operations, drawn ones first being filled in, and gather everything."""
        roles = np.array([kind.role for kind in self.kinds])
        backs = np.array([kind.back for kind in self.kinds])
        shares = np.array([self.config.inserts, self.config.queries], np.float64)
        key = key.astype(np.float32)
        traced = run(self.structure, roles, backs, kinds, elements, draws, shares, key, counts, sizes)
        pointers, places, modified, answer, found, (step, sample) = traced
        if step >= 0:
            raise ValueError(
                f"{self.name} input 'element': expected an element that is not held, to be put in, "
                f"got {elements[step, sample]} at step {step} of sample {sample}"
            )
        node = np.arange(key.shape[1])
        element = node == elements[..., None]
        inside = (np.arange(len(pointers))[:, None] <= counts)[..., None] & (node < sizes[:, None])
        return self._gather(
            {**({"key": key} if self.keyed else {}), "operation": kinds, "element": element},
            self._hints(pointers, places, modified, inside),
            self._outputs(answer, found),
            counts=counts,
            sizes=sizes,
            index=index,
        )

    def _hints(self, pointers: Array, places: Array, modified: Array, inside: Array) -> dict[str, Array]:
        """The hints; `inside` `[steps + 1, batch, nodes]` tells samples from padding."""
        return {self.pointer: pointers, "place_h": places, "modified_h": modified}

    def _outputs(self, answer: Array, found: Array) -> dict[str, Array]:
        """The outputs, from where the answer is and whether the named element was held before."""
        return {"answer": answer}
