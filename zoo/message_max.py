"""The maximum over senders of messages on a dense batch, with a hand-written derivative.

A message is `x = s_j + r_i + W e_ji`, then per layer `A ReLU(x) + b`. Written with ordinary operators, this makes a
dozen tensors of the size `[batch, senders, receivers, hidden]`, each of which goes through main memory and back. Here
the batch is cut into chunks that stay in the cache (`zoo.chunks`); kept for the derivative are only the layers'
inputs and where the maxima were. Without layers it is machine code (`zoo.message_max_kernels`) that keeps who won, and
nothing of that size is made. `message_max_plain` is the same in ordinary operators: the reference in tests, and
what runs where a derivative of the derivative is asked for.

Axis letters: B batch, S senders, R receivers, H hidden, C channels of an edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from zoo.chunks import HAS_NUMBA, KERNEL_DTYPES, chunks, cut, differentiable, mapped, transposed

FEW = 8
"""Channels of edges up to which their map is made edge by edge."""


def message_max(
    senders: Float[Tensor, "batch nodes hidden"],
    receivers: Float[Tensor, "batch nodes hidden"],
    edges: tuple[Float[Tensor, "batch nodes nodes channels"], Float[Tensor, "hidden channels"]] | None,
    layers: Sequence[Tensor],
    mask: Bool[Tensor, "batch nodes nodes"] | None,
) -> Float[Tensor, "batch nodes hidden"]:
    """Maximum of each receiver's messages; ties share the gradient evenly.

    Args:
        senders: a term of every message that a node sends.
        receivers: a term of every message that a node receives.
        edges: channels of every edge and a linear map of them, or None.
        layers: weight and bias of each layer, in turn; of square layers.
        mask: edges that exist, or None for all.

    Returns:
        The maxima; 0 for a node that receives nothing.
    """
    if HAS_NUMBA and not layers and senders.dtype in KERNEL_DTYPES and (edges is None or edges[0].shape[-1] <= FEW):
        best: Tensor = _MaxOfSums.apply(senders, receivers, *(edges or (None, None)), mask)
        return best
    inputs = [senders, receivers, *(edges or ()), *layers]
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in inputs)
    result: Tensor = _MessageMax.apply(senders, receivers, *(edges or (None, None)), mask, keep, *layers)
    return result


def message_max_plain(
    senders: Tensor,
    receivers: Tensor,
    edges: tuple[Tensor, Tensor] | None,
    layers: Sequence[Tensor],
    mask: Tensor | None,
) -> Tensor:
    """`message_max` in ordinary operators."""
    x = senders.unsqueeze(2) + receivers.unsqueeze(1)
    if edges is not None:
        x = x + F.linear(*edges)
    for k in range(0, len(layers), 2):
        x = F.linear(x.relu(), layers[k], layers[k + 1])
    if mask is None:
        return x.amax(1)
    best = torch.where(mask[..., None], x, -torch.inf).amax(1)
    return torch.where(mask.any(1)[..., None], best, 0.0)


class _MaxOfSums(torch.autograd.Function):
    """See `message_max`; without layers."""

    @staticmethod
    def forward(
        ctx: Any, senders: Tensor, receivers: Tensor, edges: Tensor | None, weight: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        from zoo.message_max_kernels import sums_forward

        best = torch.full_like(receivers, -torch.inf, memory_format=torch.contiguous_format)
        won = torch.full_like(best, -1, dtype=torch.int32)
        sums_forward(*_arrays(senders, edges, weight, mask), best.numpy(), won.numpy())
        ctx.save_for_backward(senders, receivers, edges, weight, mask, won)
        return best.add_(receivers).masked_fill_(won < 0, 0.0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        senders, receivers, edges, weight, mask, won = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(ctx, _plain, grad, senders, receivers, edges, weight, mask)
        from zoo.message_max_kernels import sums_backward

        given = _arrays(senders, edges, weight, mask)
        found = [torch.zeros(array.shape, dtype=senders.dtype) for array in given[:3]]
        sums_backward(grad.contiguous().numpy(), won.numpy(), *given, *(one.numpy() for one in found))
        to_senders, to_edges, to_rows = found
        to_receivers = grad.masked_fill(won < 0, 0.0)
        if edges is None:
            return to_senders, to_receivers, None, None, None
        return to_senders, to_receivers, to_edges, to_rows.T, None


def _plain(
    senders: Tensor,
    receivers: Tensor,
    edges: Tensor | None,
    weight: Tensor | None,
    mask: Tensor | None,
    _: None = None,
    *layers: Tensor,
) -> Tensor:
    """`message_max_plain` of what the hand-written forms take, one argument after another."""
    pair = None if edges is None or weight is None else (edges, weight)
    return message_max_plain(senders, receivers, pair, layers, mask)


def _arrays(senders: Tensor, edges: Tensor | None, weight: Tensor | None, mask: Tensor | None) -> list[np.ndarray]:
    """Senders, edges, rows of their map and mask as the kernels take them; what there is none of is empty."""
    batch, nodes, hidden = senders.shape
    edges = senders.new_empty(batch, nodes, nodes, 0) if edges is None else edges
    rows = senders.new_empty(0, hidden) if weight is None else weight.T
    exists = torch.empty(0, 0, 0, dtype=torch.bool) if mask is None else mask
    return [tensor.detach().contiguous().numpy() for tensor in (senders, edges, rows, exists)]


class _MessageMax(torch.autograd.Function):
    """See `message_max`."""

    @staticmethod
    def forward(
        ctx: Any,
        senders: Tensor,
        receivers: Tensor,
        edges: Tensor | None,
        weight: Tensor | None,
        mask: Tensor | None,
        keep: bool,
        *layers: Tensor,
    ) -> Tensor:
        best = torch.empty_like(receivers)
        tape: list[Tensor] = []
        rows = transposed(weight)
        for part in chunks(*receivers.shape):
            b, r = part
            x = senders[b].unsqueeze(2) + receivers[b, r].unsqueeze(1)
            channels = cut(edges, part)
            if channels is not None and rows is not None:
                x += mapped(channels, rows)
            for k in range(0, len(layers), 2):
                x.relu_()
                if keep:
                    tape.append(x)
                x = F.linear(x, layers[k], layers[k + 1])
            exists = cut(mask, part)
            if exists is not None:
                x.masked_fill_(~exists[..., None], -torch.inf)
            top = x.amax(1)
            if keep:
                won = x.eq_(top.unsqueeze(1))
                tape += [won.bool(), won.sum(1)]
            if exists is not None:
                top.masked_fill_(~exists.any(1)[..., None], 0.0)
            best[b, r] = top
        ctx.save_for_backward(senders, receivers, edges, weight, mask, *layers, *tape)
        ctx.num_layers = len(layers)
        return best

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        senders, receivers, edges, weight, mask, *rest = ctx.saved_tensors
        layers, tape = rest[: ctx.num_layers], rest[ctx.num_layers :]
        if torch.is_grad_enabled():
            return differentiable(ctx, _plain, grad, senders, receivers, edges, weight, mask, None, *layers)
        to_senders, to_receivers = torch.zeros_like(senders), torch.empty_like(receivers)
        to_edges = torch.empty_like(edges) if ctx.needs_input_grad[2] else None
        rows = transposed(weight)
        to_rows = None if rows is None else torch.zeros_like(rows)
        to_layers = [layer.new_zeros(layer.shape) for layer in layers]
        kept = len(layers) // 2 + 2
        for number, part in enumerate(chunks(*receivers.shape)):
            b, r = part
            *xs, won, winners = tape[number * kept : (number + 1) * kept]
            share = grad[b, r] / winners
            exists = cut(mask, part)
            if exists is not None:
                share.masked_fill_(~exists.any(1)[..., None], 0.0)
            top = len(layers)
            if layers and HAS_NUMBA:
                top -= 2
                d = _last_layer_backward(won, share, xs[-1], layers[top], to_layers[top], to_layers[top + 1])
            else:
                d = torch.where(won, share.unsqueeze(1), 0.0)
            for k in range(top - 2, -1, -2):
                x, flat = xs[k // 2], d.flatten(0, 2)
                to_layers[k].addmm_(flat.T, x.flatten(0, 2))
                to_layers[k + 1] += flat.sum(0)
                d = torch.ops.aten.threshold_backward(F.linear(d, layers[k].T), x, 0)
            to_senders[b] += d.sum(2)
            to_receivers[b, r] = d.sum(1)
            channels = cut(edges, part)
            if channels is not None and rows is not None and to_rows is not None:
                to_rows.addmm_(channels.flatten(0, 2).T, d.flatten(0, 2))
                if to_edges is not None:
                    to_edges[b, :, r] = F.linear(d, rows)
        return to_senders, to_receivers, to_edges, None if to_rows is None else to_rows.T, None, None, *to_layers


def _last_layer_backward(
    won: Tensor, share: Tensor, x: Tensor, weight: Tensor, to_weight: Tensor, to_bias: Tensor
) -> Tensor:
    """Gradient of what went into the last layer's ReLU; those of weight and bias are added to theirs."""
    from zoo.message_max_kernels import last_layer_backward

    d = torch.empty_like(x, memory_format=torch.contiguous_format)
    arrays = (won, share, x, weight.detach(), d, to_weight, to_bias)
    last_layer_backward(*(array.contiguous().numpy() for array in arrays))
    return d
