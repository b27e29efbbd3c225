"""The NTM's scan with a hand-written derivative; `NTMCell.forward`, looped, is its reference.

The memory is kept transposed, `[B, W, N]`, so that the slots are the fast axis of every product and sum. Its
values at all steps stay for the way back (L·B·W·N numbers, as autograd would keep several times over); without
gradients two do.

Axes: L length, B batch, H heads (read heads first), R reads, N slots, W word, K shift offsets, time leading.
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
    writes: int
    slots: int
    word: int
    offsets: int
    recurrent: bool
    squash_keys: bool
    clip: float | None
    norm_epsilon: float
    sharpen_epsilon: float

    @property
    def heads(self) -> int:
        return self.reads + self.writes

    def cuts(self) -> list[int]:
        """Where the parts of the interface begin: keys, adds, strengths, sharpness, gates, erases, shifts; the end."""
        heads, adds = self.heads, self.writes * self.word
        cuts = [0]
        for width in (heads * self.word, adds, heads, heads, heads, adds, heads * self.offsets):
            cuts.append(cuts[-1] + width)
        return cuts


class Parts(NamedTuple):
    """Views of one step's interface (or of its gradient), shaped to broadcast."""

    keys: Tensor
    """`[B, H, W]`."""
    add: Tensor
    """`[B, writes, W]`."""
    strengths: Tensor
    """`[B, H, 1]`."""
    sharpness: Tensor
    """`[B, H, 1]`, without its 1."""
    gates: Tensor
    """`[B, H, 1]`."""
    erase: list[Tensor]
    """`[B, W, 1]` for each write head."""
    shifts: Tensor
    """`[B, H, K]`."""
    offsets: list[Tensor]
    """`[B, H, 1]` for each offset."""


class Tape(NamedTuple):
    """What the way back needs of every step."""

    raw: Tensor
    """Interface before clip and activation, `[L, B, I]`."""
    said: Tensor
    """Interface after activation; sharpness without its 1."""
    slot_scale: Tensor
    """Inverse lengths of the slots, `[L, B, 1, N]`."""
    scores: Tensor
    content: Tensor
    padded: Tensor
    """Gated weightings with their ends repeated, `[L, B, H, K - 1 + N]`."""
    rotated: Tensor
    """Plus epsilon."""
    logs: Tensor
    fresh: Tensor
    """New weightings, before masked tokens took the old ones."""
    memory: Tensor
    """`[L + 1, B, W, N]`."""
    weightings: Tensor
    """`[L + 1, B, H, N]`."""
    features: Tensor
    """[controller, reads], `[L, B, C + R W]`."""


def parts_by_step(interface: Tensor, layout: Layout) -> list[Parts]:
    """Views of `[L, B, I]`, all made at once: making one costs as much as a small operator."""
    cuts = layout.cuts()
    keys, add, strengths, sharpness, gates, erase, shifts = (
        interface[..., start:end] for start, end in pairwise(cuts)
    )
    words = (-1, layout.word)
    erases = erase.unflatten(-1, words)[..., None].unbind(2)
    shifts = shifts.unflatten(-1, (-1, layout.offsets))
    columns = (
        *(keys.unflatten(-1, words), add.unflatten(-1, words), strengths[..., None], sharpness[..., None]),
        *(gates[..., None], *erases, shifts, *shifts[..., None].unbind(3)),
    )
    writes = len(erases)
    return [
        Parts(keys, add, strengths, sharpness, gates, list(more[:writes]), more[writes], list(more[writes + 1 :]))
        for keys, add, strengths, sharpness, gates, *more in by_step(*columns)
    ]


def slopes(tape: Tape, layout: Layout) -> Tensor:
    """Derivatives of clip and activations, all steps at once; of the shifts only the clip's."""
    cuts, said = layout.cuts(), tape.said
    slope = torch.ones_like(said)
    if layout.squash_keys:
        slope[..., : cuts[2]] -= said[..., : cuts[2]].square()
    slope[..., cuts[2] : cuts[4]] = -torch.expm1(-said[..., cuts[2] : cuts[4]])
    gates = said[..., cuts[4] : cuts[6]]
    slope[..., cuts[4] : cuts[6]] = gates * (1 - gates)
    if layout.clip is not None:
        slope.masked_fill_(tape.raw.abs() > layout.clip, 0.0)
    return slope


