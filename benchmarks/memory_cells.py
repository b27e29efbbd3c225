"""NTM and DNC: a whole training step on the copy task against pytorch-ntm and the `dnc` package.

Both train as pytorch-ntm's example does: cross-entropy of every bit, gradients clamped to ±10, RMSprop.

    python -m benchmarks ntm dnc --pytorch-ntm DIR
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import tasks
from benchmarks.measure import Options, Row, Variant, compare, no_compiler
from benchmarks.steps import swept
from tasks.batch import Batch

BITS = 8
NTM_TARGET, DNC_TARGET = 8.0, 4.0


def ntm(options: Options) -> list[Row]:
    """NTM, batch 32, length 20, memory 128×20, LSTM controller of 100."""
    batch_size, length, slots, word, units = (2, 3, 8, 4, 6) if options.smoke else (32, 20, 128, 20, 100)
    batch = copies(batch_size, length)
    ours, notes = variants(options, "ntm", batch, slots=slots, word=word, controller_size=units, output="concat")
    case = f"copy, batch {batch_size}, length {length}, memory {slots}×{word}, controller {units}"
    peers, unchecked = [], ""
    if options.pytorch_ntm is None:
        *ours, plain = ours
        peers = [plain]
        unchecked = "compared with our plain cell: for pytorch-ntm, pass --pytorch-ntm DIR, a checkout of it"
    else:
        peers = [Variant("pytorch-ntm", pytorch_ntm(options.pytorch_ntm, batch, slots, word, units))]
    return [compare("ntm", case, ours, peers, options, target=NTM_TARGET, unchecked=unchecked, notes=notes)]


def dnc(options: Options) -> list[Row]:
    """DNC, batch 16, 41 steps, memory 64×32, 4 read heads, LSTM controller of 128."""
    batch_size, length, slots, word, heads, units = (2, 3, 8, 4, 2, 6) if options.smoke else (16, 20, 64, 32, 4, 128)
    batch = copies(batch_size, length)
    ours, notes = variants(
        options, "dnc", batch, slots=slots, word=word, read_heads=heads, controller_size=units, output="concat"
    )
    case = f"batch {batch_size}, {2 * length + 1} steps, memory {slots}×{word}, {heads} read heads, LSTM {units}"
    peers = []
    try:
        package = importlib.import_module("dnc")
    except ImportError:
        pass
    else:
        peers = [Variant("dnc (PyPI)", dnc_package(package, batch, slots, word, heads, units))]
    return [compare("dnc", case, ours, peers, options, target=DNC_TARGET, notes=notes)]


def copies(batch_size: int, length: int) -> Batch:
    """A batch of the copy task; its sequences are 2 × length + 1 tokens of 9 channels."""
    return tasks.create("copy").sample(batch_size=batch_size, size=length)


def variants(options: Options, name: str, batch: Batch, **sizes: Any) -> tuple[list[Variant], list[str]]:
    """The cell's fused scan, its step compiled, and last the plain step; and what is to be said of them."""
    forms = {"eager": "scan", "step compiled": "compiled", "eager, plain step": "loop"}
    notes = []
    missing = no_compiler() if options.compiled else "--no-compile"
    if missing:
        del forms["step compiled"]
        notes = [f"compiled not measured: {missing}"]
    return [Variant(f"ours, {label}", swept(name, batch, form=form, **sizes)) for label, form in forms.items()], notes


def tokens_and_targets(batch: Batch) -> tuple[Tensor, Tensor]:
    """The copy task's tokens `[batch, tokens, 9]` and the bits due in its second half `[batch, length, 8]`."""
    tokens = torch.cat([batch.inputs["bits"].float(), batch.inputs["delimiter"].float()[..., None]], -1)
    length = (tokens.shape[1] - 1) // 2
    return tokens, batch.outputs["copied"][:, length + 1 :].float()


def rmsprop(parameters: list[nn.Parameter], loss: Callable[[], Tensor]) -> Callable[[], object]:
    """A training step that minimises a loss as pytorch-ntm does."""
    optimizer = torch.optim.RMSprop(parameters, lr=1e-4, alpha=0.95, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.clamp_(-10, 10)
        optimizer.step()

    return step


def pytorch_ntm(folder: str, batch: Batch, slots: int, word: int, units: int) -> Callable[[], object]:
    """A training step of a checkout of pytorch-ntm.

    Raises:
        ValueError: the folder holds none.
    """
    sys.path.insert(0, folder)
    try:
        module = importlib.import_module("ntm.aio")
    except ImportError as error:
        raise ValueError(f"--pytorch-ntm {folder}: no package `ntm` in that folder ({error})") from error
    finally:
        sys.path.remove(folder)
    net = module.EncapsulatedNTM(BITS + 1, BITS, units, 1, 1, slots, word)
    tokens, target = tokens_and_targets(batch)
    length = target.shape[1]

    def loss() -> Tensor:
        net.init_sequence(tokens.shape[0])
        for token in tokens[:, : length + 1].unbind(1):
            net(token)
        return F.binary_cross_entropy(torch.stack([net()[0] for _ in range(length)], 1), target)

    return rmsprop(list(net.parameters()), loss)


def dnc_package(package: Any, batch: Batch, slots: int, word: int, heads: int, units: int) -> Callable[[], object]:
    """A training step of the `dnc` package, with a linear output layer as ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = package.DNC(
            input_size=BITS + 1,
            hidden_size=units,
            rnn_type="lstm",
            num_layers=1,
            nr_cells=slots,
            cell_size=word,
            read_heads=heads,
            batch_first=True,
        )
    out = nn.Linear(BITS + 1, BITS)
    tokens, target = tokens_and_targets(batch)

    def loss() -> Tensor:
        ys, _ = net(tokens, (None, None, None), reset_experience=True)
        return F.binary_cross_entropy_with_logits(out(ys[:, -target.shape[1] :]), target)

    return rmsprop([*net.parameters(), *out.parameters()], loss)
