"""The derivative of `zoo.memory.ntm_kernels.access`: the NTM's heads backward, as machine code."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from zoo.kernel import kernel
from zoo.memory.ntm_kernels import Numbers


class Gradients(NamedTuple):
    """Gradients of the state, changed in place from that after a step to that before it."""

    memory: np.ndarray
    weightings: np.ndarray


@kernel
def access_backward(
    step: int,
    tape: Any,
    valid: np.ndarray,
    d_reads: np.ndarray,
    gradients: Gradients,
    d_raw: np.ndarray,
    numbers: Numbers,
) -> None:
    """The derivative of `access` at one step.

    Args:
        step: which.
        tape: as `access` left it.
        valid: as there.
        d_reads: gradient of the reads, `[B, R W]`.
        gradients: of the state after the step, then of that before it.
        d_raw: gradient of the interface, `[L, B, I]`, written at this step.
        numbers: constants.
    """
    batch, heads, slots = tape.weightings.shape[1:]
    word, dtype = tape.memory.shape[2], tape.raw.dtype
    d_keys, d_content = np.empty((heads, word), dtype), np.empty((heads, slots), dtype)
    kept, pull = np.empty((heads, slots), dtype), np.empty(slots, dtype)
    for sample in range(batch):
        d_said = d_raw[step, sample]
        if not valid[step, sample]:
            for i in range(len(d_said)):
                d_said[i] = numbers.zero
            continue
        said, keys, memory = tape.said[step, sample], tape.scaled[step, sample], tape.memory[step, sample]
        slot_scale, weightings = tape.slot_scale[step, sample], tape.weightings[step + 1, sample]
        d_memory, d_weightings = gradients.memory[sample], gradients.weightings[sample]
        write_backward(said, memory, weightings, d_memory, d_weightings, kept, d_said, numbers)
        read_backward(memory, weightings, d_reads[sample], d_memory, d_weightings, numbers)
        locate_backward(
            said,
            tape.content[step, sample],
            tape.weightings[step, sample],
            tape.gated[step, sample],
            tape.rotated[step, sample],
            tape.logs[step, sample],
            weightings,
            d_weightings,
            d_content,
            d_said,
            numbers,
        )
        for i in range(slots):
            pull[i] = numbers.zero
        for head in range(heads):
            look_up_backward(
                d_content[head],
                tape.content[step, sample, head],
                tape.scores[step, sample, head],
                slot_scale,
                memory,
                keys[head],
                d_memory,
                d_keys[head],
                pull,
                numbers,
            )
        pull_slots(memory, slot_scale, pull, d_memory)
        keys_backward(said, d_keys, d_said, numbers)
        activations_backward(tape.raw[step, sample], said, d_said, numbers)


@kernel
def write_backward(
    said: np.ndarray,
    memory: np.ndarray,
    weightings: np.ndarray,
    d_memory: np.ndarray,
    d_weightings: np.ndarray,
    kept: np.ndarray,
    d_said: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through adds and erases, to the memory before them; `kept` is room for what earlier heads left of it."""
    word, slots = memory.shape
    writes, reads = len(weightings) - numbers.reads, numbers.reads
    for c in range(word):
        for head in range(writes):
            add, d_add = said[numbers.add + head * word + c], numbers.zero
            for i in range(slots):
                d_add += d_memory[c, i] * weightings[reads + head, i]
                d_weightings[reads + head, i] += d_memory[c, i] * add
            d_said[numbers.add + head * word + c] = d_add
        for i in range(slots):
            kept[0, i] = memory[c, i]
        for head in range(writes - 1):
            erase = said[numbers.erase + head * word + c]
            for i in range(slots):
                kept[head + 1, i] = kept[head, i] * (numbers.one - weightings[reads + head, i] * erase)
        for head in range(writes - 1, -1, -1):
            erase, d_erase = said[numbers.erase + head * word + c], numbers.zero
            for i in range(slots):
                touched = d_memory[c, i] * kept[head, i]
                d_erase -= touched * weightings[reads + head, i]
                d_weightings[reads + head, i] -= touched * erase
                d_memory[c, i] *= numbers.one - weightings[reads + head, i] * erase
            d_said[numbers.erase + head * word + c] = d_erase


