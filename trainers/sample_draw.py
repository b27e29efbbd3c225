"""`zoo sample --draw`: one trajectory as a strip of pictures (PNG) or as a film (GIF)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.batch import Batch
from tasks.spec import Location, Probe, Type
from tasks.task import Task
from trainers.figures import new_figure, save
from trainers.inspection.drawn_frame import (
    BAR,
    INK,
    MOST_LABELLED,
    draw_map,
    draw_network,
    draw_row,
    extent,
    network_extent,
    network_scale,
    row_height,
)
from trainers.inspection.one_sample import OneSample, alone, number, token
from trainers.inspection.panels import SMALL, WIDTH, Block, chosen, draw_blocks
from trainers.inspection.sample import Array
from trainers.inspection.scene import OUTPUT, Scene, compose_scene
from trainers.usage import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDINGS = (".png", ".gif")
MOST_PICTURES = 12  # frames of a strip
_MOST_WITH_MAPS = 8
_WIDEST = 13.0  # inches
_CELL, _SMALL_CELL = 0.26, 0.14  # inches: a node in a row, with and without a label
_TITLE, _LINE = 0.2, 0.16  # inches: height of a line of text
_GIF_DPI = 90
_SLOWEST, _FASTEST, _LONGEST, _HELD = 900, 120, 25_000, 3000  # milliseconds: of a frame, of all, of the last


def draw(task: Task, batch: Batch, path: Path) -> Path:
    """Draw one trajectory.

    A PNG holds at most a dozen frames, evenly spaced, the first and the last among them; a GIF holds all of them.
    Outputs come last in both. A task without hints is one picture of its inputs and outputs.

    Args:
        task: whose it is.
        batch: one sample, in the dense layout.
        path: of the file; its ending, .png or .gif, chooses.

    Returns:
        `path`.

    Raises:
        UsageError: another ending.
        ValueError: the batch has several samples, or another layout.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(
            f"--draw {path}: {f'a {ending} file' if ending else 'a file without an ending'} cannot be drawn",
            "end the name in .png (a strip of pictures) or .gif (a film of all steps)",
        )
    one = alone(batch)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not one.spec.hints and _in_rows(one):
        return _write(_blocks(one), path)
    scene = compose_scene(one)
    frames = [*range(one.frames), *([OUTPUT] if scene.answered else [])]
    if ending == ".gif":
        return _film(scene, frames, path)
    most = _MOST_WITH_MAPS if scene.maps else MOST_PICTURES
    answers = frames[one.frames :]
    pictures = [*chosen(one.frames, most - len(answers)), *answers]
    figure, panels = _canvas(scene, len(pictures))
    for panel, frame in zip(panels, pictures, strict=True):
        _draw_frame(panel, scene, frame)
    return save(figure, path)


@dataclass(frozen=True)
class _Panel:
    """Axes of a frame: the nodes, and a matrix for each edge probe beside them."""

    main: Axes
    maps: Sequence[Axes]


