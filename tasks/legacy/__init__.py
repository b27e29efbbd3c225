"""Inputs as the CLRS benchmark's package draws them, call for call of numpy's legacy generator.

`np.random.RandomState` gives the same numbers in every version of numpy, so the benchmark's published sets, which
were made with it, can be made again. Facts: dm-clrs 2.0.3, `samplers.py`. A task joins by an entry in the `SAMPLERS` of
one of the modules here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from tasks.legacy import geometry, graphs, programming, sorting, strings
from tasks.registry import near

Array = NDArray[Any]
Inputs = dict[str, Any]

SAMPLERS: dict[str, Callable[..., Inputs]] = {
    **geometry.SAMPLERS,
    **graphs.SAMPLERS,
    **programming.SAMPLERS,
    **sorting.SAMPLERS,
    **strings.SAMPLERS,
}
"""Inputs of one sample of each task, of a given size; what `Task.execute` derives is left out."""


def draw(task: str, *, seed: int, samples: int, size: int, **arguments: Any) -> dict[str, Array]:
    """Inputs of several samples, drawn one after another from one generator.

    Args:
        task: registry name.
        seed: of the generator.
        samples: how many.
        size: of each.
        **arguments: of the task's sampler, as the package names them (`length_needle`).

    Returns:
        Inputs for `Task.execute`, by probe name, with a leading batch axis.

    Raises:
        ValueError: the task has no legacy sampler.
    """
    if task not in SAMPLERS:
        raise ValueError(
            f"{task} has no canonical sets: they need its sampler of the CLRS benchmark in tasks/legacy; "
            f"{near(task, SAMPLERS)}"
        )
    random = RandomState(seed)
    drawn = [SAMPLERS[task](random, size, **arguments) for _ in range(samples)]
    return {name: np.stack([sample[name] for sample in drawn]) for name in drawn[0]}
