"""A whole-sequence processor trained on a task of a few symbols: enough to see that it can learn."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zoo.processor import Inputs, Latents, Processor
from zoo.topology import DenseTopology


def accuracy_after(
    processor: Processor,
    answer: Callable[[Tensor], Tensor],
    *,
    length: int,
    symbols: int,
    steps: int,
    lr: float,
    penalties: bool = True,
) -> float:
    """Share of symbols right on fresh sequences after training on `answer(sequence)`, penalties in the loss."""
    embed, decode = nn.Embedding(symbols, processor.input_size), nn.Linear(processor.hidden_size, symbols)
    modules = nn.ModuleList([processor, embed, decode])
    optimizer = torch.optim.Adam(modules.parameters(), lr=lr)

    def run(batch: int) -> tuple[Tensor, Tensor, Tensor]:
        given = torch.randint(symbols, (batch, length))
        inputs, topology = Inputs(Latents(embed(given))), DenseTopology(batch, length)
        step = processor(inputs, processor.zeros(inputs), topology, ())
        extra = sum((value.mean() for value in step.penalties.values()), torch.zeros(()))
        return decode(step.hidden.nodes), answer(given), extra

    for _ in range(steps):
        logits, target, extra = run(32)
        loss = nn.functional.cross_entropy(logits.transpose(1, 2), target) + extra * penalties
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(modules.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        logits, target, _ = run(256)
    return (logits.argmax(-1) == target).float().mean().item()
