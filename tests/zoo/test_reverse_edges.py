"""`reasoner.reverse_edges`: every edge has the inputs of the edge that runs the other way, too."""

from __future__ import annotations

import pytest
import torch

import tasks
import zoo
from tasks.batch import Batch
from zoo.codec import Codec, ReasonerConfig
from zoo.unroll import Unroll, topology_of

DFS = tasks.create("dfs")


def reasoner(*, reverse_edges: bool) -> zoo.Reasoner:
    """A network on the given edges."""
    torch.manual_seed(1)
    made = zoo.create("mpnn", hidden_size=8, adjacency="given")
    return zoo.Reasoner(DFS.spec, made, config=ReasonerConfig(reverse_edges=reverse_edges)).eval()


def reversed_edges(batch: Batch) -> Batch:
    """The same graphs with every edge the other way round."""
    return DFS.execute({"A": batch.inputs["A"].transpose(1, 2).numpy()}, sizes=batch.sizes.numpy())


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_an_edge_has_its_own_inputs_and_then_those_of_the_edge_back(layout: str) -> None:
    batch = DFS.sample(seed=3, batch_size=3, size=[3, 6], layout=layout)
    model, topology = reasoner(reverse_edges=True), topology_of(batch)
    codec = model.tasks["dfs"]
    assert isinstance(codec, Codec)
    static = Unroll(model.processor, codec, model.config, batch, carry=None, noise=(0, 0), trace=False).static
    for name in ("A", "adj"):
        own = batch.inputs[name].float()
        assert not torch.equal(own, topology.reverse(own))
        assert torch.equal(static[name], torch.stack([own, topology.reverse(own)], -1))


def test_inputs_of_edges_alone_have_more_channels() -> None:
    more, plain = (reasoner(reverse_edges=flag).state_dict() for flag in (True, False))
    wider = {key for key in plain if plain[key].shape != more[key].shape}
    assert wider == {f"tasks.dfs.encoder.linears.{name}.weight" for name in ("A", "adj")}
    assert all(more[key].shape == (plain[key].shape[0], 2) for key in wider)


def test_weights_of_the_two_directions_change_places_when_all_edges_turn_round() -> None:
    batch = DFS.sample(seed=3, batch_size=4, size=7)
    model, other = reasoner(reverse_edges=True), reasoner(reverse_edges=True)
    weights = model.state_dict()
    for name in ("A", "adj"):
        key = f"tasks.dfs.encoder.linears.{name}.weight"
        weights[key] = weights[key].flip(1)
    other.load_state_dict(weights)
    one, two = model(batch), other(reversed_edges(batch))
    torch.testing.assert_close(two.outputs["pi"], one.outputs["pi"])
    assert not torch.allclose(model(reversed_edges(batch)).outputs["pi"], one.outputs["pi"])
