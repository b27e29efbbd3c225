"""The NP-hard task in Xu et al., What Can Neural Networks Reason About?, ICLR 2020, section 4.4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.inputs import Inputs
from tasks.kernel import kernel
from tasks.registry import register
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw
from tasks.theory.reasoning_paper import REASONING
from tasks.theory.rejection import accepted
from tasks.theory.set_task import SetTask, require_whole

Array = NDArray[Any]

_RANGE = 200
_LARGEST = 1 << 20  # so that sums of 24 numbers are exact in single precision too
_MOST_SAMPLED, _MOST = 12, 24
# Probabilities that a set is kept: one that has a zero, and another trivial one.
_KEEP_ZERO, _KEEP_TRIVIAL = 0.1, 0.05

NUMBER = Probe("number", Stage.INPUT, Location.NODE, Type.SCALAR)


@dataclass(frozen=True)
class SubsetSumConfig:
    """Options of `subset_sum`; there are none."""


@register("subset_sum", config=SubsetSumConfig, **REASONING)
class SubsetSum(SetTask):
    """Subset sum: whether some of the numbers, at least one, add up to 0.

    Numbers are whole and drawn uniformly from -200 to 200. Half of the sets have a solution. Sets with a trivial one
    are rarer than chance has it: of those with a zero one in ten is kept, of others with two opposite numbers, or whose
    numbers add up to 0 all together, one in twenty. There are no hints; steps are as many as numbers.

        number 5 -3 -2 100 70 9   solvable 1        number 5 -3 -4 100 70 9   solvable 0

    The paper has six numbers and 40,000 samples to train on. A sample has 3 to 12: among fewer only trivial solutions
    are possible, and of larger sets hardly any has none. `execute` tries all subsets of up to 24 numbers. The authors'
    search overlooks solutions that begin with the zeros a list ends with; here they count.
    """

    min_size = 3

    def __init__(self, config: SubsetSumConfig) -> None:
        super().__init__(config)
        solvable = Probe("solvable", Stage.OUTPUT, Location.GRAPH, Type.MASK)
        self.spec = self._spec("subset_sum", NUMBER, solvable)

    def _draw(self, draw: Draw) -> tuple[dict[str, Array], Array]:
        if draw.sizes.max() > _MOST_SAMPLED:
            raise ValueError(f"subset_sum: size is at most {_MOST_SAMPLED}, got {draw.sizes.max()}")
        wanted = generators.choices(draw.seed, draw.index, np.full_like(draw.sizes, 2), generators.MEMBER) == 1
        numbers = np.zeros((len(draw.sizes), int(draw.sizes.max())))
        for n in np.unique(draw.sizes).tolist():
            some = np.flatnonzero(draw.sizes == n)
            answers = wanted[some]

            def accept(rows: Array, of: Array, answers: Array = answers) -> Array:
                offered, coin = _numbers(rows[:, :-1]), rows[:, -1]
                return (_solvable(offered, np.full(len(rows), offered.shape[1])) == answers[of]) & _kept(offered, coin)

            rows = accepted(draw.seed, draw.index[some], n + 1, accept)
            numbers[some, :n] = _numbers(rows[:, :-1])
        return {"number": numbers}, draw.sizes

    def _check(self, given: Inputs, values: Mapping[str, Array], sizes: Array) -> None:
        require_whole(given, values, NUMBER, -_LARGEST, _LARGEST)
        if sizes.max() > _MOST:
            raise given.fail("number", f"at most {_MOST} numbers a sample, as all subsets are tried", str(sizes.max()))

    def _steps(self, sizes: Array) -> Array:
        return sizes.copy()

    def _answer(self, values: Mapping[str, Array], sizes: Array) -> dict[str, Array]:
        return {"solvable": _solvable(values["number"], sizes)}


def _numbers(uniforms: Array) -> Array:
    """Whole numbers from draws."""
    return np.floor(uniforms * (2 * _RANGE + 1)) - _RANGE


def _kept(numbers: Array, coin: Array) -> Array:
    """Whether a set is kept, its solution being as trivial as it is."""
    zero = (numbers == 0).any(1)
    opposite = numbers[:, :, None] == -numbers[:, None, :]
    trivial = np.triu(opposite, 1).any((1, 2)) | (numbers.sum(1) == 0)
    kept: Array = coin < np.where(zero, _KEEP_ZERO, np.where(trivial, _KEEP_TRIVIAL, 1.0))
    return kept


@kernel
def _solvable(numbers, sizes):
    """Whether some of the first `sizes[b]` numbers of each row add up to 0, bool `[B]`.

    Subsets in the order of a Gray code: one number joins or leaves from each to the next.
    """
    out = np.zeros(len(numbers), np.bool_)
    for b in range(len(numbers)):
        total = 0.0
        taken = 0
        for code in range(1, 1 << sizes[b]):
            i = 0
            while (code >> i) & 1 == 0:
                i += 1
            taken ^= 1 << i
            total += numbers[b, i] if (taken >> i) & 1 else -numbers[b, i]
            if total == 0.0:
                out[b] = True
                break
    return out
