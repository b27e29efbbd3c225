"""Data sets in files: npz archives with arrays for each probe, compact as in `tasks.packing`, and no pickles.

`lengths`, `sizes` and `index` are those of a `Batch`. `STAGE/NAME` holds a probe's values, sample after sample without
padding, in the order of frames, nodes and channels; of probes that keep only changes there are `….changed` and
`….counts` besides. `meta`, JSON in bytes, tells how each probe is kept (`columns`, see `tasks.columns.Column`), of
which task and spec the samples are, and how they were drawn: seed, sizes, distributions, number of the first sample,
the task's options, version of this package. `zoo sample` writes such files, `Task.load` reads them.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.batch import Batch
from tasks.columns import Column
from tasks.packing import EDGES, Packed, assemble, pack, unified
from tasks.registry import near
from tasks.spec import Spec

if TYPE_CHECKING:
    from tasks.task import Task

FORMAT = 1
"""Version of the layout above; files of others are refused."""
SUFFIX = ".npz"
_META = "meta"
_DRAWN = ("seed", "sizes", "distributions", "index")
# Of every member, so that equal samples make equal files.
_DATE = (1980, 1, 1, 0, 0, 0)
_BROKEN = (ValueError, KeyError, TypeError, IndexError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error)


class DataSet(NamedTuple):
    """What a file holds.

    Attributes:
        samples: all of them, packed.
        sizes: that samples were drawn at; numbers of nodes where the file does not tell.
        distributions: that they were drawn from; empty is the task's default.
        about: everything that the file tells about them.
        fingerprint: changes with any byte of the file.
    """

    samples: Packed
    sizes: tuple[int, ...]
    distributions: tuple[str, ...]
    about: Mapping[str, Any]
    fingerprint: str


def write(
    path: str | Path,
    task: Task,
    batches: Batch | Iterable[Batch],
    *,
    drawn: Mapping[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write samples of a task, in one piece or not at all.

    Args:
        path: of the file, which ends in `.npz`.
        task: whose samples they are.
        batches: in the dense layout; one after another, each is packed before the next is asked for.
        drawn: how, of `seed`, `sizes`, `distributions` and `index`.
        force: whether to write over a file that exists.

    Raises:
        FileExistsError: there is such a file already.
        ValueError: another suffix, no samples, samples of another spec, in the sparse layout or without their hints.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: a data set's file ends in {SUFFIX}")
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists already; force=True writes over it")
    for name in drawn or ():
        if name not in _DRAWN:
            raise ValueError(f"{path}: nothing is known of {name!r}; {near(name, _DRAWN)}")
    chunks = []
    for batch in [batches] if isinstance(batches, Batch) else batches:
        if batch.spec != task.spec:
            raise ValueError(f"{path}: samples of {batch.spec.task} with another spec than that of {task.name}")
        if batch.edge_index is not None:
            raise ValueError(f"{path}: samples are written in the dense layout: make them with layout='dense'")
        if not batch.recorded:
            raise ValueError(f"{path}: samples are written with all hints: make them with hints='full'")
        chunks.append(pack(batch))
    if not chunks:
        raise ValueError(f"{path}: no samples to write")
    chunks = unified(chunks)
    about = {
        "format": FORMAT,
        "version": _version(),
        "task": task.name,
        "options": asdict(task.config),
        "spec": task.spec.as_dict(),
        "samples": sum(chunk.batch_size for chunk in chunks),
        **(drawn or {}),
        "columns": {name: asdict(column) for name, column in chunks[0].columns.items()},
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write(temporary, about, chunks)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: str | Path, task: Task) -> DataSet:
    """Read samples of a task.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is broken, no data set, or one of another task, spec or format; it names both sides.
    """
    path = Path(path)
    with path.open("rb") as file:
        fingerprint = hashlib.file_digest(file, "sha256").hexdigest()
    about = read_about(path)
    arrays = _arrays(path)
    if about["task"] != task.name:
        raise ValueError(f"{path} holds samples of {about['task']}, expected those of {task.name}")
    try:
        spec = Spec.from_dict(about["task"], about["spec"])
        columns = {name: Column(**column) for name, column in about["columns"].items()}
    except _BROKEN as error:
        raise _broken(path, error) from error
    if spec != task.spec:
        raise ValueError(f"{path} holds samples of {task.name} with another spec: {_difference(spec, task.spec)}")
    try:
        parts = {name: torch.from_numpy(array) for name, array in arrays.items() if name != "index"}
        lengths, sizes, index = (torch.from_numpy(arrays[name]).long() for name in ("lengths", "sizes", "index"))
        samples = assemble(spec, columns, parts, lengths, sizes, index)
        _check_parts(samples)
        drawn_at = tuple(map(int, about.get("sizes") or sizes.unique().tolist()))
        return DataSet(samples, drawn_at, tuple(about.get("distributions") or ()), about, fingerprint)
    except _BROKEN as error:
        raise _broken(path, error) from error


def read_about(path: str | Path) -> dict[str, Any]:
    """What a file tells about its samples.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is broken, no data set, or one of another format.
    """
    path = Path(path)
    meta = _arrays(path, meta=True).get(_META)
    try:
        about = None if meta is None else json.loads(meta.tobytes())
    except ValueError as error:
        raise _broken(path, error) from error
    if not isinstance(about, dict) or not {"format", "task", "spec", "columns"} <= about.keys():
        raise ValueError(f"{path} is no data set of this library: it has no {_META!r} that tells of one")
    if about["format"] != FORMAT:
        raise ValueError(
            f"{path} holds a data set of format {about['format']}, expected format {FORMAT}: it was written by version "
            f"{about.get('version')} of this library, this is {_version()}"
        )
    return about


def _write(path: Path, about: Mapping[str, Any], chunks: list[Packed]) -> None:
    """All members, each joined only when it is written."""
    meta = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:

        def add(name: str, array: NDArray[Any]) -> None:
            entry = zipfile.ZipInfo(f"{name}.npy", _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)

        add(_META, meta)
        add("index", torch.cat([chunk.index for chunk in chunks]).numpy())
        parts = [chunk.parts for chunk in chunks]
        for name in chunks[0].places:
            add(name, torch.cat([each[name] for each in parts]).numpy())


def _arrays(path: Path, *, meta: bool = False) -> dict[str, NDArray[Any]]:
    """The arrays of an archive: `meta`, or all others."""
    try:
        # np.load leaves a file open that it opened itself and that is no archive.
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise ValueError("it holds a single array")
            return {name: archive[name] for name in archive.files if (name == _META) is meta}
    except _BROKEN as error:
        raise _broken(path, error) from error


def _check_parts(samples: Packed) -> None:
    """Refuse parts that do not fit lengths, sizes and spec."""
    named = {f"{probe.stage}/{probe.name}" for probe in samples.spec}
    if samples.columns.keys() != named or EDGES in samples.columns:
        raise ValueError(f"arrays of {', '.join(sorted(samples.columns))}")
    if int(samples.lengths.min()) < 1 or int(samples.sizes.min()) < 1:
        raise ValueError("samples without frames or nodes")
    expected = {name: int(counts.sum()) for name, counts in samples.sections()}
    found = {name: count for name, (_, count) in samples.places.items()}
    if found != expected:
        wrong = next(name for name in {**expected, **found} if expected.get(name) != found.get(name))
        raise ValueError(f"{wrong} has {found.get(wrong, 'no')} elements, expected {expected.get(wrong, 'none')}")


def _difference(there: Spec, here: Spec) -> str:
    """Where two specs differ, in one line."""
    ours, theirs = ({probe.name: probe for probe in spec} for spec in (here, there))
    for name in {**theirs, **ours}:
        if name not in ours:
            return f"it has a probe {name}, which is not expected"
        if name not in theirs:
            return f"it has no probe {name}, which is expected"
        if ours[name] != theirs[name]:
            one, other = (dict(vars(each)) for each in (theirs[name], ours[name]))
            key = next(key for key in one if one[key] != other[key])
            return f"{key} of {name} is {one[key]} there, expected {other[key]}"
    return "the order of its probes"


def _broken(path: Path, error: Exception) -> ValueError:
    """The error about a file that cannot be read."""
    return ValueError(f"{path} is broken, or no data set of this library: {' '.join(str(error).split())}")


def _version() -> str:
    """Of this package."""
    try:
        return version("algorithm-zoo")
    except PackageNotFoundError:
        return "unknown"
