"""`zoo sample --show`: one trajectory as text, inputs first, then the hints step by step, then outputs."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.batch import Batch
from tasks.spec import Location, Probe, Type
from tasks.task import Task
from trainers.inspection.one_sample import OneSample, alone, token
from trainers.inspection.sample import Array

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_PIPED_WIDTH = 80  # characters of a line where output is no terminal
_INDENT = "  "
_GAP = "  "  # between columns
_NEW = "bold cyan"
_SAME = "."
_RULES = "step 0 is given; a star after a value: the step changed it; a dot: it did not"


def show(task: Task, batch: Batch, console: Console) -> None:
    """Print one trajectory.

    Args:
        task: whose it is.
        batch: one sample, in the dense layout.
        console: it is printed on; lines are no wider than a terminal's, than 80 characters elsewhere.

    Raises:
        ValueError: the batch has several samples, or another layout.
    """
    one = alone(batch)
    page = _Page(console)
    title = inspect.cleandoc(type(task).__doc__ or "").split("\n\n")[0]
    page.line(f"{one.spec.task}: {_count(one.nodes, 'node')}, {_count(one.frames - 1, 'step')}", "bold")
    page.wrapped(" ".join(title.split()), "dim")
    page.section("inputs")
    _show_graph(page, one)
    shown = [p for p in one.spec.inputs if p.name not in one.graph_probes and not p.streamed]
    _show_values(page, one, [(p, one.values(p)) for p in shown])
    _show_steps(page, one)
    page.section("outputs")
    _show_values(page, one, [(p, one.values(p)) for p in one.spec.outputs if not p.streamed])
    streamed = [p.name for p in one.spec.outputs if p.streamed]
    if streamed:
        page.wrapped(f"{', '.join(streamed)}: one a step, above", first=_INDENT)


@dataclass(frozen=True)
class _Page:
    """Lines on a console, none of which it breaks by itself."""

    console: Console

    @property
    def width(self) -> int:
        """Characters of a line."""
        return self.console.width if self.console.is_terminal else min(self.console.width, _PIPED_WIDTH)

    @property
    def on(self) -> str:
        """A bit that is set, in a block of bits."""
        return "█" if self.console.encoding.startswith("utf") else "#"

    def line(self, text: str | Text = "", style: str = "") -> None:
        """Print a line."""
        from rich.text import Text

        text = Text(text, style) if isinstance(text, str) else text
        text.rstrip()
        self.console.print(text, soft_wrap=True, highlight=False)

    def wrapped(self, text: str, style: str = "", *, first: str = "") -> None:
        """Print words that begin after `first` and go on below them."""
        for line in textwrap.wrap(
            text, self.width, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
        ):
            self.line(line, style)

    def section(self, title: str) -> None:
        """Print a heading."""
        self.line()
        self.line(title, "bold")


def _count(count: int, noun: str) -> str:
    """How many of something."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _show_graph(page: _Page, one: OneSample) -> None:
    """The graph as a list of edges."""
    weights = one.weights
    if weights is None or not one.graph_probes:
        return
    names = [p.name for p in one.spec.inputs if p.name in one.graph_probes]
    told = f"{_INDENT}{', '.join(names)}{_GAP}"
    page.wrapped(_edge_list(weights), first=told)


def _edge_list(weights: Array) -> str:
    """Edges as words: `0-1` in both directions, `0->1` in one, each with its weight unless all are 1."""
    symmetric = np.array_equal(weights, weights.T)
    places = np.argwhere(np.triu(weights) if symmetric else weights)
    if not len(places):
        return "no edges"
    plain = bool(np.isin(weights, (0, 1)).all())
    mark = "-" if symmetric else "->"
    words = []
    for sender, receiver in places:
        weight = "" if plain else f"={float(weights[sender, receiver]):.3g}"
        words.append(f"{sender}{mark}{receiver}{weight}")
    return f"{_count(len(words), 'undirected edge' if symmetric else 'edge')}: {' '.join(words)}"


def _show_values(page: _Page, one: OneSample, given: Sequence[tuple[Probe, Array]]) -> None:
    """Values that do not change: of the graph a line each, of nodes side by side, of edges as matrices."""
    rows: dict[str, list[tuple[str, list[str]]]] = {}
    for probe, value in given:
        if probe.channels > 1:
            if probe.positional:
                page.line(f"{_INDENT}{probe.name}{_GAP}{probe.channels} numbers a node that name its position")
        elif probe.location is Location.GRAPH or (probe.location is Location.NODE and probe.type is Type.MASK_ONE):
            page.line(f"{_INDENT}{probe.name}{_GAP}{token(probe, value.item())}")
        elif probe.location is Location.NODE or probe.type is Type.MASK_ONE:
            kind = "scalar" if probe.type is Type.SCALAR else "other"
            rows.setdefault(kind, []).append((probe.name, _tokens(probe, value, one.lettered)))
    for table in rows.values():
        _show_rows(page, one, table)
    for probe, value in given:
        if probe.channels > 1 and not probe.positional:
            _show_channels(page, one, probe, value)
        elif probe.location is Location.EDGE and probe.type is not Type.MASK_ONE:
            _show_matrix(page, probe, value)


