"""What of a trajectory is drawn, and as what: pointers as arrows, masks as fills, single nodes as marks, and so on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tasks.spec import Location, Probe, Stage, Type
from trainers.figures import COLOURS
from trainers.inspection.drawn_graph import place_nodes
from trainers.inspection.one_sample import OneSample
from trainers.inspection.sample import Array

OUTPUT = -1
"""The frame that holds the outputs."""
MARK = COLOURS[1]
"""Colour of marks and of frames around what changed; nothing else has it."""
_ARROWS = (COLOURS[0], COLOURS[3], COLOURS[2], COLOURS[6])
_FILLS = (COLOURS[2], COLOURS[3], COLOURS[0])
_CLASSES = (COLOURS[4], COLOURS[5], COLOURS[3], COLOURS[2], COLOURS[0])
_BOLD = (COLOURS[4], COLOURS[5])
_CIRCLE = 48  # nodes of a graph that are drawn on a circle rather than laid out by springs
_SEGMENTS = {"segments_intersect": ((0, 1), (2, 3))}  # the points of a task that no probe joins


def key_of(probe: Probe) -> str:
    """What a hint and the output that it leads to have in common: `pi` of `pi` and `pi_h`."""
    return probe.name.removesuffix("_h")


@dataclass
class Scene:
    """A sample as a picture, apart from the values of each frame.

    Attributes:
        one: the sample.
        kind: `graph`, `points` (nodes with coordinates) or `row`.
        place: where nodes are, `[N, 2]`; of a row, its columns.
        lines: pairs of nodes that are joined in every frame, `[E, 2]`.
        directed: whether lines lead from the first node of a pair to the second.
        arrows: colour of each pointer between nodes, by key.
        fills: colours of each mask (off, on) or class of nodes, by key.
        marks: short name of each single node, by key.
        numbers: keys of the scalars of nodes.
        words: keys of what belongs to the graph, written above it.
        bold: colour of each mask of edges that are drawn thick, by key.
        maps: keys of the other edge probes, drawn as matrices.
        left_out: names of hints that no step changes, no output comes from, and that are not drawn.
    """

    one: OneSample
    kind: str
    place: Array
    lines: Array
    directed: bool = False
    arrows: dict[str, str] = field(default_factory=dict)
    fills: dict[str, tuple[str, ...]] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    numbers: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    bold: dict[str, str] = field(default_factory=dict)
    maps: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def probes(self) -> dict[str, Probe]:
        """The probe that stands for each key: a hint rather than an output or an input."""
        spec = self.one.spec
        drawn = [p for p in spec.inputs if p.streamed or p.type is Type.MASK_ONE]
        return {key_of(p): p for p in (*drawn, *spec.outputs, *spec.hints)}

    def frame(self, number: int) -> dict[str, Array]:
        """Values by key in a frame, or of the outputs; given single nodes are there in all of them."""
        spec, found = self.one.spec, {}
        for probe in (*spec.inputs, *spec.outputs):
            if probe.streamed and number > 0:
                found[key_of(probe)] = np.asarray(self.one.values(probe)[number - 1])
        for probe in spec.inputs:
            if probe.type is Type.MASK_ONE and probe.location is Location.NODE and not probe.streamed:
                found[key_of(probe)] = self.one.values(probe)
        for probe in spec.outputs if number == OUTPUT else spec.hints:
            if not probe.streamed:
                value = self.one.values(probe)
                found[key_of(probe)] = value if number == OUTPUT else np.asarray(value[number])
        return found

    @property
    def answered(self) -> bool:
        """Whether there are outputs after the last step."""
        return any(not probe.streamed for probe in self.one.spec.outputs)

    @property
    def marks_at_once(self) -> int:
        """The most marks that a frame has."""
        frames = [self.frame(0), *([self.frame(OUTPUT)] if self.answered else [])]
        return max(sum(key in values for key in self.marks) for values in frames)


def compose_scene(one: OneSample) -> Scene:
    """Decide how a sample is drawn."""
    weights, coordinates = one.weights, _coordinates(one)
    lines, directed = np.zeros((0, 2), int), False
    if weights is not None:
        linked = (weights != 0) & ~np.eye(one.nodes, dtype=bool)
        directed = not np.array_equal(linked, linked.T)
        lines = np.argwhere(linked if directed else np.triu(linked))
        kind, place = "graph", _laid_out(one, linked)
    elif coordinates is not None:
        kind, place = "points", coordinates
        lines = np.array(_SEGMENTS.get(one.spec.task, ()), int).reshape(-1, 2)
    else:
        kind, place = "row", _in_a_row(one)
    scene = Scene(one, kind, place, lines, directed)
    for key, probe in scene.probes.items():
        if _says_nothing(scene, key, probe):
            scene.left_out.append(probe.name)
        elif probe.channels == 1:
            _assign(scene, key, probe)
    return scene


def _assign(scene: Scene, key: str, probe: Probe) -> None:
    """Draw a probe as something."""
    if probe.location is Location.GRAPH:
        scene.words.append(key)
    elif probe.location is Location.EDGE:
        if probe.type is Type.MASK and _on_edges(scene, key):
            scene.bold[key] = _BOLD[len(scene.bold) % len(_BOLD)]
        else:
            scene.maps.append(key)
    elif probe.is_pointer:
        scene.arrows[key] = _ARROWS[len(scene.arrows) % len(_ARROWS)]
    elif probe.type is Type.MASK_ONE:
        scene.marks[key] = _short(key, scene.marks)
    elif probe.type is Type.SCALAR:
        scene.numbers.append(key)
    elif probe.type is Type.MASK:
        scene.fills[key] = ("#FFFFFF", tint(_FILLS[len(scene.fills) % len(_FILLS)]))
    else:
        shades = ("#FFFFFF", *(tint(colour) for colour in _CLASSES))
        scene.fills[key] = tuple(shades[c % len(shades)] for c in range(probe.classes))


def tint(colour: str) -> str:
    """A lighter shade, on which black text can be read."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 - 0.55 * (255 - part)):02X}" for part in parts)


