"""The DNC's scan with a hand-written derivative; `DNCCell.forward`, looped, is its reference.

Memory and link of all steps stay for the way back (L·B·N·(N + W) numbers, where autograd would keep several times
as many); without gradients two of each do. The memory is kept transposed, `[B, W, N]`.

Axes: L length, B batch, R read heads, N slots, W word, time leading.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from zoo.memory.content_scan import (
    by_step,
    content_backward,
    key_rows,
    keys_backward,
    scale_keys,
    slot_pulls,
    slot_scales,
    softmax_backward,
)
from zoo.memory.controller_scan import ControllerScan, LayerTape


class Layout(NamedTuple):
    """What the scan must know beside its tensors."""

    reads: int
    slots: int
    word: int
    recurrent: bool
    least_strength: float
    clip: float | None
    detach_usage: bool
    norm_epsilon: float
    usage_epsilon: float

    def cuts(self) -> list[int]:
        """Where the interface's parts begin: keys, write vector, strengths, gates (free, allocation, write),
        erase, modes; the end."""
        cuts = [0]
        for width in ((self.reads + 1) * self.word, self.word, self.reads + 1, self.reads + 2, self.word):
            cuts.append(cuts[-1] + width)
        return [*cuts, cuts[-1] + 3 * self.reads]


class Parts(NamedTuple):
    """Views of one step's interface (or of its gradient), shaped to broadcast."""

    keys: Tensor
    """`[B, R + 1, W]`, the write key last."""
    write_vector: Tensor
    """`[B, W, 1]`."""
    vector_row: Tensor
    """The same, `[B, 1, W]`."""
    strengths: Tensor
    """`[B, R + 1, 1]`."""
    free_gates: Tensor
    """`[B, R, 1]`."""
    allocation_gate: Tensor
    """`[B, 1]`."""
    write_gate: Tensor
    """`[B, 1]`."""
    both_gates: Tensor
    """These two, `[B, 2, 1]`."""
    erase: Tensor
    """`[B, W, 1]`."""
    erase_row: Tensor
    """The same, `[B, 1, W]`."""
    modes: Tensor
    """`[3, B, R]`: backward, content, forward."""
    mode_columns: Tensor
    """The same, `[3, B, R, 1]`."""


class Tape(NamedTuple):
    """What the way back needs of every step."""

    raw: Tensor
    """Interface before clip and activation, `[L, B, I]`."""
    said: Tensor
    """Interface after activation."""
    retained: Tensor
    """What each free gate leaves, `[L, B, R, N]`."""
    retention: Tensor
    """Their product, `[L, B, N]`."""
    written: Tensor
    """Usage before retention."""
    order: Tensor
    ordered: Tensor
    """Usage, lifted and sorted."""
    used_before: Tensor
    allocation: Tensor
    write_scores: Tensor
    lookup: Tensor
    """Content weighting of the write key."""
    chosen: Tensor
    """Between lookup and allocation."""
    writing: Tensor
    """Write weightings, zero at masked tokens."""
    read_scores: Tensor
    options: Tensor
    """Backward, content and forward weightings, `[L, 3, B, R, N]`."""
    reading: Tensor
    """New read weightings."""
    features: Tensor
    """[controller, reads], `[L, B, C + R W]`."""
    memory: Tensor
    """`[L + 1, B, W, N]`; this and the rest are states, the first before the first token."""
    slot_scale: Tensor
    link: Tensor
    usage: Tensor
    precedence: Tensor
    write_weighting: Tensor
    read_weightings: Tensor


STATES = 7
"""Fields of the tape that are states."""


def parts_by_step(interface: Tensor, layout: Layout) -> list[Parts]:
    """Views of `[L, B, I]`."""
    keys, vector, strengths, gates, erase, modes = (
        interface[..., start:end] for start, end in pairwise(layout.cuts())
    )
    reads = layout.reads
    modes = modes.unflatten(-1, (reads, 3)).movedim(-1, 1)
    columns = (
        *(keys.unflatten(-1, (reads + 1, layout.word)), vector[..., None], vector[:, :, None], strengths[..., None]),
        *(gates[..., :reads, None], gates[..., reads : reads + 1], gates[..., reads + 1 :], gates[..., reads:, None]),
        *(erase[..., None], erase[:, :, None], modes, modes[..., None]),
    )
    return [Parts(*row) for row in by_step(*columns)]


