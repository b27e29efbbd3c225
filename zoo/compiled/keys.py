"""Algorithms on a row of keys: what the decoders compare, and nothing that takes more than one step.

Equal keys count in the order of their positions: `TIE` times the position is added, which keeps apart what float32 keys
leave at least that far apart. In float64 that leaves room for 2^14 nodes. Outputs are exact; no hint is predicted.

Minimum and binary search are a node's own key against a threshold. A sort is by enumeration: every node hears, as a sum
over all the others, how many keys are smaller than its own. That number is its rank, a whole number, and its
predecessor is the node whose rank is one less, the head's the tail, as the decoder of permutations closes the chain.
The sorts of CLRS have this output; of equal keys, heapsort and quicksort may leave another order. Programs that follow
a trace are in `zoo.compiled.searches` and `zoo.compiled.exchanges`.
"""

from __future__ import annotations

from zoo.codec import ReasonerConfig
from zoo.compiled.bfs import SURE
from zoo.compiled.forms import Form, after, at_receiver, at_sender
from zoo.compiled.program import Program, Scores, Unit, nearest, truth

# Between equal keys, all of a row's positions; a power of two, as all constants here.
TIE = 2.0**-36
# A difference of keys becomes a truth, 1, by this slope.
STEEP = 2.0**50
# Scores of nodes whose keys lie on the wrong side of a target, against those on the right one.
WRONG = 2.0**38
# More than the nodes of any row.
MANY = 2.0**20

ONCE = ReasonerConfig(encode_hints=False, decode_hints=False, steps=1)
"""One step, and no hints."""


def _ordered(program: Program) -> Form:
    """Keys that differ."""
    return program.node("key") + TIE * program.node("pos")


def minimum() -> Program:
    """The first node of the smallest key."""
    program = Program(reasoner=ONCE, precision="float64")
    program.read("min", -STEEP * _ordered(program))
    return program


def search() -> Program:
    """The first node whose key is not below the target, or the last if all are."""
    program = Program(processors=("pgn",), reasoner=ONCE, precision="float64")
    target = program.message("target", program.graph("target"))
    over = _ordered(program) - target
    above, below = program.hidden("above"), program.hidden("below")
    program.update("above", over)
    program.update("below", -over)
    program.read("return", -SURE * after(above) - SURE * WRONG * after(below))
    return program


def sorting() -> Program:
    """Every node's predecessor in ascending order."""
    options = {"adjacency": "full", "aggregation": "sum"}
    program = Program(processors=("mpnn",), reasoner=ONCE, precision="float64", options={"mpnn": options})
    over = STEEP * (at_receiver(_ordered(program)) - at_sender(_ordered(program)))
    smaller = program.message("smaller", truth(over))
    everyone = program.message("everyone", [Unit(1.0, Form(constant=1.0))])

    rank, wrap = program.hidden("rank"), program.hidden("nodes, at the head")
    program.update("rank", smaller)
    program.update("nodes, at the head", everyone - MANY * smaller)
    before = after(rank + wrap) - 1.0
    program.read("pred", Scores(nearest(before, after(rank), scale=SURE), head=-SURE * after(rank)))
    return program
