"""Sums over triplets of nodes in few channels: `t_ijm = left_im + right_mj + cube_ijm W`, reduced or scored.

Triplet features are what an edge's pointer is made of, one entry for every pair (i, j) and node m it may point to.
With eight channels they are affordable, and kept is none of them: `[batch, nodes, nodes, nodes, channels]` is built in
chunks (`zoo.chunks`), in the derivative once more. The plain functions are the same in ordinary operators: the
reference in tests, and what runs under the compiler and where a derivative of the derivative is asked for.

Time is n³ a channel, memory n² a channel beside the cubes themselves (n³, one number a triplet and cube) and a chunk.
Without cubes a maximum is a product of matrices in the max-plus algebra (`zoo.max_plus`): `triplet_messages`, on a CPU
machine code (`zoo.triplet_kernels`), which keeps who won, so that its derivative takes n² only.

Source of low-dimensional triplet features: Dudzik and Veličković, NeurIPS 2022; Ibarz et al., LoG 2022, section 3.2.

Axis letters: B batch; I, J and M nodes of the pair and of what it points to; C channels; P cubes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from zoo.chunks import CHUNK, HAS_NUMBA, KERNEL_DTYPES, LARGE_CHUNK, Chunk, by_hand, chunks, differentiable, in_chunks
from zoo.max_plus import max_plus_product


def triplet_max(
    left: Float[Tensor, "batch i m channels"],
    right: Float[Tensor, "batch m j channels"],
    cubes: Float[Tensor, "batch i j m cubes"],
    weight: Float[Tensor, "channels cubes"],
) -> Float[Tensor, "batch i j channels"]:
    """`max_m t_ijm`; ties share the gradient evenly.

    Args:
        left: a term of every triplet, from its pair's first node; -inf takes a node m out.
        right: a term of every triplet, from its pair's second node.
        cubes: numbers of every triplet, finite.
        weight: the linear map of them.
    """
    if not in_chunks(left):
        return triplet_max_plain(left, right, cubes, weight)
    result: Tensor = _TripletMax.apply(left, right, cubes, weight)
    return result


def triplet_max_plain(left: Tensor, right: Tensor, cubes: Tensor, weight: Tensor) -> Tensor:
    """`triplet_max` in ordinary operators."""
    return (left.unsqueeze(2) + right.transpose(1, 2).unsqueeze(1) + F.linear(cubes, weight)).amax(3)


def triplet_scores(
    left: Float[Tensor, "batch i m channels"],
    right: Float[Tensor, "batch m j channels"],
    pairs: Float[Tensor, "batch i j channels"],
    cubes: Float[Tensor, "batch i j m cubes"],
    weight: Float[Tensor, "channels cubes"],
    out: Float[Tensor, " channels"],
) -> Float[Tensor, "batch i j m"]:
    """`out · ReLU(t_ijm + pairs_ij)`: a score of every node for every pair.

    Args:
        left: a term of every triplet, from its pair's first node.
        right: a term of every triplet, from its pair's second node.
        pairs: a term of every triplet, from its pair.
        cubes: numbers of every triplet.
        weight: the linear map of them.
        out: the linear map of the sums.
    """
    if not in_chunks(left):
        return triplet_scores_plain(left, right, pairs, cubes, weight, out)
    result: Tensor = _TripletScores.apply(left, right, pairs, cubes, weight, out)
    return result


def triplet_scores_plain(
    left: Tensor, right: Tensor, pairs: Tensor, cubes: Tensor, weight: Tensor, out: Tensor
) -> Tensor:
    """`triplet_scores` in ordinary operators."""
    sums = left.unsqueeze(2) + right.transpose(1, 2).unsqueeze(1) + pairs.unsqueeze(3) + F.linear(cubes, weight)
    return sums.relu() @ out


def _parts(left: Tensor) -> list[Chunk]:
    """Chunks of graphs and of second nodes; an entry of a pair holds all triplets of it."""
    batch, nodes, others, channels = left.shape
    scale = 1 if left.device.type == "cpu" else LARGE_CHUNK // CHUNK
    return list(chunks(batch, nodes, max(1, others * channels // scale)))


def _sums(left: Tensor, turned: Tensor, cubes: Tensor, weight: Tensor, part: Chunk) -> Tensor:
    """The sums t of a chunk, `[B, I, J, M, C]`; `turned` is `right` with its nodes exchanged."""
    b, j = part
    sums = left[b].unsqueeze(2) + turned[b, j].unsqueeze(1)
    for p in range(cubes.shape[-1]):
        sums.addcmul_(cubes[b, :, j, :, p].unsqueeze(-1), weight[:, p])
    return sums


def triplet_messages(
    first: Float[Tensor, "batch channels i"],
    sender: Float[Tensor, "batch channels s"],
    receiver: Float[Tensor, "batch channels r"],
    edges: tuple[Float[Tensor, "batch s r features"], Float[Tensor, "3*channels features"]] | None,
    out: Float[Tensor, "hidden channels"],
    bias: Float[Tensor, " hidden"],
) -> Float[Tensor, "batch s r hidden"]:
    """`out · max_i (first_i + sender_s + receiver_r + V₁ e_is + V₂ e_ir + V₃ e_sr) + bias`; ties share the gradient.

    Args:
        first: a term of every triplet from its node i; -inf takes a node out.
        sender: from its sender.
        receiver: from its receiver.
        edges: features e of every edge and the linear maps V₁, V₂, V₃ of them, or None.
        out: the linear map of the maxima.
        bias: of that map.
    """
    features, weight = edges or (None, None)
    if not (HAS_NUMBA and by_hand(first) and first.dtype in KERNEL_DTYPES):
        return triplet_messages_plain(first, sender, receiver, features, weight, out, bias)
    result: Tensor = _TripletMessages.apply(first, sender, receiver, features, weight, out, bias)
    return result


def triplet_messages_plain(
    first: Tensor,
    sender: Tensor,
    receiver: Tensor,
    edges: Tensor | None,
    weight: Tensor | None,
    out: Tensor,
    bias: Tensor,
) -> Tensor:
    """`triplet_messages` in ordinary operators and `max_plus_product`."""
    left, right, ends = first.unsqueeze(3), first.new_zeros(()), sender.unsqueeze(3) + receiver.unsqueeze(2)
    if edges is not None and weight is not None:
        to_sender, right, between = F.linear(edges, weight).movedim(3, 1).chunk(3, 1)
        left, ends = left + to_sender, ends + between
    maxima = max_plus_product(left.expand_as(ends).mT, right.expand_as(ends))
    return F.linear((ends + maxima).movedim(1, 3), out, bias)


class _TripletMax(torch.autograd.Function):
    """See `triplet_max`."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, cubes: Tensor, weight: Tensor) -> Tensor:
        turned = right.transpose(1, 2).contiguous()
        best = left.new_empty(*cubes.shape[:3], left.shape[-1])
        for b, j in _parts(left):
            best[b, :, j] = _sums(left, turned, cubes, weight, (b, j)).amax(3)
        ctx.save_for_backward(left, right, cubes, weight, best)
        return best

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        left, right, cubes, weight, best = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(ctx, triplet_max_plain, grad, left, right, cubes, weight)
        turned, into = right.transpose(1, 2).contiguous(), _Into(ctx, left, cubes, weight, cubes_at=2)
        for b, j in _parts(left):
            sums = _sums(left, turned, cubes, weight, (b, j))
            won = sums.eq_(best[b, :, j].unsqueeze(3))
            into.add(won.mul_((grad[b, :, j] / won.sum(3)).unsqueeze(3)), (b, j))
        return into.left, into.turned.transpose(1, 2), into.cubes, into.weight


