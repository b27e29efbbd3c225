"""Figures of a memory at work, time from left to right, as in the papers of the NTM (2014) and the DNC (2016).

What a cell records decides what is drawn, by kind and axes: heads that write are on the left, heads that read on the
right.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.spec import Probe, Stage, Type
from trainers.figures import COLOURS, new_figure, save
from trainers.inspection.panels import (
    MOST_TOKENS,
    PAPER,
    SMALL,
    WIDTH,
    Block,
    chosen,
    colour_bar,
    draw_blocks,
    heads_of,
    mark_time,
    rows_in_use,
    whole_numbers,
)
from trainers.inspection.sample import Array, Sample, at_nodes
from zoo.recording import Kind, Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_SIDES = {"writes": "write", "reads": "read"}
_DIVERGING = "RdBu_r"
_MOST_TIMES = 6  # matrices side by side
_FAINT = 4.0  # times the weight of an even weighting, which is to look grey, not black


def memory_figure(sample: Sample, path: Path, *, title: str) -> Path | None:
    """Inputs, words written and write weightings beside outputs, words read and read weightings (NTM, figure 6).

    Args:
        sample: to draw.
        path: of the PNG.
        title: above all.

    Returns:
        `path`; None where no head has a weighting.
    """
    weightings = {side: _of(sample, Kind.WEIGHTING, side) for side in _SIDES}
    if not any(weightings.values()):
        return None
    words = {side: _of(sample, Kind.VECTOR, side, "word") for side in _SIDES}
    slots = rows_in_use(*(values for found in weightings.values() for values in found.values()))
    largest = max(float(values.max()) for found in weightings.values() for values in found.values())
    largest = max(largest, _FAINT / next(v.shape[-1] for found in weightings.values() for v in found.values()))
    loudest = _spread([values for found in words.values() for values in found.values()])
    given, answers = _given(sample), _answers(sample)
    heads = max(values.shape[1] for found in weightings.values() for values in found.values())
    heights = [0.5 + 0.055 * max(_rows(given), _rows(answers), 6), 0.9 + 0.25 * heads, 1.1 + 0.7 * heads]
    shown = [row for row, there in enumerate((given or answers, any(words.values()), True)) if there]
    figure = new_figure(WIDTH, 0.9 + sum(min(heights[row], 5.5) for row in shown))
    grid = figure.subplots(
        len(shown), 2, squeeze=False, sharex=True, height_ratios=[min(heights[row], 5.5) for row in shown]
    )
    images: dict[str, tuple[Any, list[Axes]]] = {}
    for column, (side, verb) in enumerate(_SIDES.items()):
        axes = dict(zip(shown, grid[:, column], strict=True))
        if 0 in axes:
            blocks, name = (given, "inputs") if column == 0 else (answers, "outputs")
            _or_nothing(axes[0], blocks, title=name, low=0.0, high=1.0)
        if 1 in axes:
            name = "words written" if column == 0 else "words read"
            drawn = _or_nothing(
                axes[1], _blocks(words[side]), title=name, low=-loudest, high=loudest, colours=_DIVERGING
            )
            images["value"] = (drawn or images.get("value", (None,))[0], list(grid[shown.index(1)]))
        cropped = {name: values[..., slots] for name, values in weightings[side].items()}
        drawn = _or_nothing(
            axes[2],
            _blocks(cropped),
            title=f"{verb} weighting over slots",
            low=0.0,
            high=largest,
            first_row=slots.start,
        )
        images["weight"] = (drawn or images.get("weight", (None,))[0], list(grid[-1]))
        mark_time(list(axes.values()), sample)
    for label, (image, beside) in images.items():
        if image is not None:
            colour_bar(figure, image, beside, label, aspect=14.0, shrink=0.85)
    figure.suptitle(title, fontsize=10)
    return save(figure, path)


def gate_figure(sample: Sample, path: Path, *, title: str) -> Path | None:
    """Gates, usage of the slots, and how each head chose where to go (DNC, figure 2, and Methods).

    Args:
        sample: to draw.
        path: of the PNG.
        title: above all.

    Returns:
        `path`; None where there are no gates and no choices.
    """
    tracks = {name: track for name, track in _timed(sample).items() if track.kind in (Kind.GATE, Kind.CHOICE)}
    usage = [name for name, track in tracks.items() if track.axes[1:] == ("slots",)]
    gates = [name for name, track in tracks.items() if track.kind is Kind.GATE and name not in usage]
    choices = [name for name, track in tracks.items() if track.kind is Kind.CHOICE]
    if not tracks:
        return None
    strips = [block for name in gates for block in _strips(sample, name)]
    heads = [(name, head) for name in choices for head in range(_by_head(sample, name).shape[1])]
    heights = [1.7] * len(usage) + [0.5 + 0.2 * len(strips)] * bool(strips) + [0.95] * len(heads)
    figure = new_figure(WIDTH, 0.8 + sum(heights))
    axes = list(figure.subplots(len(heights), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0])
    left = iter(axes)
    for name in usage:
        values = sample.over_time(name)
        rows = rows_in_use(values)
        draw_blocks(
            next(left),
            [Block("", values[:, rows])],
            title=_titled(sample, name),
            low=0.0,
            high=1.0,
            first_row=rows.start,
        )
    if strips:
        draw_blocks(next(left), strips, title="gates: white closed, black open", low=0.0, high=1.0)
    for name, head in heads:
        shares = _by_head(sample, name)
        whose = f", {_head_names(sample, name)[head]}" if shares.shape[1] > 1 else ""
        values, labels = shares[:MOST_TOKENS, head], sample.tracks[name].labels
        _stack(next(left), values, labels, title=_titled(sample, name) + whose)
    mark_time(axes, sample)
    figure.suptitle(title, fontsize=10)
    return save(figure, path)


def _by_head(sample: Sample, name: str) -> Array:
    """A choice's shares `[tokens, heads, alternatives]`; a memory without heads has one."""
    shares = sample.over_time(name)
    return shares[:, None] if shares.ndim == 2 else shares


