"""Generated pages: current in the repository, stale as soon as the ledger or a page differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainers.test_reproduce import NAME, ROW, _rows, write_row  # noqa: F401 - a fixture
from trainers import baseline_pages, baselines, ledger
from trainers.baseline_pages import BEGIN, END, FIGURES, PAGE, README


def entry(arm: str, seed: int, wrong: float, **more: Any) -> dict[str, Any]:
    row = baselines.load(NAME)
    cells = [
        {"task": "copy", "distribution": "uniform", "n": n, "graphs": 4, "score": 0.5, "exact": 0.0,
         "probes": {"copied": {"wrong_per_graph": wrong * n, "score": 0.5}}}
        for n in (1, 3)
    ]  # fmt: skip
    return {
        "baseline": NAME, "arm": arm, "seed": seed, "attempt": 1, "state": "finished", "recipe": row.recipe(arm),
        "commit": "0123456789", "dirty": False, "versions": {"torch": "2"}, "device": "cpu", "steps": 4, "best_step": 2,
        "seconds": 90.0, "cpu_seconds": 60.0,
        "scores": cells, "validation": {"samples": [4], "val/wrong_per_graph/copied": [1.0]}, **more,
    }  # fmt: skip


@pytest.fixture()
def root(tmp_path: Path) -> Path:
    (tmp_path / README).write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", "utf-8")
    for arm, seed, wrong in (("one", 0, 1.0), ("one", 1, 2.0), ("two", 0, 3.0)):
        put(tmp_path, entry(arm, seed, wrong))
    return tmp_path


def put(root: Path, values: dict[str, Any]) -> None:
    row = baselines.load(NAME)
    ledger.write(ledger.path_of(row, values["arm"], values["seed"], values["attempt"], root / "results"), values)


def test_pages_say_what_the_ledger_says_and_what_is_not_measured(root: Path) -> None:
    assert baseline_pages.write(root) == [PAGE, README, FIGURES / f"{NAME}.png"]
    page = (root / PAGE).read_text("utf-8")
    assert "| wrong bits at 3 | 1.000 (table 1; read in a table of the paper) | 4.500 ± 2.121 | 3.000, 6.000 |" in page
    assert "incomplete" in page and "Not measured yet: two seed 1." in page
    readme = (root / README).read_text("utf-8")
    assert readme.startswith("before\n") and readme.endswith("after\n") and "4.500 ± 2.121" in readme
    assert not baseline_pages.stale(root)


def test_any_difference_makes_them_stale(root: Path) -> None:
    baseline_pages.write(root)
    put(root, entry("two", 1, 3.5))
    assert set(baseline_pages.stale(root)) == {PAGE, README, FIGURES / f"{NAME}.png"}
    baseline_pages.write(root)
    assert not baseline_pages.stale(root)
    typed = (root / PAGE).read_text("utf-8").replace("4.500", "4.400")
    (root / PAGE).write_text(typed, "utf-8")
    assert baseline_pages.stale(root) == [PAGE]
    (root / FIGURES / "gone.2020-row.png").write_bytes(b"")
    assert baseline_pages.stale(root) == [PAGE, FIGURES / "gone.2020-row.png"]
    baseline_pages.write(root)
    assert not baseline_pages.stale(root)


def test_a_miss_says_by_how_much_and_an_earlier_attempt_stays(root: Path) -> None:
    put(root, entry("one", 1, 9.0, attempt=2))
    put(root, entry("two", 1, 3.0))
    baseline_pages.write(root)
    page = (root / PAGE).read_text("utf-8")
    assert "missed by 3.000" in page and "| missed |" in page
    assert "| one | 1 | 1 | finished, not counted (another recipe, or run again) |" in page
    assert "| one | 1 | 2 | finished |" in page


def test_a_row_whose_seed_diverged_says_so(root: Path) -> None:
    put(root, entry("one", 1, 1.0, attempt=2, state="diverged", message="loss is nan"))
    put(root, entry("two", 1, 3.0))
    page = baseline_pages.generate(root).texts[PAGE]
    assert "3.000, diverged" in page and "missed: a seed diverged" in page


def test_a_size_that_old_entries_lack_is_not_measured(root: Path) -> None:
    put(root, entry("two", 1, 3.0))
    larger = ROW["measures"][0] | {"score": {"size": 9, "probe": "copied", "metric": "wrong_per_graph"}}  # type: ignore[index]
    write_row(ROW | {"measures": [larger]})
    page = baseline_pages.generate(root).texts[PAGE]
    assert "incomplete" in page and "diverged" not in page.partition("## ")[2]


def test_a_readme_without_the_place_is_refused(root: Path) -> None:
    (root / README).write_text("nothing", "utf-8")
    with pytest.raises(ValueError, match="no lines"):
        baseline_pages.generate(root)


def test_recalled_figures_are_shown_as_such(root: Path) -> None:
    recalled = {"value": 0.25, "where": "table 2", "evidence": "recalled"}
    measure = ROW["measures"][1] | {"published": recalled}  # type: ignore[index]
    write_row(ROW | {"measures": [ROW["measures"][0], measure]})  # type: ignore[index]
    assert "0.250 (table 2; recalled from memory, not verified)" in baseline_pages.generate(root).texts[PAGE]


def test_every_row_of_the_repository_is_sound_and_the_pages_are_those_of_the_ledger(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(baselines, "BASELINES", baselines.FOLDER / "baseline")
    baselines.load.cache_clear()
    rows = [baselines.load(name) for name in baselines.names()]
    assert len(rows) >= 5
    for row in rows:
        drawn = "compiled" not in row.values(row.main) and not all(row.estimator(arm) for arm in row.arms)
        assert row.seeds >= 3 or not drawn, "what is trained has several seeds"
        for arm in row.arms:
            assert row.config(arm, seed=1).settings.seed == 1
        for measure in row.measures:
            recalled = measure.published is not None and measure.published.evidence == "recalled"
            assert not (recalled and measure.require is not None and measure.require.bound == measure.published.value)  # type: ignore[union-attr]
    assert baseline_pages.main(["--check"]) == 0, capsys.readouterr().err
    for path in (baselines.FOLDER.parent / "results").glob("*/*.json"):
        assert json.loads(path.read_text("utf-8"))["baseline"] == path.parent.name
        assert path.stat().st_size < 60_000


@pytest.mark.usefixtures("_rows")
def test_a_row_not_begun_is_named_below_the_readme_table(tmp_path: Path) -> None:
    (tmp_path / README).write_text(f"{BEGIN}\n{END}\n", "utf-8")
    table = baseline_pages.generate(tmp_path).texts[README]
    assert f"Not measured yet: [`{NAME}`]" in table
    put(tmp_path, entry("one", 0, 1.0))
    begun = baseline_pages.generate(tmp_path).texts[README]
    assert "Not measured yet" not in begun and f"| [`{NAME}`]" in begun
