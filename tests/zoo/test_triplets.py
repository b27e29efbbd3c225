"""Edge pointers in triplets: the sums against ordinary operators, and what they can say that two means cannot."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import floyd_warshall
from torch import Tensor, nn

import tasks
import zoo
import zoo.chunks as module
from tasks.batch import Batch
from tasks.spec import Location, Probe, Spec, Stage, Type
from zoo.codec import ReasonerConfig
from zoo.decoders import EdgePointerDecoder, Read, Sizes, TripletPointerDecoder
from zoo.encoders import TRIPLET_WIDTH, Encoder, channels
from zoo.processor import Inputs, Latents, Processor, ProcessorConfig, State, Step
from zoo.reasoner import Reasoner
from zoo.topology import DenseTopology, Topology
from zoo.triplets import (
    triplet_max,
    triplet_max_plain,
    triplet_messages,
    triplet_messages_plain,
    triplet_scores,
    triplet_scores_plain,
)

POS = Probe("pos", Stage.INPUT, Location.NODE, Type.SCALAR)
LENGTH = Probe("A", Stage.INPUT, Location.EDGE, Type.SCALAR)
# As in floyd_warshall, but for the node in turn, which is given.
PATHS = Spec(
    "paths",
    (
        POS,
        LENGTH,
        Probe("k", Stage.INPUT, Location.NODE, Type.MASK_ONE, streamed=True),
        Probe("Pi_h", Stage.HINT, Location.EDGE, Type.POINTER),
        Probe("D", Stage.HINT, Location.EDGE, Type.SCALAR),
        Probe("Pi", Stage.OUTPUT, Location.EDGE, Type.POINTER),
    ),
)


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Silent(Processor):
    """Passes no messages: its hidden stays zero."""

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        return Step(hidden, state)


def arguments(which: str, *, cubes: int, ties: bool) -> list[Tensor]:
    """What `triplet_max` or `triplet_scores` takes; whole numbers where there should be ties."""
    shapes = [(3, 5, 5, 4), (3, 5, 5, 4), (3, 5, 5, 4), (3, 5, 5, 5, cubes), (4, cubes), (4,)]
    if which == "max":
        shapes = [shape for place, shape in enumerate(shapes) if place not in (2, 5)]
    values = [torch.randint(-1, 2, shape).double() if ties else torch.randn(shape) for shape in shapes]
    return [value.requires_grad_() for value in values]


PAIRS = {"max": (triplet_max, triplet_max_plain), "scores": (triplet_scores, triplet_scores_plain)}


@pytest.mark.parametrize("which", PAIRS)
@pytest.mark.parametrize("chunk", [2**18, 700, 90, 1])
def test_values_and_derivatives_of_sums(which: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    found_by, expected_by = PAIRS[which]
    for cubes, ties in itertools.product((0, 1, 2), (False, True)):
        given = arguments(which, cubes=cubes, ties=ties)
        found, expected = found_by(*given), expected_by(*given)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
        weight = torch.randn_like(expected)
        for a, b in zip(
            torch.autograd.grad((found * weight).sum(), given),
            torch.autograd.grad((expected * weight).sum(), given),
            strict=True,
        ):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("which", PAIRS)
@pytest.mark.parametrize("cubes", [0, 2])
def test_derivatives_of_derivatives_of_sums(which: str, cubes: int) -> None:
    given = arguments(which, cubes=cubes, ties=False)
    assert torch.autograd.gradcheck(PAIRS[which][0], given, fast_mode=True)
    assert torch.autograd.gradgradcheck(PAIRS[which][0], given, fast_mode=True)
    given[-1 if which == "max" else -2].requires_grad_(False)
    wanted = [t for t in given if t.requires_grad]
    found, expected = (torch.autograd.grad(f(*given).sum(), wanted) for f in PAIRS[which])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cubes", [0, 1])
def test_a_node_that_is_taken_out_has_no_part_in_maxima(cubes: int) -> None:
    left, right, numbers, weight = arguments("max", cubes=cubes, ties=False)
    without = triplet_max(left[:, :, :4], right[:, :4], numbers[:, :, :, :4], weight)
    out = torch.arange(5) == 4
    best = triplet_max(left.masked_fill(out[:, None], -torch.inf), right, numbers, weight)
    torch.testing.assert_close(best, without, rtol=0, atol=0)
    found = torch.autograd.grad(best.sum(), [left, right, numbers, weight])
    torch.testing.assert_close(found, torch.autograd.grad(without.sum(), [left, right, numbers, weight]))


def messages_of(
    *, ties: bool = False, edges: bool = True, n: int = 5, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """What `triplet_messages_plain` takes, of two graphs, 4 channels and 3 features of edges."""
    shapes = [(2, 4, n)] * 3 + [(2, n, n, 3), (12, 3)] * edges + [(6, 4), (6,)]
    values = [torch.randint(-1, 2, shape).to(dtype) if ties else torch.randn(shape, dtype=dtype) for shape in shapes]
    return [value.requires_grad_() for value in values]


def by_kernels(*given: Tensor) -> Tensor:
    """`triplet_messages` of the arguments of its plain form; without edges they are not among them."""
    *nodes, out, bias = given
    return triplet_messages(*nodes[:3], tuple(nodes[3:]) or None, out, bias)


def by_operators(*given: Tensor) -> Tensor:
    """The plain form of it."""
    *nodes, out, bias = given
    return triplet_messages_plain(*nodes[:3], *(nodes[3:] or (None, None)), out, bias)


@pytest.mark.parametrize("n", [1, 2, 5, 17, 70])
@pytest.mark.parametrize("edges", [True, False])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_messages_by_kernels_are_those_by_operators(ties: bool, edges: bool, n: int, dtype: torch.dtype) -> None:
    given = messages_of(ties=ties, edges=edges, n=n, dtype=dtype)
    found, expected = by_kernels(*given), by_operators(*given)
    assert type(found.grad_fn).__name__ == "_TripletMessagesBackward"
    tolerance = {"rtol": 0, "atol": 1e-11 if dtype == torch.float64 else 2e-5 * n}
    torch.testing.assert_close(found, expected, **tolerance)
    by = torch.randn_like(expected) / n
    for a, b in zip(*(torch.autograd.grad(y, given, by) for y in (found, expected)), strict=True):
        torch.testing.assert_close(a, b, **tolerance)


@pytest.mark.parametrize("edges", [True, False])
def test_messages_have_derivatives_of_derivatives(edges: bool) -> None:
    given = messages_of(edges=edges, n=4)
    assert torch.autograd.gradcheck(by_kernels, given, fast_mode=True)
    assert torch.autograd.gradgradcheck(by_kernels, given, fast_mode=True)
    given[3].requires_grad_(False)
    wanted = [t for t in given if t.requires_grad]
    found, expected = (torch.autograd.grad(f(*given).sum(), wanted) for f in (by_kernels, by_operators))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("broken", [0, 2, 4])
def test_what_is_no_number_stays_seen_in_messages(broken: int) -> None:
    given = [value.detach() for value in messages_of()]
    given[3][0, broken, 1] = torch.nan
    found = by_kernels(*given).isnan()
    assert torch.equal(found, by_operators(*given).isnan()) and found.any() and not found.all()


def test_a_node_that_is_taken_out_has_no_part_in_messages() -> None:
    given = messages_of()
    first, sender, receiver, edges, weight, out, bias = given
    fewer = (first[..., :4], sender[..., :4], receiver[..., :4], edges[:, :4, :4], weight, out, bias)
    without = by_kernels(*fewer)
    best = by_kernels(first.masked_fill(torch.arange(5) == 4, -torch.inf), *given[1:])[:, :4, :4]
    torch.testing.assert_close(best, without, rtol=0, atol=1e-12)
    for a, b in zip(*(torch.autograd.grad(y.sum(), given) for y in (best, without)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


def latin_squares(n: int) -> tuple[Tensor, Tensor]:
    """Two different edge pointers in which every sender, and every receiver, points to every node once."""
    i = torch.arange(n)
    return (i[:, None] + i) % n, (i[:, None] - i) % n


def test_triplets_tell_pointers_apart_that_have_equal_means() -> None:
    spec = Spec("pointed", (POS, LENGTH, Probe("P", Stage.INPUT, Location.EDGE, Type.POINTER)))
    n, topology = 5, DenseTopology(2, 5)
    given = {"pos": torch.rand(1, n).expand(2, n), "A": torch.rand(1, n, n).expand(2, n, n)}
    given["P"] = torch.stack(latin_squares(n))
    for edge_pointers in ("means", "triplets"):
        values = {p.name: channels(p, given[p.name], topology, edge_pointers=edge_pointers) for p in spec}
        encoder = Encoder(spec, 16, hints=False, both_ways=False, scalar_init="default", edge_pointers=edge_pointers)
        edges = encoder(values, topology).edges
        assert edges is not None and not isinstance(edges, Tensor)
        apart = (edges.channels[0] - edges.channels[1]).abs().amax(-1) > 1e-3
        same = given["P"][0] == given["P"][1]
        if edge_pointers == "means":
            torch.testing.assert_close(edges.channels[0], edges.channels[1])
        else:
            assert apart[~same].all() and apart.any()


def zero(model: nn.Module) -> None:
    """Set all parameters to zero."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()


