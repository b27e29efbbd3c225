"""Strongly connected components by divide and conquer: all parts at once, as in the trace, by one round a step.

A node knows its part by the priority of the part's pivot, 1 - pos. Who hears of whom is settled by what a message takes
off for the difference of their parts' priorities, which is 0 within a part. Where a part is divided, twice and four
times the truths of being marked forward and backward are added to that priority, and tell the new parts apart.

The trace divides a part in the step in which none of its nodes is marked. That takes two rounds to find out: whether a
node would be marked, and whether any would be. So a part is divided a step later, when all of it hear that nobody was
marked in the step before, and the first marks of the new parts are set in that same step: a node hears which is the
lowest-numbered node of its new part, the pivot, and which is the lowest-numbered of those that have an edge to it; if
they are the same, it is reached. So nothing is lost: after that step marks are those of the trace again. All hints are
predicted. Of a part that was just divided they are those of the frame before, and of the trace everywhere else. The
output is right: who stands for a node is known one step before its part is done.

All state is in the hidden; the hints that are fed back are not read. Exact for positions that are at least 1 over
`STEEP` apart and multiples of 2^-34, as those of up to 2^11 nodes are by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from zoo.compiled.bfs import SLOPE, SURE
from zoo.compiled.components import edge_to_receiver, edge_to_sender, empty_program
from zoo.compiled.forms import Form, after, at_receiver, at_sender, both
from zoo.compiled.program import Program, Scores, Unit, nearest

# A difference of priorities becomes 1 or more by this slope; a power of two, as all constants here.
STEEP = 2.0**16
# What a message takes off where there is no edge; more than any message is.
ABSENT = 2.0


class _Marks(NamedTuple):
    """One direction of marks, as sums of channels, each of them a truth.

    Attributes:
        marked: whether a node is.
        fresh: whether it was marked in the last step.
    """

    marked: Form
    fresh: Form


def divide_and_conquer_components() -> Program:
    """The program."""
    program = empty_program()
    priority = 1.0 - program.node("pos")
    part = program.hidden("part, kept") + program.hidden("part, new")
    forward, backward = _marks(program, "forward"), _marks(program, "backward")
    kind = part + 2.0 * forward.marked + 4.0 * backward.marked

    fresh = at_sender(forward.fresh + backward.fresh)
    going = program.message("going", [Unit(1.0, fresh), Unit(-1.0, fresh - 1.0), *_alike(part)])
    lowest = program.message("lowest", [Unit(1.0, at_sender(priority)), *_alike(kind)])
    # What all senders say alike is a truth of the receiver.
    settled = program.message("settled", [Unit(1.0, at_receiver(both(forward.marked, backward.marked)))])

    program.update("part, kept", part + going - 1.0)
    program.update("part, new", lowest - going)
    program.update("done", settled - going)
    program.update("pivot", 1.0 - STEEP * (lowest - priority) - going - settled)
    for name, marks, edge in (
        ("forward", forward, edge_to_receiver(program)),
        ("backward", backward, edge_to_sender(program)),
    ):
        _mark(program, name, marks, edge, lowest=lowest, going=going, settled=settled, part=part, kind=kind)

    _stand(program, priority, lowest=lowest, going=going, settled=settled)
    for name, marks in (("forward_h", forward), ("backward_h", backward)):
        program.read(name, SURE * (2.0 * after(marks.marked) - 1.0))
    program.read("done_h", SURE * (2.0 * after(program.hidden("done")) - 1.0))
    for probe in ("pivot_h", "scc_id"):
        program.read(probe, Scores(nearest(after(part), priority, scale=SLOPE)))
    return program


def _marks(program: Program, name: str) -> _Marks:
    """Who has marks of one direction."""
    new = program.hidden(f"{name}, from the pivot")
    marked = program.hidden(f"{name}, going on") + new + program.hidden("pivot") + program.hidden("done")
    return _Marks(marked, program.hidden(f"{name}, reached") + new)


def _mark(
    program: Program,
    name: str,
    marks: _Marks,
    edge: Form,
    *,
    lowest: Form,
    going: Form,
    settled: Form,
    part: Form,
    kind: Form,
) -> None:
    """Set marks over an edge: from marked nodes of the part, or from the pivot of a new one."""
    absent = Unit(-ABSENT, 1.0 - edge)
    spread = program.message(f"{name}, spread", [Unit(1.0, at_sender(marks.marked)), absent, *_alike(part)])
    priority = at_sender(1.0 - program.node("pos"))
    near = program.message(
        f"{name}, lowest", [Unit(1.0, priority), absent, *_alike(kind), *_oneself(program.node("pos"))]
    )
    program.update(f"{name}, going on", spread + going - 1.0)
    program.update(f"{name}, reached", spread - marks.marked + going - 1.0)
    program.update(f"{name}, from the pivot", 1.0 - STEEP * (lowest - near) - going - settled)


def _stand(program: Program, priority: Form, *, lowest: Form, going: Form, settled: Form) -> None:
    """Who stands for a node: its pivot if it is done, and itself before."""
    found = program.hidden("found")
    alone = program.hidden("alone, not settled") + program.hidden("alone, going on")
    program.update("found", lowest + settled - going - 1.0)
    program.update("alone, not settled", priority - settled)
    program.update("alone, going on", priority + settled + going - 2.0)
    program.read("scc_id_h", Scores(nearest(after(found + alone), priority, scale=SLOPE)))


def _alike(own: Form) -> Sequence[Unit]:
    """0 for a sender like the receiver, and -2 or less for others."""
    gap = at_sender(own) - at_receiver(own)
    return [Unit(-2.0 * STEEP, gap), Unit(-2.0 * STEEP, -gap)]


def _oneself(own: Form) -> Sequence[Unit]:
    """-`ABSENT` for the node itself, 0 for others."""
    gap = STEEP * (at_sender(own) - at_receiver(own))
    return [Unit(-ABSENT, gap + 1.0), Unit(2.0 * ABSENT, gap), Unit(-ABSENT, gap - 1.0)]
