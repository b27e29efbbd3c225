"""One frame of a trajectory on axes: a graph, points, or nodes in a row; and matrices of what lives on edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tasks.spec import Location, Type
from trainers.inspection.one_sample import number, token
from trainers.inspection.panels import RULE
from trainers.inspection.sample import Array
from trainers.inspection.scene import MARK, Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LABELLED = 32  # nodes; beyond, nothing is written at them
TEXT = 6.5  # points
_MOST_WRITTEN = 12  # nodes of a matrix whose classes and pointers are written out
INK, BAR = "#222222", ("#C4C4C4", "#8C8C8C", "#E2E2E2")
_LINE = 0.1  # inches: height of a line beside a node
_BARS, _ARCS = 2.2, 1.9  # heights in cells of a row


def changed_nodes(scene: Scene, now: Mapping[str, Array], before: Mapping[str, Array]) -> Array:
    """Nodes at which a pointer, mask, class or number is another than in the frame before, bool `[N]`."""
    found = np.zeros(scene.one.nodes, bool)
    for key in (*scene.arrows, *scene.fills, *scene.numbers):
        if key in now and key in before and not scene.probes[key].streamed:
            found |= now[key] != before[key]
    return found


def draw_network(ax: Axes, scene: Scene, now: Mapping[str, Array], before: Mapping[str, Array]) -> None:
    """Draw a graph, or points where they lie.

    Args:
        ax: where.
        scene: what is drawn as what.
        now: values by key.
        before: those of the frame before; empty for none.
    """
    from matplotlib.collections import LineCollection

    place, nodes = scene.place, scene.one.nodes
    radius = _radius(scene)
    segments = [place[line] for line in scene.lines]
    ax.add_collection(LineCollection(segments, colors="#CFCFCF", linewidths=0.8 if nodes <= 32 else 0.3, zorder=1))
    if scene.directed:
        _heads(ax, place[scene.lines], radius)
    for key, colour in scene.bold.items():
        if key in now:
            pairs = np.argwhere(now[key] > 0)
            ax.add_collection(LineCollection([place[p] for p in pairs], colors=colour, linewidths=2.6, zorder=1.5))
    for order, (key, colour) in enumerate(scene.arrows.items()):
        if key in now:
            _arrows(ax, scene, now[key], before.get(key, now[key]), colour, radius, bend=0.08 + 0.14 * order)
    new = changed_nodes(scene, now, before)
    for node in range(nodes):
        _disc(ax, scene, now, node, radius, thick=bool(new[node]))
    if nodes <= MOST_LABELLED:
        for node, (x, y) in enumerate(place):
            size = TEXT if radius > 0.03 else TEXT - 1.5
            ax.text(x, y, str(node), ha="center", va="center", fontsize=size, zorder=5)
            _beside(ax, scene, now, node, radius)
    _mark_crowd(ax, scene, now, radius)
    left, right, bottom, top = network_extent(scene)
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
    ax.set_aspect("equal")
    ax.set_axis_off()


def _heads(ax: Axes, lines: Array, radius: float) -> None:
    """A small arrow head at the second end of every line `[E, 2, 2]`."""
    from matplotlib.collections import PolyCollection

    along = lines[:, 1] - lines[:, 0]
    along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    tip = lines[:, 1] - along * radius
    back, across = tip - along * 0.6 * radius, 0.25 * radius * along[:, ::-1] * np.array([-1.0, 1.0])
    heads = np.stack([tip, back + across, back - across], 1)
    ax.add_collection(PolyCollection(list(heads), facecolors="#ABABAB", edgecolors="none", zorder=1.2))


def network_scale(scene: Scene) -> float:
    """Inches that stand for the side of the unit square that nodes lie in."""
    wider = 1.2 if scene.kind == "points" else 1.0
    return wider * (1.9 if scene.one.nodes <= 8 else 2.4 if scene.one.nodes <= 20 else 3.8)


def network_extent(scene: Scene) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a drawn graph with what is written beside its nodes."""
    lines = len(scene.numbers) + bool(scene.marks)
    across = 0.42 if len(scene.marks) > 2 else 0.28 if scene.numbers else 0.16 if scene.marks else 0.04
    inch, radius = 1 / network_scale(scene), _radius(scene)
    aside, above = radius + 0.02 + across * inch, radius + 0.03 + (_LINE * lines + 0.04) * inch
    (left, bottom), (right, top) = scene.place.min(0), scene.place.max(0)
    return float(left) - aside, float(right) + aside, float(bottom) - above, float(top) + above


