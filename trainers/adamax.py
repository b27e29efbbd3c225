"""AdaMax with clipping by each component's own past (Freivalds and Liepins, 2017)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

CLIP_FACTOR = 1.2
"""A component of the gradient may exceed its decayed maximum by this factor."""

CLIP_FLOOR = 1e-4
"""Added to that limit, so that components that were zero so far can grow."""


class FreivaldsAdamax(torch.optim.Optimizer):
    """AdaMax (Kingma and Ba, ICLR 2015, algorithm 2) as in Freivalds and Liepins, 2017, and their code.

    A component of the gradient is first clipped to what its maximum allows. There is no correction of the first
    moment's bias, so that the first steps are shorter; `torch.optim.Adamax` has it, and does not clip.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        """Keep the options.

        Args:
            params: parameters, or groups of them.
            lr: learning rate, which no component's step exceeds while its gradient keeps its size.
            betas: decay of the running mean of the gradient, and of the running maximum of its absolute value.
            eps: added to the maximum.
            weight_decay: L2 penalty.
        """
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters: list[Tensor] = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            for parameter in parameters:
                state = self.state[parameter]
                for name in ("mean", "maximum"):
                    if name not in state:
                        state[name] = torch.zeros_like(parameter)
            mean = [self.state[p]["mean"] for p in parameters]
            maximum = [self.state[p]["maximum"] for p in parameters]
            gradients: list[Tensor] = [p.grad for p in parameters]  # type: ignore[misc]
            if group["weight_decay"]:
                gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
            beta1, beta2 = group["betas"]
            limit = torch._foreach_mul(maximum, CLIP_FACTOR)
            torch._foreach_add_(limit, CLIP_FLOOR)
            clipped = torch._foreach_minimum(gradients, limit)
            torch._foreach_neg_(limit)
            torch._foreach_maximum_(clipped, limit)
            torch._foreach_lerp_(mean, clipped, 1 - beta1)
            torch._foreach_mul_(maximum, beta2)
            torch._foreach_maximum_(maximum, torch._foreach_abs(clipped))
            torch._foreach_addcdiv_(parameters, mean, torch._foreach_add(maximum, group["eps"]), -group["lr"])
        return loss
