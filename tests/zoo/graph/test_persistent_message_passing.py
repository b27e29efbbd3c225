"""Persistent message passing against its equations: what persists, who is heard, what the overwriting twin forgets."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import tasks
import zoo
from tests.zoo.graph.test_mpnn import affine
from tests.zoo.graphs import random_graphs, random_inputs
from trainers.losses import Supervised
from zoo.graph.persistent_message_passing import newest_alive, pool_among, snapshot_index, state_at
from zoo.processor import Inputs, Latents

WIDTH = 3
SHARES = torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 0.0], [0.5, 0.0, 1.0], [1 / 3, 2 / 3, 0.0]])


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def network(**options):
    processor = zoo.create("persistent_message_passing", **({"hidden_size": WIDTH, "masks": True} | options))
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter)
    return processor


def rounds_of(net, z, edges, graph, hears, rounds):
    """A network's latents of the nodes that hear anyone; `hears[i]` are the senders of i."""
    latents = {i: torch.zeros(WIDTH) for i in hears}
    for _ in range(rounds):
        given = {i: torch.cat([z[i], latents[i]]) for i in hears}
        new = {}
        for i, senders in hears.items():
            part = net.messages
            incoming = [
                affine(part.from_sender, given[j])
                + affine(part.from_receiver, given[i])
                + affine(part.from_edge, edges[j, i])
                + affine(part.from_graph, graph)
                for j in senders
            ]
            heard = torch.stack([message.clamp_min(0) for message in incoming]).amax(0)
            new[i] = (affine(net.update.from_node, given[i]) + affine(net.update.from_messages, heard)).clamp_min(0)
        latents = new
    return latents


def reference(net, adjacency: Tensor, x: Tensor, edges: Tensor, graph: Tensor, snapshots: list[int | None]):
    """One graph: hidden, masks' logits, and all states by the operation that made them, after each operation."""
    size, options = len(x), net.config
    states = [{0: torch.zeros(WIDTH)} for _ in range(size)]
    query = x.amax(0)
    for t, snapshot in enumerate(snapshots):
        z = []
        for i in range(size):
            newest = states[i][max(states[i])]
            shown = newest if snapshot is None else states[i][max(k for k in states[i] if k <= snapshot)]
            z.append(torch.cat([x[i], query, newest, shown]))
        senders = {i: [j for j in range(size) if adjacency[j, i]] for i in range(size)}
        latents = rounds_of(net.relevance, z, edges, graph, senders, options.rounds)
        relevance = [affine(net.relevance_head, torch.cat([z[i], latents[i]]))[0] for i in range(size)]
        relevant = [i for i in range(size) if relevance[i] > 0]
        among = {i: [j for j in senders[i] if j in relevant] for i in relevant}
        made = rounds_of(net.operation, z, edges, graph, among, options.rounds)
        both = [torch.cat([z[i], made.get(i, torch.zeros(WIDTH))]) for i in range(size)]
        persistency = [affine(net.persistency_head, both[i])[0] for i in range(size)]
        answer = torch.stack([made[i] for i in relevant]).amax(0) if relevant else torch.zeros(WIDTH)
        told = affine(net.readout.from_messages, answer)
        hidden = torch.stack([(affine(net.readout.from_node, both[i]) + told).clamp_min(0) for i in range(size)])
        for i in relevant:
            if persistency[i] > 0:
                states[i] = {0: made[i]} if options.overwrite else states[i] | {t + 1: made[i]}
        yield hidden, torch.stack(relevance), torch.stack(persistency), [dict(s) for s in states]


