"""Breadth-first search: a node is reached when a neighbour was, and keeps the lowest-numbered such neighbour.

All state is in the hidden, and hints are read out of it only: what is kept is copied from step to step to the last bit,
so that nothing can drift, and feedback may be soft, hard or none at all. A neighbour is known by its priority, 1 - pos,
which a maximum over senders finds. A node stores the priority of its predecessor, its own while it has none, and
points to the node of that priority.

Priorities of neighbours must differ by more than rounding: in float32, evenly spaced positions do to about a million
nodes.

On `gatv2` a softmax over senders takes the maximum's place, and what it lets through of the others moves the stored
priority: by 1/n times e to the minus slope over n, of neighbours one apart. The slope must grow with n; weights are for
graphs up to a number of nodes.
"""

from __future__ import annotations

from zoo.compiled.forms import Form, after, at_sender, both, only_if
from zoo.compiled.program import Program, Scores, nearest

# Slope of the scores of pointers: the node that is meant leads by this over the number of nodes.
SLOPE = 2.0**14
# Logit of a mask's truth.
SURE = 16.0
# Slope of attention's logits over priorities, times the number of nodes that it is for.
SHARP = 64.0


def bfs() -> Program:
    """The program."""
    program = Program()
    source, priority, adjacent = program.node("s"), 1.0 - program.node("pos"), program.edge("adj")
    reached = source + program.hidden("found")
    heard = program.message("heard", both(at_sender(reached), adjacent))
    offer = program.message("offer", only_if(at_sender(priority), at_sender(reached), adjacent))
    return _searched(program, heard, offer)


def bfs_attention(nodes: int = 2**12) -> Program:
    """The program for a softmax over senders.

    Args:
        nodes: of the largest graph that it is for.
    """
    program = Program(processors=("gatv2",), precision="float64")
    source, priority, adjacent = program.node("s"), 1.0 - program.node("pos"), program.edge("adj")
    reached, slope = source + program.hidden("found"), SHARP * nodes
    program.attention = slope * at_sender(priority) + 4.0 * slope * (at_sender(reached) + adjacent)
    heard = program.message("heard", at_sender(reached))
    # Of a node none of whose neighbours is reached, the attended priority means nothing.
    offer = program.message("offer", at_sender(priority + reached)) - 1.0
    return _searched(program, heard, offer)


def _searched(program: Program, heard: Form, offer: Form) -> Program:
    """The rest, from whether a neighbour is reached, and which priority it has."""
    source, priority = program.node("s"), 1.0 - program.node("pos")
    reached = source + program.hidden("found")

    program.update("found", heard - source)
    parent = program.latch("parent", offer, closed=reached)
    alone = program.hidden("alone")
    program.update("alone", priority - heard + source)

    program.read("reach_h", SURE * (2.0 * after(reached) - 1.0))
    for probe in ("pi_h", "pi"):
        program.read(probe, Scores(nearest(after(parent + alone), priority, scale=SLOPE)))
    return program
