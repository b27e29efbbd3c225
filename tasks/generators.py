"""Random inputs: keys, bits, pairs, positions and graphs, each sample from its own counter-based stream.

Every function takes a seed and the numbers of the samples. Sample number i of a seed is a pure function of
(seed, i): its generator is a splitmix64 counter (Steele, Lea and Flood, OOPSLA 2014) whose start is a hash of
(seed, i, purpose), so that neither the batch around it nor another purpose's draws can change it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.kernel import kernel

Array = NDArray[Any]

GRAPH_KINDS = ("clrs", "sparse", "grid", "tree", "path", "dense_mix")
"""Names of the random graphs of `graphs`, in the order of their codes."""
EXCHANGEABLE = 4
"""How many families of `tasks.graph_families`, the first ones, keep their labels, which say nothing anyway."""
UNDIRECTED, DIRECTED, ACYCLIC = range(3)
"""How the edges of a graph are directed."""

# One purpose, one stream.
SIZE, KIND, DATA, POSITION, OPERATION, QUERY, MEMBER, SECOND_POSITION, SECOND_DATA, SPLIT = range(10)
FAMILY, ROUNDS = range(100, 102)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_WEIGHT_FLOOR = 1e-3  # the CLRS samplers add it under the root so that no weight underflows to "no edge"
_LOW_HALF = 0xFFFFFFFF
_BLOCKS = 4  # communities of a graph with communities
_TOGGLED = 0.01  # probability that an arc within a community is flipped, or that one to a later community is added


def seed_word(seed: int) -> np.uint64:
    """Any Python integer as the 64-bit word that the kernels take."""
    return np.uint64(seed & 0xFFFFFFFFFFFFFFFF)


@kernel
def _mix(x):
    """The splitmix64 finaliser: a bijective hash of 64 bits."""
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@kernel
def _start(stream, seed, index, purpose):
    """Put a stream at the beginning of (seed, index, purpose)."""
    key = _mix(seed + _GOLDEN)
    key = _mix(key ^ _mix(np.uint64(index) * _GOLDEN + np.uint64(1)))
    stream[0] = _mix(key ^ _mix(np.uint64(purpose) + _MIX_1))


@kernel
def _word(stream):
    """The next 64 random bits."""
    stream[0] += _GOLDEN
    return _mix(stream[0])


@kernel
def _uniform(stream):
    """The next double in [0, 1)."""
    return np.float64(_word(stream) >> np.uint64(11)) * 2.0**-53


@kernel
def _below(stream, bound):
    """The next integer in [0, bound), for bounds up to 2^32."""
    return np.int64(((_word(stream) >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


@kernel
def _permutation(stream, n):
    """A random permutation (Fisher-Yates)."""
    order = np.arange(n)
    for i in range(n - 1, 0, -1):
        j = _below(stream, i + 1)
        order[i], order[j] = order[j], order[i]
    return order


@kernel
def choices(seed, index, counts, purpose):
    """One integer in [0, counts[b]) for each sample, int64 `[batch]`."""
    chosen = np.zeros(len(index), np.int64)
    stream = np.empty(1, np.uint64)
    for b in range(len(index)):
        if counts[b] > 1:
            _start(stream, seed, index[b], purpose)
            chosen[b] = _below(stream, counts[b])
    return chosen


@kernel
def positions(seed, index, sizes, starts, width, random, purpose=POSITION):
    """Node positions, written at `starts` of a row of `width`: arange(n) / n, or n sorted draws from U[0, 1)."""
    out = np.zeros(width, np.float32)
    sums = np.empty(width)
    stream = np.empty(1, np.uint64)
    for b in range(len(sizes)):
        n = sizes[b]
        first = starts[b]
        if random:
            # Sorted uniforms in linear time: partial sums of n + 1 exponentials over their total (Devroye, 1986, V.3).
            _start(stream, seed, index[b], purpose)
            total = 0.0
            for i in range(n):
                total -= math.log(1.0 - _uniform(stream))
                sums[i] = total
            total -= math.log(1.0 - _uniform(stream))
            for i in range(n):
                out[first + i] = np.float32(sums[i] / total)
        else:
            for i in range(n):
                out[first + i] = np.float32(i / n)
    return out


@kernel
def keys(seed, index, sizes, nodes, purpose=DATA):
    """Draws from U[0, 1), representable in float32 and padded with zeros, as float64 `[batch, nodes]`."""
    out = np.zeros((len(sizes), nodes))
    stream = np.empty(1, np.uint64)
    for b in range(len(sizes)):
        _start(stream, seed, index[b], purpose)
        for i in range(sizes[b]):
            out[b, i] = np.float32(_uniform(stream))
    return out


@kernel
def uniforms(seed, index, counts, width, purpose=DATA):
    """Draws from U[0, 1) in full precision for the first `counts[b]` places of a row, float64 `[batch, width]`."""
    out = np.zeros((len(counts), width))
    stream = np.empty(1, np.uint64)
    for b in range(len(counts)):
        _start(stream, seed, index[b], purpose)
        for i in range(counts[b]):
            out[b, i] = _uniform(stream)
    return out


@kernel
def flat_uniforms(seed, index, counts, purpose):
    """Draws from U[0, 1), `counts[b]` of sample b and one sample's after another's, as float64 `[Σcounts]`.

    A larger count only adds draws after those of a smaller one.
    """
    out = np.empty(counts.sum())
    stream = np.empty(1, np.uint64)
    k = 0
    for b in range(len(counts)):
        _start(stream, seed, index[b], purpose)
        for _ in range(counts[b]):
            out[k] = _uniform(stream)
            k += 1
    return out


@kernel
def disk_points(seed, index, sizes, nodes, radius):
    """Points uniform over a disk around the origin: x and y, in float32 numbers as float64 `[2, batch, nodes]`."""
    out = np.zeros((2, len(sizes), nodes))
    stream = np.empty(1, np.uint64)
    for b in range(len(sizes)):
        _start(stream, seed, index[b], DATA)
        for i in range(sizes[b]):
            x, y = 1.0, 1.0
            while x * x + y * y > 1.0:  # rejection from the square needs no sine, whose last bit differs by machine
                x = 2.0 * _uniform(stream) - 1.0
                y = 2.0 * _uniform(stream) - 1.0
            out[0, b, i] = np.float32(radius * x)
            out[1, b, i] = np.float32(radius * y)
    return out


@kernel
def _turns_left(x0, y0, x1, y1, x2, y2):
    """Whether the path over three points turns left at the second."""
    return (y2 - y0) * (x1 - x0) > (y1 - y0) * (x2 - x0)


@kernel
def segment_pairs(seed, index):
    """Ends of two segments in the unit square that cross in every other sample: x and y, float64 `[2, batch, 4]`.

    A fair coin says whether they shall cross; uniform ends, in float32 numbers, are drawn until they do as it says.
    """
    out = np.empty((2, len(index), 4))
    stream = np.empty(1, np.uint64)
    for b in range(len(index)):
        _start(stream, seed, index[b], DATA)
        wanted = _below(stream, 2) == 1
        x, y = out[0, b], out[1, b]
        cross = not wanted
        while cross != wanted:
            for axis in range(2):
                for i in range(4):
                    out[axis, b, i] = np.float32(_uniform(stream))
            cross = _turns_left(x[0], y[0], x[2], y[2], x[3], y[3]) != _turns_left(x[1], y[1], x[2], y[2], x[3], y[3])
            if _turns_left(x[0], y[0], x[1], y[1], x[2], y[2]) == _turns_left(x[0], y[0], x[1], y[1], x[3], y[3]):
                cross = False
    return out


@kernel
def words(seed, index, counts, channels, rows):
    """Random bits for the first `counts[b]` of `rows` words of each sample, bool `[batch, rows, channels]`."""
    out = np.zeros((len(counts), rows, channels), np.bool_)
    stream = np.empty(1, np.uint64)
    for b in range(len(counts)):
        _start(stream, seed, index[b], DATA)
        for i in range(counts[b]):
            for c in range(channels):
                out[b, i, c] = (_word(stream) >> np.uint64(63)) == np.uint64(1)
    return out


@kernel
def symbols(seed, index, counts, kinds, rows):
    """Random symbols from 1 to `kinds` for the first `counts[b]` of `rows` places, int8 `[batch, rows]`, 0 after."""
    out = np.zeros((len(counts), rows), np.int8)
    stream = np.empty(1, np.uint64)
    for b in range(len(counts)):
        _start(stream, seed, index[b], DATA)
        for i in range(counts[b]):
            out[b, i] = 1 + _below(stream, kinds)
    return out


@kernel
def distinct_pairs(seed, index, sizes, counts, rows):
    """Pairs (u, v), u != v, of nodes of each sample, int64 `[rows, batch, 2]`; -1 past `counts[b]`."""
    out = np.full((rows, len(sizes), 2), -1, np.int64)
    stream = np.empty(1, np.uint64)
    for b in range(len(sizes)):
        _start(stream, seed, index[b], OPERATION)
        for t in range(counts[b]):
            u = _below(stream, sizes[b])
            v = _below(stream, sizes[b] - 1)
            out[t, b, 0] = u
            out[t, b, 1] = v + 1 if v >= u else v
    return out


@kernel
def _pair(i, j):
    """An edge as one integer, so that lists of edges are flat."""
    return (np.int64(i) << 32) | np.int64(j)


@kernel
def _grown(array, count, capacity):
    """The first `count` entries in a longer array."""
    longer = np.empty(capacity, array.dtype)
    for k in range(count):
        longer[k] = array[k]
    return longer


@kernel
def _squared_edges(stream, n, p):
    """Pairs i <= j of the elementwise product of an iid Bernoulli(p) matrix and its transpose."""
    pairs = np.empty(n * (n + 1) // 2, np.int64)
    count = 0
    for i in range(n):
        for j in range(i, n):
            if _uniform(stream) < (p if i == j else p * p):
                pairs[count] = _pair(i, j)
                count += 1
    return pairs[:count]


@kernel
def _erdos_renyi_edges(stream, n, p):
    """Pairs i < j, each with probability p, in time linear in their number (Batagelj and Brandes, 2005)."""
    pairs = np.empty(int(p * n * (n - 1) * 0.6) + 16, np.int64)
    if p <= 0.0:
        return pairs[:0]
    count = 0
    i, j = -1, 1
    scale = 1.0 / math.log(1.0 - p) if p < 1.0 else 0.0  # p = 1 skips nothing
    while n > 1:
        gap = math.log(1.0 - _uniform(stream)) * scale  # 1 - U is in (0, 1]
        if gap >= n * n:
            break
        i += 1 + int(gap)
        while i >= j and j < n:
            i -= j
            j += 1
        if j >= n:
            break
        if count == len(pairs):
            pairs = _grown(pairs, count, 2 * count)
        pairs[count] = _pair(i, j)
        count += 1
    return pairs[:count]


@kernel
def _grid_edges(n):
    """Edges of a grid about sqrt(n) wide, filled row by row; the last row may be short."""
    side = int(math.sqrt(n))
    while side * side > n:
        side -= 1
    while (side + 1) * (side + 1) <= n:
        side += 1
    pairs = np.empty(2 * n, np.int64)
    count = 0
    for i in range(n):
        if (i + 1) % side != 0 and i + 1 < n:
            pairs[count] = _pair(i, i + 1)
            count += 1
        if i + side < n:
            pairs[count] = _pair(i, i + side)
            count += 1
    return pairs[:count]


@kernel
def _parent_edges(stream, n, recursive):
    """Edges of a random recursive tree (parent uniform among earlier nodes), or of a path."""
    pairs = np.empty(n - 1, np.int64)
    for i in range(1, n):
        pairs[i - 1] = _pair(_below(stream, i) if recursive else i - 1, i)
    return pairs


@kernel
def _iid_arcs(stream, n, p, acyclic):
    """Pairs i <= j of an iid Bernoulli(p) matrix and their ways; if acyclic, of its part above the diagonal."""
    pairs = np.empty(n * (n + 1) // 2, np.int64)
    ways = np.empty(n * (n + 1) // 2, np.int8)
    count = 0
    for i in range(n):
        for j in range(i + 1 if acyclic else i, n):
            way = (1 if _uniform(stream) < p else 0) + (2 if not acyclic and i < j and _uniform(stream) < p else 0)
            if way:
                pairs[count] = _pair(i, j)
                ways[count] = way
                count += 1
    return pairs[:count], ways[:count]


@kernel
def _community_arcs(stream, n, p):
    """As `_iid_arcs` within each community; between communities, few arcs and those to later ones only."""
    pairs = np.empty(n * (n + 1) // 2, np.int64)
    ways = np.empty(n * (n + 1) // 2, np.int8)
    blocks = min(_BLOCKS, n)
    width = n // blocks
    count = 0
    for i in range(n):
        for j in range(i, n):
            same = min(i // width, blocks - 1) == min(j // width, blocks - 1)
            way = 0
            for k in range(2 if same and i < j else 1):
                present = same and _uniform(stream) < p
                if present != (_uniform(stream) < _TOGGLED):
                    way += k + 1
            if way:
                pairs[count] = _pair(i, j)
                ways[count] = way
                count += 1
    return pairs[:count], ways[:count]


@kernel
def _relabel(pairs, ways, label):
    """Give the nodes of pairs other names, smaller first; ways go with them."""
    for e in range(len(pairs)):
        u, v = label[pairs[e] >> 32], label[pairs[e] & _LOW_HALF]
        pairs[e] = _pair(min(u, v), max(u, v))
        if u > v and ways[e] != 3:
            ways[e] = 3 - ways[e]


@kernel
def _edges(stream, n, kind, made, orientation, density, mix, communities):
    """Pairs of one random graph, each once, and their ways: 1 from the first to the second node, 2 back, 3 both.

    Only CLRS graphs have edges from a node to itself, of way 1 or 3. Kinds past the last have the pairs `made`.
    """
    if kind == 0 or kind == 5:
        p = density if kind == 0 else 0.1 * (1 + _below(stream, 9)) * mix
        if orientation == UNDIRECTED:
            pairs = _squared_edges(stream, n, p)
            return pairs, np.full(len(pairs), 3, np.int8)
        if communities:
            pairs, ways = _community_arcs(stream, n, p)
        else:
            pairs, ways = _iid_arcs(stream, n, p, orientation == ACYCLIC)
        if communities or orientation == ACYCLIC:
            _relabel(pairs, ways, _permutation(stream, n))
        return pairs, ways
    if kind == 1:
        pairs = _erdos_renyi_edges(stream, n, min(1.0, 2.0 * math.log(n) / n))
    elif 6 <= kind < 6 + EXCHANGEABLE:
        pairs = made
    else:
        pairs = made if kind > 5 else _grid_edges(n) if kind == 2 else _parent_edges(stream, n, kind == 3)
        label = _permutation(stream, n)
        for e in range(len(pairs)):
            pairs[e] = _pair(label[pairs[e] >> 32], label[pairs[e] & _LOW_HALF])
    ways = np.full(len(pairs), 3, np.int8)
    if orientation == DIRECTED:
        for e in range(len(pairs)):
            ways[e] = 1 + _below(stream, 3)
    elif orientation == ACYCLIC:
        rank = _permutation(stream, n)
        for e in range(len(pairs)):
            ways[e] = 1 if rank[pairs[e] >> 32] < rank[pairs[e] & _LOW_HALF] else 2
    return pairs, ways


@kernel
def _weight(stream, loop):
    """sqrt(U_ij U_ji + 1e-3), rounded to float32; on the diagonal both factors are the same draw."""
    first = _uniform(stream)
    second = first if loop else _uniform(stream)
    return np.float64(np.float32(math.sqrt(first * second + _WEIGHT_FLOOR)))


@kernel
def _ascending(pairs):
    """Whether pairs of different nodes are in the order of their second, larger nodes, then of their first."""
    for e in range(len(pairs)):
        u, v = pairs[e] >> 32, pairs[e] & _LOW_HALF
        if u >= v:
            return False
        if e > 0:
            before = pairs[e - 1] & _LOW_HALF
            if before > v or (before == v and pairs[e - 1] >> 32 >= u):
                return False
    return True


@kernel
def _write_ascending(pairs, weights, free, neighbours, values):
    """Write one graph's rows in one pass, as every row then gets its neighbours in order; rows begin at `free`."""
    e = 0
    for v in range(len(free)):
        while e < len(pairs) and pairs[e] & _LOW_HALF == v:
            u = pairs[e] >> 32
            neighbours[free[v]] = u
            values[free[v]] = weights[e, 1]
            free[v] += 1
            neighbours[free[u]] = v
            values[free[u]] = weights[e, 0]
            free[u] += 1
            e += 1
        neighbours[free[v]] = v
        values[free[v]] = 0.0
        free[v] += 1


