"""Records: what processors declare, what they record, and that recording changes nothing."""

from __future__ import annotations

import pytest
import torch

import tasks
import zoo
from zoo.memory import LSTMCell, LSTMConfig
from zoo.recording import Kind

MEMORY = {"controller_size": 8, "slots": 6, "word": 4}
SMALL = {
    "ntm": MEMORY | {"write_heads": 2},
    "dnc": MEMORY | {"read_heads": 2},
    "adnc": MEMORY | {"read_heads": 2},
    "sam": MEMORY | {"read_heads": 2},
    "sdnc": MEMORY | {"read_heads": 2},
    "pgn": {"pointers": True},
    "pointer_graph": {"pointers": True},
    "persistent_message_passing": {"masks": True},
}
SMALL |= {"neural_stack": MEMORY, "neural_queue": MEMORY, "neural_deque": MEMORY}
SMALL |= {"stack_rnn": {"stacks": 2, "slots": 6}, "baby_ntm": {"slots": 6}, "suzgun_stack_rnn": {"slots": 6}}
every_processor = pytest.mark.parametrize("name", zoo.list_processors())
every_task = pytest.mark.parametrize("task", ["bfs", "copy", "disjoint_set"])


def build(name: str, task: tasks.Task, **options: object) -> zoo.Reasoner:
    torch.manual_seed(0)
    model = zoo.Reasoner(task.spec, zoo.create(name, hidden_size=8, **(SMALL.get(name, {}) | options)))
    return model.eval()


@every_task
@every_processor
def test_recording_changes_no_prediction(name: str, task: str) -> None:
    task = tasks.create(task)
    model, batch = build(name, task), task.sample(seed=0, batch_size=3, size=[4, 6])
    plain, traced = model(batch), model(batch, trace=True)
    for before, after in ((plain.outputs, traced.outputs), (plain.hints, traced.hints)):
        assert before.keys() == after.keys()
        for probe in before:
            torch.testing.assert_close(after[probe], before[probe], atol=1e-5, rtol=1e-5)
    assert plain.records == () and len(traced.records) == len(traced.trace) + 1


@every_task
@every_processor
def test_records_are_what_their_tracks_declare(name: str, task: str) -> None:
    task = tasks.create(task)
    model, batch = build(name, task), task.sample(seed=0, batch_size=3, size=[4, 6])
    prediction = model(batch, trace=True)
    tracks = model.processor.tracks
    for record in prediction.records[1:]:
        assert record or not tracks
        for track_name, values in record.items():
            track = tracks[track_name]
            assert values.shape[0] == 3 and values.dim() == 1 + len(track.axes), track_name
            assert values.isfinite().all()
            if track.labels:
                assert values.shape[-1] == len(track.labels)
            if track.kind in (Kind.WEIGHTING, Kind.GATE, Kind.CHOICE, Kind.SHARES):
                assert values.min() >= 0 and values.max() <= 1 + 1e-5
            if track.kind is Kind.WEIGHTING:
                assert (values.sum(-1) <= 1 + 1e-5).all()
            if track.kind is Kind.CHOICE:
                read = values[prediction.topology.node_mask()]  # padding records zeros
                torch.testing.assert_close(read.sum(-1), torch.ones_like(read.sum(-1)))
            if track.kind is Kind.SHARES:
                total = values.sum(1)[prediction.topology.node_mask()] if values.dim() == 3 else values.sum(1)
                torch.testing.assert_close(total, torch.ones_like(total))
            if track.kind is Kind.POINTER:
                inside = (values >= 0) & (values < batch.sizes[:, None])
                assert inside[prediction.topology.node_mask()].all()


def test_ntm_weightings_sum_to_one_and_end_in_the_state() -> None:
    task = tasks.create("copy")
    model = build("ntm", task)
    prediction = model(task.sample(seed=0, batch_size=2, size=3), trace=True)
    record, state = prediction.records[1], prediction.carry.state
    for name in ("read_weightings", "write_weightings"):
        total = record[name].sum(-1)
        torch.testing.assert_close(total, torch.ones_like(total))
        torch.testing.assert_close(record[name][:, -1], getattr(state, name))
    torch.testing.assert_close(record["memory"][:, -1], state.memory)


def test_dnc_records_follow_the_papers_equations() -> None:
    """Usage from what was written before and freed now; links from precedence before and writes now."""
    task = tasks.create("copy")
    record = build("dnc", task)(task.sample(seed=0, batch_size=2, size=3), trace=True).records[1]
    usage, written = record["usage"], record["write_weightings"][:, :, 0]
    retention = (1 - record["free_gates"][:, 1:, :, None] * record["read_weightings"][:, :-1]).prod(2)
    expected = (usage[:, :-1] + written[:, :-1] - usage[:, :-1] * written[:, :-1]) * retention
    torch.testing.assert_close(usage[:, 1:], expected)
    now, link = written[:, 1:], record["link"]
    kept = (1 - now[..., :, None] - now[..., None, :]) * link[:, :-1]
    expected = kept + now[..., :, None] * record["precedence"][:, :-1, None, :]
    expected = expected * (1 - torch.eye(expected.shape[-1]))
    torch.testing.assert_close(link[:, 1:], expected)
    gates = record["write_gate"] * torch.ones_like(written.sum(-1, keepdim=True))
    assert (written.sum(-1, keepdim=True) <= gates + 1e-5).all(), "the write gate bounds the write weighting"


