"""SAM's heads as machine code: two calls a step, one sample after the other, around the product of keys and memory.

The tape's arrays are those of `zoo.memory.sam_scan.Tape`; `SAMCell.forward` is the reference. The search goes over the
scores of all slots once a head; all else touches K + 1 slots a head. Imported only when a scan needs it, for
numba takes a second to load, and some more to compile for the first time. `zoo.memory.sam_kernels_backward` is its
derivative.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from zoo.kernel import kernel

# Slots that the search compares at once, without a branch: nearly all blocks of a large memory hold nothing better.
BLOCK = 64


class Numbers(NamedTuple):
    """What the kernels must know beside the arrays: numbers of the arrays' type, so that nothing is widened."""

    zero: Any
    one: Any
    clip: Any
    threshold: Any
    norm_epsilon: Any
    add: int
    """Where adds begin in the interface, after the keys; the rest likewise."""
    strengths: int
    gates: int
    """Write gates of all heads, then interpolation gates."""


class Work(NamedTuple):
    """What is edited in place, step by step: tensors, or the arrays on them."""

    memory: Any
    """`[B, N, W]`."""
    slot_scale: Any
    """Inverse lengths of the slots, `[B, N]`."""
    accessed: Any
    """`[B, N]`."""
    clock: Any
    """`[B]`."""
    later: Any
    """The slot accessed next after each one, `[B, N + 1]`; entry N is the slot accessed longest ago."""
    earlier: Any
    """The other way round; entry N is the slot accessed last."""
    scores: Any
    """Products of keys and slots, `[B, H, N]`."""
    weight: Any
    """Room for the weights of a step, `[B, N]`; zeros between steps."""


@kernel
def edit(step: int, room: int, tape: Any, work: Any, valid: np.ndarray, numbers: Numbers) -> None:
    """The writes of one step.

    Args:
        step: which.
        room: where in the tape the overwritten words go.
        tape: every step's arrays.
        work: memory and usage.
        valid: `[L, B]`; False where a token changes nothing: such samples are left out.
        numbers: constants.
    """
    for sample in range(tape.slots.shape[1]):
        if not valid[step, sample]:
            continue
        said, oldest, memory = tape.said[step, sample], tape.oldest[step, sample], work.memory[sample]
        before, weights_before = tape.slots[step, sample], tape.weights[step, sample]
        activate(tape.raw[step, sample], said, numbers)
        find_oldest(work.later[sample], oldest)
        keep(memory, before, oldest, tape.overwritten[room, sample])
        write(said, memory, work.slot_scale[sample], before, weights_before, oldest, work.weight[sample], numbers)


@kernel
def look(step: int, tape: Any, work: Any, valid: np.ndarray, numbers: Numbers) -> None:
    """The reads of one step, and what they and the writes have accessed.

    Args:
        step: which.
        tape: every step's arrays.
        work: memory and usage; the products of keys and slots are there.
        valid: as for `edit`.
        numbers: constants.
    """
    batch, heads, entries = tape.slots.shape[1:]
    for sample in range(batch):
        before, slots, weights = tape.slots[step, sample], tape.slots[step + 1, sample], tape.weights[step + 1, sample]
        if not valid[step, sample]:
            for head in range(heads):
                for k in range(entries):
                    slots[head, k], weights[head, k] = before[head, k], tape.weights[step, sample, head, k]
            continue
        similarity, weight = tape.similarity[step, sample], work.weight[sample]
        for head in range(heads):
            search(work.scores[sample, head], work.slot_scale[sample], slots[head], similarity[head])
        said, memory = tape.said[step, sample], work.memory[sample]
        read(said, memory, slots, weights, similarity, tape.features[step, sample], numbers)
        for head in range(heads):
            for k in range(entries):
                weight[slots[head, k]] += weights[head, k]
        work.clock[sample] += 1
        touch(
            before,
            tape.oldest[step, sample],
            slots,
            weight,
            work.accessed[sample],
            work.clock[sample],
            work.later[sample],
            work.earlier[sample],
            numbers,
        )


@kernel
def activate(raw: np.ndarray, said: np.ndarray, numbers: Numbers) -> None:
    """Clip, then 1 + softplus of strengths and sigmoid of gates."""
    for i in range(len(raw)):
        said[i] = min(max(raw[i], -numbers.clip), numbers.clip)
    for i in range(numbers.strengths, numbers.gates):
        said[i] = numbers.one + max(said[i], numbers.zero) + math.log1p(math.exp(-abs(said[i])))
    for i in range(numbers.gates, len(raw)):
        said[i] = numbers.one / (numbers.one + math.exp(-said[i]))


@kernel
def find_oldest(later: np.ndarray, oldest: np.ndarray) -> None:
    """The slots accessed longest ago, one a head (eq. 6)."""
    slot = len(later) - 1
    for head in range(len(oldest)):
        slot = later[slot]
        oldest[head] = slot


@kernel
def keep(memory: np.ndarray, before: np.ndarray, oldest: np.ndarray, overwritten: np.ndarray) -> None:
    """Copy the words that will be overwritten."""
    heads, entries = before.shape
    for head in range(heads):
        for c in range(memory.shape[1]):
            for k in range(entries):
                overwritten[head, k, c] = memory[before[head, k], c]
            overwritten[head, entries, c] = memory[oldest[head], c]


