"""Parallel and binary search among ascending keys, both under the same options of processor and Reasoner.

All state is in the hints, which are fed back decided: a step tells from one frame what the next one is. `pred_h`, which
does not change, is handed on, and tells every node who is before it. Every hint and output is right at every step.

- Parallel search. A node compares its key with the target, which marks it. Once it has been told who is marked, the
  answer is the node that is not while its predecessor is; if there is none, the last marked node if any is marked, and
  the first node if not.
- Binary search. The node in the middle tells all whether the target is above its key; `low` and `high`, which are
  truths of nodes, move by that. The new middle is the node nearest to half of the sum of the new ends' positions, less
  a quarter of the step between positions, so that the lower of two wins. Either half's is known before it is decided
  which half is taken: a node holds its distance to both against the decision, and is as far as the greater one says.

Binary search wants positions that are evenly spaced, as they are unless a task is asked for others; the step between
them is 1 less the last position. Parallel search does not. Keys and target must differ by 2^-50 or be equal, and
by less than 8. `pgn` hears the target and, over the pointers that it is fed, a node's predecessor, which is
enough for the parallel search; for the other, see `zoo.compiled.keys`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.compiled.bfs import SLOPE, SURE
from zoo.compiled.forms import Form, after, at_receiver, at_sender, both
from zoo.compiled.keys import STEEP
from zoo.compiled.program import FED_BACK, Program, Scores, Unit, truth

# More than positions and their sums differ by: closes a gate of those.
FAR = 4.0

OPTIONS: Mapping[str, Mapping[str, Any]] = {"mpnn": {"adjacency": "full"}}
"""Of the processors, beside those of all programs."""


def parallel_search() -> Program:
    """The program of three frames."""
    program = Program(reasoner=FED_BACK, precision="float64", options=OPTIONS)
    pos, marked = program.node("pos"), program.node("below_h")
    compared = STEEP * (program.graph("target") - at_receiver(program.node("key")))
    below = program.become("below", program.message("below", truth(compared)))
    told = program.message("after a marked node", [Unit(1.0, both(at_sender(marked), program.edge("pred_h", 1)))])
    answer = program.become("answer", told - marked)
    last = program.become("position, of the marked", both(pos, marked))

    program.read("below_h", SURE * (2.0 * after(below) - 1.0))
    for probe in ("return_h", "return"):
        program.read(probe, SURE * (4.0 * after(answer) + 4.0 * after(last) - pos))
    program.read("pred_h", _handed_on(program))
    return program


def binary_search() -> Program:
    """The program that halves what is left."""
    program = Program(processors=("mpnn",), reasoner=FED_BACK, precision="float64", options=OPTIONS)
    low, middle, high = (program.node(name) for name in ("low", "mid", "high"))
    above = truth(STEEP * (program.graph("target") - at_sender(program.node("key"))))
    upper = program.message("the upper half", [*above, Unit(1.0, at_sender(middle))]) - 1.0
    # The first node is its own predecessor, and does not follow itself.
    follows = both(at_sender(middle), program.edge("pred_h", 1)) - at_receiver(middle)
    entered = program.message("just above the middle", [*above, Unit(1.0, follows)]) - 1.0

    stayed, raised = program.become("low, kept", low - upper), program.become("low, raised", entered)
    kept, lowered = program.become("high, kept", both(high, upper)), program.become("high, lowered", middle - upper)
    program.read("low", SURE * after(stayed + raised))
    for probe in ("high", "return"):
        program.read(probe, SURE * after(kept + lowered))
    program.read("mid", -SLOPE * after(_distance(program, upper)))
    program.read("pred_h", _handed_on(program))
    return program


def _distance(program: Program, upper: Form) -> Form:
    """From a node to the middle of the half that is taken, as a sum of channels all but one of which are 0."""
    pos = program.node("pos")
    low, middle, high = (
        program.message(f"position of {name}", [Unit(1.0, at_sender(pos + FAR * program.node(name)) - FAR)])
        for name in ("low", "mid", "high")
    )
    step = 1.0 - program.message("last position", [Unit(1.0, at_sender(pos))])
    distance = Form()
    for half, ends, closed in (("upper", middle + step + high, 1.0 - upper), ("lower", low + middle, upper)):
        off = pos - 0.5 * ends + 0.25 * step
        distance += program.become(f"beyond the {half} middle", off - FAR * closed)
        distance += program.become(f"short of the {half} middle", -off - FAR * closed)
    return distance


def _handed_on(program: Program) -> Scores:
    """A pointer as it was."""
    return Scores([Unit(SURE, program.edge("pred_h", 1))])
