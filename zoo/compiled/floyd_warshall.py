"""All-pairs shortest paths by repeated squaring: a pair's way is the best of two ways that meet at any node.

Distances are kept as closeness, as in `zoo.compiled.bellman_ford`, in the hints D and msk, which are fed back: edges
have no hidden of their own. The triplets of the processor are the product of the matrix of closeness with itself in the
max-plus algebra; every step doubles the edges that ways may have. The trace allows one more node between the ends each
step instead, and its last step two, which one product a step cannot follow: so D, msk and Pi_h are ahead of the trace,
k is right, and the output is, from the step on after which a further product changes nothing.

An edge's pointer stays as it was, as the hint Pi_h says, unless the way got shorter. Then it goes to the node from
which the receiver is reached last: the candidate c for which D(s, c) and the weight from c to r add up to the least.

For undirected graphs, as the task samples them (a triplet reads the edge from the middle to the sender), of weights of
at least `LEAST`, and shortest ways below half of `LIMIT`.
"""

from __future__ import annotations

from zoo.codec import ReasonerConfig
from zoo.compiled.bellman_ford import LIMIT
from zoo.compiled.bfs import SURE
from zoo.compiled.forms import after, from_sender, to_receiver
from zoo.compiled.program import Program, Scores, Unit

LEAST = 2.0**-10
# A pointer may move if the way got shorter by more than `LIMIT` over this.
STEEP = 2.0**40


def floyd_warshall() -> Program:
    """The program."""
    program = Program(
        processors=("triplet_gmpnn",),
        reasoner=ReasonerConfig(feedback="hard", edge_pointers="triplets"),
        precision="float64",
    )
    weight, length, joined = program.edge("A"), program.edge("D"), program.edge("msk")
    closeness = LIMIT * joined - length
    # 1 where there is no edge, and where there is only the loop without a weight that every node has.
    absent = program.edge_unit("absent", 1.0 - weight * (1.0 / LEAST))

    gain = program.triplet("gain", left=closeness, right=closeness, pair=-LIMIT - closeness)
    meet = program.triplet("meet", left=joined, right=joined, pair=-1.0 - joined)
    program.read("D", length + LIMIT * meet - gain)
    program.read("msk", SURE * (2.0 * joined + 2.0 * meet - 1.0))

    last = from_sender(closeness + gain) - to_receiver(weight + LIMIT * absent)
    keep = 2.0 * LIMIT * program.cube("Pi_h") - STEEP * gain
    for probe in ("Pi_h", "Pi"):
        program.read(probe, Scores([Unit(1.0, last), Unit(1.0, keep)]))

    # k goes on to the lowest node that it has not been at.
    been = program.hidden("been")
    program.update("been", been + program.node("k"))
    program.read("k", SURE * (-program.node("pos") - 2.0 * after(been)) * 1024.0)
    return program