def read_of(lengths: Tensor) -> Read:
    """What decoders read of edges with one feature, their length, and of nodes that know nothing of it."""
    batch, n, _ = lengths.shape
    nodes = torch.linspace(0, 1, 3 * n).view(1, n, 3).expand(batch, n, 3)
    return Read(nodes, (lengths[..., None],), (), DenseTopology(batch, n))


SIZES = Sizes(nodes=3, edges=(1,), graph=(), hidden=16)
OUTPUT = Probe("Pi", Stage.OUTPUT, Location.EDGE, Type.POINTER)


def test_triplet_decoder_finds_the_best_way_round() -> None:
    """argmax over k of S(s, k) + S(k, r), at any size, with weights set by hand."""
    decoder = TripletPointerDecoder(OUTPUT, SIZES)
    zero(decoder)
    with torch.no_grad():
        for part in (decoder.left, decoder.right):
            next(iter(part.linears)).weight[0, 0] = 1
        decoder.candidate.bias[0] = 100  # the ReLU lets every sum through
        decoder.out.weight[0, 0] = 1
    for n in (2, 6, 17):
        lengths = torch.randn(4, n, n)
        best = (lengths[:, :, None, :] + lengths.transpose(1, 2)[:, None]).argmax(-1)
        assert (decoder(read_of(lengths)).argmax(-1) == best).all()