@kernel
def write(
    said: np.ndarray,
    memory: np.ndarray,
    slot_scale: np.ndarray,
    before: np.ndarray,
    weights_before: np.ndarray,
    oldest: np.ndarray,
    weight: np.ndarray,
    numbers: Numbers,
) -> None:
    """Clear the oldest slots, add to them and to those read before (eqs. 3 and 5); `weight` gathers how much."""
    heads, entries = before.shape
    for head in range(heads):
        for c in range(memory.shape[1]):
            memory[oldest[head], c] = numbers.zero
    for head in range(heads):
        write_gate, gate = said[numbers.gates + head], said[numbers.gates + heads + head]
        for k in range(entries):
            amount = write_gate * gate * weights_before[head, k]
            weight[before[head, k]] += amount
            add(said, head, memory[before[head, k]], amount, numbers)
        amount = write_gate * (numbers.one - gate)
        weight[oldest[head]] += amount
        add(said, head, memory[oldest[head]], amount, numbers)
    for head in range(heads):
        for k in range(entries):
            slot_scale[before[head, k]] = inverse_length(memory[before[head, k]], numbers)
        slot_scale[oldest[head]] = inverse_length(memory[oldest[head]], numbers)


@kernel
def add(said: np.ndarray, head: int, word: np.ndarray, amount: Any, numbers: Numbers) -> None:
    """Add so much of a head's word."""
    first = numbers.add + head * len(word)
    for c in range(len(word)):
        word[c] += amount * said[first + c]


@kernel
def inverse_length(word: np.ndarray, numbers: Numbers) -> Any:
    """Of a slot or key, kept finite."""
    square = numbers.norm_epsilon
    for c in range(len(word)):
        square += word[c] * word[c]
    return numbers.one / math.sqrt(square)


@kernel
def search(scores: np.ndarray, slot_scale: np.ndarray, slots: np.ndarray, best: np.ndarray) -> None:
    """The best slots of a head, and their scores over their lengths; of equals, the first."""
    entries = len(slots)
    for k in range(entries):
        # Valid whatever the scores; one that is not a number is never better.
        slots[k], best[k] = k, -np.inf
    for start in range(0, len(scores), BLOCK):
        stop, least, better = min(start + BLOCK, len(scores)), best[entries - 1], 0
        for i in range(start, stop):
            better += scores[i] * slot_scale[i] > least
        if better == 0:
            continue
        for i in range(start, stop):
            score = scores[i] * slot_scale[i]
            if score > best[entries - 1]:
                k = entries - 1
                while k > 0 and score > best[k - 1]:
                    slots[k], best[k] = slots[k - 1], best[k - 1]
                    k -= 1
                slots[k], best[k] = i, score


@kernel
def read(
    said: np.ndarray,
    memory: np.ndarray,
    slots: np.ndarray,
    weights: np.ndarray,
    similarity: np.ndarray,
    features: np.ndarray,
    numbers: Numbers,
) -> None:
    """Scores to cosines, weights of the slots found (eq. 2) and the reads behind the controller's output (eq. 4)."""
    heads, entries = slots.shape
    word = memory.shape[1]
    out = len(features) - heads * word
    for head in range(heads):
        scale = inverse_length(said[head * word : (head + 1) * word], numbers)
        total = numbers.zero
        for k in range(entries):
            similarity[head, k] *= scale
            # The first is the best, so no power overflows.
            power = math.exp(said[numbers.strengths + head] * (similarity[head, k] - similarity[head, 0]))
            weights[head, k] = power
            total += power
        for k in range(entries):
            weights[head, k] /= total
        for c in range(word):
            value = numbers.zero
            for k in range(entries):
                value += weights[head, k] * memory[slots[head, k], c]
            features[out + head * word + c] = value


@kernel
def touch(
    before: np.ndarray,
    oldest: np.ndarray,
    slots: np.ndarray,
    weight: np.ndarray,
    accessed: np.ndarray,
    clock: int,
    later: np.ndarray,
    earlier: np.ndarray,
    numbers: Numbers,
) -> None:
    """Make the slots of more than negligible weight the last accessed, in their order; empty the weights."""
    heads, entries = slots.shape
    found, count = np.empty(heads * (2 * entries + 1), np.int64), 0
    for head in range(heads):
        for j in range(2 * entries + 1):
            if j < entries:
                slot = before[head, j]
            elif j < 2 * entries:
                slot = slots[head, j - entries]
            else:
                slot = oldest[head]
            if weight[slot] > numbers.threshold:
                place = count
                while place > 0 and found[place - 1] > slot:
                    found[place] = found[place - 1]
                    place -= 1
                found[place] = slot
                count += 1
            weight[slot] = numbers.zero
    end = len(later) - 1
    for i in range(count):
        slot = found[i]
        accessed[slot] = clock
        later[earlier[slot]], earlier[later[slot]] = later[slot], earlier[slot]
        last = earlier[end]
        later[last], earlier[slot] = slot, last
        later[slot], earlier[end] = end, slot
