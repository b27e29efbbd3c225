"""SAM's scan with a hand-written derivative; `SAMCell.forward`, looped, is its reference.

The memory is copied once a scan, and that copy edited in place. A step keeps the words that it overwrote, K + 1 a head,
and the way back puts them back (Rae et al. 2016, section 3.4), on a copy of its own, so that the memory handed out
stays as it is. The memory's gradient is kept for the slots that were touched alone, unless someone asks for all of it.
What a step keeps, and its work beside the search, does not depend on the number of slots.

Axes: L length, B batch, H heads, K entries, N slots, W word, time leading.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from zoo.memory.controller_scan import ControllerScan, LayerTape
from zoo.memory.tape import all_valid, arrays, by_step

if TYPE_CHECKING:
    from zoo.memory.sam_kernels import Numbers


class Layout(NamedTuple):
    """What the scan must know beside its tensors."""

    heads: int
    entries: int
    word: int
    recurrent: bool
    threshold: float
    clip: float | None
    norm_epsilon: float


class Tape(NamedTuple):
    """What the way back needs of every step."""

    raw: Tensor
    """Interface before clip and activation, `[L, B, I]`: keys, adds, strengths, write and interpolation gates."""
    said: Tensor
    """Interface after activation."""
    similarity: Tensor
    """Cosines of the slots read, `[L, B, H, K]`."""
    oldest: Tensor
    """The slot that each head cleared, `[L, B, H]`."""
    overwritten: Tensor
    """Words of the slots read at the step before, then of the oldest, before the writes, `[L, B, H, K + 1, W]`."""
    features: Tensor
    """[controller, reads], `[L, B, C + H W]`."""
    slots: Tensor
    """Slots read, `[L + 1, B, H, K]`, the first before the first token."""
    weights: Tensor
    """Of the slots read, `[L + 1, B, H, K]`."""


class SAMScan(torch.autograd.Function):
    """All steps of a SAM, without its output layer."""

    @staticmethod
    def forward(
        ctx: Any,
        layout: Layout,
        keep: bool,
        mask: Tensor | None,
        accessed: Tensor,
        clock: Tensor,
        slots: Tensor,
        xs: Tensor,
        memory: Tensor,
        weights: Tensor,
        reads: Tensor,
        hidden: Tensor,
        cells: Tensor,
        interface_weight: Tensor,
        interface_bias: Tensor,
        *layers: Tensor,
    ) -> tuple[Tensor, ...]:
        """Features `[B, L, C + H W]`, then the state after the last token, in the order of its fields."""
        from zoo.memory.sam_kernels import Work, edit, look

        valid = None if mask is None else mask.t()[:, :, None].contiguous()
        controller = ControllerScan(
            xs.transpose(0, 1).contiguous(),
            layers,
            recurrent=layout.recurrent,
            skip=False,
            reads_width=layout.heads * layout.word,
            valid=valid,
        )
        controller.start(hidden, cells)
        tape = _allocate(controller, layout, keep, *interface_weight.shape)
        tape.slots[0], tape.weights[0] = slots, weights
        memory, accessed, clock = (
            tensor.clone(memory_format=torch.contiguous_format) for tensor in (memory, accessed, clock)
        )
        scale = torch.rsqrt(memory.square().sum(2) + layout.norm_epsilon)
        scores = scale.new_empty(len(scale), layout.heads, scale.shape[1])
        work = arrays(Work(memory, scale, accessed, clock, *_chain(accessed), scores, torch.zeros_like(scale)))
        columns, numbers = arrays(tape), _numbers(layout, xs)
        valid_array = all_valid(mask, controller.xs).numpy()
        to_interface, outputs, room = interface_weight.t(), interface_weight.shape[1], len(tape.overwritten)
        reads = reads.flatten(1)
        keys = tape.said[..., : layout.heads * layout.word].unflatten(2, (layout.heads, layout.word))
        rows = by_step(tape.raw, tape.features[..., :outputs], tape.features[..., outputs:], keys)
        by_word = memory.mT
        for step, (raw, feature, fresh, key) in enumerate(rows):
            feature.copy_(output := controller.forward(step, reads))
            torch.addmm(interface_bias, output, to_interface, out=raw)
            if valid is not None:
                fresh.zero_()
            edit(step, step % room, columns, work, valid_array, numbers)
            torch.bmm(key, by_word, out=scores)
            look(step, columns, work, valid_array, numbers)
            reads = fresh if valid is None else torch.where(valid[step], fresh, reads)
        if keep:
            ctx.layout, ctx.layers = layout, len(layers)
            layer_tapes = (column for layer in controller.layers for column in layer)
            ctx.save_for_backward(mask, controller.xs, memory, interface_weight, *layers, *tape, *layer_tapes)
        ctx.set_materialize_grads(False)
        last_slots = tape.slots[-1].clone()
        ctx.mark_non_differentiable(accessed, clock, last_slots)
        return (
            tape.features.transpose(0, 1).clone(memory_format=torch.contiguous_format),
            *(memory, accessed, clock, last_slots, tape.weights[-1].clone()),
            reads.unflatten(1, (layout.heads, layout.word)).clone(),
            *controller.final(),
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of what `forward` took."""
        from zoo.memory.sam_kernels_backward import Gradients, access_backward

        layout: Layout = ctx.layout
        mask, xs, memory, interface_weight, *rest = ctx.saved_tensors
        layers, rest = rest[: ctx.layers], rest[ctx.layers :]
        tape, rest = Tape(*rest[: len(Tape._fields)]), rest[len(Tape._fields) :]
        valid = None if mask is None else mask.t()[:, :, None].contiguous()
        reads_width = layout.heads * layout.word
        controller = ControllerScan(
            xs, layers, recurrent=layout.recurrent, skip=False, reads_width=reads_width, valid=valid
        )
        width = len(LayerTape._fields)
        controller.layers = [LayerTape(*rest[i : i + width]) for i in range(0, len(rest), width)]
        outputs = tape.features.shape[2] - reads_width
        zeros = _zeros(tape, controller, outputs)
        d_features, d_weights, d_reads, d_hidden, d_cells = (
            zero() if given is None else given
            for given, zero in zip((gradients[0], *gradients[5:]), zeros, strict=True)
        )
        controller.turn(d_hidden, d_cells)
        whole = gradients[1] is not None or ctx.needs_input_grad[7]
        d_memory, places, claimed = _gradient_rows(memory, gradients[1], tape, whole=whole)
        d_weights = d_weights.clone(memory_format=torch.contiguous_format)  # changed in place, so not the caller's
        d_raw = torch.empty_like(tape.raw)
        columns, numbers, d_told = arrays(tape), _numbers(layout, xs), d_raw.numpy()
        d_arrays = arrays(Gradients(_private(memory), d_memory, places, claimed, d_weights))
        valid_array = all_valid(mask, xs).numpy()
        d_outputs, d_fresh = d_features[..., :outputs].unbind(1), d_features[..., outputs:].unbind(1)
        d_reads = d_reads.flatten(1)
        for step in reversed(range(xs.shape[0])):
            d_skipped = None
            if valid is not None:
                d_skipped, d_reads = d_reads.masked_fill(valid[step], 0.0), torch.where(valid[step], d_reads, 0.0)
            access_backward(step, columns, valid_array, (d_reads + d_fresh[step]).numpy(), d_arrays, d_told, numbers)
            d_output = torch.addmm(d_outputs[step], d_raw[step], interface_weight)
            d_reads = controller.backward(step, d_output)
            if d_skipped is not None:
                d_reads = d_reads + d_skipped
        d_xs, d_hidden, d_cells, d_layers = controller.finish()
        d_raw = d_raw.flatten(0, 1)
        d_interface = d_raw.t() @ tape.features[..., :outputs].flatten(0, 1)
        return (
            *(None, None, None, None, None, None, d_xs.transpose(0, 1), d_memory if whole else None, d_weights),
            d_reads.unflatten(1, (layout.heads, layout.word)),
            *(d_hidden, d_cells, d_interface, d_raw.sum(0), *d_layers),
        )


