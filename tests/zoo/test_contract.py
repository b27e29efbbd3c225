"""What every registered processor must do, whatever it computes."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor
from torch.utils._pytree import tree_map

import zoo
from tasks.spec import Location
from tests.zoo.cases import CASES, case_id, make, tensors, unroll
from tests.zoo.graphs import one_graph, random_graphs, random_inputs
from zoo.processor import Inputs, Latents, config_options
from zoo.topology import DenseTopology

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


processors = pytest.mark.parametrize("case", CASES, ids=case_id)


@processors
def test_shapes_follow_the_layout(case) -> None:
    processor = make(case)
    graphs = random_graphs([4, 2, 5])
    dense = random_inputs(graphs.dense, processor.input_size)
    for layout in sorted(processor.layouts):
        topology = getattr(graphs, layout)
        inputs = dense if layout == "dense" else graphs.inputs(dense)
        entries = tuple(inputs.encoded.nodes.shape[:-1])
        hidden, state = processor.initial(inputs, topology)
        assert hidden.nodes.shape == (*entries, processor.hidden_size)
        for taken, step in enumerate(unroll(processor, inputs, topology, 2), 1):
            assert step.hidden.nodes.shape == (*entries, processor.hidden_size)
            assert (step.hidden.edges is not None) == ("edges" in processor.writes)
            assert (step.hidden.graph is not None) == ("graph" in processor.writes)
            added = {len(entries): taken} if processor.grows else {}
            expected = [[n + added.get(axis, 0) for axis, n in enumerate(leaf.shape)] for leaf in tensors(state)]
            assert [[*leaf.shape] for leaf in tensors(step.state)] == expected
            assert set(step.heads) <= set(processor.heads)
            for leaf in tensors(step):
                assert not leaf.is_floating_point() or leaf.isfinite().all()
            for penalty in step.penalties.values():
                assert penalty.shape == (3,)


@processors
def test_step_is_pure(case) -> None:
    processor = make(case)
    graphs = random_graphs([4, 2, 5])
    inputs = random_inputs(graphs.dense, processor.input_size)
    (step,) = unroll(processor, inputs, graphs.dense, 1)
    given = (inputs, step.hidden, step.state)
    before = tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, given)
    attributes = {k: v for k, v in vars(processor).items() if not k.startswith("_")}
    first = processor(inputs, step.hidden, graphs.dense, step.state)
    kept = copy.deepcopy(tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, first))
    second = processor(inputs, step.hidden, graphs.dense, step.state)
    for a, b, c in zip(tensors(first), tensors(second), tensors(kept), strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)
    for a, b in zip(tensors(given), tensors(before), strict=True):
        assert torch.equal(a, b)
    assert attributes == {k: v for k, v in vars(processor).items() if not k.startswith("_")}


@processors
def test_samples_do_not_meet(case, float64) -> None:
    """A graph alone, padded as it was in the batch, gives what it gave in the batch."""
    processor = make(case)
    graphs = random_graphs([4, 1, 5, 3])
    inputs = random_inputs(graphs.dense, processor.input_size)
    together = unroll(processor, inputs, graphs.dense, 2)[-1].hidden.nodes
    for index, size in enumerate(graphs.sizes.tolist()):
        topology, own = one_graph(graphs, inputs, index, padded=True)
        alone = unroll(processor, own, topology, 2)[-1].hidden.nodes
        torch.testing.assert_close(alone[0, :size], together[index, :size], rtol=0, atol=1e-12)


@processors
def test_padding_changes_nothing(case, float64) -> None:
    processor = make(case)
    # One power of two for all: a processor that is not independent of its batch still is of padding up to there.
    sizes = [6, 8, 5] if not processor.batch_independent else [6, 1, 3]
    graphs = random_graphs(sizes)
    inputs = random_inputs(graphs.dense, processor.input_size)
    together = unroll(processor, inputs, graphs.dense, 2)[-1].hidden.nodes
    for index, size in enumerate(sizes):
        topology, own = one_graph(graphs, inputs, index, padded=False)
        alone = unroll(processor, own, topology, 2)[-1].hidden.nodes
        torch.testing.assert_close(alone[0], together[index, :size], rtol=0, atol=1e-12)


@processors
def test_values_at_padding_are_never_read(case, float64) -> None:
    processor = make(case)
    graphs = random_graphs([4, 2])
    inputs = random_inputs(graphs.dense, processor.input_size)
    mask = graphs.dense.node_mask()[..., None]
    nodes, edges, graph = inputs.encoded
    both = mask[:, :, None] & mask[:, None]
    changed = Inputs(Latents(torch.where(mask, nodes, 1e3), torch.where(both, edges, 1e3), graph))
    expected = unroll(processor, inputs, graphs.dense, 2)[-1].hidden.nodes
    found = unroll(processor, changed, graphs.dense, 2)[-1].hidden.nodes
    torch.testing.assert_close(torch.where(mask, found, 0), torch.where(mask, expected, 0), rtol=0, atol=1e-12)


@processors
def test_sparse_equals_dense(case, float64) -> None:
    processor = make(case)
    if "sparse" not in processor.layouts:
        pytest.skip("declared dense only")
    graphs = random_graphs([5, 1, 6, 3])
    inputs = random_inputs(graphs.dense, processor.input_size)
    dense = unroll(processor, inputs, graphs.dense, 3)
    sparse = unroll(processor, graphs.inputs(inputs), graphs.sparse, 3)
    for a, b in zip(dense, sparse, strict=True):
        torch.testing.assert_close(graphs.nodes(a.hidden.nodes), b.hidden.nodes, rtol=0, atol=1e-12)
        for name, head in a.heads.items():
            if processor.heads[name].location is Location.GRAPH:
                moved = head
            else:
                moved = graphs.edges(head) if name == "pointers" else graphs.nodes(head)
            torch.testing.assert_close(moved, b.heads[name], rtol=0, atol=1e-12)


@processors
def test_gradient_reaches_every_parameter(case, float64) -> None:
    processor = make(case)
    graphs = random_graphs([5, 6, 3])
    inputs = random_inputs(graphs.dense, processor.input_size)
    hidden, state = processor.initial(inputs, graphs.dense)
    hidden = hidden._replace(nodes=hidden.nodes + torch.randn_like(hidden.nodes))
    loss = torch.zeros(())
    for _ in range(3):
        step = processor(inputs, hidden, graphs.dense, state)
        hidden, state = step.hidden, step.state
        heads = [graphs.dense.log_softmax(v, "receiver") if k == "pointers" else v for k, v in step.heads.items()]
        for value in [*tensors(hidden), *heads]:
            loss = loss + (torch.where(value.isfinite(), value, 0.0) * torch.randn_like(value)).sum()
    loss.backward()
    unused = set() if step.heads else {"pointer_head.query", "pointer_head.key", "modify_head"}
    for name, parameter in processor.named_parameters():
        if name.rpartition(".")[0] in unused:
            assert parameter.grad is None
        else:
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


@processors
def test_saved_weights_load(case, tmp_path: Path) -> None:
    processor, other = make(case), make(case)
    torch.save(processor.state_dict(), tmp_path / "weights.pt")
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    graphs = random_graphs([4, 2])
    inputs = random_inputs(graphs.dense, processor.input_size)
    steps, again = (unroll(one, inputs, graphs.dense, 2) for one in (processor, other))
    for a, b in zip(tensors(steps), tensors(again), strict=True):
        assert torch.equal(a, b)


@processors
def test_seed_fixes_everything(case) -> None:
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        processor = make(case)
        graphs = random_graphs([4, 2])
        inputs = random_inputs(graphs.dense, processor.input_size)
        results.append(tensors([list(processor.parameters()), unroll(processor, inputs, graphs.dense, 2)]))
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


@processors
def test_order_of_nodes_matters_only_where_declared(case, float64) -> None:
    processor = make(case)
    graphs = random_graphs([6, 6])
    inputs = random_inputs(graphs.dense, processor.input_size)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    nodes, edges, graph = inputs.encoded
    moved = Inputs(Latents(nodes[:, order], edges[:, order][:, :, order], graph))
    adjacency = graphs.dense.neighbours()[:, order][:, :, order]
    topology = DenseTopology(2, 6, adjacency=adjacency)
    expected = unroll(processor, inputs, graphs.dense, 3)[-1]
    found = unroll(processor, moved, topology, 3)[-1]
    pairs = [(found.hidden.nodes, expected.hidden.nodes[:, order])]
    if expected.hidden.edges is not None:
        pairs.append((found.hidden.edges, expected.hidden.edges[:, order][:, :, order]))
    for name, head in expected.heads.items():
        at_nodes = head if processor.heads[name].location is Location.GRAPH else head[:, order]
        pairs.append((found.heads[name], at_nodes[:, :, order] if name == "pointers" else at_nodes))
    assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in pairs) != processor.ordered


@processors
@pytest.mark.parametrize("with_edges", [True, False])
def test_derivative_is_that_of_the_values(case, with_edges: bool, float64) -> None:
    processor = make(case, 3)
    for parameter in processor.parameters():
        parameter.requires_grad_(False)
    topology = DenseTopology(1, 3)
    inputs = random_inputs(topology, processor.input_size, edges=with_edges)
    start, state = processor.initial(inputs, topology)
    state = tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, state)
    given = [*inputs.encoded] if with_edges else [inputs.encoded.nodes, inputs.encoded.graph]

    def values(hidden: Tensor, *latents: Tensor) -> Tensor:
        encoded = Latents(*latents) if with_edges else Latents(latents[0], None, latents[1])
        step = processor(Inputs(encoded), Latents(hidden), topology, state)
        # Twice, so that what passes through the state counts too.
        return processor(Inputs(encoded), step.hidden, topology, step.state).hidden.nodes

    leaves = [t.detach().requires_grad_() for t in (torch.randn_like(start.nodes), *given)]
    assert torch.autograd.gradcheck(values, leaves, fast_mode=True)


@processors
@pytest.mark.parametrize("rest", [True, False], ids=["with edges", "nodes only"])
def test_graph_of_one_node(case, rest: bool) -> None:
    processor = make(case)
    for layout in sorted(processor.layouts):
        graphs = random_graphs([1, 1])
        topology = getattr(graphs, layout)
        dense = random_inputs(graphs.dense, processor.input_size, edges=rest, graph=rest)
        inputs = dense if layout == "dense" else graphs.inputs(dense)
        step = unroll(processor, inputs, topology, 2)[-1]
        step.hidden.nodes.square().sum().backward()
        assert step.hidden.nodes.isfinite().all()
        for parameter in processor.parameters():
            assert parameter.grad is None or parameter.grad.isfinite().all()


@pytest.mark.compile
@processors
def test_step_is_one_graph_to_the_compiler(case) -> None:
    processor = make(case)
    if not processor.compiles:
        pytest.skip("declared")
    torch._dynamo.reset()
    graphs = random_graphs([4, 2, 5])
    inputs = random_inputs(graphs.dense, processor.input_size)
    with torch.no_grad():
        (step,) = unroll(processor, inputs, graphs.dense, 1)
    compiled = torch.compile(processor, fullgraph=True, backend="eager")
    found = compiled(inputs, step.hidden, graphs.dense, step.state)
    expected = processor(inputs, step.hidden, graphs.dense, step.state)
    for a, b in zip(tensors(found), tensors(expected), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", zoo.list_processors())
def test_name_is_documented(name: str) -> None:
    entry = zoo.describe(name)
    assert entry.paper and entry.year and entry.bibtex.startswith("@") and entry.summary
    assert entry.cls.Config is entry.config
    for field, (_, meaning) in config_options(entry.config).items():
        assert meaning, field
    text = (ROOT / "configs" / "processor" / f"{name}.yaml").read_text("utf-8")
    assert text.startswith("# ") and yaml.safe_load(text)["name"] == name
    assert set(yaml.safe_load(text)) - {"name"} <= set(config_options(entry.config))


def test_unknown_names_and_options_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean mpnn"):
        zoo.create("mpn")
    with pytest.raises(ValueError, match="did you mean hidden_size"):
        zoo.create("mpnn", hiden_size=8)
    with pytest.raises(ValueError, match="hidden_size must be at least 1"):
        zoo.create("mpnn", hidden_size=0)
