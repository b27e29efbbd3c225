"""Imports point one way, and what should be light is."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("zoo", "tasks", "trainers", "configs", "benchmarks", "tests")
# What each package may import of ours; a package always may import itself.
ALLOWED = {
    "tasks": (),
    "zoo": ("tasks.spec", "tasks.batch", "tasks.registry"),
    "trainers": ("zoo", "tasks", "configs"),
    "configs": (),
    "benchmarks": ("zoo", "tasks", "trainers", "configs"),
}
HEAVY = ("numba", "networkx", "wandb", "hydra", "omegaconf", "matplotlib", "scipy", "pandas", "rich", "trainers")
# The target is a second on a quiet machine; tests share two cores with one another.
CROWDED = 3.0


def imported_names(source: str, module: str, *, is_package: bool) -> Iterator[str]:
    """Full names of all that a module's source imports, anywhere in it, relative imports resolved."""
    parents = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def forbidden(package: str, name: str) -> bool:
    """Whether a module of `package` may not import `name`."""
    inside = any(name == prefix or name.startswith(f"{prefix}.") for prefix in (package, *ALLOWED[package]))
    return name.split(".")[0] in PACKAGES and not inside


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package: str) -> None:
    wrong = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        names = imported_names(path.read_text("utf-8"), module, is_package=is_package)
        wrong += [f"{module} imports {name}" for name in names if forbidden(package, name)]
    assert not wrong


def test_import_scan_sees_every_form() -> None:
    source = "import tasks.bfs\nfrom ..graph import mpnn\ndef f():\n    from tasks import spec, generators\n"
    names = list(imported_names(source, "zoo.memory.ntm", is_package=False))
    assert names == ["tasks.bfs", "zoo.graph.mpnn", "tasks.spec", "tasks.generators"]
    assert [name for name in names if forbidden("zoo", name)] == ["tasks.bfs", "tasks.generators"]
    assert list(imported_names("from . import dnc", "zoo.memory", is_package=True)) == ["zoo.memory.dnc"]


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded in a fresh interpreter after `code`."""
    report = (
        "import sys, json; sys.__stdout__.write('\\n' + json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_zoo_loads_nothing_heavy() -> None:
    loaded = modules_after("import zoo")
    assert {"zoo", "torch"} <= loaded
    assert not loaded.intersection((*HEAVY, "yaml"))


def test_importing_tasks_is_lazy() -> None:
    loaded = modules_after("import tasks")
    assert "tasks" in loaded
    assert not loaded.intersection((*HEAVY, "zoo"))


@pytest.mark.parametrize("arguments", [["--help"], ["list"]], ids=" ".join)
def test_command_line_answers_without_torch(arguments: list[str]) -> None:
    call = f"import sys; from trainers.cli import main; sys.argv = ['zoo', *{arguments}]"
    loaded = modules_after(f"{call}\ntry:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code")
    assert "trainers" in loaded
    assert "torch" not in loaded


@pytest.mark.parametrize("arguments", [["--help"], ["list"]], ids=" ".join)
def test_command_line_answers_within_a_second(arguments: list[str]) -> None:
    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "trainers", *arguments], check=True, capture_output=True)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < CROWDED * 1.0


def tracked_files() -> list[Path]:
    """Files under version control."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git history here")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    folders = "|".join(("work", "root", "tmp/plan"))  # joined here, so that this file holds none of them
    absolute = re.compile(rf"(?<![\w./-])/(?:{folders})/".encode())
    assert not [str(path.relative_to(ROOT)) for path in tracked_files() if absolute.search(path.read_bytes())]
