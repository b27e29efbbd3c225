"""Training and scoring on the samples of a file, and large batches packed on their way."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

import tasks
import zoo
from tasks import dataset
from tasks.batch import Batch
from tasks.packing import Packed, pack
from tests.tasks.samples import assert_same, values
from trainers import data, fixed_sets
from trainers.build import build_tasks
from trainers.cli import main
from trainers.config import compose
from trainers.data import Sampler, StepBatches
from trainers.evaluation import evaluate
from trainers.losses import Supervised
from trainers.trainer import Interrupted, Trainer, TrainerConfig
from trainers.usage import UsageError
from zoo import Reasoner

SMALL: dict[str, Any] = {
    "max_steps": 6, "batch_size": 4, "device": "cpu", "val_every": 3, "val_samples": 3, "checkpoint_every": 0,
    "eval_sizes": (5, 9), "eval_samples": 2, "prefetch": 2, "sizes": (4, 9),
}  # fmt: skip
COUNT = 40


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A file of small graphs."""
    return written(tmp_path / "set.npz")


def written(path: Path, *, seed: int = 1, sizes: tuple[int, ...] = (4, 9), task: str = "bfs") -> str:
    made = tasks.create(task)
    drawn = {"seed": seed, "sizes": list(sizes), "distributions": [], "index": 0}
    batch = made.sample(seed=seed, batch_size=COUNT, size=sizes)
    dataset.write(path, made, batch, drawn=drawn, force=True)
    return str(path)


def trainer(path: str, folder: Path | None = None, on_progress: Any = None, **options: Any) -> Trainer:
    task = tasks.create("bfs")
    torch.manual_seed(0)
    model = Reasoner([task.spec], zoo.create("mpnn", hidden_size=8))
    config = TrainerConfig(**(SMALL | {"data": path} | options))
    return Trainer(model, task, config, folder=folder, on_progress=on_progress)


def weights(made: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in made.model.state_dict().items()}


def graphs(batch: Batch) -> list[bytes]:
    """Each sample's graph and source."""
    return [
        batch.take([b]).inputs["A"].numpy().tobytes() + bytes([int(batch.inputs["s"][b])])
        for b in range(batch.batch_size)
    ]