def test_decoder_of_means_is_linear_in_the_larger_of_edge_and_candidate() -> None:
    decoder, read = EdgePointerDecoder(OUTPUT, SIZES), read_of(torch.randn(2, 4, 4))
    edge = next(iter(decoder.edge.linears))
    logits = decoder(read)
    for b, s, r in itertools.product(range(2), range(4), range(4)):
        pair = decoder.sender(read.nodes[b, s]) + decoder.receiver(read.nodes[b, r]) + edge(read.edges[0][b, s, r])
        scores = decoder.out(torch.maximum(pair, decoder.candidate(read.nodes[b]))).squeeze(-1)
        torch.testing.assert_close(logits[b, s, r], scores.log_softmax(0))


def test_decoder_of_means_does_not_see_the_edges_of_a_candidate() -> None:
    """What it scores for a pair depends on that edge alone, so it cannot know which way round is the best."""
    lengths = torch.randn(4, 6, 6)
    changed = lengths.clone()
    changed[:, 1:, 1:] = torch.randn(4, 5, 5)
    for kind, sees in ((EdgePointerDecoder, False), (TripletPointerDecoder, True)):
        decoder = kind(OUTPUT, SIZES)
        before, after = decoder(read_of(lengths)), decoder(read_of(changed))
        assert torch.equal(before[:, 0], after[:, 0]) != sees