def naive_shares(
    processor: torch.nn.Module, nodes: torch.Tensor, edges: torch.Tensor, adjacency: torch.Tensor
) -> torch.Tensor:
    """The share of channels whose maximum each sender supplied, by loops over one graph."""
    parts, count = processor.messages, nodes.shape[0]
    shares = torch.zeros(count, count)
    for receiver in range(count):
        heard = {}
        for sender in range(count):
            if adjacency[sender, receiver]:
                x = parts.from_sender(nodes[sender]) + parts.from_receiver(nodes[receiver])
                x = x + parts.from_edge(edges[sender, receiver])
                for layer in parts.layers:
                    x = layer(x.relu())
                heard[sender] = x
        for channel in range(processor.hidden_size):
            best = max(x[channel].item() for x in heard.values())
            winners = [sender for sender, x in heard.items() if x[channel].item() == pytest.approx(best, abs=1e-12)]
            for sender in winners:
                shares[sender, receiver] += 1 / len(winners) / processor.hidden_size
    return shares


@pytest.mark.parametrize("adjacency", ["full", "given"])
def test_winning_senders_are_those_of_a_naive_computation(adjacency: str) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        processor = zoo.create("mpnn", hidden_size=5, input_size=3, adjacency=adjacency)
        drawn = torch.rand(1, 6, 6) < 0.3
        joined = drawn | drawn.mT | torch.eye(6, dtype=torch.bool)
        topology = zoo.DenseTopology(1, 6, adjacency=joined)
        nodes, edges, hidden = torch.randn(1, 6, 3), torch.randn(1, 6, 6, 3), torch.randn(1, 6, 5)
        inputs = zoo.Inputs(zoo.Latents(nodes, edges))
        _, record = processor.record(inputs, zoo.Latents(hidden), topology, ())
        both = torch.cat([nodes, hidden], -1)[0]
        reached = joined[0] if adjacency == "given" else torch.ones_like(joined[0])
        expected = naive_shares(processor, both, edges[0], reached)
        torch.testing.assert_close(record["senders"][0], expected)
        assert expected.max() < 1, "or one sender wins everything and nothing is tested"
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("reduce", ["max", "min", "sum", "mean"])
def test_shares_agree_between_layouts(reduce: str) -> None:
    drawn = torch.rand(7, 7) < 0.3
    joined = drawn | drawn.mT | torch.eye(7, dtype=torch.bool)
    dense = zoo.DenseTopology(1, 7, adjacency=joined[None])
    receiver, sender = joined.T.nonzero(as_tuple=True)
    sparse = zoo.SparseTopology(torch.stack([sender, receiver]), torch.tensor([7]))
    edges, nodes = torch.randint(-3, 4, (1, 7, 7, 4)).float(), torch.randint(-3, 4, (1, 7, 4)).float()  # with ties
    shares = dense.shares(edges, reduce)[0]
    torch.testing.assert_close(sparse.shares(edges[0, sender, receiver], reduce), shares[sender, receiver])
    assert (shares[~joined] == 0).all()
    torch.testing.assert_close(dense.pool_shares(nodes, reduce)[0], sparse.pool_shares(nodes[0], reduce))


def test_who_hears_nobody_has_no_shares() -> None:
    topology = zoo.DenseTopology(1, 2, adjacency=torch.zeros(1, 2, 2, dtype=torch.bool))
    assert (topology.shares(torch.randn(1, 2, 2, 3), "max") == 0).all()


def test_a_masked_token_is_recorded_as_zeros() -> None:
    cell = LSTMCell(LSTMConfig(hidden_size=4))
    xs, mask = torch.randn(2, 3, 4), torch.tensor([[True, False, True], [True, True, True]])
    ys, state, record = cell.record(xs, cell.initial(2, like=xs), mask)
    expected, after = cell.loop(xs, cell.initial(2, like=xs), mask)
    torch.testing.assert_close(ys, expected)
    torch.testing.assert_close(state.hidden, after.hidden)
    assert (record["hidden"][0, 1] == 0).all() and (record["hidden"][1, 1] != 0).any()


@pytest.mark.parametrize("name", ["ntm", "dnc", "lstm"])
def test_a_sweep_at_the_start_is_recorded_there(name: str) -> None:
    task = tasks.create("bfs")
    model, batch = build(name, task, every="start"), task.sample(seed=0, batch_size=2, size=5)
    plain, traced = model(batch), model(batch, trace=True)
    torch.testing.assert_close(traced.outputs["pi"], plain.outputs["pi"], atol=1e-5, rtol=1e-5)
    start, *steps = traced.records
    assert all(values.shape[:2] == (2, 5) for values in start.values()) and start
    assert all(values.shape[:2] == (2, 1) for record in steps for values in record.values())
