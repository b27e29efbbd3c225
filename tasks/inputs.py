"""Reading a user's inputs: by probe name, in the CLRS layout (one-hot floats) or the compact one of `Batch`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.registry import near
from tasks.spec import Location, Probe, Spec, Type

Array = NDArray[Any]


def class_dtype(classes: int) -> type[np.signedinteger[Any]]:
    """What keeps so many classes, and -1."""
    return np.int8 if classes <= 128 else np.int16


class Inputs:
    """A user's inputs for one task, read probe by probe; every error names the probe and says what came."""

    def __init__(
        self, spec: Spec, values: Mapping[str, Any], *, optional: Collection[str], extra: Collection[str] = ()
    ) -> None:
        """Check that the names are right.

        Args:
            spec: the task's probes.
            values: array-likes by probe name.
            optional: inputs that can be derived from the others.
            extra: names accepted beside the input probes.

        Raises:
            ValueError: an unknown name, or a missing one.
        """
        self.spec = spec
        self.values = values
        known = [probe.name for probe in spec.inputs]
        for name in values:
            if name not in known and name not in extra:
                raise ValueError(f"{spec.task} has no input {name!r}; {near(name, [*known, *extra])}")
        missing = [name for name in known if name not in values and name not in optional]
        if missing:
            raise ValueError(f"{spec.task} needs the inputs {', '.join(missing)}; got {', '.join(values) or 'none'}")

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def fail(self, name: str, expected: str, got: str) -> ValueError:
        """The error about one input."""
        return ValueError(f"{self.spec.task} input {name!r}: expected {expected}, got {got}")

    def array(self, name: str) -> Array:
        """The raw value as a numpy array of numbers without NaN or infinity."""
        value = self.values[name]
        value = value.detach().cpu().numpy() if hasattr(value, "detach") else value
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise self.fail(name, "an array", f"something ragged ({error})") from error
        if array.dtype.kind not in "biuf":
            raise self.fail(name, "numbers", f"dtype {array.dtype}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise self.fail(name, "finite numbers", "NaN or infinity")
        return array

    def shaped(self, name: str, shape: Sequence[int | str]) -> Array:
        """The raw value, its shape checked; a word in `shape` stands for any length and is used in the message."""
        array = self.array(name)
        wrong = array.ndim != len(shape) or any(
            isinstance(want, int) and want != have for want, have in zip(shape, array.shape, strict=True)
        )
        if wrong:
            raise self.fail(name, f"shape [{', '.join(map(str, shape))}]", f"shape {list(array.shape)}")
        return array

    def scalars(self, name: str, shape: Sequence[int | str]) -> Array:
        """A scalar probe as float64."""
        return self.shaped(name, shape).astype(np.float64)

    def masks(self, name: str, shape: Sequence[int | str]) -> Array:
        """A mask probe as bool."""
        array = self.shaped(name, shape)
        if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
            raise self.fail(name, "zeros and ones", f"values from {array.min()} to {array.max()}")
        return array.astype(np.bool_)

    def classes(self, name: str, shape: Sequence[int | str], classes: int) -> Array:
        """A categorical probe as compact classes, from classes or from one-hot rows with a last axis of `classes`."""
        array = self.array(name)
        if array.ndim == len(shape) + 1:
            hot = self.masks(name, (*shape, classes))
            if not (hot.sum(-1) == 1).all():
                raise self.fail(name, "one-hot rows", f"rows with {sorted(set(hot.sum(-1).ravel().tolist()))} ones")
            return hot.argmax(-1).astype(class_dtype(classes))
        array = self.shaped(name, shape)
        if not np.isin(array, np.arange(classes)).all():
            span = f"values from {array.min()} to {array.max()}" if array.size else "none"
            raise self.fail(name, f"whole numbers from 0 to {classes - 1}", span)
        return array.astype(class_dtype(classes))

    def node(self, name: str, sizes: Array, nodes: int) -> Array:
        """A node mask_one probe as int64 `[batch]`, from indices `[batch]` or one-hot rows `[batch, nodes]`."""
        array = self.array(name)
        if array.ndim == 0 and len(sizes) == 1:
            array = array[None]
        if array.ndim == 2:
            hot = self.masks(name, (len(sizes), nodes))
            if not (hot.sum(1) == 1).all():
                raise self.fail(name, "one-hot rows", f"rows with {sorted(set(hot.sum(1).tolist()))} ones")
            chosen = hot.argmax(1)
        else:
            chosen = array
            if chosen.shape != sizes.shape:
                raise self.fail(name, f"shape [{len(sizes)}] or [{len(sizes)}, {nodes}]", f"shape {list(chosen.shape)}")
            if chosen.dtype.kind not in "iu":
                raise self.fail(name, "integer node indices [batch] or one-hot rows", f"dtype {chosen.dtype}")
        outside = (chosen < 0) | (chosen >= sizes)
        if outside.any():
            b = int(outside.argmax())
            raise self.fail(name, f"a node from 0 to {sizes[b] - 1} in sample {b}", str(chosen[b]))
        return chosen.astype(np.int64)

    def pointers(self, name: str, sizes: Array, nodes: int) -> Array:
        """A node pointer probe as int64 `[batch, nodes]`, from indices or from one-hot rows `[batch, nodes, nodes]`."""
        array = self.array(name)
        if array.ndim == 3:
            array = self.masks(name, (len(sizes), nodes, nodes)).argmax(-1)
        else:
            array = self.shaped(name, (len(sizes), nodes))
        if array.dtype.kind not in "iu":
            raise self.fail(name, "integer node indices or one-hot rows", f"dtype {array.dtype}")
        if (array < 0).any() or (array >= sizes[:, None]).any():
            raise self.fail(name, "nodes of each sample", f"values from {array.min()} to {array.max()}")
        return array.astype(np.int64)

    def probe(self, probe: Probe, sizes: Array | None, nodes: int | None) -> Array:
        """An input by what its probe says it is.

        Args:
            probe: which; scalars, masks, classes, and nodes' indices.
            sizes: nodes of each sample, or None if they are not known yet.
            nodes: nodes of a padded sample, or None if not known yet.

        Returns:
            float64, bool, int8, int16 or int64 values in the dense layout, indices compact.
        """
        batch, row = "batch" if sizes is None else len(sizes), "nodes" if nodes is None else nodes
        shape: list[int | str] = {
            Location.NODE: [batch, row],
            Location.EDGE: [batch, row, row],
            Location.GRAPH: [batch],
        }[probe.location]
        shape += [probe.channels] if probe.channels > 1 else []
        if probe.type is Type.SCALAR:
            return self.scalars(probe.name, shape)
        if probe.type is Type.MASK:
            return self.masks(probe.name, shape)
        if probe.type is Type.CATEGORICAL:
            return self.classes(probe.name, shape, probe.classes)
        if sizes is None or nodes is None or probe.location is not Location.NODE:
            raise AssertionError(f"input {probe.name!r} cannot be read before the number of nodes is known")
        if probe.type is Type.MASK_ONE:
            return self.node(probe.name, sizes, nodes)
        return self.pointers(probe.name, sizes, nodes)

    def sizes(self, sizes: Sequence[int] | Any | None, batch: int, nodes: int) -> Array:
        """Nodes of each sample, int64 `[batch]`: all of them unless told otherwise."""
        if sizes is None:
            return np.full(batch, nodes, np.int64)
        given = np.asarray(sizes)
        if given.shape != (batch,) or given.dtype.kind not in "iu":
            raise ValueError(f"{self.spec.task}: sizes must be {batch} integers, one a sample, got {sizes!r}")
        if given.max() > nodes or given.min() < 0:
            raise ValueError(f"{self.spec.task}: sizes must lie between 0 and {nodes} nodes, got {given.tolist()}")
        return given.astype(np.int64)

    def empty_padding(self, name: str, array: Array, inside: Array) -> None:
        """Refuse values other than zero where `inside` is false."""
        if array[~inside].any():
            raise self.fail(name, "zeros past the end of each sample", "other values there")