def _radius(scene: Scene) -> float:
    """Of a node, in the unit square."""
    nodes = scene.one.nodes
    usual = 0.065 if nodes <= 8 else 0.05 if nodes <= 20 else 0.035 if nodes <= MOST_LABELLED else 0.016
    return 0.6 * usual if scene.kind == "points" and nodes > 8 else usual


def _arrows(ax: Axes, scene: Scene, pointers: Array, before: Array, colour: str, radius: float, *, bend: float) -> None:
    """An arrow from every node that points to another one; new ones are thick."""
    from matplotlib.patches import FancyArrowPatch

    new = 2.2 if radius > 0.02 else 1.3
    for node, target in enumerate(pointers):
        if target == node:
            continue
        tail, head = scene.place[node], scene.place[target]
        gap = np.linalg.norm(head - tail)
        if gap <= 2 * radius:
            continue
        along = (head - tail) / gap * radius
        ax.add_patch(
            FancyArrowPatch(
                tuple(tail + along), tuple(head - along), arrowstyle="-|>", mutation_scale=8 if radius > 0.02 else 4,
                color=colour, linewidth=new if before[node] != target else 0.9, shrinkA=0, shrinkB=0,
                connectionstyle=f"arc3,rad={bend:.2f}", zorder=2,
            )
        )  # fmt: skip


def _colours(scene: Scene, now: Mapping[str, Array], node: int) -> list[str]:
    """Of each part of a node's fill."""
    keys = [key for key in scene.fills if key in now]
    return [scene.fills[key][max(int(now[key][node]), 0)] for key in keys] or ["#FFFFFF"]


def _disc(ax: Axes, scene: Scene, now: Mapping[str, Array], node: int, radius: float, *, thick: bool) -> None:
    """A node, cut like a cake where several masks fill it."""
    from matplotlib.patches import Circle, Wedge

    centre = (float(scene.place[node, 0]), float(scene.place[node, 1]))
    colours = _colours(scene, now, node)
    for part, colour in enumerate(colours if len(colours) > 1 else []):
        ends = (90 + 360 * part / len(colours), 90 + 360 * (part + 1) / len(colours))
        ax.add_patch(Wedge(centre, radius, *ends, facecolor=colour, edgecolor=RULE, linewidth=0.4, zorder=3))
    face = colours[0] if len(colours) == 1 else "none"
    rim = INK if thick else "#8A8A8A"
    width = (2.0 if thick else 0.8) if radius > 0.02 else (0.9 if thick else 0.3)
    ax.add_patch(Circle(centre, radius, facecolor=face, edgecolor=rim, linewidth=width, zorder=3.5))


def _marks_of(scene: Scene, now: Mapping[str, Array], node: int) -> list[str]:
    """Short names of what a node is."""
    return [short for key, short in scene.marks.items() if key in now and int(now[key]) == node]


def _beside(ax: Axes, scene: Scene, now: Mapping[str, Array], node: int, radius: float) -> None:
    """Marks and numbers of a node, on the side that looks away from the middle of all."""
    from matplotlib.patheffects import withStroke

    shown = [number(float(now[key][node]), 2) for key in scene.numbers if key in now]
    marks = ",".join(_marks_of(scene, now, node))
    if not shown and not marks:
        return
    away = scene.place[node] - scene.place.mean(0)
    size = float(np.linalg.norm(away))
    away = away / size if size > 1e-9 else np.array([0.0, 1.0])
    spot = scene.place[node] + away * (radius + 0.02)
    sideways = "left" if away[0] > 0.4 else "right" if away[0] < -0.4 else "center"
    upwards = "bottom" if away[1] > 0.4 else "top" if away[1] < -0.4 else "center"
    lines = [marks] * bool(marks) + shown
    halo = [withStroke(linewidth=1.6, foreground="white")]
    step = _LINE / network_scale(scene)
    first = {"bottom": spot[1] + step * (len(lines) - 0.5), "top": spot[1] - step / 2}.get(
        upwards, spot[1] + step * (len(lines) - 1) / 2
    )
    for row, line in enumerate(lines):
        is_mark = bool(marks) and row == 0
        ax.text(
            spot[0], first - step * row, line, ha=sideways, va="center", fontsize=TEXT + is_mark, zorder=6,
            color=MARK if is_mark else INK, fontweight="bold" if is_mark else "normal", path_effects=halo,
        )  # fmt: skip


