"""Transposing a matrix of symbols (Ozoliņš, Freivalds and Šostaks, Matrix Shuffle-Exchange Networks, 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tasks import generators
from tasks.batch import Batch
from tasks.inputs import Inputs
from tasks.registry import option, register
from tasks.sequences.symbol_task import MOST_SYMBOLS
from tasks.spec import Location, Probe, Spec, Stage, Type
from tasks.task import Draw, Task, tensors

Array = NDArray[Any]

MATRIX_SHUFFLE_EXCHANGE_PAPER: dict[str, Any] = dict(
    paper="Ozoliņš et al., 2020",
    year=2020,
    bibtex="""
@article{ozolins2020matrix,
  title   = {Matrix Shuffle-Exchange Networks for Hard {2D} Tasks},
  author  = {Ozoli{\\c{n}}{\\v{s}}, Em{\\={\\i}}ls and Freivalds, K{\\=a}rlis and {\\v{S}}ostaks, Agris},
  journal = {arXiv preprint arXiv:2006.15892},
  year    = {2020}
}""",
)


@dataclass(frozen=True)
class MatrixTransposeConfig:
    """Options of `matrix_transpose`."""

    symbols: int = option(9, "different symbols; class 0, the blank, comes besides")

    def __post_init__(self) -> None:
        if not 1 <= self.symbols <= MOST_SYMBOLS:
            raise ValueError(f"symbols must be from 1 to {MOST_SYMBOLS}, got {self.symbols}")


@register("matrix_transpose", config=MatrixTransposeConfig, **MATRIX_SHUFFLE_EXCHANGE_PAPER)
class MatrixTranspose(Task):
    """Matrix transpose: write entry (j, i) of a square matrix of symbols at (i, j).

    A sample of size n has n nodes and its entries are the n² pairs of them; nothing is given of the nodes themselves.
    Of size 3, row by row:

        entries       3 9 1   4 4 7   2 8 5
        transposed    3 4 2   9 4 8   1 7 5

    The authors' matrices need not be square: theirs have up to n rows and up to n columns, and blanks around.
    """

    config: MatrixTransposeConfig

    def __init__(self, config: MatrixTransposeConfig) -> None:
        super().__init__(config)
        classes = config.symbols + 1
        self.spec = Spec(
            "matrix_transpose",
            (
                Probe("entries", Stage.INPUT, Location.EDGE, Type.CATEGORICAL, classes=classes),
                Probe("transposed", Stage.OUTPUT, Location.EDGE, Type.CATEGORICAL, classes=classes),
            ),
        )

    def _sample(self, draw: Draw, layout: str) -> Batch:
        nodes = int(draw.sizes.max())
        drawn = generators.symbols(draw.seed, draw.index, draw.sizes**2, self.config.symbols, nodes**2)
        entries = np.zeros((len(drawn), nodes, nodes), np.int8)
        for b, size in enumerate(draw.sizes):
            entries[b, :size, :size] = drawn[b, : size**2].reshape(size, size)
        return self._batch(entries, draw.sizes, draw.index)

    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        given = Inputs(self.spec, inputs, optional=())
        entries = given.classes("entries", ("batch", "nodes", "nodes"), self.config.symbols + 1)
        batch, nodes, columns = entries.shape
        if nodes != columns:
            raise given.fail("entries", "square matrices", f"{nodes} rows and {columns} columns")
        size = given.sizes(sizes, batch, nodes)
        self._check_sizes(size)
        valid = np.arange(nodes) < size[:, None]
        wrong = (entries > 0) != (valid[:, :, None] & valid[:, None])
        if wrong.any():
            b = int(wrong.any((1, 2)).argmax())
            raise given.fail(
                "entries",
                f"symbols from 1 to {self.config.symbols} between the first {size[b]} nodes, 0 elsewhere",
                f"{entries[b].tolist()} in sample {b}",
            )
        return self._batch(entries, size, np.arange(batch))

    def _batch(self, entries: Array, size: Array, index: Array) -> Batch:
        """Transpose, and gather everything into a batch of one step."""
        answer = np.ascontiguousarray(entries.transpose(0, 2, 1))
        return Batch(
            spec=self.spec,
            inputs=tensors({"entries": entries}),
            hints={},
            outputs=tensors({"transposed": answer}),
            lengths=torch.full((len(size),), 2),
            sizes=torch.from_numpy(size),
            index=torch.from_numpy(index),
        )
