"""Reproduction of rows: every seed recorded, interruptions gone on with, verdicts that follow from the ledger."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from trainers import baselines, ledger, reproduce, runs
from trainers.baselines import Baseline
from trainers.cli import main
from trainers.ledger import Entry
from trainers.trainer import Trainer
from trainers.usage import UsageError
from trainers.verdict import INCOMPLETE, MISSED, PASSED, UNMEASURED, judge, value_of

ROW = {
    "title": "a row",
    "paper": "Somebody, 2020",
    "link": "https://example.org",
    "about": "made up",
    "seeds": 2,
    "base": {
        "task": "copy",
        "reasoner": "raw",
        "logger": "none",
        "processor": "lstm",
        "processor.tokens": "inputs",
        "processor.hidden_size": 4,
        "trainer.sizes": [1, 2],
        "trainer.batch_size": 2,
        "trainer.max_steps": 4,
        "trainer.val_every": 2,
        "trainer.val_samples": 4,
        "trainer.eval_sizes": [1, 3],
        "trainer.eval_samples": 4,
        "trainer.prefetch": 0,
    },
    "arms": {"one": None, "two": {"processor.layers": 2}},
    "measures": [
        {
            "name": "wrong",
            "label": "wrong bits at 3",
            "arm": "one",
            "score": {"size": 3, "probe": "copied", "metric": "wrong_per_graph"},
            "require": {"at_most": 24, "of": "every"},
            "published": {"value": 1.0, "where": "table 1", "evidence": "table"},
        },
        {"name": "wrong_two", "label": "of two", "arm": "two",
         "score": {"size": 3, "probe": "copied", "metric": "wrong_per_graph"}},
        {"name": "soon", "label": "samples to solve", "arm": "one",
         "first": {"metric": "val/wrong_per_graph/copied", "below": 1e9}},
        {"name": "gap", "label": "gap", "difference": ["wrong", "wrong_two"], "require": {"above": -1e9}},
    ],
}  # fmt: skip
NAME = "lstm.somebody2020-copy"


@pytest.fixture(autouse=True)
def _rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "baseline"
    folder.mkdir()
    monkeypatch.setattr(baselines, "BASELINES", folder)
    write_row(ROW)
    yield
    baselines.load.cache_clear()


def write_row(values: dict[str, Any], name: str = NAME) -> Baseline:
    baselines.load.cache_clear()
    (baselines.BASELINES / f"{name}.yaml").write_text(yaml.safe_dump(values, sort_keys=False), "utf-8")
    return baselines.load(name)


def run(tmp_path: Path, **more: Any) -> int:
    return reproduce.reproduce([NAME], results=tmp_path / "results", runs_dir=str(tmp_path / "runs"), **more)


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "results" / NAME).glob("*.json"))


def test_every_seed_of_every_arm_is_measured_once_and_recorded_with_where_it_is_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path) == 0
    assert files(tmp_path) == ["one-s0-1.json", "one-s1-1.json", "two-s0-1.json", "two-s1-1.json"]
    entry = json.loads((tmp_path / "results" / NAME / "two-s1-1.json").read_text("utf-8"))
    assert entry["state"] == "finished" and entry["steps"] == 4 and entry["samples"] == 8
    assert {
        "config",
        "recipe",
        "commit",
        "dirty",
        "device",
        "versions",
        "threads",
        "seconds",
        "cpu_seconds",
    } <= entry.keys()
    assert entry["validation"]["samples"] == [4, 8] and len(entry["validation"]["val/wrong_per_graph/copied"]) == 2
    row = baselines.load(NAME)
    verdict = judge(row, ledger.current(row, tmp_path / "results"))
    assert verdict.state == PASSED and not verdict.missing
    wrong = verdict.figures[0]
    scores = [json.loads((tmp_path / "results" / NAME / f"one-s{s}-1.json").read_text())["scores"] for s in (0, 1)]
    told = [cells[1]["probes"]["copied"]["wrong_per_graph"] for cells in scores]
    assert list(wrong.seeds.values()) == told and wrong.value == pytest.approx(sum(told) / 2)
    assert wrong.judged == max(told)
    assert list(verdict.figures[2].seeds.values()) == [4, 4]
    printed = capsys.readouterr().out
    assert "passed" in printed and "table 1" in printed
    before = {name: (tmp_path / "results" / NAME / name).read_bytes() for name in files(tmp_path)}
    assert run(tmp_path) == 0
    assert before == {name: (tmp_path / "results" / NAME / name).read_bytes() for name in files(tmp_path)}


def test_a_rerun_and_a_changed_recipe_keep_the_earlier_entries(tmp_path: Path) -> None:
    run(tmp_path, arm="one", seed=0)
    run(tmp_path, arm="one", seed=0, again=True)
    assert files(tmp_path) == ["one-s0-1.json", "one-s0-2.json"]
    changed = write_row(ROW | {"base": ROW["base"] | {"trainer.lr": 0.5}})  # type: ignore[operator]
    assert judge(changed, ledger.current(changed, tmp_path / "results")).state == UNMEASURED
    run(tmp_path, arm="one", seed=0)
    assert files(tmp_path) == ["one-s0-1.json", "one-s0-2.json", "one-s0-3.json"]
    assert judge(changed, ledger.current(changed, tmp_path / "results")).state == INCOMPLETE


def test_a_score_of_several_sizes_is_their_mean_and_waits_for_all_of_them() -> None:
    several = {"name": "exact", "label": "exact", "arm": "one", "score": {"sizes": [1, 3], "metric": "exact"}}
    measure = write_row(ROW | {"measures": [several]}).measures[0]
    places = ((1, "a", 0.25), (3, "a", 1.0), (3, "b", 0.0))
    cells = [{"n": n, "distribution": name, "exact": exact} for n, name, exact in places]
    assert value_of(measure, Entry(Path("one.json"), {"state": "finished", "scores": cells})) == 0.625
    assert value_of(measure, Entry(Path("one.json"), {"state": "finished", "scores": cells[:1]})) is None
    with pytest.raises(UsageError, match="either a size or several"):
        write_row(ROW | {"measures": [several | {"score": {"metric": "exact"}}]})


def test_a_score_of_all_distributions_is_their_mean() -> None:
    over = {"name": "exact", "label": "exact", "arm": "one"}
    scores = [{"size": 3, "metric": "exact", "distribution": name} for name in ("all", "b")]
    row = write_row(ROW | {"measures": [over | {"name": str(i), "score": score} for i, score in enumerate(scores)]})
    places = ((3, "a", 1.0), (3, "b", 0.25), (1, "a", 0.0))
    cells = [{"n": n, "distribution": name, "exact": exact} for n, name, exact in places]
    entry = Entry(Path("one.json"), {"state": "finished", "scores": cells})
    assert [value_of(measure, entry) for measure in row.measures] == [0.625, 0.25]


def test_looks_and_places_do_not_change_a_recipe() -> None:
    before = baselines.load(NAME).recipe("one")
    same = write_row(ROW | {"base": ROW["base"] | {"trainer.eval_sizes": [5], "trainer.threads": 1}})  # type: ignore[operator]
    assert same.recipe("one") == before
    assert write_row(ROW | {"base": ROW["base"] | {"trainer.max_steps": 5}}).recipe("one") != before  # type: ignore[operator]


def test_a_budget_stops_between_steps_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    run(whole, arm="one", seed=0)
    step = Trainer._after

    def slow(self: Trainer, report: Any) -> None:
        step(self, report)
        if self.step == 2 and self.config.time_limit:
            stops.append(self.step)

    stops: list[int] = []
    monkeypatch.setattr(Trainer, "_after", slow)
    monkeypatch.setattr("trainers.interruption.Stop.wanted", property(lambda self: bool(stops) and not gone))
    gone: list[int] = []
    assert run(tmp_path, arm="one", seed=0, budget=100.0) == 0
    row = baselines.load(NAME)
    entry = ledger.entries(row, tmp_path / "results")[0]
    assert entry.state == "started" and "scores" not in entry.values
    gone.append(1)
    assert run(tmp_path, arm="one", seed=0, budget=100.0) == 0
    assert files(tmp_path) == ["one-s0-1.json"]
    again, once = ledger.entries(row, tmp_path / "results")[0], ledger.entries(row, whole / "results")[0]
    assert again.values["scores"] == once.values["scores"] and again.values["validation"] == once.values["validation"]


def test_what_surely_does_not_fit_a_budget_is_not_begun(tmp_path: Path) -> None:
    write_row(ROW | {"minutes": {"cpu": 50, "gpu": 5}})
    assert run(tmp_path, budget=1.0) == 0
    assert files(tmp_path) == []


def test_what_does_not_fit_is_followed_by_what_does(tmp_path: Path) -> None:
    write_row(ROW | {"minutes": {"cpu": 50, "gpu": 5}})
    run(tmp_path, arm="two", seed=0)
    assert run(tmp_path, budget=5.0) == 0
    assert files(tmp_path) == ["two-s0-1.json", "two-s1-1.json"]


def test_measuring_again_goes_on_until_every_seed_has_as_many_entries(tmp_path: Path) -> None:
    run(tmp_path, arm="one")
    assert run(tmp_path, arm="one", seed=1, again=True) == 0
    assert run(tmp_path, arm="one", again=True) == 0
    assert files(tmp_path) == ["one-s0-1.json", "one-s0-2.json", "one-s1-1.json", "one-s1-2.json"]
    assert run(tmp_path, arm="one", again=True) == 0
    assert files(tmp_path)[2::3] == ["one-s0-3.json", "one-s1-3.json"]


def test_a_budget_holds_for_what_is_measured_again(tmp_path: Path) -> None:
    write_row(ROW | {"minutes": {"cpu": 50, "gpu": 5}})
    row = run(tmp_path, arm="one", seed=0) or baselines.load(NAME)
    (entry,) = ledger.entries(row, tmp_path / "results")
    ledger.write(entry.path, {**entry.values, "cpu_seconds": 6000.0, "threads": 1})
    assert run(tmp_path, arm="one", seed=0, again=True, budget=5.0, device="cpu") == 0
    assert files(tmp_path) == ["one-s0-1.json"]


def test_a_seed_that_another_process_measured_meanwhile_is_left_alone(tmp_path: Path) -> None:
    asked = reproduce.Asked(NAME, "one", 0, results=tmp_path / "results", runs_dir=str(tmp_path / "runs"))
    assert reproduce.measure(asked) == 0 and reproduce.measure(asked) == 0
    assert files(tmp_path) == ["one-s0-1.json"]


def test_processes_of_one_run_do_not_reproduce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="torchrun"):
        run(tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_seed_for_a_gpu_that_is_not_there_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no GPU"):
        run(tmp_path, device="cuda")
    assert files(tmp_path) == []


def test_threads_are_recorded_as_the_recipe_has_them(tmp_path: Path) -> None:
    row = write_row(ROW | {"base": ROW["base"] | {"trainer.threads": 3}})  # type: ignore[operator]
    assert runs.environment(row.config("one", seed=0))["threads"] == 3


def test_a_row_of_ones_own_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "mine.somebody2020-copy.yaml"
    own.write_text((baselines.BASELINES / f"{NAME}.yaml").read_text("utf-8"), "utf-8")
    asked = {"results": tmp_path / "results", "runs_dir": str(tmp_path / "runs"), "arm": "one", "seed": 1}
    assert reproduce.reproduce([str(own)], **asked) == 0
    assert (tmp_path / "results" / own.stem / "one-s1-1.json").is_file()
    assert f"{own.stem}: incomplete" in capsys.readouterr().out
    assert main(["reproduce", str(tmp_path / "other.yaml")]) == 2


def test_a_diverged_seed_is_recorded_and_fails_what_it_is_part_of(tmp_path: Path) -> None:
    write_row(ROW | {"base": ROW["base"] | {"trainer.lr": 1e38, "trainer.optimizer": "sgd"}})  # type: ignore[operator]
    assert run(tmp_path) == 0
    row = baselines.load(NAME)
    counted = ledger.current(row, tmp_path / "results")
    assert {entry.state for entry in counted.values()} == {"diverged"} and len(counted) == 4
    verdict = judge(row, counted)
    assert verdict.state == MISSED and all(math.isnan(value) for value in verdict.figures[0].seeds.values())


@pytest.mark.parametrize(
    ("require", "values", "holds"),
    [
        ({"at_most": 2, "of": "best"}, (1.0, 5.0, math.nan), True),
        ({"at_most": 2, "of": "every"}, (1.0, 2.0, math.nan), False),
        ({"at_most": 2, "of": "every"}, (1.0, 2.0, 0.0), True),
        ({"at_least": 2, "of": "2 of 3"}, (2.0, math.nan, 3.0), True),
        ({"at_least": 2, "of": "2 of 3"}, (2.0, math.nan, 1.0), False),
        ({"below": 2, "of": "mean"}, (1.0, 2.0, 3.0), False),
        ({"above": 1, "of": "median"}, (0.0, 2.0, math.inf), True),
        ({"at_most": 9, "of": "median"}, (1.0, math.inf, math.inf), False),
        ({"at_least": 0, "of": "mean"}, (1.0, math.nan, 1.0), False),
    ],
)
def test_requirements_are_about_the_seeds_that_they_name(
    require: dict[str, Any], values: tuple[float, ...], holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = ROW["measures"][0] | {"require": require}  # type: ignore[index]
    row = write_row(ROW | {"seeds": 3, "measures": [measure]})
    entries = {
        ("one", seed): ledger.Entry(Path(), {"arm": "one", "seed": seed, "state": "finished"}) for seed in range(3)
    }
    monkeypatch.setattr("trainers.verdict.value_of", lambda measure, entry: values[entry.seed])
    (figure,) = judge(row, entries).figures
    assert figure.holds is holds


def test_a_difference_of_medians_puts_never_after_any_number(monkeypatch: pytest.MonkeyPatch) -> None:
    measures = [*ROW["measures"][:2], {"name": "order", "label": "order", "difference": ["wrong_two", "wrong"],  # type: ignore[index]
                                       "by": "median", "require": {"above": 0}}]  # fmt: skip
    row = write_row(ROW | {"seeds": 3, "measures": measures})
    entries = {
        (arm, seed): ledger.Entry(Path(), {"arm": arm, "seed": seed, "state": "finished"})
        for arm in ("one", "two")
        for seed in range(3)
    }
    found = {"one": (1.0, 3.0, math.inf), "two": (5.0, math.inf, math.inf)}
    monkeypatch.setattr("trainers.verdict.value_of", lambda measure, entry: found[measure.arm][entry.seed])
    assert judge(row, entries).figures[2].holds is True
    found["one"], found["two"] = found["two"], found["one"]
    assert judge(row, entries).figures[2].holds is False


def test_a_difference_is_judged_once_all_seeds_of_both_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    gap = {"name": "gap", "label": "gap", "difference": ["wrong", "wrong_two"], "require": {"above": 0}}
    measures = [{k: v for k, v in one.items() if k != "require"} for one in ROW["measures"][:2]]  # type: ignore[index]
    row = write_row(ROW | {"measures": [*measures, gap]})
    monkeypatch.setattr("trainers.verdict.value_of", lambda measure, entry: {"one": 1.0, "two": 2.0}[measure.arm])
    entries = {
        (arm, seed): ledger.Entry(Path(), {"arm": arm, "seed": seed, "state": "finished"})
        for arm in ("one", "two")
        for seed in range(2)
    }
    first = {key: entry for key, entry in entries.items() if key[1] == 0}
    assert judge(row, first).state == INCOMPLETE and judge(row, first).figures[2].holds is None
    assert judge(row, entries).state == MISSED


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {
                "measures": [
                    *ROW["measures"],  # type: ignore[misc]
                    {"name": "more", "label": "more", "difference": ["gap", "wrong"]},
                ]
            },
            "'gap'",
        ),
        ({"measures": [ROW["measures"][0] | {"require": {"at_least": 1, "of": "2 of 3"}}]}, "2 seeds"),  # type: ignore[index]
        ({"measures": [ROW["measures"][0] | {"arm": "onne"}]}, "did you mean one"),  # type: ignore[index]
        ({"measures": [ROW["measures"][0] | {"require": {"within_spread": 1}}]}, "of differences"),  # type: ignore[index]
        (
            {"measures": [ROW["measures"][0] | {"score": {"size": 3, "variant": "mone"}}], "variants": {"more": None}},  # type: ignore[index]
            "did you mean more",
        ),
        ({"arms": {"one": {"estimator": "optimum"}, "two": None}}, "did you mean optimal"),
        ({"seedz": 3}, "seedz"),
        ({"measures": [ROW["measures"][0] | {"require": {"of": "best"}}]}, "exactly one"),  # type: ignore[index]
        (
            {"measures": [ROW["measures"][0] | {"published": {"value": 1, "where": "x", "evidence": "seen"}}]},
            "evidence",
        ),  # type: ignore[index]
    ],
)
def test_a_wrong_row_says_what_is_wrong(change: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        write_row(ROW | change)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([NAME, "--arm", "onne"], "did you mean one"),
        ([NAME, "--seed", "2"], "0 to 1"),
        ([NAME + "x"], f"did you mean {NAME}"),
        ([NAME, "trainer.lr=1"], "recipe"),
        ([], "--all"),
        ([NAME, "--all"], "--all"),
        ([NAME, "hydra/launcher=slurm"], "sequential"),
        ([NAME, "--pretrained", "--seed", "1"], "--seed"),
        ([NAME, "--ship", "logger=none"], "logger=none"),
        ([NAME, "--budget", "0"], "more than 0"),
        ([NAME, "--budget", "-1"], "more than 0"),
        ([NAME, "--budget", "nan"], "more than 0"),
    ],
)
def test_wrong_words_are_told_in_two_lines(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and told in lines[0] + lines[1]


def test_the_list_shows_state_and_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "--list"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(NAME))
    assert UNMEASURED in line and "0/4" in line and "~40 min" in line and "~12 min" in line
    assert line.endswith("(one, two)")
