"""Pictures of runs as data URIs, downscaled until all of them together fit a page."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

FOLDERS = ("pictures", "inspect")
"""Where a run keeps its pictures: of training's end, and of `zoo inspect`."""
BYTES = 3_400_000
"""Of all data URIs of a page together."""
_WIDTHS = (1400, 1100, 850, 650, 480, 360)  # tried from the widest on
_COLOURS = 256
_MANY_COLOURS = 2**14


class Picture(NamedTuple):
    """An embedded picture: its path in the run folder, its pixels, its data URI."""

    name: str
    width: int
    height: int
    uri: str


def find(folder: Path) -> list[Path]:
    """The pictures of a run, by path."""
    return sorted(path for name in FOLDERS for path in (folder / name).rglob("*.png") if path.is_file())


def embed(folders: Sequence[Path], *, limit: int = BYTES) -> tuple[list[list[Picture]], int]:
    """Embed the pictures of runs, all at the widest width at which they fit.

    Args:
        folders: of the runs.
        limit: bytes of all together.

    Returns:
        The pictures of each run, and how many were left out: unreadable ones, and what does not fit even when small.
    """
    files = [(position, path) for position, folder in enumerate(folders) for path in find(folder)]
    made: list[tuple[int, Picture]] = []
    hoped = _WIDTHS[0]
    for width in _WIDTHS:
        if width > hoped:
            continue
        made = [(p, each) for p, path in files if (each := _encode(path, folders[p], width)) is not None]
        total = sum(len(each.uri) for _, each in made)
        if total <= limit:
            break
        # Bytes go about with the area; a little above that width is tried too.
        hoped = max(_WIDTHS[-1], round(1.1 * width * math.sqrt(limit / total)))
    chosen: list[list[Picture]] = [[] for _ in folders]
    spent = 0
    # The first picture of every run before any run's second, should they not all fit.
    ranks = {id(each): sum(q == p for q, _ in made[:index]) for index, (p, each) in enumerate(made)}
    for position, picture in sorted(made, key=lambda item: ranks[id(item[1])]):
        if spent + len(picture.uri) <= limit:
            spent += len(picture.uri)
            chosen[position].append(picture)
    return chosen, len(files) - sum(map(len, chosen))


def _encode(path: Path, folder: Path, width: int) -> Picture | None:
    """A PNG of at most `width` pixels on white, with a palette where that is smaller; None if it is unreadable."""
    try:
        raw = path.read_bytes()
        with Image.open(io.BytesIO(raw)) as opened:
            picture = opened.convert("RGBA")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    small = picture.width <= width
    if not small:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    flat = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    written = io.BytesIO()
    # Median cut keeps plots as they are, and takes seconds for a picture of many colours.
    plain = flat.getcolors(_MANY_COLOURS) is not None
    method = Image.Quantize.MEDIANCUT if plain else Image.Quantize.FASTOCTREE
    flat.quantize(_COLOURS, method, dither=Image.Dither.NONE).save(written, format="PNG")
    smallest = min([written.getvalue(), *([raw] if small else [])], key=len)
    uri = "data:image/png;base64," + base64.b64encode(smallest).decode("ascii")
    return Picture(path.relative_to(folder).as_posix(), flat.width, flat.height, uri)
