"""The pointer graph network against its paper: equations, inertia, and what its ablations take away."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

import tasks
import zoo
from tests.zoo.graph.test_mpnn import affine
from tests.zoo.graphs import random_graphs, random_inputs
from trainers.losses import Supervised
from zoo.processor import Inputs, Latents
from zoo.topology import DenseTopology

WIDTH = 4
CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "processor"


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def network(**options):
    processor = zoo.create("pointer_graph", **({"hidden_size": WIDTH, "pointers": True} | options))
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter)
    return processor


def reference(net, given: Tensor, candidates: Tensor, x: Tensor, edges: Tensor, graph: Tensor, steps: int):
    """One graph, entry by entry: hidden, pointers, and logits of masks and pointers after each step."""
    size, options = len(x), net.config
    h, pointers = torch.zeros(size, WIDTH), list(range(size))
    for _ in range(steps):
        z = [affine(net.latent, torch.cat([x[i], h[i]])) for i in range(size)]
        new = []
        for i in range(size):
            incoming = []
            for j in range(size):
                points = pointers[j] == i or (options.symmetrise and pointers[i] == j)
                if options.messages == "all" or points or bool(given[j, i]):
                    part = net.messages
                    feature = edges[j, i] if options.messages == "all" or given[j, i] else torch.zeros(WIDTH)
                    terms = [affine(part.from_sender, z[j]), affine(part.from_receiver, z[i])]
                    terms += [affine(part.from_edge, feature), affine(part.from_graph, graph)]
                    incoming.append(sum(terms).clamp_min(0))
            heard = torch.stack(incoming).amax(0)
            new.append((affine(net.update.from_node, z[i]) + affine(net.update.from_messages, heard)).clamp_min(0))
        masks = [affine(net.modify_head, torch.cat([z[i], new[i]])) if options.masking else None for i in range(size)]
        scores = torch.stack(
            [
                torch.stack([affine(net.pointer_head.query, a) @ (net.pointer_head.key.weight @ b) for b in new])
                for a in new
            ]
        )
        chosen = []
        for i in range(size):
            allowed = [j for j in range(size) if candidates[j, i]]
            best = max(allowed, key=lambda j, row=scores[i]: (row[j].item(), -j))
            chosen.append(best if masks[i] is None or masks[i].sigmoid() > 0.5 else pointers[i])
        h, pointers = torch.stack(new), chosen
        yield h, pointers, (torch.cat(masks) if options.masking else None), scores


@pytest.mark.parametrize("everywhere", [True, False], ids=["any node", "neighbours"])
@pytest.mark.parametrize("options", [{}, {"masking": False}, {"symmetrise": False}, {"messages": "all"}], ids=str)
def test_steps_follow_the_equations(options, everywhere: bool) -> None:
    net = network(**options)
    graphs = random_graphs([6, 1, 4], density=0.2)
    candidates = graphs.dense.complete() if everywhere else graphs.dense
    inputs = random_inputs(graphs.dense, WIDTH)._replace(candidates={"pointers": candidates})
    hidden, state = net.initial(inputs, graphs.dense)
    steps, start = [], state.pointers.tolist()
    for _ in range(4):
        steps.append(net(inputs, hidden, graphs.dense, state))
        hidden, state = steps[-1].hidden, steps[-1].state
    fast, slow = torch.zeros(()), torch.zeros(())
    for g, size in enumerate(graphs.sizes.tolist()):
        given, free = graphs.dense.neighbours()[g, :size, :size], candidates.neighbours()[g, :size, :size]
        x, edges, graph = (part[g] for part in inputs.encoded)
        for step, (h, pointers, masks, scores) in zip(
            steps, reference(net, given, free, x[:size], edges, graph, 4), strict=True
        ):
            torch.testing.assert_close(step.hidden.nodes[g, :size], h, rtol=1e-9, atol=1e-10)
            torch.testing.assert_close(step.heads["pointers"][g, :size, :size].T, scores, rtol=1e-9, atol=1e-10)
            assert step.state.pointers[g, :size].tolist() == pointers
            weight = torch.randn_like(h)
            fast, slow = fast + (step.hidden.nodes[g, :size] * weight).sum(), slow + (h * weight).sum()
            if masks is not None:
                torch.testing.assert_close(step.heads["modify"][g, :size], masks, rtol=1e-9, atol=1e-10)
                fast, slow = fast + step.heads["modify"][g, :size].sum(), slow + masks.sum()
    assert state.pointers.tolist() != start, "no pointer ever moved: nothing was tested"
    parameters = [p for name, p in net.named_parameters() if "pointer_head" not in name]
    gradients = (torch.autograd.grad(total, parameters) for total in (fast, slow))
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_latent_has_the_width_of_the_hidden_whatever_is_encoded() -> None:
    """f mixes what is encoded and the hidden; U, M and the mask network read no more than that."""
    net = network(input_size=7)
    assert net.latent.weight.shape == (WIDTH, 7 + WIDTH)
    assert net.messages.from_sender.weight.shape == (WIDTH, WIDTH)
    assert net.modify_head.weight.shape == (1, 2 * WIDTH)


def test_parameters_are_the_papers() -> None:
    """Width k: f has 2k² + k weights beside encoders, M and U 2k² + 2k each, ψ 2k + 1, keys and queries 2k² + k.

    Two more maps of k² + k are for features of edges and graphs, which the paper's tasks do not have.
    """
    k = 32
    net = zoo.create("pointer_graph", hidden_size=k)
    assert sum(p.numel() for p in net.parameters()) == 8 * k * k + 8 * k + 1 + 2 * (k * k + k)


def first_step(net, inputs: Inputs, topology: DenseTopology):
    hidden, state = net.initial(inputs, topology)
    return net(inputs, hidden, topology, state), state


def test_masks_hold_pointers() -> None:
    net = network()
    graphs = random_graphs([6, 4])
    inputs = random_inputs(graphs.dense, WIDTH)
    mask = graphs.dense.node_mask()
    for forced in (0, 1):
        guide = {"modify": torch.full_like(mask, forced, dtype=torch.long)}
        step, old = first_step(net, inputs._replace(guide=guide), graphs.dense)
        best = graphs.dense.argmax(step.heads["pointers"], "receiver")
        assert torch.equal(step.state.pointers[mask], (best if forced else old.pointers)[mask])


@pytest.mark.parametrize("preset", ["asymmetric", "unrestricted", None])
def test_who_hears_whom(preset: str | None) -> None:
    """Node 0 points to node 1, the others to themselves."""
    options = preset_options(preset) if preset else {}
    net = network(hidden_size=32, **options)
    graphs = random_graphs([3], density=0.0)
    inputs = random_inputs(graphs.dense, 32, edges=False)
    state = net.initial(inputs, graphs.dense)[1]._replace(pointers=torch.tensor([[1, 1, 2]]))
    nodes = inputs.encoded.nodes.clone().requires_grad_()
    own = Inputs(Latents(nodes, None, inputs.encoded.graph))
    hidden = net(own, net.zeros(own), graphs.dense, state).hidden.nodes
    hears = torch.zeros(3, 3, dtype=torch.bool)
    for i in range(3):
        (grad,) = torch.autograd.grad(hidden[0, i].sum(), nodes, retain_graph=True)
        hears[i] = grad[0].abs().sum(-1) > 0
    expected = {
        None: [[True, True, False], [True, True, False], [False, False, True]],
        "asymmetric": [[True, False, False], [True, True, False], [False, False, True]],
        "unrestricted": [[True] * 3] * 3,
    }
    assert hears.tolist() == expected[preset]


def preset_options(name: str) -> dict[str, object]:
    options = yaml.safe_load((CONFIGS / f"pointer_graph.{name}.yaml").read_text("utf-8"))
    assert options.pop("name") == "pointer_graph"
    return options


def test_presets_are_the_papers_ablations() -> None:
    assert preset_options("no_mask") == {"masking": False}
    assert set(network(masking=False).heads) == {"pointers"}
    assert preset_options("oracle_pointers") == {"oracle": True}
    unrestricted = zoo.create("pointer_graph", **preset_options("unrestricted"))
    assert unrestricted.layouts == {"dense"} and unrestricted.adjacency == "full"
    with pytest.raises(ValueError, match="did you mean pointers"):
        zoo.create("pointer_graph", messages="pointer")


@pytest.mark.parametrize("oracle", [True, False])
def test_only_the_oracle_knows_the_true_pointers_in_evaluation(oracle: bool) -> None:
    task = tasks.create("disjoint_set")
    config = zoo.ReasonerConfig(encode_hints=False)
    model = zoo.Reasoner(task.spec, zoo.create("pointer_graph", hidden_size=8, oracle=oracle), config=config).eval()
    batch = task.sample(seed=0, batch_size=2, size=6)
    batch = batch.map(lambda value: value.double() if value.is_floating_point() else value)
    trace = model(batch, trace=True).trace
    same = [torch.equal(step.state.pointers, batch.hints["parent_h"][t + 1].long()) for t, step in enumerate(trace)]
    assert all(same) == oracle
    assert set(trace[0].heads) == {"pointers", "modify"}


def test_saturated_masks_and_large_inputs_stay_finite() -> None:
    net = network()
    graphs = random_graphs([5, 2])
    inputs = random_inputs(graphs.dense, WIDTH)
    large = Latents(*(1e6 * part for part in inputs.encoded))
    hidden, state = net.initial(inputs, graphs.dense)
    for encoded in (large, Latents(torch.zeros_like(large.nodes)), large):
        step = net(Inputs(encoded), hidden, graphs.dense, state)
        hidden, state = step.hidden, step.state
        (step.hidden.nodes.sum() + step.heads["modify"].sum()).backward(retain_graph=True)
    assert hidden.nodes.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def test_learns_the_pointers_of_a_disjoint_set() -> None:
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    task = tasks.create("disjoint_set")
    config = zoo.ReasonerConfig(encode_hints=False, teacher_forcing=1.0)
    model = zoo.Reasoner(task.spec, zoo.create("pointer_graph", hidden_size=16), config=config)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    batch = task.sample(seed=0, batch_size=8, size=4)
    objective = Supervised()
    counts = objective.counts(batch)
    losses = []
    for _ in range(60):
        sums = objective(batch, model(batch))
        loss = sum(value / counts[name] for name, value in sums.items())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]
