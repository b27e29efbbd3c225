"""The decorator of every numba kernel in this package."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numba


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function to machine code that releases the interpreter lock, cached on disk where that is possible.

    Numba's cache looks only at the file of the function itself, so a kernel must not call kernels of other
    modules: the cache would not notice when they change. All randomness therefore lives in `tasks.generators`,
    and a task's own kernels are deterministic.
    """
    function = inspect.unwrap(function)  # the tests' type checker wraps every function of the package
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache folder can be written
        return numba.njit(nogil=True)(function)
