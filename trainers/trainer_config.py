"""The trainer's options. Imports no torch, so that the command line reads them quickly."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tasks.canonical import CANONICAL, SPLITS
from tasks.registry import near, option
from trainers.curriculum import Curriculum, CurriculumConfig

OPTIMIZERS = ("adam", "adamw", "radam", "adamax_freivalds", "rmsprop", "rmsprop_graves", "sgd")
SCHEDULES = ("constant", "linear", "cosine")
PRECISIONS = ("float32", "bfloat16", "float16", "float64")
DEVICES = ("auto", "cpu", "cuda")
LAYOUTS = ("dense", "sparse")
MIXES = ("cycle", "draw")
DATA = ("stream", CANONICAL)
SIZES_BY = ("sample", "batch")
LOSSES_PER = ("entry", "sample")
_OPTIMIZERS_MEANING = (
    "adam, adamw, radam, adamax_freivalds (clipping by past gradients), rmsprop, rmsprop_graves (Graves 2013) or sgd"
)
# What may differ between a run and its resumption: where and how fast it runs, how long, and what is looked at.
_FREE = frozenset(
    {"max_steps", "time_limit", "resume", "device", "compile", "threads", "prefetch", "sample_threads"}
    | {"val_every", "val_samples", "val_sizes", "log_every", "checkpoint_every", "keep"}
    | {"eval_sizes", "eval_distributions", "eval_samples", "eval_batch_size", "eval_layout", "eval_data"}
)


def is_file(data: str) -> bool:
    """Whether a set of samples is named by its file."""
    return data.endswith(".npz")


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How a model is trained, validated and scored."""

    max_steps: int = option(1000, "optimiser steps in all")
    batch_size: int = option(32, "samples a micro-batch, over all processes together")
    accumulate: int = option(1, "micro-batches whose gradients make one optimiser step")
    data: str = option("stream", "training set: stream (new samples), canonical (the fixed CLRS set) or FILE.npz")
    train_samples: int = option(0, "samples of the stream that are all there is to train on; 0 for ever new ones")
    sizes: tuple[int, ...] = option((4, 7, 11, 13, 16), "training sizes; each sample draws its own")
    sizes_by: str = option("sample", "who draws a size: every sample, or the micro-batch (batch), then unpadded")
    curriculum: CurriculumConfig = option(CurriculumConfig(), "how training sizes are drawn and unlocked")
    distributions: tuple[str, ...] = option((), "training distributions, drawn likewise; none is the task's default")
    layout: str = option("dense", "layout of training batches: dense or sparse")
    task_mix: str = option("cycle", "order of several tasks: cycle by step, or draw one each step")

    optimizer: str = option("adam", _OPTIMIZERS_MEANING)
    lr: float = option(1e-3, "learning rate at its highest")
    schedule: str = option("constant", "learning rate after the warm-up: constant, linear or cosine decay")
    warmup_steps: int = option(0, "steps over which the learning rate rises linearly from 0")
    final_lr_ratio: float = option(0.0, "where linear and cosine decay end, as a share of lr")
    beta1: float = option(0.9, "first-moment decay of adam, adamw, radam and adamax_freivalds")
    beta2: float = option(0.999, "second-moment decay of adam, adamw and radam; of the maximum, in adamax_freivalds")
    momentum: float = option(0.0, "momentum of rmsprop, rmsprop_graves and sgd")
    alpha: float = option(0.95, "squared-gradient decay of rmsprop and rmsprop_graves")
    eps: float = option(0.0, "the optimiser's epsilon; 0 is its own default (1e-4 for rmsprop_graves)")
    weight_decay: float = option(0.0, "decoupled in adamw and radam, L2 in the others")
    clip_norm: float = option(1.0, "largest norm of the whole gradient; 0 does not clip")
    clip_value: float = option(0.0, "largest absolute value of a gradient component; 0 does not clip")
    loss_per: str = option("entry", "what a probe's loss is averaged over: entry (CLRS), or sample (Graves, 2014)")
    hint_weight: float = option(1.0, "weight of the hint losses next to the output losses")
    label_smoothing: float = option(0.0, "share of a class's target that is spread evenly over the other classes")
    penalty_weights: dict[str, float] = option({}, "weights of the processor's penalties by name; 1 if not named")

    device: str = option("auto", "auto (a GPU if there is one), cpu or cuda")
    precision: str = option("float32", "float32, float64, or mixed: bfloat16, float16 (with a loss scaler)")
    compile: bool = option(False, "torch.compile the model; without a C++ compiler a warning and the eager path")
    threads: int = option(0, "torch threads a process; 0 leaves them as they are")
    prefetch: int = option(4, "batches sampled ahead in threads; 0 samples in the training loop")
    sample_threads: int = option(1, "threads that sample")

    val_every: int = option(100, "steps between validations; 0 never validates, and the last weights are scored")
    val_samples: int = option(64, "samples a validation size")
    val_sizes: tuple[int, ...] = option((), "validation sizes; none is the largest training size")
    eval_sizes: tuple[int, ...] = option((16, 32, 64), "sizes at which the best weights are scored")
    eval_distributions: tuple[str, ...] = option((), "distributions of that table; none is the task's default")
    eval_samples: int = option(64, "graphs a cell of that table")
    eval_batch_size: int = option(32, "samples a batch of validation and scoring; fewer where memory needs it")
    eval_data: str = option("", "stream, canonical (the CLRS test set at its size) or FILE.npz; none: as data, no file")
    eval_layout: str = option("", "layout of validation and scoring; the training layout if not given")

    log_every: int = option(1, "steps between two lines of metrics")
    checkpoint_every: int = option(200, "steps between two checkpoints; 0 only at the end")
    keep: int = option(1, "finished checkpoints that stay, the newest ones")
    resume: bool = option(True, "go on from the run folder's last checkpoint, if it has one")
    time_limit: float = option(0.0, "seconds after which training stops as if it had been interrupted; 0 for none")

    def __post_init__(self) -> None:
        for name, choices in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
            ("device", DEVICES),
            ("layout", LAYOUTS),
            ("eval_layout", (*LAYOUTS, "")),
            ("task_mix", MIXES),
            ("sizes_by", SIZES_BY),
            ("loss_per", LOSSES_PER),
        ):
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(f"trainer.{name}: unknown {value!r}; {near(str(value), filter(None, choices))}")
        for name in ("data", "eval_data"):
            value = getattr(self, name)
            if value not in DATA and not is_file(value) and (value or name == "data"):
                raise ValueError(f"trainer.{name}: unknown {value!r}; {near(value, (*DATA, 'FILE.npz'))}")
        for name in ("batch_size", "accumulate", "log_every", "keep", "sample_threads", "val_samples",
                     "eval_samples", "eval_batch_size"):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"trainer.{name} must be at least 1, not {getattr(self, name)}")
        for name in ("train_samples", "max_steps", "warmup_steps", "final_lr_ratio", "lr", "eps", "weight_decay",
                     "clip_norm", "clip_value", "threads", "prefetch", "val_every", "checkpoint_every",
                     "time_limit"):  # fmt: skip
            if getattr(self, name) < 0:
                raise ValueError(f"trainer.{name} must not be negative, not {getattr(self, name)}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"trainer.label_smoothing must be from 0 to below 1, not {self.label_smoothing}")
        if not self.sizes:
            raise ValueError("trainer.sizes must hold at least one training size")
        if self.grows and not self.val_every:
            raise ValueError("trainer.curriculum unlocks sizes at validations, and trainer.val_every=0 has none")
        if self.data != "stream" and self.curriculum != CurriculumConfig():
            raise ValueError(f"trainer.data={self.data} is a set of fixed samples, which no curriculum chooses from")
        self._check_fixed()
        self._check_few()

    def _check_fixed(self) -> None:
        """Refuse what a fixed set would silently do otherwise."""
        size, fixes = SPLITS["train"].size, []
        if self.data == CANONICAL:
            fixes += [f"trainer.sizes=[{size}]"] if tuple(self.sizes) != (size,) else []
            fixes += ["trainer.distributions=[]"] if self.distributions else []
        fixed = self.data == CANONICAL or is_file(self.data)
        fixes += ["trainer.layout=dense"] if fixed and self.layout != "dense" else []
        if self.data == CANONICAL or self.scoring_data != "stream":
            follows = fixed and not self.eval_layout
            fixes += ["trainer.eval_layout=dense"] if self.scoring_layout != "dense" and not follows else []
        if fixes:
            name, value = ("data", self.data) if fixed else ("eval_data", self.eval_data)
            kind = " of one size and kind" if value == CANONICAL else ""
            raise ValueError(f"trainer.{name}={value} is a set of dense graphs{kind}\nwrite {' '.join(fixes)}")

    def _check_few(self) -> None:
        """Refuse what goes with ever new samples only."""
        if not self.train_samples:
            return
        if self.curriculum != CurriculumConfig():
            raise ValueError("trainer.train_samples is a set of fixed samples, which no curriculum chooses from")
        wanted = {"data": "stream", "layout": "dense", "sizes_by": "sample"}
        fixes = [f"trainer.{name}={value}" for name, value in wanted.items() if getattr(self, name) != value]
        if fixes:
            problem = "trainer.train_samples takes a set of dense samples of mixed sizes from the stream"
            raise ValueError(f"{problem}\nwrite {' '.join(fixes)}")

    def lasting(self) -> dict[str, Any]:
        """The options that a run and its resumption must share: all that decide what is learned."""
        free = _FREE - {"val_every", "val_samples"} if self.grows else _FREE
        return {name: value for name, value in asdict(self).items() if name not in free}

    @property
    def grows(self) -> bool:
        """Whether validations unlock training sizes."""
        return Curriculum(self.curriculum, self.sizes).grows

    @property
    def scoring_data(self) -> str:
        """What scoring takes; not the file that is trained on."""
        return self.eval_data or ("stream" if is_file(self.data) else self.data)

    def scoring(self) -> dict[str, Any]:
        """The arguments of `trainers.evaluate` that the table of scores is made with."""
        return {
            "sizes": self.eval_sizes,
            "distributions": self.eval_distributions or None,
            "samples": self.eval_samples,
            "batch_size": self.eval_batch_size,
            "layout": self.scoring_layout,
            "canonical": self.scoring_data == CANONICAL,
            "data": self.scoring_data if is_file(self.scoring_data) else None,
            "precision": self.precision,
        }

    @property
    def scoring_layout(self) -> str:
        """Layout of validation and scoring."""
        return self.eval_layout or self.layout

    @property
    def validation_sizes(self) -> tuple[int, ...]:
        """Sizes of validation."""
        return self.val_sizes or (max(self.sizes),)
