"""The notebook runs from top to bottom, shows what it says, and is kept without outputs."""

from __future__ import annotations

import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

import zoo

NOTEBOOK = Path(__file__).resolve().parent.parent / "examples" / "first_hour.ipynb"
NTM = "ntm.graves2014-copy"
LIMIT = 300.0  # seconds
# What the comparison is there to show.
CLAIM = """
for distribution in ("sparse", "grid"):
    better, worse = (run.evaluation.cell(size=32, distribution=distribution).score for run in (mpnn, deep_sets))
    assert better > 0.9 and better > worse + 0.25, (distribution, better, worse)
"""


def read() -> NotebookNode:
    """The notebook as it is kept; without the part on weights where they are not shipped."""
    book = nbformat.read(NOTEBOOK, as_version=4)
    if NTM not in zoo.list_pretrained():
        book.cells = [cell for cell in book.cells if "pretrained" not in cell.metadata.get("tags", ())]
    return book


def code(book: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


@pytest.fixture(autouse=True)
def _jupyter_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, history and connection files stay in the test's folder."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


def run(book: NotebookNode, folder: Path) -> float:
    """Execute every cell in a folder; an exception in one is raised here. Returns seconds."""
    began = time.monotonic()
    NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return time.monotonic() - began


def test_it_is_kept_without_outputs_in_short_cells() -> None:
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(book)
    assert not [cell.source for cell in code(book) if cell.outputs or cell.execution_count is not None]
    assert not [cell.source for cell in code(book) if len(cell.source.splitlines()) > 8]
    assert not [line for cell in code(book) for line in cell.source.splitlines() if len(line) > 120]
    assert NOTEBOOK.stat().st_size < 40_000


def test_it_runs_made_small(tmp_path: Path) -> None:
    book = read()
    (parameters,) = (cell for cell in code(book) if "parameters" in cell.metadata.get("tags", ()))
    assert [line.split(" = ")[0] for line in parameters.source.splitlines()] == ["STEPS", "GRAPHS"]
    parameters.source = "STEPS, GRAPHS = 2, 2"
    run(book, tmp_path)
    shown = {cell.source: [output.get("data", {}) for output in cell.outputs] for cell in code(book)}
    for source, outputs in shown.items():
        if source.splitlines()[-1].startswith("Image("):
            assert any("image/png" in data for data in outputs), source
    assert any(
        "text/html" in data
        for data in shown["comparison = trainers.compare_runs([mpnn.folder, deep_sets.folder])\ncomparison.table"]
    )
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} >= {"figures", "runs"}


@pytest.mark.slow
def test_it_runs_in_five_minutes_and_shows_the_difference(tmp_path: Path) -> None:
    book = read()
    book.cells.append(nbformat.v4.new_code_cell(CLAIM))
    assert run(book, tmp_path) < LIMIT
