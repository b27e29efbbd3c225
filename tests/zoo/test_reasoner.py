"""The Reasoner: what is encoded, fed back, frozen and decoded, against the plainest way to say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import tasks
import zoo
from tasks.batch import Batch
from tasks.spec import Location, Probe, Spec, Stage, Type
from zoo.codec import ReasonerConfig
from zoo.decoders import cyclic, log_sinkhorn
from zoo.edges import materialise
from zoo.encoders import channels, raw_width
from zoo.processor import Inputs, Latents, Processor, ProcessorConfig, Step
from zoo.reasoner import Reasoner
from zoo.topology import DenseTopology, Topology
from zoo.unroll import topology_of


def in_float64(batch: Batch) -> Batch:
    return batch.map(lambda value: value.double() if value.is_floating_point() else value)


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def reasoner(task: tasks.Task, name: str = "mpnn", *, config: ReasonerConfig | None = None, **options) -> Reasoner:
    return Reasoner(task.spec, zoo.create(name, hidden_size=8, **options), config=config)


class Spy(Processor):
    """Adds one to the hidden and remembers what it was shown."""

    def __init__(self, config: ProcessorConfig, halts_after: Tensor | None = None) -> None:
        super().__init__(config)
        self.seen: list[Inputs] = []
        self.topologies: list[Topology] = []
        self.halts_after = halts_after

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: int) -> Step:
        self.seen.append(inputs)
        self.topologies.append(topology)
        count = 1 if state == () else state + 1
        halt = None if self.halts_after is None else count >= self.halts_after
        return Step(Latents(hidden.nodes + 1), count, halt=halt)


def edge_values(topology: Topology, edges: Tensor) -> Tensor:
    """A dense tensor's entries at a topology's edges, graph by graph, whatever the layout."""
    nodes = [int(m.sum()) for m in topology.as_sequence(topology.node_mask())[0]]
    if isinstance(topology, DenseTopology):
        mask = topology.neighbours()
        return torch.cat([edges[b].T[:n, :n][mask[b].T[:n, :n]] for b, n in enumerate(nodes)])
    return edges


@pytest.mark.parametrize("name", ["mpnn", "pgn", "deep_sets", "lstm", "ntm"])
@pytest.mark.parametrize("task_name", ["bfs", "bellman_ford"])
@pytest.mark.parametrize("training", [False, True])
def test_dense_equals_sparse_through_the_whole_loop(float64, name, task_name, training):
    task = tasks.create(task_name)
    options = {"adjacency": "given"} if name == "mpnn" else {}
    model = reasoner(task, name, config=ReasonerConfig(teacher_forcing=0.5, reverse_pointers=True), **options)
    model.train(training)
    sample = {"seed": 3, "batch_size": 4, "size": (2, 5, 9), "distribution": ("sparse", "grid")}
    dense = model(in_float64(task.sample(**sample)), noise=(1, 2))
    sparse = model(in_float64(task.sample(**sample, layout="sparse")), noise=(1, 2))
    nodes, lengths = dense.topology.node_mask(), task.sample(**sample).lengths

    def live(t: int, location: Location) -> Tensor:
        return sparse.topology.per_entry(t + 1 < lengths, location)

    def same(probe: Probe, a: Tensor, b: Tensor, where: Tensor | slice) -> None:
        a = edge_values(dense.topology, a) if probe.is_pointer else a[nodes]
        torch.testing.assert_close(a[where], b[where], rtol=1e-12, atol=1e-12)

    for key, value in dense.outputs.items():
        same(task.spec[key], value, sparse.outputs[key], slice(None))
    for key, value in dense.hints.items():
        probe = task.spec[key]
        for t in range(value.shape[0]):
            where = live(t, Location.EDGE if probe.is_pointer else probe.location)
            same(probe, value[t], sparse.hints[key][t], where)


@pytest.mark.parametrize(
    ("name", "task_name"),
    [
        ("mpnn", "bfs"),
        ("pgn", "disjoint_set"),
        ("ntm", "bellman_ford"),
        ("deep_sets", "insertion_sort"),
        ("lstm", "copy"),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_a_sample_gets_the_same_predictions_in_any_batch(float64, name, task_name, training):
    """Padding, longer neighbours and the noise of training change nothing: half batches equal the whole."""
    task = tasks.create(task_name)
    model = reasoner(task, name, config=ReasonerConfig(teacher_forcing=0.5)).train(training)
    size = (task.min_size, task.min_size + 3)
    whole = model(in_float64(task.sample(seed=1, batch_size=4, size=size)), noise=(5, 6))
    for start in range(4):
        batch = in_float64(task.sample(seed=1, batch_size=1, size=size, index=start))
        alone = model(batch, noise=(5, 6))
        n, steps = int(batch.sizes[0]), int(batch.steps[0])
        for key, value in alone.outputs.items():
            streamed = not key.endswith(":head") and task.spec[key].streamed
            together = whole.outputs[key][:steps, start] if streamed else whole.outputs[key][start]
            mine = value[:, 0] if streamed else value[0]
            for axis in range(int(streamed), mine.dim()):
                together = together.narrow(axis, 0, mine.shape[axis])
            torch.testing.assert_close(together, mine, rtol=1e-10, atol=1e-12)
        for key, value in alone.hints.items():
            mine, together = value[:steps, 0], whole.hints[key][:steps, start]
            for axis in range(1, mine.dim()):
                together = together.narrow(axis, 0, n if mine.shape[axis] == n else mine.shape[axis])
            torch.testing.assert_close(together, mine, rtol=1e-10, atol=1e-12)


def test_encoding_is_a_sum_of_linear_maps():
    task = tasks.create("bellman_ford")
    spy = Spy(ProcessorConfig(hidden_size=8))
    model = Reasoner(task.spec, spy).eval()
    batch = task.sample(seed=0, batch_size=2, size=5)
    model(batch)
    encoded, linears = spy.seen[0].encoded, model.tasks["bellman_ford"].encoder.linears
    for b in range(2):
        for i in range(5):
            parts = {
                "pos": batch.inputs["pos"][b, i],
                "s": torch.tensor(float(batch.inputs["s"][b] == i)),
                "d": batch.hints["d"][0, b, i],
                "msk": batch.hints["msk"][0, b, i].float(),
            }
            expected = sum(linears[k].weight[:, 0] * v + linears[k].bias for k, v in parts.items())
            torch.testing.assert_close(encoded.nodes[b, i], expected)
            for j in range(5):
                pointer = float(batch.hints["pi_h"][0, b, i] == j)
                parts = {"A": batch.inputs["A"][b, i, j], "adj": batch.inputs["adj"][b, i, j].float(), "pi_h": pointer}
                expected = sum(linears[k].weight[:, 0] * v + linears[k].bias for k, v in parts.items())
                torch.testing.assert_close(materialise(encoded.edges)[b, i, j], expected)


def test_pointer_decoder_against_its_equation():
    """Logit of i pointing to j: w · max(p1 h_i, p2 h_j + p3 e_ji), over the neighbours of i."""
    task = tasks.create("bfs")
    spy = Spy(ProcessorConfig(hidden_size=4))
    model = Reasoner(task.spec, spy, config=ReasonerConfig(steps=1, decode_from=("encoded",))).eval()
    batch = task.sample(seed=0, batch_size=2, size=5, distribution="sparse")
    result = model(batch).outputs["pi"]
    decoder = model.tasks["bfs"].decoders["pi"]
    h, e = spy.seen[0].encoded.nodes, materialise(spy.seen[0].encoded.edges)
    for b in range(2):
        for i in range(5):
            joined = [j for j in range(5) if batch.inputs["adj"][b, i, j]]
            logits = torch.stack(
                [
                    decoder.out(
                        torch.maximum(
                            decoder.node(h[b, i]), decoder.candidate(h[b, j]) + decoder.edge.linears[0](e[b, j, i])
                        )
                    )[0]
                    for j in joined
                ]
            )
            torch.testing.assert_close(result[b, joined, i], logits.log_softmax(0))
            assert set(joined) == set(result[b, :, i].isfinite().nonzero().flatten().tolist())


@pytest.mark.parametrize("task_name", ["bellman_ford", "insertion_sort"])
def test_full_teacher_forcing_feeds_the_true_hints(task_name):
    task = tasks.create(task_name)
    spy = Spy(ProcessorConfig(hidden_size=8))
    model = Reasoner(task.spec, spy, config=ReasonerConfig(teacher_forcing=1.0)).train()
    batch = task.sample(seed=0, batch_size=3, size=6)
    model(batch)
    encoder = model.tasks[task_name].encoder
    topology = topology_of(batch)
    for t, seen in enumerate(spy.seen):
        values = {p.name: channels(p, batch.inputs[p.name], topology) for p in task.spec.inputs}
        values |= {p.name: channels(p, batch.hints[p.name][t], topology) for p in task.spec.hints}
        live = (t < batch.lengths).nonzero().flatten()
        torch.testing.assert_close(seen.encoded.nodes[live], encoder(values, topology).nodes[live])
        torch.testing.assert_close(
            materialise(seen.encoded.edges)[live], materialise(encoder(values, topology).edges)[live]
        )


def test_evaluation_never_sees_a_true_hint_after_the_first_frame():
    task = tasks.create("bellman_ford")
    model = reasoner(task, config=ReasonerConfig(teacher_forcing=1.0)).eval()
    batch = task.sample(seed=0, batch_size=3, size=6)
    scrambled = {k: torch.cat([v[:1], v[1:].flip(0)]) for k, v in batch.hints.items()}
    before, after = model(batch), model(replace(batch, hints=scrambled))
    torch.testing.assert_close(before.outputs["pi"], after.outputs["pi"], rtol=0, atol=0)


@pytest.mark.parametrize("feedback", ["soft", "hard"])
def test_feedback_is_a_distribution_or_a_decision(feedback):
    task = tasks.create("insertion_sort")
    spy = Spy(ProcessorConfig(hidden_size=8))
    model = Reasoner(task.spec, spy, config=ReasonerConfig(feedback=feedback)).eval()
    carry = model(task.sample(seed=0, batch_size=3, size=5)).carry
    pointers, index = carry.hints["pred_h"][..., 0], carry.hints["i"][..., 0]
    torch.testing.assert_close(pointers.sum(2), torch.ones(3, 5))
    torch.testing.assert_close(index.sum(1), torch.ones(3))
    decided = bool(((index == 0) | (index == 1)).all() and ((pointers == 0) | (pointers == 1)).all())
    assert decided == (feedback == "hard")


def test_a_number_of_steps_leaves_hints_out():
    task = tasks.create("bfs")
    spy = Spy(ProcessorConfig(hidden_size=8))
    model = Reasoner(task.spec, spy, config=ReasonerConfig(steps=2))
    prediction = model(task.sample(seed=0, batch_size=4, size=9, distribution="path"))
    assert len(spy.seen) == 2
    assert not prediction.hints
    assert set(model.tasks["bfs"].decoders) == {"pi"}
    assert "reach_h" not in model.tasks["bfs"].encoder.linears


@pytest.mark.parametrize(("evaluation", "expected"), [(0, 3), (7, 7)])
def test_steps_until_halt_have_a_limit_of_their_own_in_evaluation(evaluation, expected):
    task = tasks.create("bfs")
    spy = Spy(ProcessorConfig(hidden_size=8), torch.tensor([100, 100]))
    model = Reasoner(task.spec, spy, config=ReasonerConfig(steps="halt", max_steps=3, eval_max_steps=evaluation))
    batch = task.sample(seed=0, batch_size=2, size=5)
    model(batch)
    assert len(spy.seen) == 3
    model.eval()(batch)
    assert len(spy.seen) == 3 + expected


def test_outputs_are_decoded_once_a_sample_and_hints_at_every_step() -> None:
    task = tasks.create("bfs")
    batch = task.sample(batch_size=12, size=9, distribution="sparse")
    steps = batch.steps.tolist()
    assert len(set(steps)) > 1
    model = reasoner(task)
    rows: dict[str, list[int]] = {"pi": [], "pi_h": []}
    for name, counts in rows.items():
        decoder = model.tasks["bfs"].decoders[name]
        decoder.register_forward_hook(lambda module, args, out, counts=counts: counts.append(len(out)))
    model(batch)
    assert rows["pi"] == [steps.count(step) for step in sorted(set(steps))]
    assert rows["pi_h"] == [len(steps)] * max(steps)


def test_halting_freezes_each_sample_at_its_own_step():
    task = tasks.create("bfs")
    halts = torch.tensor([1, 3, 2])
    model = Reasoner(task.spec, Spy(ProcessorConfig(hidden_size=8), halts), config=ReasonerConfig(steps="halt"))
    model.eval()
    batch = task.sample(seed=0, batch_size=3, size=5)
    together = model(batch).outputs["pi"]
    for b, steps in enumerate(halts.tolist()):
        spy = Spy(ProcessorConfig(hidden_size=8), torch.full((3,), steps))
        alone = Reasoner(task.spec, spy, config=ReasonerConfig(steps="halt")).eval()
        alone.load_state_dict(model.state_dict())
        torch.testing.assert_close(together[b], alone(batch).outputs["pi"][b])
        assert len(spy.seen) == steps
    with pytest.raises(ValueError, match="never does"):
        reasoner(task, config=ReasonerConfig(steps="halt"))(batch)


def test_raw_ntm_on_copy_has_exactly_the_papers_modules():
    """Outside the processor only the output layer: from controller and reads to 8 bits."""
    task = tasks.create("copy")
    assert raw_width(task.spec) == 9
    ntm = zoo.create("ntm", input_size=9, output="concat")
    config = ReasonerConfig(encoder="raw", decode_from=("new",), encode_hints=False, decode_hints=False)
    model = Reasoner(task.spec, ntm, config=config)
    outside = {k: tuple(v.shape) for k, v in model.named_parameters() if not k.startswith("processor.")}
    width = ntm.hidden_size
    assert outside == {
        "tasks.copy.decoders.copied.out.weight": (8, width),
        "tasks.copy.decoders.copied.out.bias": (8,),
    }
    assert width == 100 + 20
    assert model(task.sample(seed=0, batch_size=2, size=3)).outputs["copied"].shape == (2, 7, 8)
    with pytest.raises(ValueError, match="input_size=9"):
        Reasoner(task.spec, zoo.create("ntm", input_size=8, output="concat"), config=config)
    with pytest.raises(ValueError, match="edges"):
        Reasoner(tasks.create("bfs").spec, ntm, config=config)


def test_a_carry_continues_a_stream(float64):
    task = tasks.create("disjoint_set")
    model = reasoner(task, "pgn").eval()
    batch = in_float64(task.sample(seed=0, batch_size=2, size=6))
    whole = model(batch).outputs["answer"]
    cut = 4

    def part(start: int, end: int) -> Batch:
        def frames(values: Mapping[str, Tensor], last: int) -> dict[str, Tensor]:
            return {k: v[start:last] for k, v in values.items()}

        streamed = {p.name for p in task.spec.inputs if p.streamed}
        inputs = {k: v[start:end] if k in streamed else v for k, v in batch.inputs.items()}
        return replace(
            batch,
            inputs=inputs,
            hints=frames(batch.hints, end + 1),
            outputs=frames(batch.outputs, end),
            lengths=torch.full_like(batch.lengths, end - start + 1),
        )

    first = model(part(0, cut))
    second = model(part(cut, whole.shape[0]), carry=first.carry)
    torch.testing.assert_close(torch.cat([first.outputs["answer"], second.outputs["answer"]]), whole)


def test_heads_bind_to_the_only_hint_that_fits_and_are_guided():
    task = tasks.create("disjoint_set")
    model = reasoner(task, "pgn", config=ReasonerConfig(teacher_forcing=1.0)).train()
    codec = model.tasks["disjoint_set"]
    assert {head: probe.name for head, probe in codec.heads.items()} == {"pointers": "parent_h", "modify": "modified_h"}
    assert not {"parent_h", "modified_h"} & set(codec.decoders)
    batch = task.sample(seed=0, batch_size=2, size=5)
    trace = model(batch, trace=True).trace
    for t, step in enumerate(trace):
        torch.testing.assert_close(step.state.pointers, batch.hints["parent_h"][t + 1].long())


def test_what_a_processor_decided_is_fed_back():
    """A PGN's pointers move only where its mask lets them; those are what the next step reads."""
    task = tasks.create("disjoint_set")
    model = reasoner(task, "pgn").eval()
    prediction = model(task.sample(seed=0, batch_size=3, size=6), trace=True)
    pointers = prediction.trace[-1].state.pointers
    expected = prediction.topology.complete().one_hot(pointers)[..., None]
    torch.testing.assert_close(prediction.carry.hints["parent_h"], expected, rtol=0, atol=0)
    likeliest = prediction.topology.complete().argmax(prediction.trace[-1].heads["pointers"], "receiver")
    assert not torch.equal(pointers, likeliest)


