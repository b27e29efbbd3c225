"""Linear forms of named channels, and gates as linear forms that a ReLU or a maximum completes.

A channel is one number that a network carries: of a probe, of the hidden latents, of a message. A form is a weighted
sum of channels and a constant; forms add, subtract and scale like numbers. What a layer of the zoo computes, in each of
its channels, is a form of its input, so that a form is one row of a weight matrix.

Truth is 1, falsehood 0. A gate of two truths is a form that is above 0, and then 1, only where the gate is open; the
ReLU or the maximum that comes next makes a truth of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Kind = Literal["node", "edge", "graph", "hidden", "new", "message", "new_edge", "cube"]
"""What carries a channel: encoded probes of nodes, edges and graphs; the hidden before and after the step; the reduced
messages; what triplets send to edges; pointers of edges."""

Role = Literal["own", "sender", "receiver", "from_sender", "to_receiver"]
"""Whose channel it is: of the node or edge itself; of the node at an end of an edge; or of the edge that joins an end
to the node that the edge may point to."""


class Channel(NamedTuple):
    """A named number.

    Attributes:
        kind: what carries it.
        name: unique among those of its kind.
        role: whose it is.
    """

    kind: Kind
    name: str
    role: Role = "own"


@dataclass(frozen=True)
class Form:
    """A weighted sum of channels and a constant.

    Attributes:
        weights: by channel.
        constant: what is added.
    """

    weights: Mapping[Channel, float] = field(default_factory=dict)
    constant: float = 0.0

    def __add__(self, other: Form | float) -> Form:
        other = other if isinstance(other, Form) else Form(constant=other)
        channels = {**self.weights, **other.weights}
        weights = {c: self.weights.get(c, 0.0) + other.weights.get(c, 0.0) for c in channels}
        return Form(weights, self.constant + other.constant)

    def __mul__(self, factor: float) -> Form:
        return Form({channel: weight * factor for channel, weight in self.weights.items()}, self.constant * factor)

    def __neg__(self) -> Form:
        return self * -1.0

    def __sub__(self, other: Form | float) -> Form:
        return self + -other

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: float) -> Form:
        return -self + other

    def part(self, role: Role) -> Form:
        """What it takes from channels of one role, without the constant."""
        return Form({channel: weight for channel, weight in self.weights.items() if channel.role == role})


def channel(kind: Kind, name: str) -> Form:
    """The form that is one channel."""
    return Form({Channel(kind, name): 1.0})


def at_sender(form: Form) -> Form:
    """A form of a node's channels, taken at the sender of an edge."""
    return _moved(form, "sender")


def at_receiver(form: Form) -> Form:
    """A form of a node's channels, taken at the receiver of an edge."""
    return _moved(form, "receiver")


def from_sender(form: Form) -> Form:
    """A form of an edge's channels, taken at the edge from the sender to the node that may be pointed to."""
    return _moved(form, "from_sender")


def to_receiver(form: Form) -> Form:
    """A form of an edge's channels, taken at the edge from the node that may be pointed to to the receiver."""
    return _moved(form, "to_receiver")


def after(form: Form) -> Form:
    """A form of the hidden, taken after the step instead of before it; other channels stay."""
    weights = {c._replace(kind="new") if c.kind == "hidden" else c: weight for c, weight in form.weights.items()}
    return Form(weights, form.constant)


def _moved(form: Form, role: Role) -> Form:
    """The same channels, those of others."""
    return Form({channel._replace(role=role): weight for channel, weight in form.weights.items()}, form.constant)


def both(*truths: Form) -> Form:
    """And: 1 where all are true, at most 0 where not."""
    return sum(truths[1:], truths[0]) - float(len(truths) - 1)


def only_if(value: Form, *truths: Form, bound: float = 1.0) -> Form:
    """The value where all are true, at most 0 where not; it may be up to `bound`.

    A maximum over many of them is that over the true ones, and 0 or less if there is none: a product in the max-plus
    algebra. It is exact to the rounding of `bound`.
    """
    return value + bound * sum(truths[1:], truths[0]) - bound * len(truths)
