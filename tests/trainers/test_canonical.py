"""Training and scoring on the benchmark's fixed sets, and micro-batches of one size."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

import tasks
import zoo
from tasks.batch import Batch
from trainers.config import compose
from trainers.data import Sampler
from trainers.evaluation import Evaluation, evaluate
from trainers.losses import Supervised
from trainers.runs import config_hash
from trainers.trainer import Interrupted, Trainer, TrainerConfig
from trainers.usage import UsageError
from zoo import Reasoner, ReasonerConfig

CANONICAL: dict[str, Any] = {"data": "canonical", "sizes": (16,)}
SMALL: dict[str, Any] = {
    "max_steps": 4, "batch_size": 4, "device": "cpu", "val_every": 2, "val_samples": 3, "checkpoint_every": 0,
    "eval_sizes": (5, 64), "eval_samples": 2, "prefetch": 2,
}  # fmt: skip


def sampler(rank: int = 0, world: int = 1, seed: int = 0, **options: Any) -> Sampler:
    config = TrainerConfig(**({"batch_size": 5, "accumulate": 2} | options))
    both = [tasks.create("bellman_ford"), tasks.create("bfs")]
    return Sampler(both, config, Supervised(), seed=seed, rank=rank, world=world)


def model_of(*names: str) -> tuple[list[Any], Reasoner]:
    several = [tasks.create(name) for name in names]
    torch.manual_seed(0)
    config = ReasonerConfig(teacher_forcing=0.5)
    return several, Reasoner([one.spec for one in several], zoo.create("mpnn", hidden_size=8), config=config)


def trainer(folder: Path | None = None, on_progress: Any = None, **options: Any) -> Trainer:
    several, model = model_of("bfs")
    return Trainer(model, several, TrainerConfig(**(SMALL | options)), folder=folder, on_progress=on_progress)


def members(batch: Batch, whole: Batch) -> list[int]:
    """Positions in the whole set of a batch's samples, by their inputs."""
    keys = [
        [
            graph.numpy().tobytes() + bytes([source])
            for graph, source in zip(one.inputs["A"], one.inputs["s"], strict=True)
        ]
        for one in (whole, batch)
    ]
    places = {key: place for place, key in enumerate(keys[0])}
    assert len(places) == whole.batch_size
    return [places[key] for key in keys[1]]


def test_canonical_batches_are_drawn_from_the_set_all_over_with_replacement() -> None:
    made, whole = sampler(**CANONICAL, batch_size=100), tasks.create("bellman_ford").canonical("train")
    drawn = [m for step in range(0, 20, 2) for batch in made(step).batches for m in members(batch, whole)]
    counts = torch.bincount(torch.tensor(drawn), minlength=1000)
    assert len(counts) == 1000 and int(counts.max()) < 12
    # Of 2000 draws a share of exp(-2) of the members is missed, give or take 1 in a hundred.
    assert abs(float((counts == 0).float().mean()) - 0.1353) < 0.04


def test_a_canonical_batch_has_numbers_of_its_own_and_is_no_longer_than_it_must_be() -> None:
    made = sampler(**CANONICAL)
    batches = [batch for step in range(0, 60, 2) for batch in made(step).batches]
    numbers = [number for batch in batches for number in batch.index.tolist()]
    assert len(set(numbers)) == len(numbers), "two samples with one number share their noise"
    assert all(len(batch.hints["d"]) == int(batch.lengths.max()) for batch in batches)
    assert len({batch.num_steps for batch in batches}) > 1


