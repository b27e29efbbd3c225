"""Figures of runs: scores against size. Those of one sample are in `trainers.inspection`.

Drawn on matplotlib's `Figure` alone, without pyplot: no window, no global state. Colours are those of Okabe and Ito
(2008), which the colour-blind tell apart; markers tell lines apart in grey as well.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_GREY = "#666666"


_MOST_IN_A_ROW = 5  # panels
_LETTERS = 12.5  # of a title, an inch


class Line(NamedTuple):
    """One line of a figure.

    Attributes:
        label: in the legend.
        sizes: x, ascending.
        values: y.
        spread: half height of the band around it, or None for no band.
        colour: position in `COLOURS`.
        control: drawn dashed and hollow.
        published: hollow points without a line, with spread as bars.
    """

    label: str
    sizes: Sequence[int]
    values: Sequence[float]
    spread: Sequence[float] | None = None
    colour: int = 0
    control: bool = False
    published: bool = False


class Panel(NamedTuple):
    """One set of axes: a title, the meaning of y, its lines."""

    title: str
    y_label: str
    lines: Sequence[Line]
    share: bool = True


def size_figure(
    panels: Sequence[Panel],
    path: Path,
    *,
    title: str,
    trained_to: int | None,
    note: str = "",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Draw score against size, a panel for each measure, distribution or task.

    Args:
        panels: from left to right, and if many in several rows.
        path: of the PNG.
        title: above all.
        trained_to: largest training size, marked by a vertical line; None for no line.
        note: after the title.
        metadata: kept in the PNG.

    Returns:
        `path`.
    """
    few = len(panels) <= _MOST_IN_A_ROW
    across = len(panels) if few else _MOST_IN_A_ROW
    rows = -(-len(panels) // across)
    figure = new_figure(1.0 + 4.2 * across, 4.2) if few else new_figure(2.6 * across, 1.0 + 2.2 * rows)
    axes = list(figure.subplots(rows, across, squeeze=False).flat)
    for ax in axes[len(panels) :]:
        ax.remove()
    axes = axes[: len(panels)]
    for panel, ax in zip(panels, axes, strict=True):
        _draw_panel(ax, panel, trained_to)
    handles: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=min(len(handles), max(2 * across - 1, 2)),
        frameon=False,
    )
    width = round(_LETTERS * figure.get_figwidth())
    figure.suptitle("\n".join([*textwrap.wrap(title, width), *textwrap.wrap(note, width)]), fontsize=11)
    return save(figure, path, metadata)


def _draw_panel(ax: Axes, panel: Panel, trained_to: int | None) -> None:
    """Lines over sizes on a logarithmic axis whose ticks are the sizes."""
    sizes = sorted({size for line in panel.lines for size in line.sizes})
    ax.set_xscale("log", base=2)
    every = -(-len(sizes) // 10)  # more labels than ten would run into each other
    ax.set_xticks(sizes, [str(size) if at % every == 0 else "" for at, size in enumerate(sizes)])
    ax.minorticks_off()
    if panel.share:
        ax.set_ylim(-0.03, 1.03)
        ax.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    ax.grid(True, color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    if trained_to is not None:
        ax.axvline(trained_to, color=_GREY, linewidth=1, linestyle=":")
        left = trained_to < sizes[-1]
        ax.text(
            trained_to,
            0.02,
            " trained to here" if left else "trained to here ",
            transform=ax.get_xaxis_transform(),
            ha="left" if left else "right",
            fontsize=8,
            color=_GREY,
        )
    for line in panel.lines:
        colour = COLOURS[line.colour % len(COLOURS)]
        if line.published:
            _draw_published(ax, line, colour)
            continue
        ax.plot(
            line.sizes,
            line.values,
            color=colour,
            marker=MARKERS[line.colour % len(MARKERS)],
            markersize=5,
            linewidth=1.2 if line.control else 1.8,
            linestyle="--" if line.control else "-",
            markerfacecolor="white" if line.control else colour,
            label=line.label,
            clip_on=False,
            zorder=2 if line.control else 3,
        )
        if line.spread is not None and any(line.spread):
            low = [value - spread for value, spread in zip(line.values, line.spread, strict=True)]
            high = [value + spread for value, spread in zip(line.values, line.spread, strict=True)]
            ax.fill_between(line.sizes, low, high, color=colour, alpha=0.18, linewidth=0)
    ax.set_title(panel.title, fontsize=11)
    ax.set_xlabel("size n")
    ax.set_ylabel(panel.y_label)


def _draw_published(ax: Axes, line: Line, colour: str) -> None:
    """Points that a paper reports."""
    ax.errorbar(
        line.sizes,
        line.values,
        yerr=line.spread,
        color=colour,
        linestyle="none",
        marker="*",
        markersize=11,
        markerfacecolor="white",
        markeredgewidth=1.3,
        capsize=3,
        elinewidth=1,
        label=line.label,
        clip_on=False,
        zorder=4,
    )


def new_figure(width: float, height: float, *, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """An empty figure; width and height in inches. Without a layout, what places its own axes is drawn once less."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=130, layout=layout)


def save(figure: Figure, path: Path, metadata: Mapping[str, str] | None = None) -> Path:
    """Write the PNG, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata=None if metadata is None else dict(metadata))
    return path