def _tokens(probe: Probe, value: Array, lettered: bool = False) -> list[str]:
    """Every entry as text."""
    return [token(probe, entry, lettered=lettered) for entry in value.reshape(-1).tolist()]


def _show_rows(page: _Page, one: OneSample, rows: Sequence[tuple[str, list[str]]]) -> None:
    """A table with a column a node, in as many pieces as the width asks for."""
    names = max(len("node"), *(len(name) for name, _ in rows))
    cell = max(len(text) for _, texts in [("", [str(one.nodes - 1)]), *rows] for text in texts) + 1
    for some in _pieces(one.nodes, (page.width - len(_INDENT) - names - 1) // cell):
        head = "".join(f"{node:>{cell}}" for node in some)
        page.line(f"{_INDENT}{'node':<{names}} {head}", "dim")
        for name, texts in rows:
            page.line(f"{_INDENT}{name:<{names}} " + "".join(f"{texts[node]:>{cell}}" for node in some))


def _pieces(count: int, most: int) -> list[range]:
    """Ranges of at most so many that make up `count`."""
    most = max(most, 1)
    return [range(start, min(start + most, count)) for start in range(0, count, most)]


def _show_channels(page: _Page, one: OneSample, probe: Probe, value: Array) -> None:
    """Several channels a node: bits as a block of marks, numbers as rows; nodes go from left to right."""
    if probe.type is not Type.MASK:
        _show_rows(page, one, [(f"{probe.name}[{c}]", _tokens(probe, value[:, c])) for c in range(probe.channels)])
        return
    blank = "; blank where none is due" if (value < 0).any() else ""
    page.line(f"{_INDENT}{probe.name}{_GAP}{probe.channels} bits a node, nodes from left to right{blank}")
    for some in _pieces(one.nodes, page.width - 2 * len(_INDENT)):
        for channel in range(probe.channels):
            bits = [int(value[node, channel]) for node in some]
            page.line(2 * _INDENT + "".join(" " if bit < 0 else page.on if bit else _SAME for bit in bits))


def _show_matrix(page: _Page, probe: Probe, value: Array, *, name: str = "") -> None:
    """An edge probe: a mask as a list of edges, anything else with a row a sender and a column a receiver."""
    first = f"{_INDENT}{name or probe.name}{_GAP}"
    if probe.type is Type.MASK:
        words = _edge_list((value > 0).astype(np.float32))
        unscored = int((value < 0).sum())
        page.wrapped(words + (f" ({unscored} pairs not scored)" if unscored else ""), first=first)
        return
    if not value.any():
        page.line(f"{first}0 everywhere")
        return
    page.line(f"{first}a row a sender, a column a receiver")
    texts = [[token(probe, entry) for entry in row] for row in value.tolist()]
    head = len(str(len(value) - 1))
    cell = max(head, *(len(text) for row in texts for text in row)) + 1
    for some in _pieces(len(value), (page.width - 2 * len(_INDENT) - head) // cell):
        page.line(2 * _INDENT + " " * head + "".join(f"{node:>{cell}}" for node in some), "dim")
        for node, row in enumerate(texts):
            page.line(f"{2 * _INDENT}{node:>{head}}" + "".join(f"{row[other]:>{cell}}" for other in some))


@dataclass(frozen=True)
class _Column:
    """A probe, or some of its nodes, in the table of steps.

    Attributes:
        name: heading.
        heads: of the entries: nodes, or empty.
        texts: `[frames][entries]`; None in a frame without any.
        changed: bool `[frames, entries]`.
        always: whether values are written where nothing changed.
    """

    name: str
    heads: list[str]
    texts: list[list[str] | None]
    changed: Array
    always: bool = False

    @property
    def cell(self) -> int:
        """Characters of an entry, without the star or blank after it."""
        return max(len(text) for row in [self.heads, *filter(None, self.texts)] for text in row)

    @property
    def width(self) -> int:
        """Characters of the column."""
        return max(len(self.name), (self.cell + 1) * len(self.heads))

    def part(self, some: range) -> _Column:
        """The same of some entries."""
        return _Column(
            self.name,
            [self.heads[i] for i in some],
            [None if row is None else [row[i] for i in some] for row in self.texts],
            self.changed[:, some.start : some.stop],
            self.always,
        )


def _show_steps(page: _Page, one: OneSample) -> None:
    """Hints and streamed probes over the steps."""
    timed = [p for p in one.spec if p in one.spec.hints or p.streamed]
    page.section("steps")
    if not timed:
        page.line(f"{_INDENT}no hints: the answer is due after {_count(max(one.frames - 1, 1), 'step')}")
        return
    page.wrapped(_RULES, "dim", first=_INDENT)
    columns, constant, edges = [], [], []
    for probe in timed:
        value = one.values(probe)
        if one.frames > 1 and not probe.streamed and (value == value[0]).all():
            constant.append((probe, np.asarray(value[0])))
        elif probe.location is Location.EDGE and probe.type is not Type.MASK_ONE:
            edges.append(probe)
        else:
            columns += _columns(one, probe, value)
    if constant:
        page.line(f"{_INDENT}the same in every step:", "dim")
        _show_values(page, one, constant)
    _show_table(page, one.frames, columns)
    for probe in edges:
        _show_edge_steps(page, one, probe)


def _columns(one: OneSample, probe: Probe, value: Array) -> list[_Column]:
    """Columns of a probe, one a channel."""
    steps = len(value)
    at_nodes = probe.location is not Location.GRAPH and not (
        probe.location is Location.NODE and probe.type is Type.MASK_ONE
    )
    heads = [str(node) for node in range(one.nodes)] if at_nodes else [""]
    entries = value.reshape(steps, len(heads), probe.channels)
    columns = []
    for channel in range(probe.channels):
        name = f"{probe.name}[{channel}]" if probe.channels > 1 else probe.name
        rows = entries[..., channel]
        texts: list[list[str] | None] = [_tokens(probe, row) for row in rows]
        changed = np.zeros(rows.shape, bool)
        if probe.streamed:  # what is read or answered in step t stands beside the hints after it
            texts, changed = [None, *texts][: one.frames], np.zeros((one.frames, len(heads)), bool)
        else:
            changed[1:] = rows[1:] != rows[:-1]
        columns.append(_Column(name, heads, texts, changed, always=probe.streamed))
    return columns


def _show_table(page: _Page, frames: int, columns: Sequence[_Column]) -> None:
    """A row a step, columns that fit side by side; the others in further tables below."""
    step = max(len("step"), len(str(frames - 1)))
    room = page.width - len(_INDENT) - step - len(_GAP)
    parts = []
    for column in columns:
        parts += [column.part(some) for some in _pieces(len(column.heads), room // (column.cell + 1))]
    while parts:
        block = [parts.pop(0)]
        while parts and sum(c.width + len(_GAP) for c in [*block, parts[0]]) - len(_GAP) <= room:
            block.append(parts.pop(0))
        page.line()
        names = "".join(f"{_GAP}{c.name:<{c.width}}" for c in block)
        heads = ["".join(f"{head:>{c.cell}} " for head in c.heads).ljust(c.width) for c in block]
        numbered = any(head.strip() for head in heads)
        page.line(f"{_INDENT}{'' if numbered else 'step':>{step}}{names}", "bold")
        if numbered:
            page.line(f"{_INDENT}{'step':>{step}}" + "".join(_GAP + head for head in heads), "dim")
        for frame in range(frames):
            page.line(_row(f"{_INDENT}{frame:>{step}}", block, frame))


def _row(start: str, block: Sequence[_Column], frame: int) -> Text:
    """A line of the table."""
    from rich.text import Text

    line = Text(start)
    for column in block:
        line.append(_GAP)
        texts, changed = column.texts[frame], column.changed[frame]
        begin = len(line)
        if texts is not None and (frame == 0 or column.always or changed.any()):
            for text, new in zip(texts, changed, strict=True):
                line.append(f"{text:>{column.cell}}")
                if new:
                    line.stylize(_NEW, len(line) - column.cell)
                line.append("*" if new else " ", _NEW if new else None)
        elif texts is not None:
            line.append(f"{_SAME:>{column.cell}}", "dim")
        line.append(" " * (column.width - (len(line) - begin)))
    return line


def _show_edge_steps(page: _Page, one: OneSample, probe: Probe) -> None:
    """A hint on edges: whole in step 0, then what changed."""
    value = one.values(probe)
    page.line()
    page.wrapped(
        "(sender,receiver)=value; steps that change nothing are left out", "bold", first=f"{_INDENT}{probe.name}: "
    )
    _show_matrix(page, probe, value[0], name="step 0")
    width = len(f"step {one.frames - 1}")
    for frame in range(1, one.frames):
        places = np.argwhere(value[frame] != value[frame - 1])
        words = [f"({s},{r})={token(probe, value[frame, s, r].item())}" for s, r in places[:, :2]]
        if words:
            page.wrapped(" ".join(words), _NEW, first=f"{_INDENT}{f'step {frame}':<{width}}{_GAP}")
