"""The NTM's scan with a hand-written derivative; `NTMCell.forward`, looped, is its reference.

Controller and interface are products of matrices and torch's; the heads are `zoo.memory.ntm_kernels`, on the CPU.
The memory of all steps stays for the way back (L·B·N·W numbers, where autograd would keep several times as many);
without gradients two do. It is kept transposed, `[B, W, N]`.

Axes: L length, B batch, H heads (read heads first), R reads, N slots, W word, K shift offsets, time leading.
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
    from zoo.memory.ntm_kernels import Numbers


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


class Tape(NamedTuple):
    """What the way back needs of every step."""

    raw: Tensor
    """Interface before clip and activation, `[L, B, I]`: keys, adds, strengths, sharpness, gates, erases, shifts."""
    said: Tensor
    """Interface after activation."""
    scaled: Tensor
    """Keys of length one times their strengths, `[L, B, H, W]`."""
    scores: Tensor
    """`[L, B, H, N]`."""
    content: Tensor
    gated: Tensor
    rotated: Tensor
    """Plus epsilon."""
    logs: Tensor
    features: Tensor
    """[controller, reads], `[L, B, C + R W]`."""
    memory: Tensor
    """`[L + 1, B, W, N]`; this and the rest are states, the first before the first token."""
    slot_scale: Tensor
    """Inverse lengths of the slots."""
    weightings: Tensor


STATES = Tape._fields.index("memory")
"""Where the states begin in a tape."""


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
        """Features `[B, L, C + R W]`, then the state after the last token, in the order of the arguments."""
        from zoo.memory.ntm_kernels import access

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
        tape = _allocate(controller, layout, keep, *interface_weight.shape)
        tape.memory[0] = memory.transpose(1, 2)
        tape.slot_scale[0] = torch.rsqrt(memory.square().sum(2) + layout.norm_epsilon)
        tape.weightings[0] = weightings
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
            tape.weightings[-1].clone(),
            reads.unflatten(1, (layout.reads, layout.word)).clone(),
            *controller.final(),
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of what `forward` took."""
        from zoo.memory.ntm_kernels_backward import Gradients, access_backward

        layout: Layout = ctx.layout
        d_features, *d_states, d_reads, d_hidden, d_cells = gradients
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
    heads, slots, word = layout.reads + layout.writes, layout.slots, layout.word
    per_head = (length, batch, heads, slots)
    return Tape(
        raw=new(length, batch, interface),
        said=new(length, batch, interface),
        scaled=new(length, batch, heads, word),
        scores=new(per_head),
        content=new(per_head),
        gated=new(per_head),
        rotated=new(per_head),
        logs=new(per_head),
        features=new(length, batch, outputs + layout.reads * word),
        memory=new(length + 1 if keep else 2, batch, word, slots),
        slot_scale=new(length + 1, batch, slots),
        weightings=new(length + 1, batch, heads, slots),
    )


def _numbers(layout: Layout, like: Tensor) -> Numbers:
    """Constants of the kernels, of the type of `like`."""
    from zoo.memory.ntm_kernels import Numbers

    number = like.detach().numpy().dtype.type
    heads, adds = layout.reads + layout.writes, layout.writes * layout.word
    strengths = heads * layout.word + adds
    gates = strengths + 2 * heads
    return Numbers(
        zero=number(0),
        one=number(1),
        clip=number(math.inf if layout.clip is None else layout.clip),
        norm_epsilon=number(layout.norm_epsilon),
        sharpen_epsilon=number(layout.sharpen_epsilon),
        squash_keys=layout.squash_keys,
        reads=layout.reads,
        add=heads * layout.word,
        strengths=strengths,
        sharpness=strengths + heads,
        gates=gates,
        erase=gates + heads,
        shifts=gates + heads + adds,
    )
