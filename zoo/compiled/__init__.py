"""Neural compilation: algorithms written into the weights of registered processors, analytically.

After Saldyt and Kambhampati, Mind the Gap: Deep Learning Doesn't Learn Deeply (arXiv 2505.18623). An algorithm is a
`Program`, one file each; `compile_algorithm` writes it into a processor and into the encoders and decoders of its
Reasoner. What comes out is an ordinary state dict.
"""

from zoo.compiled.compiling import Plan, compile_algorithm, list_algorithms, plan, processors
from zoo.compiled.forms import Form, after, at_receiver, at_sender, both, only_if
from zoo.compiled.program import Program, Scores, Unit, is_zero, nearest, truth

__all__ = [
    "Form",
    "Plan",
    "Program",
    "Scores",
    "Unit",
    "after",
    "at_receiver",
    "at_sender",
    "both",
    "compile_algorithm",
    "is_zero",
    "list_algorithms",
    "nearest",
    "only_if",
    "plan",
    "processors",
    "truth",
]
