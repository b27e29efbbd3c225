"""The Differentiable Neural Computer once more, slowly: its equations one sample, head and slot at a time.

Graves et al. 2016, Methods, with several write heads as in google-deepmind/dnc and the options of later work. Links
are full matrices here, sparse ones too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tests.zoo.memory.transcriptions import Array, Model, controller, cosine, sigmoid, softmax, softplus


class Options(NamedTuple):
    """What departs from the published machine."""

    links: str = "dense"
    entries: int = 8
    softmax_allocation: bool = False
    mask_floor: float | None = None
    deallocate: bool = False
    sharpen_epsilon: float | None = None


class Told(NamedTuple):
    """What the controller tells the memory."""

    read_keys: Array
    write_keys: Array
    write_vectors: Array
    strengths: Array
    free: Array
    allocation_gates: Array
    write_gates: Array
    erase: Array
    modes: list[list[float]]
    masks: Array
    sharpness: Array
    allocation_strengths: Array


def parse(model: Model, options: Options, raw: Array) -> Told:
    """The interface vector, channel by channel."""
    reads, writes, word = model.sizes.reads, model.sizes.writes, model.sizes.word
    channels = iter(raw)
    take = lambda *shape: np.array([next(channels) for _ in range(math.prod(shape))]).reshape(shape)  # noqa: E731
    keys, write_keys, vectors = take(reads, word), take(writes, word), take(writes, word)
    strengths = model.least_strength + softplus(take(reads + writes))
    free, allocating, writing, erase = map(sigmoid, (take(reads), take(writes), take(writes), take(writes, word)))
    linked = options.links != "none"
    modes = [softmax(row) for row in take(reads, 1 + 2 * writes)] if linked else []
    masks = np.ones((reads + writes, word))
    if options.mask_floor is not None:
        masks = options.mask_floor + (1 - options.mask_floor) * sigmoid(take(reads + writes, word))
    sharpness = np.ones((reads, 2 * writes))
    if options.sharpen_epsilon is not None:
        sharpness = 1 + softplus(take(reads, 2 * writes))
    allocation = model.least_strength + softplus(take(writes)) if options.softmax_allocation else np.zeros(writes)
    assert next(channels, None) is None
    return Told(
        *(keys, write_keys, vectors, strengths, free, allocating, writing, erase, modes, masks, sharpness, allocation)
    )


def masked_content(memory: Array, key: Array, mask: Array, strength: float, epsilon: float) -> list[float]:
    return softmax([strength * cosine(key * mask, slot * mask, epsilon) for slot in memory])


def allocate(usage: Array, strength: float, epsilon: float, by_softmax: bool) -> Array:
    """A weighting over free slots."""
    if by_softmax:
        return np.array(softmax([strength * (1 - u) for u in usage]))
    lifted = epsilon + (1 - epsilon) * usage
    order = sorted(range(len(usage)), key=lambda i: (lifted[i], i))  # the free list
    allocation = np.zeros(len(usage))
    for place, i in enumerate(order):
        allocation[i] = (1 - lifted[i]) * math.prod(lifted[j] for j in order[:place])
    return allocation


def largest(weighting: Sequence[float], count: int) -> list[float]:
    """All but the largest set to zero, and those scaled up to the sum of all."""
    kept = sorted(range(len(weighting)), key=lambda i: -weighting[i])[:count]
    total = sum(weighting[i] for i in kept)
    return [weighting[i] * sum(weighting) / (total + 1e-12) if i in kept else 0.0 for i in range(len(weighting))]


def relink(link: Array, precedence: Sequence[float], writing: Sequence[float], options: Options) -> Array:
    """One head's links after its write."""
    slots = len(link)
    count = min(options.entries, slots)
    if options.links == "sparse":
        precedence, writing = largest(precedence, count), largest(writing, count)
    after = np.zeros((slots, slots))
    for i in range(slots):
        for j in range(slots):
            if i != j:
                after[i, j] = (1 - writing[i] - writing[j]) * link[i, j] + writing[i] * precedence[j]
            if options.links == "sparse" and after[i, j] < 1 / count:
                after[i, j] = 0
    return after