@pytest.mark.parametrize("plain", [True, False])
def test_batches_are_drawn_from_the_file_with_replacement(
    path: str, plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not plain:
        monkeypatch.setattr(fixed_sets, "_PLAIN_BYTES", 0)
    made = trainer(path, batch_size=20).sampler
    assert isinstance(made.sets[0].samples, Batch if plain else Packed)
    whole = graphs(tasks.create("bfs").load(path))
    batches = [batch for step in range(20) for batch in made(step).batches]
    drawn = [graph for batch in batches for graph in graphs(batch)]
    assert set(drawn) == set(whole) and len({drawn.count(member) for member in set(drawn)}) > 1
    assert [i for batch in batches for i in batch.index.tolist()] == list(range(400))
    again = trainer(path, batch_size=20).sampler(3).batches[0]
    assert_same(values(again), values(made(3).batches[0]))


def test_a_run_on_a_file_stopped_half_way_goes_on_bit_for_bit_and_scores(tmp_path: Path, path: str) -> None:
    def stop(progress: Any) -> None:
        if progress.step == 4:
            signal.raise_signal(signal.SIGTERM)

    alone = trainer(path, tmp_path / "alone")
    alone.fit()
    with pytest.raises(Interrupted, match="after step 4"):
        trainer(path, tmp_path / "stopped", stop).fit()
    resumed = trainer(path, tmp_path / "stopped")
    assert resumed.fit()["resumed_from"] == 4
    for name, value in weights(alone).items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert [(cell.distribution, cell.size) for cell in alone.score()] == [("clrs", 5), ("clrs", 9)]
    streamed = trainer("stream", tmp_path / "streamed")
    streamed.fit()
    assert any(not torch.equal(value, weights(streamed)[name]) for name, value in weights(alone).items())


def test_another_file_under_the_same_name_is_another_run(tmp_path: Path, path: str) -> None:
    trainer(path, tmp_path / "run", max_steps=2).fit()
    assert trainer(path, tmp_path / "run", max_steps=2).fit()["resumed_from"] == 2
    written(Path(path), seed=2)
    with pytest.raises(Exception, match="is of another run: data"):
        trainer(path, tmp_path / "run").fit()


def test_a_file_is_scored_whole_whatever_the_batch(path: str) -> None:
    made = trainer("stream", eval_data=path, sizes=(4,))
    seen: list[Batch] = []
    made.model.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    cells = made.score()
    assert [(cell.distribution, cell.size, cell.graphs) for cell in cells] == [("clrs", 5, 2), ("file", 9, COUNT)]
    assert cells.metrics()["ood/score/n=9"] == cells.metrics()["ood/score/file/n=9"] == cells.cell(size=9).score
    assert cells.metrics()["ood/score/n=5"] == cells.cell(size=5).score
    whole = graphs(tasks.create("bfs").load(path))
    scored = [graph for batch in seen for graph in graphs(batch)]
    assert sorted(scored[-COUNT:]) == sorted(whole)
    task = tasks.create("bfs")
    one, other = (evaluate(made.model, task, sizes=(7,), samples=2, data=path, batch_size=size) for size in (40, 7))
    assert one.as_dict()[0] == other.as_dict()[0] and one.cell(size=9).distribution == "file"
    for wrong in ({"layout": "sparse"}, {"canonical": True}):
        with pytest.raises(ValueError, match=r"layout='dense'|not both"):
            evaluate(made.model, task, data=path, **wrong)


def test_sizes_distributions_and_layout_of_a_run_are_those_of_its_file(path: str) -> None:
    config = compose(["task=bfs", f"trainer.data={path}", "task.pointers=edges"])
    assert (config.trainer.sizes, config.trainer.distributions, config.trainer.layout) == ((4, 9), (), "dense")
    assert config.tree()["trainer"]["data"] == path
    assert config.trainer.scoring_data == "stream"
    assert [task.name for task in build_tasks(config)] == ["bfs"]


@pytest.mark.parametrize(
    ("words", "problem", "remedy"),
    [
        ("task=bfs trainer.data=missing.npz", "missing.npz", "write one: zoo sample bfs --out missing.npz"),
        ("task=copy trainer.data={path}", "holds samples of bfs, expected those of copy", "zoo sample copy"),
        ("task=bfs trainer.data={path} task.pointers=nodes", "another spec", "zoo sample bfs --out ANOTHER.npz"),
        ("task=bfs trainer.data={path} trainer.sizes=[5]", "sizes 4,9", "write trainer.sizes=[4,9]"),
        ("task=bfs trainer.data={path} trainer.distributions=[path]", "of the default", "trainer.distributions=[]"),
        ("task=bfs trainer.data={path} trainer.layout=sparse", "dense graphs", "write trainer.layout=dense"),
        ("task=[bfs,bellman_ford] trainer.data={path}", "of one task", "or several with trainer.data=stream"),
        ("task=bfs trainer.data={text}", "is broken", "zoo sample bfs"),
        ("task=bfs trainer.eval_data={path} trainer.eval_layout=sparse", "dense graphs", "trainer.eval_layout=dense"),
        ("task=bfs trainer.eval_data=no.npz trainer.eval_layout=dense", "trainer.eval_data: there is no", "zoo sample"),
        ("task=[bfs,bellman_ford] trainer.layout=dense trainer.eval_data={path}", "the run has several", "one task"),
        ("trainer.data=set.npy", "unknown 'set.npy'", "FILE.npz"),
    ],
)
def test_files_that_do_not_fit_are_told_with_the_fix(
    tmp_path: Path, path: str, words: str, problem: str, remedy: str
) -> None:
    text = tmp_path / "text.npz"
    text.write_text("no samples")
    with pytest.raises(UsageError) as raised:
        build_tasks(compose(words.format(path=path, text=text).split()))
    assert problem in raised.value.problem and remedy in raised.value.remedy


def test_samplers_refuse_what_the_file_does_not_hold(path: str) -> None:
    with pytest.raises(ValueError, match=r"sizes 4,9\nwrite trainer.sizes=\[4,9\]"):
        trainer(path, sizes=(4, 7))


def few(count: int, *, seed: int = 3) -> Sampler:
    config = TrainerConfig(**(SMALL | {"train_samples": count, "batch_size": 8}))
    return Sampler([tasks.create("bfs")], config, Supervised(), seed=seed)


def test_a_limited_stream_is_its_first_samples_again_and_again() -> None:
    task = tasks.create("bfs")
    drawn = [few(5)(step).batches[0] for step in range(6)]
    assert all(isinstance(batch, Batch) for batch in drawn)
    first = [task.sample(seed=data.stream_seed(3, "train"), batch_size=1, size=(4, 9), index=k) for k in range(6)]
    known = [each.inputs["A"].flatten().tolist() for each in first]
    seen = []
    for batch in drawn:
        for b, size in enumerate(batch.sizes.tolist()):
            seen.append(known.index(batch.inputs["A"][b, :size, :size].flatten().tolist()))
    assert set(seen) == set(range(5))
    assert torch.cat([batch.index for batch in drawn]).tolist() == list(range(48))


def test_more_samples_hold_the_fewer_ones_and_other_seeds_hold_others() -> None:
    fewer, more, others = (each.sets[0].samples for each in (few(4), few(9), few(4, seed=5)))
    assert isinstance(more, Batch)
    assert_same(values(more.take(range(4))), values(fewer))
    assert not torch.equal(others.inputs["A"], fewer.inputs["A"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"layout": "sparse"}, "trainer.layout=dense"),
        ({"data": "canonical", "sizes": (16,)}, "trainer.data=stream"),
        ({"sizes_by": "batch"}, "trainer.sizes_by=sample"),
        ({"train_samples": -1}, "negative"),
    ],
)
def test_what_a_limited_stream_cannot_do_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TrainerConfig(**({"train_samples": 7} | options))


