"""The benchmark that these tasks are from, as `register` wants it."""

from __future__ import annotations

from typing import Any

CLRS: dict[str, Any] = dict(
    paper="Veličković et al., The CLRS Algorithmic Reasoning Benchmark, ICML 2022",
    year=2022,
    bibtex="""
@inproceedings{velickovic2022clrs,
  title={The {CLRS} Algorithmic Reasoning Benchmark},
  author={Veli{\\v{c}}kovi{\\'c}, Petar and Badia, Adri{\\`a} Puigdom{\\`e}nech and Budden, David and Pascanu, Razvan
          and Banino, Andrea and Dashevskiy, Misha and Hadsell, Raia and Blundell, Charles},
  booktitle={International Conference on Machine Learning},
  year={2022}
}""",
)
