"""What is declared about the distribution agrees with itself; the wheel's own check is `make wheel`."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
REQUIRED = [Requirement(text) for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]
LINES = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line and line[0] != "#"]
EXTRAS = {"dashboard": {"wandb-workspaces"}, "ray": {"ray"}}
PINS = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in LINES)}


def test_constraints_are_nothing_but_pins() -> None:
    wrong = [line for line in LINES if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)]
    assert not wrong
    assert len(PINS) == len(LINES)


@pytest.mark.parametrize("requirement", REQUIRED, ids=lambda requirement: requirement.name)
def test_dependency_has_a_lower_bound_that_its_pin_meets(requirement: Requirement) -> None:
    assert [clause.operator for clause in requirement.specifier] == [">="]
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_torch_is_pinned_to_what_results_were_measured_with() -> None:
    assert PINS["torch"] == "2.13.0"


def test_every_third_party_import_is_declared() -> None:
    ours = {"zoo", "tasks", "trainers", "configs"}
    imported: set[str] = set()
    for path in (path for package in ours for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).split(".")[0])
    distributions = {"hydra": "hydra-core", "yaml": "pyyaml", "PIL": "pillow", "wandb_workspaces": "wandb-workspaces"}
    needed = {distributions.get(name, name) for name in imported - ours - sys.stdlib_module_names}
    declared = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    assert {"torch", "jaxtyping"} <= needed
    # Imported where they are used, with an error that names the extra.
    extras = {name: {Requirement(text).name for text in PROJECT["optional-dependencies"][name]} for name in EXTRAS}
    assert extras == EXTRAS
    assert needed - declared == set().union(*EXTRAS.values())


def test_citation_agrees_with_the_distribution() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert all("name" in author or "family-names" in author for author in citation["authors"])
    assert Version(str(citation["version"])) == Version(PROJECT["version"])
    assert citation["license"] == PROJECT["license"]


def test_license_is_the_declared_one() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "Version 2.0" in text
    assert "Copyright 2026 The zoo's authors" in text


def test_refuses_an_old_python_before_installing_anything(tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(["make", "train", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_set_up_once_until_the_dependencies_change(tmp_path: Path) -> None:
    """A stand-in interpreter keeps count of the installations."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for name, script in {
        "python": 'case "$*" in *install*) echo "$*" >> installed;; esac',
        "zoo": 'echo "$@" >> ran',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)

    def train() -> int:
        subprocess.run(["make", "train", "ARGS=trainer.max_steps=7"], cwd=tmp_path, check=True, capture_output=True)
        return len((tmp_path / "installed").read_text().splitlines())

    assert [train(), train()] == [1, 1]
    assert (tmp_path / "ran").read_text().splitlines() == ["train trainer.max_steps=7"] * 2
    assert "-c constraints.txt" in (tmp_path / "installed").read_text()
    newer = (programs.parent / ".installed").stat().st_mtime + 5
    os.utime(tmp_path / "pyproject.toml", (newer, newer))
    assert train() == 2