def test_bindings_that_cannot_be_are_refused():
    task = tasks.create("disjoint_set")
    processor = zoo.create("pgn", hidden_size=8)
    with pytest.raises(ValueError, match="did you mean pointers"):
        Reasoner(task.spec, processor, bind={"disjoint_set": {"pointer": "parent_h"}})
    with pytest.raises(ValueError, match="node pointer"):
        Reasoner(task.spec, processor, bind={"disjoint_set": {"pointers": "modified_h"}})


def test_a_head_that_is_given_none_leaves_its_probe_to_a_decoder():
    task = tasks.create("bfs")
    heads = {"pointers": "none", "modify": "none"}
    model = Reasoner(task.spec, zoo.create("pgn", hidden_size=8), bind={"bfs": heads})
    codec = model.tasks["bfs"]
    assert not codec.heads and {"pi_h", "reach_h"} <= set(codec.decoders)
    assert Reasoner(task.spec, zoo.create("pgn", hidden_size=8)).tasks["bfs"].heads.keys() == heads.keys()


def test_capabilities_that_clash_name_both_sides():
    sparse = tasks.create("bfs").sample(seed=0, batch_size=2, size=6, layout="sparse")
    with pytest.raises(ValueError, match=r"MPNN.*dense.*bfs is sparse"):
        reasoner(tasks.create("bfs"))(sparse)
    anywhere = tasks.create("bfs", pointers="nodes")
    sparse = anywhere.sample(seed=0, batch_size=2, size=6, layout="sparse")
    with pytest.raises(ValueError, match=r"bfs's pi, pi_h may point to any node.*PGN"):
        reasoner(anywhere, "pgn")(sparse)


