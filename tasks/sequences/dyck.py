"""Dyck languages, words of balanced brackets of several kinds (Suzgun et al., 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.kernel import kernel
from tasks.registry import option, register
from tasks.sequences.sequence_task import POSITIONAL, SequenceTask, inside
from tasks.spec import Location, Probe, Stage, Type
from tasks.task import Draw

Array = NDArray[Any]

MOST_KINDS = 63
"""Classes are kept in single signed bytes."""


@dataclass(frozen=True)
class DyckConfig:
    """Options of `dyck`."""

    kinds: int = option(2, "kinds of brackets: the n of Dyck-n")
    p: float = option(0.5, "probability that the grammar encloses: S to ( S )")
    q: float = option(0.25, "probability that it branches: S to S S; otherwise S ends")
    random_pos: bool = option(False, "positions are sorted draws from U[0, 1] instead of arange(n) / n")

    def __post_init__(self) -> None:
        if not 1 <= self.kinds <= MOST_KINDS:
            raise ValueError(f"dyck: kinds must be from 1 to {MOST_KINDS}, got {self.kinds}")
        if not (self.p > 0 and self.q >= 0 and self.p + self.q < 1):
            raise ValueError(f"dyck: p must be above 0, q at least 0 and p + q below 1, got p={self.p} and q={self.q}")


@register(
    "dyck",
    config=DyckConfig,
    paper="Suzgun et al., Memory-Augmented Recurrent Neural Networks, 2019",
    year=2019,
    bibtex="""