@pytest.mark.parametrize(
    "options", [{}, {"overwrite": True}, {"rounds": 2}, {"adjacency": "full", "rounds": 2}], ids=str
)
def test_steps_follow_the_equations(options) -> None:
    torch.manual_seed(1)
    net = network(**options)
    graphs = random_graphs([5, 1, 4])
    inputs = random_inputs(graphs.dense, WIDTH)
    hidden, state = net.initial(inputs, graphs.dense)
    for name in ("relevance", "persistency"):  # so that either mask splits the nodes
        logits = net(inputs, hidden, graphs.dense, state).heads[name][graphs.dense.node_mask()]
        net.get_parameter(f"{name}_head.bias").data -= logits.quantile(0.4)
    steps = []
    for share in SHARES:
        steps.append(net(inputs._replace(raw={"snapshot": share}), hidden, graphs.dense, state))
        hidden, state = steps[-1].hidden, steps[-1].state
    fast, slow, made = torch.zeros(()), torch.zeros(()), 0
    topology = graphs.dense.complete() if "adjacency" in options else graphs.dense
    for g, size in enumerate(graphs.sizes.tolist()):
        x, edges, graph = (part[g] for part in inputs.encoded)
        seen = [None if net.config.overwrite else round(float(SHARES[t, g]) * t) for t in range(len(SHARES))]
        expected = reference(net, topology.neighbours()[g, :size, :size], x[:size], edges, graph, seen)
        for step, (h, relevance, persistency, states) in zip(steps, expected, strict=True):
            found = step.hidden.nodes[g, :size], step.heads["relevance"][g, :size], step.heads["persistency"][g, :size]
            for one, other in zip(found, (h, relevance, persistency), strict=True):
                torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
                weight = torch.randn_like(other)
                fast, slow = fast + (one * weight).sum(), slow + (other * weight).sum()
            for i in range(size):
                assert step.state.alive[g, i].nonzero().flatten().tolist() == sorted(states[i])
                for k, value in states[i].items():
                    torch.testing.assert_close(step.state.states[g, i, k], value, rtol=1e-9, atol=1e-9)
                made += len(states[i]) - 1
    assert made > 0 or net.config.overwrite, "no state was ever made: nothing was tested"
    parameters = list(net.parameters())
    gradients = (torch.autograd.grad(total, parameters) for total in (fast, slow))
    for found, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_a_snapshot_holds_the_newest_state_made_until_then() -> None:
    alive = torch.tensor([[True, False, True, False], [True, True, False, True]])
    assert newest_alive(alive, None).tolist() == [2, 3]
    assert [newest_alive(alive, torch.full((2,), s)).tolist() for s in range(4)] == [[0, 0], [0, 1], [2, 1], [2, 3]]
    states = torch.arange(8.0).reshape(2, 4, 1)
    assert state_at(states, torch.tensor([2, 1])).flatten().tolist() == [2.0, 5.0]


@pytest.mark.parametrize("operations", [1, 7, 150])
def test_every_snapshot_is_found_by_its_share_in_single_precision(operations: int) -> None:
    wanted = torch.arange(operations + 1)
    assert torch.equal(snapshot_index((wanted / operations).float(), operations), wanted)
    assert snapshot_index(torch.ones(2), 0).tolist() == [0, 0]


def test_maximum_among_none_is_zero_and_passes_no_gradient() -> None:
    graphs = random_graphs([3, 2])
    nodes = torch.randn(2, 3, 4, requires_grad=True)
    chosen = torch.tensor([[False, True, True], [False, False, False]])
    best = pool_among(nodes, chosen, graphs.dense)
    torch.testing.assert_close(best[0], nodes[0, 1:].amax(0))
    assert (best[1] == 0).all()
    best.sum().backward()
    assert (nodes.grad[~chosen] == 0).all() and nodes.grad.isfinite().all()
    sparse = pool_among(graphs.nodes(nodes), graphs.nodes(chosen), graphs.sparse)
    torch.testing.assert_close(sparse, best)


def forced(inputs: Inputs, **masks: Tensor) -> Inputs:
    return inputs._replace(guide={name: mask.long() for name, mask in masks.items()})


def test_only_relevant_nodes_work_and_only_persistent_ones_keep_it() -> None:
    net = network(hidden_size=16)
    graphs = random_graphs([4], density=1.0)
    inputs = random_inputs(graphs.dense, 16)
    hidden, state = net.initial(inputs, graphs.dense)
    relevant = torch.tensor([[True, True, True, False]])
    persists = torch.tensor([[True, False, True, True]])
    step = net(forced(inputs, relevance=relevant, persistency=persists), hidden, graphs.dense, state)
    assert step.state.alive[..., 1].tolist() == [[True, False, True, False]]
    assert (step.state.states[0, 3, 1] == 0).all() and (step.state.states[0, :3, 1] != 0).any(-1).all()
    free = net(inputs, hidden, graphs.dense, state)
    assert torch.equal(free.heads["relevance"], step.heads["relevance"])


def test_irrelevant_nodes_are_not_heard() -> None:
    """But for the query, which all nodes are told: here node 3 has no part in its maximum."""
    net = network(hidden_size=16)
    graphs = random_graphs([4], density=1.0)
    nodes = torch.randn(1, 4, 16)
    nodes[0, 3] = nodes.amin() - 1
    nodes.requires_grad_()
    relevant = torch.tensor([[True, True, True, False]])
    inputs = forced(Inputs(Latents(nodes)), relevance=relevant, persistency=relevant)
    hidden, state = net.initial(inputs, graphs.dense)
    step = net(inputs, hidden, graphs.dense, state)
    (grad,) = torch.autograd.grad(step.state.states[0, :3].sum() + step.hidden.nodes[0, :3].sum(), nodes)
    assert (grad[0, 3] == 0).all() and (grad[0, :3] != 0).any(-1).all()


