"""A queue with two ends, a row of elements (Cormen et al., 2009, exercise 10.1-5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tasks.registry import register
from tasks.structures.element_kernels import INSERT, QUERY, REMOVE
from tasks.structures.element_task import ElementConfig, Kind
from tasks.structures.papers import TEXTBOOK
from tasks.structures.row_task import RowTask


@dataclass(frozen=True)
class DequeConfig(ElementConfig):
    """Options of `deque`."""


@register("deque", config=DequeConfig, **TEXTBOOK)
class Deque(RowTask):
    """Deque: elements put in, taken out and asked for at either end.

    Operations are 1 push_front and 2 push_back, which name an element, 3 pop_front, 4 pop_back, 5 front and 6 back.
    See `RowTask`. With three elements:

        push_front 1   answer -   next_h 0 1 2   place_h 0 4 0   modified_h 0 1 0
        push_back 0    answer -   next_h 0 0 2   place_h 3 2 0   modified_h 1 1 0
        push_front 2   answer -   next_h 0 0 1   place_h 3 1 2   modified_h 0 0 1
        back           answer 0   next_h 0 0 1   place_h 3 1 2   modified_h 0 0 0
        pop_back       answer 0   next_h 0 1 1   place_h 0 3 2   modified_h 1 1 0
        pop_front      answer 2   next_h 0 1 2   place_h 0 4 0   modified_h 0 0 1

    Either end is as likely. The element to put in is uniform among those that are not held; a sample never asks
    anything of an empty deque.
    """

    kinds: ClassVar[tuple[Kind, ...]] = (
        Kind("push_front", INSERT),
        Kind("push_back", INSERT, back=True),
        Kind("pop_front", REMOVE),
        Kind("pop_back", REMOVE, back=True),
        Kind("front", QUERY),
        Kind("back", QUERY, back=True),
    )

    def __init__(self, config: DequeConfig) -> None:
        super().__init__(config, "deque")
