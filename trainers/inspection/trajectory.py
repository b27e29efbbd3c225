"""An algorithm's own trajectory, frame by frame on the graph that it ran on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.batch import Batch
from tasks.spec import Location, Probe, Type
from trainers.figures import COLOURS, new_figure, save
from trainers.inspection.drawn_graph import FACE, draw_graph, place_nodes
from trainers.inspection.panels import RULE, SMALL, WIDTH, chosen
from trainers.inspection.sample import Array

_MOST_FRAMES = 9
_MOST_NODES = 40
_COLUMNS = 3
_NEW, _BEFORE = COLOURS[1], COLOURS[0]
_NEW_FACE, _BEFORE_FACE = "#F9D9C0", "#CFE3F3"
_SOURCE = "#222222"


def trajectory_figure(batch: Batch, path: str | Path, *, sample: int = 0, title: str = "") -> Path:
    """Draw the hints of one sample: nodes that a mask holds as colours, pointers as arrows, a graph a frame.

    Args:
        batch: of a task with a graph and a hint that points from node to node, such as `bfs` or `bellman_ford`; in
            the dense layout.
        path: of the PNG.
        sample: its position in the batch.
        title: above all; by default the task's name.

    Returns:
        The path.

    Raises:
        ValueError: the sparse layout, a task without a graph or pointers, a graph too large to draw, or no such
            sample.
    """
    batch = batch.take([sample])
    spec, nodes = batch.spec, int(batch.sizes[0])
    edges = _first(spec.inputs, Location.EDGE, Type.MASK)
    pointer = _first(spec.hints, Location.NODE, Type.POINTER)
    if edges is None or pointer is None:
        raise ValueError(
            f"{spec.task} has no graph with a hint that points from node to node: draw bfs or bellman_ford"
        )
    if nodes > _MOST_NODES:
        raise ValueError(f"a graph of {nodes} nodes is too large to draw: take one of at most {_MOST_NODES}")
    mask, source = _first(spec.hints, Location.NODE, Type.MASK), _first(spec.inputs, Location.NODE, Type.MASK_ONE)
    pointers = batch.hints[pointer.name][:, 0].numpy()
    held = np.zeros(pointers.shape, bool) if mask is None else batch.hints[mask.name][:, 0].numpy() > 0
    adjacency = batch.inputs[edges.name][0].numpy() > 0
    place = place_nodes(adjacency)
    rims = [RULE] * nodes
    if source is not None:
        rims[int(batch.inputs[source.name][0])] = _SOURCE
    frames = chosen(len(pointers), _MOST_FRAMES)
    columns = 2 if len(frames) == 4 else min(_COLUMNS, len(frames))
    lines = -(-len(frames) // columns)
    figure = new_figure(WIDTH, 0.8 + 2.4 * lines)
    axes = figure.subplots(lines, columns, squeeze=False).ravel().tolist()
    for ax, time in zip(axes, frames, strict=False):
        before = max(time - 1, 0)
        draw_graph(
            ax, adjacency, place, pointers[time],
            colours=[_NEW if changed else _BEFORE for changed in pointers[time] != pointers[before]],
            faces=_faces(held[time], held[before] if time else np.zeros(nodes, bool)), rims=rims, size=110.0,
        )  # fmt: skip
        ax.set_title(f"step {time}" if time else "given", fontsize=SMALL + 1)
    for ax in axes[len(frames) :]:
        ax.set_visible(False)
    figure.suptitle(title or spec.task, fontsize=10)
    told = [f"filled: {mask.name}"] if mask is not None else []
    told += [f"arrow: {pointer.name}", "orange: new in this step", *(["dark rim: source"] if source else [])]
    figure.supxlabel("; ".join(told), fontsize=SMALL)
    return save(figure, Path(path))


def _first(probes: tuple[Probe, ...], location: Location, kind: Type) -> Probe | None:
    """The first probe of a location and a type."""
    return next((p for p in probes if p.location is location and p.type is kind and not p.streamed), None)


def _faces(now: Array, before: Array) -> list[str]:
    """Fill of each node by whether a mask holds it, and since when."""
    return [FACE if not on else _BEFORE_FACE if was else _NEW_FACE for on, was in zip(now, before, strict=True)]
