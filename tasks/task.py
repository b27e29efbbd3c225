"""The base class of all tasks: what `sample` and `execute` promise, and the checks that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks import dataset, generators, legacy
from tasks.batch import Batch
from tasks.canonical import split_of
from tasks.registry import near
from tasks.spec import Spec

Array = NDArray[Any]
LAYOUTS = ("dense", "sparse")
_KEPT_BYTES = 31 * 2**20


@dataclass(frozen=True)
class Draw:
    """What the randomness of a batch may depend on, sample by sample.

    Attributes:
        seed: the stream of samples, one 64-bit word.
        index: number of each sample in the stream, int64 `[batch]`.
        sizes: size drawn for each sample, int64 `[batch]`.
        kinds: position of each sample's distribution in the task's `distributions`, int64 `[batch]`.
        largest: largest size that a sample could have drawn.
    """

    seed: np.uint64
    index: Array
    sizes: Array
    kinds: Array
    largest: int


class Task(ABC):
    """Something to be learned: a spec, a sampler of inputs, and an algorithm that records its trace.

    Subclasses set `spec` in `__init__` and implement `_sample` and `_execute`.

    Attributes:
        config: the task's config dataclass.
        spec: its probes.
        min_size: smallest size that `sample` and `execute` take.
        layouts: layouts of the batches it can make.
        distributions: names of the input distributions it can sample; the first is the default.
        needs: an option that only the user can fill, such as a folder; without it the task cannot be made.
        aliases: other names of some of them: `ibarz2022` is the one that Ibarz et al. (2022) train a CLRS task on.
    """

    min_size: ClassVar[int] = 1
    layouts: ClassVar[frozenset[str]] = frozenset({"dense"})
    distributions: ClassVar[tuple[str, ...]] = ("uniform",)
    aliases: ClassVar[Mapping[str, str]] = {}
    needs: ClassVar[str] = ""
    config: Any
    spec: Spec

    def __init__(self, config: Any) -> None:
        self.config = config

    @property
    def name(self) -> str:
        """Registry name."""
        return self.spec.task

    def for_scoring(self, split: str = "test") -> Task:
        """The same task as the literature scores it, without what only training randomises, node positions.

        Args:
            split: `"test"` or `"val"`; the samples of a task that reads files follow from it.
        """
        if getattr(self.config, "random_pos", False):
            return type(self)(replace(self.config, random_pos=False))
        return self

    def sample(
        self,
        *,
        seed: int = 0,
        batch_size: int = 32,
        size: int | Sequence[int] = 16,
        index: int = 0,
        distribution: str | Sequence[str] | None = None,
        layout: str = "dense",
    ) -> Batch:
        """Draw inputs and run the algorithm on them.

        Sample number `index + k` is a pure function of the seed, of that number and of the choices offered by
        `size` and `distribution`: two half batches are the whole batch, up to padding.

        Args:
            seed: which stream of samples.
            batch_size: number of samples.
            size: size of every sample, or several of which each sample draws its own uniformly.
            index: number of the first sample.
            distribution: one of `distributions`, or several of which each sample draws its own uniformly; by
                default the first.
            layout: `"dense"`, padded at the end with zeros, or `"sparse"`, one disjoint union; see `Batch`.

        Returns:
            The batch.

        Raises:
            ValueError: a size below `min_size`, an unknown distribution or layout, an empty batch.
        """
        if batch_size < 1 or index < 0:
            raise ValueError(f"batch_size must be at least 1 and index at least 0, got {batch_size} and {index}")
        self._check_layout(layout)
        sizes = np.array([size] if isinstance(size, int | np.integer) else list(size))
        if not len(sizes) or sizes.dtype.kind not in "iu" or sizes.min() < self.min_size:
            raise ValueError(
                f"{self.name}: size must be an integer of at least {self.min_size} (or several), got {size}"
            )
        kinds = np.array([self._kind(name) for name in self._distribution_names(distribution)])
        numbers = np.arange(index, index + batch_size)
        word = generators.seed_word(seed)
        size_of = generators.choices(word, numbers, np.full(batch_size, len(sizes)), generators.SIZE)
        kind_of = generators.choices(word, numbers, np.full(batch_size, len(kinds)), generators.KIND)
        draw = Draw(
            seed=word,
            index=numbers,
            sizes=sizes[size_of].astype(np.int64),
            kinds=kinds[kind_of],
            largest=int(sizes.max()),
        )
        return self._sample(draw, layout)

    def execute(
        self,
        inputs: Mapping[str, Any],
        *,
        sizes: Sequence[int] | Tensor | Array | None = None,
        layout: str | None = None,
    ) -> Batch:
        """Run the algorithm on given inputs.

        Args:
            inputs: array-likes by probe name with a batch axis, in the CLRS layout (one-hot floats) or in the compact
                layout of `Batch`. Inputs that follow from others may be left out. A task with a sparse layout also
                takes `edge_index` `[2, ΣE]` and edge probes `[ΣE]`: one graph, or a disjoint union. A task on graphs
                also takes a networkx graph or a scipy sparse matrix as A, or a list of them, and as `s` a node of each.
            sizes: number of nodes of each sample, for batches that mix sizes and for disjoint unions; by default
                every node is used.
            layout: of what is made of graphs and sparse matrices: sparse where the task has that layout, unless told
                otherwise. Arrays keep their own.

        Returns:
            The batch, in the layout of the inputs.

        Raises:
            ValueError: wrong names, shapes, dtypes or values; it names the probe, what was expected and what came.
        """
        if layout is not None:
            self._check_layout(layout)
        return self._execute(*self._arrays(inputs, sizes, layout))

    def canonical(self, split: str) -> Batch:
        """A published data set of the CLRS benchmark, value for value.

        Inputs are those of the benchmark's package, drawn call for call from numpy's legacy generator; positions are
        evenly spaced whatever the config says of them.

        Args:
            split: `"train"` (1000 samples of size 16), `"val"` (32 of size 16) or `"test"` (32 of size 64); of
                the latter two 32 or 64 times as many where a sample's answer is one node or one bit.

        Returns:
            The whole set, in the dense layout and in the published order.

        Raises:
            ValueError: an unknown split, or a task that the benchmark's sets are not known for.
        """
        samples, size, seed = split_of(split, self.name)
        return self.execute(legacy.draw(self.name, seed=seed, samples=samples, size=size))

    def save(self, path: str | Path, batches: Batch | Iterable[Batch], *, force: bool = False) -> None:
        """Write samples to a file, compactly: see `tasks.dataset`.

        Args:
            path: of the file, which ends in `.npz`.
            batches: in the dense layout; of several, each is packed before the next is asked for.
            force: whether to write over a file that exists.

        Raises:
            FileExistsError: there is such a file already.
            ValueError: another suffix, no samples, samples of another spec or in the sparse layout.
        """
        dataset.write(path, self, batches, force=force)

    def load(self, path: str | Path) -> Batch:
        """The samples of a file that `save` or `zoo sample` wrote, all in one batch.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is broken, no data set, or one of another task, spec or format; it names both sides.
        """
        return dataset.read(path, self).samples.unpack()

    @abstractmethod
    def _sample(self, draw: Draw, layout: str) -> Batch:
        """Draw one input a sample, from `draw` alone, and run the algorithm."""

    @abstractmethod
    def _execute(self, inputs: Mapping[str, Any], sizes: Any) -> Batch:
        """Check the inputs and run the algorithm."""

    def _arrays(self, inputs: Mapping[str, Any], sizes: Any, layout: str | None) -> tuple[Mapping[str, Any], Any]:
        """Inputs and sizes as arrays, where a task also takes something else."""
        if layout is not None and layout != ("sparse" if "edge_index" in inputs else "dense"):
            raise ValueError(f"{self.name}: arrays keep their own layout; leave layout={layout!r} out")
        return inputs, sizes

    def _check_layout(self, layout: str) -> None:
        """Refuse a layout that does not exist or that the task lacks."""
        if layout not in LAYOUTS:
            raise ValueError(f"unknown layout {layout!r}; {near(layout, LAYOUTS)}")
        if layout not in self.layouts:
            raise ValueError(f"{self.name} has no {layout} layout; it has {', '.join(sorted(self.layouts))}")

    def _distribution_names(self, distribution: str | Sequence[str] | None) -> Sequence[str]:
        """The names asked for, at least one."""
        if distribution is None:
            return self.distributions[:1]
        names = [distribution] if isinstance(distribution, str) else list(distribution)
        if not names:
            raise ValueError(f"{self.name}: name at least one distribution of {', '.join(self.distributions)}")
        return names

    def _kind(self, name: str) -> int:
        """Position of a distribution's name."""
        known = self.aliases.get(name, name)
        if known not in self.distributions:
            choices = (*self.distributions, *self.aliases)
            raise ValueError(f"{self.name} has no distribution {name!r}; {near(str(name), choices)}")
        return self.distributions.index(known)

    def _check_sizes(self, sizes: Array) -> None:
        """Refuse given samples that are too small."""
        if len(sizes) == 0 or sizes.min() < self.min_size:
            got = "no samples" if len(sizes) == 0 else f"one of {sizes.min()}"
            raise ValueError(f"{self.name}: expected samples of at least {self.min_size} nodes, got {got}")


def tensors(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    """Numpy arrays as tensors over the same memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _keep_freed_memory() -> None:
    """Have the C library keep what batches free, instead of giving it back to the system and asking for it again.

    Fresh pages cost as much as a batch of hints does. glibc raises its limits to the largest block that was freed, if
    that has less than 32 MiB (mallopt(3), M_MMAP_THRESHOLD); this one is never touched, so that it takes no memory.
    """
    np.empty(_KEPT_BYTES, np.uint8)


_keep_freed_memory()
