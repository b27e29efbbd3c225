"""Kosaraju's strongly connected components: two depth-first searches, one event a step, as in the trace.

The search is that of `zoo.compiled.dfs`: nodes on the stack know their depth in it, nodes not seen score the depth of
the deepest of them that has an edge there, and their priority, 1 - pos; the highest score of all nodes is what happens
next, and the hint s_last, decided and fed back, tells the winner. A node that is left keeps the time.

When all nodes have been left, only what such nodes score is above 0, a trifle of that time: the node left last wins
once more. Its winning tells all others, in one message over the complete graph, that the second search has begun. That
goes by the edges that run the other way, and its roots score the time at which they were left. A node that is pushed in
it has no frame of its own to be entered in, and what comes next is decided before it could tell its depth. So it keeps
the depth that it was offered, and sends one more than that in the step in which it learns that it won. A root sends all
nodes its priority; those that are pushed keep it, and point to the node of that priority.

The output is right, and of the hints s_last, A_t and scc_id_h are, in every frame. Colours are one frame late where a
node was pushed or left, and where the second search begins, as a node learns of its own winning one step later. The
other hints are not predicted.

Exact for graphs of fewer than 2^11 nodes.
"""

from __future__ import annotations

from typing import NamedTuple

from zoo.compiled.bfs import SLOPE, SURE
from zoo.compiled.components import edge_to_receiver, edge_to_sender, empty_program
from zoo.compiled.dfs import MANY
from zoo.compiled.forms import Form, after, at_receiver, at_sender, both, only_if
from zoo.compiled.program import Program, Scores, Unit, nearest

# One step of the clock, so that all times are below 1; a power of two, as all constants here.
TICK = 2.0**-14
# What a node that was left scores in the first search, times the time.
LAST = 2.0**-27


class _State(NamedTuple):
    """What a node carries, as sums of hidden channels; truths but for depth, offered, time and root.

    Attributes:
        won: whether what happens is at this node, as the hint says.
        first: whether it was seen in the first search.
        again: whether it was seen in the second.
        entered: whether its being entered is the frame that comes now.
        left: whether the first search has left it.
        second: whether the second search had begun before this step.
        depth: on the stack, 0 off it.
        offered: depth that a node not seen would be pushed onto, 0 for the bottom.
        time: of its leaving in the first search.
        root: priority of the node that stands for it.
        below: whether it is at the bottom of the stack in the second search.
    """

    won: Form
    first: Form
    again: Form
    entered: Form
    left: Form
    second: Form
    depth: Form
    offered: Form
    time: Form
    root: Form
    below: Form


def strongly_connected_components() -> Program:
    """The program."""
    program = empty_program()
    state = _state(program)
    unseen = state.first + state.again - state.second
    near = program.message("near", _way(program, state, seen=unseen))
    began = both(at_sender(state.won), at_sender(state.left))
    second = program.message("second", [Unit(1.0, began)])
    mine = program.message("mine", [Unit(1.0, began + at_receiver(state.won) - 1.0)])
    priority = 1.0 - program.node("pos")
    root = program.message("root", [Unit(1.0, at_sender(only_if(priority, state.below)))])

    _search(program, state, near=near, second=second, mine=mine)
    _keep_time(program, state)
    _stand(program, state, priority, mine=mine, root=root)
    _score(program, state, priority, near=near, second=second)
    program.read("A_t", SURE * (2.0 * edge_to_sender(program) - 1.0))
    seen = after(state.first + state.again - state.second)
    program.read("color", [4.0 * (1.0 - seen), after(state.depth), Form(constant=0.5)])
    return program


def _state(program: Program) -> _State:
    """The channels."""
    hidden = program.hidden
    just, again, bottom = hidden("seen, just"), hidden("again, just"), hidden("bottom, just")
    return _State(
        won=program.node("s_last"),
        first=hidden("seen") + just,
        again=hidden("again") + again,
        entered=just + bottom,
        left=hidden("left") + hidden("left, fresh"),
        second=hidden("second"),
        depth=hidden("settled") + hidden("entered"),
        offered=hidden("offered"),
        time=hidden("time") + hidden("time, fresh"),
        root=hidden("root, kept") + hidden("root, told") + hidden("root, own"),
        below=hidden("bottom") + bottom,
    )


def _way(program: Program, state: _State, *, seen: Form) -> list[Unit]:
    """One more than the depth of a sender on the stack, or just pushed, that has an edge to the receiver; else 0."""
    settled = at_sender(state.depth)
    pushed = at_sender(only_if(state.offered + 1.0, state.won, 1.0 - seen, bound=MANY))
    second = at_sender(state.second)
    units = []
    for edge, now in ((edge_to_receiver(program), 1.0 - second), (edge_to_sender(program), second)):
        for depth in (settled, pushed):
            way = only_if(depth, edge, now, bound=MANY)
            units += [Unit(2.0, way), Unit(-1.0, way - 1.0)]
    return units


def _search(program: Program, state: _State, *, near: Form, second: Form, mine: Form) -> None:
    """Who is seen, and how deep the stack is; `second` says that this is the second search, `mine` who wins in it."""
    seen = state.first + state.again - second
    program.update("second", second)
    program.update("seen", state.first)
    program.update("seen, just", state.won - state.first)
    program.update("again", state.again)
    program.update("again, just", mine - state.again)
    # Nothing was offered to a root.
    program.update("bottom, just", mine - state.again - state.offered)
    # Whoever won again after it had entered has left.
    bottom, just = program.hidden("bottom"), program.hidden("bottom, just")
    program.update("bottom", bottom + 2.0 * just - state.won)
    program.update("settled", state.depth - MANY * (state.won - state.entered))
    program.update("entered", only_if(state.offered + 1.0, state.won, 1.0 - seen, bound=MANY))
    program.update("offered", near - 1.0 - MANY * seen)


def _keep_time(program: Program, state: _State) -> None:
    """The time at which a node is left in the first search."""
    clock = program.hidden("clock")
    program.update("clock", clock + TICK)
    leaves = state.won, program.hidden("seen")
    program.latch("left", both(*leaves), closed=state.left)
    program.latch("time", only_if(clock + TICK, *leaves), closed=state.left)


def _stand(program: Program, state: _State, priority: Form, *, mine: Form, root: Form) -> None:
    """Who stands for a node: the root of its tree in the second search, and itself before."""
    program.update("root, kept", state.root)
    program.update("root, told", only_if(root, mine) - state.again)
    program.update("root, own", only_if(priority, mine) - state.again - state.offered)
    alone = program.hidden("alone")
    program.update("alone", priority - mine - state.again)
    for probe in ("scc_id_h", "scc_id"):
        program.read(probe, Scores(nearest(after(state.root + alone), priority, scale=SLOPE)))


def _score(program: Program, state: _State, priority: Form, *, near: Form, second: Form) -> None:
    """What happens next."""
    closed = MANY * (state.first + state.again - second) + MANY * state.won
    offers = program.hidden("neighbour's"), program.hidden("first root's"), program.hidden("second root's")
    program.update("neighbour's", near + priority - 1.0 - closed)
    program.update("first root's", priority - MANY * near - MANY * second - closed)
    program.update("second root's", state.time - MANY * near - MANY * (1.0 - second) - closed)
    score = sum(offers, state.depth + MANY * state.entered + LAST * state.time)
    program.read("s_last", after(score))