@article{suzgun2019memory,
  title={Memory-Augmented Recurrent Neural Networks Can Learn Generalized {D}yck Languages},
  author={Suzgun, Mirac and Gehrmann, Sebastian and Belinkov, Yonatan and Shieber, Stuart M.},
  journal={arXiv preprint arXiv:1911.03329},
  year={2019}
}""",
)
class Dyck(SequenceTask):
    """Dyck-n: read balanced brackets and tell behind each one which brackets may come next.

    A sample of size k has k pairs of brackets on 2k nodes. An opening bracket may always follow; a closing one may if
    it is that of the innermost open bracket. Of size 3, the word ( [ ] ) ( ), where classes 0 and 1 are ( and ), 2 and
    3 are [ and ], and `allowed` shows them in this order:

        node         0     1     2     3     4     5
        brackets     0     2     3     1     0     1
        allowed    1110  1011  1110  1010  1110  1010

    Words come from the paper's grammar, S to ( S ) with probability p and a kind drawn uniformly, S to S S with q, and
    otherwise S to nothing, among its words of the sample's length. The paper keeps what lengths the grammar yields from
    2 to 50 (testing: 52 to 100), each word once; here a batch draws sizes uniformly from those it is given: 1 to 25,
    and 26 to 50. A sequence counts there if all that may follow is right behind each of its brackets: `exact`.
    """

    config: DyckConfig

    def __init__(self, config: DyckConfig) -> None:
        super().__init__(config)
        self.spec = self._with_positions(
            "dyck",
            Probe("brackets", Stage.INPUT, Location.NODE, Type.CATEGORICAL, classes=2 * config.kinds),
            Probe("allowed", Stage.OUTPUT, Location.NODE, Type.MASK, channels=2 * config.kinds),
        )
        self._shares = np.zeros((0, 0))

    def _sample(self, draw: Draw, layout: str) -> Batch:
        pos = self._draw_positions(draw, 2 * draw.sizes)
        most = int(draw.sizes.max())
        if len(self._shares) <= most:
            self._shares = split_shares(self.config.p, self.config.q, most)
        chance = generators.uniforms(draw.seed, draw.index, 2 * draw.sizes, 2 * most)
        drawn = generators.uniforms(draw.seed, draw.index, draw.sizes, most, generators.SECOND_DATA)
        kind = (drawn * self.config.kinds).astype(np.int8)
        brackets = _words(chance, kind, draw.sizes, self._shares)
        return self._batch(brackets, draw.sizes, pos, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=POSITIONAL)
        brackets = given.classes("brackets", ("batch", "nodes"), 2 * self.config.kinds)
        batch, nodes = brackets.shape
        lengths = given.sizes(sizes, batch, nodes)
        self._check_sizes(lengths)
        given.empty_padding("brackets", brackets, inside(lengths, nodes))
        pos = self._given_positions(given, lengths, nodes)
        return self._batch(brackets, lengths // 2, pos, np.arange(batch), lengths)

    def _batch(self, brackets: Array, size: Array, pos: Array, index: Array, lengths: Array | None = None) -> Batch:
        """Tell what may follow, and gather everything."""
        lengths = 2 * size if lengths is None else lengths
        allowed, balanced = _followers(brackets, lengths, self.config.kinds)
        if not balanced.all():
            b = int(balanced.argmin())
            raise ValueError(
                "dyck input 'brackets': expected balanced brackets, 2i opening and 2i + 1 closing kind i, got "
                f"{brackets[b, : lengths[b]].tolist()} in sample {b}"
            )
        return self._gather({"brackets": brackets}, {"allowed": allowed}, lengths=lengths, pos=pos, index=index)


def split_shares(p: float, q: float, most: int) -> Array:
    """How the grammar's words of so many pairs fall into a first part and the rest.

    A word of k pairs is enclosed, ( S ), or two shorter words, neither of them empty: S to S S with an empty part is
    the same S again, and changes no word's probability.

    Args:
        p: probability of S to ( S ).
        q: probability of S to S S.
        most: largest number of pairs.

    Returns:
        Cumulative probabilities, float64 `[most + 1, most + 1]`: row k at i, that of being enclosed (i = 0) or of a
        first part of 1 to i pairs.
    """
    empty = (1 - np.sqrt(1 - 4 * q * (1 - p - q))) / (2 * q) if q > 0 else 1 - p
    weight = np.zeros(most + 1)
    weight[0] = empty
    shares = np.zeros((most + 1, most + 1))
    for k in range(1, most + 1):
        parts = np.empty(k)
        parts[0] = p * weight[k - 1]
        parts[1:] = q * weight[1:k] * weight[k - 1 : 0 : -1]
        weight[k] = parts.sum() / (1 - 2 * q * empty)
        shares[k, :k] = np.cumsum(parts) / parts.sum()
    return shares


@kernel
def _words(chance, kind, sizes, shares):
    """Random words, int8 `[batch, 2 * pairs]`; a kind for every pair, a draw for each choice of the grammar.

    What is to be written lies on a stack: -1 - i closes brackets of kind i, k stands for a word of k pairs.
    """
    batch, most = kind.shape
    out = np.zeros((batch, 2 * most), np.int8)
    waiting = np.empty(2 * most + 2, np.int64)
    for b in range(batch):
        waiting[0] = sizes[b]
        top, place, pair, choice = 1, 0, 0, 0
        while top > 0:
            top -= 1
            k = waiting[top]
            if k < 0:
                out[b, place] = -2 * k - 1
                place += 1
            elif k > 0 and chance[b, choice] >= shares[k, 0]:
                first = 1
                while first < k - 1 and chance[b, choice] >= shares[k, first]:
                    first += 1
                choice += 1
                waiting[top] = k - first
                waiting[top + 1] = first
                top += 2
            elif k > 0:
                choice += 1
                out[b, place] = 2 * kind[b, pair]
                waiting[top] = -1 - kind[b, pair]
                waiting[top + 1] = k - 1
                top += 2
                place += 1
                pair += 1
    return out


@kernel
def _followers(brackets, lengths, kinds):
    """Which brackets may come next, bool `[batch, nodes, 2 * kinds]`, and whether a word is balanced."""
    batch, nodes = brackets.shape
    allowed = np.zeros((batch, nodes, 2 * kinds), np.bool_)
    balanced = np.zeros(batch, np.bool_)
    unclosed = np.empty(nodes + 1, np.int8)
    for b in range(batch):
        depth = 0
        right = True
        for t in range(lengths[b]):
            bracket = brackets[b, t]
            if bracket % 2 == 0:
                unclosed[depth] = bracket + 1
                depth += 1
            elif depth > 0 and unclosed[depth - 1] == bracket:
                depth -= 1
            else:
                right = False
                break
            for i in range(kinds):
                allowed[b, t, 2 * i] = True
            if depth > 0:
                allowed[b, t, unclosed[depth - 1]] = True
        balanced[b] = right and depth == 0
    return allowed, balanced
