"""What a trained network is, beside the compiled algorithm: faithful, effective but unfaithful, or ineffective.

The three words are those of Saldyt and Kambhampati (arXiv 2505.18623); the thresholds are this project's own, and hold
at the training size, for the mean over seeds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

EFFECTIVE = 0.95
"""Score of the outputs from which a network is effective."""
HINTS = 0.95
"""Share right of every hint from which an effective network may be faithful, and from which a compiled one tells it."""
HEARD = 0.25
"""Matched distance of whom nodes hear, ties free, up to which it may be: an eighth of what is heard is another's.

The best of many channels is near by chance alone: drawn weights that are not trained are measured as well.
"""
FAITHFUL, UNFAITHFUL, INEFFECTIVE = "faithful", "effective but unfaithful", "ineffective"
RULE = (
    f"At the training size, by the mean over seeds: *{INEFFECTIVE}*, the score of the outputs is below {EFFECTIVE}; "
    f"*{FAITHFUL}*, it is not, every hint (but numbers, and those that the compiled network itself does not tell) is "
    f"right in at least {HINTS} of its entries, and the matched distance of whom nodes hear, ties free, is at most "
    f"{HEARD} of 2; *{UNFAITHFUL}* otherwise."
)


def values(record: Mapping[str, Any], size: int) -> dict[str, float]:
    """The learned network's measures at a size: `score`, `exact`, `hints`, `until`, `heard`.

    `hints` is the least right of those that the compiled network tells, numbers aside; of all without a compiled one.
    NaN stands for what there is not.
    """
    cell = next(each for each in record["cells"] if each["n"] == size)
    learned, heard = cell["learned"], cell["heard"]
    right = {name: hint["mean"] for name, hint in learned["hints"].items() if "right" in hint}
    if cell["compiled"] is not None:
        told = {name: hint["mean"] for name, hint in cell["compiled"]["hints"].items()}
        right = {name: mean for name, mean in right.items() if (told.get(name) or 0.0) >= HINTS}
    hints = [mean for mean in right.values() if mean is not None]
    found = {
        "score": learned["score"],
        "exact": learned["exact"],
        "hints": min(hints, default=None),
        "until": learned["until"],
        "heard": heard["matched"]["nearest"] if heard else None,
    }
    return {name: math.nan if value is None else float(value) for name, value in found.items()}


def verdict(records: Sequence[Mapping[str, Any]], size: int) -> str:
    """The word for a network's seeds at the training size."""
    each = [values(record, size) for record in records]
    mean = {name: statistics.fmean(one[name] for one in each) for name in ("score", "hints", "heard")}
    if not mean["score"] >= EFFECTIVE:
        return INEFFECTIVE
    return FAITHFUL if mean["hints"] >= HINTS and mean["heard"] <= HEARD else UNFAITHFUL