def _allocate(controller: ControllerScan, layout: Layout, keep: bool, interface: int, outputs: int) -> Tape:
    """Room for every step."""
    length, batch, _ = controller.xs.shape
    new = controller.xs.new_empty
    heads, entries, word = layout.heads, layout.entries, layout.word
    return Tape(
        raw=new(length, batch, interface),
        said=new(length, batch, interface),
        similarity=new(length, batch, heads, entries),
        oldest=new(length, batch, heads, dtype=torch.long),
        overwritten=new(length if keep else 1, batch, heads, entries + 1, word),
        features=new(length, batch, outputs + heads * word),
        slots=new(length + 1, batch, heads, entries, dtype=torch.long),
        weights=new(length + 1, batch, heads, entries),
    )


def _chain(accessed: Tensor) -> tuple[Tensor, Tensor]:
    """For every slot the one accessed next after it, and the one before; slot N stands for both ends."""
    order = torch.argsort(accessed, dim=1, stable=True)
    end = order.new_full((len(order), 1), order.shape[1])
    chain = torch.cat([end, order, end], 1)
    room = order.new_empty(len(order), order.shape[1] + 1)
    return room.scatter(1, chain[:, :-1], chain[:, 1:]), room.scatter(1, chain[:, 1:], chain[:, :-1])


