"""PGN against its equations: messages over pointers, pointers from scores, masks that hold them."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from torch import Tensor

import zoo
from tests.zoo.graph.test_mpnn import affine
from tests.zoo.graphs import random_graphs, random_inputs
from zoo.processor import Inputs, Latents
from zoo.topology import DenseTopology, SparseTopology

WIDTH = 4


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def pgn(**options):
    processor = zoo.create("pgn", **({"hidden_size": WIDTH, "pointers": True} | options))
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter)
    return processor


def reference(processor, adjacency: Tensor, candidates: Tensor, x: Tensor, edges: Tensor, graph: Tensor, steps: int):
    """Hidden and pointers of one graph after each step; `adjacency[j, i]` is whether j sends to i."""
    size = len(x)
    h, pointers = torch.zeros(size, WIDTH), list(range(size))
    for _ in range(steps):
        sends = adjacency.clone()
        for i, target in enumerate(pointers):
            sends[i, target] = True
            if processor.config.symmetrise:
                sends[target, i] = True
        new = []
        for i in range(size):
            z_i = torch.cat([x[i], h[i]])
            incoming = []
            for j in range(size):
                if sends[j, i]:
                    part = processor.messages
                    z_j = torch.cat([x[j], h[j]])
                    feature = edges[j, i] if adjacency[j, i] else torch.zeros(WIDTH)
                    message = affine(part.from_sender, z_j) + affine(part.from_receiver, z_i)
                    message = message + affine(part.from_edge, feature) + affine(part.from_graph, graph)
                    incoming.append(message.clamp_min(0))
            best = torch.stack(incoming).amax(0)
            update = processor.update
            new.append((affine(update.from_node, z_i) + affine(update.from_messages, best)).clamp_min(0))
        old = pointers
        pointers = list(old)
        for i in range(size):
            query = affine(processor.pointer_head.query, new[i])
            scores = [float(query @ (processor.pointer_head.key.weight @ new[j])) for j in range(size)]
            allowed = [j for j in range(size) if candidates[j, i]]
            may = True
            if processor.config.masking:
                may = float(affine(processor.modify_head, torch.cat([x[i], h[i], new[i]]))) > 0
            if may:
                pointers[i] = max(allowed, key=lambda j, scores=scores: (scores[j], -j))
        h = torch.stack(new)
        yield h, pointers


@pytest.mark.parametrize("everywhere", [True, False], ids=["any node", "neighbours"])
@pytest.mark.parametrize("options", [{}, {"masking": False}, {"symmetrise": False}], ids=str)
@torch.no_grad()
def test_steps_follow_the_equations(options, everywhere: bool) -> None:
    processor = pgn(**options)
    graphs = random_graphs([6, 1, 4], density=0.2)
    candidates = graphs.dense.complete() if everywhere else graphs.dense
    inputs = random_inputs(graphs.dense, WIDTH)._replace(candidates={"pointers": candidates})
    hidden, state = processor.initial(inputs, graphs.dense)
    expected = [
        reference(
            processor,
            graphs.dense.neighbours()[g, :size, :size],
            candidates.neighbours()[g, :size, :size],
            inputs.encoded.nodes[g, :size],
            inputs.encoded.edges[g],
            inputs.encoded.graph[g],
            4,
        )
        for g, size in enumerate(graphs.sizes.tolist())
    ]
    seen = []
    for _ in range(4):
        step = processor(inputs, hidden, graphs.dense, state)
        hidden, state = step.hidden, step.state
        for g, size in enumerate(graphs.sizes.tolist()):
            h, pointers = next(expected[g])
            torch.testing.assert_close(hidden.nodes[g, :size], h, rtol=1e-9, atol=1e-10)
            assert state.pointers[g, :size].tolist() == pointers
        seen.append(state.pointers[0].tolist())
    assert seen[-1] != list(range(6)), "no pointer ever moved: nothing was tested"


def first_arguments(processor, inputs: Inputs, topology):
    """The rest of a first step's arguments, in order."""
    hidden, state = processor.initial(inputs, topology)
    return hidden, topology, state


def test_scores_lie_on_the_edge_from_the_candidate() -> None:
    processor = pgn()
    topology = DenseTopology(1, 3)
    inputs = random_inputs(topology, WIDTH)
    step = processor(inputs, *first_arguments(processor, inputs, topology))
    head = processor.pointer_head
    for j in range(3):
        for i in range(3):
            new = step.hidden.nodes[0]
            expected = affine(head.query, new[i]) @ (head.key.weight @ new[j])
            torch.testing.assert_close(step.heads["pointers"][0, j, i], expected, rtol=1e-9, atol=1e-10)
    assert step.heads["modify"].shape == (1, 3)


def test_held_pointers_stay() -> None:
    processor = pgn()
    graphs = random_graphs([6, 4])
    inputs = random_inputs(graphs.dense, WIDTH)
    mask = graphs.dense.node_mask()
    held = inputs._replace(guide={"modify": torch.zeros_like(mask).long()})
    moved = inputs._replace(guide={"modify": torch.ones_like(mask).long()})
    hidden, _, state = first_arguments(processor, inputs, graphs.dense)
    assert torch.equal(processor(held, hidden, graphs.dense, state).state.pointers, state.pointers)
    step = processor(moved, hidden, graphs.dense, state)
    assert torch.equal(step.state.pointers[mask], graphs.dense.argmax(step.heads["pointers"], "receiver")[mask])


