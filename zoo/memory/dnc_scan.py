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
    strengths: Tensor
    """`[B, R + 1]`."""
    free_gates: Tensor
    """`[B, R, 1]`."""
    allocation_gate: Tensor
    """`[B, 1]`."""
    write_gate: Tensor
    """`[B, 1]`."""
    erase: Tensor
    """`[B, W, 1]`."""
    modes: Tensor
    """`[B, R, 3]`: backward, content, forward."""
    modes_first: Tensor
    """`[3, B, R, 1]`."""


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
    modes = modes.unflatten(-1, (reads, 3))
    columns = (
        *(keys.unflatten(-1, (reads + 1, layout.word)), vector[..., None], strengths, gates[..., :reads, None]),
        *(gates[..., reads : reads + 1], gates[..., reads + 1 :], erase[..., None]),
        *(modes, modes.movedim(-1, 1)[..., None]),
    )
    return [Parts(*row) for row in by_step(*columns)]


def slopes(tape: Tape, layout: Layout) -> Tensor:
    """Derivatives of clip and activations, all steps at once; of the modes only the clip's."""
    cuts, said = layout.cuts(), tape.said
    slope = torch.ones_like(said)
    slope[..., cuts[2] : cuts[3]] = -torch.expm1(layout.least_strength - said[..., cuts[2] : cuts[3]])
    gates = said[..., cuts[3] : cuts[5]]
    slope[..., cuts[3] : cuts[5]] = gates * (1 - gates)
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
        self.said = parts_by_step(tape.said, layout)
        cuts = layout.cuts()
        self.strengths = tape.said[..., cuts[2] : cuts[3]].unbind(0)
        self.gates = tape.said[..., cuts[3] : cuts[5]].unbind(0)
        self.one = tape.said.new_ones(())

    def step(self, step: int) -> Tensor:
        """Write, link, read. Returns the reads, `[B, R W]`."""
        row, said = self.rows[step], self.said[step]
        self._activate(step, row)
        scaled = scale_keys(said.keys, said.strengths, self.layout.norm_epsilon)
        self._choose_slots(step, row, said, scaled)
        after = self._write(step, row, said)
        return self._read(step, row, said, scaled, after)

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
        modes.copy_(modes.softmax(2))

    def _choose_slots(self, step: int, row: Tape, said: Parts, scaled: Tensor) -> None:
        """Usage, allocation, lookup, and the write weighting of them."""
        states, epsilon = self.states, self.layout.usage_epsilon
        usage, after, previous = states.usage[step], states.usage[step + 1], states.write_weighting[step]
        torch.addcmul(self.one, said.free_gates, states.read_weightings[step], value=-1, out=row.retained)
        torch.prod(row.retained, 1, out=row.retention)
        torch.lerp(usage, self.one, previous, out=row.written)
        fresh = torch.mul(row.written, row.retention, out=after)
        torch.sort(fresh * (1 - epsilon) + epsilon, dim=1, stable=True, out=(row.ordered, row.order))
        row.used_before[:, 0] = 1
        torch.cumprod(row.ordered[:, :-1], 1, out=row.used_before[:, 1:])
        row.allocation.scatter_(1, row.order, torch.addcmul(row.used_before, row.used_before, row.ordered, value=-1))
        memory = states.memory[step % len(states.memory)]
        torch.bmm(scaled[:, -1:], memory, out=row.write_scores).mul_(states.slot_scale[step])
        torch.softmax(row.write_scores, 2, out=row.lookup)
        torch.lerp(row.lookup[:, 0], row.allocation, said.allocation_gate, out=row.chosen)
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
        memory, writing, precedence = states.memory[now], row.writing, states.precedence[step]
        change = torch.addcmul(said.write_vector, memory, said.erase, value=-1)
        torch.addcmul(memory, change, writing[:, None], out=states.memory[after])
        slot_scales(states.memory[after], self.layout.norm_epsilon, out=states.slot_scale[step + 1])
        link = torch.sub((1 - writing)[:, :, None], writing[:, None], out=states.link[after])
        link.mul_(states.link[now]).addcmul_(writing[:, :, None], precedence[:, None])
        _clear_diagonal(link, self.valid, step)
        total = writing.sum(1, keepdim=True)
        torch.addcmul(precedence + writing, precedence, total, value=-1, out=states.precedence[step + 1])
        return after

    def _read(self, step: int, row: Tape, said: Parts, scaled: Tensor, after: int) -> Tensor:
        """Backward, by content, forward; and the reads."""
        states, reads = self.states, self.layout.reads
        memory, link, previous = states.memory[after], states.link[after], states.read_weightings[step]
        backward, content, forward = row.options.unbind(0)
        torch.bmm(previous, link, out=backward)
        torch.bmm(previous, link.transpose(1, 2), out=forward)
        torch.bmm(scaled[:, :reads], memory, out=row.read_scores).mul_(states.slot_scale[step + 1])
        torch.softmax(row.read_scores, 2, out=content)
        torch.sum(row.options * said.modes_first, 0, out=row.reading)
        if self.valid is not None:
            torch.where(self.valid[step, :, :, None], row.reading, previous, out=states.read_weightings[step + 1])
        return torch.bmm(row.reading, memory.transpose(1, 2)).flatten(1)