class _TripletMessages(torch.autograd.Function):
    """See `triplet_messages`, on a CPU; channels come before the nodes, and what is large is made in place."""

    @staticmethod
    def forward(
        ctx: Any,
        first: Tensor,
        sender: Tensor,
        receiver: Tensor,
        edges: Tensor | None,
        weight: Tensor | None,
        out: Tensor,
        bias: Tensor,
    ) -> Tensor:
        from zoo.triplet_kernels import forward

        batch, channels, n = first.shape
        shape = batch, channels, n, n
        left, right, maxima = first.new_empty(shape), first.new_zeros(shape), first.new_empty(shape)
        won = torch.empty_like(maxima, dtype=torch.int32)
        features, maps = _by_pair(edges, weight, batch)
        if edges is None:
            left.copy_(first.unsqueeze(3))
        else:
            torch.bmm(maps[0], features, out=left.flatten(2))
            torch.bmm(maps[1], features, out=right.flatten(2))
            left.add_(first.unsqueeze(3))
        forward(*(array.numpy() for array in (left.mT, right, maxima, won)))
        if edges is not None:
            maxima.flatten(2).baddbmm_(maps[2], features)
        sums = maxima.add_(sender.unsqueeze(3)).add_(receiver.unsqueeze(2))
        ctx.save_for_backward(first, sender, receiver, edges, weight, out, bias, left, right, won, sums)
        message = torch.baddbmm(bias, sums.flatten(2).mT, out.T.expand(batch, -1, -1))
        return message.unflatten(1, (n, n))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        *given, left, right, won, sums = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(ctx, triplet_messages_plain, grad, *given)
        from zoo.triplet_kernels import backward

        _, _, _, edges, weight, out, _ = given
        batch, n = left.shape[0], left.shape[2]
        messages = grad.flatten(1, 2)
        to_out = torch.bmm(messages.mT, sums.flatten(2).mT).sum(0)
        to_sums = torch.bmm(out.T.expand(batch, -1, -1), messages.mT).view_as(sums)
        to_left, to_right = torch.zeros_like(left), torch.zeros_like(right)
        backward(*(array.numpy() for array in (to_sums, won, left.mT, right, to_left.mT, to_right)))
        to_edges = to_weight = None
        if edges is not None:
            features, maps = _by_pair(edges, weight, batch)
            parts = [part.flatten(2) for part in (to_left, to_right, to_sums)]
            to_weight = torch.cat([torch.bmm(part, features.mT).sum(0) for part in parts])
            if ctx.needs_input_grad[3]:
                to_features = torch.bmm(maps[0].mT, parts[0])
                for one, part in zip(maps[1:], parts[1:], strict=True):
                    to_features.baddbmm_(one.mT, part)
                to_edges = to_features.mT.unflatten(1, (n, n))
        to_nodes = to_left.sum(3), to_sums.sum(3), to_sums.sum(2)
        return *to_nodes, to_edges, to_weight, to_out, messages.sum((0, 1))


