"""Random labelled graphs and questions about them, as deterministic functions of uniform draws."""

from __future__ import annotations

import numpy as np

from tasks.kernel import kernel

TRAVERSAL, SHORTEST_PATH, INFERENCE = range(3)
"""Kinds of questions."""
NUMBERS = 1000
"""Labels are numbers below this one."""
BASE = 10
"""Labels of edges in questions of inference are below this one."""


@kernel
def _next(tape, place, bound):
    """The next integer in [0, bound) of a tape of uniform draws."""
    found = np.int64(tape[place[0]] * bound)
    place[0] += 1
    return min(found, bound - 1)


@kernel
def _distinct(tape, place, count, bound):
    """Different integers in [0, bound), in random order."""
    pool = np.arange(bound)
    for i in range(count):
        j = i + _next(tape, place, bound - i)
        pool[i], pool[j] = pool[j], pool[i]
    return pool[:count]


@kernel
def _nearest(x, y, i, count):
    """The nearest points to point i, nearest first."""
    n = len(x)
    taken = np.zeros(n, np.bool_)
    taken[i] = True
    found = np.empty(count, np.int64)
    for k in range(count):
        best, least = -1, np.inf
        for j in range(n):
            distance = (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2
            if not taken[j] and distance < least:
                best, least = j, distance
        taken[best] = True
        found[k] = best
    return found


@kernel
def _random_graph(tape, place, lesson, labels):
    """Edges `[edges, 3]` (from, label, to) of a random graph, sorted by where they start, and its number of nodes.

    Points in the unit square, each joined to a random number of its nearest neighbours. Labels of the edges of a point
    are different and below `labels`.
    """
    n = lesson[0] + _next(tape, place, lesson[1] - lesson[0] + 1)
    x, y = np.empty(n), np.empty(n)
    for i in range(n):
        x[i], y[i] = tape[place[0] + 2 * i], tape[place[0] + 2 * i + 1]
    place[0] += 2 * n
    edges = np.empty((n * lesson[3], 3), np.int64)
    count = 0
    for i in range(n):
        degree = min(lesson[2] + _next(tape, place, lesson[3] - lesson[2] + 1), n - 1)
        neighbours = _nearest(x, y, i, degree)
        first = count
        for j in neighbours:
            drawn = _next(tape, place, labels - (count - first))
            label = drawn
            # The label-th of those not taken yet: one more for every taken one below.
            below = -1
            while below != label:
                below, taken = label, 0
                for e in range(first, count):
                    taken += edges[e, 1] <= label
                label = drawn + taken
            edges[count, 0], edges[count, 1], edges[count, 2] = i, label, j
            count += 1
    return edges[:count], n


@kernel
def _walk(tape, place, edges, n, length):
    """A random walk: where it starts, and the labels of its edges."""
    here = _next(tape, place, n)
    start = here
    labels = np.empty(length, np.int64)
    for step in range(length):
        count = 0
        for e in range(len(edges)):
            count += edges[e, 0] == here
        chosen = _next(tape, place, count)
        for e in range(len(edges)):
            if edges[e, 0] == here:
                if chosen == 0:
                    labels[step] = edges[e, 1]
                    here = edges[e, 2]
                    break
                chosen -= 1
    return start, labels


@kernel
def _distances(edges, n, start):
    """Distance of every node from a start, -1 out of reach, and the number of shortest paths, at most 2."""
    distance, ways = np.full(n, -1, np.int64), np.zeros(n, np.int64)
    distance[start], ways[start] = 0, 1
    far, going = 0, True
    while going:
        going = False
        for e in range(len(edges)):
            u, v = edges[e, 0], edges[e, 2]
            if distance[u] == far and (distance[v] < 0 or distance[v] == far + 1):
                distance[v] = far + 1
                ways[v] = min(ways[v] + ways[u], 2)
                going = True
        far += 1
    return distance, ways


@kernel
def _pair(tape, place, edges, n, wanted, unique):
    """A start and a goal at a distance, joined by one shortest path if `unique`; as near below it as there are any."""
    starts = _distinct(tape, place, n, n)
    chosen = tape[place[0]]
    place[0] += 1
    best, start, goal = 0, 0, 0
    for s in starts:
        distance, ways = _distances(edges, n, s)
        most, count = 0, 0
        for v in range(n):
            if best < distance[v] <= wanted and (ways[v] == 1 or not unique):
                count = count + 1 if distance[v] == most else (1 if distance[v] > most else count)
                most = max(most, distance[v])
        if most > best:
            best, start = most, s
            left = min(int(chosen * count), count - 1)
            for v in range(n):
                if distance[v] == most and (ways[v] == 1 or not unique):
                    if left == 0:
                        goal = v
                    left -= 1
        if best == wanted:
            break
    return start, goal


@kernel
def _lay_chain(tape, place, edges, n, chain):
    """A start from which a chain of labels leads somewhere; edges get other labels where it needs them.

    Each node on the way lets the chain go on along the edge of its label, or else along a random edge that the chain
    has not used yet. It has one if there are more edges than times that the chain can come by.
    """
    start = _next(tape, place, n)
    draws = tape[place[0] : place[0] + len(chain)]
    place[0] += len(chain)
    used = np.zeros(len(edges), np.bool_)
    here = start
    for step in range(len(chain)):
        found, free = -1, 0
        for e in range(len(edges)):
            if edges[e, 0] == here:
                free += not used[e]
                if edges[e, 1] == chain[step]:
                    found = e
        chosen = int(draws[step] * free)
        for e in range(len(edges)):
            if found < 0 and edges[e, 0] == here and not used[e]:
                if chosen == 0:
                    edges[e, 1] = chain[step]
                    found = e
                    break
                chosen -= 1
        used[found] = True
        here = edges[found, 2]
    return start


@kernel
def _run(ascending, least, most):
    """First and one past the last of the entries from least to most."""
    first, last = 0, 0
    for length in ascending:
        first += length < least
        last += length <= most
    return first, last


@kernel
def draw(tape, lessons, kind, unique, fixed, fixed_nodes, fixed_labels, chains, lengths, askable):
    """A graph and a question about it for each sample.

    Args:
        tape: uniform draws, float64 `[batch, width]`.
        lessons: int64 `[batch, 6]`: least and most nodes, edges of a node, and edges of a path (or chain).
        kind: of the questions.
        unique: whether there is to be only one shortest path.
        fixed: edges of a map, int64 `[edges, 3]` (from, label, to); none for random graphs.
        fixed_nodes: nodes of the map.
        fixed_labels: labels of the map.
        chains: labels of the edges that a relation stands for, int64 `[relations, longest]`.
        lengths: of the chains, in ascending order.
        askable: what the map has an answer to, int64 `[questions, 3]`: start, relation, and the length of its chain, in
            ascending order; some of every length that is asked for.

    Returns:
        Facts int16 `[batch, facts, 3]` (from, edge, to) in random order, -1 past the last, their numbers `[batch]`;
        starts `[batch]`, goals or relations `[batch]`, labels of walks `[batch, longest]`, and their lengths `[batch]`.
    """
    batch = len(lessons)
    room = max(len(fixed), (lessons[:, 1] * lessons[:, 3]).max())
    facts = np.full((batch, room, 3), -1, np.int16)
    counts, starts, goals = np.zeros(batch, np.int64), np.zeros(batch, np.int64), np.zeros(batch, np.int64)
    walks, steps = np.full((batch, lessons[:, 5].max()), -1, np.int64), np.zeros(batch, np.int64)
    place = np.zeros(1, np.int64)
    for b in range(batch):
        place[0] = 0
        row, lesson = tape[b], lessons[b]
        if len(fixed):
            edges, n = fixed.copy(), fixed_nodes
            if kind != INFERENCE:
                names = _distinct(row, place, fixed_labels, NUMBERS)
                edges[:, 1] = names[edges[:, 1]]
        else:
            edges, n = _random_graph(row, place, lesson, BASE if kind == INFERENCE else NUMBERS)
        nodes = _distinct(row, place, n, NUMBERS)
        wanted = lesson[4] + _next(row, place, lesson[5] - lesson[4] + 1)
        steps[b] = wanted
        if kind == TRAVERSAL:
            start, labels = _walk(row, place, edges, n, wanted)
            walks[b, :wanted] = labels
        elif kind == SHORTEST_PATH:
            start, goal = _pair(row, place, edges, n, wanted, unique)
            goals[b] = nodes[goal]
        elif len(fixed):
            first, last = _run(askable[:, 2], lesson[4], lesson[5])
            question = askable[first + _next(row, place, last - first)]
            start, goals[b] = question[0], question[1]
        else:
            first, last = _run(lengths, wanted, wanted)
            goals[b] = first + _next(row, place, last - first)
            start = _lay_chain(row, place, edges, n, chains[goals[b], :wanted])
        starts[b] = nodes[start]
        order = _distinct(row, place, len(edges), len(edges))
        counts[b] = len(edges)
        for e in range(len(edges)):
            facts[b, e, 0] = nodes[edges[order[e], 0]]
            facts[b, e, 1] = edges[order[e], 1]
            facts[b, e, 2] = nodes[edges[order[e], 2]]
    return facts, counts, starts, goals, walks, steps
