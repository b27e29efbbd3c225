"""The habits of the code base that a program can see."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("zoo", "tasks", "trainers", "configs", "benchmarks")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
# Attributes that tensors share with other types: the rule about each holds for what computes with tensors.
SHAPED = [path for path in SOURCES if path.is_relative_to(ROOT / "zoo")]


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the last name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, getattr(node.func, "attr", getattr(node.func, "id", ""))


def is_minus_one(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and getattr(node.operand, "value", 0) == 1


def breaches(source: str) -> list[str]:
    """What in a module of tensor code breaks a rule, with its line."""
    found = []
    tree = ast.parse(source)
    for call, name in calls(tree):
        keywords = {keyword.arg for keyword in call.keywords}
        method = isinstance(call.func, ast.Attribute)
        if name == "hasattr":
            found.append(f"{call.lineno}: hasattr; declare it as a class attribute")
        if name == "squeeze" and method and not call.args and not keywords:
            found.append(f"{call.lineno}: squeeze() without a dim drops a batch of one")
        if name == "view" and call.args and is_minus_one(call.args[0]):
            found.append(f"{call.lineno}: view(-1, …) hides which axes are merged")
        if name in ("max", "min") and method and "dim" in keywords:
            found.append(f"{call.lineno}: {name}(dim=…) picks one of several ties for the gradient; use a{name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in (1e9, 1e10, 1e12) and isinstance(node.value, float):
            found.append(f"{node.lineno}: a large constant as a mask; use where")
    return found


@pytest.mark.parametrize("path", SHAPED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_tensor_code_keeps_the_rules(path: Path) -> None:
    assert not breaches(path.read_text("utf-8"))


@pytest.mark.parametrize(
    "line", ["hasattr(x, 'y')", "x.squeeze()", "x.view(-1, 3)", "x.max(dim=1)", "x.masked_fill(m, -1e9)"]
)
def test_rules_catch_what_they_name(line: str) -> None:
    assert len(breaches(line)) == 1
    assert not breaches("x.squeeze(1); x.view(3, -1); x.amax(dim=1); max(1, 2); x.clamp_min(1e-9)")


def test_modules_are_named_for_their_content() -> None:
    vague = {"utils", "util", "helpers", "helper", "misc", "common"}
    assert not [str(path) for path in SOURCES if vague.intersection((path.stem, path.parent.name))]


def test_every_module_says_what_it_is() -> None:
    assert not [str(path) for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]


def test_public_names_are_documented() -> None:
    bare = []
    for path in SOURCES:
        for node in ast.parse(path.read_text("utf-8")).body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                bare.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not bare


def test_nothing_is_left_to_do() -> None:
    words = ("TO" + "DO", "FIX" + "ME", "X" * 3)
    marks = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if any(word in line for word in words)
    ]
    assert not marks


def test_few_files_are_long() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    long = {name: count for name, count in lines.items() if count > 400}
    assert len(long) <= len(lines) // 10, long
