"""Predicted pointers beside true ones: drawn on the graph where there is one and it is small, as arcs over a row of
nodes where there is none, as a matrix where there are many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.spec import Location, Probe, Type
from trainers.figures import COLOURS, new_figure, save
from trainers.inspection.drawn_graph import draw_graph, place_nodes
from trainers.inspection.panels import PAPER, RULE, SMALL, WIDTH
from trainers.inspection.sample import Array, Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RIGHT, WRONG, TRUE = COLOURS[0], COLOURS[1], "#444444"
_MOST_DRAWN = 32  # nodes of a drawn graph or row


def pointed(sample: Sample) -> list[Probe]:
    """Outputs that point from node to node once."""
    return [p for p in sample.batch.spec.outputs if p.location is Location.NODE and p.is_pointer and not p.streamed]


def pointer_figure(sample: Sample, probe: Probe, path: Path, *, title: str) -> Path:
    """Draw where every node points beside where it should.

    Args:
        sample: to draw.
        probe: an output of `pointed`.
        path: of the PNG.
        title: above all.

    Returns:
        `path`.
    """
    truth, said = sample.arrays[f"output/{probe.name}"], sample.arrays[f"predicted/{probe.name}"]
    right = int((truth == said).sum())
    title = f"{title}\n{probe.name}: {right} of {len(truth)} right" + ("; orange: wrong" if right < len(truth) else "")
    edges = _edges(sample)
    if len(truth) > _MOST_DRAWN:
        figure = _matrix(sample, probe, truth, said)
    elif edges is not None:
        figure = _graphs(edges, truth, said)
    else:
        figure = _arcs(sample, truth, said)
    figure.suptitle(title, fontsize=10)
    return save(figure, path)


def _edges(sample: Sample) -> Array | None:
    """The graph of the sample, `[N, N]`; None for a sequence, which has no edges of its own."""
    masks = [p for p in sample.batch.spec.inputs if p.location is Location.EDGE and p.type is Type.MASK]
    return sample.arrays[f"input/{masks[0].name}"] > 0 if len(masks) >= 1 else None


def _graphs(edges: Array, truth: Array, said: Array) -> Any:
    """The graph twice, with true and with predicted pointers."""
    place = place_nodes(edges)
    figure = new_figure(WIDTH, 4.2)
    for ax, (name, pointers) in zip(figure.subplots(1, 2), (("true", truth), ("predicted", said)), strict=True):
        colours = [
            TRUE if name == "true" else (RIGHT if p == t else WRONG) for p, t in zip(pointers, truth, strict=True)
        ]
        rims = [c if pointers[node] == node else RULE for node, c in enumerate(colours)]
        draw_graph(ax, edges, place, pointers, colours=colours, rims=rims)
        ax.set_title(name, fontsize=SMALL + 1)
    figure.supxlabel("dark or coloured rim: points to itself", fontsize=SMALL)
    return figure


def _arcs(sample: Sample, truth: Array, said: Array) -> Any:
    """Nodes in a row, at the heights of their keys; true pointers above, predicted ones below."""
    plain = [p for p in sample.batch.spec.inputs if not (p.positional or p.streamed) and p.channels == 1]
    keys = [p for p in plain if p.location is Location.NODE and p.type is Type.SCALAR]
    count = len(truth)
    figure = new_figure(WIDTH, 4.4 if keys else 3.4)
    above, *middle, below = figure.subplots(
        3 if keys else 2, 1, sharex=True, height_ratios=[2, 1, 2] if keys else [1, 1]
    )
    for ax, pointers, name, sign in ((above, truth, "true", 1), (below, said, "predicted", -1)):
        colours = [TRUE if sign > 0 else RIGHT if said[n] == truth[n] else WRONG for n in range(count)]
        for node, target in enumerate(pointers):
            _arc(ax, node, int(target), sign, colours[node])
        ax.set_ylim((0, None) if sign > 0 else (None, 0))
        ax.set_yticks([])
        ax.set_ylabel(name, fontsize=SMALL + 1)
        for edge in ("left", "right", "top" if sign > 0 else "bottom"):
            ax.spines[edge].set_visible(False)
    if keys:
        middle[0].bar(range(count), sample.arrays[f"input/{keys[0].name}"], color="#BBBBBB", width=0.7)
        middle[0].set_ylabel(keys[0].name, fontsize=SMALL + 1)
        middle[0].tick_params(labelsize=SMALL)
    below.set_xlim(-0.7, count - 0.3)
    below.set_xticks(range(0, count, 1 if count <= 20 else 2))
    below.tick_params(labelsize=SMALL, labelbottom=True)
    below.set_xlabel("node (a dot: points to itself)", fontsize=SMALL)
    return figure


def _arc(ax: Axes, node: int, target: int, sign: int, colour: str) -> None:
    """A pointer as half an ellipse that ends in an arrow."""
    if node == target:
        ax.plot([node], [0], marker="o", color=colour, markersize=7, clip_on=False, zorder=3)
        return
    angle = np.linspace(np.pi if node < target else 0, 0 if node < target else np.pi, 40)
    x = (node + target) / 2 + abs(node - target) / 2 * np.cos(angle)
    y = sign * abs(node - target) ** 0.7 * np.sin(angle)
    ax.plot(x, y, color=colour, linewidth=1.3, alpha=0.9)
    ax.annotate(
        "", xy=(x[-1], y[-1]), xytext=(x[-4], y[-4]),
        arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.0, "mutation_scale": 9}, annotation_clip=False,
    )  # fmt: skip


def _matrix(sample: Sample, probe: Probe, truth: Array, said: Array) -> Any:
    """Probabilities of every candidate, true pointers ringed."""
    probabilities = sample.arrays[f"probability/{probe.name}"].T
    figure = new_figure(5.4, 4.9)
    ax = figure.subplots()
    picture = ax.imshow(probabilities, cmap=PAPER, vmin=0, vmax=1, interpolation="nearest")
    right = said == truth
    for mark, some, colour in (("right", right, RIGHT), ("wrong", ~right, WRONG)):
        rows = np.flatnonzero(some)
        ax.scatter(
            truth[rows], rows, s=max(12.0, 1400 / len(truth)), facecolors="none", edgecolors=colour, linewidths=1.3,
            label=f"true pointer, predicted {mark} ({len(rows)})",
        )  # fmt: skip
    ax.set_xlabel("points to node", fontsize=SMALL + 1)
    ax.set_ylabel("node", fontsize=SMALL + 1)
    ax.tick_params(labelsize=SMALL)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False, fontsize=SMALL, ncols=2)
    bar = figure.colorbar(picture, ax=ax, shrink=0.9)
    bar.set_label("predicted probability", fontsize=SMALL)
    return figure
