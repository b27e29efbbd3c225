"""The report: complete in itself, true to the run folders, safe with any name, and alive in a browser."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import shutil
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import trainers.report
from tests.trainers import chromium
from trainers import runs
from trainers.cli import main
from trainers.config import compose
from trainers.report import curves, images, write_report
from trainers.report.html import json_script, tag
from trainers.usage import UsageError

ROOT = Path(__file__).resolve().parents[2]
EVIL = '<img src=x onerror="alert(1)">&amp;\'"'
SIZES = (2, 4, 8)
VOID = ("img", "input", "meta")


class Page(HTMLParser):
    """The elements of a page, refused where they are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))
        if name not in VOID:
            self._open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self._open.pop() == name

    def handle_data(self, text: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts.append(text)
        elif self._open and self._open[-1] != "style":
            self.text += text

    def attributes(self, name: str) -> list[str]:
        return [value or "" for _, attributes in self.elements for key, value in attributes.items() if key == name]


def data_of(text: str) -> Any:
    """The embedded data; numbers that JSON has not are refused."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    [found] = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    return json.loads(found, parse_constant=refuse)


def make_run(
    folder: Path,
    *words: str,
    losses: Sequence[float] = (),
    score: Sequence[float] | None = None,
    control: Sequence[float] | None = None,
    wrong: Sequence[float] = (8.0, 9.0, 10.0),
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """A run folder without a training."""
    config = compose(
        ["task=copy", "task.bits=2", "trainer.sizes=[1,2]", "trainer.max_steps=100", "logger=none", *words]
    )
    runs.write_start(folder, config)
    with (folder / "metrics.jsonl").open("w") as file:
        for index, loss in enumerate(losses):
            row = {"step": 2 * (index + 1), "train/loss": loss if math.isfinite(loss) else None}
            row |= {"train/grad_norm": 1.5, "train/step_ms": 500.0, **(extra or {})}
            file.write(json.dumps(row) + "\n")
    if score is not None:
        summary = {"step": 2 * len(losses), "train/loss": losses[-1], "seconds": 75.0, "parameters": 1234}
        summary |= {"samples_per_second": 10.0, "val/score": 0.5, "scores": cells(score, wrong)}
        if control is not None:
            summary["control"] = {"steps": 2, "scores": cells(control, wrong)}
        runs.write_json(folder / runs.SUMMARY, summary)
    return folder


def cells(score: Sequence[float], wrong: Sequence[float]) -> list[dict[str, Any]]:
    return [
        {
            "task": "copy",
            "distribution": "uniform",
            "n": size,
            "graphs": 4,
            "score": value,
            "exact": value / 2,
            "probes": {"copied": {"score": value, "wrong_per_graph": bits}},
        }
        for size, value, bits in zip(SIZES, score, wrong, strict=True)
    ]


def make_picture(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 8, (height, width, 3), dtype=np.uint8)
    Image.fromarray(32 * noise).save(path)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of one processor, one run of another with a name that is markup, and runs that went wrong."""
    place = tmp_path_factory.mktemp("original")
    first = make_run(place / "a-s0", "processor=lstm", "seed=0", losses=[3.0, 2.0, 1.0], score=[0.9, 0.8, 0.5])
    make_run(place / "a-s1", "processor=lstm", "seed=1", losses=[3.5, 2.5, 1.5], score=[0.7, 0.6, 0.3])
    make_run(
        place / EVIL,
        "processor=deep_sets",
        losses=[4.0],
        score=[0.85, 0.7, 0.1],
        control=[0.6, 0.5, 0.05],
        wrong=(1.0, 2.0, 3.0),
        extra={"train/loss/</script><b>": 1.0},
    )
    make_run(place / "cut", "processor=ntm", losses=[1.0, math.nan])
    broken = make_run(place / "broken", "processor=lstm", "processor.hidden_size=6", losses=[1.0, 2.0, 3.0])
    make_run(place / "empty", "processor=lstm", "processor.hidden_size=6", "seed=1")
    dump = broken / "nonfinite-step-00000007"
    dump.mkdir()
    runs.write_json(dump / "report.json", {"step": 7, "task": "copy", "term": "loss of copied", "samples": [1]})
    make_picture(first / "pictures" / "weightings.png", 200, 100)
    make_picture(first / "inspect" / "sample_0" / "usage.png", 120, 90)
    return place


@pytest.fixture
def folders(original: Path) -> list[Path]:
    """A copy of those runs in `runs`."""
    shutil.copytree(original, "runs")
    return [Path("runs") / name for name in ("a-s0", "a-s1", EVIL, "cut", "broken", "empty")]


def test_page_is_complete_in_itself(folders: list[Path]) -> None:
    text = write_report([*folders]).read_text("utf-8")
    assert "http:" not in text and "https:" not in text and "//cdn" not in text and "@import" not in text
    page = Page(text)
    links = page.attributes("src") + page.attributes("href")
    assert links and all(link.startswith(("#", "data:image/png;base64,")) for link in links if link != "")
    assert {name for name, _ in page.elements}.isdisjoint({"link", "iframe", "object", "embed", "base"})
    targets = {link[1:] for link in page.attributes("href")}
    assert targets <= set(page.attributes("id"))
    policy = next(a["content"] for name, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy and policy.startswith("default-src 'none'; img-src data:;")
    assert len(text) < 5_000_000


def test_any_name_stays_text(folders: list[Path]) -> None:
    title = "</title><script>alert(1)</script>"
    text = write_report([*folders], title=title).read_text("utf-8")
    page = Page(text)
    assert EVIL in page.text and title in page.text
    assert not [a for name, a in page.elements if name == "img" and a.get("src") == "x"]
    assert not page.attributes("onerror") and len(page.scripts) == 2
    assert "alert" not in page.scripts[1] and "innerHTML" not in page.scripts[1]
    data = data_of(text)
    assert "train/loss/</script><b>" in data["curves"]["metrics"]
    assert EVIL in {run["name"] for run in data["curves"]["runs"]}


def test_scores_are_means_and_deviations_over_seeds(folders: list[Path]) -> None:
    sizes = data_of(write_report([*folders]).read_text("utf-8"))["sizes"]
    labels = [line["label"] for line in sizes["lines"]]
    assert labels.count("deep_sets, only 2 steps (control)") == 1
    [panel] = [each for each in sizes["panels"] if each["measure"] == "score"]
    first = panel["lines"]["0"]
    assert [point[0] for point in first] == list(SIZES)
    for point, values in zip(first, ([0.9, 0.7], [0.8, 0.6], [0.5, 0.3]), strict=True):
        assert point[1] == pytest.approx(statistics.mean(values))
        assert point[2] == pytest.approx(statistics.stdev(values), rel=1e-4)
        assert point[3] == values
    assert sizes["lines"][0]["trained"] == [1, 2]
    assert [each["key"] for each in sizes["measures"]] == ["score", "exact", "wrong_per_graph/copied"]


def rows_of(text: str, measure: str) -> list[list[str]]:
    """Cells of a measure's table, the best ones with a star."""
    [part] = re.findall(rf'data-measure="{measure}">(.*?)</table>', text, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", part.partition("<tbody>")[2], re.DOTALL)
    cells = [re.findall(r"<t[hd]([^>]*)>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[re.sub(r"<[^>]+>", "", inner) + "*" * ("best" in kind) for kind, inner in row] for row in cells]


def test_best_of_each_column_is_marked_whichever_way_is_better(folders: list[Path]) -> None:
    text = write_report([*folders]).read_text("utf-8")
    score = rows_of(text, "score")
    assert [row[0] for row in score] == [
        "lstm (hidden_size=128)Hochreiter &amp; Schmidhuber, 1997",
        "deep_setsZaheer et al., 2017",
        "deep_setsonly 2 steps (control)",
    ]
    assert score[0][1:] == ["2", "0.800 ± 0.141", "0.700 ± 0.141*", "0.400 ± 0.141*"]
    assert score[1][1:] == ["1", "0.850*", "0.700*", "0.100"]
    wrong = rows_of(text, "wrong_per_graph/copied")
    assert wrong[0][2:] == ["8.000 ± 0.000", "9.000 ± 0.000", "10.000 ± 0.000"]
    assert wrong[1][2:] == ["1.000*", "2.000*", "3.000*"]


def test_a_score_that_is_missing_is_told_and_not_averaged_away() -> None:
    make_run(Path("runs/s0"), "seed=0", "processor=lstm", losses=[1.0], score=[0.9, 0.8, math.nan])
    make_run(Path("runs/s1"), "seed=1", "processor=lstm", losses=[1.0], score=[0.7, 0.6, 0.5])
    text = write_report(["runs"]).read_text("utf-8")
    assert rows_of(text, "score")[0][-1] == "NaN"
    assert "some scores are not finite" in Page(text).text
    [panel] = [each for each in data_of(text)["sizes"]["panels"] if each["measure"] == "score"]
    assert panel["lines"]["0"][2] == [8, None, None, [None, 0.5]]


def test_every_state_of_a_run_is_shown(folders: list[Path]) -> None:
    text = write_report([*folders]).read_text("utf-8")
    shown = Page(text).text
    assert "6 runs of 4 configs: 3 finished, 1 unfinished, 1 diverged, 1 not started." in shown
    assert "loss of copied not finite at step 7" in shown
    assert "step 4 of 100, running or interrupted" in shown
    assert "nothing logged yet" in shown
    states = {run["name"]: run["state"] for run in data_of(text)["curves"]["runs"]}
    assert (states["cut"], states["broken"], states["empty"]) == ("unfinished", "diverged", "not started")


def test_a_run_that_diverged_and_was_finished_later_is_finished() -> None:
    folder = make_run(Path("run"), losses=[1.0, 0.5, 0.2], score=[0.9, 0.8, 0.7])
    dump = folder / "nonfinite-step-00000003"
    dump.mkdir()
    runs.write_json(dump / "report.json", {"step": 3, "term": "loss of copied"})
    assert "1 run, finished." in Page(write_report(["run"]).read_text("utf-8")).text
    runs.write_json(dump / "report.json", {"step": 99, "term": "loss of copied"})
    assert "1 diverged" in Page(write_report(["run"]).read_text("utf-8")).text


def test_a_page_without_any_score_or_metric_is_made() -> None:
    make_run(Path("run"))
    text = write_report(["run"]).read_text("utf-8")
    assert "No run has scores yet" in Page(text).text
    assert 'id="curve-plot"' not in text and 'id="size-plot"' not in text


def test_curves_are_the_logged_ones(folders: list[Path]) -> None:
    with (folders[1] / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "train/lo')
    shown = data_of(write_report([*folders]).read_text("utf-8"))["curves"]
    assert shown["metrics"][:2] == ["train/loss", "train/grad_norm"]
    run = next(each for each in shown["runs"] if each["name"] == "a-s1")
    curve = run["metrics"]["train/loss"]
    assert curve["y"] == [3.5, 2.5, 1.5]
    assert run["axes"][curve["axis"]] == {"step": [2, 4, 6], "seconds": [1, 2, 3]}
    cut = next(each for each in shown["runs"] if each["name"] == "cut")
    assert cut["metrics"]["train/loss"]["y"] == [1, None]


def test_long_curves_are_thinned_by_means_and_keep_their_end() -> None:
    count = 10_001
    values = [math.sin(index / 500) for index in range(count)]
    curve = curves.Curve([float(i) for i in range(count)], [i / 2 for i in range(count)], values)
    thin = curves.thin(curve, 101)
    assert len(thin.steps) == len(thin.values) == 101
    assert thin.values[0] == pytest.approx(statistics.mean(values[:100]))
    assert (thin.steps[-1], thin.values[-1]) == (count - 1, values[-1])
    assert thin.seconds == pytest.approx([step / 2 for step in thin.steps])
    values[250] = math.nan
    assert [math.isnan(value) for value in curves.thin(curve, 101).values].count(True) == 1
    assert curves.thin(curve, count) is curve
    assert curves.points(1) == 500 and curves.points(10_000) == 40


def test_settings_that_differ_are_told_and_no_others(folders: list[Path]) -> None:
    text = write_report(folders[:2]).read_text("utf-8")
    configs = re.search(r'<section id="configs".*?</section>', text, re.DOTALL)
    assert configs is not None
    table, _, full = configs[0].partition("Full configs")
    assert re.findall(r"<code>(.*?)</code></th><td>(.*?)</td>", table) == [("seed", "0, 1")]
    assert full.count("<details>") == 2 and "hidden_size: 128" in full
    several = re.findall(r"<th scope=\"row\"><code>(.*?)</code>", write_report([*folders]).read_text("utf-8"))
    assert {"processor.hidden_size", "processor.name", "seed"} == set(several)


def test_environment_tells_what_it_ran_on_but_no_local_folder(folders: list[Path]) -> None:
    text = Page(write_report([*folders]).read_text("utf-8")).text
    assert "version of torch" in text and "commit" in text and "device" in text
    assert str(Path.cwd()) not in text


def test_pictures_are_embedded_and_shrunk_to_fit(folders: list[Path]) -> None:
    text = write_report([*folders]).read_text("utf-8")
    uris = [uri for uri in Page(text).attributes("src") if uri.startswith("data:")]
    pictures = [Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) for uri in uris]
    assert [picture.size for picture in pictures] == [(120, 90), (200, 100)]
    assert "inspect / sample 0 / usage" in Page(text).text

    for index in range(5):
        make_picture(folders[1] / "pictures" / f"{index}.png", 1600, 800)
    (folders[1] / "pictures" / "broken.png").write_bytes(b"\x89PNG no")
    path = write_report([*folders])
    assert path.stat().st_size < 5_000_000
    page = Page(path.read_text("utf-8"))
    sizes = [(a["width"], a["height"]) for name, a in page.elements if name == "img" and "width" in a]
    assert len(sizes) == 7 and sizes[:2] == [("120", "90"), ("200", "100")]
    assert all(int(width or 0) < 1400 and int(width or 0) == 2 * int(height or 0) for width, height in sizes[2:])
    assert "1 more did not fit or could not be read" in page.text

    chosen, left_out = images.embed(folders[:2], limit=200_000)
    assert len(chosen[0]) == 2 and 1 <= len(chosen[1]) < 5 and left_out == 6 - len(chosen[1])
    assert sum(len(picture.uri) for each in chosen for picture in each) <= 200_000


def test_page_lies_beside_the_runs(folders: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert write_report(["a-s0"]) == Path("runs/a-s0/report.html")
    assert write_report(["a-s0", "a-s1"]) == Path("runs/report.html")
    assert write_report(["runs"]) == Path("runs/report.html")
    assert write_report(["latest"], output="here/page.html").is_file()
    assert main(["report", "a-s0", "--output", "page.html", "--title", "Mine"]) == 0
    assert "page.html" in capsys.readouterr().out
    assert "<h1>Mine</h1>" in Path("page.html").read_text("utf-8")


def test_runs_of_one_name_are_told_apart() -> None:
    for place in ("one", "two"):
        make_run(Path("runs") / place / "a-s0", losses=[1.0], score=[0.9, 0.8, 0.5])
    names = [run["name"] for run in data_of(write_report(["one", "two"]).read_text("utf-8"))["curves"]["runs"]]
    assert names == ["one/a-s0", "two/a-s0"]


def test_mistakes_are_told_with_their_remedy(folders: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "a-s2"]) == 2
    error = capsys.readouterr().err
    assert "unknown run 'a-s2'" in error and "did you mean" in error and len(error.splitlines()) == 2
    assert main(["report"]) == 2
    Path("file").write_text("")
    assert main(["report", "a-s0", "--output", "file/report.html"]) == 2
    assert "--output FILE" in capsys.readouterr().err
    with pytest.raises(UsageError, match="no run to report on"):
        write_report([])


def test_markup_is_made_from_text_only_on_purpose() -> None:
    assert tag("b", "<i>", 3, None, tag("i")) == "<b>&lt;i&gt;3<i></i></b>"
    assert tag("img", alt='"><script>', hidden=True, title=None) == '<img alt="&quot;&gt;&lt;script&gt;" hidden>'
    script = json_script("data", {"name": "</script><!--&"})
    assert (
        "</script><" not in script
        and json.loads(script.partition(">")[2].rpartition("<")[0])["name"] == "</script><!--&"
    )
    with pytest.raises(ValueError, match="JSON"):
        json_script("data", math.nan)


def test_scripts_and_style_are_in_the_distribution() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    package = Path(str(trainers.report.__file__)).parent
    needed = {path for path in package.iterdir() if path.is_file() and path.suffix != ".py"}
    assert len(needed) == 3
    assert needed == {path for pattern in declared["trainers"] for path in package.parent.glob(pattern)}


@pytest.mark.slow
def test_page_lives_in_a_browser(folders: list[Path], tmp_path: Path) -> None:
    program = chromium.find()
    if program is None:
        pytest.skip(f"no Chromium here: none of {', '.join(chromium.NAMES)} on the path, ZOO_CHROMIUM not set")
    path = write_report([*folders])
    with chromium.Browser(program, tmp_path / "profile") as browser:
        browser.open(path, width=1200)
        _check_charts(browser)
        _check_controls(browser)
        _check_pictures_and_tables(browser)
        background = "getComputedStyle(document.body).backgroundColor"
        light = browser.evaluate(background)
        browser.pointer("click", "#theme")
        assert browser.evaluate("document.documentElement.dataset.theme") == "dark"
        dark = browser.evaluate(background)
        assert dark != light
        browser.evaluate("localStorage.clear()")

        browser.open(path, width=360, dark=True)
        assert browser.evaluate(background) == dark
        assert browser.evaluate("document.documentElement.scrollWidth") <= 360
        assert browser.evaluate("document.querySelector('#size-area svg').getBoundingClientRect().right") <= 360
        assert browser.problems == []


def _count(selector: str) -> str:
    return f"document.querySelectorAll({json.dumps(selector)}).length"


def _check_charts(browser: chromium.Browser) -> None:
    """Lines, bands, markers and shade are drawn, inside their chart; names stayed text."""
    assert browser.evaluate(_count("#size-area path.line")) == 3
    assert browser.evaluate(_count("#size-area path.marker")) == 9
    assert browser.evaluate(_count("#size-area path.band")) == 1
    assert browser.evaluate(_count("#size-area rect.shade")) == 1
    paths = browser.evaluate("[...document.querySelectorAll('#size-area path.line')].map(p => p.getAttribute('d'))")
    assert [len(re.findall("[ML]", path)) for path in paths] == [3, 3, 3]
    assert browser.evaluate(_count("#curve-area path.line")) == 5
    assert "NaN" not in browser.evaluate("document.querySelector('#curve-area svg').outerHTML")
    assert browser.evaluate(_count('img[src="x"]')) == 0


def _check_controls(browser: chromium.Browser) -> None:
    """Pointer, keys, legend, choices and slider do what they say."""
    browser.pointer("mouseMoved", "#size-area", x=0.68)
    tip = browser.evaluate("document.querySelector('#size-area .tip').textContent")
    assert tip.startswith("n = 4") and "0.7 ± 0.1414" in tip and "only 2 steps (control)0.5" in tip
    browser.evaluate("document.querySelector('#size-area').focus()")
    browser.press("End")
    assert browser.evaluate("document.querySelector('#size-area .spoken').textContent").startswith("n = 8: ")

    browser.pointer("click", "#size-plot .key")
    assert browser.evaluate("document.querySelector('#size-plot .key').getAttribute('aria-pressed')") == "false"
    assert browser.evaluate(_count("#size-area path.line")) == 2
    browser.pointer("click", "#size-plot .key.all")
    assert browser.evaluate(_count("#size-area path.line")) == 3
    lowest = "Number(document.querySelector('#size-area text[text-anchor=end]').textContent)"
    assert browser.evaluate(lowest) == 0
    seeds = "#size-plot .field:nth-of-type(3) input"
    browser.pointer("click", seeds)
    assert browser.evaluate(_count("#size-area path.line")) == 4
    browser.pointer("click", seeds)

    browser.evaluate(
        "(() => { const s = document.querySelector('#curve-plot input[type=range]');"
        " s.value = 0.8; s.dispatchEvent(new Event('input')); })()"
    )
    assert browser.evaluate(_count("#curve-area path.faint")) == 5
    browser.evaluate(
        "(() => { const s = document.querySelectorAll('#curve-plot select')[1];"
        " s.value = 1; s.dispatchEvent(new Event('change')); })()"
    )
    assert browser.evaluate("document.querySelector('#curve-area .axis-label').textContent") == "seconds of training"


def _check_pictures_and_tables(browser: chromium.Browser) -> None:
    """One measure at a time, columns sort both ways, a picture opens and closes."""
    shown = "[...document.querySelectorAll('.measure')].filter(m => !m.hidden).map(m => m.dataset.measure)"
    assert browser.evaluate(shown) == ["score"]
    browser.pointer("click", ".segments button:nth-child(3)")
    assert browser.evaluate(shown) == ["wrong_per_graph/copied"]
    first = "document.querySelector('#runs tbody tr .name').textContent"
    browser.pointer("click", "#runs thead th:nth-child(3) button")
    assert browser.evaluate(first) == "a-s1"
    browser.pointer("click", "#runs thead th:nth-child(1) button")
    assert browser.evaluate(first) == EVIL
    browser.pointer("click", "#runs thead th:nth-child(1) button")
    assert browser.evaluate(first) == "empty"
    browser.pointer("click", "button.picture")
    assert browser.evaluate("document.querySelector('dialog').open")
    assert browser.evaluate("document.querySelector('dialog img').naturalWidth") == 120
    browser.pointer("click", "dialog button")
    browser.wait("!document.querySelector('dialog').open")
