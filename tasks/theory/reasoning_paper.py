"""The paper on what networks can reason about that some tasks come from, as `register` wants it."""

from __future__ import annotations

from typing import Any

REASONING: dict[str, Any] = dict(
    paper="Xu et al., What Can Neural Networks Reason About?, ICLR 2020",
    year=2020,
    bibtex="""
@inproceedings{xu2020what,
  title={What Can Neural Networks Reason About?},
  author={Xu, Keyulu and Li, Jingling and Zhang, Mozhi and Du, Simon S. and Kawarabayashi, Ken-ichi
          and Jegelka, Stefanie},
  booktitle={International Conference on Learning Representations},
  year={2020}
}""",
)
