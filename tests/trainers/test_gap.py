"""`zoo gap`: distances of a network from itself, from copies and from broken ones, its files, and its mistakes."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import tasks
import zoo
from tasks.spec import Type
from trainers import runs
from trainers.cli import main
from trainers.compiled import words
from trainers.evaluation import default_dtype
from trainers.gap import command
from trainers.gap.course import Course, first_wrong, hint_steps
from trainers.gap.measure import measure
from trainers.gap.parameters import parameter_distances
from trainers.gap.sides import load_pair
from trainers.gap.symmetry import axes
from trainers.networks import Loaded, compiled_names, load_network
from trainers.usage import UsageError
from zoo.compiled import compile_algorithm

BFS = tasks.create("bfs")
HOW: dict[str, Any] = {"sizes": [6], "graphs": 4, "distribution": "sparse"}


def _network(processor: str = "mpnn", **options: Any) -> zoo.Reasoner:
    """A network with drawn weights, in double precision."""
    made = zoo.create(processor, hidden_size=6, input_size=5, adjacency="given", **options)
    return zoo.Reasoner(BFS.spec, made, config=zoo.ReasonerConfig(reverse_pointers=True)).double().eval()


def _side(model: zoo.Reasoner, processor: str = "mpnn", name: str = "one") -> Loaded:
    return Loaded(name, model, {"bfs": BFS}, processor)


def _renumbered(model: zoo.Reasoner) -> zoo.Reasoner:
    """A copy whose units have other numbers."""
    other, known = copy.deepcopy(model), axes(model)
    assert known is not None
    groups = {group: size for every in known.values() for blocks in every for group, size in blocks if group}
    shuffled = {group: torch.randperm(size) for group, size in groups.items()}
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            for axis, blocks in enumerate(known[name]):
                starts = [sum(size for _, size in blocks[:k]) for k in range(len(blocks))]
                order = [
                    start + (shuffled[group] if group else torch.arange(size))
                    for start, (group, size) in zip(starts, blocks, strict=True)
                ]
                parameter.copy_(parameter.index_select(axis, torch.cat(order)))
    return other


@pytest.mark.parametrize("processor", ["mpnn", "gatv2"])
def test_a_network_is_no_distance_from_itself(processor: str) -> None:
    side = _side(_network(processor), processor)
    record = measure(side, side, BFS, **HOW)
    [cell] = record["cells"]
    assert cell["learned"] == cell["compiled"]
    for group in ("mean", "matched"):
        assert cell["heard"][group]["even"] == cell["heard"][group]["nearest"] == 0
    assert cell["heard"]["ordered"] == 0 and cell["heard"]["choices"] > 0
    assert record["parameters"]["total"] == record["parameters"]["matched"] == 0


@pytest.mark.parametrize(
    ("processor", "options"),
    [("mpnn", {"gated": True}), ("mpnn", {"message_layers": 0, "use_ln": False}), ("gatv2", {})],
)
def test_a_renumbered_copy_computes_the_same_and_is_matched(processor: str, options: dict[str, Any]) -> None:
    model = _network(processor, **options)
    other = _renumbered(model)
    with default_dtype("float64"), torch.no_grad():
        batch = BFS.sample(batch_size=3, size=6, seed=3, layout="dense")
        for name, logits in model(batch).outputs.items():
            torch.testing.assert_close(other(batch).outputs[name], logits)
    found = parameter_distances(model, other)
    assert found["total"] > 0.1 and max(found["tensors"].values()) > 0.1
    assert found["matched"] < 1e-12 and max(found["matched_tensors"].values()) < 1e-12
    heard = measure(_side(model, processor), _side(other, processor), BFS, **HOW)["cells"][0]["heard"]
    assert heard["matched"]["even"] < 1e-6
    assert heard["ordered"] > 0.1 if processor == "mpnn" else heard["ordered"] < 1e-6, "attention has one head"


def test_a_chain_of_pointers_is_matched_too() -> None:
    task = tasks.create("odd_even_transposition_sort")
    model = zoo.Reasoner(task.spec, zoo.create("mpnn", hidden_size=6, input_size=5)).double().eval()
    other = _renumbered(model)
    with default_dtype("float64"), torch.no_grad():
        batch = task.sample(batch_size=2, size=5, seed=3)
        said, same = model(batch).outputs, other(batch).outputs
    assert set(said) == {"pred", "pred:head"}
    for name, logits in said.items():
        torch.testing.assert_close(same[name], logits)
    found = parameter_distances(model, other)
    assert found["matched"] < 1e-12 < 0.1 < found["total"]


def test_networks_of_other_weights_are_apart() -> None:
    record = measure(_side(_network()), _side(_network(), name="other"), BFS, **HOW)
    found, heard = record["parameters"], record["cells"][0]["heard"]
    assert 0 < found["matched"] <= found["total"] < 2**0.5
    assert 0 < heard["matched"]["nearest"] <= heard["matched"]["even"] <= heard["ordered"]


def test_a_search_that_forgets_diverges_at_the_second_step() -> None:
    compiled = compile_algorithm("bfs", BFS.spec, "mpnn")
    broken = copy.deepcopy(compiled)
    # Nodes hear the source alone: whoever was found does not tell, so that nothing two steps away is reached.
    with torch.no_grad():
        broken.processor.messages.from_sender.weight[0, broken.processor.input_size :] = 0.0
    sides = _side(broken, name="broken"), _side(compiled, name="compiled")
    record = measure(*sides, BFS, sizes=[7], graphs=5, distribution="path")
    [cell] = record["cells"]
    assert cell["compiled"]["diverged"] == 0 and cell["compiled"]["until"] == cell["compiled"]["score"] == 1
    assert cell["learned"]["diverged"] == 1 and cell["learned"]["first_step"] == 2
    steps = cell["learned"]["hints"]["reach_h"]["right"]
    assert steps[0] == 1 and all(step < 1 for step in steps[1:] if step is not None)
    assert 0 < record["parameters"]["total"] < 0.1 and cell["heard"]["matched"]["even"] > 0


def test_hints_are_counted_up_to_each_graphs_end() -> None:
    model = _network()
    with default_dtype("float64"), torch.no_grad():
        batch = BFS.for_scoring().sample(batch_size=6, size=9, seed=2, layout="dense", distribution="grid")
        assert len(set(batch.lengths.tolist())) > 1
        prediction = model(batch)
        course = Course()
        course.add(batch, prediction)
    result = course.result()
    first: list[int | None] = [None] * 6
    for hint in hint_steps(batch, prediction):
        target, value = batch.hints[hint.name], prediction.hint_values[hint.name]
        kind = BFS.spec[hint.name].type
        right = entries = 0
        for sample, length in enumerate(batch.lengths.tolist()):
            for step in range(length - 1):
                said, true = value[step, sample], target[step + 1, sample]
                equal = (said > 0) == (true > 0) if kind is Type.MASK else said == true
                right, entries = right + int(equal.sum()), entries + equal.numel()
                if not bool(equal.all()):
                    first[sample] = min(step + 1, first[sample] or step + 1)
        assert result["hints"][hint.name]["mean"] == pytest.approx(right / entries)
        assert sum(result["hints"][hint.name]["entries"]) == entries
    until = [1 if at is None else (at - 1) / (n - 1) for at, n in zip(first, batch.lengths.tolist(), strict=True)]
    assert result["until"] == pytest.approx(sum(until) / 6)
    wrong = torch.tensor([[False, False, True], [False, True, False]])
    assert first_wrong(wrong) == [None, 2, 1] and first_wrong(wrong[:0]) == [None] * 3


def test_a_graph_of_one_node_has_nobody_to_hear() -> None:
    side = _side(compile_algorithm("bfs", BFS.spec, "mpnn"))
    [cell] = measure(side, side, BFS, sizes=[1], graphs=2, distribution="clrs")["cells"]
    assert cell["learned"]["score"] == 1 and cell["heard"] is None and cell["learned"]["first_step"] is None


def test_parameters_of_other_shapes_are_left_out_with_the_reason() -> None:
    found = parameter_distances(_network(), _network(message_layers=1))
    assert set(found) == {"left_out"} and "processor.messages.layers.1.weight" in found["left_out"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the compiled network's shape, wider, after one step."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    quick = ["trainer.max_steps=1", "trainer.sizes=[4]", "trainer.eval_sizes=[4]", "trainer.eval_samples=2"]
    quick += ["trainer.prefetch=0", "compiled=null", "processor.hidden_size=8", "processor.input_size=8"]
    assert main(["train", *words("bfs", "mpnn"), *quick, f"run_dir={folder}", "trainer.batch_size=2"]) == 0
    return folder


def test_the_command_writes_record_table_and_figure(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ["gap", "mine", "mpnn.compiled-bfs", "--runs-dir", str(run.parent), "--sizes", "4,7", "--graphs", "3"]
    assert main(call) == 0
    printed = capsys.readouterr().out
    folder = run / "gap" / "mpnn.compiled-bfs"
    assert {path.name for path in folder.iterdir()} == {"gap.json", "gap.md", "gap.png"}, "the run asks for no W&B"
    assert all(str(folder / name) in printed for name in ("gap.json", "gap.md", "gap.png"))
    record = json.loads((folder / "gap.json").read_text("utf-8"))
    assert [cell["n"] for cell in record["cells"]] == [4, 7] and record["graphs"] == 3
    assert record["learned"]["parameters"] == record["compiled"]["parameters"], "compiled at the learned width"
    assert all(cell["compiled"]["exact"] == 1 for cell in record["cells"])
    table = (folder / "gap.md").read_text("utf-8")
    assert "| score compiled | 1 | 1 |" in table and "`processor.update.from_node.weight`" in table
    assert (folder / "gap.png").stat().st_size > 20_000
    weights = next((run / "checkpoints").rglob("*.safetensors"))
    assert load_network(str(weights)).about()["seed"] == load_network(str(weights.parent)).about()["seed"] == 0


def test_the_gap_is_logged(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: dict[str, Any] = {}

    class Logger:
        place = Path("offline-run")

        def __init__(self, folder: Path, **about: Any) -> None:
            logged.update(about)

        def start(self, **_: Any) -> None: ...
        def close(self) -> None: ...
        def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
            logged[name] = columns, rows

        def image(self, name: str, path: Path) -> None:
            logged[name] = path

    monkeypatch.setattr("trainers.wandb_logger.WandbLogger", Logger)
    both = ["gap", "mpnn.compiled-bfs", "mpnn.compiled-bfs", "--sizes", "4", "--graphs", "2", "--out", "here"]
    assert main([*both, "--no-wandb"]) == 0 and not logged
    assert main(both) == 0
    columns, rows = logged["gap/measures"]
    assert logged["job_type"] == "gap" and logged["gap/figure"].is_file() and len(rows) == 1
    assert dict(zip(columns, rows[0], strict=True))["exact learned"] == 1


def test_mistakes_are_told(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*arguments: str) -> str:
        assert main(["gap", *arguments, "--runs-dir", str(run.parent), "--graphs", "2", "--no-wandb"]) == 2
        return capsys.readouterr().err

    assert "did you mean mpnn.compiled-bfs" in told("mine", "mpnn.compild-bfs")
    assert "did you mean mine" in told("mien", "mpnn.compiled-bfs")
    apart = told("mine", "mpnn.compiled-bellman_ford")
    assert "mine is of task bfs" in apart and "mpnn.compiled-bellman_ford is of task bellman_ford" in apart
    other = told("mine", "gatv2.compiled-bfs")
    assert "processor mpnn" in other and "processor gatv2" in other and "mpnn.compiled-bfs" in other
    assert "--sizes" in told("mine", "mpnn.compiled-bfs", "--sizes", "0")
    assert "write --sizes 16,32" in told("mine", "mpnn.compiled-bfs", "--sizes", "few")
    assert "did you mean grid" in told("mine", "mpnn.compiled-bfs", "--distribution", "gird")
    with pytest.raises(UsageError, match="at least 1"):
        command.measure_gap("mine", "mpnn.compiled-bfs", graphs=0, runs_dir=str(run.parent))
    Path("stray").mkdir()
    Path("stray/best.safetensors").touch()
    assert "lies in no run folder" in told("stray", "mpnn.compiled-bfs")


def test_shipped_weights_and_compiled_ones_are_compared() -> None:
    one, other, task = load_pair("mpnn.velickovic2022-bfs", "mpnn.compiled-bfs")
    assert task.name == "bfs" and one.processor == other.processor == "mpnn"
    assert other.model.specs["bfs"] == one.model.specs["bfs"], "compiled for the pointers that were learned"
    assert other.model.processor.hidden_size == one.model.processor.hidden_size == 128
    assert "mpnn.compiled-bellman_ford" in compiled_names() and runs.all_runs("nowhere") == []
