"""The DNC's memory as machine code: one call a step, one sample after the other.

A step of the DNC is some 120 small operators on a few kilobytes a sample, so that under torch their dispatch is
most of the time. These loops do the same in the processor's nearest cache. The tape's arrays are those of
`zoo.memory.dnc_scan.Tape`; `DNCCell.forward` is the reference. Imported only when a scan needs it, for numba
takes a second to load, and ten to compile for the first time. `zoo.memory.dnc_kernels_backward` is its derivative.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from zoo.kernel import kernel


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
    through_usage: Any
    """1, or 0 where no gradient goes from usage to write weighting."""
    vector: int
    strengths: int
    gates: int
    erase: int
    modes: int


@kernel
def access(step: int, now: int, after: int, tape: Any, valid: np.ndarray, numbers: Numbers) -> None:
    """Write, link and read at one step.

    Args:
        step: which.
        now: where memory and link before it are kept.
        after: where those after it go.
        tape: every step's arrays.
        valid: `[L, B]`; False where a token changes nothing: such samples are left out.
        numbers: constants.
    """
    batch, reads, _ = tape.read_weightings.shape[1:]
    for sample in range(batch):
        if not valid[step, sample]:
            continue
        activate(tape.raw[step, sample], tape.said[step, sample], reads, numbers)
        said, scaled = tape.said[step, sample], tape.scaled[step, sample]
        scale_keys(said, scaled, numbers)
        writing = tape.write_weighting[step + 1, sample]
        usage, previous = tape.usage[step + 1, sample], tape.read_weightings[step, sample]
        memory, slot_scale = tape.memory[after, sample], tape.slot_scale[step + 1, sample]
        update_usage(
            said,
            tape.usage[step, sample],
            tape.write_weighting[step, sample],
            previous,
            tape.retained[step, sample],
            tape.retention[step, sample],
            tape.written[step, sample],
            usage,
            numbers,
        )
        allocate(
            usage,
            tape.order[step, sample],
            tape.order[step + 1, sample],
            tape.ordered[step, sample],
            tape.used_before[step, sample],
            tape.allocation[step, sample],
            numbers,
        )
        look_up(
            scaled[reads],
            tape.memory[now, sample],
            tape.slot_scale[step, sample],
            tape.write_scores[step, sample],
            tape.lookup[step, sample],
            numbers,
        )
        choose_slots(
            said, tape.lookup[step, sample], tape.allocation[step, sample], tape.chosen[step, sample], writing, numbers
        )
        write(said, writing, tape.memory[now, sample], memory, slot_scale, numbers)
        follow_links(
            writing,
            tape.precedence[step, sample],
            tape.precedence[step + 1, sample],
            tape.link[now, sample],
            tape.link[after, sample],
            previous,
            tape.options[step, 0, sample],
            tape.options[step, 2, sample],
            numbers,
        )
        for head in range(reads):
            look_up(
                scaled[head],
                memory,
                slot_scale,
                tape.read_scores[step, sample, head],
                tape.options[step, 1, sample, head],
                numbers,
            )
        read(
            said,
            memory,
            tape.options[step, 0, sample],
            tape.options[step, 1, sample],
            tape.options[step, 2, sample],
            tape.read_weightings[step + 1, sample],
            tape.features[step, sample],
            numbers,
        )


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
def update_usage(
    said: np.ndarray,
    usage: np.ndarray,
    writing: np.ndarray,
    reading: np.ndarray,
    retained: np.ndarray,
    retention: np.ndarray,
    written: np.ndarray,
    after: np.ndarray,
    numbers: Numbers,
) -> None:
    """Usage after the writes of the step before and what the free gates release."""
    for i in range(len(usage)):
        retention[i] = numbers.one
    for head in range(len(reading)):
        gate = said[numbers.gates + head]
        for i in range(len(usage)):
            retained[head, i] = numbers.one - gate * reading[head, i]
            retention[i] *= retained[head, i]
    for i in range(len(usage)):
        written[i] = usage[i] + writing[i] - usage[i] * writing[i]
        after[i] = written[i] * retention[i]


@kernel
def allocate(
    usage: np.ndarray,
    order_before: np.ndarray,
    order: np.ndarray,
    ordered: np.ndarray,
    used_before: np.ndarray,
    allocation: np.ndarray,
    numbers: Numbers,
) -> None:
    """Free slots, the least used first, equally used ones by index; sorted from the order before, nearly right."""
    for place in range(len(usage)):
        slot = order_before[place]
        value = numbers.usage_epsilon + (numbers.one - numbers.usage_epsilon) * usage[slot]
        gap = place
        while gap and (ordered[gap - 1] > value or (ordered[gap - 1] == value and order[gap - 1] > slot)):
            ordered[gap], order[gap] = ordered[gap - 1], order[gap - 1]
            gap -= 1
        ordered[gap], order[gap] = value, slot
    product = numbers.one
    for place in range(len(usage)):
        used_before[place] = product
        allocation[order[place]] = (numbers.one - ordered[place]) * product
        product *= ordered[place]


@kernel
def look_up(
    key: np.ndarray, memory: np.ndarray, slot_scale: np.ndarray, scores: np.ndarray, found: np.ndarray, numbers: Numbers
) -> None:
    """Content weighting of a scaled key."""
    for i in range(len(scores)):
        scores[i] = numbers.zero
    for c in range(len(key)):
        for i in range(len(scores)):
            scores[i] += key[c] * memory[c, i]
    for i in range(len(scores)):
        scores[i] *= slot_scale[i]
        found[i] = scores[i]
    softmax(found, numbers)


@kernel
def choose_slots(
    said: np.ndarray,
    lookup: np.ndarray,
    allocation: np.ndarray,
    chosen: np.ndarray,
    writing: np.ndarray,
    numbers: Numbers,
) -> None:
    """The write weighting, of allocation and lookup."""
    allocating, gate = said[numbers.erase - 2], said[numbers.erase - 1]
    for i in range(len(lookup)):
        chosen[i] = lookup[i] + allocating * (allocation[i] - lookup[i])
        writing[i] = gate * chosen[i]


@kernel
def write(
    said: np.ndarray,
    writing: np.ndarray,
    before: np.ndarray,
    memory: np.ndarray,
    slot_scale: np.ndarray,
    numbers: Numbers,
) -> None:
    """The memory after the write, and the lengths of its slots."""
    for i in range(len(slot_scale)):
        slot_scale[i] = numbers.norm_epsilon
    for c in range(len(memory)):
        vector, erase = said[numbers.vector + c], said[numbers.erase + c]
        for i in range(len(writing)):
            value = before[c, i] + writing[i] * (vector - before[c, i] * erase)
            memory[c, i] = value
            slot_scale[i] += value * value
    for i in range(len(slot_scale)):
        slot_scale[i] = numbers.one / math.sqrt(slot_scale[i])


@kernel
def follow_links(
    writing: np.ndarray,
    precedence: np.ndarray,
    precedence_after: np.ndarray,
    before: np.ndarray,
    link: np.ndarray,
    previous: np.ndarray,
    backward: np.ndarray,
    forward: np.ndarray,
    numbers: Numbers,
) -> None:
    """Links and precedence after the write, and what was read before, one link back and one on."""
    reads, slots = previous.shape
    total = numbers.zero
    for head in range(reads):
        for j in range(slots):
            backward[head, j] = numbers.zero
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
        precedence_after[j] = (numbers.one - total) * precedence[j] + writing[j]


@kernel
def read(
    said: np.ndarray,
    memory: np.ndarray,
    backward: np.ndarray,
    content: np.ndarray,
    forward: np.ndarray,
    reading: np.ndarray,
    features: np.ndarray,
    numbers: Numbers,
) -> None:
    """Read weightings, of what the modes choose among, and reads."""
    reads, slots = reading.shape
    word = len(memory)
    out = len(features) - reads * word
    for head in range(reads):
        mode = numbers.modes + 3 * head
        for i in range(slots):
            reading[head, i] = said[mode] * backward[head, i] + said[mode + 1] * content[head, i]
            reading[head, i] += said[mode + 2] * forward[head, i]
        for c in range(word):
            total = numbers.zero
            for i in range(slots):
                total += reading[head, i] * memory[c, i]
            features[out + head * word + c] = total