def _canvas(scene: Scene, count: int) -> tuple[Figure, list[_Panel]]:
    """A figure with room for so many frames, a title above them and a legend below."""
    width, height, places = _measures(scene)
    columns = max(1, min(count, 4, int(_WIDEST / width)))
    rows = -(-count // columns)
    total = max(columns * width, 5.5)
    legend = _legend_lines(scene, int(total * 14))
    handles = _handles(scene)
    across = max(1, int(total / 1.9))
    foot = 0.25 + _LINE * len(legend) + 0.2 * -(-len(handles) // across)
    tall = 0.35 + rows * height + foot
    figure = new_figure(total, tall, layout=None)
    panels = []
    left = (total - columns * width) / 2
    for place in range(count):
        x, y = left + place % columns * width, tall - 0.35 - (place // columns + 1) * height
        axes = [figure.add_axes(((x + dx) / total, (y + dy) / tall, w / total, h / tall)) for dx, dy, w, h in places]
        panels.append(_Panel(axes[0], axes[1:]))
    nodes = "1 node" if scene.one.nodes == 1 else f"{scene.one.nodes} nodes"
    figure.text(0.5, 1 - 0.17 / tall, f"{scene.one.spec.task}, {nodes}", ha="center", va="center", fontsize=11)
    for row, line in enumerate(reversed(legend)):
        figure.text(0.5, (0.1 + _LINE * (row + 0.5)) / tall, line, ha="center", va="center", fontsize=SMALL - 1)
    if handles:
        figure.legend(
            handles=handles, loc="lower center", bbox_to_anchor=(0.5, (0.18 + _LINE * len(legend)) / tall),
            ncols=min(across, len(handles)), frameon=False, fontsize=SMALL - 1, borderpad=0, borderaxespad=0,
        )  # fmt: skip
    return figure, panels


def _measures(scene: Scene) -> tuple[float, float, list[tuple[float, float, float, float]]]:
    """Width and height of a frame in inches, and left, bottom, width and height of the axes in it."""
    head = _TITLE * (1 + bool(scene.words)) + 0.06
    if scene.kind == "row":
        cell = _CELL if scene.one.nodes <= MOST_LABELLED else _SMALL_CELL
        width = max(cell * (float(np.ptp(scene.place[:, 0])) + 1.8), 2.4)
        height = row_height(scene) * _CELL
        side = 1.35
        across = max(1, int((max(width, 3.4) + 0.1) / (side + 0.1)))
        rows = -(-len(scene.maps) // across)
        across = -(-len(scene.maps) // max(rows, 1))
        width = max(width, min(len(scene.maps), across) * (side + 0.1))
        maps = [
            (i % across * (side + 0.1) + 0.15, (rows - 1 - i // across) * (side + 0.25) + 0.1, side, side)
            for i in range(len(scene.maps))
        ]
        base = rows * (side + 0.25) + 0.05
        return width + 0.3, base + height + head + 0.1, [(0.15, base, width, height), *maps]
    left, right, bottom, top = network_extent(scene)
    scale = network_scale(scene)
    width, height = scale * (right - left), scale * (top - bottom)
    side, across = 0.5 * scale, -(-len(scene.maps) // 2)
    tall = max(height, min(len(scene.maps), 2) * (side + 0.24))
    maps = [
        (width + i // 2 * (side + 0.12) + 0.05, tall - (i % 2 + 1) * (side + 0.24), side, side)
        for i in range(len(scene.maps))
    ]
    return width + across * (side + 0.12) + 0.2, tall + head + 0.1, [(0.1, tall - height, width, height), *maps]


def _draw_frame(panel: _Panel, scene: Scene, frame: int) -> None:
    """Draw a frame, or the outputs."""
    now = scene.frame(frame)
    before = scene.frame(frame - 1) if frame > 0 else {}
    (draw_row if scene.kind == "row" else draw_network)(panel.main, scene, now, before)
    for ax, key in zip(panel.maps, scene.maps, strict=True):
        if key in now:
            draw_map(ax, scene, key, now, before, title=key if frame == OUTPUT else scene.probes[key].name)
        else:
            ax.set_axis_off()
    title = "outputs" if frame == OUTPUT else f"step {frame}" + (", given" if frame == 0 else "")
    words = []
    for key in scene.words:
        if key in now:
            same = scene.probes[key].streamed or key not in before or now[key].item() == before[key].item()
            words.append(f"{key} {token(scene.probes[key], now[key].item())}{'' if same else '*'}")
    second = "\n" + ", ".join(words) if scene.words else ""
    panel.main.set_title(title + second, fontsize=SMALL, pad=3, linespacing=1.3, color=INK, y=1.0)


def _handles(scene: Scene) -> list[Any]:
    """What colours mean, as entries of a legend."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    found: list[Any] = []
    for key, colour in scene.arrows.items():
        found.append(Line2D([], [], color=colour, marker=">", markevery=[1], label=f"points to: {_label(scene, key)}"))
    for key, colours in scene.fills.items():
        name = _label(scene, key)
        for value, colour in enumerate(colours):
            if value or scene.probes[key].type is Type.CATEGORICAL:
                label = f"{name} = {value}" if len(colours) > 2 else name
                found.append(Patch(facecolor=colour, edgecolor="#8A8A8A", label=label))
    for key, colour in scene.bold.items():
        found.append(Line2D([], [], color=colour, linewidth=2.6, label=_label(scene, key)))
    if scene.kind == "row":
        for order, name in enumerate(_bar_names(scene.one.spec.inputs)):
            found.append(Patch(facecolor=BAR[order % len(BAR)], label=name))
    if scene.arrows or scene.fills or scene.numbers:
        found.append(Line2D([], [], color=INK, linewidth=2.2, label="changed in this step"))
    return found


def _bar_names(probes: Sequence[Probe]) -> list[str]:
    """Inputs that a row shows as bars."""
    plain = [p for p in probes if p.type is Type.SCALAR and not (p.positional or p.streamed) and p.channels == 1]
    return [p.name for p in plain if p.location is Location.NODE]


def _label(scene: Scene, key: str) -> str:
    """Name of the probe behind a key."""
    return scene.probes[key].name


def _legend_lines(scene: Scene, width: int) -> list[str]:
    """What marks and numbers mean, in words."""
    told = []
    if scene.marks:
        marks = [f"{short} = {_label(scene, key)}" for key, short in scene.marks.items() if _label(scene, key) != short]
        told.append("orange marks: " + ", ".join(marks or [_label(scene, key) for key in scene.marks]))
    if any(not scene.probes[key].streamed for key in scene.words):
        told.append("a star above: changed in this step")
    if scene.numbers:
        where = (
            "under each node"
            if scene.kind == "row"
            else "beside each node" + (", from top to bottom" if len(scene.numbers) > 1 else "")
        )
        told.append(f"numbers {where}: " + ", ".join(_label(scene, key) for key in scene.numbers))
    if len(scene.fills) > 1:
        told.append("nodes are cut into a part for each of " + ", ".join(_label(scene, key) for key in scene.fills))
    if scene.maps:
        ends = []
        for key in scene.maps:
            low, high = extent(scene, key)
            ends.append(f"{_label(scene, key)} {number(low, 2)} to {number(high, 2)}")
        told.append("matrices, a row a sender, dark to bright (masks: white to black), orange where changed: ")
        told[-1] += ", ".join(ends)
    given = [p for p in scene.one.spec.inputs if p.location is Location.GRAPH and not p.streamed]
    if given:
        told.append("given: " + ", ".join(f"{p.name} {token(p, scene.one.values(p).item())}" for p in given))
    if scene.left_out:
        told.append("not drawn, the same in every step: " + ", ".join(scene.left_out))
    return [line for text in told for line in textwrap.wrap(text, width)]


def _film(scene: Scene, frames: Sequence[int], path: Path) -> Path:
    """Write a GIF with an image a frame, the last of them held."""
    from PIL import Image

    figure, (panel,) = _canvas(scene, 1)
    figure.set_dpi(_GIF_DPI)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)

    def images() -> Iterator[Any]:
        for frame in frames:
            for ax in (panel.main, *panel.maps):
                ax.clear()
                ax.set_axis_on()
            _draw_frame(panel, scene, frame)
            canvas.draw()
            picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
            yield picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)

    pause = int(np.clip(_LONGEST / len(frames), _FASTEST, _SLOWEST))
    film = images()
    next(film).save(
        path, save_all=True, append_images=film, duration=[*[pause] * (len(frames) - 1), _HELD], loop=0, disposal=1
    )
    return path


def _write(figure: Figure, path: Path) -> Path:
    """Write a single picture in either format."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if path.suffix.lower() == ".png":
        return save(figure, path)
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()).save(path)
    return path


def _in_rows(one: OneSample) -> list[Probe]:
    """What a task says of nodes, beside where they are."""
    probes = (*one.spec.inputs, *one.spec.outputs)
    return [probe for probe in probes if not probe.positional and probe.location is Location.NODE]


def _blocks(one: OneSample) -> Figure:
    """Inputs and outputs of a task without hints, nodes from left to right, or the steps of a single node."""
    spec, shown = one.spec, _in_rows(one)
    rows = [p.channels for p in shown]
    places = max(one.values(p).size // p.channels for p in shown)
    figure = new_figure(max(WIDTH, min(0.16 * places, 14)), 0.9 + sum(0.55 + 0.16 * count for count in rows))
    grid = figure.subplots(len(shown), 1, squeeze=False, sharex=True, height_ratios=[0.55 + 0.16 * c for c in rows])
    for ax, probe in zip(grid[:, 0], shown, strict=True):
        _draw_block(ax, one, probe)
    stream = one.nodes == 1 and any(p.streamed for p in shown)
    grid[-1, 0].set_xlabel("step" if stream else "node", fontsize=SMALL)
    figure.suptitle(f"{spec.task}, {places} {'steps' if stream else 'nodes'}", fontsize=10)
    return figure


def _draw_block(ax: Axes, one: OneSample, probe: Probe) -> None:
    """A probe of nodes as an image, blank where none is due; symbols and numbers are written out."""
    value = one.values(probe).reshape(-1, probe.channels).astype(float)
    scored = np.where(value < 0, np.nan, value) if probe.type is not Type.SCALAR else value
    high = 1.0 if probe.type is Type.MASK else max(float(np.nanmax(scored, initial=0.0)), 1.0)
    blank = bool(np.isnan(scored).any())
    title = f"{probe.stage} {probe.name}" + (" (shaded: none is due)" if blank else "")
    draw_blocks(ax, [Block("", scored)], title=title, low=0.0, high=high * (1 if probe.type is Type.MASK else 2))
    if probe.channels == 1:
        ax.set_yticks([])
        if probe.type is not Type.MASK and len(value) <= 64:
            _written(ax, probe, value)


def _written(ax: Axes, probe: Probe, value: Array) -> None:
    """Values as text on their cells."""
    for node, (entry,) in enumerate(value.tolist()):
        if probe.type is Type.SCALAR or entry >= 0:
            ax.text(node, 0, token(probe, entry), ha="center", va="center", fontsize=SMALL - 1)
