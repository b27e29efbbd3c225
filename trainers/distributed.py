"""Data parallelism by hand: several processes that sum counts and gradients.

Gradients are summed, not averaged: every loss is already divided by counts over all processes. A gradient that one
process lacks counts as zero; one that all lack stays absent, so that the optimiser leaves its parameter alone, as in a
single process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

from trainers.usage import UsageError

# Gradients travel in buckets of about this many bytes: few messages, little extra memory.
BUCKET_BYTES = 32 * 2**20


def pick_device(name: str, local_rank: int = 0) -> torch.device:
    """The device that `"auto"`, `"cpu"` or `"cuda"` stands for.

    Raises:
        UsageError: `"cuda"` where there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UsageError("trainer.device=cuda, but torch finds no GPU", "use trainer.device=cpu or auto")
    if name == "cpu" or not available:
        return torch.device("cpu")
    return torch.device("cuda", local_rank)


@dataclass(frozen=True)
class Processes:
    """The processes that train together, seen from one of them.

    Attributes:
        rank: number of this one.
        world: how many.
        device: where this one computes.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def main(self) -> bool:
        """Whether this is the one that writes and logs."""
        return self.rank == 0

    def sum_numbers(self, numbers: Sequence[float | int]) -> list[float]:
        """Sums over processes of numbers that the host knows; no GPU is waited for."""
        if self.world == 1:
            return [float(number) for number in numbers]
        total = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(total)
        return total.tolist()

    def sum_vector(self, vector: Tensor) -> Tensor:
        """Sum over processes of a vector on the CPU."""
        if self.world > 1:
            dist.all_reduce(vector)
        return vector

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors by those of the first process."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def sum_gradients(self, parameters: Sequence[Tensor], extra: Tensor) -> Tensor:
        """Sum the gradients of all processes, in place.

        Args:
            parameters: whose gradients are summed.
            extra: a vector that travels with them.

        Returns:
            The sum of `extra`.
        """
        if self.world == 1:
            return extra
        present = self.sum_numbers([float(p.grad is not None) for p in parameters])
        for parameter, processes in zip(parameters, present, strict=True):
            if processes and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        extra = extra.clone()
        gradients = [p.grad for p in parameters if p.grad is not None]
        for bucket in _buckets([*gradients, extra]):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            dist.all_reduce(flat)
            parts = flat.split([tensor.numel() for tensor in bucket])
            torch._foreach_copy_(bucket, [p.view_as(t) for p, t in zip(parts, bucket, strict=True)])
        return extra


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one dtype in groups of about `BUCKET_BYTES`."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and (size >= BUCKET_BYTES or bucket[0].dtype != tensor.dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel() * tensor.element_size()
    if bucket:
        yield bucket


@contextmanager
def join(device: str = "auto") -> Iterator[Processes]:
    """Join the processes that `torchrun` started; without it, there is this one only.

    Args:
        device: `"auto"`, `"cpu"` or `"cuda"`; each process of a machine takes its own GPU.

    Yields:
        The processes; they part at the end.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    where = pick_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if where.type == "cuda":
        torch.cuda.set_device(where)
    if world == 1:
        yield Processes(device=where)
        return
    # Two backends in one group: numbers that the host knows must not wait for the GPU.
    dist.init_process_group("cpu:gloo,cuda:nccl" if where.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), world, where)
    finally:
        dist.destroy_process_group()