def test_hinted_pointers_join_the_edges_of_the_next_step():
    task = tasks.create("insertion_sort")
    spy = Spy(ProcessorConfig(hidden_size=8))
    spy.adjacency = "given"
    model = Reasoner(task.spec, spy, config=ReasonerConfig(teacher_forcing=1.0)).train()
    batch = task.sample(seed=0, batch_size=2, size=5)
    model(batch)
    for t, topology in enumerate(spy.topologies[: int(batch.lengths.min())]):
        pointer = batch.hints["pred_h"][t]
        expected = torch.eye(5, dtype=torch.bool).repeat(2, 1, 1)
        for b in range(2):
            for i in range(5):
                expected[b, i, pointer[b, i]] = expected[b, pointer[b, i], i] = True
        assert (topology.neighbours() == expected).all()


def test_cyclic_closes_each_chain_at_its_head():
    topology = DenseTopology(3, 4, sizes=torch.tensor([4, 1, 3]))
    pointer = torch.tensor([[2, 0, 2, 1], [0, 0, 0, 0], [1, 1, 0, 0]])
    closed, head = cyclic(pointer, topology)
    assert head.tolist() == [2, 0, 1]
    assert closed[0].tolist() == [2, 0, 3, 1]
    assert closed[1, 0] == 0
    assert closed[2, :3].tolist() == [1, 2, 0]


