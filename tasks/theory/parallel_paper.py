"""The paper on parallel algorithms that some tasks come from, as `register` wants it."""

from __future__ import annotations

from typing import Any

PARALLEL: dict[str, Any] = dict(
    paper="Engelmayer et al., Parallel Algorithms Align with Neural Execution, LoG 2023",
    year=2023,
    bibtex="""
@inproceedings{engelmayer2023parallel,
  title={Parallel Algorithms Align with Neural Execution},
  author={Engelmayer, Valerie and Georgiev, Dobrik and Veli{\\v{c}}kovi{\\'c}, Petar},
  booktitle={Proceedings of the Second Learning on Graphs Conference},
  series={Proceedings of Machine Learning Research},
  volume={231},
  year={2023}
}""",
)