def sharpened(weighting: Array, power: float, epsilon: float | None) -> Array:
    """A power of the weighting, relative to its largest entry, normalised."""
    if epsilon is None:
        return weighting
    powers = ((weighting + epsilon) / max(weighting + epsilon)) ** power
    return powers / sum(powers)


def weigh(model: Model, options: Options, told: Told, memory: Array, links: Array, previous: Array) -> Array:
    """Where each head reads."""
    slots, writes = len(memory), model.sizes.writes
    weightings = []
    for r in range(model.sizes.reads):
        by_content = masked_content(memory, told.read_keys[r], told.masks[r], told.strengths[r], model.norm_epsilon)
        if options.links == "none":
            weightings.append(np.array(by_content))
            continue
        total = told.modes[r][writes] * np.array(by_content)
        for h, link in enumerate(links):
            forward = np.array([sum(link[i, j] * previous[r, j] for j in range(slots)) for i in range(slots)])
            backward = np.array([sum(link[j, i] * previous[r, j] for j in range(slots)) for i in range(slots)])
            backward = sharpened(backward, told.sharpness[r, h], options.sharpen_epsilon)
            forward = sharpened(forward, told.sharpness[r, writes + h], options.sharpen_epsilon)
            total += told.modes[r][h] * backward + told.modes[r][writes + 1 + h] * forward
        weightings.append(total)
    return np.array(weightings)


def dnc_step(
    model: Model, x: Array, state: dict[str, Array], options: Options | None = None
) -> tuple[Array, dict[str, Array]]:
    """One token."""
    options = options or Options()
    inputs = np.concatenate([x, *state["reads"]])
    out, hidden, cell = controller(
        model.layers, inputs, state["hidden"], state["cell"], recurrent=model.recurrent, skip=True
    )
    told = parse(model, options, np.clip(model.interface(out), -model.clip, model.clip))
    after = access(model, options, told, state) | {"hidden": hidden, "cell": cell}
    features = np.concatenate([out, *after["reads"]])
    return features if model.output is None else model.output(features), after


def access(model: Model, options: Options, told: Told, state: dict[str, Array]) -> dict[str, Array]:
    """What the memory is after a token, and what was read from it."""
    reads, writes, slots = model.sizes.reads, model.sizes.writes, len(state["memory"])
    usage, retention = np.zeros(slots), np.zeros(slots)
    for i in range(slots):
        retention[i] = math.prod(1 - told.free[r] * state["read_weightings"][r, i] for r in range(reads))
        w = 1 - math.prod(1 - state["write_weightings"][h, i] for h in range(writes))
        u = state["usage"][i]
        usage[i] = (u + w - u * w) * retention[i]
    soon, writing = usage.copy(), np.zeros((writes, slots))
    for h in range(writes):
        free = allocate(soon, told.allocation_strengths[h], model.small_epsilon, options.softmax_allocation)
        mask, strength = told.masks[reads + h], told.strengths[reads + h]
        lookup = masked_content(state["memory"], told.write_keys[h], mask, strength, model.norm_epsilon)
        gate = told.allocation_gates[h]
        for i in range(slots):
            writing[h, i] = told.write_gates[h] * (gate * free[i] + (1 - gate) * lookup[i])
            soon[i] += (1 - soon[i]) * told.write_gates[h] * gate * free[i]
    memory = state["memory"].copy()
    for i in range(slots):
        if options.deallocate:
            memory[i] *= retention[i]
        for h in range(writes):
            memory[i] *= 1 - writing[h, i] * told.erase[h]
        for h in range(writes):
            memory[i] += writing[h, i] * told.write_vectors[h]
    links = np.zeros((writes, slots, slots))
    if options.links != "none":
        links = np.array([relink(state["link"][h], state["precedence"][h], writing[h], options) for h in range(writes)])
    precedence = np.array([(1 - sum(writing[h])) * state["precedence"][h] + writing[h] for h in range(writes)])
    weightings = weigh(model, options, told, memory, links, state["read_weightings"])
    new_reads = np.array([sum(w[i] * memory[i] for i in range(slots)) for w in weightings])
    after = {"memory": memory, "usage": usage, "precedence": precedence, "write_weightings": writing}
    after |= {"read_weightings": weightings, "reads": new_reads}
    return after if options.links == "none" else after | {"link": links}
