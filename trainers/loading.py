"""A user's own Python file, imported by path."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path

from trainers.usage import UsageError, unknown

_PREFIX = "zoo_loaded_"


def load(path: str) -> None:
    """Import a user's file, which registers processors or tasks by decorator; once, however often it is asked for.

    Args:
        path: of the file.

    Raises:
        UsageError: no such file, or it fails to import.
    """
    file = Path(path)
    if not file.is_file():
        near = sorted(str(each) for each in file.parent.glob("*.py")) if file.parent.is_dir() else []
        raise unknown("file", path, near, among="Python files there")
    location = str(file.resolve())
    name = f"{_PREFIX}{file.stem}"
    if name in sys.modules and sys.modules[name].__file__ == location:
        return
    spec = importlib.util.spec_from_file_location(name, location)
    if spec is None or spec.loader is None:
        raise UsageError(f"--load {path}: not a Python file", "give a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's own code, which may raise anything
        del sys.modules[name]
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == location]
        if isinstance(error, SyntaxError):
            lines.append(error.lineno)
        place = f"line {lines[-1]} of {file.name}" if lines else file.name
        raise UsageError(f"--load {path}: {type(error).__name__}: {error}", f"raised at {place}") from error


def loaded() -> list[str]:
    """The files loaded so far, in order: what another process needs to load to have the same registries."""
    modules = [module for name, module in sys.modules.items() if name.startswith(_PREFIX)]
    return [str(module.__file__) for module in modules]
