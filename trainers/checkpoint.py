"""Checkpoints that are either complete or absent, whatever interrupts their writing.

A checkpoint is a folder `step-00000200`, written under another name, brought to the disk and then renamed:

    weights.safetensors   the model
    best.safetensors      the weights best on validation so far, if there are any
    state.pt              everything else; loads with `torch.load(weights_only=True)`
    meta.json             step, identity of the run, size and checksum of the files

The newest one counts; older ones are removed after a newer one stands.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as format_tensors
from torch import Tensor, nn

FORMAT = 1
WEIGHTS, BEST, STATE, META = "weights.safetensors", "best.safetensors", "state.pt", "meta.json"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used or written; two lines: what is wrong where, and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        step: steps done.
        weights: the model's tensors by name.
        best: those best on validation, or None.
        state: the rest: optimiser, random state, scores, position in the metrics.
        identity: what run it is of.
    """

    step: int
    weights: Mapping[str, Tensor]
    best: Mapping[str, Tensor] | None
    state: Mapping[str, Any]
    identity: Mapping[str, Any]


def save(folder: Path, checkpoint: Checkpoint, *, keep: int = 1) -> Path:
    """Write a checkpoint, then remove all but the newest `keep`.

    A checkpoint of the same step that is there already stays as it is.

    Args:
        folder: of all checkpoints of a run.
        checkpoint: what to write.
        keep: finished checkpoints that stay.

    Returns:
        The checkpoint's folder.

    Raises:
        CheckpointError: it could not be written; what was there before stays.
    """
    final = path_of(folder, checkpoint.step)
    if not final.exists():
        temporary = folder / f".{final.name}.tmp"
        files = {WEIGHTS: tensors_bytes(checkpoint.weights), STATE: _torch_bytes(checkpoint.state)}
        if checkpoint.best is not None:
            files[BEST] = tensors_bytes(checkpoint.best)
        meta = {
            "format": FORMAT,
            "step": checkpoint.step,
            "identity": dict(checkpoint.identity),
            "files": {name: {"bytes": len(data), "crc32": zlib.crc32(data)} for name, data in files.items()},
        }
        files[META] = json.dumps(meta, indent=1).encode()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            for name, data in files.items():
                write(temporary / name, data)
            _sync_folder(temporary)
            os.rename(temporary, final)
            _sync_folder(folder)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            previous = newest(folder)
            left = f"the checkpoint {previous.name} is kept" if previous else "there is no earlier one"
            raise CheckpointError(f"cannot write checkpoint {final}: {error}\n{left}; make room and resume") from error
    _prune(folder, keep)
    return final


def write(path: Path, data: bytes) -> None:
    """Write a new file and bring it to the disk."""
    with open(path, "xb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())


def replace(path: Path, data: bytes) -> None:
    """Write a file under another name and rename it: there is always the old one or the new one, complete."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        write(temporary, data)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    os.rename(temporary, path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _finished(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(path for path in folder.glob("step-*") if path.is_dir())


def _prune(folder: Path, keep: int) -> None:
    """Remove old checkpoints; renamed first, so that a half-removed one is not taken for complete."""
    for path in _finished(folder)[:-keep]:
        gone = folder / f".{path.name}.old"
        shutil.rmtree(gone, ignore_errors=True)
        os.rename(path, gone)
    for path in (*folder.glob(".step-*.old"), *folder.glob(".step-*.tmp")):
        shutil.rmtree(path, ignore_errors=True)


def path_of(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / f"step-{step:08d}"


def step_of(path: Path) -> int:
    """The step of a checkpoint's folder."""
    return int(path.name.removeprefix("step-"))


def newest(folder: Path) -> Path | None:
    """The newest complete checkpoint in a folder, if there is one."""
    finished = _finished(folder)
    return finished[-1] if finished else None


def clear(folder: Path) -> None:
    """Remove all checkpoints and best weights of a run that starts anew."""
    for path in (*folder.glob("step-*"), *folder.glob(".step-*")):
        shutil.rmtree(path, ignore_errors=True)
    (folder / BEST).unlink(missing_ok=True)


def load(
    path: Path, *, identity: Mapping[str, Any] | None = None, defaults: Mapping[str, Any] | None = None
) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: its folder.
        identity: what run it must be of; None takes any.
        defaults: see `check_identity`.

    Raises:
        CheckpointError: unreadable, truncated, or of another run; names the file and what differs.
    """
    meta = _read_meta(path / META)
    if identity is not None:
        check_identity(path, meta["identity"], identity, defaults)
    data = {}
    for name, expected in meta["files"].items():
        data[name] = _read_bytes(path / name)
        if len(data[name]) != expected["bytes"] or zlib.crc32(data[name]) != expected["crc32"]:
            raise _unreadable(path / name, f"{len(data[name])} of {expected['bytes']} bytes, or changed since")
    try:
        state = torch.load(io.BytesIO(data[STATE]), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler meets
        raise _unreadable(path / STATE, str(error).split("\n")[0]) from error
    best = _parse(path / BEST, data[BEST])[0] if BEST in data else None
    return Checkpoint(meta["step"], _parse(path / WEIGHTS, data[WEIGHTS])[0], best, state, meta["identity"])


def _read_meta(path: Path) -> dict[str, Any]:
    """The description of a checkpoint."""
    try:
        meta = json.loads(_read_bytes(path))
        known = meta["format"] == FORMAT and {WEIGHTS, STATE} <= set(meta["files"])
        meta["step"], meta["identity"]
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise _unreadable(path, f"no description of a checkpoint ({error})") from error
    if not known:
        raise _unreadable(path, f"format {meta['format']}, this version reads {FORMAT}")
    return meta


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def _unreadable(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"cannot read checkpoint file {path}: {why}\nremove it, or start anew with trainer.resume=false"
    )


def _parse(path: Path, data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file's bytes."""
    try:
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {}) if len(data) >= 8 + length else {}
        return parse_tensors(data), metadata
    except (SafetensorError, ValueError) as error:
        raise _unreadable(path, str(error)) from error


