"""The derivative of `zoo.memory.dnc_kernels.access`: the DNC's memory backward, as machine code."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from zoo.kernel import kernel
from zoo.memory.dnc_kernels import Numbers


class Gradients(NamedTuple):
    """Gradients of the state, changed in place from that after a step to that before it."""

    memory: np.ndarray
    usage: np.ndarray
    precedence: np.ndarray
    link: np.ndarray
    write_weighting: np.ndarray
    read_weightings: np.ndarray


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
    batch, reads, slots = tape.read_weightings.shape[1:]
    word, dtype = tape.memory.shape[2], tape.raw.dtype
    d_keys = np.empty((reads + 1, word), dtype)
    d_options = np.empty((3, reads, slots), dtype)
    d_writing, pull = np.empty(slots, dtype), np.empty(slots, dtype)
    d_previous = np.empty((reads, slots), dtype)
    for sample in range(batch):
        d_said = d_raw[step, sample]
        if not valid[step, sample]:
            for i in range(len(d_said)):
                d_said[i] = numbers.zero
            continue
        said = tape.said[step, sample]
        writing, previous = tape.write_weighting[step + 1, sample], tape.read_weightings[step, sample]
        memory, slot_scale = tape.memory[step + 1, sample], tape.slot_scale[step + 1, sample]
        d_memory, d_usage = gradients.memory[sample], gradients.usage[sample]
        keys = tape.scaled[step, sample]
        read_backward(
            said,
            memory,
            tape.options[step, :, sample],
            tape.read_weightings[step + 1, sample],
            d_reads[sample],
            d_memory,
            gradients.read_weightings[sample],
            d_options,
            d_said,
            numbers,
        )
        for i in range(slots):
            pull[i] = numbers.zero
        for head in range(reads):
            look_up_backward(
                d_options[1, head],
                tape.options[step, 1, sample, head],
                tape.read_scores[step, sample, head],
                slot_scale,
                memory,
                keys[head],
                d_memory,
                d_keys[head],
                pull,
                numbers,
            )
        pull_slots(memory, slot_scale, pull, d_memory)
        links_backward(
            writing,
            previous,
            tape.precedence[step, sample],
            tape.link[step, sample],
            tape.link[step + 1, sample],
            d_options[0],
            d_options[2],
            gradients.link[sample],
            gradients.precedence[sample],
            d_previous,
            d_writing,
            numbers,
        )
        memory, slot_scale, d_lookup = tape.memory[step, sample], tape.slot_scale[step, sample], d_options[0, 0]
        write_backward(said, writing, memory, d_memory, d_writing, d_said, numbers)
        gates_backward(
            said,
            tape.lookup[step, sample],
            tape.allocation[step, sample],
            tape.chosen[step, sample],
            gradients.write_weighting[sample],
            d_writing,
            d_lookup,
            d_said,
            numbers,
        )
        allocate_backward(
            tape.order[step + 1, sample],
            tape.ordered[step, sample],
            tape.used_before[step, sample],
            said[numbers.erase - 2] * said[numbers.erase - 1],
            d_writing,
            d_usage,
            numbers,
        )
        for i in range(slots):
            pull[i] = numbers.zero
        look_up_backward(
            d_lookup,
            tape.lookup[step, sample],
            tape.write_scores[step, sample],
            slot_scale,
            memory,
            keys[reads],
            d_memory,
            d_keys[reads],
            pull,
            numbers,
        )
        pull_slots(memory, slot_scale, pull, d_memory)
        usage_backward(
            said,
            tape.usage[step, sample],
            tape.write_weighting[step, sample],
            previous,
            tape.retained[step, sample],
            tape.retention[step, sample],
            tape.written[step, sample],
            d_usage,
            d_previous,
            gradients.write_weighting[sample],
            gradients.read_weightings[sample],
            d_said,
            numbers,
        )
        keys_backward(said, d_keys, d_said, numbers)
        activations_backward(tape.raw[step, sample], said, d_said, numbers)


@kernel
def read_backward(
    said: np.ndarray,
    memory: np.ndarray,
    options: np.ndarray,
    reading: np.ndarray,
    d_reads: np.ndarray,
    d_memory: np.ndarray,
    d_reading: np.ndarray,
    d_options: np.ndarray,
    d_said: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through reads and read modes, to memory and the three weightings."""
    reads, slots = reading.shape
    word = len(memory)
    for head in range(reads):
        for c in range(word):
            d_read = d_reads[head * word + c]
            for i in range(slots):
                d_reading[head, i] += d_read * memory[c, i]
                d_memory[c, i] += d_read * reading[head, i]
        first, mean = numbers.modes + 3 * head, numbers.zero
        for mode in range(3):
            weight, total = said[first + mode], numbers.zero
            for i in range(slots):
                total += options[mode, head, i] * d_reading[head, i]
                d_options[mode, head, i] = weight * d_reading[head, i]
            d_said[first + mode] = total
            mean += weight * total
        for mode in range(3):
            d_said[first + mode] = said[first + mode] * (d_said[first + mode] - mean)


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
def links_backward(
    writing: np.ndarray,
    previous: np.ndarray,
    precedence: np.ndarray,
    before: np.ndarray,
    link: np.ndarray,
    d_backward: np.ndarray,
    d_forward: np.ndarray,
    d_link: np.ndarray,
    d_precedence: np.ndarray,
    d_previous: np.ndarray,
    d_writing: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through the weightings one link on and one back, links and precedence."""
    reads, slots = previous.shape
    along, total = numbers.zero, numbers.zero
    for head in range(reads):
        for j in range(slots):
            d_previous[head, j] = numbers.zero
    for i in range(slots):
        along += d_precedence[i] * precedence[i]
        total += writing[i]
    for i in range(slots):
        d_writing[i] = d_precedence[i] - along
        d_precedence[i] *= numbers.one - total
    for i in range(slots):
        for head in range(reads):
            on, here, onward = d_forward[head, i], previous[head, i], numbers.zero
            for j in range(slots):
                d_link[i, j] += on * previous[head, j] + here * d_backward[head, j]
                d_previous[head, j] += on * link[i, j]
                onward += link[i, j] * d_backward[head, j]
            d_previous[head, i] += onward
        d_link[i, i] = numbers.zero
        kept, change = numbers.one - writing[i], numbers.zero
        for j in range(slots):
            gradient = d_link[i, j]
            lost = gradient * before[i, j]
            change += gradient * precedence[j] - lost
            d_writing[j] -= lost
            d_precedence[j] += gradient * writing[i]
            d_link[i, j] = gradient * (kept - writing[j])
        d_writing[i] += change


@kernel
def write_backward(
    said: np.ndarray,
    writing: np.ndarray,
    memory: np.ndarray,
    d_memory: np.ndarray,
    d_writing: np.ndarray,
    d_said: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through the memory's change, whose gradient becomes that before it."""
    for c in range(len(memory)):
        vector, erase = said[numbers.vector + c], said[numbers.erase + c]
        d_vector, d_erase = numbers.zero, numbers.zero
        for i in range(len(writing)):
            gradient = d_memory[c, i]
            moved = gradient * writing[i]
            d_vector += moved
            d_erase -= moved * memory[c, i]
            d_writing[i] += gradient * (vector - memory[c, i] * erase)
            d_memory[c, i] = gradient - moved * erase
        d_said[numbers.vector + c], d_said[numbers.erase + c] = d_vector, d_erase


@kernel
def gates_backward(
    said: np.ndarray,
    lookup: np.ndarray,
    allocation: np.ndarray,
    chosen: np.ndarray,
    d_state: np.ndarray,
    d_writing: np.ndarray,
    d_lookup: np.ndarray,
    d_said: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through allocation and write gate, to the lookup; `d_state` is the later steps' share of `d_writing`."""
    allocating, gate = said[numbers.erase - 2], said[numbers.erase - 1]
    d_allocating, d_gate = numbers.zero, numbers.zero
    for i in range(len(lookup)):
        d_writing[i] += d_state[i]
        d_gate += d_writing[i] * chosen[i]
        d_chosen = gate * d_writing[i]
        d_allocating += d_chosen * (allocation[i] - lookup[i])
        d_lookup[i] = d_chosen * (numbers.one - allocating)
    d_said[numbers.erase - 2], d_said[numbers.erase - 1] = d_allocating, d_gate


@kernel
def allocate_backward(
    order: np.ndarray,
    ordered: np.ndarray,
    used_before: np.ndarray,
    share: Any,
    d_writing: np.ndarray,
    d_usage: np.ndarray,
    numbers: Numbers,
) -> None:
    """From the write weighting, of which allocation is a share, to usage; no gradient goes through the order."""
    later = numbers.zero
    for place in range(len(order) - 1, -1, -1):
        # The product of smaller usages, by one of them, is itself over that one.
        part = share * d_writing[order[place]] * used_before[place]
        d_usage[order[place]] += (numbers.one - numbers.usage_epsilon) * (later / ordered[place] - part)
        later += part * (numbers.one - ordered[place])


@kernel
def usage_backward(
    said: np.ndarray,
    usage: np.ndarray,
    writing: np.ndarray,
    previous: np.ndarray,
    retained: np.ndarray,
    retention: np.ndarray,
    written: np.ndarray,
    d_usage: np.ndarray,
    d_previous: np.ndarray,
    d_writing: np.ndarray,
    d_reading: np.ndarray,
    d_said: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through usage and free gates, to the weightings of the step before."""
    reads, slots = previous.shape
    for head in range(reads):
        gate, d_gate = said[numbers.gates + head], numbers.zero
        for i in range(slots):
            others = d_usage[i] * written[i]
            for other in range(reads):
                if other != head:
                    others *= retained[other, i]
            d_gate -= others * previous[head, i]
            d_reading[head, i] = d_previous[head, i] - others * gate
        d_said[numbers.gates + head] = d_gate
    for i in range(slots):
        d_written = d_usage[i] * retention[i]
        d_usage[i] = d_written * (numbers.one - writing[i])
        d_writing[i] = numbers.through_usage * d_written * (numbers.one - usage[i])


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
    """Through activations and clip, in place; the modes' softmax is done already."""
    strengths, gates, modes = numbers.strengths, numbers.gates, numbers.modes
    for i in range(strengths, gates):
        d_said[i] *= -math.expm1(numbers.least_strength - said[i])
    for i in range(gates, modes):
        d_said[i] *= said[i] * (numbers.one - said[i])
    for i in range(len(raw)):
        if abs(raw[i]) > numbers.clip:
            d_said[i] = numbers.zero