def link_figure(sample: Sample, path: Path, *, title: str) -> Path | None:
    """Matrices over pairs of slots at chosen times, under the weightings that no head has (DNC: link, precedence).

    Args:
        sample: to draw.
        path: of the PNG.
        title: above all.

    Returns:
        `path`; None where nothing of the kind is recorded.
    """
    squares = [name for name, track in _timed(sample).items() if track.kind is Kind.MATRIX]
    if not squares:
        return None
    vectors = [name for name, track in _timed(sample).items() if (track.kind, track.axes[1:]) == _OVER_SLOTS]
    figure = new_figure(WIDTH, 0.6 + 1.6 * len(vectors) + 1.6 * len(squares))
    parts = figure.subfigures(len(vectors) + len(squares), 1, squeeze=False)[:, 0]
    used = [sample.over_time(name).max(1) for name in squares] + [sample.over_time(name) for name in vectors]
    slots = rows_in_use(*used)
    for name, part in zip(vectors, parts, strict=False):
        ax = part.subplots()
        values = sample.over_time(name)[:, slots]
        draw_blocks(
            ax,
            [Block("", values)],
            title=_titled(sample, name),
            low=0.0,
            high=float(values.max()),
            first_row=slots.start,
        )
        mark_time([ax], sample)
    for name, part in zip(squares, parts[len(vectors) :], strict=True):
        values = sample.over_time(name)[:, slots, slots]
        times = chosen(len(values), _MOST_TIMES)
        largest = max(float(values[times].max()), 1e-6)  # the link before the second write is all zeros
        edges = (slots.start - 0.5, slots.stop - 0.5)
        for position, (time, ax) in enumerate(zip(times, part.subplots(1, len(times), squeeze=False)[0], strict=True)):
            ax.imshow(
                values[time], cmap=PAPER, vmin=0, vmax=largest, interpolation="nearest", extent=(*edges, *edges[::-1])
            )
            ax.set_title(f"{name} after token {time}" if position == 0 else f"token {time}", fontsize=SMALL)
            ax.tick_params(labelsize=SMALL - 1, labelleft=position == 0)
            whole_numbers(ax)
    figure.suptitle(title, fontsize=10)
    return save(figure, path)


