"""The benchmark of sparse graphs that some tasks are from, as `register` wants it."""

from __future__ import annotations

from typing import Any

SALSA: dict[str, Any] = dict(
    paper="Minder et al., SALSA-CLRS: A Sparse and Scalable Benchmark for Algorithmic Reasoning, LoG 2023",
    year=2023,
    bibtex="""
@inproceedings{minder2023salsa,
  title={{SALSA-CLRS}: A Sparse and Scalable Benchmark for Algorithmic Reasoning},
  author={Minder, Julian and Gr{\\"o}tschla, Florian and Mathys, Jo{\\"e}l and Wattenhofer, Roger},
  booktitle={Learning on Graphs Conference},
  year={2023}
}""",
)
