"""The neural executor against its equations, and the termination that it learns."""

from __future__ import annotations

import math

import pytest
import torch

import tasks
import zoo
from tests.objective import total_loss
from tests.zoo.graph.test_mpnn import affine
from tests.zoo.graphs import random_graphs, random_inputs
from zoo.processor import Latents

WIDTH = 4


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("rest", [True, False], ids=["edges and graph", "nodes only"])
@pytest.mark.parametrize("adjacency", ["given", "full"])
@pytest.mark.parametrize("aggregation", ["max", "mean", "sum", "attention"])
@torch.no_grad()
def test_step_follows_the_equations(aggregation: str, adjacency: str, rest: bool, float64) -> None:
    processor = zoo.create("neural_executor", hidden_size=WIDTH, aggregation=aggregation, adjacency=adjacency)
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter)
    graphs = random_graphs([4, 1, 3])
    inputs = random_inputs(graphs.dense, WIDTH, edges=rest, graph=rest)
    x, edges, graph = inputs.encoded
    hidden = torch.randn_like(x)
    step, record = processor.record(inputs, Latents(hidden), graphs.dense, ())
    pairs = processor.process.scores if aggregation == "attention" else processor.process.messages
    for g, size in enumerate(graphs.sizes.tolist()):
        z = [affine(processor.encode, torch.cat([x[g, i], hidden[g, i]])) for i in range(size)]
        latents = []
        for i in range(size):
            senders = [j for j in range(size) if adjacency == "full" or graphs.dense.neighbours()[g, j, i]]
            sums = []
            for j in senders:
                value = affine(pairs.from_sender, z[j]) + affine(pairs.from_receiver, z[i])
                if rest:
                    value = value + affine(pairs.from_edge, edges[g, j, i]) + affine(pairs.from_graph, graph[g])
                sums.append(value)
            if aggregation == "attention":
                logits = [float(value) if value > 0 else 0.2 * float(value) for value in sums]
                shares = [math.exp(logit - max(logits)) for logit in logits]
                values = [affine(processor.process.values, z[j]) for j in senders]
                new = sum(share / sum(shares) * value for share, value in zip(shares, values, strict=True))
            else:
                stack, update = torch.stack(sums), processor.process.update
                reduced = {"max": stack.amax(0), "sum": stack.sum(0), "mean": stack.sum(0) / len(stack)}[aggregation]
                new = affine(update.from_node, z[i]) + affine(update.from_messages, reduced)
            latents.append(new.clamp_min(0))
            torch.testing.assert_close(step.hidden.nodes[g, i], latents[-1], rtol=0, atol=1e-10)
        stop = affine(processor.terminate, sum(latents) / size)[0]
        torch.testing.assert_close(step.heads["stop"][g], stop, rtol=0, atol=1e-10)
        torch.testing.assert_close(record["stop"][g], 1 / (1 + torch.exp(-stop)))
        assert bool(step.halt[g]) == (float(stop) > 0)


def test_termination_is_bound_only_where_it_is_named() -> None:
    """The one mask of graphs among the hints of dag_shortest_paths is no termination."""
    processor = zoo.create("neural_executor", hidden_size=8)
    assert not zoo.Reasoner(tasks.create("dag_shortest_paths").spec, processor).tasks["dag_shortest_paths"].heads
    spec = tasks.create("bfs_bellman_ford").spec
    assert not zoo.Reasoner(spec, processor).tasks["bfs_bellman_ford"].heads
    bound = zoo.Reasoner(spec, processor, bind={"bfs_bellman_ford": {"stop": "stop"}}).tasks["bfs_bellman_ford"]
    assert bound.heads["stop"].name == "stop" and "stop" not in bound.decoders


def test_it_learns_an_algorithm_and_when_to_stop() -> None:
    """A few graphs by heart: then it runs by itself, and stops when the search does."""
    task = tasks.create("bfs_bellman_ford", algorithms="bfs")
    batch = task.sample(seed=1, batch_size=2, size=[4, 6], distribution="grid")
    bind = {task.spec.task: {"stop": "stop"}}
    model = zoo.Reasoner(task.spec, zoo.create("neural_executor", hidden_size=16), bind=bind)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    first = total_loss(model, batch).item()
    for _ in range(80):
        optimizer.zero_grad()
        loss = total_loss(model, batch)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2 * first
    steps = [int(n) for n in batch.steps]
    with torch.no_grad():
        stop = model(batch).outputs["stop"]
    for g, last in enumerate(steps):
        assert (stop[:last, g] > 0).tolist() == [False] * (last - 1) + [True]


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_training_runs_each_graph_to_its_true_end_and_evaluation_to_the_predicted_one(layout: str) -> None:
    """Teacher forcing tells a termination that has learned nothing when to stop; evaluation does not."""
    task = tasks.create("bfs_bellman_ford")
    batch = task.sample(seed=1, batch_size=4, size=[4, 9, 6, 9], distribution="grid", layout=layout)
    longest = int(batch.steps.max())
    assert batch.steps.min() < longest
    config = zoo.ReasonerConfig(steps="halt", max_steps=longest + 3, teacher_forcing=1.0, feedback="hard")
    bind = {task.spec.task: {"stop": "stop"}}
    for bias, taken in ((-50.0, longest + 3), (50.0, 1)):
        model = zoo.Reasoner(task.spec, zoo.create("neural_executor", hidden_size=8), config=config, bind=bind)
        torch.nn.init.constant_(model.processor.terminate.bias, bias)
        model.train()
        forced = model(batch, trace=True)
        assert len(forced.trace) == longest
        halted = torch.stack([step.halt for step in forced.trace])
        assert (halted.to(torch.int64).argmax(0) + 1).tolist() == batch.steps.tolist()
        model.eval()
        assert len(model(batch, trace=True).trace) == taken