def activation_figure(sample: Sample, path: Path, *, title: str) -> Path | None:
    """Activations over time, for cells whose units are no memory's.

    Args:
        sample: to draw.
        path: of the PNG.
        title: above all.

    Returns:
        `path`; None where a memory has weightings to draw instead, or no token was recorded.
    """
    tracks = {name: t for name, t in _timed(sample).items() if t.kind is Kind.VECTOR and t.axes[-1] == "units"}
    if not tracks:
        return None
    layers = {}
    for name in tracks:
        values = sample.over_time(name)
        layers[name] = heads_of("layer", values) if values.ndim == 3 else [Block("", values)]
    rows = [("inputs", _given(sample)), ("outputs", _answers(sample))]
    rows = [(name, blocks) for name, blocks in rows if blocks]
    heights = [0.5 + 0.055 * max(_rows(blocks), 6) for _, blocks in rows]
    heights += [min(0.4 + 1.5 * len(blocks), 5.0) for blocks in layers.values()]
    figure = new_figure(WIDTH, 0.8 + sum(heights))
    axes = list(figure.subplots(len(heights), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0])
    for (name, blocks), ax in zip(rows, axes, strict=False):
        draw_blocks(ax, blocks, title=name, low=0.0, high=1.0)
    for (name, blocks), ax in zip(layers.items(), axes[len(rows) :], strict=True):
        loudest = _spread([block.values for block in blocks])
        image = draw_blocks(ax, blocks, title=_titled(sample, name), low=-loudest, high=loudest, colours=_DIVERGING)
        colour_bar(figure, image, ax)
    mark_time(axes, sample)
    figure.suptitle(title, fontsize=10)
    return save(figure, path)


_OVER_SLOTS = (Kind.WEIGHTING, ("slots",))


def _timed(sample: Sample) -> Mapping[str, Track]:
    """Tracks over tokens that are to be drawn."""
    return {name: t for name, t in sample.tracks.items() if t.drawn and t.axes[:1] == ("tokens",) and sample.segments}


def _of(sample: Sample, kind: Kind, side: str, last: str = "slots") -> dict[str, Array]:
    """Arrays `[time, heads, rows]` of the heads on one side."""
    wanted = (kind, ("tokens", side, last))
    return {name: sample.over_time(name) for name, t in _timed(sample).items() if (t.kind, t.axes) == wanted}


def _blocks(found: Mapping[str, Array]) -> list[Block]:
    """All heads, one under another."""
    return [block for values in found.values() for block in heads_of("head", values)]


def _titled(sample: Sample, name: str) -> str:
    """A track's name with its meaning."""
    return f"{name.replace('_', ' ')}: {sample.tracks[name].meaning}"


def _head_names(sample: Sample, name: str) -> list[str]:
    """What the heads of a track are called, from the axis that they lie on."""
    axis, count = sample.tracks[name].axes[1], sample.over_time(name).shape[1]
    sides = [_SIDES.get(axis, "")] * count
    if axis == "heads":  # reads, then writes
        reads = next(sample.over_time(n).shape[1] for n, t in _timed(sample).items() if t.axes[1:2] == ("reads",))
        sides = ["read"] * reads + ["write"] * (count - reads)
    numbers = [sides[: k + 1].count(side) if sides.count(side) > 1 else 0 for k, side in enumerate(sides)]
    return [f"{side} head {number}" if number else f"{side} head" for side, number in zip(sides, numbers, strict=True)]


