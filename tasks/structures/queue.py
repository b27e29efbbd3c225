"""A queue, served at the front of a row (Cormen et al., 2009, section 10.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tasks.registry import register
from tasks.structures.element_kernels import INSERT, QUERY, REMOVE
from tasks.structures.element_task import ElementConfig, Kind
from tasks.structures.papers import TEXTBOOK
from tasks.structures.row_task import RowTask


@dataclass(frozen=True)
class QueueConfig(ElementConfig):
    """Options of `queue`."""


@register("queue", config=QueueConfig, **TEXTBOOK)
class Queue(RowTask):
    """Queue: elements put in at the back, taken out and asked for at the front, the first one in first.

    Operations are 1 enqueue, which names an element, 2 dequeue and 3 front. See `RowTask`. With three elements:

        enqueue 0   answer -   next_h 0 1 2   place_h 4 0 0   modified_h 1 0 0
        enqueue 2   answer -   next_h 2 1 2   place_h 2 0 3   modified_h 1 0 1
        front       answer 0   next_h 2 1 2   place_h 2 0 3   modified_h 0 0 0
        enqueue 1   answer -   next_h 2 1 1   place_h 2 3 1   modified_h 0 1 1
        dequeue     answer 0   next_h 0 1 1   place_h 0 3 2   modified_h 1 0 0

    The element to put in is uniform among those that are not held; a sample never asks anything of an empty queue.
    """

    kinds: ClassVar[tuple[Kind, ...]] = (
        Kind("enqueue", INSERT, back=True),
        Kind("dequeue", REMOVE),
        Kind("front", QUERY),
    )

    def __init__(self, config: QueueConfig) -> None:
        super().__init__(config, "queue")
