"""What the figures of one sample are made of: images over time in labelled blocks, strips of gates, chosen times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trainers.inspection.sample import Array, Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

MOST_TOKENS = 240  # columns of an image over time; more would be narrower than a pixel
WIDTH = 7.2  # inches: two columns of a paper
SMALL = 8  # points
PAPER, MISSING, RULE = "Greys", "#F4EFE6", "#B0B0B0"


class Block(NamedTuple):
    """Rows of an image that belong together.

    Attributes:
        label: beside the rows.
        values: `[time, rows]`; NaN where there is nothing.
    """

    label: str
    values: Array


def colour_bar(figure: Figure, image: AxesImage, axes: Axes | Sequence[Axes], label: str = "", **layout: float) -> None:
    """A bar beside axes that tells what an image's colours mean; `layout` is matplotlib's."""
    bar = figure.colorbar(image, ax=axes, pad=0.01, **layout)  # type: ignore[arg-type]
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL - 1)


def draw_blocks(
    ax: Axes, blocks: Sequence[Block], *, title: str, low: float, high: float, colours: str = PAPER, first_row: int = 0
) -> AxesImage:
    """Draw blocks under one another, time from left to right.

    Args:
        ax: where.
        blocks: from top to bottom; a single one has its rows numbered instead of its label.
        title: above.
        low: value of the first colour.
        high: value of the last one.
        colours: a colour map.
        first_row: number of a single block's first row.

    Returns:
        The image, for a colour bar.
    """
    import matplotlib

    values = np.concatenate([block.values for block in blocks], 1)[:MOST_TOKENS].T
    shades = matplotlib.colormaps[colours].with_extremes(bad=MISSING)
    image = ax.imshow(
        np.ma.masked_invalid(values), aspect="auto", interpolation="nearest", cmap=shades, vmin=low, vmax=high
    )
    ends = np.cumsum([block.values.shape[1] for block in blocks])
    for end in ends[:-1]:
        ax.axhline(end - 0.5, color=RULE, linewidth=0.8)
    if len(blocks) == 1 and ends[0] > 1:
        step = max(1, int(np.ceil(ends[0] / 4 / 5)) * 5) if ends[0] > 8 else max(1, ends[0] // 4)
        rows = np.arange((-first_row) % step, ends[0], step)
        ax.set_yticks(rows, [str(row + first_row) for row in rows])
    else:
        starts = np.concatenate([[0], ends[:-1]])
        ax.set_yticks((starts + ends - 1) / 2, [block.label for block in blocks])
        ax.tick_params(axis="y", length=0)
    ax.set_title(title, fontsize=SMALL + 1, loc="left", pad=3)
    ax.tick_params(labelsize=SMALL)
    return image


def mark_time(axes: Sequence[Axes], sample: Sample) -> None:
    """Time on the lowest of some axes: tokens of the only sweep, or the steps that swept the nodes."""
    segments = sample.segments
    starts = np.cumsum([0, *(segment.length for segment in segments)])[:-1]
    *above, last = axes
    for ax in above:
        ax.tick_params(labelbottom=False)
    if len(segments) == 1:
        last.set_xlabel("token", fontsize=SMALL)
        whole_numbers(last)
        return
    shown = [(start, segment.step) for start, segment in zip(starts, segments, strict=True) if start < MOST_TOKENS]
    every = max(1, len(shown) // 12)
    for ax in axes:
        for start, _ in shown[1:]:
            ax.axvline(start - 0.5, color=RULE, linewidth=0.6)
        ax.set_xticks(
            [start for start, _ in shown[::every]], ["start" if s < 0 else str(s + 1) for _, s in shown[::every]]
        )
    cut = "" if starts[-1] < MOST_TOKENS else f"; the first {MOST_TOKENS} tokens"
    last.set_xlabel(f"step, a token for each node in it{cut}", fontsize=SMALL)


def whole_numbers(ax: Axes) -> None:
    """Only whole numbers as ticks."""
    from matplotlib.ticker import MaxNLocator

    for axis in (ax.xaxis, ax.yaxis):
        if isinstance(axis.get_major_locator(), MaxNLocator):
            axis.set_major_locator(MaxNLocator(nbins="auto", integer=True))


def heads_of(label: str, values: Array) -> list[Block]:
    """A block for each head of an array `[time, heads, rows]`."""
    count = values.shape[1]
    return [Block(f"{label} {head + 1}" if count > 1 else label, values[:, head]) for head in range(count)]


def chosen(count: int, most: int) -> list[int]:
    """At most so many of `count` positions, evenly spaced, first and last among them."""
    return sorted({round(float(place)) for place in np.linspace(0, count - 1, min(count, most))})


def rows_in_use(*weights: Array) -> slice:
    """The rows that ever hold a tenth of the largest weight, with a margin; all, where that leaves out few."""
    strongest = np.max([np.nanmax(each.reshape(-1, each.shape[-1]), 0) for each in weights], 0)
    used = np.flatnonzero(strongest >= 0.1 * strongest.max())
    if not len(used):
        return slice(0, len(strongest))
    low, high = max(0, int(used[0]) - 2), min(len(strongest), int(used[-1]) + 3)
    return slice(low, high) if high - low < 0.75 * len(strongest) else slice(0, len(strongest))
