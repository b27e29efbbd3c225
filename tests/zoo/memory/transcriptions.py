"""NTM and LSTM once more, slowly: the papers' equations one sample, head and slot at a time.

Nothing is shared with `zoo.memory` but the parameters' values. Epsilons are the callers' choice: with those of the
library the two agree to rounding, with zeros this is the paper to the letter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def softplus(x: Any) -> Any:
    return np.log(1 + np.exp(x))


def softmax(x: Sequence[float]) -> list[float]:
    largest = max(x)
    powers = [math.exp(value - largest) for value in x]
    return [power / sum(powers) for power in powers]


def cosine(u: Array, v: Array, epsilon: float) -> float:
    dot = sum(a * b for a, b in zip(u, v, strict=True))
    return dot / math.sqrt((sum(a * a for a in u) + epsilon) * (sum(b * b for b in v) + epsilon))


def content(memory: Array, key: Array, strength: float, epsilon: float) -> list[float]:
    return softmax([strength * cosine(key, slot, epsilon) for slot in memory])


class Linear(NamedTuple):
    weight: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        return self.weight @ x + self.bias


def lstm_layer(layer: Linear, below: Array, hidden: Array, cell: Array, order: str) -> tuple[Array, Array]:
    """One layer; `order` names the rows of its weights: o, i, f, and c for the candidate."""
    rows = layer(np.concatenate([below, hidden])).reshape(4, -1)
    gate = dict(zip(order, rows, strict=True))
    new = sigmoid(gate["f"]) * cell + sigmoid(gate["i"]) * np.tanh(gate["c"])
    return sigmoid(gate["o"]) * np.tanh(new), new


def controller(
    layers: Sequence[Linear], x: Array, hidden: Array, cell: Array, *, recurrent: bool, skip: bool
) -> tuple[Array, Array, Array]:
    """Output, hidden and cells; every layer sees x too where `skip`, and then all of them are the output."""
    below, hiddens, cells = x, [], []
    for depth, layer in enumerate(layers):
        if skip and depth:
            below = np.concatenate([x, below])
        if recurrent:
            below, new = lstm_layer(layer, below, hidden[depth], cell[depth], "oifc")
            cells.append(new)
        else:
            below = np.tanh(layer(below))
        hiddens.append(below)
    output = np.concatenate(hiddens) if skip else below
    return (output, np.array(hiddens), np.array(cells)) if recurrent else (output, hidden, cell)


class Sizes(NamedTuple):
    reads: int
    word: int
    writes: int = 1
    offsets: int = 3


class Model(NamedTuple):
    """Parameters and settings of an NTM or DNC."""

    layers: list[Linear]
    interface: Linear
    output: Linear | None
    sizes: Sizes
    recurrent: bool
    clip: float
    norm_epsilon: float
    small_epsilon: float
    squash_keys: bool = True
    least_strength: float = 1.0


def ntm_step(model: Model, x: Array, state: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
    """One token through a Neural Turing Machine (Graves et al. 2014, equations 2 to 9)."""
    reads, word, writes, offsets = model.sizes
    heads = reads + writes
    memory, slots = state["memory"], len(state["memory"])
    out, hidden, cell = controller(
        model.layers,
        np.concatenate([x, *state["reads"]]),
        state["hidden"],
        state["cell"],
        recurrent=model.recurrent,
        skip=False,
    )
    told = iter(np.clip(model.interface(out), -model.clip, model.clip))
    take = lambda *shape: np.array([next(told) for _ in range(math.prod(shape))]).reshape(shape)  # noqa: E731
    keys, add = take(heads, word), take(writes, word)
    if model.squash_keys:
        keys, add = np.tanh(keys), np.tanh(add)
    strengths, sharpness = softplus(take(heads)), 1 + softplus(take(heads))
    gates, erase, shifts = sigmoid(take(heads)), sigmoid(take(writes, word)), take(heads, offsets)

    previous = [*state["read_weightings"], *state["write_weightings"]]
    weightings = []
    for head in range(heads):
        by_content = content(memory, keys[head], strengths[head], model.norm_epsilon)  # eqs. 5, 6
        gated = [gates[head] * by_content[i] + (1 - gates[head]) * previous[head][i] for i in range(slots)]  # eq. 7
        shift = dict(zip(range(-(offsets // 2), offsets // 2 + 1), softmax(shifts[head]), strict=True))
        shifted = [sum(gated[(i - move) % slots] * weight for move, weight in shift.items()) for i in range(slots)]
        powers = [(value + model.small_epsilon) ** sharpness[head] for value in shifted]  # eqs. 8, 9
        weightings.append([power / sum(powers) for power in powers])
    reading, writing = np.array(weightings[:reads]), np.array(weightings[reads:])
    new_reads = np.array([sum(w[i] * memory[i] for i in range(slots)) for w in reading])  # eq. 2
    after = memory.copy()
    for head in range(writes):
        for i in range(slots):
            after[i] *= 1 - writing[head, i] * erase[head]  # eq. 3
    for head in range(writes):
        for i in range(slots):
            after[i] += writing[head, i] * add[head]  # eq. 4
    features = np.concatenate([out, *new_reads])
    y = features if model.output is None else model.output(features)
    return y, {
        "memory": after,
        "read_weightings": reading,
        "write_weightings": writing,
        "reads": new_reads,
        "hidden": hidden,
        "cell": cell,
    }


def lstm_step(layers: Sequence[Linear], x: Array, state: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
    """One token through LSTM layers, whose weights are in torch's order of gates."""
    hiddens, cells = [], []
    for depth, layer in enumerate(layers):
        x, cell = lstm_layer(layer, x, state["hidden"][depth], state["cell"][depth], "ifco")
        hiddens.append(x)
        cells.append(cell)
    return x, {"hidden": np.array(hiddens), "cell": np.array(cells)}
