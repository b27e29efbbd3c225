"""A graph algorithm as a program for one step of a message passing network: channels, messages, updates, readouts.

    m_c(i) = max over senders j of a form of what sender, receiver and edge carry       one for each message c
    h'_c(i) = ReLU(form of what node i carries and of its messages)                     one for each hidden channel c

    a linear readout is a form of what is carried before and after the step
    a score readout of i's pointer to j is a sum of w ReLU(form of sender j, edge and receiver i)

That is what `mpnn` and `pgn` compute without layers after the sum of a message's terms, and what the decoders of the
Reasoner do. With one such layer a message is a sum of w ReLU(form), and the reduction may be another one than the
maximum. `triplet_gmpnn` adds, for every pair of nodes s and r,

    e'_c(s, r) = ReLU(max over nodes i of a form of the edges (i, s), (i, r) and (s, r))     one for each triplet c

`gatv2` has means in place of maxima, weighted by a softmax over senders. Its logit is one form of what sender, receiver
and edge carry, or a sum of w LeakyReLU(form), whose slope below 0 is a hundredth. The Reasoner adds a ReLU of a form of
each edge's own channels. `zoo.compiled.placing` writes a program into the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from zoo.codec import ReasonerConfig
from zoo.compiled.forms import Channel, Form, Kind, at_receiver, at_sender, channel

READ_OUT = ReasonerConfig(encode_hints=False)
"""Hints are read out and not fed back: all state is in the hidden."""
FED_BACK = ReasonerConfig(feedback="hard", reverse_pointers=True)
"""Hints are fed back as decided, pointers to both of their ends."""


class Triplet(NamedTuple):
    """What a pair of nodes gets, the highest over nodes in the middle.

    Attributes:
        left: form of the edge from the middle to the sender.
        right: form of the edge from the middle to the receiver.
        pair: form of the edge from the sender to the receiver.
    """

    left: Form
    right: Form
    pair: Form


class Unit(NamedTuple):
    """One term of a score or of a message, `weight · ReLU(form)`.

    Attributes:
        weight: its share.
        form: of what sender (the candidate), receiver and edge carry.
    """

    weight: float
    form: Form


class Scores(NamedTuple):
    """Readout of a pointer: the sum of its units, the highest wins.

    Attributes:
        units: the terms.
        head: of a permutation, the form whose highest node is the head.
    """

    units: Sequence[Unit]
    head: Form | None = None


Readout = Form | Sequence[Form] | Scores
"""What a probe is decoded from: a form, one a class, or scores of candidates."""


@dataclass
class Program:
    """What one step computes. Made by naming channels and then saying what becomes of them.

    Attributes:
        processors: names of the processors that it can be written into.
        reasoner: how these are unrolled.
        task: options of the task that it solves, where they must not be the defaults.
        precision: `float32` or `float64`, the least that keeps it exact.
        channels: names of the channels of each kind, in the order of their places.
        options: further options of a processor, by its name.
        sources: of an encoded channel, the probe and which of the probe's raw channels it is.
        messages: form of each message, or the units that it is the sum of.
        attention: of an attention network, the form of an edge's logit, never below 0, or units that it is the sum of,
            with LeakyReLU in place of ReLU; messages are then forms of senders, averaged.
        triplets: by the name of the channel that edges get.
        edge_units: forms of edges' channels, by the name of the channel that their ReLU is.
        updates: form of each hidden channel's new value, before the ReLU.
        readouts: by probe.
    """

    processors: tuple[str, ...] = ("mpnn", "pgn")
    reasoner: ReasonerConfig = READ_OUT
    task: Mapping[str, Any] = field(default_factory=dict)
    precision: Literal["float32", "float64"] = "float32"
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    channels: dict[Kind, list[str]] = field(default_factory=dict)
    sources: dict[Channel, tuple[str, int]] = field(default_factory=dict)
    messages: dict[str, Form | Sequence[Unit]] = field(default_factory=dict)
    attention: Form | Sequence[Unit] | None = None
    triplets: dict[str, Triplet] = field(default_factory=dict)
    edge_units: dict[str, Form] = field(default_factory=dict)
    updates: dict[str, Form] = field(default_factory=dict)
    readouts: dict[str, Readout] = field(default_factory=dict)

    def node(self, probe: str, raw: int = 0) -> Form:
        """An encoded channel of a node: `raw` is the class of a categorical probe."""
        return self._encoded("node", probe, raw)

    def edge(self, probe: str, raw: int = 0) -> Form:
        """An encoded channel of an edge; of a pointer, 1 says that the receiver points to the sender.

        Of an input, 1 is that of the edge from receiver to sender. Options of the Reasoner: `reverse_pointers` for the
        former, `reverse_edges` for the latter.
        """
        return self._encoded("edge", probe, raw)

    def graph(self, probe: str, raw: int = 0) -> Form:
        """An encoded channel of a graph."""
        return self._encoded("graph", probe, raw)

    def hidden(self, name: str) -> Form:
        """A channel of the hidden, 0 before the first step; `update` says what becomes of it."""
        return self._named("hidden", name)

    @property
    def units(self) -> list[Unit]:
        """The units of all messages, in the order of their places; none where messages are forms."""
        return [unit for message in self.messages.values() if not isinstance(message, Form) for unit in message]

    @property
    def logit(self) -> list[Unit]:
        """The units of an attention network's logit; none of other networks."""
        if self.attention is None:
            return []
        return [Unit(1.0, self.attention)] if isinstance(self.attention, Form) else list(self.attention)

    def edge_unit(self, name: str, form: Form) -> Form:
        """The ReLU of a form of an edge's channels."""
        self.edge_units[name] = form
        return self._named("edge", name)

    def cube(self, probe: str) -> Form:
        """Whether an edge points to the candidate."""
        return self._named("cube", probe)

    def triplet(self, name: str, *, left: Form, right: Form, pair: Form) -> Form:
        """What every pair of nodes gets, see `Triplet`."""
        self.triplets[name] = Triplet(left, right, pair)
        return self._named("new_edge", name)

    def message(self, name: str, form: Form | Sequence[Unit]) -> Form:
        """The maximum, or whatever the reduction is, of a form of edges over those that come in."""
        self.messages[name] = form
        return self._named("message", name)

    def update(self, name: str, form: Form) -> None:
        """Set what a hidden channel becomes: the ReLU of a form."""
        if name not in self.channels.get("hidden", []):
            raise ValueError(f"no hidden channel {name!r} to update; hidden() makes one")
        self.updates[name] = form

    def become(self, name: str, form: Form) -> Form:
        """A hidden channel of which it is known at once what becomes of it."""
        kept = self.hidden(name)
        self.update(name, form)
        return kept

    def latch(self, name: str, value: Form, closed: Form) -> Form:
        """A number that is 0 until a step at which `closed` is not true and `value`, at most 1, is above 0.

        It takes two hidden channels, what was kept and what is fresh, and is their sum. Nothing is ever added to what
        is not 0, so that it stays what it was to the last bit.
        """
        kept, fresh = self.hidden(name), self.hidden(f"{name}, fresh")
        self.update(name, kept + fresh)
        self.update(f"{name}, fresh", value - closed)
        return kept + fresh

    def read(self, probe: str, readout: Readout) -> None:
        """Set what a probe is decoded from."""
        self.readouts[probe] = readout

    def _encoded(self, kind: Kind, probe: str, raw: int) -> Form:
        name = f"{probe}[{raw}]" if raw else probe
        self.sources[Channel(kind, name)] = probe, raw
        return self._named(kind, name)

    def _named(self, kind: Kind, name: str) -> Form:
        names = self.channels.setdefault(kind, [])
        if name not in names:
            names.append(name)
        return channel(kind, name)


def nearest(wanted: Form, own: Form, *, scale: float) -> list[Unit]:
    """Units that are highest at the candidate whose `own` is nearest to the `wanted` of the node that points."""
    gap = at_sender(own) - at_receiver(wanted)
    return [Unit(-scale, gap), Unit(-scale, -gap)]


def truth(form: Form) -> list[Unit]:
    """Units whose sum is the form, held between 0 and 1."""
    return [Unit(1.0, form), Unit(-1.0, form - 1.0)]


def is_zero(form: Form) -> list[Unit]:
    """Units whose sum is 1 where the form is 0 or off it by at most 1, and 0 where it is off by 2 or more."""
    return [*truth(form + 2.0), Unit(-1.0, form - 1.0), Unit(1.0, form - 2.0)]
