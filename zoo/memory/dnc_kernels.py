"""The DNC's memory, forward and backward, as machine code: one call a step, one sample after the other.

A step of the DNC is some 120 small operators on a few kilobytes a sample, so that under torch their dispatch is
most of the time. These loops do the same in the processor's nearest cache. The tape's arrays are those of
`zoo.memory.dnc_scan.Tape`; `DNCCell.forward` is the reference. Imported only when a scan needs it, for numba
takes a second to load, and some more to compile for the first time.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np

# What sums need to be vectorised; infinities and NaN keep their meaning.
FAST = {"reassoc", "contract", "nsz", "arcp"}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function, cached on disk where that is possible."""
    function = inspect.unwrap(function)  # the tests' type checker wraps every function of the package
    options: dict[str, Any] = {"nogil": True, "fastmath": FAST, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache folder can be written
        return numba.njit(**options)(function)


class Numbers(NamedTuple):
    """What the kernels must know beside the arrays: numbers of the arrays' type, so that nothing is widened.

    The last five are where parts of the interface begin.
    """

    zero: Any
    one: Any
    clip: Any
    least_strength: Any
    norm_epsilon: Any
    usage_epsilon: Any
    detach_usage: bool
    vector: int
    strengths: int
    gates: int
    erase: int
    modes: int


class Gradients(NamedTuple):
    """Gradients of the state, changed in place from that after a step to that before it."""

    memory: np.ndarray
    usage: np.ndarray
    precedence: np.ndarray
    link: np.ndarray
    write_weighting: np.ndarray
    read_weightings: np.ndarray


@kernel
def access(step: int, now: int, after: int, tape: Any, valid: np.ndarray, numbers: Numbers) -> None:
    """Write, link and read at one step.

    Args:
        step: which.
        now: where memory and link before it are kept.
        after: where those after it go.
        tape: every step's arrays.
        valid: `[L, B]`; False where a token changes nothing.
        numbers: constants.
    """
    batch, reads, slots = tape.read_weightings.shape[1:]
    word = tape.memory.shape[2]
    scaled = np.empty((reads + 1, word), tape.raw.dtype)
    for sample in range(batch):
        features = tape.features[step, sample]
        features[len(features) - reads * word :] = 0
        if not valid[step, sample]:
            tape.memory[after, sample] = tape.memory[now, sample]
            tape.slot_scale[step + 1, sample] = tape.slot_scale[step, sample]
            tape.link[after, sample] = tape.link[now, sample]
            tape.usage[step + 1, sample] = tape.usage[step, sample]
            tape.precedence[step + 1, sample] = tape.precedence[step, sample]
            tape.write_weighting[step + 1, sample] = tape.write_weighting[step, sample]
            tape.read_weightings[step + 1, sample] = tape.read_weightings[step, sample]
            tape.order[step, sample] = np.arange(slots)
            continue
        activate(tape.raw[step, sample], tape.said[step, sample], reads, numbers)
        scale_keys(tape.said[step, sample], scaled, numbers)
        update_usage(step, sample, tape, numbers)
        allocate(step, sample, tape, numbers)
        choose_slots(step, sample, now, tape, scaled[reads], numbers)
        write(step, sample, now, after, tape, numbers)
        follow_links(step, sample, now, after, tape, numbers)
        read(step, sample, after, tape, scaled, numbers)


@kernel
def activate(raw: np.ndarray, said: np.ndarray, reads: int, numbers: Numbers) -> None:
    """Clip and activations of an interface."""
    one, strengths, gates, modes = numbers.one, numbers.strengths, numbers.gates, numbers.modes
    for i in range(len(raw)):
        said[i] = min(max(raw[i], -numbers.clip), numbers.clip)
    for i in range(strengths, gates):
        x = said[i]
        said[i] = numbers.least_strength + max(x, numbers.zero) + math.log1p(math.exp(-abs(x)))
    for i in range(gates, modes):
        said[i] = one / (one + math.exp(-said[i]))
    for head in range(reads):
        softmax(said[modes + 3 * head : modes + 3 * head + 3], numbers)


@kernel
def softmax(values: np.ndarray, numbers: Numbers) -> None:
    """In place."""
    largest = values[0]
    for i in range(len(values)):
        largest = max(largest, values[i])
    total = numbers.zero
    for i in range(len(values)):
        values[i] = math.exp(values[i] - largest)
        total += values[i]
    for i in range(len(values)):
        values[i] /= total


@kernel
def scale_keys(said: np.ndarray, scaled: np.ndarray, numbers: Numbers) -> None:
    """Keys of length one, times their strengths."""
    heads, word = scaled.shape
    for head in range(heads):
        square = numbers.norm_epsilon
        for c in range(word):
            square += said[head * word + c] * said[head * word + c]
        factor = said[numbers.strengths + head] / math.sqrt(square)
        for c in range(word):
            scaled[head, c] = said[head * word + c] * factor


@kernel
def update_usage(step: int, sample: int, tape: Any, numbers: Numbers) -> None:
    """Usage after the writes of the step before and what the free gates release."""
    reads, slots = tape.read_weightings.shape[2:]
    first = numbers.gates
    said, reading = tape.said[step, sample], tape.read_weightings[step, sample]
    retained, retention = tape.retained[step, sample], tape.retention[step, sample]
    retention[:] = numbers.one
    for head in range(reads):
        for i in range(slots):
            retained[head, i] = numbers.one - said[first + head] * reading[head, i]
            retention[i] *= retained[head, i]
    usage, writing = tape.usage[step, sample], tape.write_weighting[step, sample]
    for i in range(slots):
        written = usage[i] + writing[i] - usage[i] * writing[i]
        tape.written[step, sample, i] = written
        tape.usage[step + 1, sample, i] = written * retention[i]


@kernel
def allocate(step: int, sample: int, tape: Any, numbers: Numbers) -> None:
    """Free slots, the least used first, equally used ones by index."""
    usage, order, ordered = tape.usage[step + 1, sample], tape.order[step, sample], tape.ordered[step, sample]
    slots = len(usage)
    for place in range(slots):
        # The order of the step before is nearly right.
        slot = tape.order[step - 1, sample, place] if step else place
        value = numbers.usage_epsilon + (numbers.one - numbers.usage_epsilon) * usage[slot]
        gap = place
        while gap and (ordered[gap - 1] > value or (ordered[gap - 1] == value and order[gap - 1] > slot)):
            ordered[gap], order[gap] = ordered[gap - 1], order[gap - 1]
            gap -= 1
        ordered[gap], order[gap] = value, slot
    product = numbers.one
    for place in range(slots):
        tape.used_before[step, sample, place] = product
        tape.allocation[step, sample, order[place]] = (numbers.one - ordered[place]) * product
        product *= ordered[place]


@kernel
def look_up(
    key: np.ndarray, memory: np.ndarray, slot_scale: np.ndarray, scores: np.ndarray, found: np.ndarray, numbers: Numbers
) -> None:
    """Content weighting of a scaled key."""
    scores[:] = numbers.zero
    for c in range(len(key)):
        for i in range(len(scores)):
            scores[i] += key[c] * memory[c, i]
    for i in range(len(scores)):
        scores[i] *= slot_scale[i]
        found[i] = scores[i]
    softmax(found, numbers)


@kernel
def choose_slots(step: int, sample: int, now: int, tape: Any, key: np.ndarray, numbers: Numbers) -> None:
    """The write weighting, of allocation and lookup."""
    lookup, allocation = tape.lookup[step, sample], tape.allocation[step, sample]
    look_up(
        key, tape.memory[now, sample], tape.slot_scale[step, sample], tape.write_scores[step, sample], lookup, numbers
    )
    gates = numbers.gates + tape.read_weightings.shape[2]
    allocating, writing = tape.said[step, sample, gates], tape.said[step, sample, gates + 1]
    for i in range(len(lookup)):
        chosen = lookup[i] + allocating * (allocation[i] - lookup[i])
        tape.chosen[step, sample, i] = chosen
        tape.write_weighting[step + 1, sample, i] = writing * chosen


@kernel
def write(step: int, sample: int, now: int, after: int, tape: Any, numbers: Numbers) -> None:
    """The memory after the write, and the lengths of its slots."""
    before, memory = tape.memory[now, sample], tape.memory[after, sample]
    writing, scale = tape.write_weighting[step + 1, sample], tape.slot_scale[step + 1, sample]
    word = len(memory)
    vector, erase = tape.said[step, sample, numbers.vector :], tape.said[step, sample, numbers.erase :]
    scale[:] = numbers.norm_epsilon
    for c in range(word):
        for i in range(len(writing)):
            value = before[c, i] + writing[i] * (vector[c] - before[c, i] * erase[c])
            memory[c, i] = value
            scale[i] += value * value
    for i in range(len(scale)):
        scale[i] = numbers.one / math.sqrt(scale[i])


@kernel
def follow_links(step: int, sample: int, now: int, after: int, tape: Any, numbers: Numbers) -> None:
    """Links and precedence after the write, and what was read before, one link back and one on."""
    before, link = tape.link[now, sample], tape.link[after, sample]
    precedence, writing = tape.precedence[step, sample], tape.write_weighting[step + 1, sample]
    previous = tape.read_weightings[step, sample]
    backward, forward = tape.options[step, 0, sample], tape.options[step, 2, sample]
    reads, slots = previous.shape
    backward[:] = numbers.zero
    total = numbers.zero
    for i in range(slots):
        total += writing[i]
        kept = numbers.one - writing[i]
        for j in range(slots):
            link[i, j] = (kept - writing[j]) * before[i, j] + writing[i] * precedence[j]
        link[i, i] = numbers.zero
        for head in range(reads):
            onward, here = numbers.zero, previous[head, i]
            for j in range(slots):
                onward += link[i, j] * previous[head, j]
                backward[head, j] += here * link[i, j]
            forward[head, i] = onward
    for j in range(slots):
        tape.precedence[step + 1, sample, j] = (numbers.one - total) * precedence[j] + writing[j]


@kernel
def read(step: int, sample: int, after: int, tape: Any, keys: np.ndarray, numbers: Numbers) -> None:
    """Read weightings and reads."""
    memory, reading = tape.memory[after, sample], tape.read_weightings[step + 1, sample]
    reads, slots = reading.shape
    word = len(memory)
    features = tape.features[step, sample]
    out = len(features) - reads * word
    for head in range(reads):
        content = tape.options[step, 1, sample, head]
        scale, scores = tape.slot_scale[step + 1, sample], tape.read_scores[step, sample, head]
        look_up(keys[head], memory, scale, scores, content, numbers)
        back, here, on = tape.said[step, sample, numbers.modes + 3 * head : numbers.modes + 3 * head + 3]
        backward, forward = tape.options[step, 0, sample, head], tape.options[step, 2, sample, head]
        for i in range(slots):
            reading[head, i] = back * backward[i] + here * content[i] + on * forward[i]
        for c in range(word):
            total = numbers.zero
            for i in range(slots):
                total += reading[head, i] * memory[c, i]
            features[out + head * word + c] = total


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
    keys, d_keys = np.empty((reads + 1, word), dtype), np.empty((reads + 1, word), dtype)
    d_options = np.empty((3, reads, slots), dtype)
    d_writing, pull = np.empty(slots, dtype), np.empty(slots, dtype)
    d_previous = np.empty((reads, slots), dtype)
    for sample in range(batch):
        d_said = d_raw[step, sample]
        if not valid[step, sample]:
            d_said[:] = 0
            continue
        said = tape.said[step, sample]
        scale_keys(said, keys, numbers)
        d_memory = gradients.memory[sample]
        read_backward(step, sample, tape, d_reads[sample], gradients, d_options, d_said, numbers)
        pull[:] = numbers.zero
        for head in range(reads):
            look_up_backward(
                d_options[1, head],
                tape.options[step, 1, sample, head],
                tape.read_scores[step, sample, head],
                tape.slot_scale[step + 1, sample],
                tape.memory[step + 1, sample],
                keys[head],
                d_memory,
                d_keys[head],
                pull,
                numbers,
            )
        pull_slots(tape.memory[step + 1, sample], tape.slot_scale[step + 1, sample], pull, d_memory)
        links_backward(step, sample, tape, gradients, d_options, d_previous, d_writing, numbers)
        write_backward(step, sample, tape, d_memory, d_writing, d_said, numbers)
        d_lookup = d_options[0, 0]
        choose_backward(step, sample, tape, gradients, d_writing, d_lookup, d_said, numbers)
        pull[:] = numbers.zero
        look_up_backward(
            d_lookup,
            tape.lookup[step, sample],
            tape.write_scores[step, sample],
            tape.slot_scale[step, sample],
            tape.memory[step, sample],
            keys[reads],
            d_memory,
            d_keys[reads],
            pull,
            numbers,
        )
        pull_slots(tape.memory[step, sample], tape.slot_scale[step, sample], pull, d_memory)
        usage_backward(step, sample, tape, gradients, d_previous, d_said, numbers)
        keys_backward(said, d_keys, d_said, numbers)
        activations_backward(tape.raw[step, sample], said, d_said, numbers)


@kernel
def read_backward(
    step: int,
    sample: int,
    tape: Any,
    d_reads: np.ndarray,
    gradients: Gradients,
    d_options: np.ndarray,
    d_said: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through reads and read modes, to memory and the three weightings."""
    memory, d_memory = tape.memory[step + 1, sample], gradients.memory[sample]
    reading, d_reading = tape.read_weightings[step + 1, sample], gradients.read_weightings[sample]
    reads, slots = reading.shape
    word = len(memory)
    first = numbers.modes
    for head in range(reads):
        for c in range(word):
            d_read = d_reads[head * word + c]
            for i in range(slots):
                d_reading[head, i] += d_read * memory[c, i]
                d_memory[c, i] += d_read * reading[head, i]
        modes, d_modes = tape.said[step, sample, first + 3 * head :], d_said[first + 3 * head :]
        mean = numbers.zero
        for mode in range(3):
            option, total = tape.options[step, mode, sample, head], numbers.zero
            for i in range(slots):
                total += option[i] * d_reading[head, i]
                d_options[mode, head, i] = modes[mode] * d_reading[head, i]
            d_modes[mode] = total
            mean += modes[mode] * total
        for mode in range(3):
            d_modes[mode] = modes[mode] * (d_modes[mode] - mean)


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
    step: int,
    sample: int,
    tape: Any,
    gradients: Gradients,
    d_options: np.ndarray,
    d_previous: np.ndarray,
    d_writing: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through the weightings one link on and one back, links and precedence."""
    before, link, d_link = tape.link[step, sample], tape.link[step + 1, sample], gradients.link[sample]
    precedence, d_precedence = tape.precedence[step, sample], gradients.precedence[sample]
    writing, previous = tape.write_weighting[step + 1, sample], tape.read_weightings[step, sample]
    d_backward, d_forward = d_options[0], d_options[2]
    reads, slots = previous.shape
    d_previous[:] = numbers.zero
    along, total = numbers.zero, numbers.zero
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
    step: int,
    sample: int,
    tape: Any,
    d_memory: np.ndarray,
    d_writing: np.ndarray,
    d_said: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through the memory's change, whose gradient becomes that before it."""
    memory, writing = tape.memory[step, sample], tape.write_weighting[step + 1, sample]
    word, first, second = len(memory), numbers.vector, numbers.erase
    for c in range(word):
        vector, erase = tape.said[step, sample, first + c], tape.said[step, sample, second + c]
        d_vector, d_erase = numbers.zero, numbers.zero
        for i in range(len(writing)):
            gradient = d_memory[c, i]
            moved = gradient * writing[i]
            d_vector += moved
            d_erase -= moved * memory[c, i]
            d_writing[i] += gradient * (vector - memory[c, i] * erase)
            d_memory[c, i] = gradient - moved * erase
        d_said[first + c], d_said[second + c] = d_vector, d_erase


@kernel
def choose_backward(
    step: int,
    sample: int,
    tape: Any,
    gradients: Gradients,
    d_writing: np.ndarray,
    d_lookup: np.ndarray,
    d_said: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through gates and allocation, to lookup and usage; no gradient goes through the order."""
    lookup, allocation = tape.lookup[step, sample], tape.allocation[step, sample]
    chosen, d_usage = tape.chosen[step, sample], gradients.usage[sample]
    gates = numbers.gates + tape.read_weightings.shape[2]
    allocating, writing = tape.said[step, sample, gates], tape.said[step, sample, gates + 1]
    d_allocating, d_write = numbers.zero, numbers.zero
    for i in range(len(lookup)):
        d_writing[i] += gradients.write_weighting[sample, i]
        d_write += d_writing[i] * chosen[i]
        d_chosen = writing * d_writing[i]
        d_allocating += d_chosen * (allocation[i] - lookup[i])
        d_lookup[i] = d_chosen * (numbers.one - allocating)
    d_said[gates], d_said[gates + 1] = d_allocating, d_write
    order, ordered = tape.order[step, sample], tape.ordered[step, sample]
    later = numbers.zero
    for place in range(len(order) - 1, -1, -1):
        # The product of smaller usages, by one of them, is itself over that one.
        part = writing * allocating * d_writing[order[place]] * tape.used_before[step, sample, place]
        d_ordered = later / ordered[place] - part
        d_usage[order[place]] += (numbers.one - numbers.usage_epsilon) * d_ordered
        later += part * (numbers.one - ordered[place])


@kernel
def usage_backward(
    step: int,
    sample: int,
    tape: Any,
    gradients: Gradients,
    d_previous: np.ndarray,
    d_said: np.ndarray,
    numbers: Numbers,
) -> None:
    """Through usage and free gates, to the weightings of the step before."""
    usage, writing = tape.usage[step, sample], tape.write_weighting[step, sample]
    retained, retention = tape.retained[step, sample], tape.retention[step, sample]
    d_usage, previous = gradients.usage[sample], tape.read_weightings[step, sample]
    reads, slots = previous.shape
    first = numbers.gates
    for head in range(reads):
        gate, d_gate = tape.said[step, sample, first + head], numbers.zero
        for i in range(slots):
            others = d_usage[i] * tape.written[step, sample, i]
            for other in range(reads):
                if other != head:
                    others *= retained[other, i]
            d_gate -= others * previous[head, i]
            gradients.read_weightings[sample, head, i] = d_previous[head, i] - others * gate
        d_said[first + head] = d_gate
    for i in range(slots):
        d_written = d_usage[i] * retention[i]
        d_usage[i] = d_written * (numbers.one - writing[i])
        gradients.write_weighting[sample, i] = d_written * (numbers.one - usage[i])
    if numbers.detach_usage:
        gradients.write_weighting[sample] = numbers.zero


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