@kernel
def read_backward(
    memory: np.ndarray,
    weightings: np.ndarray,
    d_reads: np.ndarray,
    d_memory: np.ndarray,
    d_weightings: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through the reads."""
    word, slots = memory.shape
    for head in range(numbers.reads):
        for c in range(word):
            d_read = d_reads[head * word + c]
            for i in range(slots):
                d_weightings[head, i] += d_read * memory[c, i]
                d_memory[c, i] += d_read * weightings[head, i]


@kernel
def locate_backward(
    said: np.ndarray,
    content: np.ndarray,
    previous: np.ndarray,
    gated: np.ndarray,
    rotated: np.ndarray,
    logs: np.ndarray,
    weightings: np.ndarray,
    d_weightings: np.ndarray,
    d_content: np.ndarray,
    d_said: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through sharpening, rotation and gate, to content weightings and those of the step before."""
    heads, slots = content.shape
    offsets = (len(said) - numbers.shifts) // heads
    d_rotated, d_gated = np.empty(slots, said.dtype), np.empty(slots, said.dtype)
    for head in range(heads):
        gate, sharpness = said[numbers.gates + head], said[numbers.sharpness + head]
        mean, d_sharpness, d_gate = numbers.zero, numbers.zero, numbers.zero
        for i in range(slots):
            mean += d_weightings[head, i] * weightings[head, i]
        for i in range(slots):
            d_power = weightings[head, i] * (d_weightings[head, i] - mean)
            d_sharpness += d_power * logs[head, i]
            d_rotated[i] = d_power * sharpness / rotated[head, i]
            d_gated[i] = numbers.zero
        d_said[numbers.sharpness + head] = d_sharpness
        first, mean = numbers.shifts + head * offsets, numbers.zero
        for k in range(offsets):
            weight, d_weight = said[first + k], numbers.zero
            start = (offsets // 2 - k) % slots
            for i in range(slots - start):
                d_weight += d_rotated[i] * gated[head, i + start]
                d_gated[i + start] += weight * d_rotated[i]
            for i in range(slots - start, slots):
                d_weight += d_rotated[i] * gated[head, i + start - slots]
                d_gated[i + start - slots] += weight * d_rotated[i]
            d_said[first + k] = d_weight
            mean += weight * d_weight
        for k in range(offsets):
            d_said[first + k] = said[first + k] * (d_said[first + k] - mean)
        for i in range(slots):
            d_gate += d_gated[i] * (content[head, i] - previous[head, i])
            d_content[head, i] = gate * d_gated[i]
            d_weightings[head, i] = (numbers.one - gate) * d_gated[i]
        d_said[numbers.gates + head] = d_gate


@kernel
def look_up_backward(
    d_found: np.ndarray,
    found: np.ndarray,
    scores: np.ndarray,
    slot_scale: np.ndarray,
    memory: np.ndarray,
    key: np.ndarray,
    d_memory: np.ndarray,
    d_key: np.ndarray,
    pull: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through a content weighting to key and memory; `pull` gathers what goes to the slots' lengths.

    `d_found` becomes the gradient of the key's products with the slots.
    """
    mean = numbers.zero
    for i in range(len(found)):
        mean += d_found[i] * found[i]
    for i in range(len(found)):
        d_score = found[i] * (d_found[i] - mean)
        pull[i] += d_score * scores[i]
        d_found[i] = d_score * slot_scale[i]
    for c in range(len(key)):
        total = numbers.zero
        for i in range(len(found)):
            total += d_found[i] * memory[c, i]
            d_memory[c, i] += key[c] * d_found[i]
        d_key[c] = total


@kernel
def pull_slots(memory: np.ndarray, slot_scale: np.ndarray, pull: np.ndarray, d_memory: np.ndarray) -> None:
    """Through the slots' lengths."""
    for i in range(len(pull)):
        pull[i] *= slot_scale[i] * slot_scale[i]
    for c in range(len(memory)):
        for i in range(len(pull)):
            d_memory[c, i] -= memory[c, i] * pull[i]


@kernel
def keys_backward(said: np.ndarray, d_scaled: np.ndarray, d_said: np.ndarray, numbers: Numbers) -> None:
    """From the gradient of scaled keys to those of keys and strengths."""
    heads, word = d_scaled.shape
    for head in range(heads):
        square, along = numbers.norm_epsilon, numbers.zero
        for c in range(word):
            key = said[head * word + c]
            square += key * key
            along += key * d_scaled[head, c]
        scale = numbers.one / math.sqrt(square)
        d_said[numbers.strengths + head] = along * scale
        factor = said[numbers.strengths + head] * scale
        for c in range(word):
            d_said[head * word + c] = factor * (d_scaled[head, c] - said[head * word + c] * along * scale * scale)


@kernel
def activations_backward(raw: np.ndarray, said: np.ndarray, d_said: np.ndarray, numbers: Numbers) -> None:
    """Through activations and clip, in place; the shifts' softmax is done already."""
    if numbers.squash_keys:
        for i in range(numbers.strengths):
            d_said[i] *= numbers.one - said[i] * said[i]
    for i in range(numbers.strengths, numbers.sharpness):
        d_said[i] *= -math.expm1(-said[i])
    for i in range(numbers.sharpness, numbers.gates):
        d_said[i] *= -math.expm1(numbers.one - said[i])
    for i in range(numbers.gates, numbers.shifts):
        d_said[i] *= said[i] * (numbers.one - said[i])
    for i in range(len(raw)):
        if abs(raw[i]) > numbers.clip:
            d_said[i] = numbers.zero
