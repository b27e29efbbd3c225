"""Sorts that exchange neighbours in a list, odd-even transposition and bubble sort, under the same options.

Every node keeps its place in the list, in the units that positions are in. The hint `pred_h`, decided and fed back,
tells it its neighbours. In one round of messages it learns whether the node before it has a greater key, and whether
the node after it has a smaller one. A pair that is compared is exchanged if so: the node in front goes one place back,
the node behind one to the front. A node's predecessor is whoever is nearest to the place before its own; that of the
first node is itself. Every hint and output is right at every step. What differs between the two sorts is which pairs
are compared.

- Odd-even transposition: a node remembers whether it was the front of a pair. Those that were not, and stayed, are the
  next time, and those that were, and moved. At first it is those in even places, 0 among them: places that are
  twice another one's.
- Bubble sort: all nodes count along, as numbers of their own, in which place the pass is that begins at the end of the
  list and which pair is next in it. In the first step no node knows how long the list is; that the pair are the last
  two nodes, they learn from the position of the last.

Positions must be evenly spaced, as they are unless a task is asked for others; the step between them is 1 less the last
position. As that is rounded to float32, places are off by up to a node's number times 2^-25: exact for up to 2^11
nodes. Keys must differ by 2^-50 or be equal, and by less than 8.
"""

from __future__ import annotations

from typing import NamedTuple

from zoo.compiled.bfs import SURE
from zoo.compiled.forms import Form, after, at_receiver, at_sender, both, only_if
from zoo.compiled.keys import STEEP
from zoo.compiled.program import FED_BACK, Program, Scores, Unit, is_zero, nearest, truth

# Twice the most nodes: by this places one apart differ by 2, and what is rounded by less than 1.
MANY = 2.0**13
# Slope of the scores of pointers over places.
STEEPEST = 2.0**17


class List(NamedTuple):
    """What nodes know of the list.

    Attributes:
        place: before the step.
        step: between places.
        greater: whether the node before has a greater key.
        smaller: whether the node after has a smaller one; of the last node it may be below 0.
    """

    place: Form
    step: Form
    greater: Form
    smaller: Form


class Moved(NamedTuple):
    """What becomes of a pair that is compared.

    Attributes:
        back: whether a node goes one place back.
        front: whether a node goes one to the front.
    """

    back: Form
    front: Form


def odd_even_transposition_sort() -> Program:
    """The program that compares every other pair."""
    program = _program()
    known = _list(program)
    begun, pos = program.become("begun", Form(constant=1.0)), program.node("pos")
    twice = MANY * (at_receiver(pos) - 2.0 * at_sender(pos)) - 4.0 * MANY * at_receiver(begun)
    was, back, front = program.hidden("is in front"), program.hidden("goes back"), program.hidden("goes to the front")
    first = back + begun - was - front + program.message("in an even place", is_zero(twice))
    _exchange(program, known, first=first, second=1.0 - first)
    program.update("is in front", first)

    ahead = program.become("a step ahead", only_if(known.step, first))
    behind = program.become("a step behind", known.step - first)
    program.read("partner_h", Scores(nearest(known.place + after(ahead - behind), known.place, scale=STEEPEST)))
    return program


def bubble_sort() -> Program:
    """The program that compares one pair."""
    program = _program()
    known = _list(program)
    begun, pos = program.become("begun", Form(constant=1.0)), program.node("pos")
    done = program.hidden("done") + program.hidden("done, fresh")
    risen, step = program.hidden("risen"), program.hidden("step")
    # Of who is behind in the pair. In the first step `step` is 0 still, and nobody is in that place.
    place = 1.0 - step - risen
    last = MANY * (at_sender(pos) - at_receiver(pos + begun))
    last_but_one = MANY * (2.0 * at_sender(pos) - at_receiver(pos + 2.0 * begun) - 1.0) - 1.0
    second = 1.0 - begun + program.message("behind", is_zero(MANY * at_receiver(known.place - place)))
    second -= program.message("before the last", [Unit(1.0, last)])
    first = 1.0 - begun + program.message("in front", is_zero(MANY * at_receiver(known.place - place + step)))
    first -= program.message("before the last but one", [Unit(1.0, last_but_one)])
    moved = _exchange(program, known, first=first, second=second)

    ends = program.message("the pass ends", truth(2.0 - MANY * at_receiver(place - step - done)))
    program.update("done", done)
    program.update("done, fresh", only_if(known.step, ends))
    program.update("risen", risen + known.step - 2.0 * ends)

    stays = program.become("stays behind", second - known.greater)
    program.read("j", SURE * after(moved.back + stays))
    there = program.message("in the place of the pass", is_zero(MANY * at_receiver(known.place - done)))
    was_there = program.become("was in the place of the pass", there)
    program.read("i", SURE * after(was_there - moved.back + 0.5 * moved.front))
    return program


def _program() -> Program:
    """What the two share: so do networks that are trained beside them."""
    options = {"mpnn": {"adjacency": "full"}}
    return Program(processors=("mpnn",), reasoner=FED_BACK, precision="float64", options=options)


def _list(program: Program) -> List:
    """The place, and how it is with the neighbours."""
    pos, key = program.node("pos"), program.node("key")
    names = ("back", "back, fresh", "to the front", "to the front, fresh")
    back, went_back, front, went_to_front = map(program.hidden, names)
    step = 1.0 - program.message("last position", [Unit(1.0, at_sender(pos))])
    # The first node, its own predecessor, has no key but its own beside it.
    over = STEEP * (at_sender(key) - at_receiver(key))
    greater = program.message("greater", [*truth(over), Unit(1.0, program.edge("pred_h", 1))]) - 1.0
    smaller = program.message("smaller", [*truth(-over), Unit(1.0, program.edge("pred_h"))]) - 1.0
    return List(pos + back + went_back - front - went_to_front, step, greater, smaller)


def _exchange(program: Program, known: List, *, first: Form, second: Form) -> Moved:
    """Exchange pairs that are out of order, and read out the list.

    Args:
        program: to add to.
        known: of the list.
        first: whether a node is in front of a pair; nothing that is above 0 and not 1.
        second: whether it is behind.
    """
    for name, truths in (("back", (first, known.smaller)), ("to the front", (second, known.greater))):
        program.update(name, program.hidden(name) + program.hidden(f"{name}, fresh"))
        program.update(f"{name}, fresh", only_if(known.step, *truths))
    back = program.become("goes back", both(first, known.smaller))
    front = program.become("goes to the front", both(second, known.greater))
    step = program.become("step", known.step)

    own = after(known.place)
    before = own - after(step)
    program.read("pred_h", Scores(nearest(before, own, scale=STEEPEST)))
    # A chain is decoded closed: the first node's predecessor is the last, 1 further than the place before its own.
    gap = at_receiver(before) - at_sender(own)
    around = [Unit(-STEEPEST, gap + 1.0), Unit(2.0 * STEEPEST, gap + 0.5), Unit(-2.0 * STEEPEST, gap)]
    program.read("pred", Scores(around, head=-STEEPEST * own))
    return Moved(back, front)
