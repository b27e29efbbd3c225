"""A controller's part in a hand-written scan: its steps forward, and their derivatives backward.

Autograd of a long loop of small operators costs more than the operators. Here everything that no step must wait
for is done once for all steps: the inputs' projections before the loop, the activations' derivatives before
the way back, the weights' gradients after it. `zoo.memory.external.Controller` is the same network step by step.

Axes: L length, B batch, S units of a layer, time leading.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.memory.tape import by_step


class LayerTape(NamedTuple):
    """What the way back needs of a layer."""

    gates: Tensor
    """`[L, B, 4 S]`, after activation: output, input, forget, candidate; `[L, B, S]` in a feed-forward layer."""
    inputs: Tensor
    """`[L, B, …]`: reads, layer below, own hidden of the step before, as far as the layer sees them."""
    hidden: Tensor
    """`[L + 1, B, S]`."""
    cells: Tensor
    """`[L + 1, B, S]`; empty in a feed-forward layer."""
    squashed: Tensor
    """`[L, B, S]`, tanh of the new cells; empty in a feed-forward layer."""


class ControllerScan:
    """A controller's layers, stepped forward or backward by whoever owns the loop."""

    def __init__(
        self,
        xs: Tensor,
        parameters: Sequence[Tensor],
        *,
        recurrent: bool,
        skip: bool,
        reads_width: int,
        valid: Tensor | None,
    ) -> None:
        """Describe the layers.

        Args:
            xs: tokens, `[L, B, D]`.
            parameters: weight and bias of each layer, in turn.
            recurrent: LSTM layers; otherwise tanh layers.
            skip: whether layers above the first see token and reads too.
            reads_width: channels of the reads.
            valid: `[L, B, 1]`, False at tokens that change nothing; None where all count.
        """
        self.xs, self.valid = xs, valid
        self.weights, self.biases = parameters[::2], parameters[1::2]
        self.recurrent, self.skip, self.reads_width = recurrent, skip, reads_width
        self.size = self.weights[0].shape[0] // (4 if recurrent else 1)
        self.depths = range(len(self.weights))
        self.x_width = xs.shape[2]
        # Columns of a layer's weights that multiply the token.
        self.x_columns = [xs.shape[2] if self._sees_token(depth) else 0 for depth in self.depths]
        self.recurrent_weights = [w[:, n:] for w, n in zip(self.weights, self.x_columns, strict=True)]
        self.layers: list[LayerTape] = []

    def _sees_token(self, depth: int) -> bool:
        return depth == 0 or self.skip

    def start(self, hidden: Tensor, cells: Tensor) -> None:
        """Allocate the tape; `hidden` and `cells` are the state before the first token."""
        length, batch, _ = self.xs.shape
        for depth, (weight, bias, columns) in enumerate(zip(self.weights, self.biases, self.x_columns, strict=True)):
            gates = bias.expand(length, batch, -1).clone()
            if columns:
                gates.view(length * batch, -1).addmm_(self.xs.reshape(length * batch, -1), weight[:, :columns].t())
            count = length + 1 if self.recurrent else 0
            layer = LayerTape(
                gates,
                self.xs.new_empty(length, batch, weight.shape[1] - columns),
                self.xs.new_empty(length + 1, batch, self.size),
                self.xs.new_empty(count, batch, self.size),
                self.xs.new_empty(max(count - 1, 0), batch, self.size),
            )
            if self.recurrent:
                layer.hidden[0], layer.cells[0] = hidden[:, depth], cells[:, depth]
            self.layers.append(layer)
        self.views()

    def views(self) -> None:
        """Make the views of every step at once: making one costs as much as a small operator."""
        self.inputs = [layer.inputs.unbind(0) for layer in self.layers]
        self.hidden = [layer.hidden.unbind(0) for layer in self.layers]
        self.cells = [layer.cells.unbind(0) for layer in self.layers]
        self.squashed = [layer.squashed.unbind(0) for layer in self.layers]
        self.gates = [layer.gates.unbind(0) for layer in self.layers]
        cut = 3 * self.size
        self.open = [layer.gates[..., :cut].unbind(0) for layer in self.layers]
        self.candidate = [layer.gates[..., cut:].unbind(0) for layer in self.layers]
        self.transposed = [weight.t() for weight in self.recurrent_weights]

    def forward(self, step: int, reads: Tensor) -> Tensor:
        """One step: the output, `[B, S]` or with `skip` all layers side by side."""
        outputs: list[Tensor] = []
        for depth in self.depths:
            seen = [reads] if self._sees_token(depth) else []
            seen += outputs[-1:]
            if self.recurrent:
                seen.append(self.hidden[depth][step])
            inputs = torch.cat(seen, 1, out=self.inputs[depth][step])
            self.gates[depth][step].addmm_(inputs, self.transposed[depth])
            after = self.hidden[depth][step + 1]
            if self.recurrent:
                self._lstm(depth, step)
            else:
                after.copy_(self.gates[depth][step].tanh_())
            outputs.append(after)
        return torch.cat(outputs, 1) if self.skip and len(outputs) > 1 else outputs[-1]

    def _lstm(self, depth: int, step: int) -> None:
        """New cell and hidden of an LSTM layer."""
        out, open_, forget = self.open[depth][step].sigmoid_().split(self.size, 1)
        candidate = self.candidate[depth][step].tanh_()
        before, after = self.cells[depth][step], self.cells[depth][step + 1]
        torch.mul(forget, before, out=after).addcmul_(open_, candidate)
        squashed = torch.tanh(after, out=self.squashed[depth][step])
        hidden = torch.mul(out, squashed, out=self.hidden[depth][step + 1])
        if self.valid is not None:
            valid = self.valid[step]
            torch.where(valid, hidden, self.hidden[depth][step], out=hidden)
            torch.where(valid, after, before, out=after)

    def final(self) -> tuple[Tensor, Tensor]:
        """Hidden and cells after the last token, `[B, layers, S]`; no layers in a feed-forward controller."""
        if not self.recurrent:
            nothing = self.xs.new_zeros(self.xs.shape[1], 0, self.size)
            return nothing, nothing.clone()
        return (
            torch.stack([layer.hidden[-1] for layer in self.layers], 1),
            torch.stack([layer.cells[-1] for layer in self.layers], 1),
        )

    def turn(self, d_hidden: Tensor, d_cells: Tensor) -> None:
        """Get ready for the way back from the gradients of the final state."""
        self.d_gates = [torch.empty_like(layer.gates) for layer in self.layers]
        self.d_hidden = list(d_hidden.unbind(1))
        self.d_cells = list(d_cells.unbind(1))
        self.slopes: list[list[tuple[Tensor, ...]]] = []
        for layer, d_gates in zip(self.layers, self.d_gates, strict=True):
            if not self.recurrent:
                self.slopes.append(by_step(d_gates, 1 - layer.gates.square()))
                continue
            out, open_, forget, candidate = layer.gates.split(self.size, 2)
            through_cell = torch.stack(
                [
                    candidate * open_ * (1 - open_),
                    layer.cells[:-1] * forget * (1 - forget),
                    open_ * (1 - candidate.square()),
                ],
                2,
            )
            columns = (layer.squashed * out * (1 - out), through_cell, out * (1 - layer.squashed.square()), forget)
            to_out, to_cell = d_gates[..., : self.size], d_gates[..., self.size :].unflatten(2, (3, self.size))
            self.slopes.append(by_step(d_gates, to_out, to_cell, *columns))

    def backward(self, step: int, d_output: Tensor) -> Tensor:
        """One step back: the gradient of the reads that went in, from that of the output."""
        d_reads: Tensor | None = None
        size = self.size
        d_below: Tensor | None = None
        for depth in reversed(self.depths):
            if self.skip:
                d_new = d_output[:, depth * size : (depth + 1) * size]
                if d_below is not None:
                    d_new = d_new + d_below
            else:
                d_new = d_output if d_below is None else d_below
            d_inputs = self._layer_backward(depth, step, d_new)
            offset = 0
            if self._sees_token(depth):
                offset = self.reads_width
                d_reads = d_inputs[:, :offset] if d_reads is None else d_reads + d_inputs[:, :offset]
            d_below = d_inputs[:, offset : offset + size]
        assert d_reads is not None
        return d_reads

    def _layer_backward(self, depth: int, step: int, d_new: Tensor) -> Tensor:
        """Gradient of a layer's inputs (not the token); that of its own past is kept for the step before."""
        weight = self.recurrent_weights[depth]
        if not self.recurrent:
            d_gates, slope = self.slopes[depth][step]
            return torch.mul(d_new, slope, out=d_gates) @ weight
        d_gates, d_out, d_rest, out_slope, rest_slope, cell_slope, forget = self.slopes[depth][step]
        d_hidden, d_cell = d_new + self.d_hidden[depth], self.d_cells[depth]
        skipped: tuple[Tensor, Tensor] | None = None
        if self.valid is not None:
            valid = self.valid[step]
            skipped = d_hidden.masked_fill(valid, 0.0), d_cell.masked_fill(valid, 0.0)
            d_hidden, d_cell = torch.where(valid, d_hidden, 0.0), torch.where(valid, d_cell, 0.0)
        d_cell = torch.addcmul(d_cell, d_hidden, cell_slope)
        torch.mul(d_hidden, out_slope, out=d_out)
        torch.mul(d_cell[:, None], rest_slope, out=d_rest)
        d_inputs = d_gates @ weight
        self.d_hidden[depth], self.d_cells[depth] = d_inputs[:, -self.size :], d_cell * forget
        if skipped is not None:
            self.d_hidden[depth] = self.d_hidden[depth] + skipped[0]
            self.d_cells[depth] = self.d_cells[depth] + skipped[1]
        return d_inputs

    def finish(self) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Gradients of the tokens, of the first hidden and cells, and of the parameters."""
        d_xs = self.xs.new_zeros(self.xs.shape)
        d_parameters: list[Tensor] = []
        for depth, (layer, columns) in enumerate(zip(self.layers, self.x_columns, strict=True)):
            d_gates = self.d_gates[depth].flatten(0, 1)
            seen = [layer.inputs.flatten(0, 1)]
            if columns:
                seen.insert(0, self.xs.flatten(0, 1))
                d_xs.flatten(0, 1).addmm_(d_gates, self.weights[depth][:, :columns])
            d_parameters += [d_gates.t() @ torch.cat(seen, 1), d_gates.sum(0)]
        if not self.recurrent:
            nothing = self.xs.new_zeros(self.xs.shape[1], 0, self.size)
            return d_xs, nothing, nothing, d_parameters
        return d_xs, torch.stack(self.d_hidden, 1), torch.stack(self.d_cells, 1), d_parameters
