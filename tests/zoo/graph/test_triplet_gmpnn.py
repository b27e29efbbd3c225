"""Triplet-GMPNN against its equations, and what its maximum over triplets costs."""

from __future__ import annotations

import pytest
import torch

import tasks
import zoo
import zoo.max_plus as max_plus_module
import zoo.triplets as triplets_module
from tests.zoo.graph.test_mpnn import affine, reference
from tests.zoo.graphs import random_graphs, random_inputs
from zoo.binding import check
from zoo.processor import Latents
from zoo.topology import DenseTopology

WIDTH, TRIPLET = 4, 3


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make(**options):
    processor = zoo.create("triplet_gmpnn", **({"hidden_size": WIDTH, "triplet_width": TRIPLET} | options))
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter)
    return processor


def triplets(part, z, edges, graph):
    """Messages to the edges of one graph, a triplet at a time."""
    n, width = len(z), TRIPLET
    result = torch.zeros(n, n, WIDTH)
    for s in range(n):
        for r in range(n):
            features = []
            for i in range(n):
                own = [affine(part.from_nodes, z[v])[k * width : (k + 1) * width] for k, v in enumerate((i, s, r))]
                t = own[0] + own[1] + own[2]
                if edges is not None:
                    for k, (a, b) in enumerate(((i, s), (i, r), (s, r))):
                        t = t + affine(part.from_edges, edges[a, b])[k * width : (k + 1) * width]
                if graph is not None:
                    t = t + affine(part.from_graph, graph)
                features.append(t)
            result[s, r] = affine(part.out, torch.stack(features).amax(0)).clamp_min(0)
    return result


@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "chunks"])
@pytest.mark.parametrize("rest", [True, False], ids=["edges and graph", "nodes only"])
@pytest.mark.parametrize("options", [{}, {"adjacency": "given", "gated": False}], ids=str)
def test_step_follows_the_equations(options, rest: bool, kernels: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes and edges, and the derivatives of edges' messages, by machine code or in chunks."""
    if not kernels:
        monkeypatch.setattr(triplets_module, "HAS_NUMBA", False)
        monkeypatch.setattr(max_plus_module, "CHUNK", 20)
    processor = make(**options)
    graphs = random_graphs([4, 1, 3])
    inputs = random_inputs(graphs.dense, WIDTH, edges=rest, graph=rest)
    x, edges, graph = inputs.encoded
    hidden = torch.randn_like(x)
    new = processor(inputs, Latents(hidden), graphs.dense, ()).hidden
    weights = [
        p for name, p in processor.triplets.named_parameters() if rest or ("edges" not in name and "graph" not in name)
    ]
    for g, size in enumerate(graphs.sizes.tolist()):
        exists = graphs.dense.neighbours()[g, :size, :size]
        given = x[g, :size], edges[g] if rest else None, graph[g] if rest else None
        adjacency = exists if processor.adjacency == "given" else torch.ones_like(exists)
        expected = reference(processor, adjacency, *given, hidden[g, :size])
        torch.testing.assert_close(new.nodes[g, :size], expected, rtol=0, atol=1e-10)
        found = new.edges[g, :size, :size]
        expected = triplets(processor.triplets, torch.cat([x[g, :size], hidden[g, :size]], 1), *given[1:])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
        by = torch.randn_like(expected)
        for a, b in zip(
            torch.autograd.grad((found * by).sum(), weights, retain_graph=True),
            torch.autograd.grad((expected * by).sum(), weights),
            strict=True,
        ):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


def test_edges_follow_the_order_of_nodes() -> None:
    processor, topology, order = make(), DenseTopology(2, 5), torch.tensor([3, 0, 4, 1, 2])
    inputs = random_inputs(topology, WIDTH)
    x, edges, graph = inputs.encoded
    moved = inputs._replace(encoded=Latents(x[:, order], edges[:, order][:, :, order], graph))
    found, before = (processor(i, processor.zeros(i), topology, ()).hidden.edges for i in (moved, inputs))
    torch.testing.assert_close(found, before[:, order][:, :, order], rtol=0, atol=1e-12)


def test_an_edge_hears_of_the_best_way_round() -> None:
    """With weights set by hand: the longest of all ways of two edges, which no message to a node can hold."""
    processor = zoo.create("triplet_gmpnn", hidden_size=1, triplet_width=1)
    processor.load_state_dict({name: torch.zeros_like(value) for name, value in processor.state_dict().items()})
    with torch.no_grad():
        processor.triplets.from_edges.weight[:2] = processor.triplets.out.weight[:] = 1.0
    for n in (2, 7):
        topology = DenseTopology(3, n)
        inputs = random_inputs(topology, 1)
        lengths = inputs.encoded.edges[..., 0] + 5  # the ReLU lets every sum through
        inputs = inputs._replace(encoded=Latents(inputs.encoded.nodes, lengths[..., None]))
        found = processor(inputs, processor.zeros(inputs), topology, ()).hidden.edges[..., 0]
        torch.testing.assert_close(found, (lengths[:, :, :, None] + lengths[:, :, None]).amax(1))


def test_memory_grows_with_pairs_not_with_triplets() -> None:
    """What is kept for the derivative, at twice the nodes, is four times as much."""
    processor, kept = zoo.create("triplet_gmpnn", hidden_size=16), []
    for n in (16, 32):
        topology, sizes = DenseTopology(1, n), {}
        inputs = random_inputs(topology, 16)
        read = torch.cat([inputs.encoded.nodes, torch.zeros(1, n, 16)], -1), *inputs.encoded[1:], topology

        def pack(tensor, sizes=sizes):
            sizes[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            processor.triplets(*read)
        kept.append(sum(sizes.values()))
    assert kept[1] < 4.1 * kept[0]


def test_size_is_that_of_the_benchmark() -> None:
    """Those of MPNN, a gate's three maps, and triplets' eight of 8 channels; layer normalisation comes on top."""
    count = sum(p.numel() for p in zoo.create("triplet_gmpnn", use_ln=False).parameters())
    gate = 257 * 128 + 2 * 129 * 128
    assert count == 181_248 + gate + 3 * 257 * 8 + 4 * 129 * 8 + 9 * 128 == 258_616


def test_sparse_layout_is_refused() -> None:
    spec = tasks.create("bfs").spec
    with pytest.raises(ValueError, match="TripletGMPNN runs on dense layouts; bfs is sparse here"):
        check(spec, zoo.create("triplet_pgn", hidden_size=8), layout="sparse")
