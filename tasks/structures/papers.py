"""The sources that several of these tasks share, as `register` wants them."""

from __future__ import annotations

from typing import Any

PGN_PAPER: dict[str, Any] = dict(
    paper="Veličković et al., Pointer Graph Networks, NeurIPS 2020",
    year=2020,
    bibtex="""
@inproceedings{velickovic2020pointer,
  title={Pointer Graph Networks},
  author={Veli{\\v{c}}kovi{\\'c}, Petar and Buesing, Lars and Overlan, Matthew and Pascanu, Razvan and Vinyals, Oriol
          and Blundell, Charles},
  booktitle={Advances in Neural Information Processing Systems},
  year={2020}
}""",
)

PMP_PAPER: dict[str, Any] = dict(
    paper="Strathmann et al., Persistent Message Passing, 2021",
    year=2021,
    bibtex="""
@article{strathmann2021persistent,
  title={Persistent Message Passing},
  author={Strathmann, Heiko and Barekatain, Mohammadamin and Blundell, Charles and Veli{\\v{c}}kovi{\\'c}, Petar},
  journal={arXiv preprint arXiv:2103.01043},
  year={2021}
}""",
)

TEXTBOOK: dict[str, Any] = dict(
    paper="Cormen et al., Introduction to Algorithms, 3rd edition, 2009",
    year=2009,
    bibtex="""
@book{cormen2009introduction,
  title={Introduction to Algorithms},
  author={Cormen, Thomas H. and Leiserson, Charles E. and Rivest, Ronald L. and Stein, Clifford},
  edition={3},
  publisher={MIT Press},
  year={2009}
}""",
)
