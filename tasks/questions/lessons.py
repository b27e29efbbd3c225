"""Curricula of questions about graphs, by lesson: least and most nodes, edges of a node, and edges of a path."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TRAVERSAL = (
    (3, 10, 2, 4, 1, 1),
    (3, 10, 2, 4, 1, 2),
    (5, 10, 2, 4, 1, 3),
    (5, 10, 2, 4, 1, 4),
    (10, 15, 2, 4, 1, 4),
    (10, 15, 1, 5, 1, 4),
    (10, 20, 1, 5, 1, 5),
    (10, 20, 1, 5, 1, 6),
    (10, 30, 1, 5, 1, 6),
    (10, 30, 1, 5, 1, 7),
    (10, 30, 1, 5, 1, 8),
    (10, 30, 1, 5, 1, 9),
    (10, 40, 2, 6, 1, 10),
    (10, 40, 2, 6, 1, 20),
)
"""Those of Graves et al. (Nature 2016, Extended Data), in their order."""
SHORTEST_PATH = (
    (3, 10, 2, 4, 1, 1),
    (3, 10, 2, 4, 1, 2),
    (5, 10, 2, 4, 1, 2),
    (5, 10, 2, 4, 1, 3),
    (5, 15, 2, 4, 2, 3),
    (10, 15, 2, 4, 2, 4),
    (10, 20, 2, 5, 2, 4),
    (10, 20, 2, 5, 2, 5),
    (15, 30, 2, 5, 2, 5),
    (20, 40, 2, 6, 3, 5),
)
"""Ours, in the manner of the paper's."""
INFERENCE = (
    (4, 8, 3, 4, 1, 1),
    (4, 8, 3, 4, 1, 2),
    (5, 10, 3, 4, 2, 2),
    (5, 10, 3, 4, 2, 3),
    (8, 12, 3, 5, 2, 3),
    (8, 15, 3, 5, 2, 4),
    (10, 20, 3, 5, 2, 4),
    (10, 20, 3, 5, 2, 5),
    (15, 30, 3, 6, 2, 5),
    (20, 40, 3, 6, 2, 5),
)
"""Ours, in the manner of the paper's; chains of up to 5 edges need 3 of a node, see `drawing`."""


def table(lessons: tuple[tuple[int, ...], ...], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The lesson of each sample, int64 `[batch, 6]`; past the last one the last."""
    return np.array(lessons, np.int64)[np.minimum(numbers, len(lessons)) - 1]
