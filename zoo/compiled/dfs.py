"""Depth-first search: one event a step, as in the trace, and one message.

Nodes on the stack know their depth in it. The message tells every node the depth of the deepest node on the stack that
has an edge to it. A node not seen yet scores that depth plus its priority, 1 - pos; a node on the stack scores its own
depth. The highest score of all nodes is what happens next: a node not seen is pushed from the top of the stack if it
scores above the top, which only neighbours of the top do, and the lowest-numbered of them highest (only the first node
could tie with the top, and it is the first root); if none does the top itself wins, and leaves. On an empty stack the
lowest-numbered node not seen wins, a new root.

The highest of all is what the decoder of the hint s_last finds, and the hint, decided and fed back, tells the winner.
It learns of it one step later than the trace shows it: so pi_h and color are one frame late when a node is pushed or
left, while s_last is right in every frame. The output is right: the last node is pushed two frames before the end. The
node that is pushed points to the sender of the message; pointers that do not change are kept as in `bellman_ford`. The
other hints are not predicted.

Exact for graphs of fewer than `MANY` nodes. On `gatv2` the maximum is a softmax, whose share of lesser depths, e to the
minus `SHARP`, float64 rounds away.
"""

from __future__ import annotations

from zoo.codec import ReasonerConfig
from zoo.compiled.forms import Form, after, at_receiver, at_sender, both, only_if
from zoo.compiled.program import Program, Scores, Unit

# More than the nodes of a graph; a power of two, as all constants here.
MANY = 2.0**12
# Slope of attention's logits over depths.
SHARP = 64.0


def dfs() -> Program:
    """The program for a maximum of messages."""
    program = Program(reasoner=ReasonerConfig(feedback="hard", reverse_pointers=True), precision="float64")
    return _searched(program, program.message("near", _way(program)))


def dfs_attention(slope: float = SHARP) -> Program:
    """The program for a softmax over senders.

    Args:
        slope: of logits over depths; what a sender keeps of the share of one a step deeper is e to the minus this.
    """
    program = Program(
        processors=("gatv2",), reasoner=ReasonerConfig(feedback="hard", reverse_pointers=True), precision="float64"
    )
    program.attention = slope * at_sender(_depth(program)) + slope * MANY * program.edge("adj")
    return _searched(program, program.message("near", at_sender(_depth(program))))


def _depth(program: Program) -> Form:
    """Of a node on the stack, 0 of others."""
    return program.hidden("settled") + program.hidden("entered")


def _way(program: Program) -> Form:
    """The depth of a sender whose edge it is."""
    return only_if(at_sender(_depth(program)), program.edge("adj"), bound=MANY)


def _searched(program: Program, near: Form) -> Program:
    """The rest."""
    won, priority = program.node("s_last"), 1.0 - program.node("pos")
    just = program.hidden("just")
    seen = program.hidden("seen") + just
    depth = _depth(program)

    entered = near + 1.0 - MANY * (1.0 - won) - MANY * seen
    program.update("just", won - seen)
    program.update("seen", seen)
    program.update("entered", entered)
    # Whoever won again after it had entered has left.
    program.update("settled", depth - MANY * (won - just))
    offer, same = program.hidden("offer"), program.hidden("same")
    program.update("offer", near + priority - MANY * seen - MANY * won)
    program.update("same", 2.0 - entered)

    program.read("s_last", after(offer + depth + MANY * just))
    program.read("color", [4.0 * (1.0 - after(seen)), after(depth), Form(constant=0.5)])
    keep = Unit(1.0, MANY * both(program.edge("pi_h", 1), at_receiver(after(same))))
    for probe in ("pi_h", "pi"):
        program.read(probe, Scores([Unit(1.0, _way(program)), keep]))
    return program