@pytest.mark.parametrize("options", [CANONICAL, {"sizes": (4, 6, 9), "sizes_by": "batch"}], ids=["canonical", "batch"])
def test_a_step_is_a_function_of_seed_and_number_whoever_makes_it(options: dict[str, Any]) -> None:
    for step in (0, 3):
        whole, again, other = sampler(**options)(step), sampler(**options)(step), sampler(seed=1, **options)(step)
        parts = [sampler(rank, 2, **options)(step) for rank in (0, 1)]
        for k in range(2):
            graphs = [graph for part in parts for graph in part.batches[k].inputs["A"]]
            assert torch.equal(torch.stack(graphs), whole.batches[k].inputs["A"])
            assert [i for part in parts for i in part.batches[k].index.tolist()] == whole.batches[k].index.tolist()
            assert torch.equal(again.batches[k].inputs["A"], whole.batches[k].inputs["A"])
            assert not torch.equal(other.batches[k].inputs["A"].sum((1, 2)), whole.batches[k].inputs["A"].sum((1, 2)))
        assert {name: sum(part.counts[name] for part in parts) for name in whole.counts} == whole.counts


def test_a_micro_batch_draws_one_size_for_all_of_its_samples() -> None:
    sizes, made = (4, 6, 9), sampler(sizes=(4, 6, 9), sizes_by="batch", batch_size=3)
    drawn = [batch.sizes.tolist() for step in range(150) for batch in made(step).batches]
    assert all(len(set(each)) == 1 for each in drawn)
    shares = [sum(each[0] == size for each in drawn) / len(drawn) for size in sizes]
    assert all(abs(share - 1 / 3) < 0.1 for share in shares)
    assert any(one.sizes[0] != other.sizes[0] for one, other in (made(step).batches for step in range(20)))
    mixed = sampler(sizes=sizes, batch_size=8)
    assert any(len(set(mixed(step).batches[0].sizes.tolist())) > 1 for step in range(3))


def test_the_canonical_cell_stands_in_for_the_default_distribution_at_its_size() -> None:
    several, model = model_of("bfs")
    found = evaluate(
        model, several, sizes=(5, 16), distributions=("clrs", "path"), samples=3, split="val", canonical=True
    )
    cells = [(cell.distribution, cell.size, cell.graphs) for cell in found]
    assert cells == [("clrs", 5, 3), ("canonical", 16, 32), ("path", 5, 3), ("path", 16, 3)]
    metrics = found.metrics()
    assert metrics["ood/score/n=16"] == metrics["ood/score/canonical/n=16"] == found.cell(size=16).score
    assert metrics["ood/score/n=5"] == metrics["ood/score/clrs/n=5"]


def test_the_canonical_cell_comes_besides_where_its_size_is_not_asked_for() -> None:
    several, model = model_of("bfs", "insertion_sort")
    found = evaluate(model, several, sizes=(5,), samples=2, split="val", canonical=True)
    cells = [(cell.task, cell.distribution, cell.size) for cell in found]
    assert cells == [
        ("bfs", "canonical", 16), ("bfs", "clrs", 5), ("insertion_sort", "canonical", 16),
        ("insertion_sort", "uniform", 5),
    ]  # fmt: skip
    assert found.metrics()["ood/score/n=16"] == pytest.approx(sum(c.score for c in found if c.size == 16) / 2)


def test_canonical_scores_are_those_of_the_whole_set_at_once_and_of_its_size() -> None:
    several, model = model_of("bellman_ford")
    seen: list[Batch] = []
    model.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    one, many = (
        evaluate(model, several, sizes=(64,), samples=1, canonical=True, batch_size=size).as_dict() for size in (32, 5)
    )
    assert one == many
    whole = several[0].canonical("test")
    assert torch.equal(torch.cat([batch.inputs["A"] for batch in seen[1:]]), whole.inputs["A"])
    assert one[0]["score"] != evaluate(model, several, sizes=(64,), samples=32).cell(size=64).score


def test_evaluation_refuses_what_there_is_no_canonical_set_for() -> None:
    several, model = model_of("copy")
    with pytest.raises(ValueError, match="copy has no canonical sets"):
        evaluate(model, several, canonical=True)
    several, model = model_of("bfs")
    with pytest.raises(ValueError, match="layout='dense'"):
        evaluate(model, several, canonical=True, layout="sparse")
    with pytest.raises(ValueError, match="no canonical split 'mine'"):
        evaluate(model, several, canonical=True, split="mine")


def kinds(evaluation: Evaluation) -> list[tuple[str, int, int]]:
    return [(cell.distribution, cell.size, cell.graphs) for cell in evaluation]


