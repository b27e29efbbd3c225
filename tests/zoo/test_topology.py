"""Dense and sparse topologies: every verb says the same in both, values and gradients."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import pytest
import torch
from torch import Tensor

from tasks.spec import Location
from tests.zoo.graphs import Graphs, random_graphs
from zoo.message_max import message_max
from zoo.topology import DenseTopology, SparseTopology
from zoo.topology.base import Over

MIXED = [5, 1, 7, 2, 7]
UNIFORM = [4, 4, 4]
REDUCTIONS = ["max", "min", "sum", "mean"]
Move = Callable[[Tensor], Tensor]
BATCHES = [(MIXED, 0.4), (MIXED, 0.0), (UNIFORM, 0.5), ([1, 1], 0.5), ([6], 1.0)]


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(params=BATCHES, ids=str)
def graphs(request: pytest.FixtureRequest) -> Graphs:
    return random_graphs(*request.param)


def coarse(*shape: int) -> Tensor:
    """Random values with many ties, that want gradients."""
    return torch.randint(-1, 2, shape).double().requires_grad_()


def same(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def same_gradients(
    leaves: tuple[Tensor, Tensor], results: tuple[Tensor, Tensor], of_leaf: Move, of_result: Move
) -> None:
    """Gradients of one random function of a dense result, and of the sparse one; the moves take dense to sparse."""
    weight = torch.randn_like(results[0])
    found = []
    for leaf, result, factor in zip(leaves, results, (weight, of_result(weight)), strict=True):
        total = (torch.where(result.isfinite(), result, 0.0) * factor).sum()
        found.append(torch.autograd.grad(total, leaf)[0])
    same(of_leaf(found[0]), found[1])


def shape(graphs: Graphs) -> tuple[int, int]:
    batch, nodes = graphs.dense.node_mask().shape
    return batch, nodes


@pytest.mark.parametrize("over", ["receiver", "sender"])
@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_aggregate(graphs: Graphs, reduce, over) -> None:
    b, n = shape(graphs)
    dense = coarse(b, n, n, 3)
    sparse = graphs.edges(dense).detach().requires_grad_()
    a = graphs.dense.aggregate(dense, reduce, over)
    c = graphs.sparse.aggregate(sparse, reduce, over)
    same(graphs.nodes(a), c)
    same_gradients((dense, sparse), (a, c), graphs.edges, graphs.nodes)


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_pool(graphs: Graphs, reduce) -> None:
    b, n = shape(graphs)
    dense = coarse(b, n, 3)
    sparse = graphs.nodes(dense).detach().requires_grad_()
    a, c = graphs.dense.pool(dense, reduce), graphs.sparse.pool(sparse, reduce)
    same(a, c)
    same_gradients((dense, sparse), (a, c), graphs.nodes, lambda pooled: pooled)


@pytest.mark.parametrize("over", ["receiver", "sender", "graph", "nodes"])
def test_ties_of_large_logits_share(over: Over) -> None:
    topology = DenseTopology(1, 4)
    logits = torch.full((1, 4) if over == "nodes" else (1, 4, 4), 1e17, dtype=torch.float64)
    shares = topology.softmax(logits, over)
    torch.testing.assert_close(shares, torch.full_like(logits, 1 / (16 if over == "graph" else 4)), rtol=0, atol=1e-15)


@pytest.mark.parametrize("over", ["receiver", "sender", "graph", "nodes"])
def test_log_softmax(graphs: Graphs, over) -> None:
    b, n = shape(graphs)
    move = graphs.nodes if over == "nodes" else graphs.edges
    dense = torch.randn(*((b, n) if over == "nodes" else (b, n, n))).requires_grad_()
    with torch.no_grad():
        dense *= 1e3  # overflows exp unless the largest is taken away first
    sparse = move(dense).detach().requires_grad_()
    a, c = graphs.dense.log_softmax(dense, over), graphs.sparse.log_softmax(sparse, over)
    same(move(a), c)
    same_gradients((dense, sparse), (a, c), move, move)
    outside = ~(graphs.dense.node_mask() if over == "nodes" else graphs.dense.neighbours())
    assert (a[outside] == -torch.inf).all()
    assert (graphs.dense.softmax(dense, over)[outside] == 0).all()
    dims = {"receiver": 1, "sender": 2, "graph": (1, 2), "nodes": 1}[over]
    total = graphs.dense.softmax(dense, over).sum(dims)
    groups = graphs.dense.node_mask() if over in ("receiver", "sender") else torch.ones(b, dtype=torch.bool)
    same(total, groups.double())


@pytest.mark.parametrize("over", ["receiver", "sender", "graph", "nodes"])
def test_argmax_gives_ties_to_the_lowest(graphs: Graphs, over) -> None:
    b, n = shape(graphs)
    move = graphs.nodes if over == "nodes" else graphs.edges
    dense = coarse(*((b, n) if over == "nodes" else (b, n, n))).detach()
    a = graphs.dense.argmax(dense, over)
    c = graphs.sparse.argmax(move(dense), over)
    assert torch.equal(graphs.nodes(a) if over in ("receiver", "sender") else a, c)
    mask = graphs.dense.neighbours()
    for g, size in enumerate(graphs.sizes.tolist()):
        pairs = [(r, s) for r in range(size) for s in range(size) if mask[g, s, r]]
        if over == "nodes":
            assert a[g] == max(range(size), key=lambda k: (dense[g, k].item(), -k))
        elif over == "graph":
            assert tuple(a[g].tolist()) == max(pairs, key=lambda p: (dense[g, p[1], p[0]].item(), -p[0], -p[1]))
        for k in range(size if over in ("receiver", "sender") else 0):
            own = [p for p in pairs if p[0 if over == "receiver" else 1] == k]
            r, s = max(own, key=lambda p: (dense[g, p[1], p[0]].item(), -p[0], -p[1]))
            assert a[g, k] == (s if over == "receiver" else r)


def test_values_at_ends_of_edges(graphs: Graphs) -> None:
    b, n = shape(graphs)
    x, y, g = torch.randn(b, n, 3), torch.randn(b, n, 3), torch.randn(b, 3)
    flat_x, flat_y = graphs.nodes(x), graphs.nodes(y)
    edges = torch.randn(b, n, n, 3)
    full = (b, n, n, 3)
    same(graphs.edges(graphs.dense.senders(x).expand(full)), graphs.sparse.senders(flat_x))
    same(graphs.edges(graphs.dense.receivers(x).expand(full)), graphs.sparse.receivers(flat_x))
    same(graphs.edges(graphs.dense.reverse(edges)), graphs.sparse.reverse(graphs.edges(edges)))
    same(graphs.edges(graphs.dense.dot(x, y)), graphs.sparse.dot(flat_x, flat_y))
    same(graphs.dense.dot(x, y), torch.einsum("bsh,brh->bsr", x, y))
    same(graphs.nodes(graphs.dense.to_nodes(g).expand(b, n, 3)), graphs.sparse.to_nodes(g))
    same(graphs.edges(graphs.dense.to_edges(g).expand(full)), graphs.sparse.to_edges(g))
    for topology in (graphs.dense, graphs.sparse):
        assert torch.equal(topology.per_entry(g, Location.GRAPH), g)


def test_pointers(graphs: Graphs) -> None:
    b, n = shape(graphs)
    scores = torch.randn(b, n, n)
    pointer = graphs.dense.argmax(scores, "receiver")
    flat = graphs.nodes(pointer)
    same(graphs.edges(graphs.dense.one_hot(pointer)), graphs.sparse.one_hot(flat))
    at = graphs.dense.at_pointer(scores, pointer)
    same(graphs.nodes(at), graphs.sparse.at_pointer(graphs.edges(scores), flat))
    # The best of each node's candidates is what its pointer finds.
    best = graphs.dense.aggregate(scores[..., None], "max").squeeze(-1)
    same(graphs.nodes(at), graphs.nodes(best))
    # A one-hot stands on the edge from the pointing node to the one that it points to.
    for g, i in graphs.dense.node_mask().nonzero().tolist():
        assert graphs.dense.one_hot(pointer)[g, i].nonzero().flatten().tolist() == [pointer[g, i].item()]


def test_one_node_of_each_graph(graphs: Graphs) -> None:
    b, n = shape(graphs)
    x = torch.randn(b, n, 3)
    index = (torch.rand(b) * graphs.sizes).long()
    same(graphs.dense.gather(x, index), graphs.sparse.gather(graphs.nodes(x), index))
    same(graphs.dense.gather(x, index), x[torch.arange(b), index])
    assert torch.equal(graphs.nodes(graphs.dense.at_index(index)), graphs.sparse.at_index(index))
    assert graphs.sparse.at_index(index).sum() == b
    assert torch.equal(graphs.nodes(graphs.dense.local_index()), graphs.sparse.local_index())


def test_sequences_come_back(graphs: Graphs) -> None:
    b, n = shape(graphs)
    x = torch.randn(b, n, 3)
    dense, dense_mask = graphs.dense.as_sequence(x)
    sparse, sparse_mask = graphs.sparse.as_sequence(graphs.nodes(x))
    assert graphs.dense.uniform == graphs.sparse.uniform == (len(set(graphs.sizes.tolist())) == 1)
    assert (dense_mask is None) == (sparse_mask is None) == graphs.dense.uniform
    if dense_mask is not None:
        assert torch.equal(dense_mask, sparse_mask)
    mask = graphs.dense.node_mask()[..., None]
    same(torch.where(mask, dense, 0.0), sparse)
    same(graphs.dense.from_sequence(dense), x)
    same(graphs.sparse.from_sequence(sparse), graphs.nodes(x))


@pytest.mark.parametrize("both_ways", [True, False])
def test_with_edges_adds_pointers(graphs: Graphs, both_ways: bool) -> None:
    b, n = shape(graphs)
    for _ in range(3):
        pointer = (torch.rand(b, n) * graphs.sizes[:, None]).long()
        dense = graphs.dense.with_edges(pointer, both_ways=both_ways)
        sparse = graphs.sparse.with_edges(graphs.nodes(pointer), both_ways=both_ways)
        expected = graphs.dense.neighbours().clone()
        for g, i in graphs.dense.node_mask().nonzero().tolist():
            j = pointer[g, i]
            expected[g, i, j] = True
            if both_ways:
                expected[g, j, i] = True
        assert torch.equal(dense.neighbours(), expected)
        # Fixed slots: shapes do not depend on the pointers, and every edge exists once.
        assert sparse.num_edges == graphs.sparse.num_edges + 2 * graphs.sparse.num_nodes
        live = sparse.edge_index[:, sparse.neighbours()]
        assert live.shape[1] == live.unique(dim=1).shape[1] == expected.sum()
        grown = Graphs(graphs.sizes, dense, sparse)
        values = torch.randn(b, n, n, 2) * graphs.dense.neighbours()[..., None]
        extended = sparse.extend(graphs.edges(values))
        same(grown.edges(dense.extend(values)), extended[sparse.neighbours()])
        for reduce in REDUCTIONS:
            same(graphs.nodes(dense.aggregate(values, reduce)), sparse.aggregate(extended, reduce))
        x = torch.randn(b, n, 2)
        flat = sparse.senders(graphs.nodes(x))
        same(graphs.nodes(dense.aggregate(x[:, :, None].expand(b, n, n, 2), "max")), sparse.aggregate(flat, "max"))
        if both_ways:
            same(grown.edges(dense.reverse(values)), sparse.reverse(extended)[sparse.neighbours()])


@pytest.mark.parametrize("both_ways", [True, False])
def test_with_edges_again(graphs: Graphs, both_ways: bool) -> None:
    """A second pointer on top of the first; edges that the first only has a dead slot for come alive."""
    b, n = shape(graphs)
    first, second = ((torch.rand(b, n) * graphs.sizes[:, None]).long() for _ in range(2))
    # Where some first pointers are taken again, they come back the other way too.
    second = torch.where(torch.rand(b, n) < 0.5, first, second)
    dense = graphs.dense.with_edges(first, both_ways=both_ways).with_edges(second)
    sparse = graphs.sparse.with_edges(graphs.nodes(first), both_ways=both_ways).with_edges(graphs.nodes(second))
    x = torch.randn(b, n, 2)
    spread = x[:, :, None].expand(b, n, n, 2)
    for reduce in REDUCTIONS:
        flat = sparse.senders(graphs.nodes(x))
        same(graphs.nodes(dense.aggregate(spread, reduce)), sparse.aggregate(flat, reduce))
    assert int(sparse.neighbours().sum()) == int(dense.neighbours().sum())


def test_among_keeps_edges_between_the_chosen(graphs: Graphs) -> None:
    chosen = torch.rand(shape(graphs)) < 0.6
    dense, sparse = graphs.dense.among(chosen), graphs.sparse.among(graphs.nodes(chosen))
    b, n = shape(graphs)
    x = torch.randn(b, n, 2)
    spread = x[:, :, None].expand(b, n, n, 2)
    for reduce in ("sum", "max"):
        found = graphs.nodes(dense.aggregate(spread, reduce))
        same(found, sparse.aggregate(sparse.senders(graphs.nodes(x)), reduce))
        assert (found[~graphs.nodes(chosen)] == 0).all()
    expected = graphs.dense.neighbours() & chosen[:, :, None] & chosen[:, None]
    assert torch.equal(dense.neighbours(), expected)
    everywhere = graphs.dense.complete().among(chosen).neighbours()
    assert torch.equal(everywhere, graphs.dense.complete().neighbours() & chosen[:, :, None] & chosen[:, None])


def test_only_the_edges_under_a_mask_remain(graphs: Graphs) -> None:
    b, n = shape(graphs)
    mask = torch.rand(b, n, n) < 0.5
    dense, sparse = graphs.dense.only(mask), graphs.sparse.only(graphs.edges(mask))
    x = torch.randn(b, n, 2)
    spread = x[:, :, None].expand(b, n, n, 2)
    for reduce in ("sum", "max"):
        found = graphs.nodes(dense.aggregate(spread, reduce))
        same(found, sparse.aggregate(sparse.senders(graphs.nodes(x)), reduce))
    assert torch.equal(dense.neighbours(), graphs.dense.neighbours() & mask)
    everywhere = graphs.dense.complete()
    assert torch.equal(everywhere.only(mask).neighbours(), everywhere.neighbours() & mask)


def test_without_loops(graphs: Graphs) -> None:
    dense, sparse = graphs.dense.without_loops(), graphs.sparse.without_loops()
    b, n = shape(graphs)
    x = torch.randn(b, n, 2)
    spread = x[:, :, None].expand(b, n, n, 2)
    same(graphs.nodes(dense.aggregate(spread, "sum")), sparse.aggregate(sparse.senders(graphs.nodes(x)), "sum"))
    loops = dense.neighbours().diagonal(dim1=1, dim2=2)
    assert torch.equal(loops.any(1), graphs.sizes == 1)


def test_empty_neighbourhood_gives_zero_and_no_gradient() -> None:
    adjacency = torch.tensor([[[False, True], [False, False]]])
    dense = DenseTopology(1, 2, adjacency=adjacency)
    sparse = SparseTopology(torch.tensor([[0, 0], [0, 1]]), torch.tensor([2]), edge_mask=torch.tensor([False, True]))
    for reduce in REDUCTIONS:
        edges = torch.full((1, 2, 2, 1), -3.0, requires_grad=True)
        found = dense.aggregate(edges, reduce)
        assert found.flatten().tolist() == [0.0, -3.0]
        (grad,) = torch.autograd.grad(found.sum(), edges)
        assert torch.equal(grad.squeeze(-1), adjacency.double())
        flat = torch.full((2, 1), -3.0, requires_grad=True)
        found = sparse.aggregate(flat, reduce)
        assert found.flatten().tolist() == [0.0, -3.0]
        (grad,) = torch.autograd.grad(found.sum(), flat)
        assert grad.flatten().tolist() == [0.0, 1.0]
    for topology, logits in ((dense, torch.zeros(1, 2, 2)), (sparse, torch.zeros(2))):
        assert topology.argmax(logits, "receiver").flatten().tolist() == [0, 0]
        assert not topology.softmax(logits, "receiver").isnan().any()


def test_ties_share_the_gradient() -> None:
    complete = DenseTopology(1, 4)
    edges = torch.zeros(1, 4, 4, 1, requires_grad=True)
    complete.aggregate(edges, "max").sum().backward()
    assert torch.equal(edges.grad, torch.full_like(edges, 0.25))
    flat = torch.zeros(16, 1, requires_grad=True)
    SparseTopology.from_edge_index(torch.cartesian_prod(torch.arange(4), torch.arange(4)).T, 4).aggregate(
        flat, "max"
    ).sum().backward()
    assert torch.equal(flat.grad, torch.full_like(flat, 0.25))


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("layers", [0, 2])
@pytest.mark.parametrize("with_edges", [True, False])
def test_reduce_messages(graphs: Graphs, reduce, layers: int, with_edges: bool) -> None:
    b, n = shape(graphs)
    senders, receivers, values = torch.randn(b, n, 4), torch.randn(b, n, 4), torch.randn(b, n, n, 3)
    weight = torch.randn(4, 3)
    stack = [t for _ in range(layers) for t in (torch.randn(4, 4), torch.randn(4))]
    pair = (values, weight) if with_edges else None
    flat = (graphs.edges(values), weight) if with_edges else None
    dense = graphs.dense.reduce_messages(senders, receivers, pair, stack, reduce)
    sparse = graphs.sparse.reduce_messages(graphs.nodes(senders), graphs.nodes(receivers), flat, stack, reduce)
    same(graphs.nodes(dense), sparse)
    if reduce == "max":
        same(dense, message_max(senders, receivers, pair, stack, graphs.dense.neighbours()))


def test_weighted_sum(graphs: Graphs) -> None:
    """Of each head its own weights, and nothing of what lies off the topology."""
    b, n = shape(graphs)
    weights, x = torch.randn(b, n, n, 2) * graphs.dense.neighbours()[..., None], torch.randn(b, n, 2, 3)
    dense = graphs.dense.weighted_sum(weights, x)
    same(graphs.nodes(dense), graphs.sparse.weighted_sum(graphs.edges(weights), graphs.nodes(x)))
    same(dense, super(DenseTopology, graphs.dense).weighted_sum(weights, x))
    same(dense[0, 0, 1], sum(weights[0, j, 0, 1] * x[0, j, 1] for j in range(n)))


@pytest.mark.parametrize("with_edges", [True, False])
def test_score_pairs(graphs: Graphs, with_edges: bool) -> None:
    b, n = shape(graphs)
    senders, receivers, values = torch.randn(b, n, 4), torch.randn(b, n, 4), torch.randn(b, n, n, 3)
    weight, out = torch.randn(4, 3), torch.randn(4)
    pair = (values, weight) if with_edges else None
    flat = (graphs.edges(values), weight) if with_edges else None
    dense = graphs.dense.score_pairs(senders, receivers, pair, out)
    same(graphs.edges(dense), graphs.sparse.score_pairs(graphs.nodes(senders), graphs.nodes(receivers), flat, out))
    j, i = n - 1, 0
    term = senders[0, j] + (weight @ values[0, j, i] if with_edges else 0)
    same(dense[0, j, i], out @ torch.maximum(term, receivers[0, i]))


def test_complete_graph_is_never_materialised() -> None:
    """A million nodes: one boolean an edge would take a terabyte."""
    topology = DenseTopology(1, 2**20)
    x = torch.ones(1, 2**20, 1)
    sequence, mask = topology.as_sequence(x)
    assert sequence is x and mask is None and topology.complete() is topology
    assert topology.pool(x, "sum").item() == 2**20


def test_complete() -> None:
    graphs = random_graphs([4, 2])
    mask = graphs.dense.node_mask()
    assert torch.equal(graphs.dense.complete().neighbours(), mask[:, :, None] & mask[:, None])
    with pytest.raises(ValueError, match="needs dense"):
        graphs.sparse.complete()


def test_any_edge_list_becomes_a_topology() -> None:
    """Unsorted, one way, with duplicates and without loops."""
    edge_index = torch.tensor([[3, 0, 0, 2], [4, 1, 1, 1]])
    topology = SparseTopology.from_edge_index(edge_index, [3, 2])
    pairs = list(zip(*topology.edge_index.tolist(), strict=True))
    expected = {(0, 1), (1, 0), (1, 2), (2, 1), (3, 4), (4, 3)} | {(k, k) for k in range(5)}
    assert pairs == sorted(expected, key=lambda pair: (pair[1], pair[0]))
    values = topology.extend(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert {p: v for p, v in zip(pairs, values.tolist(), strict=True) if v} == {(3, 4): 1.0, (0, 1): 2.0, (2, 1): 4.0}
    place, there = topology.edge_id(torch.tensor([0, 0, 4]), torch.tensor([1, 2, 3]))
    assert there.tolist() == [True, False, True]
    assert pairs[place[0]] == (0, 1) and pairs[place[2]] == (4, 3)
    assert topology.edge_index[:, topology.reverse(torch.arange(topology.num_edges))].flip(0).tolist() == (
        topology.edge_index.tolist()
    )


def test_graph_without_edges() -> None:
    topology = SparseTopology.from_edge_index(torch.empty(2, 0, dtype=torch.long), 3)
    assert topology.edge_index.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert topology.extend(torch.empty(0, 2)).tolist() == [[0.0, 0.0]] * 3


@pytest.mark.parametrize(
    ("edges", "sizes", "message"),
    [
        ([[0], [3]], 3, "must lie in 0..2"),
        ([[-1], [0]], 3, "must lie in 0..2"),
        ([[0], [2]], [2, 2], "two graphs"),
    ],
)
def test_wrong_edge_lists_are_refused(edges, sizes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SparseTopology.from_edge_index(torch.tensor(edges), sizes)


def test_networkx_graphs() -> None:
    path, star = nx.path_graph(["b", "a", "c"]), nx.star_graph(3)
    topology = SparseTopology.from_networkx([path, star])
    assert topology.sizes.tolist() == [3, 4] and topology.num_edges == 2 * 2 + 3 + 2 * 3 + 4
    degrees = topology.aggregate(torch.ones(topology.num_edges, 1), "sum").flatten() - 1
    assert degrees.tolist() == [1, 2, 1, 3, 1, 1, 1]
    weights = torch.arange(1.0, 6.0)
    found = topology.extend(weights)
    assert found[found > 0].tolist() != [] and sorted(found[found > 0].tolist()) == weights.tolist()
    directed = SparseTopology.from_networkx(nx.DiGraph([(0, 1), (2, 1)]))
    values = directed.extend(torch.tensor([5.0, 7.0]))
    at = dict(zip(map(tuple, directed.edge_index.T.tolist()), values.tolist(), strict=True))
    assert at[(0, 1)] == 5 and at[(2, 1)] == 7 and at[(1, 0)] == at[(1, 2)] == 0
    assert SparseTopology.from_networkx(nx.empty_graph(1)).num_edges == 1
