"""The NTM's heads as machine code: one call a step, one sample after the other.

A step of the heads is some 80 small operators on a few kilobytes a sample, so that under torch their dispatch is
much of the time. These loops do the same in the processor's nearest cache. The tape's arrays are those of
`zoo.memory.ntm_scan.Tape`; `NTMCell.forward` is the reference. Imported only when a scan needs it, for numba takes
a second to load, and some more to compile for the first time. `zoo.memory.ntm_kernels_backward` is its derivative.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from zoo.kernel import kernel


class Numbers(NamedTuple):
    """What the kernels must know beside the arrays: numbers of the arrays' type, so that nothing is widened."""

    zero: Any
    one: Any
    clip: Any
    norm_epsilon: Any
    sharpen_epsilon: Any
    squash_keys: bool
    reads: int
    """Read heads; they come before the write heads."""
    add: int
    """Where adds begin in the interface, after the keys; the rest likewise."""
    strengths: int
    sharpness: int
    gates: int
    erase: int
    shifts: int


@kernel
def access(step: int, now: int, after: int, tape: Any, valid: np.ndarray, numbers: Numbers) -> None:
    """Address, read and write at one step.

    Args:
        step: which.
        now: where the memory before it is kept.
        after: where that after it goes.
        tape: every step's arrays.
        valid: `[L, B]`; False where a token changes nothing: such samples are left out.
        numbers: constants.
    """
    batch, heads, _ = tape.weightings.shape[1:]
    for sample in range(batch):
        if not valid[step, sample]:
            continue
        said, scaled, content = tape.said[step, sample], tape.scaled[step, sample], tape.content[step, sample]
        memory, weightings = tape.memory[now, sample], tape.weightings[step + 1, sample]
        activate(tape.raw[step, sample], said, heads, numbers)
        scale_keys(said, scaled, numbers)
        for head in range(heads):
            look_up(
                scaled[head],
                memory,
                tape.slot_scale[step, sample],
                tape.scores[step, sample, head],
                content[head],
                numbers,
            )
        locate(
            said,
            content,
            tape.weightings[step, sample],
            tape.gated[step, sample],
            tape.rotated[step, sample],
            tape.logs[step, sample],
            weightings,
            numbers,
        )
        read(memory, weightings, tape.features[step, sample], numbers)
        write(said, memory, weightings, tape.memory[after, sample], tape.slot_scale[step + 1, sample], numbers)


@kernel
def activate(raw: np.ndarray, said: np.ndarray, heads: int, numbers: Numbers) -> None:
    """Clip and activations of an interface."""
    one = numbers.one
    for i in range(len(raw)):
        said[i] = min(max(raw[i], -numbers.clip), numbers.clip)
    if numbers.squash_keys:
        for i in range(numbers.strengths):
            said[i] = math.tanh(said[i])
    for i in range(numbers.strengths, numbers.gates):
        said[i] = max(said[i], numbers.zero) + math.log1p(math.exp(-abs(said[i])))
    for i in range(numbers.sharpness, numbers.gates):
        said[i] += one
    for i in range(numbers.gates, numbers.shifts):
        said[i] = one / (one + math.exp(-said[i]))
    offsets = (len(raw) - numbers.shifts) // heads
    for head in range(heads):
        first = numbers.shifts + head * offsets
        softmax(said[first : first + offsets], numbers)


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
def locate(
    said: np.ndarray,
    content: np.ndarray,
    previous: np.ndarray,
    gated: np.ndarray,
    rotated: np.ndarray,
    logs: np.ndarray,
    weightings: np.ndarray,
    numbers: Numbers,
) -> None:
    """Gate, rotate and sharpen (NTM eqs. 7 to 9)."""
    heads, slots = content.shape
    offsets = (len(said) - numbers.shifts) // heads
    for head in range(heads):
        gate, sharpness = said[numbers.gates + head], said[numbers.sharpness + head]
        for i in range(slots):
            gated[head, i] = previous[head, i] + gate * (content[head, i] - previous[head, i])
            rotated[head, i] = numbers.sharpen_epsilon
        for k in range(offsets):
            weight = said[numbers.shifts + head * offsets + k]
            # Slot i takes what was `start` further, around the end.
            start = (offsets // 2 - k) % slots
            for i in range(slots - start):
                rotated[head, i] += weight * gated[head, i + start]
            for i in range(slots - start, slots):
                rotated[head, i] += weight * gated[head, i + start - slots]
        for i in range(slots):
            logs[head, i] = math.log(rotated[head, i])
            weightings[head, i] = sharpness * logs[head, i]
        softmax(weightings[head], numbers)


@kernel
def read(memory: np.ndarray, weightings: np.ndarray, features: np.ndarray, numbers: Numbers) -> None:
    """The reads, behind the controller's output (eq. 2)."""
    word, slots = memory.shape
    out = len(features) - numbers.reads * word
    for head in range(numbers.reads):
        for c in range(word):
            total = numbers.zero
            for i in range(slots):
                total += weightings[head, i] * memory[c, i]
            features[out + head * word + c] = total


@kernel
def write(
    said: np.ndarray,
    before: np.ndarray,
    weightings: np.ndarray,
    memory: np.ndarray,
    slot_scale: np.ndarray,
    numbers: Numbers,
) -> None:
    """The memory after all erases, then all adds (eqs. 3 and 4), and the lengths of its slots."""
    word, slots = memory.shape
    writes = len(weightings) - numbers.reads
    for i in range(slots):
        slot_scale[i] = numbers.norm_epsilon
    for c in range(word):
        for i in range(slots):
            memory[c, i] = before[c, i]
        for head in range(writes):
            erase = said[numbers.erase + head * word + c]
            for i in range(slots):
                memory[c, i] *= numbers.one - weightings[numbers.reads + head, i] * erase
        for head in range(writes):
            add = said[numbers.add + head * word + c]
            for i in range(slots):
                memory[c, i] += weightings[numbers.reads + head, i] * add
        for i in range(slots):
            slot_scale[i] += memory[c, i] * memory[c, i]
    for i in range(slots):
        slot_scale[i] = numbers.one / math.sqrt(slot_scale[i])
