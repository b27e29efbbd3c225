"""The paper that these tasks are from, as `register` wants it."""

from __future__ import annotations

from typing import Any

NTM_PAPER: dict[str, Any] = dict(
    paper="Graves et al., Neural Turing Machines, 2014",
    year=2014,
    bibtex="""
@article{graves2014neural,
  title={Neural {T}uring Machines},
  author={Graves, Alex and Wayne, Greg and Danihelka, Ivo},
  journal={arXiv preprint arXiv:1410.5401},
  year={2014}
}""",
)