def test_zoo_trains_on_a_file_that_zoo_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, run = str(tmp_path / "set.npz"), tmp_path / "run"
    assert main(["sample", "bfs", "--size", "4", "6", "--count", "12", "--out", path]) == 0
    words = ["processor=deep_sets", "task=bfs", "processor.hidden_size=8", "trainer.max_steps=2", "logger=none"]
    words += ["trainer.batch_size=4", "trainer.val_samples=4", "trainer.eval_samples=4", "control.steps=0"]
    words += [f"trainer.data={path}", f"trainer.eval_data={path}", "trainer.eval_sizes=[5]", f"run_dir={run}"]
    words += ["trainer.eval_layout=dense", "trainer.eval_distributions=[]"]
    assert main(["train", *words]) == 0
    assert "file" in capsys.readouterr().out
    assert f"data: {path}" in (run / "config.yaml").read_text(encoding="utf-8")


def test_a_packed_batch_makes_the_same_step() -> None:
    found = []
    for prepare in (lambda batch: batch, pack):
        made = trainer("stream", max_steps=1, accumulate=2)
        items = made.sampler(0)
        waiting = StepBatches(items.task, tuple(prepare(batch) for batch in items.batches), items.counts)
        report = made.training(0, waiting, {name: float(count) for name, count in items.counts.items()})
        found.append((report, weights(made)))
    assert torch.equal(found[0][0].values, found[1][0].values) and found[0][0][:4] == found[1][0][:4]
    assert all(torch.equal(value, found[1][1][name]) for name, value in found[0][1].items())


def test_only_large_batches_are_packed_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batch, "pin_memory", lambda self: self)
    monkeypatch.setattr(Packed, "pin_memory", lambda self: self)
    config = TrainerConfig(batch_size=4, sizes=(6,))
    made = Sampler([tasks.create("bfs")], config, Supervised(), seed=0, pin_memory=True)
    small = made(0)
    monkeypatch.setattr(data, "_PACKED_FROM", 0)
    large = made(0)
    assert isinstance(small.batches[0], Batch) and isinstance(large.batches[0], Packed)
    assert_same(values(large.batches[0].unpack()), values(small.batches[0]))
    assert large.counts == small.counts