def test_log_sinkhorn_is_doubly_stochastic_without_a_diagonal():
    topology = DenseTopology(2, 5, sizes=torch.tensor([5, 3])).without_loops()
    scores = torch.randn(2, 5, 5, requires_grad=True)
    matrix = log_sinkhorn(scores, topology, 60).exp()
    for b, n in ((0, 5), (1, 3)):
        torch.testing.assert_close(matrix[b, :n, :n].sum(0), torch.ones(n))
        torch.testing.assert_close(matrix[b, :n, :n].sum(1), torch.ones(n))
        assert (matrix[b].diagonal() == 0).all()
    matrix[0, 1, 0].backward()
    assert scores.grad is not None and scores.grad.isfinite().all()


def test_gumbel_noise_is_for_training_only_and_keyed():
    task = tasks.create("insertion_sort")
    model = reasoner(task, "deep_sets")
    batch = task.sample(seed=0, batch_size=2, size=5)
    model.train()
    first, again, other = (model(batch, noise=(0, s)).outputs["pred"] for s in (1, 1, 2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.allclose(first, other)
    model.eval()
    torch.testing.assert_close(*(model(batch, noise=(0, s)).outputs["pred"] for s in (1, 2)), rtol=0, atol=0)


def test_decided_permutations_are_chains():
    task = tasks.create("insertion_sort")
    model = reasoner(task, "mpnn").eval()
    batch = task.sample(seed=0, batch_size=8, size=(1, 6))
    pred = model(batch).values["pred"]
    for b, n in enumerate(batch.sizes.tolist()):
        own = pred[b, :n] == torch.arange(n)
        assert own.sum() == 1


def test_scalar_hints_start_smaller_on_request():
    task = tasks.create("bellman_ford")
    torch.manual_seed(0)
    processor = zoo.create("mpnn", hidden_size=400)
    stds = {}
    for choice in ("default", "xavier_on_scalars"):
        encoder = (
            Reasoner(task.spec, processor, config=ReasonerConfig(scalar_init=choice)).tasks["bellman_ford"].encoder
        )
        stds[choice] = {name: float(layer.weight.detach().std()) for name, layer in encoder.linears.items()}
    cut = 0.88  # what cutting a normal off at two deviations leaves of its own
    assert stds["default"]["d"] == pytest.approx(cut, rel=0.15)
    assert stds["xavier_on_scalars"]["d"] == pytest.approx(cut / 20, rel=0.15)
    assert stds["xavier_on_scalars"]["A"] == pytest.approx(cut, rel=0.15)  # inputs are no hints


def test_a_homogeneous_reasoner_scales_answers_as_what_is_encoded(float64):
    task = tasks.create("shortest_path_length", weighted=True)
    batch = in_float64(task.sample(batch_size=4, size=9))
    given = {"steps": 5, "decode_from": ("new",)}

    def answers(model: Reasoner, one: Batch, scale: float) -> Tensor:
        for layer in model.tasks["shortest_path_length"].encoder.linears.values():
            layer.weight.data *= scale
        return model(one).outputs["length"]

    model = reasoner(task, "iter_gnn", config=ReasonerConfig(homogeneous=True, **given), iterative=False).double()
    assert not any("bias" in name or "pos" in name for name in [*model.state_dict(), *dict(model.named_parameters())])
    found = answers(model, batch, 1)
    moved = replace(batch, inputs=dict(batch.inputs) | {"pos": torch.rand_like(batch.inputs["pos"])})
    torch.testing.assert_close(answers(model, moved, 1), found, rtol=0, atol=0)
    torch.testing.assert_close(answers(model, batch, 3), 3 * found)
    plain = reasoner(task, "iter_gnn", config=ReasonerConfig(**given), iterative=False).double()
    for parameter in plain.parameters():
        parameter.data += 0.1
    found = answers(plain, batch, 1)
    assert (answers(plain, batch, 3) - 3 * found).abs().max() > 1e-3


def everything() -> Spec:
    """Every (location, type) that has a decoder, as hint and output, and every input that has an encoder."""
    kinds = [
        (where, what)
        for where in Location
        for what in Type
        if what is not Type.PERMUTATION_POINTER and not (what is Type.MASK_ONE and where is Location.EDGE)
    ]
    probes = [Probe("pos", Stage.INPUT, Location.NODE, Type.SCALAR)]
    for stage in Stage:
        for where, what in kinds:
            classes = 3 if what is Type.CATEGORICAL else 0
            probes.append(Probe(f"{stage}_{where}_{what}", stage, where, what, classes=classes))
    probes.append(Probe("wide", Stage.OUTPUT, Location.EDGE, Type.MASK, channels=5))
    return Spec("everything", tuple(probes))


def random_batch(spec: Spec, batch: int, n: int, steps: int) -> Batch:
    shapes = {Location.NODE: (batch, n), Location.EDGE: (batch, n, n), Location.GRAPH: (batch,)}
    values: dict[Stage, dict[str, Tensor]] = {stage: {} for stage in Stage}
    for probe in spec:
        lead = (steps + 1,) if probe.stage is Stage.HINT else ()
        shape = (batch,) if probe.type is Type.MASK_ONE else shapes[probe.location]
        shape = lead + shape + ((probe.channels,) if probe.channels > 1 else ())
        if probe.type is Type.SCALAR:
            value = torch.rand(shape)
        elif probe.type is Type.MASK:
            value = torch.rand(shape) < 0.5
        else:
            value = torch.randint(0, probe.classes or n, shape)
        values[probe.stage][probe.name] = value
    return Batch(
        spec,
        values[Stage.INPUT],
        values[Stage.HINT],
        values[Stage.OUTPUT],
        torch.full((batch,), steps + 1),
        torch.full((batch,), n),
        torch.arange(batch),
    )


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("feedback", ["soft", "hard"])
@pytest.mark.parametrize("edge_pointers", ["means", "triplets"])
def test_every_kind_of_probe_is_encoded_decoded_and_fed_back(n, feedback, edge_pointers):
    spec = everything()
    config = ReasonerConfig(feedback=feedback, edge_pointers=edge_pointers)
    model = Reasoner(spec, zoo.create("mpnn", hidden_size=8), config=config)
    batch = random_batch(spec, 3, n, 2)
    prediction = model(batch)
    for probe in spec.outputs:
        decided, true = prediction.values[probe.name], batch.outputs[probe.name]
        assert decided.shape == true.shape, probe
    for probe in spec.hints:
        assert prediction.hint_values[probe.name].shape == (2, *batch.hints[probe.name].shape[1:]), probe
    loss = sum(
        torch.where(v.isfinite(), v, 0.0).sum() for v in [*prediction.outputs.values(), *prediction.hints.values()]
    )
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_several_tasks_share_one_processor():
    several = [tasks.create(name) for name in ("bfs", "insertion_sort")]
    model = Reasoner([t.spec for t in several], zoo.create("mpnn", hidden_size=8))
    for task in several:
        model.zero_grad()
        batch = task.sample(seed=0, batch_size=2, size=5)
        prediction = model(batch)
        sum(torch.where(v.isfinite(), v, 0.0).sum() for v in prediction.outputs.values()).backward()
        touched = {
            name.split(".")[1] for name, p in model.named_parameters() if p.grad is not None and "tasks." in name
        }
        assert touched == {task.spec.task}
        unused = {name for name, p in model.processor.named_parameters() if p.grad is None}
        assert unused == {"messages.from_graph.weight", "messages.from_graph.bias"}  # neither task has graph inputs
    with pytest.raises(ValueError, match="no encoders for task 'copy'"):
        model(tasks.create("copy").sample(seed=0, batch_size=1, size=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feedback": "sof"}, "did you mean soft"),
        ({"edge_pointers": "triplet"}, "did you mean triplets"),
        ({"homogeneous": True, "encoder": "raw"}, "is of linear encoders"),
        ({"graph_pool": "maximum"}, "graph_pool"),
        ({"decode_from": ("encodd",)}, "did you mean encoded"),
        ({"decode_from": ()}, "at least one"),
        ({"teacher_forcing": 1.5}, "probability"),
        ({"steps": 0}, "from 1"),
        ({"decode_hints": False}, "encode_hints"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ReasonerConfig(**options)