def tensors_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Tensors in the safetensors format."""
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    return format_tensors(plain, dict(metadata or {}))


def _torch_bytes(state: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def check_identity(
    path: Path, there: Mapping[str, Any], here: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> None:
    """Refuse a checkpoint of another run, naming the first few entries that differ.

    Args:
        path: of the checkpoint, for the message.
        there: the checkpoint's identity.
        here: the run's.
        defaults: values of options that did not exist yet when a checkpoint was written, in the form of an identity.
    """
    differences = list(_differences(_completed(there, here, defaults or {}), here))
    if differences:
        more = f" (and {len(differences) - 3} more)" if len(differences) > 3 else ""
        raise CheckpointError(
            f"checkpoint {path} is of another run: {'; '.join(differences[:3])}{more}\n"
            "use the options of that run or another run folder, or start anew with trainer.resume=false"
        )


def _completed(there: Mapping[str, Any], here: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """An identity with the defaults of the options of `here` that it lacks."""
    missing = {key: defaults[key] for key in here if key not in there and key in defaults}
    return missing | {
        key: _completed(value, here[key], defaults[key])
        if all(isinstance(tree.get(key), Mapping) for tree in (there, here, defaults))
        else value
        for key, value in there.items()
    }


def _differences(there: Any, here: Any, name: str = "") -> Iterator[str]:
    """Where two trees of plain data differ."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for key in dict.fromkeys([*there, *here]):
            yield from _differences(there.get(key), here.get(key), f"{name}.{key}" if name else str(key))
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for k, (one, other) in enumerate(zip(there, here, strict=True)):
            named = one.get("name", k) if isinstance(one, Mapping) else k
            yield from _differences(one, other, f"{name}.{named}")
    elif there != here:
        yield f"{name} is {json.dumps(there)} there, {json.dumps(here)} here"


def plain(value: Any) -> Any:
    """A tree of plain data as it comes back from JSON, to compare with one that did."""
    return json.loads(json.dumps(value, default=str))


def save_weights(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write one file of weights, in one piece or not at all; metadata is kept as JSON.

    Raises:
        OSError: it could not be written; what was there before stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # One entry, for the format keeps several in no fixed order and equal weights should be equal files.
    replace(path, tensors_bytes(tensors, {"run": json.dumps(metadata)}))


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a file that `save_weights` wrote.

    Raises:
        CheckpointError: it is unreadable or truncated.
    """
    tensors, metadata = _parse(path, _read_bytes(path))
    return tensors, json.loads(metadata.get("run", "{}"))


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], *, path: Path, prefix: str = "") -> None:
    """Put tensors into a module.

    Args:
        module: that they are of.
        tensors: by name.
        path: where they come from, for the error.
        prefix: of the names that are meant (`"processor."`); others are left out.

    Raises:
        CheckpointError: names or shapes that do not fit.
    """
    given = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    own = module.state_dict()
    wrong = [f"it lacks {name}" for name in own if name not in given]
    wrong += [f"{name} has no place" for name in given if name not in own]
    wrong += [
        f"{name} is {list(given[name].shape)} there, {list(own[name].shape)} here"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise CheckpointError(
            f"weights {path} do not fit the model: {'; '.join(wrong[:3])}{more}\n"
            "build the model with the options that it was trained with"
        )
    module.load_state_dict(given)
