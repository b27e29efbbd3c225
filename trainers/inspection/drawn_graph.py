"""A small graph drawn with pointers on it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from trainers.inspection.panels import SMALL
from trainers.inspection.sample import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FACE = "#F2F2F2"
_EDGE = "#DADADA"


def place_nodes(edges: Array) -> Array:
    """Where nodes are drawn: the same places for the same graph.

    Args:
        edges: adjacency, bool `[N, N]`; directions and self-loops do not count.

    Returns:
        Coordinates `[N, 2]`.
    """
    import networkx as nx

    graph = nx.Graph([(int(a), int(b)) for a, b in np.argwhere(np.triu(edges | edges.T, 1))])
    graph.add_nodes_from(range(len(edges)))
    # Unconnected parts would drift apart until each is a dot: a spring holds the next one to the last.
    parts = [min(part) for part in nx.connected_components(graph)]
    graph.add_edges_from(pairwise(parts))
    laid = nx.spring_layout(graph, seed=0, iterations=300, k=1.6 / np.sqrt(len(edges)))
    return np.array([laid[node] for node in range(len(edges))])


def draw_graph(
    ax: Axes,
    edges: Array,
    place: Array,
    pointers: Array,
    *,
    colours: Sequence[str],
    rims: Sequence[str],
    faces: Sequence[str] | str = FACE,
    size: float | None = None,
) -> None:
    """Draw edges, nodes with their numbers, and an arrow from every node that points to another one.

    Args:
        ax: where.
        edges: adjacency, bool `[N, N]`.
        place: coordinates of the nodes, `[N, 2]`.
        pointers: the node that each node points to, `[N]`.
        colours: of each node's arrow.
        rims: of each node's outline.
        faces: of each node, or of all.
        size: area of a node in square points; by default fewer nodes are larger.
    """
    from matplotlib.collections import LineCollection

    size = size or (170 if len(place) <= 20 else 110)
    lines = np.argwhere(np.triu(edges | edges.T, 1))
    ax.add_collection(LineCollection([place[line] for line in lines], colors=_EDGE, linewidths=0.8, zorder=1))
    for node, target in enumerate(pointers):
        if target != node:
            ax.annotate(
                "", xy=place[target], xytext=place[node], zorder=2,
                arrowprops={
                    "arrowstyle": "-|>", "color": colours[node], "lw": 1.5, "mutation_scale": 10,
                    "shrinkA": size**0.5 / 2, "shrinkB": size**0.5 / 2, "connectionstyle": "arc3,rad=0.08",
                },
            )  # fmt: skip
    ax.scatter(place[:, 0], place[:, 1], s=size, facecolors=faces, edgecolors=rims, linewidths=1.4, zorder=3)
    for node, (x, y) in enumerate(place):
        ax.text(x, y, str(node), ha="center", va="center", fontsize=SMALL - 1, zorder=4)
    ax.set_axis_off()
    ax.margins(0.08)
