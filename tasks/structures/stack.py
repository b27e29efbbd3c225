"""A stack, whose top is the front of a row (Cormen et al., 2009, section 10.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tasks.registry import register
from tasks.structures.element_kernels import INSERT, QUERY, REMOVE
from tasks.structures.element_task import ElementConfig, Kind
from tasks.structures.papers import TEXTBOOK
from tasks.structures.row_task import RowTask


@dataclass(frozen=True)
class StackConfig(ElementConfig):
    """Options of `stack`."""


@register("stack", config=StackConfig, **TEXTBOOK)
class Stack(RowTask):
    """Stack: elements pushed, popped and asked for at the top, the last one in first.

    Operations are 1 push, which names an element, 2 pop and 3 top. The row begins at the top; see `RowTask`. With
    three elements:

        push 0   answer -   next_h 0 1 2   place_h 4 0 0   modified_h 1 0 0
        push 2   answer -   next_h 0 1 0   place_h 3 0 2   modified_h 0 0 1
        top      answer 2   next_h 0 1 0   place_h 3 0 2   modified_h 0 0 0
        pop      answer 2   next_h 0 1 2   place_h 4 0 0   modified_h 0 0 1
        pop      answer 0   next_h 0 1 2   place_h 0 0 0   modified_h 1 0 0
        pop      answer -   next_h 0 1 2   place_h 0 0 0   modified_h 0 0 0

    The element to push is uniform among those that are not held; a sample never pops from or asks an empty stack.
    """

    kinds: ClassVar[tuple[Kind, ...]] = (
        Kind("push", INSERT),
        Kind("pop", REMOVE),
        Kind("top", QUERY),
    )

    def __init__(self, config: StackConfig) -> None:
        super().__init__(config, "stack")
