"""The derivative of `edit` and `look` in `zoo.memory.sam_kernels`: SAM's heads backward, as machine code.

The choice of slots has no derivative. A step needs the memory as it was after that step's writes: each step puts back
what it had overwritten.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from zoo.kernel import kernel
from zoo.memory.sam_kernels import Numbers


class Gradients(NamedTuple):
    """Of the state, changed in place from after a step to before it, with the memory itself; tensors, or arrays."""

    memory: Any
    """The memory, `[B, N, W]`."""
    d_memory: Any
    """Its gradient, `[B, rows, W]`."""
    places: Any
    """Each slot's row, `[B, N]`; -1 where it has none yet."""
    claimed: Any
    """Rows taken, `[B]`."""
    d_weights: Any
    """`[B, H, K]`."""


@kernel
def access_backward(
    step: int,
    tape: Any,
    valid: np.ndarray,
    d_reads: np.ndarray,
    gradients: Any,
    d_raw: np.ndarray,
    numbers: Numbers,
) -> None:
    """The derivative of `edit` and `look` at one step.

    Args:
        step: which.
        tape: as they left it.
        valid: as there.
        d_reads: gradient of the reads, `[B, H W]`.
        gradients: of the state after the step, with the memory; then of that before it.
        d_raw: gradient of the interface, `[L, B, I]`, written at this step.
        numbers: constants.
    """
    heads = tape.slots.shape[2]
    for sample in range(tape.slots.shape[1]):
        d_said = d_raw[step, sample]
        for i in range(len(d_said)):
            d_said[i] = numbers.zero
        if not valid[step, sample]:
            continue
        said, memory, d_memory = tape.said[step, sample], gradients.memory[sample], gradients.d_memory[sample]
        places, claimed = gradients.places[sample], gradients.claimed[sample : sample + 1]
        d_weights, word = gradients.d_weights[sample], memory.shape[1]
        before, oldest = tape.slots[step, sample], tape.oldest[step, sample]
        for head in range(heads):
            read_backward(
                said,
                head,
                memory,
                tape.slots[step + 1, sample, head],
                tape.weights[step + 1, sample, head],
                tape.similarity[step, sample, head],
                d_reads[sample, head * word : (head + 1) * word],
                d_weights[head],
                d_memory,
                places,
                claimed,
                d_said,
                numbers,
            )
        for head in range(heads):
            write_backward(
                said,
                head,
                before[head],
                tape.weights[step, sample, head],
                oldest[head],
                d_weights[head],
                d_memory,
                places,
                claimed,
                d_said,
                numbers,
            )
        for head in range(heads):
            cleared = d_memory[claim(oldest[head], d_memory, places, claimed, numbers)]
            for c in range(word):
                cleared[c] = numbers.zero
        restore(memory, before, oldest, tape.overwritten[step, sample])
        activations_backward(tape.raw[step, sample], said, d_said, numbers)


@kernel
def claim(slot: int, d_memory: np.ndarray, places: np.ndarray, claimed: np.ndarray, numbers: Numbers) -> int:
    """A slot's row, taken and set to zero where it has none yet."""
    row = places[slot]
    if row < 0:
        row = claimed[0]
        places[slot] = row
        claimed[0] += 1
        for c in range(d_memory.shape[1]):
            d_memory[row, c] = numbers.zero
    return row


@kernel
def inverse_length(word: np.ndarray, numbers: Numbers) -> Any:
    """Of a slot or key, kept finite."""
    square = numbers.norm_epsilon
    for c in range(len(word)):
        square += word[c] * word[c]
    return numbers.one / math.sqrt(square)


@kernel
def read_backward(
    said: np.ndarray,
    head: int,
    memory: np.ndarray,
    slots: np.ndarray,
    weights: np.ndarray,
    similarity: np.ndarray,
    d_read: np.ndarray,
    d_weights: np.ndarray,
    d_memory: np.ndarray,
    places: np.ndarray,
    claimed: np.ndarray,
    d_said: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through a head's read and its softmax to memory, key and strength."""
    word, mean = len(d_read), numbers.zero
    first, strength = head * word, said[numbers.strengths + head]
    key_scale = inverse_length(said[first : first + word], numbers)
    for k in range(len(slots)):
        for c in range(word):
            d_weights[k] += d_read[c] * memory[slots[k], c]
        mean += weights[k] * d_weights[k]
    d_strength = numbers.zero
    for k in range(len(slots)):
        row, d_row = memory[slots[k]], d_memory[claim(slots[k], d_memory, places, claimed, numbers)]
        row_scale = inverse_length(row, numbers)
        d_score = weights[k] * (d_weights[k] - mean)
        d_strength += d_score * similarity[k]
        d_similarity = d_score * strength
        across = d_similarity * key_scale * row_scale
        along_key = d_similarity * similarity[k] * key_scale * key_scale
        along_row = d_similarity * similarity[k] * row_scale * row_scale
        for c in range(word):
            key = said[first + c]
            d_said[first + c] += across * row[c] - along_key * key
            d_row[c] += weights[k] * d_read[c] + across * key - along_row * row[c]
    d_said[numbers.strengths + head] = d_strength


@kernel
def write_backward(
    said: np.ndarray,
    head: int,
    before: np.ndarray,
    weights_before: np.ndarray,
    oldest: int,
    d_weights: np.ndarray,
    d_memory: np.ndarray,
    places: np.ndarray,
    claimed: np.ndarray,
    d_said: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through a head's adds to its word, gates and earlier weights; the memory's own gradient passes as it is."""
    heads = (len(said) - numbers.gates) // 2
    word = d_memory.shape[1]
    first, entries = numbers.add + head * word, len(before)
    write_gate, gate = said[numbers.gates + head], said[numbers.gates + heads + head]
    d_write_gate, d_gate = numbers.zero, numbers.zero
    for k in range(entries + 1):
        slot = before[k] if k < entries else oldest
        share = gate * weights_before[k] if k < entries else numbers.one - gate
        d_row = d_memory[claim(slot, d_memory, places, claimed, numbers)]
        d_amount = numbers.zero
        for c in range(word):
            d_amount += said[first + c] * d_row[c]
            d_said[first + c] += write_gate * share * d_row[c]
        d_write_gate += d_amount * share
        if k < entries:
            d_gate += d_amount * write_gate * weights_before[k]
            d_weights[k] = d_amount * write_gate * gate
        else:
            d_gate -= d_amount * write_gate
    d_said[numbers.gates + head] = d_write_gate
    d_said[numbers.gates + heads + head] = d_gate


@kernel
def restore(memory: np.ndarray, before: np.ndarray, oldest: np.ndarray, overwritten: np.ndarray) -> None:
    """Put back what a step had overwritten."""
    heads, entries = before.shape
    for head in range(heads):
        for c in range(memory.shape[1]):
            for k in range(entries):
                memory[before[head, k], c] = overwritten[head, k, c]
            memory[oldest[head], c] = overwritten[head, entries, c]


@kernel
def activations_backward(raw: np.ndarray, said: np.ndarray, d_said: np.ndarray, numbers: Numbers) -> None:
    """Through activations and clip, in place."""
    for i in range(numbers.strengths, numbers.gates):
        d_said[i] *= -math.expm1(numbers.one - said[i])
    for i in range(numbers.gates, len(raw)):
        d_said[i] *= said[i] * (numbers.one - said[i])
    for i in range(len(raw)):
        if abs(raw[i]) > numbers.clip:
            d_said[i] = numbers.zero