def floyd_warshall_by_hand(model: Reasoner) -> None:
    """Set weights so that encoder and decoders do a step of Floyd-Warshall through the node in turn.

    Encoder: how much shorter (s, r) is through k; whether (k, r) is where the way from the node in turn to r ends.
    Decoders: the length less that; the pointer of the node in turn to r if it is shorter that way, or the old one.
    """
    zero(model)
    codec = model.tasks["paths"]
    triplets, from_triplets = codec.encoder.triplets, codec.encoder.from_triplets
    far, steep, sharp = 100, 1e6, 50
    pos, turn = 0, 1  # raw channels of nodes
    length = 1  # raw channels of edges: A, D
    width = 3 * TRIPLET_WIDTH
    shorter, ends = 0, TRIPLET_WIDTH  # channels of the maxima over k, and over s
    of_s, of_k = 0, 2 * width
    sk, kr, sr = 0, width, 2 * width
    assert triplets.nodes.weight.shape == (3 * width, pos + turn + 1)
    with torch.no_grad():
        triplets.edges.weight[[sk + shorter, kr + shorter, sr + shorter], length] = torch.tensor([-1.0, -1, 1])
        triplets.nodes.weight[of_k + shorter, turn], triplets.nodes.bias[of_k + shorter] = far, -far
        triplets.nodes.weight[of_s + ends, turn], triplets.nodes.bias[of_s + ends] = 1, -1
        triplets.cubes[ends, 0] = 1
        codec.encoder.linears["D"].weight[0, 0] = 1
        from_triplets.weight[1, shorter] = from_triplets.weight[2, ends] = 1
        next(iter(codec.decoders["D"].edge.linears)).weight[0, :2] = torch.tensor([1.0, -1])
        for name in ("Pi_h", "Pi"):
            decoder = codec.decoders[name]
            next(iter(decoder.pair.linears)).weight[:2, 1] = torch.tensor([-steep, steep])
            next(iter(decoder.right.linears)).weight[1, 2] = 1
            decoder.cubes[0, 0], decoder.sender.bias[1] = 1, -1
            decoder.out.weight[0, :2] = sharp


def paths(lengths: Tensor, *, sizes: Tensor | None = None) -> Batch:
    """All shortest paths of complete graphs; only the first frame of hints is filled in."""
    batch, n, _ = lengths.shape
    sizes = torch.full((batch,), n) if sizes is None else sizes
    pointers = torch.zeros(batch, n, n, dtype=torch.int32)
    for b, size in enumerate(sizes.tolist()):
        found = floyd_warshall(lengths[b, :size, :size].numpy(), return_predecessors=True)[1]
        pointers[b, :size, :size] = torch.from_numpy(np.where(found < 0, np.arange(size)[:, None], found))
    first = torch.arange(n, dtype=torch.int32)[:, None].expand(batch, n, n)
    inside = torch.arange(n) < sizes[:, None]
    first = first * (inside[:, :, None] & inside[:, None, :])
    hints = {"Pi_h": first.new_zeros(n + 1, batch, n, n), "D": lengths.new_zeros(n + 1, batch, n, n)}
    hints["Pi_h"][0], hints["D"][0] = first, lengths
    inputs = {
        "pos": torch.arange(n) / 16 * inside,
        "A": lengths,
        "k": torch.arange(n, dtype=torch.int32)[:, None] * (torch.arange(n)[:, None] < sizes),
    }
    return Batch(PATHS, inputs, hints, {"Pi": pointers}, sizes + 1, sizes, torch.arange(batch))


def random_lengths(batch: int, n: int) -> Tensor:
    return torch.rand(batch, n, n) * (1 - torch.eye(n))


@pytest.mark.parametrize("feedback", ["soft", "hard"])
@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_floyd_warshall_is_within_reach_of_encoder_and_decoder(n: int, feedback: str) -> None:
    """Pointers and lengths of all shortest paths, with the same weights at every size and without any message."""
    config = ReasonerConfig(edge_pointers="triplets", feedback=feedback)
    model = Reasoner(PATHS, Silent(ProcessorConfig(hidden_size=4)), config=config)
    floyd_warshall_by_hand(model)
    batch = paths(random_lengths(8, n))
    prediction = model(batch)
    assert torch.equal(prediction.values["Pi"], batch.outputs["Pi"].long())
    expected = np.stack([floyd_warshall(x.numpy()) for x in batch.inputs["A"]])
    np.testing.assert_allclose(prediction.hints["D"][-1].detach().numpy(), expected, atol=1e-9)
    if n > 5:
        untouched = batch.hints["Pi_h"][0] == batch.outputs["Pi"]
        assert 0.05 < untouched.double().mean() < 0.7  # most of it had to be found


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("feedback", ["soft", "hard"])
@pytest.mark.parametrize("edge_pointers", ["means", "triplets"])
def test_edge_pointers_are_the_same_in_any_batch(edge_pointers: str, feedback: str, training: bool) -> None:
    """Padding and longer neighbours change nothing."""
    config = ReasonerConfig(edge_pointers=edge_pointers, feedback=feedback, teacher_forcing=0.5)
    model = Reasoner(PATHS, zoo.create("mpnn", hidden_size=8), config=config).train(training)
    sizes, n = torch.tensor([3, 6, 1]), 6
    inside = torch.arange(n) < sizes[:, None]
    lengths = random_lengths(3, n) * (inside[:, :, None] & inside[:, None, :])
    whole = paths(lengths, sizes=sizes)
    together = model(whole, noise=(3, 4))
    for b, size in enumerate(sizes.tolist()):
        alone = model(whole.take([b]), noise=(3, 4))
        for name in ("Pi_h", "D"):
            found = together.hints[name][:size, b, :size, :size]
            mine = alone.hints[name][:, 0]
            found = found[..., :size] if name == "Pi_h" else found
            torch.testing.assert_close(found, mine, rtol=1e-10, atol=1e-11)
        torch.testing.assert_close(together.outputs["Pi"][b, :size, :size, :size], alone.outputs["Pi"][0])


