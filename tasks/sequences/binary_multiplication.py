"""Multiplying binary numbers (Kaiser and Sutskever, Neural GPUs Learn Algorithms, 2016; Freivalds et al., 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.registry import register
from tasks.sequences.arithmetic_task import NEURAL_GPU_PAPER, ArithmeticTask, MultiplicationConfig

Array = NDArray[Any]


@register("binary_multiplication", config=MultiplicationConfig, **NEURAL_GPU_PAPER)
class BinaryMultiplication(ArithmeticTask):
    """Binary multiplication: the product of two numbers of equally many digits, the lowest digit first.

    A sample of size n has n nodes; a number has (n - 1) // 2 digits, all of them fair coins, and the last node is a
    blank where n is even. 3 * 6 = 18, of size 7:

        node       0   1   2   3   4   5   6
        digits     1   1   0   *   0   1   1
        symbols    2   2   1   3   1   2   2
        product    1   2   1   1   2   1   1      (0 1 0 0 1 0 0)

    Classes are those of `binary_addition`; the operator's number is 12 in the authors' code. The shuffle-exchange code
    writes the product to as many places as were given, 2k + 1 for k digits a number: `zero`, the default. The Neural
    GPU's code leaves the zeros above the highest 1 out of the answer: `unscored`, as it counts, or `blank`, as it
    trains.

    Lengths are up to 41 (20 digits) in training the Neural GPU, up to 64 in shuffle-exchange networks.
    """

    answer = "product"

    def __init__(self, config: MultiplicationConfig) -> None:
        super().__init__(config)
        self.spec = self._make_spec("binary_multiplication")

    def _columns(self, first: Array, second: Array, nodes: int) -> Array:
        # Counts of ones are far below 2^53, so that the transform's rounding errors never reach one half.
        width = 2 * first.shape[1]
        product = np.fft.rfft(first, width, axis=1) * np.fft.rfft(second, width, axis=1)
        columns = np.zeros((len(first), nodes), np.int64)
        columns[:, :width] = np.rint(np.fft.irfft(product, width, axis=1))
        return columns
