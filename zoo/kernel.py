"""The decorator of the numba kernels."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numba

# What sums need to be vectorised; infinities and NaN keep their meaning.
FAST = {"reassoc", "contract", "nsz", "arcp"}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function, cached on disk where that is possible.

    Numba's cache looks only at the file of the function itself, so a kernel must not call kernels of other
    modules: the cache would not notice when those change. What two modules need stands in both.
    """
    function = inspect.unwrap(function)  # the tests' type checker wraps every function of the package
    options: dict[str, Any] = {"nogil": True, "fastmath": FAST, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache folder can be written
        return numba.njit(**options)(function)
