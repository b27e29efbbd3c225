"""The paper that introduced transduction tasks for memories without bound, as `register` wants it."""

from __future__ import annotations

from typing import Any

GREFENSTETTE_PAPER: dict[str, Any] = dict(
    paper="Grefenstette et al., NeurIPS 2015",
    year=2015,
    bibtex="""
@inproceedings{grefenstette2015learning,
  title={Learning to Transduce with Unbounded Memory},
  author={Grefenstette, Edward and Hermann, Karl Moritz and Suleyman, Mustafa and Blunsom, Phil},
  booktitle={Advances in Neural Information Processing Systems},
  year={2015}
}""",
)
