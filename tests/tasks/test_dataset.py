"""Files of samples: what is read is what was written, and what cannot be read is told."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tasks
from tasks import dataset
from tests.tasks.samples import assert_same, sizes_of, values


@pytest.mark.parametrize("name", tasks.list_tasks(ready=True))
def test_a_file_gives_back_what_was_saved(name: str, tmp_path: Path) -> None:
    task, path = tasks.create(name), tmp_path / "set.npz"
    batch = task.sample(seed=1, batch_size=11, size=sizes_of(name), index=5)
    task.save(path, (batch.take(part) for part in ([0, 1, 2], [3], list(range(4, 11)))))
    loaded = task.load(path)
    assert_same(values(loaded), values(batch))
    for field in ("lengths", "sizes", "index"):
        assert torch.equal(getattr(loaded, field), getattr(batch, field)), field
    assert loaded.spec == task.spec
    task.save(path, batch, force=True)
    assert_same(values(task.load(path)), values(batch))


def test_a_file_tells_what_it_holds_and_equal_samples_make_equal_files(tmp_path: Path) -> None:
    task = tasks.create("bfs", pointers="nodes")
    paths = [tmp_path / name for name in ("one.npz", "other.npz")]
    for path in paths:
        drawn = {"seed": 3, "sizes": [4, 7], "distributions": ["path"], "index": 2}
        batch = task.sample(seed=3, size=[4, 7], distribution="path", index=2, batch_size=6)
        dataset.write(path, task, batch, drawn=drawn)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    found = dataset.read(paths[0], task)
    assert (found.sizes, found.distributions) == ((4, 7), ("path",))
    assert found.fingerprint == dataset.read(paths[1], task).fingerprint
    about = json.loads(np.load(paths[0])["meta"].tobytes())
    assert about["task"] == "bfs" and about["options"]["pointers"] == "nodes" and about["samples"] == 6
    assert (about["seed"], about["index"], about["format"]) == (3, 2, dataset.FORMAT)
    assert about["version"] and about["spec"] == task.spec.as_dict()


def test_arrays_are_compact_and_read_without_this_library(tmp_path: Path) -> None:
    task, path = tasks.create("bfs"), tmp_path / "set.npz"
    batch = task.sample(size=[4, 16], batch_size=20)
    task.save(path, batch)
    with np.load(path, allow_pickle=False) as arrays:
        assert set(arrays.files) >= {"meta", "lengths", "sizes", "index", *values(batch)}
        lengths, sizes, reach = arrays["lengths"], arrays["sizes"], arrays["hint/reach_h"]
        taken = (lengths * sizes + 7) // 8
        assert reach.dtype == np.uint8 and len(reach) == taken.sum()
        first = int(taken[:5].sum())
        bits = np.unpackbits(reach[first : first + taken[5]], bitorder="little")[: lengths[5] * sizes[5]]
    wanted = batch.hints["reach_h"][: lengths[5], 5, : sizes[5]]
    np.testing.assert_array_equal(bits.reshape(lengths[5], sizes[5]), wanted.numpy())


def test_an_existing_file_stays_unless_told_otherwise_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    task, path = tasks.create("bfs"), tmp_path / "set.npz"
    batch = task.sample(size=4, batch_size=2)
    task.save(path, batch)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="force=True"):
        task.save(path, task.sample(size=5, batch_size=2))
    assert path.read_bytes() == before

    def failing() -> Any:
        yield batch
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        task.save(path, failing(), force=True)
    assert path.read_bytes() == before and [each.name for each in tmp_path.iterdir()] == ["set.npz"]


def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    task, path = tasks.create("bfs"), tmp_path / "set.npz"
    with pytest.raises(ValueError, match=r"ends in \.npz"):
        task.save(tmp_path / "set.npy", task.sample(size=4))
    with pytest.raises(ValueError, match="no samples"):
        task.save(path, [])
    with pytest.raises(ValueError, match="samples of copy"):
        task.save(path, tasks.create("copy").sample(size=4))
    with pytest.raises(ValueError, match="layout='dense'"):
        task.save(path, task.sample(size=4, layout="sparse"))
    with pytest.raises(ValueError, match="nothing is known of 'sed'; did you mean seed"):
        dataset.write(path, task, task.sample(size=4), drawn={"sed": 1})
    assert not list(tmp_path.iterdir())


def rewrite(path: Path, **changes: Any) -> None:
    """Put other arrays, or other values of `meta`, into a file; None leaves an array out."""
    with np.load(path) as archive:
        arrays = dict(archive)
    meta = json.loads(arrays["meta"].tobytes())
    meta |= {name: value for name, value in changes.items() if name in meta}
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    arrays |= {name: value for name, value in changes.items() if name not in meta}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 9}, "holds a data set of format 9, expected format 1"),
        ({"task": "dfs"}, "holds samples of dfs, expected those of bfs"),
        ({"meta": None}, "no data set of this library: it has no 'meta'"),
        ({"lengths": None}, "broken.*lengths"),
        ({"input/A": None}, "broken.*input/A"),
        ({"output/pi": np.zeros(3, np.uint8)}, "output/pi has 3 elements, expected"),
        ({"sizes": np.zeros(6, np.int32)}, "samples without frames or nodes"),
        ({"index": np.array([{"a": 1}] * 6)}, "broken"),
        ({"more": np.zeros(3)}, "more has 3 elements, expected none"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    task, path = tasks.create("bfs"), tmp_path / "set.npz"
    task.save(path, task.sample(size=5, batch_size=6))
    rewrite(path, **changes)
    with pytest.raises(ValueError, match=message) as raised:
        task.load(path)
    assert "set.npz" in str(raised.value)


def test_another_spec_and_broken_files_are_refused(tmp_path: Path) -> None:
    task, path = tasks.create("bfs"), tmp_path / "set.npz"
    task.save(path, task.sample(size=5, batch_size=6))
    other = "nodes" if task.config.pointers == "edges" else "edges"
    with pytest.raises(ValueError, match=f"domain of .* is {task.config.pointers} there, expected {other}"):
        tasks.create("bfs", pointers=other).load(path)
    whole = path.read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.npz").write_text("nothing of the kind")
    (tmp_path / "empty.npz").write_bytes(b"")
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("input/A.npy")
    middle = entry.header_offset + 60 + entry.compress_size // 2
    (tmp_path / "flipped.npz").write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    np.save(tmp_path / "single.npy", np.zeros(3))
    (tmp_path / "single.npy").rename(tmp_path / "single.npz")
    for name in ("cut", "text", "empty", "flipped", "single"):
        with pytest.raises(ValueError, match=f"{name}.npz is (broken|no data set)"):
            task.load(tmp_path / f"{name}.npz")
    with pytest.raises(FileNotFoundError):
        task.load(tmp_path / "missing.npz")