def test_guide_forces_values_where_it_has_any() -> None:
    processor = pgn(pointers=False)
    graphs = random_graphs([5, 3])
    inputs = random_inputs(graphs.dense, WIDTH)
    nothing = torch.full((2, 5), -1)
    first = torch.tensor([[1, 1, 2, 2, 0], [2, 0, 1, 0, 0]])
    hidden, state = processor.initial(inputs._replace(guide={"pointers": first, "modify": nothing}), graphs.dense)
    assert torch.equal(state.pointers, first)
    free = inputs._replace(guide={"pointers": nothing, "modify": nothing})
    own = processor(free, hidden, graphs.dense, state)
    some = torch.where(torch.tensor([[True, False, True, False, False]] * 2), torch.tensor([3, 0, 1, 0, 0]), -1)
    forced = processor(inputs._replace(guide={"pointers": some, "modify": nothing}), hidden, graphs.dense, state)
    assert torch.equal(forced.state.pointers, torch.where(some >= 0, some, own.state.pointers))
    # Forcing changes what is carried on, not what is predicted.
    for name in ("pointers", "modify"):
        assert torch.equal(forced.heads[name], own.heads[name])
    given = torch.where(first >= 0, first, 0)
    given[0, 0] = -1
    _, state = processor.initial(inputs._replace(guide={"pointers": given}), graphs.dense)
    assert state.pointers[0].tolist() == [0, 1, 2, 2, 0]


@pytest.mark.parametrize(
    ("bound", "heads"),
    [((), set()), (("pointers",), {"pointers"}), (("modify",), {"modify"}), (("pointers", "modify"), None)],
)
def test_only_bound_heads_are_computed(bound: tuple[str, ...], heads: set[str] | None) -> None:
    processor = pgn(pointers=False)
    graphs = random_graphs([4])
    guide = {name: torch.full((1, 4), -1) for name in bound}
    inputs = random_inputs(graphs.dense, WIDTH)._replace(guide=guide)
    hidden, state = processor.initial(inputs, graphs.dense)
    assert bool(state) == ("pointers" in bound)
    step = processor(inputs, hidden, graphs.dense, state)
    assert set(step.heads) == (set(bound) if heads is None else heads)


def test_variants_of_the_paper() -> None:
    assert set(zoo.create("pgn").heads) == {"pointers", "modify"}
    unmasked = zoo.create("pgn", masking=False)
    assert set(unmasked.heads) == {"pointers"} and unmasked.modify_head is None
    assert set(type(unmasked).heads) == {"pointers", "modify"}


@pytest.mark.parametrize("symmetrise", [True, False])
def test_pointers_carry_messages(symmetrise: bool) -> None:
    """From the pointing node to the pointed one; back only if symmetrised."""
    processor = pgn(hidden_size=32, symmetrise=symmetrise)
    graphs = random_graphs([3], density=0.0)
    pointers = torch.tensor([[1, 1, 2]])
    inputs = random_inputs(graphs.dense, 32, edges=False)
    state = processor.initial(inputs, graphs.dense)[1]._replace(pointers=pointers)
    nodes = inputs.encoded.nodes.clone().requires_grad_()
    own = Inputs(Latents(nodes, None, inputs.encoded.graph))
    hidden = processor(own, processor.zeros(own), graphs.dense, state).hidden.nodes
    hears = torch.zeros(3, 3, dtype=torch.bool)
    for i in range(3):
        (grad,) = torch.autograd.grad(hidden[0, i].sum(), nodes, retain_graph=True)
        hears[i] = grad[0].abs().sum(-1) > 0
    assert hears.tolist() == [[True, symmetrise, False], [True, True, False], [False, False, True]]


def test_runs_on_a_networkx_graph_without_a_task() -> None:
    topology = SparseTopology.from_networkx(nx.path_graph(10))
    processor = zoo.create("pgn", hidden_size=16, pointers=True)
    inputs = Inputs(Latents(torch.randn(10, 16)))
    hidden, state = processor.initial(inputs, topology)
    for _ in range(3):
        step = processor(inputs, hidden, topology, state)
        hidden, state = step.hidden, step.state
    assert hidden.nodes.shape == (10, 16) and step.heads["pointers"].shape == (topology.num_edges,)
    assert ((state.pointers - torch.arange(10)).abs() <= 1).all()


def test_clrs_form_without_pointers_is_mpnn_on_given_edges() -> None:
    form = {"hidden_size": WIDTH, "message_layers": 2, "use_ln": True}
    processor = zoo.create("pgn", **form)
    mpnn = zoo.create("mpnn", hidden_size=WIDTH, adjacency="given")
    processor.load_state_dict(mpnn.state_dict(), strict=False)
    graphs = random_graphs([5, 3])
    inputs = random_inputs(graphs.dense, WIDTH)
    hidden = Latents(torch.randn_like(inputs.encoded.nodes))
    found, expected = (p(inputs, hidden, graphs.dense, ()).hidden.nodes for p in (processor, mpnn))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
