"""Which units of a Reasoner can be renumbered without changing what it computes.

A tensor's axis is a row of blocks, each the units of one group (or none, where the order is given: raw channels of
probes, classes, heads). Permuting all blocks of a group alike leaves every output as it is, since ReLU, LeakyReLU,
layer normalisation and the maximum over messages treat units alike. Known are networks of messages (`mpnn`) and of
attention with one head (`gatv2`) under linear encoders; a layer that is scaled up against the next one is a symmetry as
well, and is not looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch import nn

from tasks.spec import Location
from zoo.codec import Codec
from zoo.decoders import (
    EdgeDecoder,
    GraphDecoder,
    GraphIndexDecoder,
    NodeDecoder,
    PermutationDecoder,
    PointerDecoder,
)
from zoo.encoders import Encoder, encoded_at
from zoo.graph.attention import AttentionProcessor
from zoo.graph.gatv2 import GATv2
from zoo.graph.messages import Gate, Messages, PairTerms, Update
from zoo.graph.mpnn import MPNN
from zoo.processor import Processor
from zoo.reasoner import Reasoner

Blocks = Sequence[tuple[str | None, int]]
"""An axis: names of groups (None: the order is given) with their sizes."""
Axes = Mapping[str, Sequence[Blocks]]
"""Of every parameter, its axes."""

_ENCODED = {Location.NODE: "nodes", Location.EDGE: "edges", Location.GRAPH: "graph"}


def axes(model: Reasoner) -> dict[str, Sequence[Blocks]] | None:
    """The axes of all parameters of a model; None where its networks are not among those that are known."""
    processor = model.processor
    node: Blocks = [("nodes", processor.input_size), ("hidden", processor.hidden_size)]
    if isinstance(processor, MPNN) and processor.config.update != "none":
        named = _message_passing(processor, node)
    elif isinstance(processor, GATv2) and processor.config.heads == 1:
        named = _attention(processor, node)
    else:
        return None
    for task, codec in model.tasks.items():
        assert isinstance(codec, Codec)
        if not isinstance(codec.encoder, Encoder) or codec.encoder.triplets is not None:
            return None
        for probe in codec.encoder.probes:
            if probe.name in codec.encoder.linears:
                group = [(_ENCODED[encoded_at(probe)], processor.input_size)]
                layer = codec.encoder.linears[probe.name]
                named |= _linear(f"tasks.{task}.encoder.linears.{probe.name}", group, [(None, layer.in_features)])
        for name, decoder in codec.decoders.items():
            found = _decoder(f"tasks.{task}.decoders.{name}", decoder, model)
            if found is None:
                return None
            named |= found
    return named if set(named) >= {name for name, _ in model.named_parameters()} else None


def _linear(name: str, rows: Blocks, columns: Blocks) -> dict[str, Sequence[Blocks]]:
    """The two parameters of a linear layer."""
    return {f"{name}.weight": [rows, columns], f"{name}.bias": [rows]}


def _pair(name: str, layer: PairTerms, rows: Blocks, node: Blocks) -> dict[str, Sequence[Blocks]]:
    """The terms of an edge."""
    width = layer.from_edge.in_features
    return {
        **_linear(f"{name}.from_sender", rows, node),
        **_linear(f"{name}.from_receiver", rows, node),
        **_linear(f"{name}.from_edge", rows, [("edges", width)]),
        **_linear(f"{name}.from_graph", rows, [("graph", width)]),
    }


def _message_passing(processor: MPNN, node: Blocks) -> dict[str, Sequence[Blocks]]:
    """Messages, layer by layer, then the update."""
    messages: Messages = processor.messages
    update: Update = processor.update
    size = processor.hidden_size
    hidden: Blocks = [("hidden", size)]
    named = _pair("processor.messages", messages, [("message 0", size)], node)
    for k in range(len(messages.layers)):
        named |= _linear(f"processor.messages.layers.{k}", [(f"message {k + 1}", size)], [(f"message {k}", size)])
    last: Blocks = [(f"message {len(messages.layers)}", size)]
    named |= _linear("processor.update.from_node", hidden, node)
    named |= _linear("processor.update.from_messages", hidden, last)
    named |= _norm("processor.update.norm", update.norm, hidden)
    if isinstance(update.gate, Gate):
        named |= _linear("processor.update.gate.from_node", [("gate", size)], node)
        named |= _linear("processor.update.gate.from_messages", [("gate", size)], last)
        named |= _linear("processor.update.gate.out", hidden, [("gate", size)])
    return named


def _attention(processor: AttentionProcessor, node: Blocks) -> dict[str, Sequence[Blocks]]:
    """The vector that a logit is made of, values, and the way around them."""
    assert isinstance(processor, GATv2)
    size = processor.hidden_size
    hidden: Blocks = [("hidden", size)]
    named = _pair("processor.scores", processor.scores, [("logit", size)], node)
    named["processor.attention"] = [[(None, 1)], [("logit", size)]]
    named |= _linear("processor.values", hidden, node)
    if processor.skip is not None:
        named |= _linear("processor.skip", hidden, node)
    return named | _norm("processor.norm", processor.norm, hidden)


def _norm(name: str, layer: nn.Module, hidden: Blocks) -> dict[str, Sequence[Blocks]]:
    """Scale and shift of a layer normalisation, if it is one."""
    return {f"{name}.weight": [hidden], f"{name}.bias": [hidden]} if isinstance(layer, nn.LayerNorm) else {}


def _decoder(name: str, decoder: nn.Module, model: Reasoner) -> dict[str, Sequence[Blocks]] | None:
    """The parameters of a decoder; None of one that is not known."""
    processor: Processor = model.processor
    widths = {"encoded": ("nodes", processor.input_size), "previous": ("hidden", processor.hidden_size)}
    widths["new"] = widths["previous"]
    read: Blocks = [widths[part] for part in model.config.decode_from]
    if isinstance(decoder, NodeDecoder | GraphIndexDecoder):
        return _linear(f"{name}.out", [(None, decoder.out.out_features)], read)
    if isinstance(decoder, GraphDecoder):
        out: Blocks = [(None, decoder.pooled.out_features)]
        return _linear(f"{name}.pooled", out, read) | _others(f"{name}.graph", decoder.graph, out, "graph")
    if isinstance(decoder, EdgeDecoder):
        out = [(None, decoder.sender.out_features)]
        named = _linear(f"{name}.sender", out, read) | _linear(f"{name}.receiver", out, read)
        return named | _others(f"{name}.edge.linears", decoder.edge.linears, out, "edges")
    if isinstance(decoder, PointerDecoder):
        out = [(name, decoder.node.out_features)]
        named = _linear(f"{name}.node", out, read) | _linear(f"{name}.candidate", out, read)
        named |= _others(f"{name}.edge.linears", decoder.edge.linears, out, "edges")
        return named | _linear(f"{name}.out", [(None, 1)], out)
    if isinstance(decoder, PermutationDecoder):
        pointer = _decoder(f"{name}.pointer", decoder.pointer, model)
        assert pointer is not None
        return pointer | _linear(f"{name}.head", [(None, 1)], read)
    return None


def _others(name: str, layers: Iterable[nn.Module], rows: Blocks, group: str) -> dict[str, Sequence[Blocks]]:
    """Layers that read features of edges or graphs."""
    named: dict[str, Sequence[Blocks]] = {}
    for k, layer in enumerate(layers):
        assert isinstance(layer, nn.Linear)
        named |= _linear(f"{name}.{k}", rows, [(group, layer.in_features)])
    return named
