"""The paper on extrapolation that some tasks come from, as `register` wants it."""

from __future__ import annotations

from typing import Any

EXTRAPOLATION: dict[str, Any] = dict(
    paper="Xu et al., How Neural Networks Extrapolate, ICLR 2021",
    year=2021,
    bibtex="""
@inproceedings{xu2021how,
  title={How Neural Networks Extrapolate: From Feedforward to Graph Neural Networks},
  author={Xu, Keyulu and Zhang, Mozhi and Li, Jingling and Du, Simon S. and Kawarabayashi, Ken-ichi
          and Jegelka, Stefanie},
  booktitle={International Conference on Learning Representations},
  year={2021}
}""",
)