def _strips(sample: Sample, name: str) -> list[Block]:
    """A row for each head's gate, named by its head where the gate's own name does not tell."""
    label = name.replace("_", " ").removesuffix("s")
    values, axis = sample.over_time(name), sample.tracks[name].axes[1]
    if values.shape[1] == 1:
        return [Block(label, values)]
    heads = _head_names(sample, name) if axis == "heads" else [str(k + 1) for k in range(values.shape[1])]
    return [
        Block(f"{label} {head}" if axis != "heads" else f"{label}, {head}", values[:, [k]])
        for k, head in enumerate(heads)
    ]


def _stack(ax: Axes, values: Array, labels: tuple[str, ...], *, title: str) -> None:
    """Shares of alternatives as bars on one another."""
    below = np.zeros(len(values))
    for position, share in enumerate(values.T):
        label = labels[position] if labels else str(position)
        colour = COLOURS[position % len(COLOURS)]
        ax.bar(range(len(values)), share, 1.0, bottom=below, color=colour, label=label, linewidth=0)
        below = below + share
    ax.set_ylim(0, 1)
    ax.set_yticks([0, 1])
    ax.tick_params(labelsize=SMALL)
    ax.set_title(title, fontsize=SMALL + 1, loc="left", pad=3)
    ax.legend(fontsize=SMALL - 1, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1)


def _or_nothing(ax: Axes, blocks: list[Block], **how: Any) -> AxesImage | None:
    """Draw blocks where there are any, and no axes where there are none."""
    if blocks:
        return draw_blocks(ax, blocks, **how)
    ax.set_visible(False)
    return None


def _spread(arrays: list[Array]) -> float:
    """The size of nearly all numbers: outliers may saturate."""
    sizes = [np.abs(values[np.isfinite(values)]).ravel() for values in arrays]
    return max(float(np.percentile(np.concatenate(sizes), 99)), 1e-6) if sizes else 1.0


def _rows(blocks: list[Block]) -> int:
    """Rows of all blocks."""
    return sum(block.values.shape[1] for block in blocks)


def _given(sample: Sample) -> list[Block]:
    """Inputs of nodes at the tokens that stand for them; positions are left out."""
    probes = [p for p in sample.batch.spec.inputs if at_nodes(p) and not p.positional]
    return [
        Block(p.name, sample.at_tokens(_image(p, sample.arrays[f"input/{p.name}"], sample.nodes, p.streamed)))
        for p in probes
    ]


def _answers(sample: Sample) -> list[Block]:
    """Targets, and what was predicted of them, at the tokens that stand for nodes; outputs after the last step."""
    found = []
    for p in [*sample.batch.spec.outputs, *sample.batch.spec.hints]:
        if not at_nodes(p) or f"predicted/{p.name}" not in sample.arrays:
            continue
        hint = p.stage is Stage.HINT
        true = sample.arrays[f"hint/{p.name}"][1:] if hint else sample.arrays[f"output/{p.name}"]
        said = sample.arrays[f"predicted/{p.name}"]
        if p.type is Type.MASK and not hint:
            said = np.where(true >= 0, sample.arrays[f"probability/{p.name}"], np.nan)
        stepped = hint or p.streamed
        for label, values in ((f"{p.name}, true", true), ("predicted", said)):
            rows = _image(p, values, sample.nodes, stepped)
            found.append(Block(label, sample.at_tokens(rows if stepped else rows[None])))
    return found


def _image(probe: Probe, values: Array, nodes: int, stepped: bool) -> Array:
    """Values of nodes as rows from 0 to 1, `[N, rows]` or `[T, N, rows]`; NaN where nothing is asked."""
    if probe.type is Type.MASK_ONE:
        rows = (np.asarray(values)[..., None] == np.arange(nodes)).astype(float)[..., None]
    elif probe.type is Type.CATEGORICAL:
        rows = (values[..., None] == np.arange(probe.classes)).astype(float)
        rows[values < 0] = np.nan
    else:
        rows = values.astype(float)
        rows = rows if probe.channels > 1 else rows[..., None]
        if probe.type is Type.MASK:
            rows = np.where(rows < 0, np.nan, rows)
    low, high = np.nanmin(rows, initial=0.0), np.nanmax(rows, initial=1.0)
    return (rows - low) / (high - low)
