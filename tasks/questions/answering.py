"""Answers to questions about labelled graphs, from the facts as they are told."""

from __future__ import annotations

import numpy as np

from tasks.kernel import kernel

_NUMBERS = 1000  # labels are numbers below this one


@kernel
def follow(facts, counts, starts, walks, steps):
    """Where labels lead: facts `[batch, longest, 3]` one after another, -1 past the last; which could be followed.

    A walk cannot be followed where no fact, or more than one, has its label.
    """
    batch = len(counts)
    trail = np.full((batch, walks.shape[1], 3), -1, np.int16)
    whole = np.ones(batch, np.bool_)
    for b in range(batch):
        here = starts[b]
        for step in range(steps[b]):
            found = -1
            for e in range(counts[b]):
                if facts[b, e, 0] == here and facts[b, e, 1] == walks[b, step]:
                    whole[b] = whole[b] and found < 0
                    found = e
            if found < 0:
                whole[b] = False
                break
            trail[b, step] = facts[b, found]
            here = facts[b, found, 2]
    return trail, whole


@kernel
def shortest(facts, counts, starts, goals):
    """Shortest paths from starts to goals: facts `[batch, longest, 3]` one after another, -1 past the last; lengths.

    Of several the one whose first edge has the lowest label (then leads to the lowest label), and so on. The length is
    -1 where there is no path.
    """
    batch = len(counts)
    distance = np.empty(_NUMBERS, np.int64)
    trail = np.full((batch, _NUMBERS, 3), -1, np.int16)
    lengths = np.full(batch, -1, np.int64)
    for b in range(batch):
        distance[:] = -1
        distance[goals[b]] = 0
        far, going = 0, True
        while going and distance[starts[b]] < 0:
            going = False
            for e in range(counts[b]):
                u, v = facts[b, e, 0], facts[b, e, 2]
                if distance[v] == far and distance[u] < 0:
                    distance[u] = far + 1
                    going = True
            far += 1
        lengths[b] = distance[starts[b]]
        here = starts[b]
        for step in range(lengths[b]):
            best = -1
            for e in range(counts[b]):
                nearer = facts[b, e, 0] == here and distance[facts[b, e, 2]] == lengths[b] - step - 1
                if nearer and (
                    best < 0
                    or facts[b, e, 1] < facts[b, best, 1]
                    or (facts[b, e, 1] == facts[b, best, 1] and facts[b, e, 2] < facts[b, best, 2])
                ):
                    best = e
            trail[b, step] = facts[b, best]
            here = facts[b, best, 2]
    return trail[:, : max(1, lengths.max())], lengths