def _mark_crowd(ax: Axes, scene: Scene, now: Mapping[str, Array], radius: float) -> None:
    """A ring around every marked node of a graph too large for labels, with its marks."""
    if scene.one.nodes <= MOST_LABELLED:
        return
    for node in sorted({int(now[key]) for key in scene.marks if key in now}):
        x, y = scene.place[node]
        ax.plot([x], [y], marker="o", markersize=9, fillstyle="none", color=MARK, zorder=6)
        names = ",".join(_marks_of(scene, now, node))
        ax.text(x, y + 2.2 * radius, names, ha="center", va="bottom", fontsize=TEXT, color=MARK, zorder=7)


def row_height(scene: Scene) -> float:
    """Height of a row of nodes with all that belongs to it, in cells."""
    below = scene.marks_at_once + len(scene.numbers)
    return 1.3 + (_BARS if _bars(scene) else 0) + (_ARCS if scene.arrows else 0) + 0.8 * below


def _bars(scene: Scene) -> list[tuple[str, Array]]:
    """Given numbers of nodes."""
    spec = scene.one.spec
    plain = [p for p in spec.inputs if not (p.positional or p.streamed) and p.channels == 1]
    return [(p.name, scene.one.values(p)) for p in plain if p.location is Location.NODE and p.type is Type.SCALAR]


def draw_row(ax: Axes, scene: Scene, now: Mapping[str, Array], before: Mapping[str, Array]) -> None:
    """Draw nodes as cells in a row: given numbers as bars on them, pointers as arcs above, marks below.

    Args:
        ax: where.
        scene: what is drawn as what.
        now: values by key.
        before: those of the frame before; empty for none.
    """
    from matplotlib.patches import Rectangle

    columns, labelled = scene.place[:, 0], scene.one.nodes <= MOST_LABELLED
    new = changed_nodes(scene, now, before)
    letters = [p for p in scene.one.spec.inputs if p.type is Type.CATEGORICAL and p.location is Location.NODE]
    for node, x in enumerate(columns):
        colours = _colours(scene, now, node)
        for part, colour in enumerate(colours):
            corner = (x - 0.45 + 0.9 * part / len(colours), 0.05)
            ax.add_patch(Rectangle(corner, 0.9 / len(colours), 0.9, facecolor=colour, edgecolor="none", zorder=2))
        rim, width = (INK, 1.8) if new[node] else ("#8A8A8A", 0.7)
        ax.add_patch(
            Rectangle(
                (x - 0.45, 0.05), 0.9, 0.9, facecolor="none", edgecolor=rim, linewidth=width, zorder=3 + new[node]
            )
        )
        if labelled and letters:
            said = token(letters[0], scene.one.values(letters[0])[node].item(), lettered=scene.one.lettered)
            ax.text(x, 0.56, said, ha="center", va="center", fontsize=TEXT + 2, fontweight="bold", zorder=5)
            ax.text(x, 0.2, str(node), ha="center", va="center", fontsize=TEXT - 2.5, color="#555555", zorder=5)
        elif labelled:
            ax.text(x, 0.5, str(node), ha="center", va="center", fontsize=TEXT, zorder=5)
    top = 1.0
    bars = _bars(scene)
    if bars:
        _draw_bars(ax, columns, bars, top)
        top += _BARS
    if scene.arrows:
        reach = max(float(np.ptp(columns)), 1.0)
        for order, (key, colour) in enumerate(scene.arrows.items()):
            if key in now:
                _arcs(ax, columns, now[key], before.get(key, now[key]), colour, top, reach, 1 - 0.15 * order)
        top += _ARCS
    below = _rows_below(ax, scene, now, columns, labelled=labelled)
    ax.set_xlim(columns[0] - 0.9, columns[-1] + 0.9)
    ax.set_ylim(-0.3 - 0.8 * below, top)
    ax.set_axis_off()


def _draw_bars(ax: Axes, columns: Array, bars: list[tuple[str, Array]], base: float) -> None:
    """Numbers as heights, side by side where a node has several."""
    low = min(0.0, *(float(values.min()) for _, values in bars))
    high = max(0.0, *(float(values.max()) for _, values in bars))
    scale = (_BARS - 0.35) / ((high - low) or 1.0)
    zero, width = base + 0.15 - low * scale, 0.8 / len(bars)
    for order, (_, values) in enumerate(bars):
        x = columns - 0.4 + width * (order + 0.5)
        ax.bar(x, values * scale, width * 0.92, bottom=zero, color=BAR[order % len(BAR)], zorder=2)
    ax.plot([columns[0] - 0.5, columns[-1] + 0.5], [zero, zero], color=RULE, linewidth=0.6, zorder=2.5)


