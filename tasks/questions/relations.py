"""What the labels of inference stand for: a fixed table of relations, each a chain of edges' labels."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tasks import generators
from tasks.questions.drawing import BASE
from tasks.questions.maps import BASE_RELATIONS, FAMILY_RELATIONS, Map

LENGTHS = (2, 3, 4, 5)
EACH = 100
_SEED = 2016


@cache
def relations() -> tuple[tuple[int, ...], ...]:
    """The chain of each relation by its label: the ten labels themselves, then a hundred chains of each of `LENGTHS`.

    Chains of one length are all different. Those of `FAMILY_RELATIONS` come first among them, the rest are random, the
    same in every run, so that a model can learn them by heart.
    """
    found: list[tuple[int, ...]] = [(label,) for label in range(BASE)]
    named = [tuple(BASE_RELATIONS.index(name) for name in chain) for chain in FAMILY_RELATIONS.values()]
    word = generators.seed_word(_SEED)
    for length in LENGTHS:
        chains = [chain for chain in named if len(chain) == length]
        for number in itertools.count():
            draws = generators.uniforms(word, np.array([number]), np.array([length]), length, generators.DATA)
            chain = tuple((draws[0] * BASE).astype(int).tolist())
            if len(chains) < EACH and chain not in chains:
                chains.append(chain)
            if len(chains) >= EACH:
                break
        found += chains
    return tuple(found)


def relation_names() -> dict[str, int]:
    """Labels of the relations that have a name."""
    table = relations()
    chains = {name: tuple(BASE_RELATIONS.index(edge) for edge in chain) for name, chain in FAMILY_RELATIONS.items()}
    return {name: table.index(chain) for name, chain in chains.items()}


@cache
def chain_table() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Chains, int64 `[relations, longest]` with -1 past their ends, and their lengths."""
    table = relations()
    lengths = np.array([len(chain) for chain in table], np.int64)
    chains = np.full((len(table), lengths.max()), -1, np.int64)
    for row, chain in zip(chains, table, strict=True):
        row[: len(chain)] = chain
    return chains, lengths


def askable(of: Map) -> NDArray[np.int64]:
    """Start, relation and chain length, int64 `[questions, 3]`, of all named relations and plain edges of a map."""
    follow = {(here, label): there for here, label, there in of.edges.tolist()}
    table, found = relations(), []
    for relation in (*range(BASE), *relation_names().values()):
        for start in range(len(of.nodes)):
            here: int | None = start
            for label in table[relation]:
                here = None if here is None else follow.get((here, label))
            if here is not None:
                found.append((start, relation, len(table[relation])))
    return np.array(sorted(found, key=lambda question: question[2]), np.int64)