@pytest.mark.parametrize("name", ["floyd_warshall", "matrix_chain_order", "optimal_bst"])
@pytest.mark.parametrize("edge_pointers", ["means", "triplets"])
def test_tasks_with_edge_pointers_are_the_same_in_any_batch(name: str, edge_pointers: str) -> None:
    task = tasks.create(name)
    model = Reasoner(
        task.spec, zoo.create("mpnn", hidden_size=8), config=ReasonerConfig(edge_pointers=edge_pointers)
    ).eval()
    whole = task.sample(seed=2, batch_size=3, size=(2, 6)).map(lambda x: x.double() if x.is_floating_point() else x)
    assert len(set(whole.sizes.tolist())) > 1
    (output,) = task.spec.outputs
    together = model(whole).outputs[output.name]
    for b in range(3):
        batch = whole.take([b])
        alone, n = model(batch).outputs[output.name][0], batch.outputs[output.name].shape[1]
        torch.testing.assert_close(together[b, :n, :n, :n], alone, rtol=1e-9, atol=1e-10)


def test_fed_back_scalars_do_not_explode_before_training() -> None:
    """Maxima over triplets add up what is fed back; at random weights lengths stay of the size of lengths."""
    batch = paths(random_lengths(2, 16))
    largest = []
    for seed in range(5):
        torch.manual_seed(seed)
        model = Reasoner(PATHS, zoo.create("mpnn", hidden_size=16), config=ReasonerConfig(edge_pointers="triplets"))
        with torch.no_grad():
            largest.append(float(model(batch).hints["D"].abs().max()))
    assert max(largest) < 20, largest


@pytest.mark.parametrize("edge_pointers", ["means", "triplets"])
def test_edge_pointers_follow_the_order_of_nodes(edge_pointers: str) -> None:
    model = Reasoner(
        PATHS, zoo.create("mpnn", hidden_size=8), config=ReasonerConfig(edge_pointers=edge_pointers, feedback="soft")
    )
    batch, order = paths(random_lengths(2, 5)), torch.tensor([3, 0, 4, 1, 2])
    rank = order.argsort()
    hints = {"Pi_h": rank[batch.hints["Pi_h"].long()], "D": batch.hints["D"]}
    moved = replace(
        batch,
        inputs={
            "pos": batch.inputs["pos"][:, order],
            "A": batch.inputs["A"][:, order][:, :, order],
            "k": rank[batch.inputs["k"].long()],
        },
        hints={name: value[:, :, order][:, :, :, order] for name, value in hints.items()},
    )
    found, expected = model(moved).outputs["Pi"], model(batch).outputs["Pi"]
    torch.testing.assert_close(found, expected[:, order][:, :, order][..., order], rtol=1e-9, atol=1e-10)
    assert not torch.allclose(found, expected)


def test_edge_pointers_need_a_dense_layout() -> None:
    spec = Spec("sparse", (POS, Probe("adj", Stage.INPUT, Location.EDGE, Type.MASK), OUTPUT))
    edge_index = torch.tensor([[0, 1, 0, 1], [0, 0, 1, 1]])
    inputs = {"pos": torch.rand(2), "adj": torch.ones(4, dtype=torch.bool)}
    two = torch.tensor([2])
    batch = Batch(spec, inputs, {}, {"Pi": torch.zeros(4, dtype=torch.int32)}, two, two, torch.arange(1), edge_index)
    for edge_pointers in ("means", "triplets"):
        model = Reasoner(
            spec,
            zoo.create("mpnn", hidden_size=8, adjacency="given"),
            config=ReasonerConfig(edge_pointers=edge_pointers),
        )
        with pytest.raises(ValueError, match="Pi may point to any node, which only a dense layout can hold"):
            model(batch)