def _private(memory: Tensor) -> Tensor:
    """A copy of the memory for the way back to restore."""
    return memory.clone()


def _zeros(tape: Tape, controller: ControllerScan, outputs: int) -> tuple[Any, ...]:
    """Makers of zero gradients of features, weights, reads, hidden and cells, where nothing depends on them."""
    batch = tape.features.shape[1]
    heads = (batch, *tape.weights.shape[2:3])
    layers = (batch, len(controller.layers) if controller.recurrent else 0, controller.size)
    new = tape.features.new_zeros
    return (
        lambda: torch.zeros_like(tape.features.transpose(0, 1)),
        lambda: torch.zeros_like(tape.weights[0]),
        lambda: new(*heads, (tape.features.shape[2] - outputs) // heads[1]),
        lambda: new(layers),
        lambda: new(layers),
    )


def _gradient_rows(memory: Tensor, given: Tensor | None, tape: Tape, *, whole: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Rows for the memory's gradient, each slot's row (-1 for none yet), and how many are taken."""
    batch, slots, word = memory.shape
    if whole:
        rows = torch.zeros_like(memory) if given is None else given.clone(memory_format=torch.contiguous_format)
        places = torch.arange(slots, dtype=torch.int32).repeat(batch, 1)
        return rows, places, places.new_full((batch,), slots)
    length, _, heads, written, _ = tape.overwritten.shape
    touched = min(slots, heads * (length * written + written - 1))
    places = torch.full((batch, slots), -1, dtype=torch.int32)
    return memory.new_empty(batch, touched, word), places, places.new_zeros(batch)


def _numbers(layout: Layout, like: Tensor) -> Numbers:
    """Constants of the kernels, of the type of `like`."""
    from zoo.memory.sam_kernels import Numbers

    number = like.detach().numpy().dtype.type
    strengths = 2 * layout.heads * layout.word
    return Numbers(
        zero=number(0),
        one=number(1),
        clip=number(math.inf if layout.clip is None else layout.clip),
        threshold=number(layout.threshold),
        norm_epsilon=number(layout.norm_epsilon),
        add=layout.heads * layout.word,
        strengths=strengths,
        gates=strengths + layout.heads,
    )
