"""Figures of a computation over steps: who was heard, where nodes point, how right the hints are, how latents grow.

What a processor records and which probes a task has decide what is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.spec import Location, Probe, Stage, Type
from trainers.figures import COLOURS, MARKERS, new_figure, save
from trainers.inspection.panels import PAPER, RULE, SMALL, WIDTH, chosen, colour_bar, whole_numbers
from trainers.inspection.sample import Array, Sample
from zoo.recording import Kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RIGHT, WRONG = COLOURS[0], COLOURS[1]
_DIVERGING = "RdBu_r"
_MOST_STEPS = 8  # squares in a figure
_MOST_RINGS = 40  # nodes whose true pointers can be ringed
_MOST_WRITTEN = 24  # nodes, and steps, whose pointers can be written out


def sender_figure(sample: Sample, path: Path, *, title: str) -> Path | None:
    """Who each receiver heard, a square a step; ringed is the sender that the node should point to.

    Args:
        sample: to draw.
        path: of the PNG.
        title: above all.

    Returns:
        `path`; None where no shares of senders are recorded.
    """
    names = _of(sample, Kind.SHARES, ("senders", "receivers"))
    if not names:
        return None
    shares = sample.arrays[f"record/{names[0]}"]
    truth = _true_pointers(sample)
    times = chosen(sample.steps, _MOST_STEPS)
    columns = min(4, len(times))
    lines = -(-len(times) // columns)
    figure = new_figure(WIDTH if columns > 1 else 4.2, 0.8 + 2.0 * lines if columns > 1 else 3.9)
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    largest = float(shares.max()) or 1.0
    image = None
    for ax in axes.flat[len(times) :]:
        ax.set_visible(False)
    for time, ax in zip(times, axes.flat, strict=False):
        image = ax.imshow(shares[time].T, cmap=PAPER, vmin=0, vmax=largest, interpolation="nearest")
        ax.set_title(f"step {time + 1}", fontsize=SMALL + 1)
        ax.tick_params(labelsize=SMALL - 1)
        whole_numbers(ax)
        if truth is not None and time < len(truth) and sample.nodes <= _MOST_RINGS:
            _rings(ax, truth[time], shares[time].argmax(0), size=260 / sample.nodes)
    for ax in axes[:, 0]:
        ax.set_ylabel("receiver", fontsize=SMALL)
    for column in range(columns):
        lowest = [ax for ax in axes[:, column] if ax.get_visible()][-1]
        lowest.set_xlabel("sender", fontsize=SMALL)
        lowest.tick_params(labelbottom=True)
    if image is not None:
        colour_bar(figure, image, list(axes.flat), "share of channels supplied", shrink=0.8, aspect=24.0)
    ringed = "\nring: the true predecessor; blue, it was heard most" if truth is not None else ""
    figure.suptitle(title + ringed, fontsize=10)
    return save(figure, path)


def latent_figure(sample: Sample, path: Path, *, title: str) -> Path | None:
    """What nodes do by step: how much of the pool each made up, where that is recorded, and when its latents change.

    Args:
        sample: to draw.
        path: of the PNG.
        title: above all.

    Returns:
        `path`.
    """
    panels = [
        (sample.tracks[name].meaning, sample.arrays[f"record/{name}"], PAPER, 1)
        for name in _of(sample, Kind.SHARES, ("nodes",))
    ]
    hidden = sample.arrays["hidden"]
    if sample.steps > 1:
        moved = np.linalg.norm(np.diff(hidden, axis=0), axis=-1)
        panels.append(("how far each node's latents moved from the step before", moved, "viridis", 2))
    else:
        panels.append(("latents of each node", hidden[0].T, _DIVERGING, 0))
    figure = new_figure(WIDTH, 0.7 + 2.3 * len(panels))
    for (meaning, values, colours, first), ax in zip(
        panels, figure.subplots(len(panels), squeeze=False)[:, 0], strict=True
    ):
        bound = float(np.abs(values).max()) or 1.0
        low = -bound if colours == _DIVERGING else 0.0
        image = ax.imshow(values, aspect="auto", interpolation="nearest", cmap=colours, vmin=low, vmax=bound)
        if first:
            _step_ticks(ax, len(values), first)
        ax.set_ylabel("step" if first else "unit", fontsize=SMALL)
        ax.set_xlabel("node", fontsize=SMALL)
        whole_numbers(ax)
        ax.set_title(meaning, fontsize=SMALL + 1, loc="left", pad=3)
        ax.tick_params(labelsize=SMALL)
        colour_bar(figure, image, ax)
    figure.suptitle(title, fontsize=10)
    return save(figure, path)


def layer_figure(sample: Sample, path: Path, *, title: str) -> Path | None:
    """Quantities of positions by layer, a panel a step.

    Args:
        sample: to draw.
        path: of the PNG.
        title: above all.

    Returns:
        `path`; None where nothing is recorded by layer.
    """
    names = _of(sample, Kind.VECTOR, ("layers", "positions"))
    if not names:
        return None
    values = sample.arrays[f"record/{names[0]}"]
    times = chosen(sample.steps, 4)
    figure = new_figure(WIDTH, 3.4)
    axes = figure.subplots(1, len(times), squeeze=False, sharey=True)[0]
    image = None
    for time, ax in zip(times, axes, strict=True):
        image = ax.imshow(
            values[time], aspect="auto", interpolation="nearest", cmap="viridis", vmin=0, vmax=float(values.max())
        )
        ax.set_xlabel("position", fontsize=SMALL)
        ax.tick_params(labelsize=SMALL)
        if len(times) > 1:
            ax.set_title(f"step {time + 1}", fontsize=SMALL + 1)
    axes[0].set_ylabel("layer", fontsize=SMALL)
    if image is not None:
        colour_bar(figure, image, list(axes), "norm of the latents")
    figure.suptitle(f"{title}\n{sample.tracks[names[0]].meaning}", fontsize=10)
    return save(figure, path)


def stop_figure(sample: Sample, path: Path, *, title: str) -> Path | None:
    """What the processor decides for the whole graph, step by step: when to stop, and how sure it is.

    Args:
        sample: to draw.
        path: of the PNG.
        title: above all.

    Returns:
        `path`; None where no such gates are recorded.
    """
    names = _of(sample, Kind.GATE, ())
    if not names:
        return None
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(WIDTH, 2.8)
    ax = figure.subplots()
    for position, name in enumerate(names):
        values = sample.arrays[f"record/{name}"]
        ax.plot(
            range(1, len(values) + 1), values, label=f"{name}: {sample.tracks[name].meaning}", clip_on=False,
            color=COLOURS[position % len(COLOURS)], marker=MARKERS[position % len(MARKERS)],
        )  # fmt: skip
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel("step", fontsize=SMALL + 1)
    ax.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))
    ax.tick_params(labelsize=SMALL)
    ax.grid(True, color="#DDDDDD", linewidth=0.6)
    ax.legend(fontsize=SMALL, frameon=False)
    figure.suptitle(title, fontsize=10)
    return save(figure, path)


def own_pointer_figure(sample: Sample, path: Path, *, title: str) -> Path | None:
    """The processor's own pointers after every step, and which of them could change.

    Args:
        sample: to draw.
        path: of the PNG.
        title: above all.

    Returns:
        `path`; None where no pointers are recorded.
    """
    names = _of(sample, Kind.POINTER, ("nodes",))
    if not names:
        return None
    pointers = sample.arrays[f"record/{names[0]}"]
    masks = [name for name in _of(sample, Kind.MASK, ("nodes",)) if f"record/{name}" in sample.arrays]
    truth = _frames(sample, names[0])
    steps, nodes = pointers.shape
    wrong = np.zeros_like(pointers, dtype=bool)
    if truth is not None:
        wrong[: len(truth)] = pointers[: len(truth)] != truth[: len(pointers)]
    shade = sample.arrays[f"record/{masks[0]}"] > 0 if masks else np.zeros_like(wrong)
    figure = new_figure(min(max(3.6, 1.2 + 0.27 * steps), WIDTH), min(max(2.6, 1.3 + 0.21 * nodes), 8.0))
    ax = figure.subplots()
    ax.imshow(np.where(shade, 0.22, 0.0).T, aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    written = nodes <= _MOST_WRITTEN and steps <= _MOST_WRITTEN
    for step in range(steps):
        for node in range(nodes):
            bad = wrong[step, node]
            if written:
                ax.text(
                    step, node, str(pointers[step, node]), ha="center", va="center", fontsize=SMALL - 0.5,
                    color=WRONG if bad else "#222222", fontweight="bold" if bad else "normal",
                )  # fmt: skip
            elif bad:
                ax.plot(step, node, marker="s", markersize=2, color=WRONG)
    every = max(1, steps // 12)
    ax.set_xticks(range(0, steps, every), [str(step + 1) for step in range(0, steps, every)])
    ax.set_xlabel("step", fontsize=SMALL)
    ax.set_ylabel("node", fontsize=SMALL)
    ax.tick_params(labelsize=SMALL)
    about = [f"{np.mean(~wrong):.1%} right; orange: wrong"] if truth is not None else []
    about += ["shaded: could change"] if masks else []
    figure.suptitle("\n".join([title, "; ".join(about)]), fontsize=10)
    return save(figure, path)


def hint_figure(sample: Sample, path: Path, *, title: str) -> Path | None:
    """How right the model's own hints are, step by step.

    Args:
        sample: to draw.
        path: of the PNG.
        title: above all.

    Returns:
        `path`; None where no hints are predicted.
    """
    kinds = [("right", "share of entries right"), ("error", "root mean square error")]
    panels = [
        (
            label,
            {name.partition("/")[2]: v for name, v in sample.arrays.items() if name.startswith(f"{kind}/") and len(v)},
        )
        for kind, label in kinds
    ]
    panels = [(label, curves) for label, curves in panels if curves]
    if not panels:
        return None
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(WIDTH if len(panels) > 1 else 5.0, 3.2)
    position = 0
    for (label, curves), ax in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        for name, values in curves.items():
            beneath = len(curves) - 1 - list(curves).index(name)  # wider, so that curves that coincide all show
            ax.plot(
                range(1, len(values) + 1), values, label=name, color=COLOURS[position % len(COLOURS)],
                linewidth=1.5 + 2.0 * beneath, marker=MARKERS[position % len(MARKERS)], markersize=4 + 3 * beneath,
                clip_on=False,
            )  # fmt: skip
            position += 1
        if label == kinds[0][1]:
            ax.set_ylim(-0.03, 1.03)
        ax.set_ylabel(label, fontsize=SMALL + 1)
        ax.set_xlabel("step", fontsize=SMALL + 1)
        ax.set_xlim(0.8, max(map(len, curves.values())) + 0.2)
        ax.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))
        ax.tick_params(labelsize=SMALL)
        ax.grid(True, color="#DDDDDD", linewidth=0.6)
        ax.legend(fontsize=SMALL, frameon=False)
    figure.suptitle(f"{title}\nits own hints", fontsize=10)
    return save(figure, path)


def _of(sample: Sample, kind: Kind, axes: tuple[str, ...]) -> list[str]:
    """Names of recorded tracks of a kind."""
    return [
        name for name, t in sample.tracks.items()
        if t.drawn and (t.kind, t.axes) == (kind, axes) and f"record/{name}" in sample.arrays
    ]  # fmt: skip


def _frames(sample: Sample, head: str) -> Array | None:
    """True values after every step of what a head of the processor stands for."""
    probe: Probe | None = sample.heads.get(head)
    if probe is None or probe.stage is not Stage.HINT:
        return None
    return sample.arrays[f"hint/{probe.name}"][1:]


def _true_pointers(sample: Sample) -> Array | None:
    """True pointers after every step, of the only hint that points from node to node, or of the only output."""
    spec = sample.batch.spec
    for probes in (spec.hints, spec.outputs):
        found = [p for p in probes if p.location is Location.NODE and p.is_pointer and not p.streamed]
        if len(found) == 1 and found[0].type is not Type.PERMUTATION_POINTER:
            probe = found[0]
            if probe.stage is Stage.HINT:
                return sample.arrays[f"hint/{probe.name}"][1:]
            return np.broadcast_to(sample.arrays[f"output/{probe.name}"], (sample.steps, sample.nodes))
    return None


def _rings(ax: Axes, truth: Array, found: Array, *, size: float) -> None:
    """A ring around each receiver's true sender."""
    colours = [RIGHT if a == b else WRONG for a, b in zip(truth, found, strict=True)]
    ax.scatter(truth, range(len(truth)), s=size, facecolors="none", edgecolors=colours, linewidths=1.0)


def _step_ticks(ax: Axes, steps: int, first: int) -> None:
    """Steps on the y axis; the first row's is given."""
    every = max(1, steps // 8)
    ax.set_yticks(range(0, steps, every), [str(step + first) for step in range(0, steps, every)])
    for step in range(1, steps) if steps <= _MOST_WRITTEN else ():
        ax.axhline(step - 0.5, color=RULE, linewidth=0.3)
