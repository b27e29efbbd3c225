"""What decoders of graphs read: any reduction of a graph's own nodes."""

from __future__ import annotations

import pytest
import torch

import tasks
import zoo
from zoo.codec import ReasonerConfig
from zoo.reasoner import Reasoner

REDUCED = {
    "max": lambda nodes: nodes.amax(0),
    "min": lambda nodes: nodes.amin(0),
    "sum": lambda nodes: nodes.sum(0),
    "mean": lambda nodes: nodes.mean(0),
}


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("reduce", REDUCED)
def test_a_graphs_answer_is_linear_in_the_chosen_reduction_of_its_own_nodes(reduce, layout):
    task = tasks.create("maximum_degree")
    config = ReasonerConfig(graph_pool=reduce, steps=1, decode_from=("new",))
    model = Reasoner(task.spec, zoo.create("mpnn", hidden_size=8, adjacency="given"), config=config)
    batch = task.sample(seed=1, batch_size=3, size=(5, 7, 9), layout=layout)
    prediction = model(batch, trace=True)
    hidden = prediction.trace[-1].hidden.nodes
    exists = prediction.topology.node_mask()
    graphs = [hidden[b][exists[b]] for b in range(3)] if layout == "dense" else hidden.split(batch.sizes.tolist())
    read = torch.stack([REDUCED[reduce](nodes) for nodes in graphs])
    expected = model.tasks["maximum_degree"].decoders["degree"].pooled(read).squeeze(-1)
    torch.testing.assert_close(prediction.outputs["degree"], expected)
