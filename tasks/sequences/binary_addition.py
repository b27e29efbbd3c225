"""Adding binary numbers (Kaiser and Sutskever, Neural GPUs Learn Algorithms, 2016; Freivalds et al., 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.registry import register
from tasks.sequences.arithmetic_task import NEURAL_GPU_PAPER, AdditionConfig, ArithmeticTask

Array = NDArray[Any]


@register("binary_addition", config=AdditionConfig, **NEURAL_GPU_PAPER)
class BinaryAddition(ArithmeticTask):
    """Binary addition: the sum of two numbers of equally many digits, the lowest digit first.

    A sample of size n has n nodes; a number has (n - 1) // 2 digits, all of them fair coins, and the last node is a
    blank where n is even. 3 + 6 = 9, of size 8:

        node       0   1   2   3   4   5   6   7
        digits     1   1   0   +   0   1   1   .
        symbols    2   2   1   3   1   2   2   0
        sum        2   1   1   2   0   0   0   0      (1 0 0 1, then blanks)

    Classes are 0 for a blank, 1 and 2 for the digits 0 and 1, and 3 for the operator, whose number is 11 in the
    authors' code; decimal digits, which it knows too, are left out. Zeros above the sum's highest 1 are left out of the
    answer; a sum of 0 keeps one. What stands there instead is `leading`: `blank`, as in the shuffle-exchange code,
    which counts as wrong what is written there; `unscored`, as in the Neural GPU's accuracy; `zero`, digits to as many
    places as were given.

    Lengths are up to 41 (20 digits) in training the Neural GPU, up to 64 in shuffle-exchange networks.
    """

    answer = "sum"

    def __init__(self, config: AdditionConfig) -> None:
        super().__init__(config)
        self.spec = self._make_spec("binary_addition")

    def _columns(self, first: Array, second: Array, nodes: int) -> Array:
        columns = np.zeros((len(first), nodes), np.int64)
        columns[:, : first.shape[1]] = first.astype(np.int64) + second
        return columns
