"""Scores of pairs of nodes on a dense batch, `v · max(r_i, s_j + W e_ji)`, with a hand-written derivative.

This is how pointers are decoded. Nothing of the size `[batch, senders, receivers, hidden]` is kept: the derivative
computes each chunk (`zoo.chunks`) again, which costs less than to store it. `pair_scores_plain` is the same in ordinary
operators: the reference in tests, and what runs where a derivative of the derivative is asked for.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from zoo.chunks import Chunk, chunks, cut, differentiable, mapped, transposed


def pair_scores(
    senders: Float[Tensor, "batch nodes hidden"],
    receivers: Float[Tensor, "batch nodes hidden"],
    edges: tuple[Float[Tensor, "batch nodes nodes channels"], Float[Tensor, "hidden channels"]] | None,
    out: Float[Tensor, " hidden"],
) -> Float[Tensor, "batch nodes nodes"]:
    """Scores of all pairs (sender, receiver); a tie of the two terms shares the gradient evenly.

    Args:
        senders: one vector a node, s.
        receivers: one vector a node, r.
        edges: channels e of every edge and the linear map W of them, or None.
        out: the vector v.
    """
    result: Tensor = _PairScores.apply(senders, receivers, *(edges or (None, None)), out)
    return result


def pair_scores_plain(senders: Tensor, receivers: Tensor, edges: tuple[Tensor, Tensor] | None, out: Tensor) -> Tensor:
    """`pair_scores` in ordinary operators."""
    x = senders.unsqueeze(2)
    if edges is not None:
        x = x + F.linear(*edges)
    return torch.maximum(x, receivers.unsqueeze(1)) @ out


def _sent(senders: Tensor, edges: Tensor | None, rows: Tensor | None, part: Chunk) -> Tensor:
    """The term `s_j + W e_ji` of a chunk; `rows` is W transposed."""
    x = senders[part[0]].unsqueeze(2)
    channels = cut(edges, part)
    return x if channels is None or rows is None else mapped(channels, rows).add_(x)


class _PairScores(torch.autograd.Function):
    """See `pair_scores`."""

    @staticmethod
    def forward(
        ctx: Any, senders: Tensor, receivers: Tensor, edges: Tensor | None, weight: Tensor | None, out: Tensor
    ) -> Tensor:
        ctx.save_for_backward(senders, receivers, edges, weight, out)
        batch, nodes, hidden = receivers.shape
        scores = receivers.new_empty(batch, nodes, nodes)
        rows = transposed(weight)
        for part in chunks(batch, nodes, hidden):
            b, r = part
            x = _sent(senders, edges, rows, part)
            scores[b, :, r] = torch.maximum(x, receivers[b, r].unsqueeze(1)) @ out
        return scores

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        senders, receivers, edges, weight, out = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(ctx, _plain, grad, senders, receivers, edges, weight, out)
        # All but `to_edges` are without the factor `out` until the end: it then costs nothing, and what belongs to
        # `out` itself follows from the same sums, for the larger term is a weighted mean of the two.
        to_senders, to_receivers = torch.zeros_like(senders), torch.empty_like(receivers)
        to_edges = torch.empty_like(edges) if ctx.needs_input_grad[2] else None
        rows = transposed(weight)
        to_rows = None if rows is None else torch.zeros_like(rows)
        for part in chunks(*receivers.shape):
            b, r = part
            g = grad[b, :, r]
            x, y = _sent(senders, edges, rows, part), receivers[b, r].unsqueeze(1)
            # The sent term's share: 1 where it is the larger one, a half in a tie.
            d = (x - y).sign_().add_(1).mul_(g.unsqueeze(-1) / 2)
            to_senders[b] += d.sum(2)
            to_receivers[b, r] = g.sum(1).unsqueeze(-1) - d.sum(1)
            channels = cut(edges, part)
            if channels is not None and rows is not None and to_rows is not None:
                to_rows.addmm_(channels.flatten(0, 2).T, d.flatten(0, 2))
                if to_edges is not None:
                    to_edges[b, :, r] = F.linear(d, rows * out)
        to_out = (to_senders * senders + to_receivers * receivers).sum((0, 1))
        to_weight = None
        if rows is not None and to_rows is not None:
            to_out += (to_rows * rows).sum(0)
            to_weight = to_rows.mul_(out).T
        return to_senders.mul_(out), to_receivers.mul_(out), to_edges, to_weight, to_out


def _plain(senders: Tensor, receivers: Tensor, edges: Tensor | None, weight: Tensor | None, out: Tensor) -> Tensor:
    """`pair_scores_plain` of what the hand-written form takes, one argument after another."""
    return pair_scores_plain(senders, receivers, None if edges is None or weight is None else (edges, weight), out)