@kernel
def _write_rows(pairs, weights, first, n, row_starts, neighbours, values):
    """Write one graph's rows, neighbours ascending, every node its own neighbour; row_starts[first] is given.

    `weights` `[pairs, 2]` are those from the first to the second node of each pair, and back; 0 where there is no edge.
    """
    loops = np.zeros(n)
    degree = np.ones(n, np.int64)
    for e in range(len(pairs)):
        u, v = pairs[e] >> 32, pairs[e] & _LOW_HALF
        if u == v:
            loops[u] = weights[e, 0]
        else:
            degree[u] += 1
            degree[v] += 1
    for u in range(n):
        row_starts[first + u + 1] = row_starts[first + u] + degree[u]
    if _ascending(pairs):
        _write_ascending(pairs, weights, row_starts[first : first + n].copy(), neighbours, values)
        return
    free = np.empty(n, np.int64)
    base = row_starts[first]
    for u in range(n):
        free[u] = row_starts[first + u] - base
    unsorted = np.empty(row_starts[first + n] - base, np.int32)
    unsorted_values = np.empty(row_starts[first + n] - base)
    for u in range(n):
        unsorted[free[u]] = u
        unsorted_values[free[u]] = loops[u]
        free[u] += 1
    for e in range(len(pairs)):
        u, v = pairs[e] >> 32, pairs[e] & _LOW_HALF
        if u != v:
            unsorted[free[u]] = v
            unsorted_values[free[u]] = weights[e, 1]
            free[u] += 1
            unsorted[free[v]] = u
            unsorted_values[free[v]] = weights[e, 0]
            free[v] += 1
    # So far it is the transpose, in no order; transposing it again fills the rows in ascending order.
    for u in range(n):
        free[u] = row_starts[first + u]
    for u in range(n):
        for k in range(row_starts[first + u] - base, row_starts[first + u + 1] - base):
            v = unsorted[k]
            neighbours[free[v]] = u
            values[free[v]] = unsorted_values[k]
            free[v] += 1


