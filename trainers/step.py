"""One training step: forward and backward over micro-batches and processes, clipping, update."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tasks.batch import Batch
from tasks.packing import Packed
from trainers.data import StepBatches
from trainers.distributed import Processes
from trainers.evaluation import autocast
from trainers.losses import PENALTY, Objective
from trainers.optimizers import make_optimizer
from trainers.schedules import learning_rate
from trainers.trainer_config import TrainerConfig
from zoo.processor import Processor

# Keeps the clipping factor of a zero gradient finite; the value is that of torch's own clipping.
_NORM_EPS = 1e-6


class Report(NamedTuple):
    """What a step leaves behind, still on its device.

    Attributes:
        step: its number.
        task: name of its task.
        lr: its learning rate.
        names: of the values: the loss's terms.
        values: mean of every term, then the loss, the norm of the gradient before clipping, and 1 if all is finite.
    """

    step: int
    task: str
    lr: float
    names: tuple[str, ...]
    values: Tensor


class Losses(NamedTuple):
    """What forward and backward passes found.

    Attributes:
        names: of the loss's terms.
        means: this process's part of every term's mean.
        weights: of the terms in the total.
    """

    names: tuple[str, ...]
    means: Tensor
    weights: tuple[float, ...]


class TrainingStep:
    """Everything that a step changes: parameters, optimiser, loss scale."""

    def __init__(
        self, model: nn.Module, objective: Objective, config: TrainerConfig, *, seed: int, processes: Processes
    ) -> None:
        """Make the optimiser over all parameters with `requires_grad`.

        Raises:
            ValueError: there are none.
        """
        self.model, self.objective, self.config = model, objective, config
        self.seed, self.processes, self.device = seed, processes, processes.device
        self.named = [
            (name, parameter)
            for name, parameter in [*model.named_parameters(), *objective.named_parameters("objective")]
            if parameter.requires_grad
        ]
        self.parameters = [parameter for _, parameter in self.named]
        if not self.parameters:
            raise ValueError("nothing to train: every parameter is frozen")
        self.optimizer = make_optimizer(self.parameters, config, self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "float16")
        self.processors = [module for module in model.modules() if isinstance(module, Processor)]
        # Stays set after the first step that is not finite: a fused optimiser then leaves all parameters alone, so
        # that the GPU need not be waited for until the next report is read.
        self.failed = torch.zeros((), device=self.device)

    def set_mode(self) -> None:
        """Training mode, but for processors that are frozen as a whole."""
        self.model.train()
        self.objective.train()
        for processor in self.processors:
            parameters = list(processor.parameters())
            if parameters and not any(parameter.requires_grad for parameter in parameters):
                processor.eval()

    def losses(self, batches: Sequence[Batch | Packed], counts: Mapping[str, int | float], step: int) -> Losses:
        """Gradients of the weighted means, added up over micro-batches.

        Args:
            batches: the micro-batches, packed or not.
            counts: entries of every term over all micro-batches and processes.
            step: keys the noise.
        """
        total: dict[str, Tensor] = {}
        weights: dict[str, float] = {}
        for waiting in batches:
            moved = waiting.to(self.device, non_blocking=True)
            batch = moved.unpack() if isinstance(moved, Packed) else moved
            with autocast(self.device, self.config.precision):
                prediction = self.model(batch, noise=(self.seed, step))
            sums = self.objective(batch, prediction)
            means = {name: value / max(counts[count_name(name)], 1) for name, value in sums.items()}
            weights |= {name: self.objective.weight(batch, name) for name in means}
            weighted = [weights[name] * mean for name, mean in means.items()]
            self.scaler.scale(torch.stack(weighted).sum()).backward()
            own_gradients(self.parameters)
            for name, mean in means.items():
                total[name] = total[name] + mean.detach() if name in total else mean.detach()
        return Losses(tuple(total), torch.stack(list(total.values())), tuple(weights[name] for name in total))

    def __call__(self, step: int, items: StepBatches, counts: Mapping[str, int | float]) -> Report:
        """Take step number `step`.

        On the CPU nothing is changed if loss or gradient is not finite; nor on a GPU with Adam.
        """
        lr = learning_rate(self.config, step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        for processor in self.processors:
            processor.anneal(step / self.config.max_steps)
        self.optimizer.zero_grad(set_to_none=True)
        names, means, weights = self.losses(items.batches, counts, step)
        means = self.processes.sum_gradients(self.parameters, means)
        self.scaler.unscale_(self.optimizer)
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients).to(means)
        loss = sum((weight * mean for weight, mean in zip(weights, means.unbind(0), strict=True)), means.new_zeros(()))
        # Under a loss scale gradients may overflow: that step is left out and the scale lowered.
        finite = torch.isfinite(loss) if self.scaler.is_enabled() else torch.isfinite(loss) & torch.isfinite(norm)
        if self.device.type != "cpu" or bool(finite):
            self._clip(gradients, norm)
            self._update(finite)
        values = torch.cat([means, torch.stack([loss, norm, finite.to(loss)])])
        return Report(step, items.batches[0].spec.task, lr, names, values)

    def _clip(self, gradients: list[Tensor], norm: Tensor) -> None:
        """Clip by norm, then by value."""
        if self.config.clip_norm and gradients:
            factor = (self.config.clip_norm / (norm + _NORM_EPS)).clamp_max(1.0)
            torch._foreach_mul_(gradients, factor.to(gradients[0]))
        if self.config.clip_value and gradients:
            torch._foreach_clamp_min_(gradients, -self.config.clip_value)
            torch._foreach_clamp_max_(gradients, self.config.clip_value)

    def _update(self, finite: Tensor) -> None:
        """The optimiser's step."""
        if self.scaler.is_enabled():
            self.scaler.step(self.optimizer)
            self.scaler.update()
            return
        if self.device.type == "cuda":
            self.failed = torch.maximum(self.failed, (~finite).float())
            if getattr(self.optimizer, "_step_supports_amp_scaling", False):
                self.optimizer.found_inf = self.failed  # type: ignore[attr-defined]
        self.optimizer.step()


def own_gradients(parameters: Sequence[Tensor]) -> None:
    """Give every gradient memory of its own.

    Autograd may leave one memory in several parameters (where a stack of them was summed, for one); adding to it or
    scaling it in place would then count several times.
    """
    seen = set[int]()
    for parameter in parameters:
        if parameter.grad is not None:
            if parameter.grad.data_ptr() in seen:
                parameter.grad = parameter.grad.clone()
            seen.add(parameter.grad.data_ptr())


def count_name(term: str) -> str:
    """Under which name a term's count is found."""
    return PENALTY if term.startswith(PENALTY) else term


def compile_processor(model: nn.Module, device: torch.device) -> None:
    """Compile a processor's step in place; where that cannot work, warn and leave it as it is."""
    processor = next((module for module in model.modules() if isinstance(module, Processor)), None)
    if processor is None or not processor.compiles:
        warnings.warn("trainer.compile is ignored: the processor declares that it does not compile", stacklevel=3)
        return
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler

        get_cpp_compiler()
    except Exception as error:  # what it raises differs between versions
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        warnings.warn(f"trainer.compile is ignored, for there is no C++ compiler: {reason}", stacklevel=3)
        return
    processor.compile()
