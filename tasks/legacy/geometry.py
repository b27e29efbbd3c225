"""Points and segments, as the CLRS benchmark's package draws them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Inputs = dict[str, Any]


SAMPLERS: dict[str, Callable[..., Inputs]] = {}
