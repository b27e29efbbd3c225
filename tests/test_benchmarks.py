"""The benchmarks run, alternate what they compare, and judge as they say."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import tasks
import zoo
from benchmarks import __main__ as command
from benchmarks import families, measure, memory_cells, message_passing, processors, sparse, steps
from benchmarks.measure import Options, Row, Variant, compare, interleave, peak_bytes

TINY = ("--smoke", "--repeats", "1", "--threads", "1", "--no-compile")


def written(path: Path) -> list[dict]:
    """Rows of a file that `--json` wrote."""
    return json.loads(path.read_text("utf-8"))["rows"]


@pytest.mark.parametrize("name", command.BENCHMARKS)
def test_benchmark_runs_at_tiny_sizes(name: str, tmp_path: Path) -> None:
    assert command.main([name, *TINY, "--json", str(tmp_path / "rows.json")]) == 0
    rows = written(tmp_path / "rows.json")
    assert rows and {row["name"] for row in rows} == {name}
    assert all(row["ours"] and row["values"] for row in rows)
    # Tiny sizes prove nothing, and are not said to.
    assert {row["verdict"] for row in rows} <= {"not checked", "-"}


@pytest.mark.parametrize("name", command.GPU_PIECES)
def test_gpu_piece_runs_on_the_cpu_at_tiny_sizes(name: str, tmp_path: Path) -> None:
    arguments = ["--gpu", name, "--device", "cpu", *TINY, "--json", str(tmp_path / "rows.json")]
    assert command.main(arguments) == 0
    assert {row["name"] for row in written(tmp_path / "rows.json")} == {name}


def test_gpu_pieces_ask_for_a_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command.main(["--gpu", "ntm_copy"]) == 2
    assert "--device cpu" in capsys.readouterr().err


def test_gpu_names_need_little() -> None:
    code = (
        "import sys, runpy; sys.argv = ['benchmarks', '--gpu', '--list']\n"
        "try:\n    runpy.run_module('benchmarks', run_name='__main__')\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "import benchmarks.gpu\n"
        "print(sorted({'hydra', 'omegaconf', 'wandb', 'beartype'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == [*command.GPU_PIECES, "[]", ""]


def fake(monkeypatch: pytest.MonkeyPatch, *rows: Row) -> None:
    """One benchmark that gives these rows."""
    module = SimpleNamespace(rows=lambda options: list(rows))
    monkeypatch.setitem(sys.modules, "benchmarks.fake", module)
    monkeypatch.setattr(command, "BENCHMARKS", {"fake": ("fake", "rows")})


@pytest.mark.parametrize(
    ("ratio", "target", "at_most", "status"),
    [(7.9, 8.0, False, 1), (8.0, 8.0, False, 0), (1.2, 1.15, True, 1), (1.1, 1.15, True, 0), (0.1, None, False, 0)],
)
def test_check_fails_where_a_target_is_missed(
    ratio: float, target: float | None, at_most: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, Row(name="fake", case="", ours="", ratio=ratio, target=target, at_most=at_most))
    assert command.main(["--check"]) == status
    assert command.main([]) == 0


def test_missing_peer_is_said_and_does_not_hide_a_missed_target(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = Row(name="alone", case="", ours="", target=4.0, unchecked=measure.NO_PEER)
    fake(monkeypatch, alone)
    assert command.main(["--check"]) == 0
    assert "not checked: alone, : peer not installed: pip install '.[peers]'" in capsys.readouterr().out
    fake(monkeypatch, alone, Row(name="slow", case="", ours="", ratio=1.0, target=4.0))
    assert command.main(["--check"]) == 1
    assert "missed: slow" in capsys.readouterr().out


def test_unknown_name_lists_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        command.main(["ntn"])
    assert stop.value.code == 2
    assert "'ntn'; choices: sampling, sequences, ntm" in capsys.readouterr().err


def test_folder_without_pytorch_ntm_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["ntm", *TINY, "--pytorch-ntm", str(tmp_path)]) == 2
    assert f"--pytorch-ntm {tmp_path}: no package `ntm`" in capsys.readouterr().err
    assert str(tmp_path) not in sys.path


def test_variants_alternate_and_the_first_round_is_not_counted() -> None:
    ticks = itertools.count()
    ran: list[tuple[str, int]] = []

    def variant(label: str) -> Variant:
        return Variant(label, lambda: ran.append((label, torch.get_num_threads())))

    seconds = interleave([variant("a"), variant("b")], repeats=3, threads=(1, 2), clock=lambda: next(ticks))
    assert ran == [("a", 1), ("b", 1), ("a", 2), ("b", 2)] * 4
    assert seconds == {(label, count): [1, 1, 1] for label in "ab" for count in (1, 2)}
    assert torch.get_num_threads() == 1


def test_hopeless_number_of_threads_is_tried_once() -> None:
    now = 0.0
    ran: list[int] = []

    def step() -> None:
        nonlocal now
        ran.append(torch.get_num_threads())
        now += {1: 1.0, 2: 5.0}[ran[-1]]

    seconds = interleave([Variant("a", step)], repeats=3, threads=(1, 2), clock=lambda: now)
    assert seconds == {("a", 1): [1.0] * 3, ("a", 2): [5.0]}
    assert ran == [1, 2, 1, 2, 1, 1]


def test_ratio_is_of_neighbouring_runs_of_the_better_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    # The machine was three times slower in the second round: the ratio does not see it.
    times = {
        ("ours", 1): [1.0, 3.0, 1.0],
        ("ours", 2): [2.0, 6.0, 2.0],
        ("peer", 1): [9.0, 27.0, 9.0],
        ("peer", 2): [4.0, 12.0, 4.4],
    }
    monkeypatch.setattr(measure, "interleave", lambda *args, **kwargs: times)
    row = compare("x", "", [Variant("ours", print)], [Variant("peer", print)], Options(), target=4.0)
    assert row.ratio == pytest.approx(4.0)
    assert (row.verdict, row.ours.strip(), row.peer.strip()) == ("ok", "1000.0 ms", "4400.0 ms")


def test_peak_memory_counts_what_is_held_at_once() -> None:
    kept = torch.zeros(2**18)

    def allocate() -> None:
        for _ in range(3):
            torch.zeros(2**18).add(kept)  # two MiB at once; freed before the next round

    assert peak_bytes(allocate) == pytest.approx(2 * 2**20, rel=0.01)


def test_slope_is_the_exponent_of_growth() -> None:
    assert sparse.slope([1, 2, 4, 8], [3.0, 12.0, 48.0, 192.0]) == pytest.approx(2.0)


def test_exponent_leaves_out_what_does_not_grow() -> None:
    sizes = [8, 16, 32, 64]
    assert processors.exponent(sizes, [5e4 + 3.0 * size**3 for size in sizes]) == pytest.approx(3.0)
    assert math.isnan(processors.exponent(sizes, [1.0, 2.0, 2.0, 4.0]))
    launched = [size * (5e4 + 3.0 * size) for size in sizes]
    assert processors.exponent(sizes, launched, each=True) == pytest.approx(2.0)
    assert processors.exponent(sizes, launched) < 1.5


def test_growth_is_held_against_the_family() -> None:
    case = families.Case(name="transformer", family=families.ATTENTION)
    sizes = (64, 128, 256, 512)
    verdicts = {
        what: processors.held_against(case, what, "", sizes, [float(size**2) for size in sizes]).verdict
        for what in ("time on cpu", "memory on cpu")
    }
    assert verdicts == {"time on cpu": "ok", "memory on cpu": "missed"}


def test_every_processor_has_a_family() -> None:
    names = {case.name for case in families.CASES}
    assert set(zoo.list_processors()) <= names <= {*zoo.list_processors(), *zoo.list_presets()}
    sparse_ones = {zoo.describe(case.name).name for case in families.CASES if case.family.layout == "sparse"}
    edged = {case.name for case in families.CASES if case.family.layout == "dense"} & set(zoo.list_processors())
    assert {name for name in edged if "sparse" in zoo.create(name).layouts} <= sparse_ones
    for family in (case.family for case in families.CASES):
        assert len(family.sizes) >= 4 and all(b == 2 * a for a, b in itertools.pairwise(family.sizes))


def test_random_graph_has_the_degree_asked_for() -> None:
    batch = sparse.random_graph(300)
    edges = batch.inputs["A"].ne(0).sum() / 300
    assert edges == sparse.DEGREE
    assert int(batch.sizes) == 300 and batch.edge_index is not None


def test_samples_of_the_peer_are_the_same_graphs() -> None:
    task = tasks.create("bfs", pointers="nodes")
    batch = task.sample(batch_size=3, size=6, distribution="sparse")
    hot = torch.nn.functional.one_hot(batch.inputs["s"].long(), 6).double()
    values = {"pos": batch.inputs["pos"], "s": hot, "A": batch.inputs["A"], "adj": batch.inputs["adj"]}
    points = [SimpleNamespace(name=name, data=np.asarray(value, dtype=np.float64)) for name, value in values.items()]
    again = message_passing.same_samples(task, SimpleNamespace(features=SimpleNamespace(inputs=points)))
    assert torch.equal(again.outputs["pi"], batch.outputs["pi"])
    assert torch.equal(again.hints["reach_h"], batch.hints["reach_h"])


def test_copied_bits_are_what_the_peers_are_asked_for() -> None:
    tokens, target = memory_cells.tokens_and_targets(memory_cells.copies(3, 4))
    assert tokens.shape == (3, 9, 9) and target.shape == (3, 4, 8)
    assert torch.equal(tokens[:, :4, :8], target)
    assert not tokens[:, 5:].any() and tokens[:, 4, 8].all()


@pytest.mark.parametrize("name", ["ntm", "dnc"])
def test_forms_of_a_cell_take_the_same_step(name: str) -> None:
    batch = memory_cells.copies(2, 3)
    losses = []
    for form in ("scan", "loop"):
        torch.manual_seed(0)
        step = steps.swept(name, batch, form=form, slots=6, word=4, controller_size=5, output="concat")
        losses.append([float(step()) for _ in range(3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0][0] != losses[0][2]
