"""A priority queue, kept as a binary heap in an array (Cormen et al., 2009, sections 6.1, 6.2 and 6.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tasks.registry import register
from tasks.structures.element_kernels import HEAP, INSERT, QUERY, REMOVE
from tasks.structures.element_task import ElementConfig, ElementTask, Kind
from tasks.structures.papers import TEXTBOOK


@dataclass(frozen=True)
class PriorityQueueConfig(ElementConfig):
    """Options of `priority_queue`."""


@register("priority_queue", config=PriorityQueueConfig, **TEXTBOOK)
class PriorityQueue(ElementTask):
    """Priority queue: elements put in, and the one of least `key` taken out or asked for, by a binary heap.

    Operations are 1 insert, which names an element, 2 extract and 3 least; `answer` is the element taken out or asked
    for, -1 for insertions. Equal keys are in the order of their nodes. With keys 0.5, 0.2, 0.9 and 0.3:

        insert 0   answer -   parent_h 0 1 2 3   place_h 1 0 0 0   modified_h 1 0 0 0
        insert 2   answer -   parent_h 0 1 0 3   place_h 1 0 2 0   modified_h 0 0 1 0
        insert 1   answer -   parent_h 1 1 1 3   place_h 3 1 2 0   modified_h 1 1 1 0
        least      answer 1   parent_h 1 1 1 3   place_h 3 1 2 0   modified_h 0 0 0 0
        insert 3   answer -   parent_h 1 1 3 1   place_h 3 1 2 2   modified_h 0 0 1 1
        extract    answer 1   parent_h 3 1 3 3   place_h 3 0 2 1   modified_h 1 1 1 1

    Slot k of the heap's array lies above slots 2k + 1 and 2k + 2. `parent_h` points from each element to the one in
    the slot above, the root and what is not held to themselves; `place_h` is 0 for what is not held, 1 for the root,
    2 for a left child and 3 for a right one, so that the two together are the array. All exchanges of an operation
    are made in its one step: `modified_h` marks the elements that change slots, those below a slot whose element
    changed, and the one taken out. Hints in frame t + 1 show the heap after operation t, in frame 0 the empty one.

    Keys are uniform on [0, 1). The element to insert is uniform among those that are not held; a sample never asks
    anything of an empty queue.
    """

    structure: ClassVar[int] = HEAP
    kinds: ClassVar[tuple[Kind, ...]] = (Kind("insert", INSERT), Kind("extract", REMOVE), Kind("least", QUERY))
    pointer: ClassVar[str] = "parent_h"
    places: ClassVar[int] = 4
    keyed: ClassVar[bool] = True

    def __init__(self, config: PriorityQueueConfig) -> None:
        super().__init__(config)
        self.spec = self._make_spec("priority_queue", *self._probes())
