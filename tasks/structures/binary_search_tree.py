"""A binary search tree without balancing (Cormen et al., 2009, sections 12.1 to 12.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks.registry import option, register
from tasks.spec import Location, Probe, Stage, Type
from tasks.structures.element_kernels import INSERT, LEFT, QUERY, REMOVE, RIGHT, TREE
from tasks.structures.element_task import ElementConfig, ElementTask, Kind
from tasks.structures.papers import TEXTBOOK

Array = NDArray[Any]

CHILDREN = {"left_h": LEFT, "right_h": RIGHT}
"""Hints of pointers to children, and the place of the child that each points to."""


@dataclass(frozen=True)
class BinarySearchTreeConfig(ElementConfig):
    """Options of `binary_search_tree`."""

    children: bool = option(False, "pointers to the left and right children are hints too")


@register("binary_search_tree", config=BinarySearchTreeConfig, **TEXTBOOK)
class BinarySearchTree(ElementTask):
    """Binary search tree: elements put in, taken out and looked for by `key`, every search ending somewhere.

    Operations are 1 insert, 2 delete and 3 find, and each names an element. `found` is whether the tree holds it
    before the operation. `answer` is the last node on the search for its key, before the operation: the element
    itself if the tree holds it, else the one that it would be put below, and -1 in an empty tree. Equal keys are in
    the order of their nodes. With keys 0.5, 0.2, 0.9 and 0.7:

        insert 0   found 0   answer -   parent_h 0 1 2 3   place_h 1 0 0 0   modified_h 1 0 0 0
        insert 2   found 0   answer 0   parent_h 0 1 0 3   place_h 1 0 3 0   modified_h 0 0 1 0
        insert 1   found 0   answer 0   parent_h 0 0 0 3   place_h 1 2 3 0   modified_h 0 1 0 0
        find 3     found 0   answer 2   parent_h 0 0 0 3   place_h 1 2 3 0   modified_h 0 0 0 0
        insert 3   found 0   answer 2   parent_h 0 0 0 2   place_h 1 2 3 2   modified_h 0 0 0 1
        delete 0   found 1   answer 0   parent_h 0 3 3 3   place_h 0 2 3 1   modified_h 1 1 1 1

    `parent_h` points to the parent; the root and what is not held point to themselves, and `place_h` tells them apart:
    0 not held, 1 the root, 2 a left child, 3 a right one. With `children`, `left_h` and `right_h` point to the
    children, and to the node itself where there is none. A deleted element with two children is replaced by the least
    of its right subtree. `modified_h` marks the elements whose parent the operation assigns. Hints in frame t + 1
    show the tree after operation t, in frame 0 the empty one.

    Keys are uniform on [0, 1). The element is uniform among those that are not held to insert, among those held to
    delete, and among all to find. To insert what is held, or to delete what is not, changes nothing, and is never
    sampled.
    """

    structure: ClassVar[int] = TREE
    kinds: ClassVar[tuple[Kind, ...]] = (Kind("insert", INSERT), Kind("delete", REMOVE), Kind("find", QUERY))
    names_all: ClassVar[bool] = True
    pointer: ClassVar[str] = "parent_h"
    places: ClassVar[int] = 4
    keyed: ClassVar[bool] = True
    config: BinarySearchTreeConfig

    def __init__(self, config: BinarySearchTreeConfig) -> None:
        super().__init__(config)
        children = CHILDREN if config.children else {}
        self.spec = self._make_spec(
            "binary_search_tree",
            *self._probes(),
            *(Probe(name, Stage.HINT, Location.NODE, Type.POINTER) for name in children),
            Probe("found", Stage.OUTPUT, Location.GRAPH, Type.MASK, streamed=True),
        )

    def _outputs(self, answer: Array, found: Array) -> dict[str, Array]:
        return {"answer": answer, "found": found}

    def _hints(self, pointers: Array, places: Array, modified: Array, inside: Array) -> dict[str, Array]:
        hints = super()._hints(pointers, places, modified, inside)
        if self.config.children:
            own = np.where(inside, np.arange(pointers.shape[2], dtype=np.int32), np.int32(0))
            for name, place in CHILDREN.items():
                hints[name] = own.copy()
                t, b, node = np.nonzero(places == place)
                hints[name][t, b, pointers[t, b, node]] = node
        return hints