def pad_ends(weightings: Tensor, reach: int, out: Tensor) -> Tensor:
    """The last `reach` slots, all slots, the first `reach`."""
    if reach == 0:
        return out.copy_(weightings)
    return torch.cat((weightings[..., -reach:], weightings, weightings[..., :reach]), -1, out=out)


def windows(padded: Tensor, layout: Layout) -> list[tuple[Tensor, ...]]:
    """For each step, `[B, H, N]` from each place of padded weightings on."""
    return by_step(*(padded[..., start : start + layout.slots] for start in range(layout.offsets)))


class NTMScan(torch.autograd.Function):
    """All steps of an NTM, without its output layer."""

    @staticmethod
    def forward(
        ctx: Any,
        layout: Layout,
        keep: bool,
        mask: Tensor | None,
        xs: Tensor,
        memory: Tensor,
        weightings: Tensor,
        reads: Tensor,
        hidden: Tensor,
        cells: Tensor,
        interface_weight: Tensor,
        interface_bias: Tensor,
        *layers: Tensor,
    ) -> tuple[Tensor, ...]:
        """Features `[B, L, C + R W]`, then memory, weightings, reads, hidden and cells after the last token."""
        valid = None if mask is None else mask.t()[:, :, None].contiguous()
        controller = ControllerScan(
            xs.transpose(0, 1).contiguous(),
            layers,
            recurrent=layout.recurrent,
            skip=False,
            reads_width=layout.reads * layout.word,
            valid=valid,
        )
        controller.start(hidden, cells)
        tape = _allocate(controller, layout, keep, interface_weight.shape[0])
        tape.memory[0] = memory.transpose(1, 2)
        tape.weightings[0] = weightings
        reads = reads.flatten(1)
        heads = _Heads(layout, tape, valid)
        to_interface = interface_weight.t()
        for step, (raw, feature) in enumerate(zip(tape.raw, tape.features, strict=True)):
            output = controller.forward(step, reads)
            torch.addmm(interface_bias, output, to_interface, out=raw)
            fresh = heads.step(step)
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
            tape.weightings[-1].clone(),
            reads.unflatten(1, (layout.reads, layout.word)).clone(),
            *controller.final(),
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of what `forward` took."""
        layout: Layout = ctx.layout
        d_features, d_memory, d_weightings, d_reads, d_hidden, d_cells = gradients
        mask, xs, interface_weight, *rest = ctx.saved_tensors
        layers, rest = rest[: ctx.layers], rest[ctx.layers :]
        tape, rest = Tape(*rest[: len(Tape._fields)]), rest[len(Tape._fields) :]
        valid = None if mask is None else mask.t()[:, :, None].contiguous()
        controller = ControllerScan(
            xs, layers, recurrent=layout.recurrent, skip=False, reads_width=layout.reads * layout.word, valid=valid
        )
        width = len(LayerTape._fields)
        controller.layers = [LayerTape(*rest[i : i + width]) for i in range(0, len(rest), width)]
        controller.turn(d_hidden, d_cells)
        way_back = _WayBack(layout, tape, valid, d_memory, d_weightings)
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
            *(None, None, None, d_xs.transpose(0, 1)),
            way_back.d_memory.transpose(1, 2),
            way_back.d_weightings,
            d_reads.unflatten(1, (layout.reads, layout.word)),
            *(d_hidden, d_cells, d_interface, d_raw.sum(0), *d_layers),
        )


def _allocate(controller: ControllerScan, layout: Layout, keep: bool, interface: int) -> Tape:
    """Room for every step."""
    length, batch, _ = controller.xs.shape
    new = controller.xs.new_empty
    heads, slots = layout.heads, layout.slots
    per_head = (length, batch, heads, slots)
    weightings = new(length + 1, batch, heads, slots)
    return Tape(
        raw=new(length, batch, interface),
        said=new(length, batch, interface),
        memory=new(length + 1 if keep else 2, batch, layout.word, slots),
        slot_scale=new(length, batch, 1, slots),
        scores=new(per_head),
        content=new(per_head),
        padded=new(length, batch, heads, layout.offsets - 1 + slots),
        rotated=new(per_head),
        logs=new(per_head),
        fresh=weightings[1:] if controller.valid is None else new(per_head),
        weightings=weightings,
        features=new(length, batch, controller.size + layout.reads * layout.word),
    )


class _Heads:
    """The heads, step by step."""

    def __init__(self, layout: Layout, tape: Tape, valid: Tensor | None) -> None:
        """Make the views of every step."""
        self.layout, self.valid = layout, valid
        self.epsilon = tape.said.new_full((), layout.sharpen_epsilon)
        self.rows = by_step(*tape[:-3])
        self.memory, self.weightings = tape.memory.unbind(0), tape.weightings.unbind(0)
        self.said = parts_by_step(tape.said, layout)
        self.windows = windows(tape.padded, layout)
        cuts = layout.cuts()
        self.squashed = tape.said[..., : cuts[2]].unbind(0)
        self.positive = tape.said[..., cuts[2] : cuts[4]].unbind(0)
        self.gates = tape.said[..., cuts[4] : cuts[6]].unbind(0)

    def step(self, step: int) -> Tensor:
        """Address, read, write. Returns the reads, `[B, R W]`."""
        layout = self.layout
        raw, said, scale, scores, content, padded, rotated, logs, fresh = self.rows[step]
        self._activate(step, raw, said)
        parts = self.said[step]
        count = len(self.memory)
        memory, previous = self.memory[step % count], self.weightings[step]
        slot_scales(memory, layout.norm_epsilon, out=scale)
        torch.bmm(scale_keys(parts.keys, parts.strengths, layout.norm_epsilon), memory, out=scores).mul_(scale)
        torch.softmax(scores, 2, out=content)
        pad_ends(torch.lerp(previous, content, parts.gates), layout.offsets // 2, padded)
        total = self.epsilon
        for window, weight in zip(reversed(self.windows[step]), parts.offsets, strict=True):
            total = torch.addcmul(total, window, weight, out=rotated)
        torch.log(rotated, out=logs)
        torch.softmax(torch.addcmul(logs, logs, parts.sharpness), 2, out=fresh)
        reading, writing = fresh.split((layout.reads, layout.writes), 1)
        if self.valid is not None:
            valid = self.valid[step, :, :, None]
            torch.where(valid, fresh, previous, out=self.weightings[step + 1])
            # A weighting of zeros leaves the memory as it is.
            writing = writing * valid
        reads = torch.bmm(reading, memory.transpose(1, 2))
        for erase, weighting in zip(parts.erase, writing.split(1, 1), strict=True):
            memory = torch.addcmul(memory, memory * erase, weighting, value=-1)
        torch.baddbmm(memory, parts.add.transpose(1, 2), writing, out=self.memory[(step + 1) % count])
        return reads.flatten(1)

    def _activate(self, step: int, raw: Tensor, said: Tensor) -> None:
        """Clip and activations of the interface."""
        clip = self.layout.clip
        if clip is None:
            said.copy_(raw)
        else:
            torch.clamp(raw, -clip, clip, out=said)
        if self.layout.squash_keys:
            self.squashed[step].tanh_()
        positive, shifts = self.positive[step], self.said[step].shifts
        positive.copy_(F.softplus(positive))
        self.gates[step].sigmoid_()
        shifts.copy_(shifts.softmax(2))


class _WayBack:
    """The heads' derivatives, step by step from the last."""

    def __init__(
        self, layout: Layout, tape: Tape, valid: Tensor | None, d_memory: Tensor, d_weightings: Tensor
    ) -> None:
        """Prepare what all steps share; the gradients are those of the final state."""
        self.layout, self.valid = layout, valid
        self.d_memory = d_memory.transpose(1, 2).contiguous()
        self.d_weightings = d_weightings
        self.d_raw = torch.empty_like(tape.raw)
        self.said, self.d_said = parts_by_step(tape.said, layout), parts_by_step(self.d_raw, layout)
        keys = tape.said[..., : layout.heads * layout.word].unflatten(-1, (-1, layout.word))
        cuts = layout.cuts()
        self.keys = key_rows(keys, tape.said[..., cuts[2] : cuts[3], None], layout.norm_epsilon)
        sharpness = tape.said[..., cuts[3] : cuts[4], None]
        writing = tape.fresh[:, :, layout.reads :]
        if valid is not None:
            writing = writing * valid[..., None]
        columns = (
            *(slopes(tape, layout), (1 + sharpness) / tape.rotated, tape.content - tape.weightings[:-1]),
            *(tape.fresh[:, :, : layout.reads], writing, tape.slot_scale, slot_pulls(tape.scores, tape.slot_scale)),
            *(tape.content, tape.fresh, tape.logs, tape.memory[:-1], tape.memory[:-1].transpose(2, 3)),
        )
        self.rows = [_Row(*row) for row in by_step(*columns)]
        self.windows = windows(tape.padded, layout)
        self.padded = torch.empty_like(tape.padded[0])
        self.d_windows = windows(self.padded[None], layout)[0]

    def step(self, step: int, d_reads: Tensor) -> Tensor:
        """Gradient of the interface before activation, `[B, I]`, from that of the reads."""
        layout, row = self.layout, self.rows[step]
        said, d_said = self.said[step], self.d_said[step]
        d_reads = d_reads.unflatten(1, (layout.reads, layout.word))
        d_writing = self._write(row, said, d_said)
        d_heads = torch.cat([torch.bmm(d_reads, row.memory), d_writing], 1).add_(self.d_weightings)
        d_skipped = None
        if self.valid is not None:
            valid = self.valid[step, :, :, None]
            d_skipped = self.d_weightings.masked_fill(valid, 0.0)
            d_heads = torch.where(valid, d_heads, 0.0)
        self.d_memory.baddbmm_(d_reads.transpose(1, 2), row.reading)
        d_gated = self._location(step, row, said, d_said, d_heads)
        d_content = d_gated * said.gates
        torch.sum(d_gated * row.moved, 2, keepdim=True, out=d_said.gates)
        self.d_weightings = d_gated.sub_(d_content)
        if d_skipped is not None:
            self.d_weightings += d_skipped
        d_scaled = content_backward(
            d_content,
            self.d_memory,
            content=row.content,
            pulls=row.pulls,
            scaled=self.keys[step].scaled,
            memory=row.memory,
            memory_transposed=row.memory_transposed,
            slot_scale=row.slot_scale,
        )
        keys_backward(d_scaled, self.keys[step], d_said.keys, d_said.strengths)
        return self.d_raw[step].mul_(row.slope)

    def _write(self, row: _Row, said: Parts, d_said: Parts) -> Tensor:
        """Through adds and erases: gradient of the write weightings; the memory's is brought before the write."""
        d_memory = self.d_memory
        d_said.add.copy_(torch.bmm(row.writing, d_memory.transpose(1, 2)))
        d_writing = torch.bmm(said.add, d_memory)
        weightings = row.writing.split(1, 1)
        kept = [row.memory]
        for erase, weighting in zip(said.erase[:-1], weightings, strict=False):
            kept.append(torch.addcmul(kept[-1], kept[-1] * erase, weighting, value=-1))
        for head in reversed(range(self.layout.writes)):
            erase, weighting = said.erase[head], weightings[head]
            touched = kept[head] * d_memory
            d_said.erase[head].copy_(torch.bmm(touched, weighting.transpose(1, 2))).neg_()
            d_writing[:, head : head + 1].baddbmm_(erase.transpose(1, 2), touched, alpha=-1)
            d_memory = torch.addcmul(d_memory, d_memory * erase, weighting, value=-1)
        self.d_memory = d_memory
        return d_writing

    def _location(self, step: int, row: _Row, said: Parts, d_said: Parts, d_heads: Tensor) -> Tensor:
        """Through sharpening and shift: gradient of the gated weightings."""
        d_powers = softmax_backward(d_heads, row.fresh)
        torch.sum(d_powers * row.logs, 2, keepdim=True, out=d_said.sharpness)
        d_rotated = d_powers.mul_(row.power_slope)
        pad_ends(d_rotated, self.layout.offsets // 2, self.padded)
        d_gated = self.d_windows[0] * said.offsets[0]
        for offset, window in enumerate(reversed(self.windows[step])):
            torch.sum(window * d_rotated, 2, keepdim=True, out=d_said.offsets[offset])
            if offset:
                d_gated.addcmul_(self.d_windows[offset], said.offsets[offset])
        d_said.shifts.copy_(softmax_backward(d_said.shifts, said.shifts))
        return d_gated


class _Row(NamedTuple):
    """Views of one step that the way back reads."""

    slope: Tensor
    power_slope: Tensor
    moved: Tensor
    reading: Tensor
    writing: Tensor
    slot_scale: Tensor
    pulls: Tensor
    content: Tensor
    fresh: Tensor
    logs: Tensor
    memory: Tensor
    memory_transposed: Tensor
