"""Elements in a row, put in and taken out at its ends."""

from __future__ import annotations

from typing import ClassVar

from tasks.structures.element_kernels import ROW
from tasks.structures.element_task import ElementConfig, ElementTask


class RowTask(ElementTask):
    """A task on a row of elements.

    `next_h` points from each element to the next one behind it; the last, and what is not held, point to themselves.
    `place_h` tells these apart: 0 not held, 1 inside, 2 at the front, 3 at the back, 4 the only one. `modified_h`
    marks the element put in or taken out and, at the back, its neighbour: those whose pointer the operation assigns.
    Hints in frame t + 1 show the row after operation t, in frame 0 the empty row. `answer` is the element taken out
    or asked for, -1 for insertions.
    """

    structure: ClassVar[int] = ROW
    pointer: ClassVar[str] = "next_h"
    places: ClassVar[int] = 5

    def __init__(self, config: ElementConfig, name: str) -> None:
        super().__init__(config)
        self.spec = self._make_spec(name, *self._probes())
