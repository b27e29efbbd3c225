"""The cell contract: a recurrent network as a pure step, and its scan over a sequence."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from zoo.chunks import HAS_NUMBA
from zoo.recording import Kind, Record, Track
from zoo.topology.base import trailing

State = Any
"""A `NamedTuple` of tensors (or of such tuples), batch leading."""


class Cell(nn.Module, abc.ABC):
    """A recurrent network: state in, state out.

    Attributes:
        input_size: channels of a token.
        output_size: channels of what a step returns.
        tracks: what it can record of a token, by name.
    """

    input_size: int
    output_size: int
    tracks: Mapping[str, Track] = {"outputs": Track(Kind.VECTOR, ("tokens", "units"), "what the cell returns")}

    @abc.abstractmethod
    def initial(self, batch_size: int, *, like: Tensor) -> State:
        """The state before the first token, on the device and of the type of `like`."""

    @abc.abstractmethod
    def forward(self, x: Float[Tensor, "batch input"], state: State) -> tuple[Float[Tensor, "batch output"], State]:
        """The paper's step; no tensor of `state` is changed."""

    def scan(
        self,
        xs: Float[Tensor, "batch length input"],
        state: State,
        mask: Bool[Tensor, "batch length"] | None = None,
    ) -> tuple[Float[Tensor, "batch length output"], State]:
        """Step over a sequence.

        Args:
            xs: tokens in order.
            state: state before the first.
            mask: False at tokens that change nothing: the state passes through, the output there is zero.
                None where all count.

        Returns:
            Outputs of every step, and the state after the last.
        """
        return self.loop(xs, state, mask)

    def observe(self, x: Float[Tensor, "batch input"], state: State) -> tuple[Tensor, State, Record]:
        """`forward`, and every track of the token, without the axis of tokens."""
        y, after = self(x, state)
        return y, after, {"outputs": y}

    def record(
        self,
        xs: Float[Tensor, "batch length input"],
        state: State,
        mask: Bool[Tensor, "batch length"] | None = None,
    ) -> tuple[Float[Tensor, "batch length output"], State, Record]:
        """The scan, step by step, and what was recorded of it.

        Args:
            xs: see `scan`.
            state: see `scan`.
            mask: see `scan`; records are zero where it is False.

        Returns:
            What `scan` returns, and each of `tracks`, `[batch, tokens, …]`.
        """
        seen: list[Record] = []

        def step(x: Tensor, state: State) -> tuple[Tensor, State]:
            y, after, record = self.observe(x, state)
            seen.append(record)
            return y, after

        ys, state = self.loop(xs, state, mask, step=step)
        record = {name: torch.stack([each[name] for each in seen], 1) for name in self.tracks if seen}
        if mask is not None:
            record = {name: torch.where(trailing(mask, value), value, 0.0) for name, value in record.items()}
        return ys, state, record

    def loop(
        self,
        xs: Tensor,
        state: State,
        mask: Tensor | None = None,
        *,
        step: Callable[[Tensor, State], tuple[Tensor, State]] | None = None,
    ) -> tuple[Tensor, State]:
        """The scan as a loop over `forward`, or over `step`: the reference of every faster one."""
        step = step or self
        ys = []
        for position, x in enumerate(xs.unbind(1)):
            y, after = step(x, state)
            if mask is not None:
                valid = mask[:, position]
                y = select(valid, y, torch.zeros_like(y))
                after = tree_map(lambda new, old, valid=valid: select(valid, new, old), after, state)
            state = after
            ys.append(y)
        if not ys:
            return xs.new_zeros(xs.shape[0], 0, self.output_size), state
        return torch.stack(ys, 1), state


def select(valid: Bool[Tensor, " batch"], new: Tensor, old: Tensor) -> Tensor:
    """`new` for the samples under `valid`, `old` for the others."""
    return torch.where(valid.reshape(-1, *(1,) * (new.dim() - 1)), new, old)


def has_kernels(xs: Tensor) -> bool:
    """Whether a scan over `xs` may run as numba kernels: at least one token, on the CPU, outside the compiler."""
    return (
        HAS_NUMBA
        and xs.shape[1] > 0
        and xs.device.type == "cpu"
        and xs.dtype in (torch.float32, torch.float64)
        and not torch.compiler.is_compiling()
    )