@pytest.mark.parametrize("overwrite", [False, True])
def test_old_states_stay_unless_overwritten(overwrite: bool) -> None:
    net = network(overwrite=overwrite, hidden_size=8)
    graphs = random_graphs([3, 3], density=1.0)
    inputs = random_inputs(graphs.dense, 8)
    everyone = torch.ones(2, 3, dtype=torch.bool)
    hidden, state = net.initial(inputs, graphs.dense)
    past = []
    for _ in range(3):
        step = net(forced(inputs, relevance=everyone, persistency=everyone), hidden, graphs.dense, state)
        hidden, state = step.hidden, step.state
        past.append(state.states)
    assert net.grows != overwrite
    assert state.states.shape[2] == (1 if overwrite else 4)
    if not overwrite:
        for slots in past:
            assert torch.equal(state.states[:, :, : slots.shape[2]], slots)
    # What a question about the past is told depends on the past only if it was kept.
    first, last = (
        net(inputs._replace(raw={"snapshot": torch.full((2,), share)}), hidden, graphs.dense, state).hidden.nodes
        for share in (0.0, 1.0)
    )
    assert torch.equal(first, last) == overwrite


def test_twin_has_the_same_parameters() -> None:
    ours, twin = (zoo.create(f"persistent_message_passing{tag}") for tag in ("", ".overwrite"))
    assert twin.config.overwrite and not ours.config.overwrite
    assert {n: p.shape for n, p in ours.named_parameters()} == {n: p.shape for n, p in twin.named_parameters()}


def test_probes_of_the_streamed_task_are_bound_by_name() -> None:
    for name, bound in (("persistent_range_minimum", True), ("range_minimum", False), ("disjoint_set", False)):
        model = zoo.Reasoner(tasks.create(name).spec, zoo.create("persistent_message_passing", hidden_size=4))
        codec = model.tasks[name]
        ports = {port: probe.name for port, probe in (codec.heads | codec.asks).items()}
        names = {"relevance": "relevant_h", "persistency": "persist_h", "snapshot": "version"}
        assert ports == (names if bound else {})


def test_true_masks_make_the_states_of_the_persistent_tree() -> None:
    task = tasks.create("persistent_range_minimum")
    config = zoo.ReasonerConfig(teacher_forcing=1.0, encode_hints=False)
    model = zoo.Reasoner(task.spec, zoo.create("persistent_message_passing", hidden_size=4), config=config)
    batch = task.sample(seed=0, batch_size=3, size=[3, 5])
    batch = batch.map(lambda value: value.double() if value.is_floating_point() else value)
    alive = model(batch).carry.state.alive
    expected = batch.hints["persist_h"][1:].permute(1, 2, 0) > 0
    for sample, steps in enumerate(batch.steps.tolist()):
        assert torch.equal(alive[sample, :, 1 : steps + 1], expected[sample, :, :steps])


def test_large_and_empty_inputs_stay_finite() -> None:
    net = network(rounds=2)
    graphs = random_graphs([4, 2])
    inputs = random_inputs(graphs.dense, WIDTH)
    nobody = torch.zeros(2, 4, dtype=torch.bool)
    hidden, state = net.initial(inputs, graphs.dense)
    for scale, mask in ((1e6, None), (0.0, nobody), (1e-6, None), (1e6, ~nobody)):
        given = inputs._replace(encoded=Latents(*(scale * part for part in inputs.encoded)))
        given = given if mask is None else forced(given, relevance=mask, persistency=mask)
        step = net(given, hidden, graphs.dense, state)
        hidden, state = step.hidden, step.state
        assert hidden.nodes.isfinite().all() and state.states.isfinite().all()
    hidden.nodes.mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def test_learns_masks_and_answers_of_a_small_tree() -> None:
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    task = tasks.create("persistent_range_minimum")
    config = zoo.ReasonerConfig(teacher_forcing=1.0, encode_hints=False)
    model = zoo.Reasoner(task.spec, zoo.create("persistent_message_passing", hidden_size=16), config=config)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    batch = task.sample(seed=0, batch_size=8, size=2)
    objective = Supervised()
    counts = objective.counts(batch)
    losses = []
    for _ in range(60):
        terms = {name: value / counts[name] for name, value in objective(batch, model(batch)).items()}
        losses.append({name: value.item() for name, value in terms.items()})
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    for name in ("answer", "relevant_h", "persist_h"):
        assert losses[-1][name] < 0.6 * losses[0][name], name
