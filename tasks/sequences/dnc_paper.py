"""The papers on differentiable neural computers that these tasks are from, as `register` wants them."""

from __future__ import annotations

from typing import Any

DNC_PAPER: dict[str, Any] = dict(
    paper="Graves et al., Nature 2016",
    year=2016,
    bibtex="""
@article{graves2016hybrid,
  title={Hybrid computing using a neural network with dynamic external memory},
  author={Graves, Alex and Wayne, Greg and Reynolds, Malcolm and Harley, Tim and Danihelka, Ivo and
    Grabska-Barwi{\\'n}ska, Agnieszka and Colmenarejo, Sergio G{\\'o}mez and Grefenstette, Edward and
    Ramalho, Tiago and Agapiou, John and others},
  journal={Nature},
  volume={538},
  number={7626},
  pages={471--476},
  year={2016}
}""",
)

CSORDAS_PAPER: dict[str, Any] = dict(
    paper="Csordás and Schmidhuber, ICLR 2019",
    year=2019,
    bibtex="""
@inproceedings{csordas2019improving,
  title={Improving Differentiable Neural Computers Through Memory Masking, De-allocation, and Link Distribution
         Sharpness Control},
  author={Csord{\\'a}s, R{\\'o}bert and Schmidhuber, J{\\"u}rgen},
  booktitle={International Conference on Learning Representations},
  year={2019}
}""",
)