def test_training_validates_and_scores_on_canonical_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer(**CANONICAL)
    validated: list[Evaluation] = []

    def spy(*arguments: Any, **options: Any) -> Evaluation:
        validated.append(evaluate(*arguments, **options))
        return validated[-1]

    monkeypatch.setattr("trainers.validation.evaluate", spy)
    made.fit()
    assert [kinds(each) for each in validated] == [[("canonical", 16, 32)]] * 2
    assert kinds(made.score()) == [("clrs", 5, 2), ("canonical", 64, 32)]
    streamed = trainer(**CANONICAL, eval_data="stream")
    assert kinds(streamed.score()) == [("clrs", 5, 2), ("clrs", 64, 2)]
    assert kinds(trainer(eval_data="canonical", sizes=(4,)).score()) == [("clrs", 5, 2), ("canonical", 64, 32)]


@pytest.mark.parametrize("options", [CANONICAL, {"sizes": (4, 6), "sizes_by": "batch"}], ids=["canonical", "batch"])
def test_a_run_stopped_half_way_goes_on_bit_for_bit(tmp_path: Path, options: dict[str, Any]) -> None:
    def stop(progress: Any) -> None:
        if progress.step == 3:
            signal.raise_signal(signal.SIGTERM)

    alone = trainer(tmp_path / "alone", max_steps=6, **options)
    alone.fit()
    with pytest.raises(Interrupted, match="after step 3"):
        trainer(tmp_path / "stopped", stop, max_steps=6, **options).fit()
    resumed = trainer(tmp_path / "stopped", max_steps=6, **options)
    assert resumed.fit()["resumed_from"] == 3
    for name, value in alone.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_another_training_set_is_another_run_and_other_scoring_is_not(tmp_path: Path) -> None:
    trainer(tmp_path, **CANONICAL).fit()
    for change in ({"data": "stream"}, {"sizes_by": "batch"}):
        with pytest.raises(Exception, match=f"trainer.{next(iter(change))}"):
            trainer(tmp_path, **(CANONICAL | change)).fit()
    assert trainer(tmp_path, **CANONICAL, eval_data="stream").fit()["resumed_from"] == 4


def test_what_is_learned_decides_the_hash_and_what_is_scored_does_not() -> None:
    words = ["task=bellman_ford", "trainer.sizes=[16]"]
    base = config_hash(compose(words))
    assert config_hash(compose([*words, "trainer.eval_data=canonical"])) == base
    others = {config_hash(compose([*words, word])) for word in ("trainer.data=canonical", "trainer.sizes_by=batch")}
    assert len(others | {base}) == 3


@pytest.mark.parametrize(
    ("words", "problem", "remedy"),
    [
        ("task=bellman_ford trainer.data=canonical", "one size and kind", "write trainer.sizes=[16]"),
        (
            "task=bfs trainer.data=canonical",
            "trainer.data=canonical",
            "write trainer.sizes=[16] trainer.distributions=[] trainer.layout=dense",
        ),
        ("task=bfs trainer.eval_data=canonical", "trainer.eval_data=canonical", "write trainer.eval_layout=dense"),
        (
            "task=bfs trainer.data=canonical trainer.sizes=[16] trainer.distributions=[] trainer.layout=dense",
            "evenly spaced",
            "write task.random_pos=false",
        ),
        ("task=copy trainer.data=canonical trainer.sizes=[16]", "copy has no canonical sets", "bellman_ford, bfs"),
        ("task=copy trainer.eval_data=canonical", "trainer.eval_data: copy has no", "bellman_ford, bfs"),
        ("trainer.data=cannonical", "'cannonical'", "did you mean canonical"),
        ("trainer.sizes_by=batches", "'batches'", "did you mean batch"),
    ],
)
def test_what_does_not_go_together_is_an_error_with_the_fix(words: str, problem: str, remedy: str) -> None:
    from trainers.build import build_tasks

    with pytest.raises(UsageError) as raised:
        build_tasks(compose(words.split()))
    assert problem in raised.value.problem and remedy in raised.value.remedy
