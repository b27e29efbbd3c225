"""Inputs as the CLRS benchmark's package draws them, call for call of numpy's legacy generator.

`np.random.RandomState` gives the same numbers in every version of numpy, so the benchmark's published sets, which
were made with it, can be made again. Facts: dm-clrs 2.0.3, `samplers.py`. A task joins by an entry in `SAMPLERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from tasks.registry import near

Array = NDArray[Any]
Inputs = dict[str, Any]

_EDGE_PROBABILITIES = (0.5,)
_WEIGHT_FLOOR = 1e-3  # keeps the root of a product of two small uniforms from underflowing to "no edge"


def erdos_renyi(random: RandomState, size: int, *, weighted: bool) -> Array:
    """A symmetric matrix of an undirected graph, float64 `[size, size]`.

    A pair is an edge where both of its entries of a Bernoulli matrix are 1, so with the squared probability; a node may
    be its own neighbour. Weights are square roots of products of two uniforms.
    """
    # The package draws the probability from a list, here of one; numpy spends no random number on that.
    entries = random.binomial(1, random.choice(_EDGE_PROBABILITIES), size=(size, size))
    edges = (entries * entries.T).astype(np.float64)
    if not weighted:
        return edges
    uniform = random.uniform(size=(size, size))
    weights: Array = edges * np.sqrt(uniform * uniform.T + _WEIGHT_FLOOR)
    return weights


def graph_and_source(random: RandomState, size: int) -> Inputs:
    """A plain graph, and a node of it."""
    return {"A": erdos_renyi(random, size, weighted=False), "s": random.choice(size)}


def weighted_graph_and_source(random: RandomState, size: int) -> Inputs:
    """A weighted graph, and a node of it."""
    return {"A": erdos_renyi(random, size, weighted=True), "s": random.choice(size)}


def uniform_keys(random: RandomState, size: int) -> Inputs:
    """Keys from U[0, 1)."""
    return {"key": random.uniform(size=size)}


SAMPLERS: dict[str, Callable[[RandomState, int], Inputs]] = {
    "bellman_ford": weighted_graph_and_source,
    "bfs": graph_and_source,
    "insertion_sort": uniform_keys,
}
"""Inputs of one sample of each task, of a given size; what `Task.execute` derives is left out."""


def draw(task: str, *, seed: int, samples: int, size: int) -> dict[str, Array]:
    """Inputs of several samples, drawn one after another from one generator.

    Args:
        task: registry name.
        seed: of the generator.
        samples: how many.
        size: of each.

    Returns:
        Inputs for `Task.execute`, by probe name, with a leading batch axis.

    Raises:
        ValueError: the task has no legacy sampler.
    """
    if task not in SAMPLERS:
        raise ValueError(
            f"{task} has no canonical sets: they need its sampler of the CLRS benchmark in tasks/legacy.py; "
            f"{near(task, SAMPLERS)}"
        )
    random = RandomState(seed)
    drawn = [SAMPLERS[task](random, size) for _ in range(samples)]
    return {name: np.stack([sample[name] for sample in drawn]) for name in drawn[0]}