def _arcs(
    ax: Axes, columns: Array, pointers: Array, before: Array, colour: str, base: float, reach: float, share: float
) -> None:
    """Pointers as half ellipses that end in an arrow; new ones are thick; a dot points to itself."""
    for node, target in enumerate(pointers):
        thick = before[node] != target
        start, end = columns[node], columns[target]
        if target == node:
            ax.plot([start], [base + 0.1], marker="o", color=colour, markersize=4 if thick else 2.5, zorder=4)
            continue
        angle = np.linspace(0, np.pi, 30)
        height = share * (_ARCS - 0.35) * (abs(end - start) / reach) ** 0.6
        x = start + (end - start) * (1 - np.cos(angle)) / 2
        y = base + 0.08 + height * np.sin(angle)
        ax.plot(x, y, color=colour, linewidth=2.0 if thick else 0.9, zorder=3 + thick)
        ax.annotate(
            "", xy=(x[-1], y[-1]), xytext=(x[-3], y[-3]), zorder=3 + thick,
            arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.0, "mutation_scale": 8 if thick else 6,
                        "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip


def _rows_below(ax: Axes, scene: Scene, now: Mapping[str, Array], columns: Array, *, labelled: bool) -> int:
    """Marks and numbers under the cells, a row each; how many rows there is room for."""
    marks = [(key, short) for key, short in scene.marks.items() if key in now]
    for row, (key, short) in enumerate(marks):
        ax.text(
            columns[int(now[key])], -0.35 - 0.8 * row, short, ha="center", va="center", fontsize=TEXT + 1,
            color=MARK, fontweight="bold",
        )  # fmt: skip
    for row, key in enumerate(scene.numbers, scene.marks_at_once):
        for node, x in enumerate(columns if labelled and key in now else []):
            said = number(float(now[key][node]), 2)
            ax.text(x, -0.35 - 0.8 * row, said, ha="center", va="center", fontsize=TEXT - 1)
    return scene.marks_at_once + len(scene.numbers)


def draw_map(
    ax: Axes, scene: Scene, key: str, now: Mapping[str, Array], before: Mapping[str, Array], *, title: str
) -> None:
    """Draw an edge probe as a matrix, a row a sender; what changed is framed.

    Args:
        ax: where.
        scene: what is drawn as what.
        key: of the probe.
        now: values by key.
        before: those of the frame before; empty for none.
        title: above it.
    """
    import matplotlib
    from matplotlib.patches import Rectangle

    probe, values = scene.probes[key], now[key].astype(float)
    low, high = extent(scene, key)
    shades = matplotlib.colormaps["Greys" if probe.type is Type.MASK else "cividis"].with_extremes(bad="#F4EFE6")
    shown = values if probe.type is Type.SCALAR else np.where(values < 0, np.nan, values)
    ax.imshow(np.ma.masked_invalid(shown), cmap=shades, vmin=low, vmax=max(high, low + 1e-9), interpolation="nearest")
    if key in before and scene.one.nodes <= MOST_LABELLED:
        for row, column in np.argwhere(now[key] != before[key]):
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="none", edgecolor=MARK, linewidth=1.1))
    if scene.one.nodes <= _MOST_WRITTEN and probe.type in (Type.CATEGORICAL, Type.POINTER):
        for row, column in np.argwhere(values >= 0):
            ink = "white" if values[row, column] < (low + high) / 2 else INK
            ax.text(
                column, row, str(int(values[row, column])), ha="center", va="center", fontsize=TEXT - 1.5, color=ink
            )
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_color(RULE)
    ax.set_title(title, fontsize=TEXT, pad=2, y=1.0)


def extent(scene: Scene, key: str) -> tuple[float, float]:
    """Smallest and largest value of an edge probe over all frames."""
    probe = scene.probes[key]
    if probe.type is Type.MASK:
        return 0.0, 1.0
    if probe.is_pointer:
        return 0.0, float(max(scene.one.nodes - 1, 1))
    if probe.type is Type.CATEGORICAL:
        return 0.0, float(probe.classes - 1)
    values = scene.one.values(probe)
    return float(values.min()), float(values.max())
