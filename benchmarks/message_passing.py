"""A training step of a processor on BFS, on the complete graph as in CLRS, against dm-clrs's jitted step.

Both train on the same samples, drawn by dm-clrs where it is installed, with all hints fed back and predicted. A batch
is as deep as its deepest sample; dm-clrs pads every batch to the deepest seen so far and compiles anew for each
depth, so that both get one batch again and again here.

    python -m benchmarks mpnn
"""

from __future__ import annotations

import importlib
import logging
import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import tasks
import zoo
from benchmarks.measure import Options, Row, Variant, compare, no_compiler
from benchmarks.steps import Trained
from tasks.batch import Batch
from trainers.step import compile_processor
from zoo.encoders import TRIPLET_WIDTH

TARGET = 1.3
LEARNING_RATE = 1e-3
# Of the training graphs of dm-clrs's own example.
EDGE_PROBABILITIES = tuple(0.1 * k for k in range(1, 10))


def mpnn(options: Options) -> list[Row]:
    """Batch 32, n = 16, hidden 128."""
    return against_clrs("mpnn", options, target=TARGET)


def against_clrs(name: str, options: Options, *, target: float) -> list[Row]:
    """A training step of a processor against the jitted one of dm-clrs's processor of that name.

    Args:
        name: of the processor, there and here.
        options: of the command line.
        target: what the ratio must reach.
    """
    batch_size, size, hidden = (4, 5, 8) if options.smoke else (32, 16, 128)
    task = tasks.create("bfs", pointers="nodes")
    peers = []
    clrs = import_clrs()
    if clrs is None:
        batch = task.sample(batch_size=batch_size, size=size, distribution=["clrs", "sparse"])
    else:
        feedback, spec = draw(clrs, batch_size, size)
        batch = same_samples(task, feedback)
        frames = feedback.features.hints[0].data.shape[0]
        assert frames == batch.num_steps + 1, "not the same number of processor steps"
        peers = [Variant("dm-clrs, jitted", clrs_step(clrs, name, spec, feedback, hidden))]
    ours = [Variant("ours, eager", trained(name, batch, hidden))]
    notes = [f"{batch.num_steps} processor steps a batch in both" if peers else f"{batch.num_steps} processor steps"]
    missing = no_compiler() if options.compiled else "--no-compile"
    if missing:
        notes.append(f"compiled not measured: {missing}")
    else:
        compiled = trained(name, batch, hidden)
        compile_processor(compiled.model, torch.device("cpu"))
        ours.append(Variant("ours, compiled", compiled))
    case = f"bfs, batch {batch_size}, n = {size}, hidden {hidden}, {batch.num_steps} steps, complete graph"
    return [compare(name, case, ours, peers, options, target=target, notes=notes)]


def trained(name: str, batch: Batch, hidden: int) -> Trained:
    """Our training step."""
    torch.manual_seed(0)
    return Trained(batch, zoo.create(name, hidden_size=hidden))


def import_clrs() -> Any | None:
    """The dm-clrs package, or None where it is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        return importlib.import_module("clrs")
    except ImportError:
        return None


def draw(clrs: Any, batch_size: int, size: int) -> tuple[Any, Any]:
    """A batch of training graphs and the task's spec."""
    sampler, spec = clrs.build_sampler(
        "bfs", num_samples=-1, seed=0, track_max_steps=False, length=size, p=EDGE_PROBABILITIES
    )
    return sampler.next(batch_size), spec


def same_samples(task: tasks.Task, feedback: Any) -> Batch:
    """The graphs of a batch of dm-clrs as a batch of ours; its inputs are those of our spec."""
    inputs = {point.name: np.asarray(point.data) for point in feedback.features.inputs}
    return task.execute(inputs)


def clrs_step(clrs: Any, name: str, spec: Any, feedback: Any, hidden: int) -> Callable[[], object]:
    """The jitted training step of dm-clrs's baseline model, with its processor of that name."""
    jax = importlib.import_module("jax")
    factory = clrs.get_processor_factory(
        name, use_ln=True, nb_triplet_fts=TRIPLET_WIDTH if name.startswith("triplet") else 0, nb_heads=1
    )
    model = clrs.models.BaselineModel(
        spec=[spec],
        dummy_trajectory=[feedback],
        processor_factory=factory,
        hidden_dim=hidden,
        encode_hints=True,
        decode_hints=True,
        encoder_init="default",
        use_lstm=False,
        learning_rate=LEARNING_RATE,
        checkpoint_path=tempfile.gettempdir(),
        freeze_processor=False,
        dropout_prob=0.0,
        hint_teacher_forcing=0.0,
        hint_repred_mode="soft",
        nb_msg_passing_steps=1,
    )
    model.init([feedback.features], 0)
    key = jax.random.PRNGKey(0)

    def step() -> None:
        loss = model.feedback(key, feedback)
        jax.block_until_ready((loss, model.params))

    return step