class _WayBack:
    """The memory's derivatives, step by step from the last; the states' gradients under the states' names."""

    def __init__(self, layout: Layout, tape: Tape, valid: Tensor | None, d_states: list[Tensor]) -> None:
        """Prepare what all steps share; `d_states` are the gradients of the final state."""
        self.layout, self.valid = layout, valid
        d_memory, self.usage, self.precedence, d_link, self.write_weighting, self.read_weightings = d_states
        # Changed in place, so not the caller's.
        self.memory = d_memory.transpose(1, 2).clone(memory_format=torch.contiguous_format)
        self.link = d_link.clone(memory_format=torch.contiguous_format)
        self.rows = [
            Tape(*row, *states) for row, states in zip(by_step(*tape[:-STATES]), by_step(*tape[-STATES:]), strict=False)
        ]
        self.after = [Tape(*([tape.raw] * (len(tape) - STATES)), *states) for states in by_step(*tape[-STATES:])[1:]]
        self.d_raw = torch.empty_like(tape.raw)
        self.said, self.d_said = parts_by_step(tape.said, layout), parts_by_step(self.d_raw, layout)
        cuts, reads = layout.cuts(), layout.reads
        keys = tape.said[..., : cuts[1]].unflatten(-1, (reads + 1, layout.word))
        self.keys = key_rows(keys, tape.said[..., cuts[2] : cuts[3]], layout.norm_epsilon)
        self.slopes = slopes(tape, layout).unbind(0)
        # The product of what all other free gates leave.
        others = torch.ones_like(tape.retained)
        for head in range(reads):
            for other in range(reads):
                if other != head:
                    others[:, :, head].mul_(tape.retained[:, :, other])
        self.others = others.unbind(0)

    def step(self, step: int, d_reads: Tensor) -> Tensor:
        """Gradient of the interface before activation, `[B, I]`, from that of the reads."""
        layout, row, after, keys = self.layout, self.rows[step], self.after[step], self.keys[step]
        said, d_said = self.said[step], self.d_said[step]
        d_read_key = self._read(step, row, after, said, d_said, d_reads.unflatten(1, (layout.reads, layout.word)))
        _clear_diagonal(self.link, self.valid, step)
        d_writing = self._link(row)
        d_writing += self._write(row, said, d_said)
        d_write_key = self._choose_slots(step, row, said, d_said, d_writing)
        keys_backward(torch.cat([d_read_key, d_write_key], 1), keys, d_said.keys, d_said.strengths)
        return self.d_raw[step].mul_(self.slopes[step])

    def _read(self, step: int, row: Tape, after: Tape, said: Parts, d_said: Parts, d_reads: Tensor) -> Tensor:
        """Through reads and read modes, to link and memory; returns the gradient of the scaled read keys."""
        d_reading = self.read_weightings
        d_skipped = None
        if self.valid is not None:
            valid = self.valid[step, :, :, None]
            d_skipped, d_reading = d_reading.masked_fill(valid, 0.0), torch.where(valid, d_reading, 0.0)
        d_reading = torch.baddbmm(d_reading, d_reads, after.memory)
        self.memory.baddbmm_(d_reads.transpose(1, 2), row.reading)
        torch.sum(row.options * d_reading, 3, out=(d_modes := torch.empty_like(said.modes_first[..., 0])))
        d_said.modes.copy_(softmax_backward(d_modes.movedim(0, 2), said.modes))
        d_backward, d_content, d_forward = (said.modes_first * d_reading).unbind(0)
        previous = row.read_weightings
        self.link.baddbmm_(d_forward.transpose(1, 2), previous).baddbmm_(previous.transpose(1, 2), d_backward)
        d_previous = torch.bmm(d_forward, after.link).baddbmm_(d_backward, after.link.transpose(1, 2))
        self.read_weightings = d_previous if d_skipped is None else d_previous.add_(d_skipped)
        return content_backward(
            d_content,
            self.memory,
            content=row.options[1],
            scores=row.read_scores,
            scaled=self.keys[step].scaled[:, :-1],
            memory=after.memory,
            slot_scale=after.slot_scale,
        )

    def _link(self, row: Tape) -> Tensor:
        """Through link and precedence; returns the gradient of the write weighting."""
        writing, precedence, d_link = row.writing, row.precedence, self.link
        kept = d_link * row.link
        d_writing = torch.bmm(precedence[:, None], d_link.transpose(1, 2))[:, 0]
        d_writing.sub_(kept.sum(2)).sub_(kept.sum(1))
        d_writing += self.precedence
        d_writing -= (self.precedence * precedence).sum(1, keepdim=True)
        d_before = torch.bmm(writing[:, None], d_link)[:, 0]
        self.precedence = d_before.addcmul_(self.precedence, 1 - writing.sum(1, keepdim=True))
        d_link.mul_(torch.sub((1 - writing)[:, :, None], writing[:, None], out=kept))
        return d_writing

    def _write(self, row: Tape, said: Parts, d_said: Parts) -> Tensor:
        """Through the memory's change, which becomes that before it; returns the gradient of the write weighting."""
        d_memory, writing = self.memory, row.writing[:, None]
        touched = d_memory * row.memory
        d_vector = torch.bmm(writing, d_memory.transpose(1, 2))
        d_said.write_vector.copy_(d_vector.transpose(1, 2))
        d_said.erase.copy_(torch.bmm(writing, touched.transpose(1, 2)).transpose(1, 2)).neg_()
        d_writing = torch.bmm(said.write_vector.transpose(1, 2), d_memory)
        d_writing.baddbmm_(said.erase.transpose(1, 2), touched, alpha=-1)
        d_memory.addcmul_(torch.mul(d_memory, said.erase, out=touched), writing, value=-1)
        return d_writing[:, 0]

    def _choose_slots(self, step: int, row: Tape, said: Parts, d_said: Parts, d_writing: Tensor) -> Tensor:
        """Through gates, lookup, allocation and usage; returns the gradient of the scaled write key."""
        d_skipped, d_usage = None, self.usage
        d_writing = d_writing + self.write_weighting
        if self.valid is not None:
            valid = self.valid[step]
            d_skipped = self.write_weighting.masked_fill(valid, 0.0), d_usage.masked_fill(valid, 0.0)
            d_writing, d_usage = torch.where(valid, d_writing, 0.0), torch.where(valid, d_usage, 0.0)
        torch.sum(d_writing * row.chosen, 1, keepdim=True, out=d_said.write_gate)
        d_chosen = d_writing * said.write_gate
        lookup = row.lookup[:, 0]
        torch.sum(d_chosen * (row.allocation - lookup), 1, keepdim=True, out=d_said.allocation_gate)
        d_allocation = d_chosen * said.allocation_gate
        d_key = content_backward(
            (d_chosen - d_allocation)[:, None],
            self.memory,
            content=row.lookup,
            scores=row.write_scores,
            scaled=self.keys[step].scaled[:, -1:],
            memory=row.memory,
            slot_scale=row.slot_scale,
        )
        d_usage = d_usage.add(_allocation_backward(row, d_allocation), alpha=1 - self.layout.usage_epsilon)
        d_written = d_usage * row.retention
        d_retained = self.others[step] * (d_usage * row.written)[:, None]
        torch.sum(d_retained * row.read_weightings, 2, keepdim=True, out=d_said.free_gates).neg_()
        self.read_weightings = torch.addcmul(self.read_weightings, d_retained, said.free_gates, value=-1)
        self.usage = torch.addcmul(d_written, d_written, row.write_weighting, value=-1)
        if self.layout.detach_usage:
            self.write_weighting = torch.zeros_like(d_written)
        else:
            self.write_weighting = torch.addcmul(d_written, d_written, row.usage, value=-1)
        if d_skipped is not None:
            self.write_weighting = self.write_weighting + d_skipped[0]
            self.usage = self.usage + d_skipped[1]
        return d_key


def _clear_diagonal(link: Tensor, valid: Tensor | None, step: int) -> None:
    """No slot is linked to itself; masked tokens leave even that as it was."""
    diagonal = link.diagonal(dim1=1, dim2=2)
    if valid is None:
        diagonal.zero_()
    else:
        diagonal.masked_fill_(valid[step], 0.0)


def _allocation_backward(row: Tape, d_allocation: Tensor) -> Tensor:
    """Gradient of the lifted usage; none through the order."""
    d_ordered = d_allocation.gather(1, row.order)
    free = d_ordered * row.used_before
    # used_before[j] is the product of ordered[i < j]: its derivative by one factor is itself over the factor.
    products = torch.addcmul(free, free, row.ordered, value=-1)
    later = products.sum(1, keepdim=True) - products.cumsum(1)
    return torch.empty_like(free).scatter_(1, row.order, later.div_(row.ordered).sub_(free))
