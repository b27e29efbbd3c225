"""The NTM's scan with a hand-written derivative; `NTMCell.forward`, looped, is its reference.

The memory is kept transposed, `[B, W, N]`, so that the slots are the fast axis of every product and sum. Its
values at all steps stay for the way back (L·B·W·N numbers, as autograd would keep several times over); without
gradients two do.

Axes: L length, B batch, H heads (read heads first), R reads, N slots, W word, K shift offsets, time leading.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

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
    """Views of an interface vector (or of its gradient), `[…, B, …]`."""

    keys: Tensor
    add: Tensor
    strengths: Tensor
    sharpness: Tensor
    gates: Tensor
    erase: Tensor
    shifts: Tensor


class Tape(NamedTuple):
    """What the way back needs of every step."""

    raw: Tensor
    """Interface before clip and activation, `[L, B, I]`."""
    said: Tensor
    """Interface after activation; sharpness without its 1."""
    memory: Tensor
    """`[L + 1, B, W, N]`."""
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
    weightings: Tensor
    """`[L + 1, B, H, N]`."""
    features: Tensor
    """[controller, reads], `[L, B, C + R W]`."""


def view_parts(interface: Tensor, layout: Layout) -> Parts:
    """Views of `[…, I]`."""
    cuts = layout.cuts()
    keys, add, strengths, sharpness, gates, erase, shifts = (
        interface[..., start:end] for start, end in zip(cuts, cuts[1:], strict=False)
    )
    words = (-1, layout.word)
    return Parts(
        keys.unflatten(-1, words),
        add.unflatten(-1, words),
        strengths,
        sharpness,
        gates,
        erase.unflatten(-1, words),
        shifts.unflatten(-1, (-1, layout.offsets)),
    )


def activate(raw: Tensor, out: Tensor, layout: Layout) -> Tensor:
    """Clip and activations of an interface."""
    cuts = layout.cuts()
    if layout.clip is None:
        out.copy_(raw)
    else:
        torch.clamp(raw, -layout.clip, layout.clip, out=out)
    if layout.squash_keys:
        out[:, : cuts[2]].tanh_()
    positive = out[:, cuts[2] : cuts[4]]
    positive.copy_(F.softplus(positive))
    out[:, cuts[4] : cuts[6]].sigmoid_()
    shifts = out[:, cuts[6] :].unflatten(1, (layout.heads, layout.offsets))
    shifts.copy_(shifts.softmax(2))
    return out


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


def pad_ends(weightings: Tensor, reach: int, out: Tensor | None = None) -> Tensor:
    """The last `reach` slots, all slots, the first `reach`."""
    if reach == 0:
        return weightings.clone() if out is None else out.copy_(weightings)
    parts = (weightings[..., -reach:], weightings, weightings[..., :reach])
    return torch.cat(parts, -1) if out is None else torch.cat(parts, -1, out=out)


class NTMScan(torch.autograd.Function):
    """All steps of an NTM, without its output layer."""

    @staticmethod
    def forward(  # type: ignore[override]
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
        for step in range(xs.shape[1]):
            output = controller.forward(step, reads)
            torch.addmm(interface_bias, output, interface_weight.t(), out=tape.raw[step])
            fresh = _access(tape, layout, step, keep, valid)
            feature = torch.cat([output, fresh], 1, out=tape.features[step])
            fresh = feature[:, output.shape[1] :]
            reads = fresh if valid is None else torch.where(valid[step], fresh, reads)
        if keep:
            ctx.layout, ctx.layers = layout, len(layers)
            ctx.save_for_backward(
                mask, controller.xs, interface_weight, *layers, *tape, *(t for layer in controller.layers for t in layer)
            )
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
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
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
        d_features = d_features.transpose(0, 1).contiguous()
        outputs = tape.features.shape[2] - layout.reads * layout.word
        d_reads = d_reads.flatten(1)
        for step in reversed(range(xs.shape[0])):
            d_skipped = None
            if valid is not None:
                d_skipped, d_reads = d_reads.masked_fill(valid[step], 0.0), torch.where(valid[step], d_reads, 0.0)
            d_raw = way_back.step(step, d_reads + d_features[step, :, outputs:])
            d_output = torch.addmm(d_features[step, :, :outputs], d_raw, interface_weight)
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
        fresh=new(per_head),
        weightings=new(length + 1, batch, heads, slots),
        features=new(length, batch, controller.size + layout.reads * layout.word),
    )


def _access(tape: Tape, layout: Layout, step: int, keep: bool, valid: Tensor | None) -> Tensor:
    """Heads of one step: address, read, write. Returns the reads, `[B, R W]`."""
    said = view_parts(activate(tape.raw[step], tape.said[step], layout), layout)
    now, after = (step, step + 1) if keep else (step % 2, (step + 1) % 2)
    memory, previous = tape.memory[now], tape.weightings[step]
    scale = torch.sum(memory.square(), 1, keepdim=True, out=tape.slot_scale[step])
    scale.add_(layout.norm_epsilon).rsqrt_()
    key_scale = said.strengths * torch.rsqrt(said.keys.square().sum(2) + layout.norm_epsilon)
    scores = torch.bmm(said.keys * key_scale[:, :, None], memory, out=tape.scores[step]).mul_(scale)
    content = torch.softmax(scores, 2, out=tape.content[step])
    gated = torch.lerp(previous, content, said.gates[:, :, None])
    padded = pad_ends(gated, layout.offsets // 2, out=tape.padded[step])
    rotated = tape.rotated[step].fill_(layout.sharpen_epsilon)
    for offset in range(layout.offsets):
        window = padded[:, :, layout.offsets - 1 - offset :][:, :, : layout.slots]
        rotated.addcmul_(window, said.shifts[:, :, offset, None])
    logs = torch.log(rotated, out=tape.logs[step])
    fresh = torch.softmax(torch.addcmul(logs, logs, said.sharpness[:, :, None]), 2, out=tape.fresh[step])
    writing = fresh[:, layout.reads :]
    if valid is None:
        tape.weightings[step + 1] = fresh
    else:
        torch.where(valid[step, :, :, None], fresh, previous, out=tape.weightings[step + 1])
        # A weighting of zeros leaves the memory as it is.
        writing = writing * valid[step, :, :, None]
    reads = torch.bmm(fresh[:, : layout.reads], memory.transpose(1, 2))
    kept = memory
    for head in range(layout.writes):
        kept = torch.addcmul(kept, kept * said.erase[:, head, :, None], writing[:, head, None], value=-1)
    torch.baddbmm(kept, said.add.transpose(1, 2), writing, out=tape.memory[after])
    return reads.flatten(1)


class _WayBack:
    """The heads' derivatives, step by step from the last."""

    def __init__(
        self, layout: Layout, tape: Tape, valid: Tensor | None, d_memory: Tensor, d_weightings: Tensor
    ) -> None:
        """Prepare what all steps share; the gradients are those of the final state."""
        self.layout, self.tape, self.valid = layout, tape, valid
        self.d_memory = d_memory.transpose(1, 2).contiguous()
        self.d_weightings = d_weightings
        self.slope = slopes(tape, layout)
        self.d_raw = torch.empty_like(tape.raw)
        said = view_parts(tape.said, layout)
        self.said = said
        self.key_scale = torch.rsqrt(said.keys.square().sum(3) + layout.norm_epsilon)
        self.power_slope = (1 + said.sharpness[..., None]) / tape.rotated
        reach = layout.offsets // 2
        self.moved = tape.content - tape.weightings[:-1]
        self.writing = tape.fresh[:, :, layout.reads :]
        if valid is not None:
            self.writing = self.writing * valid[..., None]
        self.reach = reach

    def step(self, step: int, d_reads: Tensor) -> Tensor:
        """Gradient of the interface before activation, `[B, I]`, from that of the reads."""
        layout, tape = self.layout, self.tape
        said = Parts(*(part[step] for part in self.said))
        d_raw = self.d_raw[step]
        d_said = view_parts(d_raw, layout)
        d_reads = d_reads.unflatten(1, (layout.reads, layout.word))
        d_weightings = self.d_weightings
        d_skipped = None
        if self.valid is not None:
            valid = self.valid[step, :, :, None]
            d_skipped = d_weightings.masked_fill(valid, 0.0)
        memory = tape.memory[step]
        d_writing = self._write(step, said, d_said)
        d_heads = torch.cat([torch.bmm(d_reads, memory), d_writing], 1).add_(d_weightings)
        if self.valid is not None:
            d_heads = torch.where(valid, d_heads, 0.0)
        self.d_memory.baddbmm_(d_reads.transpose(1, 2), tape.fresh[step, :, : layout.reads])
        d_gated = self._location(step, said, d_said, d_heads)
        d_content = d_gated * said.gates[:, :, None]
        torch.sum(d_gated * self.moved[step], 2, out=d_said.gates)
        self.d_weightings = d_gated.sub_(d_content)
        if d_skipped is not None:
            self.d_weightings = self.d_weightings + d_skipped
        self._content(step, said, d_said, d_content)
        d_raw.mul_(self.slope[step])
        return d_raw

    def _write(self, step: int, said: Parts, d_said: Parts) -> Tensor:
        """Through adds and erases: gradient of the write weightings; the memory's is brought before the write."""
        writing, d_memory = self.writing[step], self.d_memory
        torch.bmm(writing, d_memory.transpose(1, 2), out=d_said.add)
        d_writing = torch.bmm(said.add, d_memory)
        kept = [self.tape.memory[step]]
        for head in range(self.layout.writes - 1):
            last = kept[-1]
            kept.append(torch.addcmul(last, last * said.erase[:, head, :, None], writing[:, head, None], value=-1))
        for head in reversed(range(self.layout.writes)):
            touched = kept[head] * d_memory
            erase, weighting = said.erase[:, head], writing[:, head]
            d_said.erase[:, head] = torch.bmm(touched, weighting[:, :, None])[:, :, 0].neg_()
            d_writing[:, head] -= torch.bmm(erase[:, None], touched)[:, 0]
            d_memory = torch.addcmul(d_memory, d_memory * erase[:, :, None], weighting[:, None], value=-1)
        self.d_memory = d_memory
        return d_writing

    def _location(self, step: int, said: Parts, d_said: Parts, d_heads: Tensor) -> Tensor:
        """Through sharpening and shift: gradient of the gated weightings."""
        layout, tape = self.layout, self.tape
        # The derivative of a softmax from its result, as one operator.
        d_powers = torch._softmax_backward_data(d_heads, tape.fresh[step], 2, d_heads.dtype)
        torch.sum(d_powers * tape.logs[step], 2, out=d_said.sharpness)
        d_rotated = d_powers.mul_(self.power_slope[step])
        windows = tape.padded[step].unfold(2, layout.slots, 1)
        d_shifts = (windows * d_rotated[:, :, None]).sum(3).flip(2)
        d_said.shifts.copy_(torch._softmax_backward_data(d_shifts, said.shifts, 2, d_shifts.dtype))
        padded = pad_ends(d_rotated, self.reach)
        d_gated = torch.zeros_like(d_rotated)
        for offset in range(layout.offsets):
            d_gated.addcmul_(padded[:, :, offset:][:, :, : layout.slots], said.shifts[:, :, offset, None])
        return d_gated

    def _content(self, step: int, said: Parts, d_said: Parts, d_content: Tensor) -> None:
        """Through the content weighting, to keys, strengths and memory."""
        tape = self.tape
        memory, slot_scale = tape.memory[step], tape.slot_scale[step]
        key_scale = self.key_scale[step]
        d_scores = torch._softmax_backward_data(d_content, tape.content[step], 2, d_content.dtype)
        pull = (d_scores * tape.scores[step]).sum(1, keepdim=True).mul_(slot_scale.square())
        d_dots = d_scores.mul_(slot_scale)
        strength_scale = said.strengths * key_scale
        self.d_memory.addcmul_(memory, pull, value=-1)
        self.d_memory.baddbmm_((said.keys * strength_scale[:, :, None]).transpose(1, 2), d_dots)
        d_scaled = torch.bmm(d_dots, memory.transpose(1, 2))
        along = (d_scaled * said.keys).sum(2)
        torch.mul(along, key_scale, out=d_said.strengths)
        shrink = along * strength_scale * key_scale.square()
        torch.mul(d_scaled, strength_scale[:, :, None], out=d_said.keys).addcmul_(
            said.keys, shrink[:, :, None], value=-1
        )