@kernel
def _weights(stream, pairs, ways, weighted, orientation):
    """Weights of pairs in each direction, float64 `[pairs, 2]`: 1, or random."""
    weights = np.zeros((len(pairs), 2))
    for e in range(len(pairs)):
        loop = pairs[e] >> 32 == pairs[e] & _LOW_HALF
        if not weighted:
            weights[e, 0] = ways[e] & 1
            weights[e, 1] = ways[e] >> 1
        elif orientation == UNDIRECTED:
            weights[e, :] = _weight(stream, loop)
        else:
            for k in range(2):
                if ways[e] >> k & 1:
                    weights[e, k] = np.float64(np.float32(1.0 - _uniform(stream)))  # in (0, 1]: 0 is no edge
    return weights


@kernel
def graphs(
    seed, index, sizes, kinds, made, spans, weighted, orientation=UNDIRECTED, density=0.5, mix=1.0, communities=False
):
    """Random graphs with a random source, as one block-diagonal matrix in compressed rows.

    Kinds, by position in `GRAPH_KINDS`: `clrs` (undirected: elementwise B * B^T of an iid Bernoulli(density) matrix B,
    so that at density 1/2 an edge has probability 1/4 and a loop 1/2; directed: B itself; acyclic: its part above the
    diagonal, relabelled), `sparse` (Erdős-Rényi with p = min(1, 2 ln n / n)), `grid`, `tree`, `path` (relabelled at
    random), `dense_mix` (as `clrs` with a density uniform in {0.1, …, 0.9} times `mix`, the training distribution of
    Ibarz et al., LoG 2022). Graph b of a kind past these has the `spans[b, 1]` pairs from `made[spans[b, 0]]` on, see
    `tasks.graph_families`, relabelled at random but for the `EXCHANGEABLE` families; `made` is written over.

    Edges of all but `clrs` and `dense_mix` graphs go, if directed, one way, the other, or both, equally often; if
    acyclic, along a random order of the nodes. With `communities`, a directed `clrs` or `dense_mix` graph falls into
    four parts that only few arcs join, all to later parts. Weights are sqrt(U_ij U_ji + 1e-3) of undirected edges,
    else from U(0, 1].

    Returns:
        row_starts int64 `[ΣN + 1]`, neighbours int32 `[ΣE]` (local, ascending within a row, the node itself always
        among them, and a neighbour in one direction also in the other), values float64 `[ΣE]` (1 or a weight; 0 where
        there is no edge), source int64 `[B]`.
    """
    nodes = sizes.sum()
    row_starts = np.zeros(nodes + 1, np.int64)
    neighbours = np.empty(4 * nodes + 64, np.int32)
    values = np.empty(4 * nodes + 64)
    source = np.empty(len(sizes), np.int64)
    stream = np.empty(1, np.uint64)
    first = 0
    for b in range(len(sizes)):
        n = sizes[b]
        _start(stream, seed, index[b], DATA)
        source[b] = _below(stream, n)
        own = made[spans[b, 0] : spans[b, 0] + spans[b, 1]]
        pairs, ways = _edges(stream, n, kinds[b], own, orientation, density, mix, communities)
        weights = _weights(stream, pairs, ways, weighted, orientation)
        used = row_starts[first]
        need = used + 2 * len(pairs) + n
        if need > len(neighbours):
            neighbours, values = _grown(neighbours, used, 2 * need), _grown(values, used, 2 * need)
        _write_rows(pairs, weights, first, n, row_starts, neighbours, values)
        first += n
    return row_starts, neighbours[: row_starts[nodes]], values[: row_starts[nodes]], source
