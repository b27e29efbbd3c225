"""The page of compiled algorithms: what was recorded, and whether it still holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainers import compiled_errors, compiled_page
from trainers.compiled_errors import Case, Count, cases, measure, share
from trainers.compiled_page import FIGURE, PAGE, ROOT, page, record, recorded
from trainers.usage import UsageError
from zoo.compiled import list_algorithms, processors

QUICK = [case for case in cases() if case.nodes == 8 and case.precision == "float64" and case.made_for is None]


def test_the_page_is_what_was_recorded_of_every_algorithm() -> None:
    known = recorded()
    assert set(known) == set(cases()), "python -m trainers.compiled_page --measure"
    assert (ROOT / PAGE).read_text("utf-8") == page(known), "write it anew: python -m trainers.compiled_page"
    assert (ROOT / FIGURE).is_file()
    named = {(case.algorithm, case.processor) for case in known}
    assert named == {(name, processor) for name in list_algorithms() for processor in processors(name)}


@pytest.mark.parametrize("case", QUICK, ids=lambda case: f"{case.algorithm}-{case.processor}")
def test_what_was_recorded_is_measured_again(case: Case) -> None:
    assert measure(case) == recorded()[case]


def test_slopes_for_a_single_node_are_too_flat_for_many() -> None:
    known = recorded()
    for case, counts in known.items():
        if case.nodes == 256 and case.processor == "gatv2" and case.made_for is not None:
            assert share(counts, ["pi"]) > 0.1
        elif case.precision == "float64" and case.processor == "gatv2" and case.made_for is None:
            assert share(counts, ["pi"]) == 0


def test_algorithms_are_measured_one_by_one_and_the_others_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_errors, "SIZES", (4,))
    monkeypatch.setattr(compiled_errors, "SPARSE_PAIRS", set())
    with pytest.raises(UsageError, match="--measure"):
        recorded(tmp_path)
    record(["minimum"], tmp_path)
    record(["binary_search"], tmp_path)
    known = recorded(tmp_path)
    assert {case.algorithm for case in known} == {"minimum", "binary_search"}
    assert {case.precision for case in known} == {"float32", "float64"}
    exact = [counts for case, counts in known.items() if case.precision == "float64"]
    assert all(count == Count(0, count.of) and count.of > 0 for counts in exact for count in counts.values())
    assert compiled_page.draw(known, tmp_path / "errors.png").stat().st_size > 0
    with pytest.raises(UsageError, match="did you mean minimum"):
        record(["minimun"], tmp_path)
