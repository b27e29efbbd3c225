"""Families of random graphs beyond the benchmark's own: what the papers on size generalisation draw from.

Each sample's graph is a function of its own uniform draws, the tape; what is made of one stands in `graph_growth`.
Time and memory are linear in the edges, but n log n for the two families of points. `generators.graphs` gives all
graphs random directions and weights, and labels where those tell anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import generators, graph_growth

Array = NDArray[Any]

FAMILIES = (
    "erdos_renyi",
    "erdos_renyi_16",
    "erdos_renyi_threshold",
    "erdos_renyi_log2",
    "watts_strogatz",
    "barabasi_albert",
    "prufer_tree",
    "community",
    "caveman",
    "ladder",
    "lobster",
    "nearest_neighbours",
    "delaunay",
)
"""Names, in the order of their codes; the first `generators.EXCHANGEABLE` are equally likely whatever their labels.

- `erdos_renyi`: each edge with probability c ln n / n, c uniform in [1, 3], drawn until connected: the graphs that
  SALSA-CLRS (Minder et al., LoG 2023) validates and tests on. `erdos_renyi_16`: the probabilities of n = 16 at every n,
  its training graphs (of 4 to 16 nodes).
- `erdos_renyi_threshold`: probability ln n / n, where graphs begin to be connected. `erdos_renyi_log2`: probability
  min(log2 n / n, 1/2), as in Veličković et al. (ICLR 2020), "Neural Execution of Graph Algorithms". Neither need be
  connected.
- `watts_strogatz`: a ring in which each node knows its k nearest, each edge rewired with probability p (Watts and
  Strogatz, 1998), drawn until connected; k in {4, 6, 8} and p in [0.05, 0.2] as in SALSA-CLRS. Of k nodes or fewer,
  the widest ring that there is.
- `barabasi_albert`: from a star on, each further node is joined to m others, in proportion to their degrees (Barabási
  and Albert, 1999); m is 4 or 5, as in Veličković et al. (2020), at most n - 1.
- `prufer_tree`: a tree drawn uniformly from all labelled ones, by its Prüfer sequence; ibid. (`tree` is shallower.)
- `community`: four equal parts with edges of probability 0.7, and of 0.01 between them; ibid. Dense at every size.
- `caveman`: four equal cliques that keep each edge with probability 0.3, and 0.025 n edges between them, rounded up;
  ibid. Dense at every size.
- `ladder`: two paths of n / 2 nodes, joined by rungs; of an odd number of nodes one path is longer; ibid.
- `lobster`: a path with leaves and leaves on these, as IterGNN draws them (Tang et al., NeurIPS 2020): a leaf for a
  fifth of the path's nodes, each on any of them, and a further one for a fifth of the leaves; here so many that there
  are n nodes in all.
- `nearest_neighbours`: points uniform on a line, two joined if one is among the other's 8 nearest; ibid.
- `delaunay`: the Delaunay triangulation of points uniform in the unit square; SALSA-CLRS, and ibid. as `mesh`.
"""

_TAPES = FAMILIES.index("nearest_neighbours")  # families before this one are made from tapes by kernels
_NEIGHBOURS = 8
_LARGEST = 2**31


def pairs(seed: np.uint64, index: Array, sizes: Array, kinds: Array) -> tuple[Array, Array]:
    """Edges of random graphs.

    Args:
        seed: the stream of samples.
        index: number of each sample, int64 `[batch]`.
        sizes: number of nodes of each, int64 `[batch]`.
        kinds: position of each one's family in `FAMILIES`; samples with a negative one get no graph. int64 `[batch]`.

    Returns:
        Edges u < v as u 2^32 + v, each once, int64; and of each sample where its own begin and how many they are,
        int64 `[batch, 2]`.

    Raises:
        ValueError: a graph so large that it would have billions of edges.
    """
    spans = np.zeros((len(sizes), 2), np.int64)
    parts = [np.zeros(0, np.int64)]
    made = 0
    todo = np.flatnonzero((kinds >= 0) & (kinds < _TAPES))
    counts = graph_growth.draws(kinds[todo], sizes[todo])
    while len(todo):
        if counts.max() > _LARGEST:
            b = todo[counts.argmax()]
            raise ValueError(
                f"distribution {FAMILIES[kinds[b]]!r}: a graph of {sizes[b]} nodes would have too many edges"
            )
        tape = generators.flat_uniforms(seed, index[todo], counts, generators.FAMILY)
        edges, found = graph_growth.graphs(tape, counts, sizes[todo], kinds[todo])
        done = found[:, 1] >= 0
        spans[todo[done]] = found[done] + [made, 0]
        parts.append(edges)
        made += len(edges)
        todo, counts = todo[~done], 2 * counts[~done]
    for b in np.flatnonzero(kinds >= _TAPES):
        edges = _of_points(seed, index[b : b + 1], int(sizes[b]), FAMILIES[kinds[b]])
        spans[b] = made, len(edges)
        parts.append(edges)
        made += len(edges)
    return (parts[1] if len(parts) == 2 else np.concatenate(parts)), spans


def _of_points(seed: np.uint64, index: Array, n: int, family: str) -> Array:
    """Edges of one graph of random points."""
    dimensions = 2 if family == "delaunay" else 1
    draws = generators.flat_uniforms(seed, index, np.full(1, dimensions * n), generators.FAMILY)
    if family == "nearest_neighbours":
        return graph_growth.nearest(np.sort(draws), min(_NEIGHBOURS, n - 1))
    if n < 4:  # every triangle is its own triangulation
        u, v = np.triu_indices(n, 1)
    else:
        from scipy.spatial import Delaunay

        starts, neighbours = Delaunay(draws.reshape(n, 2)).vertex_neighbor_vertices
        u, v = np.repeat(np.arange(n), np.diff(starts)), neighbours
        once = u < v
        u, v = u[once], v[once]
    return (u.astype(np.int64) << 32) | v.astype(np.int64)
