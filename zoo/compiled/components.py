"""What both algorithms of strongly connected components are written for, so that they can be held side by side.

They run on the complete graph, as nodes of a part, or a root and its tree, need no edge between them. Every pair of
nodes knows of the edges in both directions. For a message goes from sender to receiver, and what is known of the pair
is the edge that runs that way. To find who reaches a node, messages go against the edges, and their receivers cannot
tell by themselves which edges these are: there may be as many as there are nodes, and a hidden has a fixed width.
"""

from __future__ import annotations

from zoo.codec import ReasonerConfig
from zoo.compiled.forms import Form
from zoo.compiled.program import Program


def empty_program() -> Program:
    """A program without channels, under the options that both have."""
    return Program(
        processors=("mpnn",),
        reasoner=ReasonerConfig(feedback="hard", reverse_edges=True),
        precision="float64",
        options={"mpnn": {"adjacency": "full"}},
    )


def edge_to_receiver(program: Program) -> Form:
    """Whether there is an edge from the sender to the receiver."""
    return program.edge("adj")


def edge_to_sender(program: Program) -> Form:
    """Whether there is one from the receiver to the sender."""
    return program.edge("adj", 1)
