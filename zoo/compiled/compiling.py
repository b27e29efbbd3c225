"""From an algorithm's name to a Reasoner that runs it: `compile_algorithm`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from tasks.registry import near
from tasks.spec import Spec
from zoo.binding import UNBOUND
from zoo.compiled.bellman_ford import bellman_ford
from zoo.compiled.bellman_ford_attention import bellman_ford_attention
from zoo.compiled.bfs import bfs, bfs_attention
from zoo.compiled.dfs import dfs, dfs_attention
from zoo.compiled.divide_and_conquer_components import divide_and_conquer_components
from zoo.compiled.exchanges import bubble_sort, odd_even_transposition_sort
from zoo.compiled.floyd_warshall import floyd_warshall
from zoo.compiled.keys import minimum, search, sorting
from zoo.compiled.placing import place
from zoo.compiled.program import Program, Scores
from zoo.compiled.searches import binary_search, parallel_search
from zoo.compiled.strongly_connected_components import strongly_connected_components
from zoo.reasoner import Reasoner
from zoo.registry import create

ALGORITHMS: Mapping[str, Sequence[Callable[[], Program]]] = {
    "bfs": (bfs, bfs_attention),
    "bellman_ford": (bellman_ford, bellman_ford_attention),
    "dfs": (dfs, dfs_attention),
    "floyd_warshall": (floyd_warshall,),
    "divide_and_conquer_components": (divide_and_conquer_components,),
    "strongly_connected_components": (strongly_connected_components,),
    "minimum": (minimum,),
    "binary_search": (binary_search, search),
    "parallel_search": (parallel_search,),
    "bubble_sort": (bubble_sort,),
    "odd_even_transposition_sort": (odd_even_transposition_sort,),
    **dict.fromkeys(("insertion_sort", "heapsort", "quicksort"), (sorting,)),
}
"""Programs by the name of the task that they solve, each for other processors."""

_PLAIN: Mapping[str, Any] = {"use_ln": False, "gated": False}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "mpnn": {"adjacency": "given", **_PLAIN},
    "pgn": {"masking": False, **_PLAIN},
    "gatv2": {"adjacency": "given", "heads": 1, "residual": True, "use_ln": False},
    "triplet_gmpnn": {"adjacency": "given", **_PLAIN},
}
"""Options under which each processor is what a `Program` is written for."""


class Plan(NamedTuple):
    """What a compiled model is made of, beside its weights.

    Attributes:
        program: the algorithm.
        processor: name of the processor.
        options: of the processor.
        bind: of its heads, see `Reasoner`.
    """

    program: Program
    processor: str
    options: Mapping[str, Any]
    bind: Mapping[str, str]


def list_algorithms() -> list[str]:
    """Names of the algorithms that can be compiled, sorted."""
    return sorted(ALGORITHMS)


def processors(algorithm: str) -> list[str]:
    """Names of the processors that an algorithm can be written into.

    Raises:
        ValueError: there is no such algorithm.
    """
    _check(algorithm)
    return [name for make in ALGORITHMS[algorithm] for name in make().processors]


def _check(algorithm: str) -> None:
    """Refuse an unknown name."""
    if algorithm not in ALGORITHMS:
        raise ValueError(f"unknown algorithm {algorithm!r}; {near(algorithm, ALGORITHMS)}")


def plan(algorithm: str | Program, processor: str | None = None) -> Plan:
    """The options under which a processor runs an algorithm.

    Args:
        algorithm: its name, or a program of your own.
        processor: registry name; by default the first that the program is for.

    Raises:
        ValueError: there is no such algorithm, or none for that processor.
    """
    if isinstance(algorithm, str):
        _check(algorithm)
    programs = [make() for make in ALGORITHMS[algorithm]] if isinstance(algorithm, str) else [algorithm]
    by_processor = {name: program for program in programs for name in program.processors}
    processor = next(iter(by_processor)) if processor is None else processor
    if processor not in by_processor:
        raise ValueError(f"no program for processor {processor!r}; {near(processor, by_processor)}")
    program = by_processor[processor]
    count = {kind: len(names) for kind, names in program.channels.items()}
    terms = [len(readout.units) for readout in program.readouts.values() if isinstance(readout, Scores)]
    inside = [count.get(kind, 0) for kind in ("hidden", "message", "new_edge")]
    sizes = {
        "hidden_size": max(*inside, *terms, len(program.units), len(program.logit), 1),
        "input_size": max(count.get("node", 0), count.get("edge", 0), count.get("graph", 0), 1),
        **({"message_layers": int(bool(program.units))} if program.attention is None else {}),
    }
    bind = {"pointers": UNBOUND} if processor == "pgn" else {}
    options = {**sizes, **_OPTIONS[processor], **program.options.get(processor, {})}
    return Plan(program, processor, options, bind)


def compile_algorithm(
    algorithm: str | Program,
    spec: Spec,
    processor: str | None = None,
    *,
    hidden_size: int | None = None,
    input_size: int | None = None,
) -> Reasoner:
    """A Reasoner whose weights are an algorithm's.

    Args:
        algorithm: its name, or a program of your own.
        spec: of the task that it solves.
        processor: registry name of the processor to write it into; by default the first that the program is for.
        hidden_size: width of the hidden, where it is to be wider than needed: the parameters of other units are 0.
        input_size: width of encoded inputs, likewise.

    Returns:
        The model in evaluation mode, in the precision that the program asks for; in float64 torch's default dtype must
        be float64 when it runs, too.

    Raises:
        ValueError: there is no such algorithm, or none for that processor; a width below what it needs.
    """
    made = plan(algorithm, processor)
    asked = {"hidden_size": hidden_size, "input_size": input_size}
    widths = {name: width for name, width in asked.items() if width is not None}
    for name, width in widths.items():
        if width < made.options[name]:
            raise ValueError(f"{name} must be at least {made.options[name]} for this algorithm, not {width}")
    model = Reasoner(
        spec,
        create(made.processor, **{**made.options, **widths}),
        config=made.program.reasoner,
        bind={spec.task: dict(made.bind)} if made.bind else None,
    )
    model = model.to(getattr(torch, made.program.precision))
    place(made.program, model)
    return model.eval()
