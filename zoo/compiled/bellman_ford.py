"""Bellman-Ford: a node's distance is the least of its neighbours' with the edge added, where that is shorter.

Distances are kept as closeness, `LIMIT` - distance and 0 where a node is not reached, so that the shortest way is a
maximum and an unreached neighbour offers nothing. Between 0 and `LIMIT` float64 is a grid of 2^-41: an edge's weight is
rounded to it once, and sums and comparisons on it are exact. Distances stay in the hidden for that reason. Pointers
travel through the hints, decided: a node keeps its predecessor, which the hint says, unless its distance got shorter in
this step; then it points to the sender that made it so. It needs no second round of messages to find out who that was,
and a node that has no predecessor keeps pointing to itself, with which every trace begins.

Exact for weights of at least 0 and shortest ways below half of `LIMIT`, all compared to `1 / STEEP`.
"""

from __future__ import annotations

from zoo.codec import ReasonerConfig
from zoo.compiled.bfs import SURE
from zoo.compiled.forms import after, at_receiver, at_sender, both, only_if
from zoo.compiled.program import Program, Scores, Unit

# Above all distances; a power of two, as all constants here, so that multiples are exact.
LIMIT = 2.0**12
# A distance got shorter if by more than one over this.
STEEP = 2.0**36


def bellman_ford() -> Program:
    """The program."""
    program = Program(
        reasoner=ReasonerConfig(feedback="hard", reverse_pointers=True),
        precision="float64",
    )
    source, weight, adjacent = program.node("s"), program.edge("A"), program.edge("adj")
    pointed = program.edge("pi_h", 1)
    reached = source + program.hidden("found")
    closeness = LIMIT * source + program.hidden("before") + program.hidden("gain")

    way = only_if(at_sender(closeness) - weight, adjacent, bound=LIMIT)
    best = program.message("best", way)
    heard = program.message("heard", both(at_sender(reached), adjacent))

    program.update("found", heard - source)
    program.update("before", program.hidden("before") + program.hidden("gain"))
    program.update("gain", best - closeness)
    same = program.hidden("same")
    program.update("same", 1.0 - STEEP * (best - closeness))

    program.read("msk", SURE * (2.0 * after(reached) - 1.0))
    distance = LIMIT * program.hidden("found") - program.hidden("before") - program.hidden("gain")
    program.read("d", after(distance))
    keep = Unit(1.0, LIMIT * both(pointed, at_receiver(after(same))))
    for probe in ("pi_h", "pi"):
        program.read(probe, Scores([Unit(1.0, way), keep]))
    return program
