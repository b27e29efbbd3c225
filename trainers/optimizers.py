"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from trainers.adamax import FreivaldsAdamax
from trainers.trainer_config import TrainerConfig

# What each falls back to where `eps` is 0, which none of them can be meant to use.
_EPS = {"adam": 1e-8, "adamw": 1e-8, "radam": 1e-8, "adamax_freivalds": 1e-8, "rmsprop": 1e-8, "rmsprop_graves": 1e-4}


class GravesRMSprop(torch.optim.Optimizer):
    """RMSprop as in Graves, Generating Sequences with Recurrent Neural Networks, 2013, equations 38 to 41.

    Centred, with momentum, and with epsilon under the root, where `torch.optim.RMSprop(centered=True)` has it outside.
    The learning rate enters with the gradient, so that a step taken before a change of rate keeps its length.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        *,
        alpha: float = 0.95,
        momentum: float = 0.9,
        eps: float = 1e-4,
        weight_decay: float = 0.0,
    ) -> None:
        """Keep the options.

        Args:
            params: parameters, or groups of them.
            lr: learning rate.
            alpha: decay of the running means of the gradient and of its square.
            momentum: share of the last step that is taken again.
            eps: added to the variance.
            weight_decay: L2 penalty.
        """
        super().__init__(
            params, {"lr": lr, "alpha": alpha, "momentum": momentum, "eps": eps, "weight_decay": weight_decay}
        )

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
                for name in ("square", "mean", "update"):
                    if name not in state:
                        state[name] = torch.zeros_like(parameter)
            square = [self.state[p]["square"] for p in parameters]
            mean = [self.state[p]["mean"] for p in parameters]
            update = [self.state[p]["update"] for p in parameters]
            gradients: list[Tensor] = [p.grad for p in parameters]  # type: ignore[misc]
            if group["weight_decay"]:
                gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
            alpha = group["alpha"]
            torch._foreach_mul_(square, alpha)  # eq. 38
            torch._foreach_addcmul_(square, gradients, gradients, 1 - alpha)
            torch._foreach_lerp_(mean, gradients, 1 - alpha)  # eq. 39
            variance = torch._foreach_mul(mean, mean)
            torch._foreach_sub_(variance, square)
            torch._foreach_neg_(variance)
            # In exact arithmetic the variance is not negative; rounding may leave it a little below zero.
            torch._foreach_clamp_min_(variance, 0.0)
            torch._foreach_add_(variance, group["eps"])
            torch._foreach_sqrt_(variance)
            torch._foreach_mul_(update, group["momentum"])  # eq. 40
            torch._foreach_addcdiv_(update, gradients, variance, -group["lr"])
            torch._foreach_add_(parameters, update)  # eq. 41
        return loss


def make_optimizer(
    parameters: Iterable[nn.Parameter], config: TrainerConfig, device: torch.device
) -> torch.optim.Optimizer:
    """The optimiser that `config.optimizer` names; on a GPU Adam is fused, so that a step can be left out there."""
    parameters = list(parameters)
    eps, decay = config.eps or _EPS.get(config.optimizer, 0.0), config.weight_decay
    if config.optimizer in ("adam", "adamw"):
        kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
        return kind(
            parameters,
            config.lr,
            (config.beta1, config.beta2),
            eps,
            decay,
            fused=True if device.type == "cuda" else None,
        )
    betas = (config.beta1, config.beta2)
    if config.optimizer == "adamax_freivalds":
        return FreivaldsAdamax(parameters, config.lr, betas=betas, eps=eps, weight_decay=decay)
    if config.optimizer == "radam":
        return torch.optim.RAdam(parameters, config.lr, betas, eps, decay, decoupled_weight_decay=True)
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, config.lr, config.alpha, eps, decay, config.momentum)
    if config.optimizer == "rmsprop_graves":
        return GravesRMSprop(
            parameters, config.lr, alpha=config.alpha, momentum=config.momentum, eps=eps, weight_decay=decay
        )
    return torch.optim.SGD(parameters, config.lr, config.momentum, weight_decay=decay)