def _short(key: str, taken: Mapping[str, str]) -> str:
    """Two letters at most for a name: its own, or the first of its words."""
    words = key.split("_")
    ideas = [key if len(key) <= 2 else "", "".join(word[0] for word in words if word)[:2] if len(words) > 1 else ""]
    ideas += [key[0], *(key[0] + letter for letter in key[1:])]
    return next((idea for idea in ideas if idea and idea not in taken.values()), key)


def _says_nothing(scene: Scene, key: str, probe: Probe) -> bool:
    """Whether a probe is the order of a row or a matrix that no step changes and no output comes from."""
    idle = probe.location is Location.EDGE or (scene.kind != "graph" and probe.is_pointer)
    if probe.stage is not Stage.HINT or not idle or key in map(key_of, scene.one.spec.outputs):
        return False
    value = scene.one.values(probe)
    return scene.one.frames > 1 and bool((value == value[0]).all())


def _on_edges(scene: Scene, key: str) -> bool:
    """Whether a mask of pairs never holds a pair that is no edge of the graph."""
    weights = scene.one.weights
    if weights is None:
        return False
    linked = (weights != 0) | np.eye(len(weights), dtype=bool)
    linked |= linked.T
    frames = [*range(scene.one.frames), OUTPUT]
    return not any(((values[key] > 0) & ~linked).any() for values in map(scene.frame, frames) if key in values)


def _coordinates(one: OneSample) -> Array | None:
    """Coordinates that the task gives its nodes, in the unit square."""
    found = {p.name: one.values(p) for p in one.spec.inputs if p.location is Location.NODE and p.type is Type.SCALAR}
    if not {"x", "y"} <= found.keys():
        return None
    return _in_unit_square(np.stack([found["x"], found["y"]], 1).astype(float))


def _in_unit_square(place: Array) -> Array:
    """Places moved and scaled, the same in both directions."""
    span = float((place.max(0) - place.min(0)).max()) or 1.0
    return (place - (place.max(0) + place.min(0)) / 2) / span + 0.5


def _laid_out(one: OneSample, linked: Array) -> Array:
    """Places of a graph's nodes: a circle where there is much to write beside them, springs elsewhere."""
    crowded = any(p.location is Location.NODE and p.type in (Type.SCALAR, Type.MASK_ONE) for p in one.spec.hints)
    if one.nodes == 1:
        return np.full((1, 2), 0.5)
    if one.nodes <= _CIRCLE and (crowded or np.triu(linked, 1).sum() > 3 * one.nodes):
        angle = np.pi / 2 - 2 * np.pi * np.arange(one.nodes) / one.nodes
        return 0.5 + 0.5 * np.stack([np.cos(angle), np.sin(angle)], 1)
    return _in_unit_square(place_nodes(linked))


def _in_a_row(one: OneSample) -> Array:
    """Columns of nodes; of two strings, the second begins a column further on."""
    column = np.arange(one.nodes, dtype=float)
    if one.lettered:
        column += one.values(one.spec["string"]).astype(float)
    return np.stack([column, np.zeros(one.nodes)], 1)
