"""The DNC's scan with a hand-written derivative; `DNCCell.forward`, looped, is its reference.

Controller and interface are products of matrices and torch's; the memory is `zoo.memory.dnc_kernels`, on the CPU.
Memory and link of all steps stay for the way back (L·B·N·(N + W) numbers, where autograd would keep several times
as many); without gradients two of each do. The memory is kept transposed, `[B, W, N]`.

Axes: L length, B batch, R read heads, N slots, W word, time leading.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from zoo.memory.controller_scan import ControllerScan, LayerTape
from zoo.memory.tape import all_valid, arrays, by_step, stand_still

if TYPE_CHECKING:
    from zoo.memory.dnc_kernels import Numbers


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


class Tape(NamedTuple):
    """What the way back needs of every step."""

    raw: Tensor
    """Interface before clip and activation, `[L, B, I]`: keys (the write key last), write vector, strengths,
    gates (free, allocation, write), erase, modes (backward, content, forward)."""
    said: Tensor
    """Interface after activation."""
    scaled: Tensor
    """Keys of length one times their strengths, `[L, B, R + 1, W]`."""
    retained: Tensor
    """What each free gate leaves, `[L, B, R, N]`."""
    retention: Tensor
    """Their product, `[L, B, N]`."""
    written: Tensor
    """Usage before retention."""
    ordered: Tensor
    """Usage, lifted and sorted."""
    used_before: Tensor
    """Products of all smaller usages."""
    allocation: Tensor
    write_scores: Tensor
    lookup: Tensor
    """Content weighting of the write key."""
    chosen: Tensor
    """Between lookup and allocation."""
    read_scores: Tensor
    options: Tensor
    """Backward, content and forward weightings, `[L, 3, B, R, N]`."""
    features: Tensor
    """[controller, reads], `[L, B, C + R W]`."""
    memory: Tensor
    """`[L + 1, B, W, N]`; this and the rest are states, the first before the first token."""
    slot_scale: Tensor
    """Inverse lengths of the slots."""
    link: Tensor
    usage: Tensor
    precedence: Tensor
    write_weighting: Tensor
    read_weightings: Tensor
    order: Tensor
    """Slots from the least used to the most, for the next to start from."""


STATES = Tape._fields.index("memory")
"""Where the states begin in a tape."""


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
        from zoo.memory.dnc_kernels import access

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
        tape.slot_scale[0] = torch.rsqrt(memory.square().sum(2) + layout.norm_epsilon)
        tape.link[0], tape.usage[0], tape.precedence[0] = link, usage, precedence
        tape.write_weighting[0], tape.read_weightings[0] = write_weighting, read_weightings
        tape.order[0] = torch.arange(layout.slots)
        reads = reads.flatten(1)
        columns, numbers = arrays(tape), _numbers(layout, xs)
        valid_array = all_valid(mask, controller.xs).numpy()
        to_interface, count = interface_weight.t(), len(tape.memory)
        outputs = interface_weight.shape[1]
        rows = by_step(tape.raw, tape.features[..., :outputs], tape.features[..., outputs:])
        for step, (raw, feature, fresh) in enumerate(rows):
            feature.copy_(output := controller.forward(step, reads))
            torch.addmm(interface_bias, output, to_interface, out=raw)
            if valid is not None:
                fresh.zero_()
                stand_still(tape[STATES:], step)
            access(step, step % count, (step + 1) % count, columns, valid_array, numbers)
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
        from zoo.memory.dnc_kernels_backward import Gradients, access_backward

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
        # Changed in place, so not the caller's.
        states = [d_states[0].transpose(1, 2), *d_states[1:]]
        states = [state.clone(memory_format=torch.contiguous_format) for state in states]
        d_raw = torch.empty_like(tape.raw)
        columns, numbers = arrays(tape), _numbers(layout, xs)
        d_arrays, d_told = Gradients(*(state.numpy() for state in states)), d_raw.numpy()
        valid_array = all_valid(mask, xs).numpy()
        outputs = tape.features.shape[2] - layout.reads * layout.word
        d_outputs, d_fresh = d_features[..., :outputs].unbind(1), d_features[..., outputs:].unbind(1)
        d_reads = d_reads.flatten(1)
        for step in reversed(range(xs.shape[0])):
            d_skipped = None
            if valid is not None:
                d_skipped, d_reads = d_reads.masked_fill(valid[step], 0.0), torch.where(valid[step], d_reads, 0.0)
            d_new = (d_reads + d_fresh[step]).numpy()
            access_backward(step, columns, valid_array, d_new, d_arrays, d_told, numbers)
            d_output = torch.addmm(d_outputs[step], d_raw[step], interface_weight)
            d_reads = controller.backward(step, d_output)
            if d_skipped is not None:
                d_reads = d_reads + d_skipped
        d_xs, d_hidden, d_cells, d_layers = controller.finish()
        d_raw = d_raw.flatten(0, 1)
        d_interface = d_raw.t() @ tape.features[..., :outputs].flatten(0, 1)
        return (
            *(None, None, None, d_xs.transpose(0, 1), states[0].transpose(1, 2), *states[1:]),
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
    return Tape(
        raw=new(length, batch, interface),
        said=new(length, batch, interface),
        scaled=new(length, batch, reads + 1, word),
        retained=new(per_head),
        retention=new(per_slot),
        written=new(per_slot),
        ordered=new(per_slot),
        used_before=new(per_slot),
        allocation=new(per_slot),
        write_scores=new(per_slot),
        lookup=new(per_slot),
        chosen=new(per_slot),
        read_scores=new(per_head),
        options=new(length, 3, batch, reads, slots),
        features=new(length, batch, outputs + reads * word),
        memory=new(kept, batch, word, slots),
        slot_scale=new(length + 1, batch, slots),
        link=new(kept, batch, slots, slots),
        usage=new(length + 1, batch, slots),
        precedence=new(length + 1, batch, slots),
        write_weighting=new(length + 1, batch, slots),
        read_weightings=new(length + 1, batch, reads, slots),
        order=new(length + 1, batch, slots, dtype=torch.int32),
    )


def _numbers(layout: Layout, like: Tensor) -> Numbers:
    """Constants of the kernels, of the type of `like`."""
    from zoo.memory.dnc_kernels import Numbers

    number = like.detach().numpy().dtype.type
    reads, word = layout.reads, layout.word
    vector, strengths = (reads + 1) * word, (reads + 2) * word
    gates = strengths + reads + 1
    erase = gates + reads + 2
    return Numbers(
        zero=number(0),
        one=number(1),
        clip=number(math.inf if layout.clip is None else layout.clip),
        least_strength=number(layout.least_strength),
        norm_epsilon=number(layout.norm_epsilon),
        usage_epsilon=number(layout.usage_epsilon),
        through_usage=number(not layout.detach_usage),
        vector=vector,
        strengths=strengths,
        gates=gates,
        erase=erase,
        modes=erase + word,
    )