def _by_pair(edges: Tensor | None, weight: Tensor | None, batch: int) -> tuple[Tensor, list[Tensor]]:
    """Features of edges as one matrix a graph, `[B, features, n²]`, and the three maps of them; of none, nothing."""
    if edges is None or weight is None:
        return torch.empty(0), []
    return edges.flatten(1, 2).mT, [one.expand(batch, -1, -1) for one in weight.chunk(3)]


class _TripletScores(torch.autograd.Function):
    """See `triplet_scores`."""

    @staticmethod
    def forward(
        ctx: Any, left: Tensor, right: Tensor, pairs: Tensor, cubes: Tensor, weight: Tensor, out: Tensor
    ) -> Tensor:
        ctx.save_for_backward(left, right, pairs, cubes, weight, out)
        turned = right.transpose(1, 2).contiguous()
        scores = left.new_empty(cubes.shape[:4])
        for b, j in _parts(left):
            sums = _sums(left, turned, cubes, weight, (b, j)).add_(pairs[b, :, j].unsqueeze(3))
            scores[b, :, j] = sums.relu_() @ out
        return scores

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        left, right, pairs, cubes, weight, out = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(ctx, triplet_scores_plain, grad, left, right, pairs, cubes, weight, out)
        turned, into = right.transpose(1, 2).contiguous(), _Into(ctx, left, cubes, weight, cubes_at=3)
        to_pairs, to_out = torch.empty_like(pairs), torch.zeros_like(out)
        for b, j in _parts(left):
            sums = _sums(left, turned, cubes, weight, (b, j)).add_(pairs[b, :, j].unsqueeze(3)).relu_()
            g = grad[b, :, j]
            to_out += g.flatten() @ sums.flatten(0, 3)
            d = sums.sign_().mul_(g.unsqueeze(-1)).mul_(out)
            to_pairs[b, :, j] = d.sum(3)
            into.add(d, (b, j))
        return into.left, into.turned.transpose(1, 2), to_pairs, into.cubes, into.weight, to_out


class _Into:
    """Gradients of the terms of the sums, gathered chunk by chunk."""

    def __init__(self, ctx: Any, left: Tensor, cubes: Tensor, weight: Tensor, *, cubes_at: int) -> None:
        batch, _, others, channels = left.shape
        self.given, self.map = cubes, weight
        self.left = torch.zeros_like(left)
        self.turned = left.new_empty(batch, cubes.shape[2], others, channels)
        self.cubes = torch.empty_like(cubes) if ctx.needs_input_grad[cubes_at] else None
        self.weight = torch.zeros_like(weight)

    def add(self, d: Tensor, part: Chunk) -> None:
        """Add a chunk's gradient of the sums."""
        b, j = part
        self.left[b] += d.sum(2)
        self.turned[b, j] = d.sum(1)
        cubes = self.given[b, :, j]
        self.weight += d.flatten(0, 3).T @ cubes.flatten(0, 3)
        if self.cubes is not None:
            self.cubes[b, :, j] = d @ self.map