def slopes(tape: Tape, layout: Layout) -> Tensor:
    """Derivatives of clip and activations, all steps at once; of the modes only the clip's.

    Those of free gates and erase have the sign that the way back leaves out.
    """
    cuts, said = layout.cuts(), tape.said
    slope = torch.ones_like(said)
    slope[..., cuts[2] : cuts[3]] = -torch.expm1(layout.least_strength - said[..., cuts[2] : cuts[3]])
    gates = said[..., cuts[3] : cuts[5]]
    slope[..., cuts[3] : cuts[5]] = gates * (1 - gates)
    slope[..., cuts[3] : cuts[3] + layout.reads].neg_()
    slope[..., cuts[4] : cuts[5]].neg_()
    if layout.clip is not None:
        slope.masked_fill_(tape.raw.abs() > layout.clip, 0.0)
    return slope


class DNCScan(torch.autograd.Function):
    """All steps of a DNC, without its output layer."""

    @staticmethod
    def forward(
        ctx: Any,
        layout: Layout,
        keep: bool,
        mask: Tensor | None,
        xs: Tensor,
        memory: Tensor,
        usage: Tensor,
        precedence: Tensor,
        link: Tensor,
        write_weighting: Tensor,
        read_weightings: Tensor,
        reads: Tensor,
        hidden: Tensor,
        cells: Tensor,
        interface_weight: Tensor,
        interface_bias: Tensor,
        *layers: Tensor,
    ) -> tuple[Tensor, ...]:
        """Features `[B, L, C + R W]`, then the state after the last token, in the order of the arguments."""
        valid = None if mask is None else mask.t()[:, :, None].contiguous()
        controller = ControllerScan(
            xs.transpose(0, 1).contiguous(),
            layers,
            recurrent=layout.recurrent,
            skip=True,
            reads_width=layout.reads * layout.word,
            valid=valid,
        )
        controller.start(hidden, cells)
        tape = _allocate(controller, layout, keep, *interface_weight.shape)
        tape.memory[0] = memory.transpose(1, 2)
        slot_scales(tape.memory[0], layout.norm_epsilon, out=tape.slot_scale[0])
        tape.link[0], tape.usage[0], tape.precedence[0] = link, usage, precedence
        tape.write_weighting[0], tape.read_weightings[0] = write_weighting, read_weightings
        reads = reads.flatten(1)
        access = _Access(layout, tape, valid)
        to_interface = interface_weight.t()
        for step, (raw, feature) in enumerate(zip(tape.raw, tape.features, strict=True)):
            output = controller.forward(step, reads)
            torch.addmm(interface_bias, output, to_interface, out=raw)
            fresh = access.step(step)
            torch.cat([output, fresh], 1, out=feature)
            reads = fresh if valid is None else torch.where(valid[step], fresh, reads)
        if keep:
            ctx.layout, ctx.layers = layout, len(layers)
            layer_tapes = (column for layer in controller.layers for column in layer)
            ctx.save_for_backward(mask, controller.xs, interface_weight, *layers, *tape, *layer_tapes)
        last = xs.shape[1] if keep else xs.shape[1] % 2
        return (
            tape.features.transpose(0, 1).clone(memory_format=torch.contiguous_format),
            tape.memory[last].transpose(1, 2).contiguous(),
            tape.usage[-1].clone(),
            tape.precedence[-1].clone(),
            tape.link[last].clone(),
            tape.write_weighting[-1].clone(),
            tape.read_weightings[-1].clone(),
            reads.unflatten(1, (layout.reads, layout.word)).clone(),
            *controller.final(),
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of what `forward` took."""
        layout: Layout = ctx.layout
        d_features, *d_states, d_reads, d_hidden, d_cells = gradients
        mask, xs, interface_weight, *rest = ctx.saved_tensors
        layers, rest = rest[: ctx.layers], rest[ctx.layers :]
        tape, rest = Tape(*rest[: len(Tape._fields)]), rest[len(Tape._fields) :]
        valid = None if mask is None else mask.t()[:, :, None].contiguous()
        controller = ControllerScan(
            xs, layers, recurrent=layout.recurrent, skip=True, reads_width=layout.reads * layout.word, valid=valid
        )
        width = len(LayerTape._fields)
        controller.layers = [LayerTape(*rest[i : i + width]) for i in range(0, len(rest), width)]
        controller.turn(d_hidden, d_cells)
        way_back = _WayBack(layout, tape, valid, d_states)
        outputs = tape.features.shape[2] - layout.reads * layout.word
        d_outputs, d_fresh = d_features[..., :outputs].unbind(1), d_features[..., outputs:].unbind(1)
        d_reads = d_reads.flatten(1)
        for step in reversed(range(xs.shape[0])):
            d_skipped = None
            if valid is not None:
                d_skipped, d_reads = d_reads.masked_fill(valid[step], 0.0), torch.where(valid[step], d_reads, 0.0)
            d_raw = way_back.step(step, d_reads + d_fresh[step])
            d_output = torch.addmm(d_outputs[step], d_raw, interface_weight)
            d_reads = controller.backward(step, d_output)
            if d_skipped is not None:
                d_reads = d_reads + d_skipped
        d_xs, d_hidden, d_cells, d_layers = controller.finish()
        d_raw = way_back.d_raw.flatten(0, 1)
        d_interface = d_raw.t() @ tape.features[..., :outputs].flatten(0, 1)
        return (
            *(None, None, None, d_xs.transpose(0, 1), way_back.memory.transpose(1, 2), way_back.usage),
            *(way_back.precedence, way_back.link, way_back.write_weighting, way_back.read_weightings),
            d_reads.unflatten(1, (layout.reads, layout.word)),
            *(d_hidden, d_cells, d_interface, d_raw.sum(0), *d_layers),
        )


def _allocate(controller: ControllerScan, layout: Layout, keep: bool, interface: int, outputs: int) -> Tape:
    """Room for every step."""
    length, batch, _ = controller.xs.shape
    new = controller.xs.new_empty
    reads, slots, word = layout.reads, layout.slots, layout.word
    per_slot, per_head = (length, batch, slots), (length, batch, reads, slots)
    kept = length + 1 if keep else 2
    # Where nothing is masked, what a step computes is the next state.
    writing, reading = new(length + 1, batch, slots), new(length + 1, batch, reads, slots)
    return Tape(
        raw=new(length, batch, interface),
        said=new(length, batch, interface),
        retained=new(per_head),
        retention=new(per_slot),
        written=new(per_slot),
        order=new(per_slot, dtype=torch.long),
        ordered=new(per_slot),
        used_before=new(per_slot),
        allocation=new(per_slot),
        write_scores=new(length, batch, 1, slots),
        lookup=new(length, batch, 1, slots),
        chosen=new(per_slot),
        writing=writing[1:] if controller.valid is None else new(per_slot),
        read_scores=new(per_head),
        options=new(length, 3, batch, reads, slots),
        reading=reading[1:] if controller.valid is None else new(per_head),
        features=new(length, batch, outputs + reads * word),
        memory=new(kept, batch, word, slots),
        slot_scale=new(length + 1, batch, 1, slots),
        link=new(kept, batch, slots, slots),
        usage=new(length + 1, batch, slots),
        precedence=new(length + 1, batch, slots),
        write_weighting=writing,
        read_weightings=reading,
    )


class _Access:
    """The memory, step by step."""

    def __init__(self, layout: Layout, tape: Tape, valid: Tensor | None) -> None:
        """Make the views of every step."""
        self.layout, self.valid = layout, valid
        self.rows = [Tape(*row, *tape[-STATES:]) for row in by_step(*tape[:-STATES])]
        self.states = Tape(*tape[:-STATES], *(state.unbind(0) for state in tape[-STATES:]))
        self.transposed = [state.transpose(2, 3).unbind(0) for state in (tape.memory, tape.link)]
        self.diagonals = tape.link.diagonal(dim1=2, dim2=3).unbind(0)
        self.written = by_step(tape.writing[:, :, None], tape.writing[..., None])
        self.precedence_rows = tape.precedence[:, :, None].unbind(0)
        self.lookups = tape.lookup[:, :, 0].unbind(0)
        self.options = [tape.options[:, kind].unbind(0) for kind in range(3)]
        tape.used_before[..., 0] = 1
        self.sorted = by_step(tape.ordered[..., :-1], tape.used_before[..., 1:])
        self.said = parts_by_step(tape.said, layout)
        cuts = layout.cuts()
        self.strengths = tape.said[..., cuts[2] : cuts[3]].unbind(0)
        self.gates = tape.said[..., cuts[3] : cuts[5]].unbind(0)
        self.one = tape.said.new_ones(())
        self.epsilon = tape.said.new_full((), layout.usage_epsilon)

    def step(self, step: int) -> Tensor:
        """Write, link, read. Returns the reads, `[B, R W]`."""
        row, said = self.rows[step], self.said[step]
        self._activate(step, row)
        scaled = scale_keys(said.keys, said.strengths, self.layout.norm_epsilon)
        read_keys, write_key = scaled.split((self.layout.reads, 1), 1)
        self._choose_slots(step, row, said, write_key)
        after = self._write(step, row, said)
        return self._read(step, row, said, read_keys, after)

    def _activate(self, step: int, row: Tape) -> None:
        """Clip and activations of the interface."""
        clip = self.layout.clip
        if clip is None:
            row.said.copy_(row.raw)
        else:
            torch.clamp(row.raw, -clip, clip, out=row.said)
        strengths, modes = self.strengths[step], self.said[step].modes
        torch.add(F.softplus(strengths), self.layout.least_strength, out=strengths)
        self.gates[step].sigmoid_()
        modes.copy_(modes.softmax(0))

    def _choose_slots(self, step: int, row: Tape, said: Parts, write_key: Tensor) -> None:
        """Usage, allocation, lookup, and the write weighting of them."""
        states, epsilon = self.states, self.layout.usage_epsilon
        usage, after, previous = states.usage[step], states.usage[step + 1], states.write_weighting[step]
        torch.addcmul(self.one, said.free_gates, states.read_weightings[step], value=-1, out=row.retained)
        torch.prod(row.retained, 1, out=row.retention)
        torch.lerp(usage, self.one, previous, out=row.written)
        fresh = torch.mul(row.written, row.retention, out=after)
        lifted = torch.add(self.epsilon, fresh, alpha=1 - epsilon)
        torch.sort(lifted, dim=1, stable=True, out=(row.ordered, row.order))
        ordered, used_before = self.sorted[step]
        torch.cumprod(ordered, 1, out=used_before)
        row.allocation.scatter_(1, row.order, torch.addcmul(row.used_before, row.used_before, row.ordered, value=-1))
        memory = states.memory[step % len(states.memory)]
        torch.bmm(write_key, memory, out=row.write_scores).mul_(states.slot_scale[step])
        torch.softmax(row.write_scores, 2, out=row.lookup)
        torch.lerp(self.lookups[step], row.allocation, said.allocation_gate, out=row.chosen)
        torch.mul(row.chosen, said.write_gate, out=row.writing)
        if self.valid is not None:
            valid = self.valid[step]
            torch.where(valid, row.writing, previous, out=states.write_weighting[step + 1])
            torch.where(valid, fresh, usage, out=after)
            # A weighting of zeros leaves memory, links and precedence as they are.
            row.writing.mul_(valid)

    def _write(self, step: int, row: Tape, said: Parts) -> int:
        """Memory, link and precedence after the write; returns where the first two now are."""
        states = self.states
        count = len(states.memory)
        now, after = step % count, (step + 1) % count
        memory, link, precedence = states.memory[now], states.link[now], states.precedence[step]
        across, down = self.written[step]
        change = torch.addcmul(said.write_vector, memory, said.erase, value=-1)
        torch.addcmul(memory, change, across, out=states.memory[after])
        slot_scales(states.memory[after], self.layout.norm_epsilon, out=states.slot_scale[step + 1])
        # (1 - w_i - w_j) L + w_i p_j, as L + w_i (p_j - L) - w_j L.
        change = torch.sub(self.precedence_rows[step], link)
        torch.addcmul(link, change, down, out=states.link[after]).addcmul_(link, across, value=-1)
        _clear_diagonal(self.diagonals[after], self.valid, step)
        total = row.writing.sum(1, keepdim=True)
        torch.addcmul(precedence + row.writing, precedence, total, value=-1, out=states.precedence[step + 1])
        return after

    def _read(self, step: int, row: Tape, said: Parts, read_keys: Tensor, after: int) -> Tensor:
        """Backward, by content, forward; and the reads."""
        states = self.states
        previous = states.read_weightings[step]
        backward, content, forward = (options[step] for options in self.options)
        memory_transposed, link_transposed = (transposed[after] for transposed in self.transposed)
        torch.bmm(previous, states.link[after], out=backward)
        torch.bmm(previous, link_transposed, out=forward)
        torch.bmm(read_keys, states.memory[after], out=row.read_scores).mul_(states.slot_scale[step + 1])
        torch.softmax(row.read_scores, 2, out=content)
        torch.sum(row.options * said.mode_columns, 0, out=row.reading)
        if self.valid is not None:
            torch.where(self.valid[step, :, :, None], row.reading, previous, out=states.read_weightings[step + 1])
        return torch.bmm(row.reading, memory_transposed).flatten(1)


class _Row(NamedTuple):
    """What one step back reads; N slots, R reads."""

    slope: Tensor
    memory: Tensor
    memory_transposed: Tensor
    slot_scale: Tensor
    after: Tensor
    """The memory after the step, and the link likewise."""
    after_transposed: Tensor
    after_scale: Tensor
    link: Tensor
    link_after: Tensor
    link_after_transposed: Tensor
    options: Tensor
    content: Tensor
    read_pulls: Tensor
    reading: Tensor
    previous: Tensor
    """Read weightings of the step before."""
    previous_transposed: Tensor
    lookup: Tensor
    lookup_pulls: Tensor
    writing: Tensor
    """`[B, 1, N]`."""
    unwritten: Tensor
    """One minus it, `[B, N, 1]`."""
    precedence: Tensor
    """`[B, 1, N]`."""
    remaining: Tensor
    """How much of the precedence stays, `[B, 1, 1]`."""
    gate_changes: Tensor
    """What allocation gate and write gate move, `[B, 2, N]`."""
    gate_scales: Tensor
    to_allocation: Tensor
    to_lookup: Tensor
    to_usage: Tensor
    """Derivative of the usage by that of the step before."""
    to_written: Tensor
    """By the write weighting of the step before."""
    to_free: Tensor
    """Minus that by the free gates, `[B, R, N]`."""
    to_previous: Tensor
    """Minus that by the read weightings of the step before."""
    order: Tensor
    places: Tensor
    """The inverse of the order."""
    used_before: Tensor
    to_products: Tensor
    """Of the allocation by each slot's product of usages, times that product."""
    inverse_usage: Tensor


def _rows(layout: Layout, tape: Tape) -> list[_Row]:
    """Everything that no step back must wait for, for all steps at once."""
    cuts, reads = layout.cuts(), layout.reads
    gates = tape.said[..., cuts[3] : cuts[4]]
    free, allocating, writing = gates[..., :reads, None], gates[..., reads, None], gates[..., reads + 1, None]
    previous, lookup = tape.read_weightings[:-1], tape.lookup[:, :, 0]
    # The product of what all other free gates leave, times the usage that they act on.
    others = tape.written[:, :, None].expand_as(tape.retained).clone()
    for head in range(reads):
        for other in range(reads):
            if other != head:
                others[:, :, head].mul_(tape.retained[:, :, other])
    gate_changes = torch.stack([tape.allocation - lookup, tape.chosen], 2)
    slots = torch.arange(layout.slots, device=tape.order.device).expand_as(tape.order)
    return [
        _Row(*row)
        for row in by_step(
            slopes(tape, layout),
            *(tape.memory[:-1], tape.memory[:-1].transpose(2, 3), tape.slot_scale[:-1]),
            *(tape.memory[1:], tape.memory[1:].transpose(2, 3), tape.slot_scale[1:]),
            *(tape.link[:-1], tape.link[1:], tape.link[1:].transpose(2, 3)),
            *(tape.options, tape.options[:, 1], slot_pulls(tape.read_scores, tape.slot_scale[1:])),
            *(tape.reading, previous, previous.transpose(2, 3)),
            *(tape.lookup, slot_pulls(tape.write_scores, tape.slot_scale[:-1])),
            *(tape.writing[:, :, None], 1 - tape.writing[..., None], tape.precedence[:-1, :, None]),
            1 - tape.writing.sum(2)[:, :, None, None],
            *(gate_changes, torch.stack([writing, torch.ones_like(writing)], 2)),
            *(writing * allocating, (writing * (1 - allocating))[:, :, None]),
            tape.retention * (1 - tape.write_weighting[:-1]),
            tape.retention * (1 - tape.usage[:-1]),
            *(others * previous, others * free),
            *(tape.order, torch.empty_like(tape.order).scatter_(2, tape.order, slots)),
            *(tape.used_before, tape.used_before * (1 - tape.ordered), 1 / tape.ordered),
        )
    ]


class _WayBack:
    """The memory's derivatives, step by step from the last; the states' gradients under the states' names."""

    def __init__(self, layout: Layout, tape: Tape, valid: Tensor | None, d_states: list[Tensor]) -> None:
        """Prepare what all steps share; `d_states` are the gradients of the final state."""
        self.layout, self.valid = layout, valid
        d_memory, self.usage, self.precedence, d_link, self.write_weighting, self.read_weightings = d_states
        # Changed in place, so not the caller's.
        self.memory = d_memory.transpose(1, 2).clone(memory_format=torch.contiguous_format)
        self.link = d_link.clone(memory_format=torch.contiguous_format)
        self.link_transposed = self.link.transpose(1, 2)
        self.diagonal = self.link.diagonal(dim1=1, dim2=2)
        self.scratch = torch.empty_like(self.link)
        self.rows = _rows(layout, tape)
        self.d_raw = torch.empty_like(tape.raw)
        self.said, self.d_said = parts_by_step(tape.said, layout), parts_by_step(self.d_raw, layout)
        cuts = layout.cuts()
        keys = tape.said[..., : cuts[1]].unflatten(-1, (layout.reads + 1, layout.word))
        self.keys = key_rows(keys, tape.said[..., cuts[2] : cuts[3], None], layout.norm_epsilon)
        # Sums over all later places, as a product.
        self.later = tape.said.new_ones(layout.slots, layout.slots).tril_(-1)

    def step(self, step: int, d_reads: Tensor) -> Tensor:
        """Gradient of the interface before activation, `[B, I]`, from that of the reads."""
        layout, row, keys = self.layout, self.rows[step], self.keys[step]
        said, d_said = self.said[step], self.d_said[step]
        read_keys, write_key = keys.scaled.split((layout.reads, 1), 1)
        d_reads = d_reads.unflatten(1, (layout.reads, layout.word))
        d_read_keys = self._read(step, row, said, d_said, d_reads, read_keys)
        _clear_diagonal(self.diagonal, self.valid, step)
        d_writing = self._write(row, said, d_said, self._link(row))
        d_write_key = self._choose_slots(step, row, d_said, d_writing, write_key)
        keys_backward(torch.cat([d_read_keys, d_write_key], 1), keys, d_said.keys, d_said.strengths)
        return self.d_raw[step].mul_(row.slope)

    def _read(
        self, step: int, row: _Row, said: Parts, d_said: Parts, d_reads: Tensor, read_keys: Tensor
    ) -> Tensor:
        """Through reads and read modes, to link and memory; returns the gradient of the scaled read keys."""
        d_reading = self.read_weightings
        d_skipped = None
        if self.valid is not None:
            valid = self.valid[step, :, :, None]
            d_skipped, d_reading = d_reading.masked_fill(valid, 0.0), torch.where(valid, d_reading, 0.0)
        d_reading = torch.baddbmm(d_reading, d_reads, row.after)
        self.memory.baddbmm_(d_reads.transpose(1, 2), row.reading)
        d_said.modes.copy_(softmax_backward((row.options * d_reading).sum(3), said.modes, 0))
        d_backward, d_content, d_forward = (said.mode_columns * d_reading).unbind(0)
        self.link.baddbmm_(d_forward.transpose(1, 2), row.previous).baddbmm_(row.previous_transposed, d_backward)
        d_previous = torch.bmm(d_forward, row.link_after).baddbmm_(d_backward, row.link_after_transposed)
        self.read_weightings = d_previous if d_skipped is None else d_previous.add_(d_skipped)
        return content_backward(
            d_content,
            self.memory,
            content=row.content,
            pulls=row.read_pulls,
            scaled=read_keys,
            memory=row.after,
            memory_transposed=row.after_transposed,
            slot_scale=row.after_scale,
        )

    def _link(self, row: _Row) -> Tensor:
        """Through link and precedence; returns the gradient of the write weighting, `[B, 1, N]`."""
        d_link, d_precedence = self.link, self.precedence[:, None]
        kept = torch.mul(d_link, row.link, out=self.scratch)
        d_writing = torch.baddbmm(d_precedence, row.precedence, self.link_transposed)
        d_writing -= kept.sum(2)[:, None]
        d_writing -= kept.sum(1, keepdim=True)
        d_writing -= (d_precedence * row.precedence).sum(2, keepdim=True)
        self.precedence = torch.bmm(row.writing, d_link).addcmul_(d_precedence, row.remaining)[:, 0]
        d_link.mul_(torch.sub(row.unwritten, row.writing, out=self.scratch))
        return d_writing

    def _write(self, row: _Row, said: Parts, d_said: Parts, d_writing: Tensor) -> Tensor:
        """Through the memory's change, whose gradient becomes that before it; adds to that of the write weighting."""
        d_memory, writing = self.memory, row.writing
        touched = d_memory * row.memory
        d_said.vector_row.copy_(torch.bmm(writing, d_memory.transpose(1, 2)))
        d_said.erase_row.copy_(torch.bmm(writing, touched.transpose(1, 2)))
        d_writing.baddbmm_(said.vector_row, d_memory).baddbmm_(said.erase_row, touched, alpha=-1)
        d_memory.addcmul_(torch.mul(d_memory, said.erase, out=touched), writing, value=-1)
        return d_writing[:, 0]

    def _choose_slots(self, step: int, row: _Row, d_said: Parts, d_writing: Tensor, write_key: Tensor) -> Tensor:
        """Through gates, lookup, allocation and usage; returns the gradient of the scaled write key."""
        d_skipped, d_usage = None, self.usage
        d_writing = d_writing + self.write_weighting
        if self.valid is not None:
            valid = self.valid[step]
            d_skipped = self.write_weighting.masked_fill(valid, 0.0), d_usage.masked_fill(valid, 0.0)
            d_writing, d_usage = torch.where(valid, d_writing, 0.0), torch.where(valid, d_usage, 0.0)
        torch.mul(torch.bmm(row.gate_changes, d_writing[:, :, None]), row.gate_scales, out=d_said.both_gates)
        d_key = content_backward(
            d_writing[:, None] * row.to_lookup,
            self.memory,
            content=row.lookup,
            pulls=row.lookup_pulls,
            scaled=write_key,
            memory=row.memory,
            memory_transposed=row.memory_transposed,
            slot_scale=row.slot_scale,
        )
        # No gradient through the order. The product of smaller usages, by one of them, is itself over that one.
        d_sorted = (d_writing * row.to_allocation).gather(1, row.order)
        d_ordered = torch.mm(d_sorted * row.to_products, self.later).mul_(row.inverse_usage)
        d_ordered.addcmul_(d_sorted, row.used_before, value=-1)
        d_usage = torch.add(d_usage, d_ordered.gather(1, row.places), alpha=1 - self.layout.usage_epsilon)
        d_said.free_gates.copy_(torch.bmm(row.to_free, d_usage[:, :, None]))
        self.read_weightings = torch.addcmul(self.read_weightings, row.to_previous, d_usage[:, None], value=-1)
        self.usage = d_usage * row.to_usage
        detach = self.layout.detach_usage
        self.write_weighting = torch.zeros_like(d_usage) if detach else d_usage * row.to_written
        if d_skipped is not None:
            self.write_weighting = self.write_weighting + d_skipped[0]
            self.usage = self.usage + d_skipped[1]
        return d_key


def _clear_diagonal(diagonal: Tensor, valid: Tensor | None, step: int) -> None:
    """No slot is linked to itself; masked tokens leave even that as it was."""
    if valid is None:
        diagonal.zero_()
    else:
        diagonal.masked_fill_(valid[step], 0.0)
